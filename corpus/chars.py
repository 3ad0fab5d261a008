"""Character classes and line marks that several stages of the corpus share.

Strings named in capitals without a verb are bodies of regular-expression classes: f"[{HAN}]".
"""

from __future__ import annotations

import re

HAN = "〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = "A-Za-z0-9\u00c0-\u024f\u0370-\u04ff\uac00-\ud7af"  # scripts that set spaces between words
FINAL = "。！？!?…"
OPENERS = "“‘「『（(【《〈［"
CLOSERS = "”’」』）)】》〉］"

# ① is the usual sign of a picture in a newspaper, and of a list item elsewhere.
CIRCLED = "①-⑳"
_NUMERAL = "一二三四五六七八九十百"

BULLET = re.compile(r"[-*+•●■◆▪►▶]\s|[•●■◆▪►▶]")
NUMBERED = re.compile(
    rf"[{_NUMERAL}]{{1,3}}[、．]|[（(][{_NUMERAL}\d]{{1,3}}[)）]|第[{_NUMERAL}\d]{{1,4}}[章节条编部]"
    r"|\d{1,2}(?:\.\d{1,2}){0,3}[.、．]?\s*(?=[^\d\s.,%年月日时分秒亿万余多])"
)
MARKDOWN_HEADING = re.compile(r"(#{1,6})\s+(?=\S)")
PICTURE_MARK = re.compile(rf"[{CIRCLED}]|图\s?[\d{CIRCLED}{_NUMERAL}]|图为|图片说明|[▲△▼]")
SUBTITLE_MARK = re.compile(r"(?:——|──|―{1,2}|--)\s*(?=\S)")

# "…。曾诗怡 摄", "长沙经开区管委会供图", "(企业供图)", "（资料图）"
CREDIT_END = re.compile(
    rf"(?:(?:^|[。！？\s（(/／：:]|记者|作者)[{HAN}·\s、/／]{{2,16}}(?:摄影|摄)|[{HAN}]{{2,20}}(?:供图|制图)"
    r"|[（(](?:资料|视频截|示意|效果|无人机)[图照]片?)\s*[）)]?[。]?$"
)


def ends_sentence(text: str) -> bool:
    """Whether the last visible character closes a sentence, a quotation or a picture credit."""
    bare = text.rstrip(CLOSERS + "\"'")
    if not bare:
        return False
    if bare[-1] in FINAL:
        return True
    if bare[-1] == ".":
        return len(bare) > 1 and bare[-2].isalpha()
    return bare[-1] in "摄影图照片完" and is_credited(text)


def is_credited(text: str) -> bool:
    """Whether the line ends like the credit of a picture, or with （完）."""
    return bool(CREDIT_END.search(text)) or text.endswith(("（完）", "(完)"))


def width(text: str) -> float:
    """Printed width in full-width characters; spaces count nothing: justification sets them."""
    ascii_count = len(text.encode("ascii", "ignore"))
    return len(text) - ascii_count + (ascii_count - text.count(" ")) / 2
