"""A question as typed into the words that the documents use: typos, pinyin, Chinese numerals.

Only what the index does not know is touched, and only towards something that stands in a document
word for word together with its neighbours in the question. Which documents those are is asked of
one index generation; nothing is listed or cached for it, so a large one costs no more than a small.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pypinyin.pinyin_dict import pinyin_dict

from index.protocols import Generation
from index.words import QUESTION_WORDS, STOP_WORDS, normalize
from qa.gazetteer import PLACE
from qa.numerals import COUNT, ONE_NUMERAL, spelled_numbers
from qa.question import Question, reread

LOOKALIKES_FILE = Path(__file__).with_name("lookalikes.json")

_HAN = re.compile("[\u4e00-\u9fff]+")
_WINDOW = 12  # characters of the question that are looked for in one piece
_TRIED = 12  # candidates compared with the documents, best first, for one place
_PASSAGES = 10  # read for one comparison
_DOUBLE = 3  # a longer run of unknown characters is a name that no document has, no typo
_RUNS_MENDED = 5  # in one question; more of them are another subject, no typos


def correct(question: Question, generation: Generation) -> Question:
    """The question with typos, pinyin and numerals as the documents write them.

    Only `standalone` and `focus` change, and with them what is asked for; `text` stays as typed.
    """
    reader = _Reader(generation)
    standalone = reader.read(question.standalone)
    focus = standalone if question.focus == question.standalone else reader.read(question.focus)
    return reread(question, standalone, focus)


# Sound and shape.

_TONES = re.compile("[\u0300\u0301\u0304\u030c]")


_ALSO_READ = {
    pair[0]: (pair[1:],)
    for pair in (
        *("长chang", "重chong", "行hang", "乐yue", "调tiao", "都du", "还huan", "传zhuan"),
        *("角jue", "降xiang", "觉jiao", "率lu", "藏zang", "曾zeng", "差chai", "朝zhao"),
        *("参shen", "单shan", "弹tan", "厦xia", "校jiao", "系ji", "会kuai", "大dai", "地di"),
        *("得dei", "的di", "了liao", "数shuo", "沈chen", "石dan", "省xing", "宿xiu", "盛cheng"),
    )
}


@functools.cache
def _sounds() -> tuple[dict[str, frozenset[str]], dict[str, str]]:
    """Syllables of each common character, and the characters of each syllable; without tones.

    Common are those of GB 2312; ü is written u, as people type it.
    """
    readings: dict[str, frozenset[str]] = {}
    characters: dict[str, str] = {}
    for code, marked in pinyin_dict.items():
        character = chr(code)
        if not "\u4e00" <= character <= "\u9fff" or not _is_common(character):
            continue
        plain = _TONES.sub("", unicodedata.normalize("NFD", marked)).replace("u\u0308", "u")
        # The first reading is the usual one; the others are mostly those of old texts.
        readings[character] = frozenset([plain.split(",")[0], *_ALSO_READ.get(character, ())])
        for syllable in readings[character]:
            characters[syllable] = characters.get(syllable, "") + character
    return readings, characters


def _is_common(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@functools.cache
def _folded() -> dict[str, frozenset[str]]:
    """Characters by the sound that many speakers do not tell apart: n/l, zh/z, ing/in and so on."""
    groups: dict[str, str] = {}
    for syllable, characters in _sounds()[1].items():
        groups[_fold(syllable)] = groups.get(_fold(syllable), "") + characters
    return {sound: frozenset(characters) for sound, characters in groups.items()}


def _fold(syllable: str) -> str:
    syllable = re.sub("^([zcs])h", r"\1", re.sub("^n", "l", syllable))
    return re.sub("(in|en|an)g$", r"\1", syllable)


@functools.cache
def _lookalikes() -> dict[str, frozenset[str]]:
    groups: list[str] = json.loads(LOOKALIKES_FILE.read_text("utf-8"))
    found: dict[str, frozenset[str]] = {}
    for group in groups:
        for character in group:
            found[character] = found.get(character, frozenset()) | set(group) - {character}
    return found


_NAMED_BY = re.compile("集团|公司|银行|大学|学院|医院|片区|[省市县区州镇乡村港]")
_NUMERALS = frozenset("零〇一二两三四五六七八九十百千万亿")
# Too common, by themselves, to be taken for a typo or to be what was meant.
_LIGHT = frozenset("不没会能可要应将以到去来至上下中内外里前后时间当每各称") | {
    word for word in STOP_WORDS | QUESTION_WORDS if len(word) == 1
}
_OFTEN_A_WORD = 22_000  # in the dictionary's count; 钢 and 圆 are below, 时 and 段 above
_SAME_SOUND, _SAME_SHAPE, _NEAR_SOUND = 0, 1, 2


@functools.lru_cache(maxsize=4096)
def _confusable(character: str) -> dict[str, int]:
    """What may be meant by a character, with how far it is from it: sound, shape, near sound."""
    readings, characters = _sounds()
    syllables = readings.get(character, frozenset())
    found = {c: _NEAR_SOUND for s in syllables for c in _folded()[_fold(s)]}
    found.update(dict.fromkeys(_lookalikes().get(character, ()), _SAME_SHAPE))
    found.update({c: _SAME_SOUND for s in syllables for c in characters[s]})
    found.pop(character, None)
    return found


# Reading.


@dataclass(frozen=True, slots=True)
class _Change:
    """Characters `new` for those of `text` from `start` to `end`."""

    start: int
    end: int
    new: str
    distance: int  # smaller is likelier

    def apply(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]


class _Reader:
    """Mends texts towards what one generation holds."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    @property
    def _dictionary(self) -> Any:
        """The generation's own jieba, loaded on first use: where a word is unknown."""
        return self._generation.tokenizer.dictionary()

    def read(self, text: str) -> str:
        """The text mended."""
        return self._with_digits(self._without_typos(self._without_pinyin(text)))

    def _knows(self, pair: str) -> bool:
        return self._generation.bigrams.document_frequency(pair) > 0

    def _is_word(self, text: str) -> bool:
        return self._generation.words.document_frequency(text) > 0

    def _without_typos(self, text: str) -> str:
        plain = _aligned(text)
        protected: list[bool] | None = None
        for start, end in islice(self._unknown_runs(plain), _RUNS_MENDED):
            # The dictionary is asked only where there is something to mend.
            protected = protected or self._protected(plain)
            if all(protected[start:end]):
                continue
            change = self._mended(plain, start, end, protected)
            if change:
                text, plain = change.apply(text), change.apply(plain)
        return text

    def _unknown_runs(self, text: str) -> Iterator[tuple[int, int]]:
        """Longest runs of Han characters that stand in no known pair."""
        for han in _HAN.finditer(text):
            known = [False] * (len(han[0]) + 1)
            for i in range(len(han[0]) - 1):
                if self._knows(han[0][i : i + 2]):
                    known[i] = known[i + 1] = True
            start = None
            for i in range(len(han[0]) + 1):
                inside = i < len(han[0]) and not known[i]
                if inside and start is None:
                    start = i
                elif not inside and start is not None:
                    yield han.start() + start, han.start() + i
                    start = None

    def _protected(self, text: str) -> list[bool]:
        """Which characters belong to a word of the dictionary or a listed place."""
        kept = [False] * len(text)
        for start, end in self._segments(text):
            kept[start:end] = [end - start > 1] * (end - start)
        for place in PLACE.finditer(text):
            kept[place.start() : place.end()] = [True] * len(place[0])
        return kept

    def _segments(self, text: str) -> Iterator[tuple[int, int]]:
        """Bounds of the dictionary's words and of the characters between them."""
        start = 0
        # Without HMM: its guesses at unknown words would protect the typos.
        for word in self._dictionary.cut(text, HMM=False):
            yield start, start + len(word)
            start += len(word)

    def _mended(self, text: str, start: int, end: int, protected: list[bool]) -> _Change | None:
        """The change of one or two characters between start and end that makes most sense."""
        places = [i for i in range(start, end) if not protected[i] and text[i] not in _NUMERALS]
        changes = [c for i in places for c in self._single(text, i)]
        if not changes and len(places) <= _DOUBLE:
            changes = [c for i in places if i + 1 in places for c in self._double(text, i)]
        changes.sort(key=lambda change: (change.distance, -self._reach(text, change)))
        weighed = []
        for change in changes[:_TRIED]:
            explained = self._explained(text, change, start, end)
            if weight := self._weight(text, change, whole=explained == end - start):
                weighed.append((explained, weight, -change.distance, change))
        best = max(weighed, key=lambda entry: entry[:3], default=None)
        return best[3] if best else None

    def _explained(self, text: str, change: _Change, start: int, end: int) -> int:
        """How many of the unknown characters between start and end belong to a known run then."""
        low, high = self._known_around(change.apply(text), change.start, len(change.new))
        return min(high, end) - max(low, start)

    def _single(self, text: str, i: int) -> Iterator[_Change]:
        for new, distance in _confusable(text[i]).items():
            if self._knows(text[i - 1 : i] + new) or self._knows(new + text[i + 1 : i + 2]):
                yield _Change(i, i + 1, new, distance)

    def _double(self, text: str, i: int) -> Iterator[_Change]:
        """Both characters of one sound each; anything wider would find a pair for every two."""
        first, second = (
            [new for new, distance in _confusable(c).items() if distance == _SAME_SOUND]
            for c in text[i : i + 2]
        )
        for one in first:
            for other in second:
                if self._knows(one + other):
                    yield _Change(i, i + 2, one + other, _SAME_SOUND)

    def _reach(self, text: str, change: _Change) -> int:
        """Characters around the change that hang together by known pairs."""
        start, end = self._known_around(change.apply(text), change.start, len(change.new))
        return end - start

    def _known_around(self, text: str, start: int, length: int) -> tuple[int, int]:
        end = start + length
        while start > 0 and end - start < _WINDOW and self._knows(text[start - 1 : start + 1]):
            start -= 1
        while end < len(text) and end - start < _WINDOW and self._knows(text[end - 1 : end + 1]):
            end += 1
        return start, end

    def _weight(self, text: str, change: _Change, *, whole: bool) -> int:
        """How long a run of the changed text stands in a document; 0 where that is too little.

        Args:
            text: before the change.
            change: what is tried.
            whole: whether it leaves nothing unknown around it.
        """
        changed = change.apply(text)
        size = len(change.new)
        low, high = self._verbatim(changed, change.start, size)
        low, high = self._whole_words(text, low, high)
        kept = sum(c not in _LIGHT for c in changed[low:high]) - size
        typed = text[change.start : change.end]
        if any(c in _LIGHT for c in typed):
            # 和 or 几 is seldom a typo: the run must go on at both sides.
            enough = kept >= 3 and low < change.start and high > change.end
        elif kept >= 3:
            enough = True
        else:
            enough = (
                whole
                and kept >= 1
                and change.distance < _NEAR_SOUND
                and all(self._is_rare(c) for c in typed)
                and self._makes_a_word(changed, change, low, high)
            )
        return high - low if enough and not any(c in _LIGHT for c in change.new) else 0

    def _whole_words(self, text: str, low: int, high: int) -> tuple[int, int]:
        """[low, high) without the halves of words at its ends: of 按照顾 none of 按照 counts."""
        for start, end in self._segments(text):
            if start < low < end:
                low = end
            if start < high < end:
                high = start
        return low, high

    def _is_rare(self, character: str) -> bool:
        """Whether the character is seldom a word by itself, so that it is likely a typo."""
        return int(self._dictionary.FREQ.get(character, 0)) < _OFTEN_A_WORD

    def _makes_a_word(self, text: str, change: _Change, low: int, high: int) -> bool:
        """Whether the change completes a word inside [low, high) that stands in a document."""
        # 甲乙集团 sounding like 甲已 is another company unless a document has 集团 with it.
        if _NAMED_BY.match(text, high):
            return False
        around = text[max(0, low - 1) : low] + text[high : high + 1]
        if high - low < 3 and any(c not in _LIGHT and _HAN.match(c) for c in around):
            return False
        return any(
            start <= change.start < change.end <= end
            and low <= start
            and end <= high
            and end - start > change.end - change.start
            and self._is_word(text[start:end])
            and text[start] not in _NUMERALS
            for start, end in self._segments(text)
        )

    def _verbatim(self, text: str, start: int, length: int) -> tuple[int, int]:
        """Bounds of the longest piece of text around the given one that a document holds."""
        left, right = self._known_around(text, start, length)
        best = (start, start)
        for document in self._passages(text[left:right]):
            low, high = start, start + length
            if text[low:high] not in document:
                continue
            low, high = _grown(text, low, high, (left, right), document)
            best = max(best, (low, high), key=lambda bounds: bounds[1] - bounds[0])
        return best

    def _passages(self, text: str) -> list[str]:
        tokens = self._generation.tokenizer.bigrams(text)
        found = self._generation.bigrams.search(tokens, _PASSAGES)
        passages = self._generation.table.passages([chunk_id for chunk_id, _ in found])
        return [normalize(passage.chunk.search_text) for passage in passages]

    def _stands(self, text: str) -> bool:
        return any(text in passage for passage in self._passages(text))

    # Pinyin.

    def _without_pinyin(self, text: str) -> str:
        """自贸区 for zi mao qu or zimaoqu, where that stands in a document."""
        return _LATIN.sub(lambda match: self._written(match), text)

    def _written(self, match: re.Match[str]) -> str:
        """The characters for a run of Latin words, or the run as it is."""
        words = match[0].split(" ")
        done: list[str] = []
        i = 0
        while i < len(words):
            for j in range(min(len(words), i + _SYLLABLES), i, -1):
                typed = words[i:j]
                if new := self._heard(typed, match.string[: match.start()]):
                    done.append(new)
                    i = j
                    break
            else:
                done.append(words[i])
                i += 1
        return _joined(done)

    def _heard(self, typed: list[str], before: str) -> str | None:
        """The term that sounds like the words together; None if one of them means something."""
        typed = [word.lower() for word in typed]
        if any(word in _ENGLISH for word in typed):
            return None
        if any(self._is_word(word) or self._knows(word) for word in typed):
            return None
        joined = "".join(typed)
        if joined in _ASKING_PINYIN:
            return _ASKING_PINYIN[joined]
        terms = [term for syllables in _syllables(typed) for term in self._terms(syllables)]
        terms = [term for term in terms if self._is_word(term) or len(term) > 2]
        terms = sorted(terms, key=self._frequency, reverse=True)[:_TRIED]
        standing = [term for term in terms if self._stands(term)]
        fitting = [
            term for term in standing if self._knows(_aligned(before.rstrip())[-1:] + term[0])
        ]
        return next(iter(fitting or standing), None)

    def _frequency(self, term: str) -> tuple[int, int]:
        pairs = self._generation.tokenizer.bigrams(term)
        return (
            self._generation.words.document_frequency(term),
            min(self._generation.bigrams.document_frequency(pair) for pair in pairs),
        )

    def _terms(self, syllables: list[str]) -> list[str]:
        """Runs of known pairs with these syllables; for one syllable there are none."""
        characters = _sounds()[1]
        if len(syllables) < 2:
            return []
        runs = list(characters.get(syllables[0], ""))
        for syllable in syllables[1:]:
            longer = (
                run + new
                for run in runs
                for new in characters.get(syllable, "")
                if self._knows(run[-1] + new)
            )
            runs = list(islice(longer, _RUNS))
        return runs

    # Numerals.

    def _with_digits(self, text: str) -> str:
        """一百零九项 -> 109项 where the documents write it so and not as typed."""

        def digits(match: re.Match[str]) -> str:
            if ONE_NUMERAL.fullmatch(match[0]):
                return match[0]
            spelled = spelled_numbers(match[0])
            if spelled == match[0] or self._stands(normalize(match[0])):
                return match[0]
            return spelled if self._stands(normalize(spelled)) else match[0]

        return COUNT.sub(digits, text)


def _aligned(text: str) -> str:
    """The text in matching form, character by character, so that places stay what they are."""
    whole = normalize(text)
    if len(whole) == len(text):
        return whole
    return "".join(new if len(new := normalize(c)) == 1 else c for c in text)


def _grown(
    text: str, low: int, high: int, bounds: tuple[int, int], document: str
) -> tuple[int, int]:
    """[low, high) widened within the bounds as long as the document holds the piece."""
    left, right = bounds
    while low > left and text[low - 1 : high] in document:
        low -= 1
    while high < right and text[low : high + 1] in document:
        high += 1
    return low, high


_LATIN = re.compile(r"(?<![A-Za-z0-9+&.])[A-Za-z][a-z]*(?: [A-Za-z][a-z]*)*(?![A-Za-z0-9+&.])")
_SYLLABLES = 8  # of one term in pinyin
_RUNS = 2000  # kept while a term in pinyin is put together
_ASKING_PINYIN = {
    "duoshao": "多少",
    "shenme": "什么",
    "sheme": "什么",
    "shei": "谁",
    "nali": "哪里",
    "naxie": "哪些",
    "najia": "哪家",
    "zenme": "怎么",
    "zenyang": "怎样",
    "weishenme": "为什么",
    "ji ge": "几个",
    "jige": "几个",
}
# English words that happen to be syllables.
_ENGLISH = frozenset(
    [
        *("a", "an", "can", "change", "china", "dance", "dare", "die", "fan", "game", "gene"),
        *("guide", "he", "huge", "image", "line", "long", "machine", "made", "man", "me", "menu"),
        *("mine", "nine", "none", "one", "online", "pan", "pang", "panda", "rang", "rule", "sang"),
        *("she", "shine", "sun", "tang", "tone", "tune", "use", "wang", "wen", "women", "you"),
    ]
)


def _syllables(words: list[str]) -> list[list[str]]:
    """All ways to read the words as pinyin; none where one of them is no pinyin."""
    readings: list[list[str]] = [[]]
    for word in words:
        readings = [done + more for done in readings for more in _cut(word)]
    return [reading for reading in readings if len(reading) <= _SYLLABLES]


def _cut(word: str) -> list[list[str]]:
    """Ways to read a word: xian as [xian] or [xi, an]; fewest syllables first."""
    known = _sounds()[1]
    word = word.replace("v", "u")
    ends: list[list[list[str]]] = [[[]], *([] for _ in word)]
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 6), end):
            if word[start:end] in known:
                ends[end].extend([*cut, word[start:end]] for cut in ends[start])
        ends[end] = sorted(ends[end], key=len)[:_TRIED]
    return ends[-1]


def _joined(words: list[str]) -> str:
    """With a blank only between two Latin words."""
    text = ""
    for word in words:
        latin = bool(text) and text[-1].isascii() and word[:1].isascii()
        text += (" " if latin else "") + word
    return text
