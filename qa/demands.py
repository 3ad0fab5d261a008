"""What a question demands of its evidence, and which of that the evidence does not meet.

A question and the evidence chosen for it go in; demands left unmet come out, each with one Chinese
clause that says why, and numbers between 0 and 1 for a learned confidence. Years, places,
organisations, persons, other names, actions and superlatives are compared by form and position;
nothing here reads meaning. Unmet is HARD only where that is nearly certain, since a false alarm
turns a right answer into a refusal; everything weaker is SOFT and shows in the features.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files

from index.protocols import Generation
from index.words import WordTokenizer, normalize
from qa.expressions import find_numbers, wanted_units
from qa.gazetteer import places_in
from qa.question import Kind, Question
from qa.ranker import Evidence


class DemandKind(StrEnum):
    """What sort of thing must stand in the evidence."""

    YEAR = "year"
    PLACE = "place"
    ORGANISATION = "organisation"
    PERSON = "person"
    NAME = "name"  # quoted, in Latin letters, or a term of the corpus
    ACTION = "action"
    SCOPE = "scope"  # what a superlative holds for: 全国首个
    UNIT = "unit"
    CREDIT = "credit"  # whose picture it is


class Severity(StrEnum):
    """How certain it is that the question cannot be answered from the evidence."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing that the evidence must meet."""

    kind: DemandKind
    text: str  # normalised, as in the question
    core: str = ""  # what tells it from others of its sort: 岳阳 of 岳阳片区
    suffix: str = ""  # its sort: 片区; empty for a bare name
    carried: bool = False  # from an earlier turn, not from the question itself
    listed: bool = False  # a name by the dictionary's word alone


@dataclass(frozen=True, slots=True)
class Unmet:
    """A demand that the evidence does not meet."""

    demand: Demand
    reason_zh: str  # one clause without a full stop
    severity: Severity


DEMAND_FEATURES = (
    "names_sentence",  # share of the demanded names that stand in the sentence; 1 without names
    "names_passage",  # in the passage, its title or heading
    "names_article",  # in the article
    "names_index",  # share whose character pairs the index knows
    "no_rival",  # share in whose place no other of the same sort stands
    "together",  # names that the question binds (甲与乙的…) stand in one passage
    "beside",  # share of the names in the clause of the value, or the last of their sort before it
    "year",  # 1 in the sentence or the article's own, 0.7 in the passage, 0.3 in the article
    "action",  # 1 named in the sentence, 0.7 in the passage, 0.3 in the article
    "not_contrary",  # 0 if the passage tells of the opposite only
    "scope",  # 1 met, 0.5 not said, 0 another scope
    "unit",  # 1 a number of the sentence has the unit asked for, 0.5 one of the passage
)
_NAMES = frozenset({DemandKind.PLACE, DemandKind.ORGANISATION, DemandKind.PERSON, DemandKind.NAME})

# ---------------------------------------------------------------- names

_HAN = "\u4e00-\u9fff"
# Suffixes of one line name the same sort of place or owner.
_PLACE_SORTS = """
自由贸易试验区 自贸试验区 自由贸易区 自贸区
自由贸易港 自贸港
片区
区块
经济技术开发区 经开区
高新技术产业开发区 高新区
开发区
综合保税区 综保区 保税区 保税港区
新区
产业园区 产业园 工业园区 工业园 科技园 园区 示范园 物流园
示范区 试验区 先行区
海关
国际机场 机场
港区 港
口岸
火车站 高铁站 车站
自治区 省
自治州 州
市
自治县 县
区
镇
乡
村
"""
_ORGANISATION_SORTS = """
银行 证券 保险 基金会
大学 学院 中学 小学
研究院 研究所
协会 学会 商会 联合会 联盟 委员会
医院
出版社 电视台 报社
俱乐部 足球队 乐团 乐队
博物馆 图书馆 美术馆
"""
# Every company may be named by another of its suffixes: 新锦集团, 新锦股份, 新锦科技.
_COMPANY = """
公司 股份有限公司 有限责任公司 有限公司 集团公司 集团 股份 控股 实业 重工 科技 智能 电子 汽车 电器
制药 医药 能源 电气 物流 传媒
"""
_SORT_OF = {
    suffix: line.split()[0]
    for line in (_PLACE_SORTS + _ORGANISATION_SORTS).strip().splitlines()
    for suffix in line.split()
    if line.strip()
} | dict.fromkeys(_COMPANY.split(), "公司")
_ORGANISATION_SUFFIXES = frozenset((_ORGANISATION_SORTS + _COMPANY).split())


def _longest_first(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


_SUFFIX = re.compile(rf"(?<=[{_HAN}a-z0-9]{{2}})(?:{_longest_first(_SORT_OF)})")
_SORT_WORDS = {
    sort: _longest_first(suffix for suffix, own in _SORT_OF.items() if own == sort)
    for sort in set(_SORT_OF.values())
}
# Nothing that belongs to a name; what stands before it is another word of the sentence.
_NO_NAME = re.compile(
    rf"[^{_HAN}a-z0-9]|[的了在是和与跟同及或由向对从被把将给让等为到于至哪何几多少该这那此全各本某每第前后内外我你咱]|什么|[一两这]家|位于|成立|根据|划[进入归]|[进纳列]入|落户|走进|来到|前往"
)
_GENERIC_WORDS = """
先进 共建 国家 国家级 国际 综合 特色 重点 创新 科技 智能 产业 制造 制造业 经济 技术 高新 工业 示范
上市 跨国 民营 外资 国有 国营 投资 贸易 其他 有关 相关 主要 大型 人民 人工 高等 师范 商业 地方
当地 新型 部分 世界 联合 城市 农村 中心 中央 出口 进口 边境 沿海 沿线 内陆 自由 自治 直辖 特别
行政 开发 试验 保护 自然 风景 住宅 居民 少数 民族 地级 县级 副省级 所有 一个 两个 三个 三大 两大
五大 唯一 最大 第一 目前 现在 境内 海外 国内 现代 传统 专业 数字 信息 电子 新能源 生物 消费 母 子
分 总 旗下 附属 控股 唱片 电影 石油 铁路 航空 保险 商业 私立 公立 国立 综合性 著名 知名 附近 周边
郊 中 老 大 小 上 下 东 西 南 北 社 地 城 景 山 灾 战 选 疫 牧 林 矿 库 时 早 学 校 街 郡
"""
_GENERIC = frozenset(_GENERIC_WORDS.split())
_FOREIGN_PERSON = re.compile(rf"([{_HAN}]{{1,6}})((?:[·•・‧][{_HAN}]{{1,7}})+)")
SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱郭何林罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董袁潘蒋蔡余杜叶程苏魏吕丁"
    "沈任姚卢姜崔钟谭陆汪范廖石贾夏付邹熊孟秦阎薛侯雷龙史陶黎贺毛郝顾龚邵万覃武钱戴严莫孔汤"
)
# Characters that spell foreign names; a dictionary word of others is no certain name.
_SPELLING = frozenset(
    "阿埃艾爱安奥巴贝本比波伯布查达戴丹德迪蒂多恩尔法费芬弗福盖戈格古哈海汉赫亨华霍基吉加贾杰金卡凯坎柯科克"
    "库拉莱兰劳勒雷里利莉林卢鲁路伦罗洛马玛麦曼梅门蒙米密摩莫姆穆纳娜南内尼努诺帕佩皮珀普齐切乔琼萨塞桑沙"
    "珊舍什史斯索塔泰坦汤特提图托瓦万威韦维温沃乌西希夏谢辛雪雅亚扬耶伊依因英尤约泽扎詹兹祖"
)
_NO_PERSON = re.compile(
    r"[业性化员者机器品区市县省国州式型法学院校部门队军族语人年月日后前里线系族类物]$|^何[原时地处人种物事]"
)
_QUOTED = re.compile(r"[“《「『\"]([^“”《》「」『』\"]{2,})[”》」』\"]")
_LATIN = re.compile(r"(?<![a-z0-9])[a-z][a-z0-9+-]*[a-z0-9](?![a-z0-9])")
# A name in Latin letters stands for words of Chinese text as often as for itself.
_LATIN_SAME = {
    "gdp": "生产总值",
    "ceo": "首席执行官",
    "ai": "人工智能",
    "wto": "世贸组织",
    "who": "世卫组织",
    "rcep": "区域全面经济伙伴关系",
    "app": "应用",
    "uk": "英国",
    "usa": "美国",
    "us": "美国",
    "eu": "欧盟",
    "un": "联合国",
}
# The sign by which news name a province or country beside others: 湘琼, 中美.
_PROVINCES = """
北京:京 天津:津 上海:沪 重庆:渝 河北:冀 山西:晋 辽宁:辽 吉林:吉 黑龙江:黑 江苏:苏 浙江:浙 安徽:皖
福建:闽 江西:赣 山东:鲁 河南:豫 湖北:鄂 湖南:湘 广东:粤 海南:琼 四川:川 贵州:黔 云南:滇 陕西:陕
甘肃:甘 青海:青 台湾:台 内蒙古:蒙 广西:桂 西藏:藏 宁夏:宁 新疆:新疆 香港:港 澳门:澳
"""
_PROVINCE_SIGNS = dict(pair.split(":") for pair in _PROVINCES.split())
_COUNTRIES = """
美国:美 英国:英 法国:法 德国:德 俄罗斯:俄 日本:日 韩国:韩 朝鲜:朝 印度:印 泰国:泰 越南:越
老挝:老挝 柬埔寨:柬 缅甸:缅 新加坡:新加坡 马来西亚:马来 菲律宾:菲 伊朗:伊朗 以色列:以色列 埃及:埃
意大利:意 西班牙:西班牙 葡萄牙:葡 荷兰:荷 瑞士:瑞士 瑞典:瑞典 加拿大:加拿大 墨西哥:墨 巴西:巴西
澳大利亚:澳 新西兰:新西兰 阿根廷:阿根廷 土耳其:土耳其 乌克兰:乌 波兰:波兰
"""
_COUNTRY_SIGNS = dict(pair.split(":") for pair in _COUNTRIES.split())


def names_in(text: str, tokenizer: WordTokenizer) -> list[Demand]:
    """Places, organisations, persons and other names of a normalised text, in order of kind.

    Names with a suffix (岳阳片区, 新锦集团) come with their core and sort; a place of the
    gazetteer counts alone only where it is no part of such a name.
    """
    words = frozenset(tokenizer.words(text))
    found: list[Demand] = []
    rest = text
    for pattern in (_quoted_names, _foreign_persons):
        for demand in pattern(text):
            found.append(demand)
            rest = rest.replace(demand.text, "，")
    for demand in _suffixed_names(rest, words):
        found.append(demand)
        rest = rest.replace(demand.text, "，")
    for place in places_in(rest):
        found.append(Demand(DemandKind.PLACE, place, place))
        rest = rest.replace(place, "，")
    for demand in _listed_names(rest, words):
        found.append(demand)
        rest = rest.replace(demand.text, "，")
    found += _persons(rest, words)
    found += [Demand(DemandKind.NAME, word, word) for word in _LATIN.findall(rest)]
    known = frozenset(tokenizer.terms)
    found += [Demand(DemandKind.NAME, w, w) for w in sorted(words & known) if w in rest]
    return list(dict.fromkeys(found))


def _quoted_names(text: str) -> Iterator[Demand]:
    for name in _QUOTED.findall(text):
        yield Demand(DemandKind.NAME, name, name)


def _foreign_persons(text: str) -> Iterator[Demand]:
    for match in _FOREIGN_PERSON.finditer(text):
        first = _NO_NAME.split(match[1])[-1]
        last = _NO_NAME.split(match[2][1:].replace("·", "－"))[0]
        if first and last:
            yield Demand(DemandKind.PERSON, f"{first}{match[2][0]}{last}", last)


def _suffixed_names(text: str, words: frozenset[str]) -> Iterator[Demand]:
    """Names that end in a known suffix; their start is that of the last whole word before it."""
    start = 0
    for match in _SUFFIX.finditer(text):
        core = _core(text[max(start, match.start() - 8) : match.start()], words)
        suffix = match.group()
        if len(suffix) == 1 and not (
            2 <= len(core) <= 3 and (places_in(core) or core + suffix in words)
        ):
            continue
        if core:
            organisation = suffix in _ORGANISATION_SUFFIXES
            kind = DemandKind.ORGANISATION if organisation else DemandKind.PLACE
            yield Demand(kind, core + suffix, core, _SORT_OF[suffix])
            start = match.end()


def _core(before: str, words: frozenset[str]) -> str:
    """The word that makes a name of the suffix behind it; empty where that is a common noun."""
    tail = _NO_NAME.split(before)[-1]
    fits = [tail[-size:] for size in range(2, len(tail) + 1) if tail[-size:] in words]
    core = max(fits, key=len, default=tail if 2 <= len(tail) <= 3 else "")
    if places_in(core) == [core]:  # 郴州 ends in a suffix itself
        return core
    if _ONE_OF_MANY.match(core):  # 一所大学, 首家银行
        return ""
    generic = core in _GENERIC or any(core.endswith(suffix) for suffix in _SORT_OF)
    return "" if generic else core


_ONE_OF_MANY = re.compile(
    "[一两二三四五六七八九十百千万几多首某每各这那哪第][所家个座条项批支间名些]"
)

_TAGS = {
    "ns": DemandKind.PLACE,
    "nt": DemandKind.ORGANISATION,
    "nr": DemandKind.PERSON,
    "nz": DemandKind.NAME,
}
_TAGGED = re.compile(r"^([^\s\x00-\x7f]{2,}) \d+ (n[rstz])[a-z]*\r?$", re.MULTILINE)


@cache
def _listed() -> dict[str, str]:
    """Names of jieba's dictionary with their tags, about 110,000; a tenth of a second, once."""
    text = files("jieba").joinpath("dict.txt").read_text("utf-8")
    return dict(_TAGGED.findall(text))


def is_noun(word: str) -> bool:
    """Whether jieba's dictionary calls a word of two characters or more a noun."""
    text = files("jieba").joinpath("dict.txt").read_text("utf-8")
    start = text.find(f"\n{word} ") + 1
    return len(word) > 1 and start > 0 and text[start:].split("\n", 1)[0].split()[2][0] == "n"


# Common words that the dictionary calls places.
_COMMON_WORDS = """
东西 南北 城市 两国 海洋 平原 上市 开国 爱国 建国 回国 治国 长大 长度 普及 入口 出口 中断 河水
湖水 泉水 西北 东南 东北 西南 朝廷 天门 高原 大街 王国 山脉 江河 上门 入市 大海 河谷 商城 内河
都市 关联 广义 广布 陈列 古都 重镇 千古 深山 沙丘 天黑 长河 登山 渡江 云集 日志 修正 山峰 内城
宫城 山口 海港 高山 原地 下海 沿江 沿海 内地 外地 当地 本地 内陆 边境 南方 北方 东方 西方 城区
市区 郊区 山区 农村
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_ASKED = re.compile(
    rf"(?:什么|甚么|何种|何类|哪一?[个位家种座条些类项支只名本部所片]?)[{_HAN}]{{2,6}}"
)


def _listed_names(text: str, words: frozenset[str]) -> Iterator[Demand]:
    """Words that the dictionary calls names, the longest first; not what is asked for (哪个城市).

    Its tags are often wrong, the more so for short words: those must look like names.
    """
    text = _ASKED.sub("，", text)
    for word in sorted(words, key=lambda word: (-len(word), word)):
        tag = _listed().get(word)
        if tag and word in text and word not in _SORT_OF and not _NO_NAME.search(word):
            demand = Demand(_TAGS[tag], word, word, listed=True)
            place = demand.kind is DemandKind.PLACE and word not in _COMMON
            if place or len(word) > 2 or _formed(demand):
                text = text.replace(word, "，")
                yield demand


# What the dictionary calls a name and what also looks like one.
_FORMS = {
    DemandKind.PERSON: re.compile(f"^[{''.join(sorted(SURNAMES))}]"),
    DemandKind.PLACE: re.compile("[州市县区镇乡村岛山江河湖海湾洋港桥路街寺峰谷原洲]$"),
    DemandKind.ORGANISATION: re.compile("[队党社局会院厅部司行校团军所署处]$"),
    DemandKind.NAME: re.compile("$^"),
}


def _formed(demand: Demand) -> bool:
    """Whether a word looks like a name of its kind, or spells a foreign one."""
    looks = _FORMS[demand.kind].search(demand.text)
    return bool(looks) or _SPELLING.issuperset(demand.text)


def _persons(text: str, words: frozenset[str]) -> Iterator[Demand]:
    for word in sorted(words):
        if (
            len(word) == 3
            and word[0] in SURNAMES
            and word in text
            and not _NO_PERSON.search(word)
            and word not in _SORT_OF
        ):
            yield Demand(DemandKind.PERSON, word, word[1:])


def _pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(len(text) - 1)]


def stands(demand: Demand, text: str) -> float:
    """How surely a demanded name stands in a normalised text.

    Returns:
        1 for the name, a usual short form of it or its sign (湘), 0.5 for a place's core with
        another suffix (长沙县 where 长沙片区 is asked), otherwise 0.
    """
    if demand.text in text:
        return 1.0
    if demand.kind is DemandKind.PLACE:
        return _place_stands(demand, text)
    if demand.kind is DemandKind.PERSON:
        first = re.split("[·•・‧]", demand.text)[0]
        forms = [demand.core[:2], first[-2:] if first != demand.text else demand.core]
        return float(any(len(form) == 2 and form in text for form in forms))
    if demand.kind is DemandKind.ORGANISATION:
        return float(demand.core in text)
    same = _LATIN_SAME.get(demand.text)
    if same and same in text:
        return 1.0
    pairs = _pairs(demand.text)
    if len(pairs) >= 3 and not demand.text.isascii():
        return float(sum(pair in text for pair in pairs) >= 0.6 * len(pairs))
    return 0.0


def _place_stands(demand: Demand, text: str) -> float:
    core = demand.core
    sign = _PROVINCE_SIGNS.get(core) or _COUNTRY_SIGNS.get(core)
    if not demand.suffix:
        return float(bool(sign and sign in text))
    if core not in text:
        return 0.5 * float(bool(sign and sign in text))
    whole = rf"{re.escape(core)}[^，。；、]{{0,4}}(?:{_SORT_WORDS[demand.suffix]})"
    return 1.0 if re.search(whole, text) else 0.5


def _nearly_stands(demand: Demand, text: str) -> bool:
    """Whether the text has the name but for one character, as after a slip of the pen.

    Never for a place of the gazetteer: 温州片区 is no slip for 杭州片区.
    """
    name = demand.text if demand.kind is DemandKind.PERSON else demand.core
    if len(name) == 2:
        name = demand.text[:3]
    if len(name) < 3 or places_in(demand.core) == [demand.core]:
        return False
    holes = (name[:i] + "." + name[i + 1 :] for i in range(len(name)))
    return any(re.search(re.escape(hole).replace(r"\.", "."), text) for hole in holes)


def _rivals(demand: Demand, names: Iterable[Demand]) -> list[Demand]:
    """Names of the same sort that are certainly another one's."""
    found = [name for name in names if _same_sort(demand, name) and not _alike(demand, name)]
    return [n for n in found if not n.listed or n.kind is DemandKind.PLACE or _formed(n)]


def _same_sort(one: Demand, other: Demand) -> bool:
    if one.kind is not other.kind or one.kind is DemandKind.NAME:
        return False
    if one.kind is DemandKind.PLACE:
        ranks = {_rank(one), _rank(other)}
        comparable = len(ranks) == 1 or ranks == {"country", "province"}
        return one.suffix == other.suffix and (bool(one.suffix) or comparable)
    if one.kind is DemandKind.ORGANISATION:
        return one.suffix == other.suffix
    return True


def _rank(place: Demand) -> str:
    """Country, province, city or sort of landmark: a city is no rival of the province it is in."""
    if place.core in _COUNTRY_SIGNS:
        return "country"
    if place.core in _PROVINCE_SIGNS:
        return "province"
    return place.core[-1] if place.core[-1] in "江河湖海洋山岭岛寺路街桥门" else "city"


def _alike(one: Demand, other: Demand) -> bool:
    """Whether two names may mean the same thing."""
    if places_in(one.core) == [one.core] and places_in(other.core) == [other.core]:
        return one.core == other.core
    return bool(set(one.core) & set(other.core))


# ---------------------------------------------------------------- actions

# Opposites, one pair a line; words of one side mean much the same. A single character only meets a
# demand, it never makes one: 降 in the evidence meets 下降 in the question.
_OPPOSITES = """
退出 撤出 撤离 退场 撤资 退市 退赛 弃 | 加入 进入 入驻 参加 进驻 落户 参与
叫停 停止 暂停 中止 终止 停工 停产 停办 停运 停 中断 | 启动 开展 推进 继续 恢复 开工 投产 重启 实施
关闭 关停 倒闭 歇业 停业 打烊 结业 关门 关张 | 开业 开张 开放 开设 设立 营业 开门 开办
取消 废除 撤销 废止 撤回 解除 作废 取缔 | 实行 实施 推出 出台 设立 施行 建立 保留
下降 下跌 下滑 减少 降低 回落 缩减 萎缩 跌 降 减 缩 少 | 增长 上升 上涨 增加 提高 攀升 涨 升 增
亏损 赔钱 亏本 赤字 亏 赔 | 盈利 获利 赚钱 利润 赚 盈
失败 失利 落败 败 未能 | 成功 胜利 获胜 取胜 胜 赢
拒绝 回绝 谢绝 驳回 反对 拒 | 同意 接受 批准 通过 答应 允许 赞成
禁止 严禁 封杀 查禁 禁 不得 不准 | 允许 准许 许可 鼓励 放开 开放
解散 散伙 解体 瓦解 | 成立 组建 创立 组成 创办
辞职 辞去 离职 卸任 下台 请辞 辞 罢免 免职 去职 卸 | 就任 上任 任职 就职 任命 出任 担任 当选
开除 解雇 解聘 裁员 辞退 裁 除名 | 聘用 招聘 录用 雇用 聘请 招募
分裂 决裂 破裂 脱离 独立 分离 断绝 | 合并 统一 联合 并入 合作 结盟
破产 清算 资不抵债 | 重组 融资 扩张 增资 上市
推迟 延期 延后 延迟 延误 推后 押后 延 晚 | 提前 提早 如期 按时
放弃 抛弃 弃 舍弃 | 坚持 保持 采用 选择 继续
撤军 退兵 撤退 撤 退 | 进攻 出兵 进军 入侵 攻
召回 下架 收回 回收 | 上架 发售 上市 推出 投放
拆除 拆毁 拆 推倒 | 建成 兴建 修建 建造 建设 建
搬离 迁出 迁走 搬走 搬迁 搬 迁 | 迁入 搬入 落户 入驻
抵制 抗议 反对 杯葛 | 支持 拥护 欢迎 响应
失踪 丢失 遗失 走失 下落不明 | 找到 发现 寻获 寻回
隐瞒 瞒报 掩盖 隐 瞒 | 公开 公布 披露 公示
贬值 贬 走低 | 升值 走强 升
出售 卖出 抛售 转让 变卖 售 卖 | 收购 购买 买入 购入 并购
违约 毁约 违反 爽约 违 | 履约 遵守 履行 守约
冻结 查封 扣押 封 | 解冻 解封 放行
封锁 封闭 封路 封 | 开通 通车 解封 开放
被捕 逮捕 入狱 拘留 拘捕 捕 囚 抓 监禁 | 获释 释放 出狱 无罪
处罚 罚款 惩罚 惩处 罚 处分 制裁 | 奖励 表彰 嘉奖 授予 奖
落后 滞后 垫底 | 领先 领跑 居首 第一
落选 淘汰 出局 | 当选 入选 晋级 中选
爆炸 起火 失火 坍塌 倒塌 火灾 燃 烧 塌 炸 | 修复 重建
泄露 泄漏 外泄 泄 漏 | 保密 加密
造假 伪造 作假 舞弊 抄袭 假 | 核实 证实 属实
中毒 感染 染病 患病 病 毒 | 康复 治愈 痊愈
离婚 分手 离异 离 | 结婚 成婚 订婚 娶 嫁
去世 逝世 病逝 死亡 身亡 遇难 离世 死 卒 逝 亡 丧 崩 杀 | 出生 诞生 生于
迟到 缺席 缺勤 | 出席 到场 列席
断交 绝交 | 建交 复交
停播 停刊 停更 | 首播 开播 创刊
剥夺 吊销 没收 | 授予 颁发 赋予
降级 降职 贬为 | 升级 晋升 升格 升任
退休 退役 引退 挂靴 | 入伍 出道 加盟 首秀
沉没 坠毁 失事 沉 坠 | 下水 首航 首飞 起飞
投降 降服 归降 降 | 抵抗 反抗 抗
起诉 控告 告上 诉 | 和解 撤诉
涨价 提价 加价 | 降价 减价 打折
"""


@dataclass(frozen=True, slots=True)
class _Action:
    """Words for one action and for its opposite."""

    words: frozenset[str]
    opposite: frozenset[str]


def _actions() -> dict[str, _Action]:
    """By word of two characters or more; a word of several lines takes the words of all."""
    actions: dict[str, _Action] = {}
    for line in _OPPOSITES.strip().splitlines():
        left, right = (frozenset(side.split()) for side in line.split("|"))
        for word in left:
            known = actions.get(word, _Action(frozenset(), frozenset()))
            actions[word] = _Action(known.words | left, known.opposite | right)
    return {word: action for word, action in actions.items() if len(word) > 1}


# Only the left side makes a demand: that something ended, fell or failed is what a question can
# wrongly suppose; its opposite is the common run of news and said in too many ways.
_ACTIONS = _actions()
_ACTION = re.compile(_longest_first(_ACTIONS))
_ACTION_KINDS = frozenset({Kind.REASON, Kind.MANNER, Kind.DATE, Kind.PERSON})

# ---------------------------------------------------------------- superlatives

# From the widest to the narrowest; a province by name is as narrow as 全省.
_SCOPES = (
    "全球 世界 国际 世界上 全世界",
    "亚洲 亚太 东亚",
    "全国 国内 我国 中国 国家",
    "中部 中部地区 中西部 西部 东部 长三角 珠三角",
    "全省 省内 全区 全市 市内 本省 本市",
)
_SCOPE_RANK = {word: rank for rank, words in enumerate(_SCOPES) for word in words.split()}
_ANY_SUPERLATIVE = re.compile(
    "第一|首[个家座条支台项例款套艘架创次批届位单度先]|首屈|最|率先|唯一|先河|先驱|之[冠首最]|居首|冠军|龙头"
)
_SUPERLATIVE = re.compile(
    rf"(?P<scope>{_longest_first(_SCOPE_RANK)}|(?:{_longest_first(_PROVINCE_SIGNS)})省?)"
    r"(?:范围内?|地区|行业|同类)?(?:的|上|中|内)?"
    r"(?:第一[个家座条支台项例款套艘架大位]?|首[个家座条支台项例款套艘架创次批单位]|最[大高长早多快先]|唯一)"
)


def has_opposite(word: str) -> bool:
    """Whether a verb is one of those that are told from their opposites here."""
    return word in _ACTIONS


def demands(question: Question, tokenizer: WordTokenizer) -> tuple[Demand, ...]:
    """What the evidence must meet: years, names, the action, the scope, the unit, the credit.

    A follow-up demands what it names itself; names of the turns that it leans on count, marked
    `carried`, where it names none of that kind.
    """
    own = normalize(question.focus)
    found = names_in(own, tokenizer)
    if question.is_follow_up:
        kinds = {name.kind for name in found}
        earlier = normalize(question.standalone.removesuffix(question.focus))
        found += [
            Demand(name.kind, name.text, name.core, name.suffix, carried=True)
            for name in names_in(earlier, tokenizer)
            if name.kind not in kinds
        ]
    found += [Demand(DemandKind.YEAR, year) for year in question.years]
    found += [Demand(DemandKind.ACTION, word) for word in dict.fromkeys(_ACTION.findall(own))]
    found += [
        Demand(DemandKind.SCOPE, match.group(), match["scope"])
        for match in _SUPERLATIVE.finditer(own)
    ]
    if question.kind is Kind.NUMBER and (units := wanted_units(question)):
        found.append(Demand(DemandKind.UNIT, units[0]))
    if question.target == "caption":
        found.append(Demand(DemandKind.CREDIT, "署名"))
    return tuple(found)


# ---------------------------------------------------------------- years

_YEAR = re.compile(r"(?<!\d)(1\d{3}|20\d\d)(?=\s*年(?!代))")
_BARE_YEAR = re.compile(r"(?<![\d.])(1\d{3}|20\d\d)(?![\d.]|\s*[万亿元家个人名米吨公平])")
_RANGE = re.compile(r"(?<!\d)(1\d{3}|20\d\d)\s*年?\s*(?:[-—–~～至到]|——)\s*(1\d{3}|20\d\d)(?!\d)")
_SHORT_YEAR = re.compile(r"(?<![\d.第])(\d\d)\s*年(?![代前来间内后多来])")
_HAN_YEAR = re.compile(r"[一二]([〇零一二三四五六七八九]{3})(?=年)")
_HAN_DIGITS = str.maketrans("〇零一二三四五六七八九", "00123456789")
_RELATIVE = {"今年": 0, "本年": 0, "年内": 0, "去年": -1, "上年": -1, "前年": -2, "明年": 1}
_NEXT_YEAR = re.compile("次年|翌年|隔年|第二年")
# A year may be reckoned from another: 两年后, 五年来. Then no year can be called absent.
_RECKONED = re.compile(r"[\d数几两三四五六七八九十]年[后前来间]|[早晚]年|年间|年代")


def _written_years(text: str) -> set[int]:
    in_han = (match.group().translate(_HAN_DIGITS) for match in _HAN_YEAR.finditer(text))
    return {int(year) for year in (*_YEAR.findall(text), *in_han)}


def _possible_years(text: str, own: int | None) -> set[int]:
    """Every year that a normalised text may be about; `own` is its article's."""
    years = _written_years(text) | {int(year) for year in _BARE_YEAR.findall(text)}
    for first, last in _RANGE.findall(text):
        if int(last) - int(first) <= 100:
            years.update(range(int(first), int(last) + 1))
    for short in _SHORT_YEAR.findall(text):
        years.update({1900 + int(short), 2000 + int(short)})
    if own is not None:
        years.update(own + shift for word, shift in _RELATIVE.items() if word in text)
    if _NEXT_YEAR.search(text):
        years.update({year + 1 for year in years})
    return years


def years_of(evidence: Evidence) -> set[str]:
    """Years that a sentence can be about: written in its passage, or its article's own.

    今年, 去年 and their like are resolved with the article's date; ranges hold all their years.
    """
    own = _own_year(evidence)
    years = _possible_years(normalize(evidence.passage.chunk.search_text), own)
    return {str(year) for year in years} | ({str(own)} if own is not None else set())


def _own_year(evidence: Evidence) -> int | None:
    date = evidence.passage.date
    return int(date[:4]) if date else None


_PICTURE = re.compile("照片|图片|相片|配图|[张幅]图|照的|拍的|图是")
_CREDIT = re.compile(r"摄|供图|图片?[:：]|[)）]?图$")


def has_credit(evidence: Evidence) -> bool:
    """Whether a caption says whose picture it is."""
    return evidence.sentence.kind == "caption" and bool(_CREDIT.search(evidence.text.strip()))


# ---------------------------------------------------------------- evidence against demands


@dataclass(frozen=True)
class _Ground:
    """The chosen evidence at four widths, normalised; wider ones are made only when looked at."""

    best: Sequence[Evidence]
    generation: Generation

    @cached_property
    def first(self) -> str:
        """The best sentence."""
        return normalize(self.best[0].text)

    @cached_property
    def sentences(self) -> str:
        """All chosen sentences."""
        return "\n".join(normalize(evidence.text) for evidence in self.best)

    @cached_property
    def passage(self) -> str:
        """The passages of the chosen sentences with their titles and headings."""
        parts = {
            f"{evidence.passage.title or ''}\n{evidence.passage.chunk.search_text}"
            for evidence in self.best
        }
        return normalize("\n".join(sorted(parts)))

    @cached_property
    def articles(self) -> list[str]:
        """The texts, as stored, of the articles that they stand in; the best sentence's first."""
        docs = dict.fromkeys(evidence.passage.chunk.doc for evidence in self.best)
        articles = (self.generation.table.article(doc) for doc in docs)
        return [article.text for article in articles if article is not None]

    @cached_property
    def article(self) -> str:
        """Those articles."""
        return "\n".join([self.passage, *map(normalize, self.articles)])

    @cached_property
    def before(self) -> str:
        """The article's text shortly before the best sentence, which may go on with it."""
        end = self.best[0].sentence.span.start
        return normalize(self.articles[0][max(0, end - _CARRIES) : end]) if self.articles else ""

    @cached_property
    def first_names(self) -> list[Demand]:
        """Names of the best sentence."""
        return names_in(self.first, self.generation.tokenizer)

    @cached_property
    def names_before(self) -> list[Demand]:
        """Names before it, the nearest first."""
        names = names_in(self.before, self.generation.tokenizer)
        return sorted(names, key=lambda name: -self.before.rfind(name.text))

    def goes_on_about(self, demand: Demand) -> bool:
        """Whether the last name of its sort before the best sentence is the one demanded."""
        nearest = next((name for name in self.names_before if _same_sort(demand, name)), None)
        return nearest is not None and stands(demand, nearest.text) > 0

    def level(self, demand: Demand) -> float:
        """1 in the sentence, 0.7 in the passage, 0.3 in the article, 0 nowhere there."""
        in_sentence = stands(demand, self.sentences)
        if in_sentence == 1.0:
            return 1.0
        written_nearly = demand.kind is DemandKind.NAME and _nearly_stands(demand, self.passage)
        if in_sentence or written_nearly or stands(demand, self.passage):
            return _IN_PASSAGE
        return _IN_ARTICLE if stands(demand, self.article) else 0.0

    def rival(self, demand: Demand) -> Demand | None:
        """A name of the same sort in the sentence, or else the last such name before it."""
        if found := _rivals(demand, self.first_names):
            return found[0]
        nearest = [name for name in self.names_before if _same_sort(demand, name)][:1]
        return next(iter(_rivals(demand, nearest)), None)

    def known(self, demand: Demand) -> float:
        """Share of the character pairs of a name that stand anywhere in the index."""
        tokens = self.generation.tokenizer.bigrams(demand.core or demand.text)
        frequency = self.generation.bigrams.document_frequency
        return sum(frequency(token) > 0 for token in tokens) / len(tokens) if tokens else 1.0


_IN_PASSAGE, _IN_ARTICLE = 0.7, 0.3
_CARRIES = 300  # characters over which a year or a subject once named may hold


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How one demand fares."""

    demand: Demand
    level: float  # see _Ground.level
    unmet: Unmet | None = None
    rival: Demand | None = None


def _verdicts(question: Question, ground: _Ground) -> list[_Verdict]:
    asked = demands(question, ground.generation.tokenizer)
    judged = []
    for demand in asked:
        if demand.kind in _NAMES:
            judged.append(_judge_name(question, demand, ground))
        elif demand.kind is DemandKind.YEAR:
            judged.append(_judge_year(question, demand, ground))
        elif demand.kind is DemandKind.ACTION:
            judged.append(_judge_action(question, demand, asked, ground))
        elif demand.kind is DemandKind.SCOPE:
            judged.append(_judge_scope(demand, ground))
        elif demand.kind is DemandKind.UNIT:
            judged.append(_judge_unit(question, demand, ground))
        else:
            judged.append(_judge_credit(question, demand, ground))
    return judged


def _verdict(
    demand: Demand, level: float, reason: str, *, hard: bool, rival: Demand | None = None
) -> _Verdict:
    """An unmet demand."""
    severity = Severity.HARD if hard and not demand.carried else Severity.SOFT
    return _Verdict(demand, level, Unmet(demand, reason, severity), rival)


def _judge_name(question: Question, demand: Demand, ground: _Ground) -> _Verdict:
    level = ground.level(demand)
    if level == 1.0:
        return _Verdict(demand, level)
    if level == _IN_ARTICLE and ground.goes_on_about(demand):
        level = _IN_PASSAGE
    rival = ground.rival(demand)
    if level == _IN_PASSAGE:
        return _Verdict(demand, level, rival=rival)
    known = ground.known(demand)
    absent = level == 0.0 and not _nearly_stands(demand, ground.article)
    place = demand.kind is DemandKind.PLACE and bool(places_in(demand.core))
    if absent and (known < 1.0 if place else known == 0.0):
        reason = f"文中没有提到“{demand.text}”"
        return _verdict(demand, level, reason, hard=_tellable(demand), rival=rival)
    if rival is not None:
        thing = _asked_thing(question)
        reason = f"文中给出的是{rival.text}，没有{demand.text}的{thing}"
        return _verdict(demand, level, reason, hard=_displaced(demand, absent=absent), rival=rival)
    hard = absent and _tellable(demand) and _strange(demand, ground.article)
    return _verdict(demand, level, f"文中没有提到“{demand.text}”", hard=hard)


def _tellable(demand: Demand) -> bool:
    """Whether a name is surely one, and so long that another way to write it would share a part."""
    if demand.kind is DemandKind.NAME:
        return not demand.listed and not demand.text.isascii() and len(demand.text) > 2
    if not demand.listed:
        return True
    return len(demand.text) > 2 and _formed(demand)


def _strange(demand: Demand, article: str) -> bool:
    """Whether an article has no part of a long name of a person, place or organisation."""
    long_name = demand.kind is not DemandKind.NAME and len(demand.text) > 2
    return long_name and not any(pair in article for pair in _pairs(demand.text))


def _displaced(demand: Demand, *, absent: bool) -> bool:
    """Whether the other name stands so clearly in its place that nothing is said of this one.

    A name that the article does not hold at all, unless it is one by the dictionary's word alone
    and so short that the dictionary may well be wrong; or a place such as 岳阳片区 that it holds
    elsewhere, while the passage is about another of the same sort.
    """
    if absent:
        return not demand.listed or len(demand.text) > 2 or _formed(demand)
    return bool(demand.suffix and places_in(demand.core))


def _asked_thing(question: Question) -> str:
    return {Kind.NUMBER: "数字", Kind.DATE: "时间"}.get(question.kind, "相应内容")


def _judge_year(question: Question, demand: Demand, ground: _Ground) -> _Verdict:
    year, own = int(demand.text), _own_year(ground.best[0])
    said = _possible_years(ground.sentences, own)
    if year in said or (year == own and not _written_years(ground.sentences)):
        return _Verdict(demand, 1.0)
    around = _possible_years(ground.passage, own)
    if year in around or year == own:
        return _Verdict(demand, _IN_PASSAGE)
    level = _IN_ARTICLE if year in _possible_years(ground.article, own) else 0.0
    given = sorted(_written_years(ground.sentences) or _written_years(ground.passage))
    if given:
        years = "、".join(f"{other}年" for other in given[:2])
        reason = f"文中只给出{years}的{_asked_thing(question)}，没有{year}年"
    else:
        reason = f"文中没有{year}年的{_asked_thing(question)}"
    # Without a year of its own a sentence goes on with one that the article named before.
    silent = not _written_years(ground.sentences) and level > 0
    carried = silent or year in _written_years(ground.before)
    # Where neither text nor date tells any year, nothing speaks against the one asked about.
    known = bool(given) or own is not None
    hard = known and not carried and not _RECKONED.search(ground.sentences)
    return _verdict(demand, level, reason, hard=hard)


def _judge_action(
    question: Question, demand: Demand, asked: Sequence[Demand], ground: _Ground
) -> _Verdict:
    action = _ACTIONS[demand.text]

    def told(words: Iterable[str], text: str) -> bool:
        return any(word in text for word in words)

    if told(action.words, ground.sentences):
        return _Verdict(demand, 1.0)
    if told(action.words, ground.passage):
        return _Verdict(demand, _IN_PASSAGE)
    level = _IN_ARTICLE if told(action.words, ground.article) else 0.0
    subject = next((one.text for one in asked if one.kind in _NAMES), "")
    hard = level == 0.0 and bool(subject) and question.kind in _ACTION_KINDS
    reason = f"文中没有提到{subject}“{demand.text}”"
    return _verdict(demand, level, reason, hard=hard)


def _judge_scope(demand: Demand, ground: _Ground) -> _Verdict:
    """Contrary is a narrower scope: what is first in the country is so in its province.

    A passage without any superlative tells of nothing that is the first or the largest.
    """
    if not _ANY_SUPERLATIVE.search(ground.passage):
        return _verdict(demand, 0.0, f"文中没有提到“{demand.text}”", hard=True)
    narrowest = len(_SCOPES) - 1
    rank = _SCOPE_RANK.get(demand.core, narrowest)
    own = _SCOPES[rank].split() if demand.core in _SCOPE_RANK else [demand.core]
    if any(word in ground.sentences for word in own):
        return _Verdict(demand, 1.0)
    said = list(_SUPERLATIVE.finditer(ground.sentences))
    narrower = all(_SCOPE_RANK.get(other["scope"], narrowest) > rank for other in said)
    if not said or not narrower or any(word in ground.passage for word in own):
        return _Verdict(demand, 0.5)
    reason = f"文中说的是“{said[0].group()}”，不是“{demand.text}”"
    return _verdict(demand, 0.0, reason, hard=True)


def _judge_unit(question: Question, demand: Demand, ground: _Ground) -> _Verdict:
    units = wanted_units(question)

    def carried(text: str) -> bool:
        return any(number.unit in units for number in find_numbers(text)) or demand.text in text

    if carried(ground.sentences):
        return _Verdict(demand, 1.0)
    if carried(ground.passage):
        return _Verdict(demand, 0.5)
    return _verdict(demand, 0.0, f"文中没有以“{demand.text}”计的数字", hard=False)


def _judge_credit(question: Question, demand: Demand, ground: _Ground) -> _Verdict:
    if has_credit(ground.best[0]):
        return _Verdict(demand, 1.0)
    hard = bool(_PICTURE.search(normalize(question.focus)))
    return _verdict(demand, 0.0, "文中的这张图片没有署名，看不出是谁拍摄的", hard=hard)


def unmet(question: Question, best: Sequence[Evidence], generation: Generation) -> list[Unmet]:
    """Demands that the chosen evidence does not meet, the certain ones first.

    Args:
        question: as understood.
        best: the evidence that the answer would rest on, best first; nothing else is looked at but
            the articles it stands in. Without any, nothing is unmet: there is nothing to compare.
        generation: the index that the evidence comes from.
    """
    if not best:
        return []
    found = [v.unmet for v in _verdicts(question, _Ground(best, generation)) if v.unmet]
    return sorted(found, key=lambda one: one.severity is not Severity.HARD)


def demand_features(
    question: Question, best: Sequence[Evidence], generation: Generation
) -> dict[str, float]:
    """Numbers from 0 to 1 by name, in the order of DEMAND_FEATURES; 1 where nothing is demanded.

    `best` as for `unmet`; it must not be empty.
    """
    ground = _Ground(best, generation)
    verdicts = _verdicts(question, ground)
    names = [one for one in verdicts if one.demand.kind in _NAMES]

    def level(kind: DemandKind) -> float:
        return min((one.level for one in verdicts if one.demand.kind is kind), default=1.0)

    def share(values: Iterable[float]) -> float:
        listed = list(values)
        return sum(listed) / len(listed) if listed else 1.0

    return {
        "names_sentence": share(float(one.level == 1.0) for one in names),
        "names_passage": share(float(one.level >= _IN_PASSAGE) for one in names),
        "names_article": share(float(one.level >= _IN_ARTICLE) for one in names),
        "names_index": share(1.0 if one.level else ground.known(one.demand) for one in names),
        "no_rival": share(float(one.rival is None) for one in names),
        "together": _together(question, names),
        "beside": share(_beside(question, one.demand, ground) for one in names),
        "year": level(DemandKind.YEAR),
        "action": level(DemandKind.ACTION),
        "not_contrary": _not_contrary(verdicts, ground),
        "scope": level(DemandKind.SCOPE),
        "unit": level(DemandKind.UNIT),
    }


def _together(question: Question, names: Sequence[_Verdict]) -> float:
    """1 unless the question binds two names; then the share of them that the passage has."""
    text = normalize(question.focus)
    bound = [
        one.level >= _IN_PASSAGE
        for first in names
        for second in names
        if any(f"{first.demand.text}{mark}{second.demand.text}" in text for mark in "与和跟同及、")
        for one in (first, second)
    ]
    return sum(bound) / len(bound) if bound else 1.0


_CLAUSE = re.compile("[^，；。：,;:]+")


def _beside(question: Question, name: Demand, ground: _Ground) -> float:
    """Whether the value asked for belongs to the name, as far as their places tell."""
    text = ground.first
    if not stands(name, text):
        return 0.0
    if question.kind is not Kind.NUMBER:
        return 1.0
    units = wanted_units(question)
    values = [number.span for number in find_numbers(text) if not units or number.unit in units]
    return float(not values or any(_belongs(name, text, span.start, ground) for span in values))


def _belongs(name: Demand, text: str, value: int, ground: _Ground) -> bool:
    """Whether a name shares the clause of the value or is the last of its sort before it."""
    clause = next(m.group() for m in _CLAUSE.finditer(text) if m.end() > value)
    if stands(name, clause):
        return True
    own = text.rfind(name.core, 0, value)
    rivals = _rivals(name, ground.first_names)
    return own >= 0 and all(text.rfind(other.core, 0, value) < own for other in rivals)


def _not_contrary(verdicts: Sequence[_Verdict], ground: _Ground) -> float:
    """0 if an action asked for is told nowhere near, but its opposite is."""
    return float(
        not any(
            one.level < _IN_PASSAGE
            and any(word in ground.sentences for word in _ACTIONS[one.demand.text].opposite)
            for one in verdicts
            if one.demand.kind is DemandKind.ACTION
        )
    )
