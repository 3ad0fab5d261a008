"""Text in, tokens for BM25 out: words and character bigrams of the normalised text.

Index and question must be cut by the same code, the same dictionary and the same corpus terms;
hence a WordTokenizer belongs to one index generation. Nothing here is ever shown to a reader.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import stat
import sys
import threading
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import opencc
import platformdirs

from index.segment import Segmenter

with warnings.catch_warnings():
    # jieba imports pkg_resources where it exists, and that announces its own removal.
    warnings.simplefilter("ignore")
    import jieba  # type: ignore[import-untyped]

# jieba reports its start, and a cache it cannot write, on standard error; neither is an error here.
jieba.setLogLevel(logging.CRITICAL)

_FUNCTION_WORDS = """
的 地 得 了 着 过 在 是 和 与 及 以及 或 或者 等 等等 也 都 就 还 又 而 而且 但 但是 并 并且 且
把 被 从 自 向 对 对于 关于 将 为 为了 以 于 由 由于 因 因为 所以 之 其 这 那 这个 那个 这些 那些
此 该 他 她 它 他们 她们 它们 我 我们 你 你们 您 个 一个 有 让 给 跟 同 则 却 所 者
"""
_ASKING_WORDS = """
什么 甚么 啥 多少 几 几个 哪 哪些 哪个 哪里 哪儿 哪家 哪位 哪年 谁 怎么 怎样 怎么样 如何 为什么
为何 何 何时 何地 何处 何人 多久 多大 多长 多高 多远 是否 是不是 有没有 吗 呢 吧 呀 啊 么
请问 请 问 一下 告诉
"""
# Function words only: 安全, 规定 or 促进 look common, but they are what people ask about.
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
# A text seldom holds words that ask, so BM25 would rate the few that do far too high.
QUESTION_WORDS = frozenset(_ASKING_WORDS.split())

_NOT_COUNTED = STOP_WORDS | QUESTION_WORDS

_REMEMBERED = 4096  # pieces, a megabyte of them
CUT_VERSION = 1  # raise it when the same text and terms are cut otherwise: stored tokens are void
MAX_TERMS = 5000  # jieba takes 50 µs for each when a generation is opened
_MAX_TERM_CHARS = 8  # a longer word hides the four-character words inside it

_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# No word crosses a stop, and jieba's time grows with the square of a run without any.
_PIECE = re.compile(r"[^，。；！？、\s]{1,500}")
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_RUN = re.compile(rf"([{_HAN}]+)|(?:(?![{_HAN}])[^\W_])+(?:\.\d+)*%?")
_HAS_HAN = re.compile(rf"[{_HAN}]")
_INSIDE = rf"([{_HAN}a-z0-9]{{2,{_MAX_TERM_CHARS}}})"
_BOOK_TITLE = re.compile(rf"《{_INSIDE}》")
_QUOTED = re.compile(rf"[“「『]{_INSIDE}[”」』]")
_ORGANISATION = re.compile(
    "股份有限公司|有限责任公司|有限公司|集团公司|公司|集团|银行|研究院|研究所|协会|大学"
)
_NAME_BEFORE = re.compile(rf"[{_HAN}a-z0-9]{{2,{_MAX_TERM_CHARS}}}$")
_NEVER_IN_A_NAME = re.compile("[的了在是和与及或由向对从被把将给让等]")


@functools.cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def normalize(text: str) -> str:
    """The form in which texts are compared; it need not have the length of `text`.

    Compatibility forms are unified (full-width letters and digits, ①, ㎡), traditional characters
    become simplified, letters lower case, and 1,234 becomes 1234. Chinese numerals stay as they
    are. For matching only: never show or quote the result. Doing it twice changes nothing.
    """
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    # The Chinese comma stays: as a plain one it would join 3，200 to a single number.
    text = "，".join(unicodedata.normalize("NFKC", piece) for piece in text.split("，"))
    # JSON can carry half a surrogate pair; OpenCC takes UTF-8, which cannot.
    text = text.encode("utf-8", "replace").decode("utf-8")
    simplified: str = _simplifier().convert(text)
    return simplified.lower()


def simplified(text: str) -> str:
    """`text` in simplified characters, as long as it was, so that offsets stay.

    A character that would become two, or a phrase that would change its length, is converted by
    itself or stays.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # as in normalize
    whole: str = _simplifier().convert(text)
    if len(whole) == len(text):
        return whole
    return "".join(
        new if len(new := _simplifier().convert(character)) == 1 else character
        for character in text
    )


def learn_terms(texts: Iterable[str]) -> list[str]:
    """Terms of a corpus that a general dictionary may not hold, most frequent first.

    Taken are titles in 《》, expressions in quotation marks and names of organisations, each of
    two to eight characters plus the organisation's suffix; the latter two must occur twice, since
    quotation marks also hold speech and the start of a name shows only by repetition.

    Returns:
        At most MAX_TERMS normalised terms; the same texts give the same list in any order.
    """
    titles: Counter[str] = Counter()
    quoted: Counter[str] = Counter()
    organisations: Counter[str] = Counter()
    for text in texts:
        normal = normalize(text)
        titles.update(_BOOK_TITLE.findall(normal))
        quoted.update(_QUOTED.findall(normal))
        organisations.update(_possible_organisations(normal))
    counts = Counter({term: count for term, count in quoted.items() if count > 1})
    counts.update(_whole_names(organisations))
    counts.update(titles)
    found = ((term, count) for term, count in counts.items() if _HAS_HAN.search(term))
    ranked = sorted(found, key=lambda pair: (-pair[1], pair[0]))
    return [term for term, _ in ranked[:MAX_TERMS]]


def _possible_organisations(text: str) -> Iterator[str]:
    """Every reading of where an organisation's name may start: 由新锦集团 -> 新锦集团, ..."""
    for suffix in _ORGANISATION.finditer(text):
        window = text[max(0, suffix.start() - _MAX_TERM_CHARS) : suffix.start()]
        run = _NAME_BEFORE.search(_NEVER_IN_A_NAME.split(window)[-1])
        if run:
            for start in range(len(run[0]) - 1):
                yield run[0][start:] + suffix[0]


def _whole_names(readings: Counter[str]) -> dict[str, int]:
    """Readings seen twice that no longer reading explains equally often."""
    explained = {
        reading[1:] for reading, count in readings.items() if count == readings.get(reading[1:])
    }
    return {
        reading: count
        for reading, count in readings.items()
        if count > 1 and reading not in explained
    }


class WordTokenizer:
    """Cuts text into words and bigrams; safe to share between threads.

    Args:
        terms: words of the corpus to add to the dictionary, normalised, as learn_terms gives them.

    The dictionary is loaded on first use of `words` (about half a second).
    """

    def __init__(self, terms: Sequence[str] = ()) -> None:
        self.terms = tuple(terms)
        self._lock = threading.Lock()
        self._jieba: jieba.Tokenizer | None = None
        self._words_of: Callable[[str], tuple[str, ...]] | None = None

    def words(self, text: str) -> list[str]:
        """Words, and the shorter words inside long ones, in order of appearance.

        Without punctuation, STOP_WORDS and QUESTION_WORDS; empty if nothing else is there.
        """
        words_of = self._words_of or self._prepared()
        return [word for piece in _PIECE.findall(normalize(text)) for word in words_of(piece)]

    def bigrams(self, text: str) -> list[str]:
        """Pairs of neighbouring Chinese characters; other words and numbers whole.

        Example: "产值3.5亿元，增长6%" -> 产值, 3.5, 亿元, 增长, 6%. A single Chinese character
        between two other things stands for itself.
        """
        tokens: list[str] = []
        for run in _RUN.finditer(normalize(text)):
            han = run[1]
            if han is None or len(han) == 1:
                tokens.append(run[0])
            else:
                tokens.extend(han[i : i + 2] for i in range(len(han) - 1))
        return tokens

    def dictionary(self) -> jieba.Tokenizer:
        """Jieba with the terms of this corpus; only to be read, it is shared between threads."""
        with self._lock:
            if self._jieba is None:
                self._jieba = _tokenizer_with(self.terms)
            return self._jieba

    def _prepared(self) -> Callable[[str], tuple[str, ...]]:
        """What cuts a piece; neighbouring chunks share a title and many a phrase."""
        dictionary = self.dictionary()
        cut = Segmenter(dictionary.FREQ, dictionary.total).cut_for_search
        self._words_of = functools.lru_cache(_REMEMBERED)(
            lambda piece: tuple(word for word in cut(piece) if _counts(word))
        )
        return self._words_of


def _counts(word: str) -> bool:
    return word not in _NOT_COUNTED and (word.isalnum() or any(map(str.isalnum, word)))


def _tokenizer_with(terms: Sequence[str]) -> jieba.Tokenizer:
    tokenizer = jieba.Tokenizer()
    frequencies, total = _base_dictionary()
    # Without terms the shared dictionary is only read; add_word would write into it.
    tokenizer.FREQ = dict(frequencies) if terms else frequencies
    tokenizer.total = total
    tokenizer.initialized = True
    for term in terms:
        if not tokenizer.FREQ.get(term):
            tokenizer.add_word(term)
    return tokenizer


_base_lock = threading.Lock()


def _base_dictionary() -> tuple[dict[str, int], int]:
    """Jieba's own dictionary (word -> frequency, sum), loaded once for a process."""
    with _base_lock:
        return _load_base_dictionary()


@functools.cache
def _load_base_dictionary() -> tuple[dict[str, int], int]:
    tokenizer = jieba.Tokenizer()
    folder = private_cache_folder()
    if folder is None:
        frequencies, total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
        return frequencies, total
    tokenizer.tmp_dir = str(folder)
    # jieba never asks whether a cache fits its version, nor the marshal format of this Python.
    tokenizer.cache_file = f"jieba-{jieba.__version__}-{sys.implementation.cache_tag}.cache"
    tokenizer.initialize()
    return tokenizer.FREQ, tokenizer.total


def private_cache_folder() -> Path | None:
    """A folder that only this user can write to, or None if there cannot be one.

    jieba caches its dictionary with marshal, which must never be read from a place that others
    can write to; its default is a fixed name in the shared temporary folder.
    """
    folder = Path(platformdirs.user_cache_dir("wenju", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
        return None
    if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        return None
    return folder
