"""The tokenizer of XLM-R and its cut to what Chinese text needs: pieces -> Tokenizer.

A unigram tokenizer picks the best-scored path through the pieces. Removing pieces that the best
path does not use leaves that path the best, so a text keeps its tokens as long as all of them are
kept; a character whose every piece fell out becomes `<unk>`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer
from tokenizers.models import Unigram
from tokenizers.normalizers import NFKC, Nmt, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

BEGIN, PAD, END, UNKNOWN, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
SPECIAL = (BEGIN, PAD, END, UNKNOWN, MASK)  # ids 0 to 3, and the last
META = "▁"  # stands for a space
# With abbreviations and short pieces, 92 % of the Latin tokens of Chinese news, which are 0.6 % of
# all tokens; the other words split into shorter pieces.
LATIN_PIECES = 12_000
SHORT_LETTERS = 3
# A non-character, reserved for internal use, so no text can contain it by right.
_STAND_IN = "\ufdd0"
# Scripts that Chinese text quotes by the letter: names of variables, sounds, people.
_QUOTED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "HIRAGANA", "KATAKANA", "BOPOMOFO")


@dataclass(frozen=True)
class TokenComparison:
    """How far two tokenizers agree on a collection of texts."""

    texts: int
    identical: int
    tokens: int  # of the first tokenizer
    missing_tokens: int  # of the first tokenizer, unknown to the second
    missing: tuple[tuple[str, int], ...]  # pieces and their counts, most frequent first


def build_tokenizer(pieces: Sequence[str], scores: NDArray[np.float32]) -> Tokenizer:
    """Unigram tokenizer that normalises and splits as XLM-R does.

    Its character map is NFKC with SentencePiece's treatment of control characters, except that
    the full-width tilde stays: common in Chinese ranges (10～20), and a token of its own.
    """
    ids = {piece: pieces.index(piece) for piece in SPECIAL}
    vocabulary = [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)]
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=ids[UNKNOWN]))
    tokenizer.normalizer = Normalizers(
        [
            Replace("～", _STAND_IN),
            Nmt(),
            NFKC(),
            Replace(_STAND_IN, "～"),
            Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = Metaspace(replacement=META, prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        pair=f"{BEGIN} $A {END} {END} $B {END}",
        special_tokens=[(BEGIN, ids[BEGIN]), (END, ids[END])],
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def cut_vocabulary(
    pieces: Sequence[str],
    scores: NDArray[np.float32],
    latin_pieces: Iterable[str],
    required: Iterable[str],
) -> list[int]:
    """Ids of the pieces to keep, rising.

    Kept are the special tokens; the `required` pieces; every piece of Chinese characters, with or
    without digits, ASCII or symbols; every piece of digits, punctuation and symbols; single letters
    of the scripts that Chinese text quotes; ASCII abbreviations (capitals) and pieces of up to
    SHORT_LETTERS letters; and the LATIN_PIECES best-scored ASCII words and parts of words among
    `latin_pieces`.
    """
    latin, named = set(latin_pieces), {*SPECIAL, *required}
    ranked = sorted(
        (i for i, piece in enumerate(pieces) if is_ascii_word(piece) and piece in latin),
        key=lambda i: (-float(scores[i]), i),
    )
    always = (i for i, piece in enumerate(pieces) if piece in named or _is_needed(piece))
    return sorted({*ranked[:LATIN_PIECES], *always})


def compare_tokens(first: Tokenizer, second: Tokenizer, texts: Sequence[str]) -> TokenComparison:
    """Tokenise every text with both and count where the tokens are the same."""
    identical = 0
    tokens: Counter[str] = Counter()
    for text in texts:
        ours, theirs = _known_tokens(first, text), _known_tokens(second, text)
        identical += ours == theirs
        tokens.update(ours)
    known = second.get_vocab(with_added_tokens=True)
    missing = Counter({token: count for token, count in tokens.items() if token not in known})
    return TokenComparison(
        len(texts), identical, tokens.total(), missing.total(), tuple(missing.most_common())
    )


def _known_tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    """Tokens of a text; an encoding shows the text itself where the id is that of <unk>."""
    unknown = tokenizer.token_to_id(UNKNOWN)
    encoding = tokenizer.encode(text)
    return [
        UNKNOWN if number == unknown else token
        for token, number in zip(encoding.tokens, encoding.ids, strict=True)
    ]


def is_han(character: str) -> bool:
    """Whether it is a Chinese character, the iteration mark and the zero included."""
    return character in "々〇〆" or unicodedata.name(character, "").startswith(
        ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")
    )


def is_ascii_word(piece: str) -> bool:
    """Whether it is ASCII with a letter in it: a word, a part of one, an abbreviation."""
    letters = piece.replace(META, "")
    return letters.isascii() and any(map(str.isalpha, letters))


def _is_needed(piece: str) -> bool:
    letters = piece.replace(META, "")
    if is_ascii_word(piece):
        return letters.isupper() or len(letters) <= SHORT_LETTERS
    if len(letters) == 1 and unicodedata.name(letters, "").startswith(_QUOTED_SCRIPTS):
        return True
    has_han = any(map(is_han, letters))
    return all(is_han(c) or _is_symbol(c) or (has_han and c.isascii()) for c in letters)


def _is_symbol(character: str) -> bool:
    """Digits, punctuation, signs, spaces, format characters: all but letters and marks."""
    return not unicodedata.category(character).startswith(("L", "M"))
