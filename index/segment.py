"""jieba's segmentation for search, word for word the same, in half of its time.

Reading the corpus is mostly this: finding the most probable path through the dictionary's words
(Viterbi over a directed acyclic graph), then guessing words among the single characters that are
left (a hidden Markov model of four states). jieba looks each word up twice, takes its logarithm
each time and builds lists and pairs for what is one pass from right to left. tests/test_segment.py
holds the two against each other.

Source of the algorithm, dictionary and model: jieba 0.42.1, github.com/fxsj/jieba, MIT.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from math import log

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in words.py
    from jieba import finalseg  # type: ignore[import-untyped]

# What jieba takes for words, and what it leaves whole between them.
_WORD_RUN = re.compile(r"([\u4E00-\u9FD5a-zA-Z0-9+#&\._%\-]+)")
_SPACE = re.compile(r"(\r\n|\s)")
_HAN_RUN = re.compile("([\u4e00-\u9fd5]+)")
_LATIN_RUN = re.compile(r"([a-zA-Z0-9]+(?:\.\d+)?%?)")

_GUESSED = 1 << 14  # runs kept: half of all have been met before
_NEVER: float = finalseg.MIN_FLOAT

_Emission = tuple[float, float, float, float]  # of a character as begin, middle, end, single


class Segmenter:
    """Cuts text into words by a dictionary. Safe to use from several threads.

    Args:
        frequencies: of words; 0 for what only begins one. Every beginning of a word is in it.
        total: sum of the frequencies.
    """

    def __init__(self, frequencies: Mapping[str, int], total: int) -> None:
        self._frequency = frequencies.get
        scale = log(total)
        self._weights = {f: log(f) - scale for f in set(frequencies.values()) if f}
        self._unknown = log(1) - scale
        self._guess = lru_cache(_GUESSED)(_guess_words)

    def cut_for_search(self, text: str) -> list[str]:
        """Words in order; before a long one, the words of two and three characters inside it."""
        found: list[str] = []
        for run in _WORD_RUN.split(text):
            if not run:
                continue
            if not _WORD_RUN.match(run):
                found.extend(_between_words(run))
                continue
            for word in self._cut(run):
                if len(word) > 2:
                    found.extend(self._inside(word))
                found.append(word)
        return found

    def _inside(self, word: str) -> Iterator[str]:
        frequency = self._frequency
        for size in (2, 3):
            if len(word) > size:
                for start in range(len(word) - size + 1):
                    part = word[start : start + size]
                    if frequency(part):
                        yield part

    def _cut(self, run: str) -> list[str]:
        """The most probable words, single characters joined to guessed ones."""
        words: list[str] = []
        ends = self._ends(run)
        start = single_from = 0
        while start < len(run):
            end = ends[start]
            if end - start > 1:
                if single_from < start:
                    words.extend(self._singles(run[single_from:start]))
                words.append(run[start:end])
                single_from = end
            start = end
        if single_from < len(run):
            words.extend(self._singles(run[single_from:]))
        return words

    def _ends(self, run: str) -> list[int]:
        """For each place, where the word ends that begins there on the most probable path."""
        frequency, weights = self._frequency, self._weights
        size = len(run)
        best = [0.0] * (size + 1)  # logarithm of the probability of the rest
        ends = [0] * size
        for start in range(size - 1, -1, -1):
            end = start + 1
            chosen, score = 0, 0.0
            known = frequency(run[start])
            while known is not None:
                if known:
                    of_this = weights[known] + best[end]
                    # Of equals the longest, as jieba's maximum over pairs has it.
                    if not chosen or of_this >= score:
                        chosen, score = end, of_this
                end += 1
                if end > size:
                    break
                known = frequency(run[start:end])
            if chosen:
                ends[start], best[start] = chosen, score
            else:
                ends[start], best[start] = start + 1, self._unknown + best[start + 1]
        return ends

    def _singles(self, characters: str) -> tuple[str, ...] | str:
        """Words among characters that no word of the path joins."""
        if len(characters) == 1 or self._frequency(characters):
            return characters
        return self._guess(characters)


def _between_words(run: str) -> Iterator[str]:
    for piece in _SPACE.split(run):
        if _SPACE.match(piece):
            yield piece
        else:
            yield from piece


def _guess_words(characters: str) -> tuple[str, ...]:
    words: list[str] = []
    for run in _HAN_RUN.split(characters):
        if _HAN_RUN.match(run):
            words.extend(_most_probable(run))
        else:
            words.extend(piece for piece in _LATIN_RUN.split(run) if piece)
    return tuple(words)


def _most_probable(run: str) -> Iterator[str]:
    """Cut by the hidden Markov model: a word ends where a state is E or S."""
    begin = 0
    for end, state in enumerate(_states(run), start=1):
        if state in "ES":
            yield run[begin:end]
            begin = end


def _states(run: str) -> str:
    """The most probable states of the characters: B, M or E of a longer word, or S.

    Of predecessors that are as probable, the one whose letter comes last, as jieba has it.
    """
    emissions, never = _emissions(), (_NEVER,) * 4
    be, bm, eb, es, me, mm, sb, ss = _MOVES
    b, m, e, s = map(sum, zip(_STARTS, emissions.get(run[0], never), strict=True))
    before: list[tuple[str, str, str, str]] = []
    for character in run[1:]:
        of_b, of_m, of_e, of_s = emissions.get(character, never)
        e_to_b, s_to_b = e + eb + of_b, s + sb + of_b
        b_to_m, m_to_m = b + bm + of_m, m + mm + of_m
        b_to_e, m_to_e = b + be + of_e, m + me + of_e
        e_to_s, s_to_s = e + es + of_s, s + ss + of_s
        b, to_b = (s_to_b, "S") if s_to_b >= e_to_b else (e_to_b, "E")
        m, to_m = (m_to_m, "M") if m_to_m >= b_to_m else (b_to_m, "B")
        e, to_e = (m_to_e, "M") if m_to_e >= b_to_e else (b_to_e, "B")
        s, to_s = (s_to_s, "S") if s_to_s >= e_to_s else (e_to_s, "E")
        before.append((to_b, to_m, to_e, to_s))
    path = ["S" if s >= e else "E"]
    for came_from in reversed(before):
        path.append(came_from["BMES".index(path[-1])])
    return "".join(reversed(path))


_STARTS: _Emission = tuple(finalseg.start_P[state] for state in "BMES")
_MOVES = tuple(
    finalseg.trans_P[old][new] for old, new in ("BE", "BM", "EB", "ES", "ME", "MM", "SB", "SS")
)


@cache
def _emissions() -> dict[str, _Emission]:
    """For each character its logarithmic probability in the four states."""
    characters = set().union(*(finalseg.emit_P[state] for state in "BMES"))
    return {
        character: tuple(finalseg.emit_P[state].get(character, _NEVER) for state in "BMES")
        for character in characters
    }
