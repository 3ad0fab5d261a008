"""Roles of blocks, and title, by-line and date of an article."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.load import article_from_bytes
from corpus.metadata import is_names, latest_year, parse_date
from schema import Article, BlockKind

ARTICLES = Path(__file__).parent.parent / "corpus" / "articles"


def _seed(name: str) -> Article:
    return article_from_bytes(name, (ARTICLES / name).read_bytes(), this_year=2026)


FIVE_YEARS = _seed("000_633663b307547015.txt")
HALF_YEAR = _seed("004_43073762742753e7.txt")


def _article(text: str, doc: str = "a.txt") -> Article:
    return article_from_bytes(doc, text.encode(), this_year=2026)


def _kinds(article: Article) -> dict[str, BlockKind]:
    return {block.span.cut(article.text): block.kind for block in article.blocks}


def _of_kind(article: Article, kind: BlockKind) -> list[str]:
    return [block.span.cut(article.text) for block in article.blocks if block.kind == kind]


@pytest.mark.parametrize("article", [FIVE_YEARS, HALF_YEAR], ids=["000", "004"])
def test_blocks_cover_the_text_and_are_separated_by_one_line_feed(article: Article) -> None:
    lines = [block.span.cut(article.text) for block in article.blocks]
    assert "\n".join(lines) == article.text
    assert not any("\n" in line for line in lines)
    assert "".join(article.text.split()) == "".join(article.original.split())


@pytest.mark.parametrize("article", [FIVE_YEARS, HALF_YEAR], ids=["000", "004"])
def test_every_block_is_found_again_at_its_place_in_the_original(article: Article) -> None:
    for block in article.blocks:
        quoted = article.original_span(block.span).cut(article.original)
        assert "".join(quoted.split()) == "".join(block.span.cut(article.text).split())


def test_a_scattered_article_gets_its_headline_back() -> None:
    assert FIVE_YEARS.title == "遇自贸区 创新促开放"
    assert FIVE_YEARS.subtitle == "——中国（湖南）自由贸易试验区建设五周年工作综述"
    assert FIVE_YEARS.byline == "张笛"
    assert (FIVE_YEARS.date, FIVE_YEARS.date_inferred) == ("2025", True)


def test_headings_and_captions_at_the_end_are_recognised() -> None:
    assert _of_kind(FIVE_YEARS, "heading") == [
        "从单点突破到系统集成，耕耘制度创新试验田",
        "从分散布局到聚势成群，锻造现代化产业新标杆",
        "从内陆腹地到开放前沿，构建双循环格局强引擎",
    ]
    assert _of_kind(FIVE_YEARS, "caption") == [
        "①湖南自贸试验区大拱门。 长沙经开区管委会供图",
        "②岳阳城陵矶国际集装箱码头。 岳阳临港高新区供图",
        "③山河智能部分产品。 长沙经开区管委会供图",
        "中非经贸合作促进创新示范园。刘勇 摄",
    ]


def test_a_headline_inside_the_body_is_recognised() -> None:
    assert HALF_YEAR.title == "蹄疾步稳，筑梦自贸"
    assert HALF_YEAR.subtitle == "——湖南自贸试验区长沙片区长沙经开区区块半年建设成果扫描"
    assert HALF_YEAR.byline == "熊远帆、黄姿"
    assert (HALF_YEAR.date, HALF_YEAR.date_inferred) == ("2021", True)


def test_captions_and_pull_quotes_inside_the_body_are_apart_from_it() -> None:
    assert _of_kind(HALF_YEAR, "pull_quote") == ["“获批半年，长沙片区加速前行。”"]
    assert _of_kind(HALF_YEAR, "caption") == [
        "山河智能首台电动智能挖掘机下线。",
        "三一智联重卡项目。曾诗怡 摄",
        "长沙经开区政务服务中心大厅。蒋炼 摄",
        "2020年10月9日，山河智能遥控挖掘机全球首次批量发货。(企业供图)",
        "蓝思科技生产车间。(企业供图)",
        "俯瞰长沙经开区。舒展 摄",
        "自贸标识。蒋炼 摄",
        "铁建重工盾构机生产现场。蒋炼 摄",
    ]


def test_section_headings_inside_the_body_are_recognised() -> None:
    assert _of_kind(HALF_YEAR, "heading") == [
        "“从企业中来，到企业中去”，探索特色化创新案例",
        "政策“腾笼换鸟”，平台建设+产业链招商助力“三高四新”",
        "“深耕试验田”，总结可复制可推广经验",
    ]


# --- other documents -----------------------------------------------------------------------------

BRIDGE = """长江大桥今日通车
——双向六车道 全长五公里
本报记者 李明 王芳
2020-10-01 08:30

　　今天上午，长江大桥正式通车。大桥总投资30亿元。
　　市长说：“这座桥改变了两岸。”

工程难点

　　据介绍，桥墩最深处达80米，2030年将建成第二座。
　　图为大桥全景。新华社记者 王全超 摄

（责任编辑：赵静）
"""


def test_an_ordinary_news_page() -> None:
    article = _article(BRIDGE)
    assert list(_kinds(article).values()) == [
        *("title", "subtitle", "byline", "date", "body", "body"),
        *("heading", "body", "caption", "byline"),
    ]
    assert (article.title, article.byline) == ("长江大桥今日通车", "李明、王芳")
    assert (article.date, article.date_inferred) == ("2020-10-01", False)


def test_markdown_headings_lists_and_tables() -> None:
    article = _article(
        "# 考勤办法\n\n## 一、总则\n\n本办法适用于全体员工。\n\n- 迟到要登记。\n\n| 年假 | 5天 |\n",
        "a.md",
    )
    assert article.title == "考勤办法"
    assert list(_kinds(article).values()) == ["title", "heading", "body", "body", "body"]


def test_a_poem_has_its_poet_and_whole_sentences() -> None:
    article = _article("静夜思\n李白\n床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。")
    assert (article.title, article.byline) == ("静夜思", "李白")
    assert _of_kind(article, "body") == ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"]


def test_rows_of_a_table_are_not_headings() -> None:
    article = _article("产品名称\n数量\n价格\n苹果\n30\n5.5\n香蕉\n20\n4.0")
    assert set(_kinds(article).values()) == {"body"}
    assert article.title is None


def test_a_dialogue_is_body_and_a_lone_quotation_a_pull_quote() -> None:
    lone = _article("第一段说事。\n“一句摘出来的话。”\n第二段说事。\n第三段说事。")
    spoken = _article("他来了。\n“你吃了吗？”\n“我吃过了。”\n“那就走吧。”\n他们走了。")
    assert _of_kind(lone, "pull_quote") == ["“一句摘出来的话。”"]
    assert _of_kind(spoken, "pull_quote") == []


def test_html_metadata_wins_over_guesses() -> None:
    page = (
        '<meta name="publishdate" content="2024-05-06"><meta name="author" content="张笛">'
        "<h1>五年报告</h1><h2>成果</h2><p>2023年，贸易额增长一成。</p>"
    )
    article = _article(page, "a.html")
    assert (article.title, article.byline, article.date) == ("五年报告", "张笛", "2024-05-06")
    assert list(_kinds(article).values()) == ["title", "heading", "body"]


@pytest.mark.parametrize(
    ("text", "date", "inferred"),
    [
        ("2023-08-11 15:10，正文：中新网杭州8月11日电 正文。", "2023-08-11", False),
        ("[ 2023-07-28 16：40 ] ，正文：人民网柏林7月28日电。", "2023-07-28", False),
        ("来源：新华网 | 2023年07月20日11:12，正文：据报道。", "2023-07-20", False),
        ("07-25 09:40，正文：财联社7月25日讯。", None, False),
        ("本报长沙3月30日讯（记者 李明）2021年签约仪式举行。", "2021-03-30", True),
        ("本报长沙3月30日讯（记者 李明）签约仪式举行。", None, False),
        ("2020年挂牌，2021年签约。到2023年，企业不少于20家。", "2021", True),
        ("力争2030年前达峰，2019年已经启动。", "2019", True),
        ("2098年的故事发生在月球。", None, False),
        ("没有任何年份的一段话。", None, False),
        ("正文一段。\n\n办公室\n2022年5月6日", "2022-05-06", False),
        ("2022年2月30日\n这一天并不存在。", None, False),
    ],
)
def test_the_date_is_read_or_inferred_but_never_made_up(
    text: str, date: str | None, inferred: bool
) -> None:
    article = _article(text)
    assert (article.date, article.date_inferred) == (date, inferred)


@pytest.mark.parametrize(
    ("line", "byline"),
    [
        ("张 笛", "张笛"),
        ("记者张三 李四", "张三、李四"),
        ("文/王小明", "王小明"),
        ("作者：鲁迅", "鲁迅"),
        ("通讯员 李明 记者 王芳", "李明、王芳"),
        ("湖南日报全媒体记者 张三 通讯员 李四", "张三、李四"),
        ("责任编辑：张三", None),
    ],
)
def test_names_are_read_from_bylines(line: str, byline: str | None) -> None:
    article = _article(f"老街修车人的故事\n{line}\n他在这里守了三十年。")
    assert article.byline == byline
    assert [block.kind for block in article.blocks] == ["title", "byline", "body"]


@pytest.mark.parametrize(
    ("opening", "byline"),
    [
        ("中新网杭州8月11日电(鲍晓妮)8月11日，开幕。", "鲍晓妮"),
        ("湖北日报讯 （记者张辉、通讯员郑轩）会议召开。", "张辉、郑轩"),
        ("【环球网报道 见习记者 徐嘉莅】据报道。", "徐嘉莅"),
        ("（记者从上海获悉）会议召开。", None),
    ],
)
def test_names_are_read_from_a_dateline(opening: str, byline: str | None) -> None:
    assert _article(opening).byline == byline


def test_words_that_begin_like_a_name_are_no_names() -> None:
    assert not is_names("高新技术")
    assert not is_names("安全生产")
    assert is_names("欧阳修 王安石")


def test_dates_to_the_day_or_the_month() -> None:
    assert parse_date("发布时间：2023/8/1") == "2023-08-01"
    assert parse_date("2023年8月") == "2023-08"
    assert parse_date("2023年") is None


def test_a_year_ahead_of_this_one_is_no_date() -> None:
    assert latest_year("2026年上半年", not_after=2025) is None
    assert latest_year("2026年上半年", not_after=2026) == "2026"
