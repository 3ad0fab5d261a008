"""Reading-comprehension questions made by rule from Chinese news articles.

article -> sentences -> pieces (words; names, numbers, dates and titles whole) -> question with a
wh-phrase in place of the answer, reworded; a passage of the article around the sentence.

Training data for a span reader, never a measure of quality: the questions keep to the wording of
their sentence more than people do. About a third are near misses, which their context does not
answer: one constraint was exchanged, or the passage is another one of the article.
"""

from __future__ import annotations

import gzip
import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import jieba.posseg  # type: ignore[import-untyped]

from qa.expressions import Number, find_dates, find_numbers
from schema import Span

KINDS = ("number", "date", "person", "organisation", "place", "title", "phrase")

_MIN_CONTEXT, _MAX_CONTEXT = 60, 320
_MIN_QUESTION, _MAX_QUESTION = 6, 40
_MAX_ANSWER = 60
_NEAR_MISS = 0.38  # tried this often; some find nothing to exchange, about 35 % remain
_OTHER_PASSAGE = 0.2  # of the near misses
_TYPO = 0.15
_KEYWORDS = 0.10
_TRIES = 4
_POOL = 400  # names of a sort remembered from earlier text
_WEIGHTS = {
    "number": 3.0,
    "date": 2.0,
    "person": 5.0,
    "organisation": 2.0,
    "place": 1.5,
    "title": 1.0,
    "phrase": 2.5,
}


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SYNONYM_PAIRS = (
    "达到 有|增长 提高|企业 公司|表示 说|举办 召开|成立 设立|投资 投入|增加 增多|下降 减少|"
    "推出 发布|举行 举办|目前 现在|共同 一起|获得 得到|取得 拿到|开展 进行|实施 施行|"
    "启动 开始|建设 建造|建立 设立|介绍 说|指出 提出|认为 觉得|宣布 公布|公布 发布|提供 给出|"
    "包括 包含|涉及 牵涉|完成 做好|实现 做到|参加 参与|出席 参加|前往 去|抵达 到|位于 在|"
    "购买 买|销售 卖|出售 卖|帮助 帮|使用 用|采用 用|利用 用|负责 主管|担任 当|召开 开|"
    "签署 签订|吸引 引来|超过 多于|累计 总共|总计 一共|共计 一共|全部 所有|首次 第一次|"
    "价格 价钱|资金 钱|人员 人|儿童 孩子|居民 住户|消费者 顾客|医生 大夫|教师 老师|"
    "汽车 车|电影 影片|比赛 赛事|冠军 第一名|项目 工程|产品 商品|部门 单位|"
    "原因 缘由|问题 难题|措施 办法|方案 计划|区域 地区|城市 都市|发生 出现|"
    "导致 造成|造成 引起|死亡 遇难|受伤 负伤|发现 找到|研究 钻研|开发 研发|生产 制造|"
    "运输 运送|上涨 涨|下跌 跌|上市 发售|营收 收入|净利润 纯利润|同比 比上年|市民 居民|"
    "近日 最近|此前 之前|日前 前些天|计划 打算|希望 想|要求 让|支持 扶持|推动 促进|提升 提高|"
    "覆盖 涵盖|占比 比例|规模 大小|收购 买下|合作 协作|发布 推出|通报 公布|显示 表明"
)
_OPPOSITE_PAIRS = (
    "增长 下降|成立 撤销|增加 减少|上涨 下跌|上升 下降|提高 降低|扩大 缩小|流入 流出|"
    "买入 卖出|出口 进口|开放 关闭|启动 终止|支持 反对|盈利 亏损|获得 失去|上调 下调|"
    "开幕 闭幕|加入 退出|开工 停工|收购 出售|入职 离职|进入 离开|同意 拒绝|签署 废止|"
    "批准 否决|恢复 暂停|胜 负|购买 出售|最高 最低|最大 最小|首次 末次|新增 减少|"
    "净流入 净流出|涨 跌|增持 减持|招聘 裁减|设立 撤销|建设 拆除|就任 卸任|击败 输给|"
    "延长 缩短|加息 降息|上线 下架|国内 国外|男子 女子|男性 女性|同比 环比|上半年 下半年|"
    "生产 回收|举办 取消|发布 撤回|举行 取消|推出 停售|开通 停运"
)


def _both_ways(pairs: str) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for pair in pairs.split("|"):
        left, right = pair.split()
        table.setdefault(left, []).append(right)
        table.setdefault(right, []).append(left)
    return table


# A single character stands for too much to be turned into a longer word.
_SYNONYMS = {word: other for word, other in _both_ways(_SYNONYM_PAIRS).items() if len(word) > 1}
_OPPOSITES = _both_ways(_OPPOSITE_PAIRS)

_MORE_UNITS = re.compile(
    r"斤|英镑|卢布|韩元|卢比|澳元|千瓦时|千瓦|瓦|公斤|千克|克|毫米|厘米|千米|毫升|升|度|股|例|株|瓶|"
    r"架次|班次|班|门|颗|粒|对|双|只|枚|票|本|字|级|成|寸|周|基点|个基点|摄氏度|平方千米|海里|英里|"
    r"桶|箱|列|趟|首|则|封|张|副|顶|口|滴|盏|片|员|星期|代|分|个"
)
_RANGE = re.compile(r"[至到~～—-]{1,2}")
_VERB_BEFORE = re.compile(r"^(?:达到?|突破|上)")
_DAY = re.compile(r"(?<![\d月.])\d{1,2}日(?:[上下中]午|晚上?|凌晨|清晨|傍晚)?")
_AROUND_CODE = re.compile(r"[A-Za-z\d.\-/:：+#&]")
_RELATIVE = {"今年": "去年", "去年": "前年", "明年": "后年", "前年": "去年"}

_ORGANISATION = re.compile(
    r"(?:公司|集团|大学|学院|银行|研究院|研究所|委员会|协会|学会|联合会|基金会|法院|检察院|医院|"
    r"总局|管理局|公安局|[\u4e00-\u9fff]{2}局|气象台|交易所|商务部|[外交教育财政国防公安]{2}部|"
    r"发改委|卫健委|证监会|俱乐部|电视台|出版社|博物馆|中学|小学|幼儿园|事务所|航天局|央行|"
    r"有限公司|工作室|指挥部|办公室|联盟|总署|商会)$"
)
_ORGANISATION_PARTS = ("n", "nr", "ns", "nt", "nz", "nrt", "j", "b", "eng", "vn", "an", "f", "l")
_GENERIC = re.compile(r"^(?:该|本|上述|各|多家|全|子|母|分|总|上市|相关|有关|大型|国有|外国|科技)")
_NOT_IN_NAMES = re.compile(r"支持|重视|坚持|举行|举办|要求|包括|我国|当地|附近|目前")
_BARE_ORGANISATIONS = frozenset({"央行", "商务部", "外交部", "教育部", "财政部"})
_TITLE_OF_PERSON = re.compile(
    r"(?:主任|局长|书记|教授|总裁|经理|董事长|总统|总理|部长|主席|市长|省长|县长|校长|院长|所长|"
    r"秘书长|发言人|大使|负责人|研究员|分析师|专家|医生|记者|导演|演员|教练|队长|CEO|创始人|律师|"
    r"司长|处长|会长|行长|首相|州长|议员|老师|先生|女士|店主|村民|市民|选手|球员|司机|工程师|站长)$"
)
_SPEECH = _word_set("表示 说 介绍 认为 指出 称 告诉 强调 透露 坦言 回忆 解释 写道 摄 补充")
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任"
    "沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔"
)
_FOREIGN_NAME = re.compile(r"[\u4e00-\u9fff]{1,6}(?:·[\u4e00-\u9fff]{1,7})+")
_BOOK = re.compile(r"《[^《》]{2,40}》")
_QUOTED = re.compile(r"“[^“”，。！？；：]{2,16}”")
_PLACE_SUFFIX = re.compile(r"[省市县区镇村州乡国岛湾]$")
_PLACE_BEFORE = _word_set("在 位于 来自 到 赴 于 抵达 前往 往 从 落户 坐落 地处 飞往 位居 访问")
_REPORTING = _word_set("记者 获悉 了解到 本报 报道 讯 据悉")
_KNOWN_PLACES = _word_set(
    "北京 上海 天津 重庆 河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东 河南 湖北 "
    "湖南 广东 海南 四川 贵州 云南 陕西 甘肃 青海 台湾 内蒙古 广西 西藏 宁夏 新疆 香港 澳门 "
    "广州 深圳 杭州 南京 武汉 成都 西安 长沙 郑州 济南 青岛 大连 沈阳 哈尔滨 长春 昆明 贵阳 "
    "南宁 南昌 合肥 福州 厦门 苏州 无锡 宁波 温州 石家庄 太原 兰州 中国 美国 英国 法国 德国 "
    "俄罗斯 日本 韩国 印度 巴西 南非 澳大利亚 加拿大 意大利 西班牙 乌克兰 伊朗 以色列 埃及 "
    "泰国 越南 新加坡 马来西亚 印度尼西亚 菲律宾 土耳其 沙特 墨西哥 阿根廷 瑞士 瑞典 荷兰 "
    "波兰 欧洲 非洲 纽约 伦敦 巴黎 东京 莫斯科 华盛顿 柏林 首尔 悉尼 保定 涿州 珠海 佛山 "
    "东莞 三亚 海口 乌鲁木齐 拉萨"
)
_PRONOUNS = _word_set("他 她 它 其 该 此 这 那 我 我们 你 你们 他们 她们 其中 自己 这些 这个 本")
_CUES = _word_set(
    "是 为 包括 包含 负责 推出 实现 涉及 涵盖 提供 发布 采用 完成 打造 开展 建设 成为 成 "
    "形成 获得 开发 研发 生产 强调 推动 要求 面临 存在 导致 提出 取得 带来 分为 叫 作为 拥有 "
    "支持 举办 聚焦"
)
_NOT_BEFORE_CUE = _word_set("不 就 还 而 也 都 又 更 正 因 以 认 但 只")
_IN_LISTS = _word_set("、 和 与 及 以及 ( （ ) ） / -")
_NEGATIONS = _word_set("不 没 没有 未 无 并未 从未 尚未 别 非")
_JUNK = re.compile(
    r"双色球|大乐透|开奖|奖号|https?:|www\.|责任编辑|广告|点击|扫码|微信|版权|来源|见下表|一览|资料图|截图|编辑：|免责|公众号|下载|×|↑|↓|[①-⑨●▲■【】|_]"
)
_BYLINE = re.compile(r"^[^。，！？]{0,40}?[电讯道]?\s?[（(][^（()）]{0,12}记者[^（()）]{0,24}[）)]")
_SENTENCE = re.compile(r"[^。！？\n]+(?:[。！？]+[”’」）)]*|\n|$)")
_CLAUSE_END = frozenset("，；：。！？,;:!?——…（）()")
_LEADING = re.compile(r"^(?:[了着、，；：]|的(?!哥|士))+")
_LEADING_WORDS = _word_set(
    "但 但是 而 而且 同时 此外 另外 因此 所以 不过 然而 其中 据介绍 据悉 据了解 并 并且 且 "
    "也 还 和 与 以及 的 了 着 地 得 、 等 过 则 却 就 便 又 随后 之后 后 时 中 上 下 里 ， "
    "以来 期间 之一 起 说 称 表示 时"
)
_TRAILING = re.compile(r"(?:的|地|、|和|与|及|以及|等|并|且|而|为|称|由)+$")
_OPENINGS = ("请问", "那个", "到底", "我想问下", "问一下", "想知道", "麻烦问下", "请问一下")
_ENDINGS = ("呢", "啊", "呀", "来着")


@dataclass(frozen=True, slots=True)
class MadeQuestion:
    """One question with the passage that does or does not answer it."""

    question: str  # 6 to 40 characters, never with the answer in it
    context: str  # whole consecutive sentences of the article, 60 to 320 characters
    answer: Span | None  # in context; None: a near miss, which context does not answer
    kind: str  # one of KINDS
    exchanged: str = ""  # of a near miss: the word of the question that context lacks


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or a whole number, date, name or title."""

    text: str
    flag: str  # part of speech of jieba; "x" for punctuation
    start: int  # in the sentence
    kind: str = ""  # one of KINDS where it can be an answer
    fixed: bool = False  # not to be dropped or reworded

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def noun(self) -> bool:
        return self.flag[0] in "njb" or self.flag in ("eng", "vn", "an")

    @property
    def content(self) -> bool:
        return bool(self.kind) or self.noun or self.flag[0] in "vamt"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A possible answer: pieces[first:last] of a sentence."""

    first: int
    last: int
    kind: str
    wh: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A question before it is put into words."""

    before: tuple[_Piece, ...]
    wh: str
    after: tuple[_Piece, ...]
    kind: str


def read_articles(path: Path) -> Iterator[str]:
    """The articles of a news file, plain or .gz, one a line: the text behind 正文：.

    A by-line at the start (某报北京1月2日电（记者某某）) is left out; white space is made single,
    and dropped between Han characters and punctuation.
    """
    for line in _lines(path):
        text = re.sub(r"\s+", " ", line.partition("正文：")[2] or line).strip()
        text = _BYLINE.sub("", text)
        text = re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", text)
        if text:
            yield text


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as compressed:
            yield from compressed
    else:
        with path.open(encoding="utf-8") as plain:
            yield from plain


# --- from a sentence to pieces ---


def split_sentences(article: str) -> list[Span]:
    """Sentences in order without gaps but for line feeds."""
    return [Span(*match.span()) for match in _SENTENCE.finditer(article) if match.group().strip()]


def _tidy_numbers(sentence: str) -> Iterator[tuple[Span, str]]:
    """Whole number expressions; 达到 and 突破 stay outside, ranges are one, codes are none."""
    numbers = find_numbers(sentence)
    skip = -1
    for i, number in enumerate(numbers):
        if number.span.start < skip:
            continue
        start = number.span.start
        if match := _VERB_BEFORE.match(number.text):
            start += match.end()
        end = _end_with_unit(sentence, number)
        for behind in numbers[i + 1 : i + 4]:
            if behind.span.start != end and not _RANGE.fullmatch(sentence[end : behind.span.start]):
                break
            skip = end = _end_with_unit(sentence, behind)
        text = sentence[start:end]
        around = sentence[max(start - 1, 0) : start] + sentence[end : end + 1]
        bare = text[-1].isdigit() or text.startswith("首") or re.search(r"(?:\d|^)[月日号]$", text)
        long_year = re.fullmatch(r"\d{3,}年|[二十九八]{1,3}大", text)  # 二十大 is a congress
        if not (bare or long_year or _AROUND_CODE.search(around)):
            yield Span(start, end), "number"


def _end_with_unit(sentence: str, number: Number) -> int:
    end = number.span.end
    if not number.unit and (match := _MORE_UNITS.match(sentence, end)):
        return match.end()
    return end


def _marked(sentence: str) -> list[tuple[Span, str]]:
    """Expressions known by their form, in order and apart from each other."""
    found = [(Span(*match.span()), "title") for match in _BOOK.finditer(sentence)]
    found += [(Span(*match.span()), "title") for match in _QUOTED.finditer(sentence)]
    found += [(span, "date") for span, _ in find_dates(sentence)]
    found += [(Span(*match.span()), "date") for match in _DAY.finditer(sentence)]
    found += list(_tidy_numbers(sentence))
    kept: list[tuple[Span, str]] = []
    for span, kind in sorted(found, key=lambda item: (item[0].start, -item[0].end)):
        if not kept or span.start >= kept[-1][0].end:
            kept.append((span, kind))
    return kept


def read_pieces(sentence: str) -> list[_Piece]:
    """The sentence as pieces, in order; what can be an answer carries its kind."""
    marks = _marked(sentence)
    pieces: list[_Piece] = []
    place = 0
    for span, kind in [*marks, (Span(len(sentence), len(sentence)), "")]:
        pieces += _words(sentence[place : span.start], place)
        if kind:
            flag = {"number": "m", "date": "t", "title": "nz"}[kind]
            pieces.append(_Piece(span.cut(sentence), flag, span.start, kind))
        place = span.end
    return _mark_persons(_join_places(_join_organisations(pieces)))


def _words(text: str, start: int) -> Iterator[_Piece]:
    """Words with their part of speech; names joined by · are one."""
    place = 0
    for match in _FOREIGN_NAME.finditer(text):
        # Its ends may have swallowed the words around it.
        head, _, tail = match.group().partition("·")
        *between, tail = tail.split("·")
        words = _cut(text[place : match.start()] + head)
        given = words.pop() if words else ""
        last = _name_length(_cut(tail))
        name = "·".join([given[0] if given else "", *between, tail[:last]])
        for word, flag in [*words, (name, "nr")]:
            yield _Piece(word, flag, start)
            start += len(word)
        place = match.end() - len(tail) + last
    for word, flag in _cut(text[place:]):
        yield _Piece(word, flag, start)
        start += len(word)


def _cut(text: str) -> list[tuple[str, str]]:
    return [(pair.word, pair.flag) for pair in jieba.posseg.cut(text)] if text else []


def _name_length(words: Sequence[tuple[str, str]]) -> int:
    """Characters of the last part of a foreign name: up to the first word of another sort."""
    length = 0
    for i, (word, flag) in enumerate(words):
        if i and (flag[0] in "pcud" or word in _SPEECH or (len(word) > 1 and flag[:2] != "nr")):
            break
        length += len(word)
    return length


def _join(pieces: Sequence[_Piece], flag: str, kind: str) -> _Piece:
    return _Piece("".join(piece.text for piece in pieces), flag, pieces[0].start, kind)


def _join_organisations(pieces: list[_Piece]) -> list[_Piece]:
    """Make one of the words of an organisation, as far left as nouns reach."""
    joined: list[_Piece] = []
    for piece in pieces:
        joined.append(piece)
        if piece.kind or not (piece.noun and _ORGANISATION.search(piece.text)):
            continue
        first = len(joined) - 1
        while (
            first > 0
            and joined[first - 1].kind in ("", "organisation")
            and joined[first - 1].flag in _ORGANISATION_PARTS
            and not _TITLE_OF_PERSON.search(joined[first - 1].text)
        ):
            first -= 1
        name = "".join(part.text for part in joined[first:])
        proper = 4 <= len(name) <= 24 and not _GENERIC.match(name)
        if (proper and not _NOT_IN_NAMES.search(name)) or name in _BARE_ORGANISATIONS:
            joined[first:] = [_join(joined[first:], "nt", "organisation")]
    return joined


def _join_places(pieces: list[_Piece]) -> list[_Piece]:
    """Make one of neighbouring place names, 江苏省 and 苏州市."""
    joined: list[_Piece] = []
    for piece in pieces:
        is_place = not piece.kind and _is_place(piece, joined[-1].text if joined else "")
        if is_place and joined and joined[-1].kind == "place":
            joined[-1] = _join([joined[-1], piece], "ns", "place")
        elif is_place:
            joined.append(replace(piece, kind="place"))
        else:
            joined.append(piece)
    return joined


def _is_place(piece: _Piece, before: str) -> bool:
    """The dictionary calls many a word a place; a suffix, a list or a preposition confirms it."""
    if piece.flag != "ns" or len(piece.text) < 2 or piece.text[0] in "外全各本":
        return False
    suffix = len(piece.text) > 2 and _PLACE_SUFFIX.search(piece.text)
    return bool(suffix) or piece.text in _KNOWN_PLACES or before in _PLACE_BEFORE


def _mark_persons(pieces: list[_Piece]) -> list[_Piece]:
    """Names that a title before, a verb of speech behind, or a · confirms."""
    marked = list(pieces)
    for i, piece in enumerate(pieces):
        if piece.flag not in ("nr", "nrt", "nrfg") or not 2 <= len(piece.text) <= 20:
            continue
        title = i > 0 and _TITLE_OF_PERSON.search(pieces[i - 1].text)
        speech = i + 1 < len(pieces) and pieces[i + 1].text in _SPEECH
        own = piece.text[0] in _SURNAMES and len(piece.text) <= 3
        opens = i == 0 or pieces[i - 1].text in _CLAUSE_END or pieces[i - 1].flag[0] in "nvpc"
        acts = i + 1 < len(pieces) and pieces[i + 1].flag[0] in "vdp"
        full = len(piece.text) == 3 and opens and acts
        if "·" in piece.text or (own and (title or speech or full)):
            marked[i] = replace(piece, flag="nr", kind="person")
    return marked


# --- answers and their wh-phrases ---


def find_candidates(pieces: Sequence[_Piece]) -> list[_Candidate]:
    """What a question may ask for in a sentence."""
    found = []
    for i, piece in enumerate(pieces):
        if piece.kind and _can_be_asked(pieces, i):
            found.append(_Candidate(i, i + 1, piece.kind, _wh_of(pieces, i)))
        if piece.text in _CUES and i > 0 and _rules_an_object(piece, pieces[i - 1]):
            found += _phrase_behind(pieces, i)
    return found


def _fit_to_be_answer(phrase: Sequence[_Piece], text: str) -> bool:
    if not 3 <= len(text) <= 36 or len(phrase) < 2:
        return False
    first = phrase[0]
    half_a_word = len(first.text) == 1 and first.noun  # 感 of 获得感
    if first.text in _PRONOUNS or first.flag[0] in "xuckgd" or half_a_word:
        return False
    return text.count("“") == text.count("”") and any(piece.noun for piece in phrase)


def _can_be_asked(pieces: Sequence[_Piece], i: int) -> bool:
    """Not 今年, which is no answer, nor one name of a list."""
    piece = pieces[i]
    if pieces[min(i + 1, len(pieces) - 1)].text in ("们", "大陆", "籍", "裔"):
        return False
    around = {p.text for p in pieces[max(i - 1, 0) : i + 2]}
    if piece.kind in ("person", "organisation", "place", "title"):
        return not around & _IN_LISTS
    return piece.text not in _RELATIVE


def _rules_an_object(cue: _Piece, before: _Piece) -> bool:
    weak = before.flag[0] in "dmc" and cue.text in ("是", "为", "成")
    verb = cue.flag[0] == "v" and cue.flag != "vn"
    return verb and not weak and before.text not in _NOT_BEFORE_CUE


def _phrase_behind(pieces: Sequence[_Piece], cue: int) -> list[_Candidate]:
    """The object of a cue verb, up to the end of the clause or of the list."""
    first = cue + 1
    while first < len(pieces) and pieces[first].text in ("了", "着", "过"):
        first += 1
    last = first
    while last < len(pieces) and pieces[last].text not in _CLAUSE_END:
        last += 1
    if last - first > 1 and pieces[last - 1].text in ("等", "的", "”", "“", "了"):
        last -= 1
    text = _text(pieces[first:last])
    if not _fit_to_be_answer(pieces[first:last], text):
        return []
    if pieces[cue].text in ("要求", "强调", "提出") and len(text) < 6:
        return []
    if "、" in text:
        return [_Candidate(first, last, "phrase", ("哪些", "什么", "哪些内容"))]
    head = pieces[last - 1]
    wh: tuple[str, ...] = ("什么",)
    if head.flag in ("n", "vn") and len(head.text) == 2 and last - first > 2:
        wh += tuple(ask + head.text for ask in ("什么", "怎样的", "什么样的"))
    return [_Candidate(first, last, "phrase", wh)]


def _wh_of(pieces: Sequence[_Piece], i: int) -> tuple[str, ...]:
    piece = pieces[i]
    before = pieces[i - 1].text if i else ""
    after = pieces[i + 1] if i + 1 < len(pieces) else None
    if piece.kind == "number":
        return _wh_of_number(piece.text)
    if piece.kind == "date":
        return _wh_of_date(piece.text)
    if piece.kind == "person":
        return (
            ("谁", "谁", "哪位", "哪个人", "什么人")
            if not before.endswith("记者")
            else ("谁", "哪位")
        )
    if piece.kind == "organisation":
        return _wh_of_organisation(piece.text)
    if piece.kind == "place":
        return _wh_of_place(piece.text, before, after)
    if piece.text.startswith("《"):
        return _wh_of_work(piece.text, before)
    return ("什么", "哪个") if after and after.noun else ("什么", "什么")


def _wh_of_work(text: str, before: str) -> tuple[str, ...]:
    if re.search(
        r"(?:条例|办法|规定|意见|通知|方案|规划|法|纲要|报告|公告|措施|通告)》?$", text.strip("》")
    ):
        return ("什么", "哪份文件", "什么文件")
    if re.search(r"电影|影片|电视剧|剧|片", before):
        return ("什么", "哪一部", "哪部作品")
    return ("什么", "哪本书", "什么书") if re.search(r"书|小说|著作|出版", before) else ("什么",)


_OF_TIME = {
    "年": "多少年",
    "天": "多少天",
    "小时": "多少小时",
    "分钟": "多少分钟",
    "个月": "多少个月",
}


def _wh_of_number(text: str) -> tuple[str, ...]:
    """多少家, 几家, 多久 and so on; a hedge may move into the question."""
    match = re.search(
        r"([^\d零一二两三四五六七八九十百千万亿多余.,几]*?)(?:以上|以下|以内|左右)?$", text
    )
    unit = match[1] if match else ""
    scale = "亿" if "亿" in text else "万" if "万" in text else ""
    if "第" in text:
        return (f"第几{unit}",)
    if unit in ("%", "‰", "个百分点", "百分点"):
        return ("多少", "百分之多少", "百分之几") if unit == "%" else (f"多少{unit}", "多少")
    if unit in _OF_TIME:
        return (f"多少{unit}", f"几{unit}", "多久", "多长时间")
    if unit == "岁":
        return ("多少岁", "几岁", "多大")
    if unit.endswith("元") or unit == "英镑":
        return (f"多少{unit}", f"多少{scale}{unit}", "多少钱", "多少")
    wh = [f"多少{unit}", f"多少{unit}", f"几{unit}" if unit and not scale else f"多少{scale}{unit}"]
    hedge = re.match(r"超过|超|不少于|不低于|近|逾|约", text)
    return (*wh, f"{hedge.group()}多少{unit}") if hedge else tuple(wh)


def _wh_of_date(text: str) -> tuple[str, ...]:
    usual = ("什么时候", "何时", "什么时间")
    if "日" in text:
        return (*usual, "哪一天", "哪天", "几月几日" if "月" in text else "几号", "几月几号")
    if "月" in text:
        return (*usual, "几月", "哪年哪月" if "年" in text else "哪个月")
    return (*usual[:2], "哪一年", "哪年", "哪一年")


_OF_ORGANISATION = (
    (r"公司|集团|工作室|事务所", ("哪家公司", "哪家企业", "哪个公司", "什么公司", "谁家")),
    (r"银行", ("哪家银行", "哪个银行", "哪家机构")),
    (r"大学|学院", ("哪所大学", "哪个学校", "哪所高校")),
    (r"小学|中学|幼儿园", ("哪所学校", "哪个学校")),
    (r"医院", ("哪家医院", "哪个医院")),
    (r"法院|检察院", ("哪个法院", "哪家法院", "哪个单位")),
    (r"协会|学会|联合会|商会|联盟|基金会", ("哪个协会", "哪个组织", "哪个机构")),
    (r"研究院|研究所", ("哪个研究院", "哪个机构", "哪家单位")),
    (r"局|部|委|委员会|办公室|总署|央行", ("哪个部门", "哪个单位", "哪个机构")),
)


def _wh_of_organisation(text: str) -> tuple[str, ...]:
    if text.endswith("检察院"):
        return ("哪个检察院", "哪个单位")
    for pattern, wh in _OF_ORGANISATION:
        if re.search(rf"(?:{pattern})$", text):
            return wh
    return ("哪个单位", "哪个机构", "哪家单位")


_COUNTRIES = _word_set(
    "俄罗斯 日本 印度 巴西 南非 澳大利亚 加拿大 意大利 西班牙 乌克兰 伊朗 以色列 埃及"
)


def _wh_of_place(text: str, before: str, after: _Piece | None) -> tuple[str, ...]:
    suffix = text[-1] if len(text) > 2 and _PLACE_SUFFIX.search(text) else ""
    if text[-1] == "国":
        suffix = "国"
    exact = {"国": "哪个国家", "村": "哪个村", "岛": "哪个岛", "湾": "哪里"}
    named = exact.get(suffix, f"哪个{suffix}" if suffix else "哪个地方")
    if before in _PLACE_BEFORE and not (after and after.noun):
        return ("哪里", "哪儿", "什么地方", named)
    named = "哪个国家" if text in _COUNTRIES else named
    return (named, "哪里的" if after and after.noun else named, named)


# --- the question ---


_OPENS_A_CLAUSE = _word_set(
    "随着 当 为了 经 对于 根据 由于 因 如果 虽然 尽管 自 自从 截至 针对 围绕 作为"
)


def _window(
    pieces: Sequence[_Piece], candidate: _Candidate, generator: random.Random
) -> tuple[int, int]:
    """The clause with the answer; a neighbouring one with it where it is short or by chance."""
    first, last = candidate.first, candidate.last
    while first > 0 and pieces[first - 1].text not in _CLAUSE_END:
        first -= 1
    while last < len(pieces) and pieces[last].text not in _CLAUSE_END:
        last += 1
    opens = pieces[first].text in _OPENS_A_CLAUSE or (
        pieces[last - 1].text in _SPEECH and generator.random() < 0.6
    )
    rest = sum(
        len(piece.text)
        for piece in (*pieces[first : candidate.first], *pieces[candidate.last : last])
    )
    if rest < 6 or opens or (rest < 16 and generator.random() < 0.25):
        if last + 1 < len(pieces) and (opens or first < 2 or generator.random() < 0.5):
            last += 1
            while last < len(pieces) and pieces[last].text not in _CLAUSE_END:
                last += 1
        elif first > 1:
            first -= 1
            while first > 0 and pieces[first - 1].text not in _CLAUSE_END:
                first -= 1
    return first, last


def _subject(pieces: Sequence[_Piece], before: int) -> list[_Piece]:
    """The noun phrase that opens the sentence before the clause asked about, if it has one."""
    place = 0
    while place < before and (pieces[place].flag[0] in "tcdpxm" or pieces[place].text in _PRONOUNS):
        place += 1
    found: list[_Piece] = []
    while place < before and (pieces[place].noun or pieces[place].text == "的"):
        found.append(pieces[place])
        place += 1
    verb = place < before and pieces[place].flag[0] in "vdp"
    text = "".join(piece.text for piece in found)
    return found if verb and 2 <= len(text) <= 18 and text[-1] != "的" else []


def _draft(pieces: Sequence[_Piece], candidate: _Candidate, generator: random.Random) -> _Draft:
    first, last = _window(pieces, candidate, generator)
    before, after = list(pieces[first : candidate.first]), list(pieces[candidate.last : last])
    subject = _subject(pieces, first)
    if subject and generator.random() < 0.7 and not any(p in before for p in subject):
        if before and before[0].text in _PRONOUNS:
            before = before[1:]
        before = [*subject, *before]
    return _Draft(tuple(before), generator.choice(candidate.wh), tuple(after), candidate.kind)


def _reduce(draft: _Draft, generator: random.Random) -> _Draft:
    """Drop adverbs, connectives, modifiers and a few words; at most to a drawn length."""
    low = generator.choice((0.0, 0.0, 0.04, 0.08))
    drop = {
        "v": low / 2,
        "d": 0.6,
        "c": 0.3,
        "t": 0.15,
        "m": 0.05,
        "a": 0.2,
        "b": 0.2,
        "p": 0.0,
        "u": 0.0,
        "x": 0.0,
    }

    def kept(pieces: Sequence[_Piece], near: int) -> tuple[_Piece, ...]:
        result = []
        for i, piece in enumerate(pieces):
            chance = drop.get(piece.flag[0], low)
            needed = piece.fixed or piece.text in _NEGATIONS or i == near
            if needed or generator.random() >= chance:
                result.append(piece)
        return tuple(result)

    before = list(kept(draft.before, len(draft.before) - 1))
    after = list(kept(draft.after, 0))
    limit = generator.randint(20, 38)
    while sum(len(p.text) for p in (*before, *after)) + len(draft.wh) > limit:
        loose = [(side, i) for side in (before, after) for i in _modifiers(side)]
        if not loose:
            break
        side, i = generator.choice(loose)
        del side[i : i + (2 if side[i + 1].text in ("的", "、", "，", "和") else 1)]
    while before and before[0].text in _LEADING_WORDS:
        del before[0]
    return replace(draft, before=tuple(before), after=tuple(after))


def _modifiers(pieces: Sequence[_Piece]) -> list[int]:
    """Where a piece can go and leave its clause whole: before a noun, 的 or 、."""
    return [
        i
        for i, (piece, behind) in enumerate(pairwise(pieces))
        if not piece.fixed
        and (piece.flag[0] in "djbtmaq" or piece.noun or piece.kind)
        and (behind.noun or behind.text in ("的", "、", "，") or piece.flag[0] in "dt")
    ]


def _reword(
    pieces: tuple[_Piece, ...], share: float, generator: random.Random
) -> tuple[_Piece, ...]:
    return tuple(
        replace(piece, text=generator.choice(_SYNONYMS[piece.text]))
        if piece.text in _SYNONYMS and not piece.fixed and generator.random() < share
        else piece
        for piece in pieces
    )


def _text(pieces: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _arrange(draft: _Draft, generator: random.Random) -> str:
    """The question in one of the orders that suit its kind, without its mark."""
    before, after = _text(draft.before).strip("，、；："), _text(draft.after).strip("，、；：")
    options = [before + draft.wh + after] * 2
    last = draft.before[-1] if draft.before else None
    joint = last is not None and (last.flag[0] in "pcu" or last.text in _PLACE_BEFORE)
    if draft.kind == "number":
        options += _number_orders(before, draft.wh, draft.after, last)
    elif draft.kind == "date":
        options += _date_orders(before, draft.wh, after, last)
    elif draft.kind in ("person", "organisation", "place") and not joint:
        options += _name_orders(before, draft.wh, after, last)
    elif draft.kind in ("phrase", "title") and not after and before and not joint:
        options += _object_orders(before, draft.wh, draft.before)
    return generator.choice(options)


def _number_orders(before: str, wh: str, after: Sequence[_Piece], last: _Piece | None) -> list[str]:
    nouns = 0
    while nouns < len(after) and after[nouns].noun:
        nouns += 1
    counted, rest = _text(after[:nouns]), _text(after[nouns:]).strip("，、；：的")
    if wh.startswith("第"):
        return []
    orders = []
    if counted and not rest and last is not None and last.text in ("了", "过"):
        orders += [f"{before[:-1]}的{counted}有{wh}", f"{before[:-1]}的{counted}一共{wh}"]
    if (
        counted
        and not rest
        and last is not None
        and last.flag[0] == "v"
        and last.text not in ("有", "是")
    ):
        orders += [f"{before}的{counted}有{wh}", f"{counted}{before}{wh}"]
    if counted and rest and not before:
        orders += [f"{rest}的{counted}有{wh}", f"有{wh}{counted}{rest}"]
    if last is not None and last.noun:
        orders += [f"{before}有{wh}{counted}{rest}"]
        orders += [] if after else [f"{before}是{wh}"]
    if not after and last is not None and last.flag[0] == "v":
        orders += [f"{before}了{wh}"] if last.text not in ("有", "是", "为", "约", "达") else []
    return orders


def _date_orders(before: str, wh: str, after: str, last: _Piece | None) -> list[str]:
    if last is not None and last.text in ("截至", "自", "到", "从", "至", "自从", "截止"):
        return []
    before = re.sub(r"[在于]$", "", before)
    after = re.sub(r"^[，、]?", "", after)
    whole = before + after
    return [wh + whole, f"{whole}是{wh}", f"{whole}的时间是{wh}", f"{whole}是在{wh}"]


def _name_orders(before: str, wh: str, after: str, last: _Piece | None) -> list[str]:
    orders = []
    titled = last is not None and (last.noun and bool(_TITLE_OF_PERSON.search(last.text)))
    if titled and wh in ("谁", "哪位", "哪个人", "什么人"):
        orders += [f"{before}是{wh}", f"{wh}是{before}"]
    if not before and after and after[0] != "的":
        orders += [f"{after}的是{wh}", f"是{wh}{after}"]
    if not after and last is not None and last.flag[0] == "v":
        orders += [f"{before}的是{wh}", f"{wh}是{before}的"]
    return orders


def _object_orders(before: str, wh: str, pieces: Sequence[_Piece]) -> list[str]:
    last = pieces[-1] if pieces else None
    if last is not None and last.text in ("是", "为", "成为", "叫"):
        topic = before[: -len(last.text)]
        named = all(piece.noun or piece.text == "的" for piece in pieces[:-1])
        return [f"什么是{topic}"] if named and 2 <= len(topic) <= 12 and wh == "什么" else []
    if last is not None and last.flag[0] == "v":
        return [f"{before}的是{wh}", f"{before}了{wh}" if "哪些" not in wh else f"{before}的有{wh}"]
    return []


def _keywords(draft: _Draft, generator: random.Random) -> str:
    words = [piece.text for piece in (*draft.before, *draft.after) if piece.content or piece.fixed]
    joint = generator.choice(("", " "))
    return joint.join([*words, draft.wh] if generator.random() < 0.8 else [draft.wh, *words])


def _clean(text: str) -> str:
    """Mend what dropping words leaves behind."""
    for opening, closing in ("“”", "《》", "（）", "‘’"):
        if text.count(opening) != text.count(closing):
            text = text.replace(opening, "").replace(closing, "")
    text = re.sub(r"“”|《》|[（(][^（()）]*[)）]?|[)）]", "", text)
    text = re.sub(r"([，、；：])[，、；：和与]+", r"\1", text)
    text = re.sub(r"的的+", "的", text)
    text = re.sub(r"是是|有有|了了|在在", lambda match: match.group()[0], text)
    text = re.sub(r"[，、；：]的?(?=是|有)", "", text)
    text = re.sub(r"(?<![成作称])为(?=什么|哪些)", "是", text)  # 为什么 asks for a reason
    return _TRAILING.sub("", _LEADING.sub("", text)).strip("，、；：。—… ")


def _finish(text: str, generator: random.Random, *, typos: bool) -> str:
    """Colloquial opening or ending, a typo now and then, the question mark."""
    if generator.random() < 0.08:
        text = generator.choice(_OPENINGS) + text
    if generator.random() < 0.07:
        text += generator.choice(_ENDINGS)
    if typos and generator.random() < _TYPO:
        text = with_typo(text, generator)
    mark = generator.choices(("？", "?", ""), (0.85, 0.05, 0.10))[0]
    return text + mark


def with_typo(text: str, generator: random.Random) -> str:
    """One character dropped, doubled or exchanged with its neighbour."""
    i = generator.randrange(len(text) - 1)
    how = generator.randrange(3)
    middle = (text[i + 1], text[i] * 2 + text[i + 1], text[i + 1] + text[i])[how]
    return text[:i] + middle + text[i + 2 :]


# --- near misses ---


@dataclass(slots=True)
class _Pool:
    """Names of each sort seen in earlier text."""

    names: dict[str, deque[str]] = field(default_factory=dict)

    def remember(self, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            sort = _sort_of(piece)
            if sort and len(piece.text) > 1:
                self.names.setdefault(sort, deque(maxlen=_POOL)).append(piece.text)

    def another(self, piece: _Piece, context: str, generator: random.Random) -> str | None:
        """A name of the same sort that neither the piece nor the context holds."""
        names = self.names.get(_sort_of(piece))
        for _ in range(6 if names else 0):
            name = generator.choice(names or ())
            if name not in context and not (set(name) <= set(piece.text) or piece.text in name):
                return name
        return None


def _sort_of(piece: _Piece) -> str:
    """Names of one sort can stand in each other's place."""
    if piece.kind == "place":
        return "place" + (piece.text[-1] if _PLACE_SUFFIX.search(piece.text) else "")
    if piece.kind == "organisation":
        return "organisation" + piece.text[-2:]
    if piece.kind == "title":
        return "title" + piece.text[0]
    return {"person": "person"}.get(piece.kind, "noun" if piece.flag == "n" else "")


def _other_date(text: str, generator: random.Random) -> str:
    """The date with another year, month or day."""
    if text in _RELATIVE:
        return _RELATIVE[text]
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return text
    match = generator.choice(numbers)
    most = {"年": 0, "月": 12, "日": 28}.get(text[match.end() : match.end() + 1], 28)
    if most:
        value = generator.randint(1, most)
    else:
        value = int(match.group()) + generator.choice((-5, -3, -2, -1, 1, 2, 3, 5))
    return text[: match.start()] + str(value) + text[match.end() :]


def _other_value(digits: str, generator: random.Random) -> str:
    value = int(digits)
    return str(max(1, value + generator.choice((-2, -1, 1, 2, 3, value, 10))))


def _replacement(
    piece: _Piece, context: str, pool: _Pool, exchangeable: bool, generator: random.Random
) -> str | None:
    """What to put for a piece so that the context no longer answers, or None."""
    if piece.kind == "date":
        other: str | None = _other_date(piece.text, generator)
    elif piece.kind == "number":
        other = re.sub(
            r"\d+", lambda match: _other_value(match.group(), generator), piece.text, count=1
        )
    elif piece.text in _OPPOSITES and piece.flag != "vn":
        other = generator.choice(_OPPOSITES[piece.text])
    elif piece.kind in ("place", "organisation", "person", "title") or exchangeable:
        other = pool.another(piece, context, generator)
    else:
        other = None
    return other if other and other not in context and other != piece.text else None


def _opens_predicate(behind: Sequence[_Piece]) -> bool:
    return bool(behind) and behind[0].flag in ("v", "d", "p")


def _exchange(
    draft: _Draft, context: str, pool: _Pool, generator: random.Random
) -> tuple[_Draft, str] | None:
    """The draft with one constraint exchanged for one that the context lacks."""
    pieces = [*draft.before, *draft.after]
    order = list(range(len(pieces)))
    generator.shuffle(order)
    order.sort(key=lambda i: not pieces[i].kind)  # names and dates before words
    for i in order:
        topic = pieces[i].flag == "n" and len(pieces[i].text) > 1 and generator.random() < 0.3
        exchangeable = topic and (i == len(draft.before) or _opens_predicate(pieces[i + 1 : i + 2]))
        other = _replacement(pieces[i], context, pool, exchangeable, generator)
        if other and pieces[i].text not in _text(pieces[:i] + pieces[i + 1 :]):
            pieces[i] = replace(pieces[i], text=other, fixed=True)
            cut = len(draft.before)
            return replace(draft, before=tuple(pieces[:cut]), after=tuple(pieces[cut:])), other
    return None


# --- the passage ---


def _passage(sentences: Sequence[Span], centre: int, generator: random.Random) -> Span | None:
    """Consecutive sentences around `centre`, up to a drawn length; None where too short."""
    wanted = generator.randint(_MIN_CONTEXT, _MAX_CONTEXT)
    first = last = centre
    while True:
        sides = []
        if first > 0 and sentences[last].end - sentences[first - 1].start <= _MAX_CONTEXT:
            sides.append("left")
        if (
            last + 1 < len(sentences)
            and sentences[last + 1].end - sentences[first].start <= _MAX_CONTEXT
        ):
            sides.append("right")
        length = sentences[last].end - sentences[first].start
        if length >= wanted or not sides:
            break
        if generator.choice(sides) == "left":
            first -= 1
        else:
            last += 1
    return (
        Span(sentences[first].start, sentences[last].end)
        if _MIN_CONTEXT <= length <= _MAX_CONTEXT
        else None
    )


class QuestionMaker:
    """Makes questions of article after article; names of earlier ones serve near misses.

    Args:
        seed: the same seed and articles give the same questions.
    """

    def __init__(self, seed: int = 0) -> None:
        self._generator = random.Random(seed)
        self._pool = _Pool()

    def make(self, article: str, most: int) -> list[MadeQuestion]:
        """At most `most` questions over one article, two a sentence at most."""
        sentences = split_sentences(article)
        order = [i for i, span in enumerate(sentences) if _usable(span.cut(article))]
        self._generator.shuffle(order)
        made: list[MadeQuestion] = []
        for i in order:
            if len(made) >= most:
                break
            pieces = read_pieces(sentences[i].cut(article))
            for candidate in self._choose(find_candidates(pieces)):
                if question := self._question(article, sentences, i, pieces, candidate):
                    made.append(question)
            self._pool.remember(pieces)
        return made[:most]

    def _choose(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """Up to two, of different kinds where there are."""
        chosen: list[_Candidate] = []
        while candidates and len(chosen) < 2:
            kinds = sorted({candidate.kind for candidate in candidates})
            kind = self._generator.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]
            chosen.append(self._generator.choice([c for c in candidates if c.kind == kind]))
            candidates = [c for c in candidates if c.kind != kind]
        return chosen

    def _question(
        self,
        article: str,
        sentences: Sequence[Span],
        i: int,
        pieces: Sequence[_Piece],
        candidate: _Candidate,
    ) -> MadeQuestion | None:
        generator = self._generator
        passage = _passage(sentences, i, generator)
        answer = _text(pieces[candidate.first : candidate.last])
        if passage is None or len(answer) > _MAX_ANSWER:
            return None
        draft = _draft(pieces, candidate, generator)
        if _hangs_in_the_air(draft) and generator.random() < 0.85:
            return None
        start = sentences[i].start + pieces[candidate.first].start - passage.start
        span: Span | None = Span(start, start + len(answer))
        context, exchanged = passage.cut(article), ""
        if generator.random() < _NEAR_MISS:
            elsewhere = generator.random() < _OTHER_PASSAGE
            swap = None if elsewhere else _exchange(draft, context, self._pool, generator)
            if swap:
                draft, exchanged = swap
                span = None
            elif other := self._other_passage(article, sentences, i, answer):
                context, span = other, None
        question = self._word(draft, answer, exchanged)
        return (
            MadeQuestion(question, context, span, candidate.kind, exchanged) if question else None
        )

    def _word(self, draft: _Draft, answer: str, exchanged: str) -> str | None:
        """The draft in words; None where no try is fit to be asked."""
        generator = self._generator
        for _ in range(_TRIES):
            worded = _reduce(draft, generator)
            share = generator.choice((0.0, 0.2, 0.5))
            worded = replace(
                worded,
                before=_reword(worded.before, share, generator),
                after=_reword(worded.after, share, generator),
            )
            brief = generator.random() < _KEYWORDS
            text = _clean(_keywords(worded, generator) if brief else _arrange(worded, generator))
            content = [p for p in (*worded.before, *worded.after) if p.content and p.text in text]
            told = any(piece.flag[0] in "va" for piece in content)
            if not told or len(content) < 2 or len(_text(content)) < 6 or len(text) < 4:
                continue
            text = _finish(text, generator, typos=not exchanged)
            fits = _MIN_QUESTION <= len(text) <= _MAX_QUESTION
            if fits and answer not in text and exchanged in text:
                return text
        return None

    def _other_passage(
        self, article: str, sentences: Sequence[Span], i: int, answer: str
    ) -> str | None:
        """A passage of the article that holds neither the sentence nor the answer."""
        far = [j for j in range(len(sentences)) if abs(j - i) > 1]
        for j in self._generator.sample(far, min(3, len(far))):
            passage = _passage(sentences, j, self._generator)
            apart = passage and not passage.start <= sentences[i].start < passage.end
            if passage and apart and answer.strip("《》“”") not in passage.cut(article):
                return passage.cut(article)
        return None


def _usable(sentence: str) -> bool:
    return 14 <= len(sentence) <= 180 and "？" not in sentence and not _JUNK.search(sentence)


def _hangs_in_the_air(draft: _Draft) -> bool:
    """Whether the question leans on something said before: 他, 该公司."""
    return any(piece.text in _PRONOUNS | _REPORTING for piece in (*draft.before, *draft.after))
