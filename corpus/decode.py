"""Bytes of a text file to characters, or a refusal: never silently wrong characters.

Order of evidence: byte-order mark, NUL bytes (UTF-16), strict UTF-8, then how plausible the text is
as Chinese in GB18030, Big5 and UTF-16. Line ends stay as they are.
"""

from __future__ import annotations

import codecs
from functools import cache
from typing import NamedTuple

from errors import UnreadableDocumentError

# Right decodings of news score above 0.97, wrong ones below 0.75.
_MIN_PLAUSIBLE = 0.85
_SAMPLE_CHARS = 20_000
_MAX_DAMAGE = 0.002  # share of undecodable bytes in a file that is otherwise UTF-8
_MAX_CONTROL = 0.002
_LEGACY = ("gb18030", "big5", "big5hkscs", "utf-16-le", "utf-16-be")
# Korean and other bytes also give common characters, but not the most frequent ones.
_FREQUENT = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下"
    "过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两"
    "這為個國時來們會發動過說產種後學經進電裡實兩於對與"
)
_MIN_FREQUENT = 0.05  # news has 0.25 to 0.40
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Decoded(NamedTuple):
    """Text without its byte-order mark, and what the operator should know."""

    text: str
    warnings: tuple[str, ...] = ()


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """Decode a text file.

    Args:
        data: the file's bytes.
        declared: encoding that the document names itself (HTML); used if it fits strictly.

    Raises:
        UnreadableDocumentError: binary, or in an encoding that cannot be told.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _checked(_strictly(data[len(mark) :], encoding), ())
    if b"\0" in data:
        return _checked(_most_plausible(data, ("utf-16-le", "utf-16-be")), ())
    for candidate in ("utf-8", declared):
        if candidate and (text := _attempt(data, candidate)) is not None:
            return _checked(text, ())
    damaged = _nearly_utf8(data)
    if damaged is not None:
        return damaged
    return _checked(_most_plausible(data, _LEGACY), ())


def _attempt(data: bytes, encoding: str) -> str | None:
    """The text, or None if the bytes do not fit or the encoding has no known name."""
    known = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}
    try:
        return data.decode(known.get(encoding.lower(), encoding))
    except (UnicodeDecodeError, LookupError):
        return None


def _strictly(data: bytes, encoding: str) -> str:
    text = _attempt(data, encoding)
    if text is None:
        raise UnreadableDocumentError(
            f"does not match its byte-order mark ({encoding})", "内容与编码标记不符，可能已损坏"
        )
    return text


def _nearly_utf8(data: bytes) -> Decoded | None:
    """UTF-8 with a few damaged places, such as a download cut inside a character."""
    text = data.decode("utf-8", errors="replace")
    damage = text.count("\ufffd")
    han = len(data) - len(text)
    if han < 2 * damage or damage > max(1, _MAX_DAMAGE * len(data)):
        return None
    if plausibility(text) < _MIN_PLAUSIBLE and damage > 1:
        return None
    return _checked(text, (f"有 {damage} 处字节损坏，显示为 \ufffd",))


def _most_plausible(data: bytes, encodings: tuple[str, ...]) -> str:
    texts = [text for encoding in encodings if (text := _attempt(data, encoding)) is not None]
    best = max(texts, key=plausibility, default="")
    if not best or plausibility(best) < _MIN_PLAUSIBLE or _is_unlike_chinese(best):
        raise UnreadableDocumentError(
            "binary, or in an unknown encoding", "不是文本，或编码无法识别，请另存为 UTF-8"
        )
    return best


def _is_unlike_chinese(text: str) -> bool:
    """Whether a text long enough to judge lacks the characters every Chinese text is full of."""
    han = [char for char in text[:_SAMPLE_CHARS] if "\u4e00" <= char <= "\u9fff"]
    return len(han) > 100 and sum(char in _FREQUENT for char in han) < _MIN_FREQUENT * len(han)


def _checked(text: str, warnings: tuple[str, ...]) -> Decoded:
    """Refuse text that control characters betray as binary."""
    control = sum(text.count(chr(code)) for code in (*range(9), *range(14, 28), 127))
    if "\0" in text or control > max(3, _MAX_CONTROL * len(text)):
        raise UnreadableDocumentError("control characters: binary", "不是文本（含有二进制内容）")
    if control:
        warnings = (*warnings, f"含有 {control} 个控制字符")
    return Decoded(text, warnings)


def plausibility(text: str) -> float:
    """How much a text looks like everyday Chinese: mean over its non-ASCII characters, 0 to 1.

    A common character counts 1, a rare one 0.3, anything foreign to Chinese text 0. A text of ASCII
    alone counts 1.
    """
    sample = text[:_SAMPLE_CHARS]
    others = [char for char in sample if char > "\x7f"]
    if not others:
        return 1.0
    common = _common_characters()
    return sum(_weight(char, common) for char in others) / len(others)


def _weight(char: str, common: frozenset[str]) -> float:
    if char in common:
        return 1.0
    return 0.3 if "\u4e00" <= char <= "\u9fff" else 0.0


@cache
def _common_characters() -> frozenset[str]:
    """First levels of GB 2312 (3,755) and Big5 (5,401), and punctuation."""
    simplified = (bytes((high, low)) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF))
    traditional = (
        bytes((high, low))
        for high in range(0xA4, 0xC7)
        for low in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    )
    characters = {pair.decode("gb2312", "ignore") for pair in simplified}
    characters |= {pair.decode("big5", "ignore") for pair in traditional}
    punctuation = "　、。·ˉ—～…‘’“”〔〕〈〉《》「」『』【】〖〗！（），．：；？％＋－／"
    marks = "①②③④⑤⑥⑦⑧⑨⑩℃°×±§®©™\xa0▲●■★◆"
    fullwidth = {chr(code) for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF5B))}
    return frozenset(characters - {""}) | set(punctuation + marks) | fullwidth
