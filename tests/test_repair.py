"""Original text to readable text: lines joined, spaces dropped, nothing visible touched."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from corpus.repair import Repaired, repair

ARTICLES = Path(__file__).parent.parent / "corpus" / "articles"
FIVE_YEARS = (ARTICLES / "000_633663b307547015.txt").read_bytes().decode()
HALF_YEAR = (ARTICLES / "004_43073762742753e7.txt").read_bytes().decode()
REPAIRED = {"000": repair(FIVE_YEARS), "004": repair(HALF_YEAR)}

NEWS = [
    "2023-08-11 15:10，正文：中新网约翰内斯堡8月10日电 (记者 王曦)“中国-南非"
    "企业贸易对接会”10日举行。华硕无畏15i 2023、BAPE®联名款亮相。(完)",
    "原标题：上海警方追回一名 “红通人员”\u3000\u3000记者27日获悉。\u3000\u3000案件正在办理。",
    "\u3000\u3000第一段没有空行。\r\n\u3000\u3000第二段跟着。\r\n",
    "第一段。\u2028第二段。\x0b第三段。\x0c第四段。\x85第五段。",
    "零宽\u200b空格\ufeff与\u00ad软连字符\u200d都看不见，却不是空白。",
    "| 片区 | 企业 |\n|---|---|\n| 长沙 | 392 家 |\n\n- 第一条\n- 第二条\n  1. 子条\n",
    "Retrieval augmented generation is a method that combines search with a reader model so that\n"
    "answers can be checked. It was described by Lewis and others in 2020, and since then many\n"
    "systems have been built upon it, in research as well as in industry, for many languages\n"
    "other than English.\nChinese is one of them.",
    "𠮷野家 👨‍👩‍👧 表情 😀 与 生僻字 㐂",
    "，。！？",
    "a",
    "没有句号的一行" * 200,
    "\n\n \n\t\n单独一行\n\n\n",
    "”“”“（（（》》",
]


def _news() -> Iterator[str]:
    """300 lines of the news file that WENJU_NEWS names, where there is one."""
    path = os.environ.get("WENJU_NEWS")
    if path and Path(path).exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                if number % 50 == 0 and number < 15_000:
                    yield line


def _bare(text: str) -> str:
    return "".join(text.split())


def _paragraphs(repaired: Repaired) -> list[str]:
    return [paragraph.span.cut(repaired.text) for paragraph in repaired.paragraphs]


def _lines(text: str) -> list[str]:
    return _paragraphs(repair(text))


@pytest.mark.parametrize("lines_are_paragraphs", [False, True])
@pytest.mark.parametrize("original", [FIVE_YEARS, HALF_YEAR, *NEWS, *_news()])
def test_repair_only_drops_white_space_and_knows_where_every_character_stood(
    original: str, lines_are_paragraphs: bool
) -> None:
    repaired = repair(original, lines_are_paragraphs=lines_are_paragraphs)
    assert _bare(repaired.text) == _bare(original)
    assert len(repaired.offsets) == len(repaired.text)
    assert all(a < b for a, b in pairwise(repaired.offsets))
    for char, place in zip(repaired.text, repaired.offsets, strict=True):
        assert char == original[place] or (char in " \n" and original[place].isspace())


@pytest.mark.parametrize("original", [FIVE_YEARS, HALF_YEAR, *NEWS])
def test_paragraphs_are_separated_by_exactly_one_line_feed(original: str) -> None:
    repaired = repair(original)
    assert "\n".join(_paragraphs(repaired)) == repaired.text
    assert all(line and line == line.strip() and "\n" not in line for line in _paragraphs(repaired))


def test_a_text_without_visible_characters_has_no_paragraphs() -> None:
    assert repair(" \n\u3000\r\n") == repair("")
    assert repair("").paragraphs == ()


# --- what extraction did to the seed articles ----------------------------------------------------


@pytest.mark.parametrize(
    ("article", "whole"),
    [
        ("000", "如何在国际竞争中开辟发展新领域新赛道、塑造发展新动能新优势？"),
        ("000", "园区，致力于打造中部地区最大“半导体+绿色智能计算”基地"),
        ("000", "货流、资金流、信息流交换能级大幅提升"),
        ("000", "有色产业规模以上企业产值149亿元，同比增长65%"),
        ("000", "……5年来，这片119.76平方公里"),
        ("000", "5年间，形成三批制度创新成果共109项"),
        ("000", "知识产权保护等领域。其中，51项为全国首创"),
        ("000", "吸引392家再制造维修企业入驻，帮助企业节约成本4700余万元"),
        ("000", "成为全省首家“保税维修+ERP”联网企业"),
        ("000", "“简、快、全”特色服务体系”“一件事一次办”"),
        ("000", "湖南（长沙）涉外中央法务区"),
        ("000", "“发展新质生产力是推动高质量发展的内在要求和重要着力点”。"),
        ("000", "产业链上下游集群发展态势。"),
        ("000", "中国（湖南）自由贸易试验区"),
        ("000", "中非经贸合作促进创新示范园。"),
        ("004", "破解了土地供应不足下开发园区"),
        ("004", "核心零部件研发、技术总部中心、科技港"),
        ("004", "打造湖南首个审批权限全集中改革案例"),
        ("004", "办理时限从2天变为即时办结"),
        ("004", "中国(湖南)自由贸易试验区"),
        ("004", "质量检测 and 定价团体标准"),
        ("004", "人才智交流活动"),
        ("004", "“政策宣讲 直播服务零距离”"),
    ],
)
def test_words_and_numbers_cut_by_the_page_are_whole_again(article: str, whole: str) -> None:
    assert any(whole in line for line in _paragraphs(REPAIRED[article]))


@pytest.mark.parametrize(
    ("article", "line"),
    [
        ("000", "张笛"),
        ("000", "——中国（湖南）自由贸易试验区建设五周年工作综述"),
        ("000", "从单点突破到系统集成，耕耘制度创新试验田"),
        ("000", "从分散布局到聚势成群，锻造现代化产业新标杆"),
        ("000", "从内陆腹地到开放前沿，构建双循环格局强引擎"),
        ("000", "遇自贸区 创新促开放"),
        ("000", "①湖南自贸试验区大拱门。"),
        ("000", "中非经贸合作促进创新示范园。刘勇 摄"),
        ("000", "2020年，中国（湖南）自由贸易试验区正式挂牌设立，涵盖长沙、岳阳、郴州三大片区。"),
        ("004", "熊远帆 黄姿"),
        ("004", "“获批半年，长沙片区加速前行。”"),
        ("004", "山河智能首台电动智能挖掘机下线。"),
        ("004", "蹄疾步稳，筑梦自贸"),
        ("004", "——湖南自贸试验区长沙片区长沙经开区区块半年建设成果扫描"),
        ("004", "“从企业中来，到企业中去”，探索特色化创新案例"),
        ("004", "“深耕试验田”，总结可复制可推广经验"),
        ("004", "三一智联重卡项目。曾诗怡 摄"),
        ("004", "蓝思科技生产车间。(企业供图)"),
        ("004", "自贸标识。蒋炼 摄"),
    ],
)
def test_headings_captions_and_names_stay_apart_from_the_body(article: str, line: str) -> None:
    assert line in _paragraphs(REPAIRED[article])


@pytest.mark.parametrize("article", ["000", "004"])
def test_no_paragraph_of_a_seed_article_ends_inside_a_sentence(article: str) -> None:
    cut = [line for line in _paragraphs(REPAIRED[article]) if line[-1] in "，、（《“和的与及"]
    assert cut == []


# --- the same rules on other texts ---------------------------------------------------------------

COLUMN = """本报讯在市中心的老街上，每天清晨都
会响起清脆的铃声。修车师傅王建国已经
在这里守了三十年，修过的自行车超过 1.2
万辆。他 说 ，只 要 还 有 人 骑 车 ，自 己 就 不
收摊。
手艺与坚守
街坊们把他的小摊叫作“老街修车站”，
下雨天也常有人来。去年，社区给他换了新
的遮阳棚。"""


def test_a_column_is_unwrapped_and_its_heading_left_alone() -> None:
    assert _lines(COLUMN) == [
        "本报讯在市中心的老街上，每天清晨都会响起清脆的铃声。修车师傅王建国已经在这里守了三十年，"
        "修过的自行车超过1.2万辆。他说，只要还有人骑车，自己就不收摊。",
        "手艺与坚守",
        "街坊们把他的小摊叫作“老街修车站”，下雨天也常有人来。去年，社区给他换了新的遮阳棚。",
    ]


def test_blank_lines_after_every_line_mean_nothing() -> None:
    assert _lines(COLUMN.replace("\n", "\n\n")) == _lines(COLUMN)


def test_blank_lines_between_some_lines_are_paragraphs() -> None:
    spaced = COLUMN.replace("收摊。\n", "收摊。\n\n").replace("坚守\n", "坚守\n\n")
    assert _lines(spaced) == _lines(COLUMN)


def test_ideographic_indents_open_paragraphs_even_where_the_line_above_is_full() -> None:
    text = (
        "\u3000\u3000清晨的老街，铃声清脆，师傅开张\n早，顾客也来得早，说说笑笑很热闹。\n"
        "\u3000\u3000到了中午，太阳升高，街上安静下\n来，只有几只猫在墙根下打盹歇晌。\n"
        "\u3000\u3000傍晚收摊，一天的零钱装进铁盒。"
    )
    assert [line[:2] for line in _lines(text)] == ["清晨", "到了", "傍晚"]


def test_paragraph_signs_inside_one_line_split_it() -> None:
    assert _lines("第一段。\u3000\u3000第二段。") == ["第一段。", "第二段。"]


def test_ordinary_web_text_keeps_its_lines() -> None:
    text = "老街修车人\n作者：李明\n\n王建国守着小摊三十年。\n街坊都认识他。\n\n手艺\n他说不难。"
    assert _lines(text) == [line for line in text.split("\n") if line]


def test_a_sentence_cut_by_the_page_is_joined_over_a_blank_line() -> None:
    first = "长长的一段话说明了事情的来龙去脉，也交代了各方的看法，其中既有赞成的意见，也有反对的声"
    assert _lines(f"{first}\n\n音，需要慢慢听取。\n\n下一段。")[0] == first + "音，需要慢慢听取。"


def test_lists_and_tables_keep_their_rows() -> None:
    rows = ["- 第一条", "- 第二条", "1. 甲", "2. 乙", "一、总则", "（二）范围", "| 甲 | 乙 |"]
    assert _lines("\n".join(rows)) == rows


def test_wrapped_english_gets_its_spaces_back() -> None:
    text = next(text for text in NEWS if text.startswith("Retrieval"))
    assert "so that answers can be checked." in repair(text).text
    assert "languages other than English." in repair(text).text


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("超 5.4万家", "超5.4万家"),
        ("长沙 18 号工厂", "长沙18号工厂"),
        ("占比超 80% 以上", "占比超80%以上"),
        ("5G AI 区块链", "5G AI 区块链"),
        ("检测 and 定价", "检测 and 定价"),
        ("熊远帆 黄姿", "熊远帆 黄姿"),
        ("张 笛", "张笛"),
        ("张\u3000笛", "张笛"),
        ("记者 张 笛 报道", "记者 张笛 报道"),
        ("春风送暖 万象更新", "春风送暖 万象更新"),
        ("园 区 ，致 力 于 打 造", "园区，致力于打造"),
        ("最 大“ 半 导 体", "最大“半导体"),
        ("结束。 开始", "结束。开始"),
        ("长沙\t392\t家", "长沙 392 家"),
        ("# 标题", "# 标题"),
        ("Hello,  world (again)", "Hello, world (again)"),
        ("（全角）与(半角)", "（全角）与(半角)"),
    ],
)
def test_spaces_of_justification_go_and_the_authors_stay(printed: str, read: str) -> None:
    assert repair(printed).text == read


def test_a_number_cut_in_two_is_joined_without_a_space() -> None:
    assert "5400余万元" in repair(COLUMN.replace("超过 1.2\n万辆", "收入54\n00余万元")).text


def test_lines_that_are_paragraphs_are_never_joined() -> None:
    assert [*_paragraphs(repair("没有句号\n下一段，", lines_are_paragraphs=True))] == [
        "没有句号",
        "下一段，",
    ]


def test_a_paragraph_below_a_larger_gap_than_usual_is_set_off() -> None:
    repaired = repair("甲。\n\n乙。\n\n丙。\n\n\n\n丁。\n\n戊。")
    assert [paragraph.set_off for paragraph in repaired.paragraphs] == [False] * 3 + [True, False]
