"""Questions that compare two things: text -> the question about each of them.

Only the forms in which both things and what is compared stand plainly; any other comparison stays
one question and is answered by the sentences that make it themselves.
"""

from __future__ import annotations

import re

_AND = r"(?:和|与|跟|同|以及)"
_MORE = r"(?:更?[多少大高低小长短快慢]|增加|减少)(?:了|出)?"
_TAIL = r"[？?。！!\s]*$"
# 从开工到通车用了多少年
_SPAN_OF_YEARS = re.compile(
    rf"^从(?P<first>[^，。]{{2,}}?)到(?P<second>[^，。]{{2,}}?)"
    rf"(?:[，,](?P<who>[^，。]{{2,}}?))?(?:一共|总共|前后|间隔|相隔|历时|等|用|花|过|经过|经历|隔)了?"
    rf"(?:多少|几)年(?:时间)?{_TAIL}"
)
# 甲和乙的面积相差多少; 甲和乙哪个面积更大; 甲的面积比乙(的面积)大多少; 甲比乙多几个项目
_FORMS = (
    re.compile(
        rf"^(?P<first>[^，。]{{2,}}?){_AND}(?P<second>[^，。]{{2,}}?)的(?P<what>[^的，。]{{2,}}?)"
        rf"(?:相差|差距?[有是]?|差别[有是]?)(?:多少|了?几)(?P<unit>[^？?，。]{{0,8}}){_TAIL}"
    ),
    re.compile(
        rf"^(?P<first>[^，。]{{2,}}?){_AND}(?P<second>[^，。]{{2,}}?)(?:相比)?[，,]?"
        rf"(?:谁|哪一?[个家座项])的?(?P<what>[^更，。]{{2,}}?)(?:更|比较)[大小高低多少长短快慢]{_TAIL}"
    ),
    re.compile(
        rf"^(?P<first>[^，。]{{2,}}?)的(?P<what>[^的，。]{{2,}}?)比(?P<second>[^，。]{{2,}}?)"
        rf"(?:的(?P=what))?{_MORE}(?:多少|几)(?P<unit>[^？?，。]{{0,8}}){_TAIL}"
    ),
    re.compile(
        rf"^(?P<first>[^，。]{{2,}}?)比(?P<second>[^，。]{{2,}}?){_MORE}"
        rf"(?P<count>(?:多少|几)[^？?，。]{{2,12}}){_TAIL}"
    ),
)


def compared(text: str) -> list[str]:
    """The question about either side of a comparison; just `text` where its form is not known.

    Example: 甲园的面积比乙园大多少？ -> 甲园的面积是多少？, 乙园的面积是多少？; 从开工到通车用了
    多少年？ -> 开工是哪一年？, 通车是哪一年？.
    """
    if match := _SPAN_OF_YEARS.match(text.strip()):
        who = match["who"] or ""
        return [f"{who}{side}是哪一年？" for side in (match["first"], match["second"])]
    for form in _FORMS:
        if match := form.match(text.strip()):
            found = match.groupdict()
            sides = (found["first"], found["second"])
            if found.get("count"):
                return [f"{side}有{found['count']}？" for side in sides]
            return [f"{side}的{found['what']}是多少{found.get('unit') or ''}？" for side in sides]
    return [text]
