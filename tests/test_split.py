"""Sentences and chunks."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.load import article_from_bytes
from corpus.split import split_article, split_sentences
from schema import Article

ARTICLES = Path(__file__).parent.parent / "corpus" / "articles"


def _article(text: str, doc: str = "a.txt") -> Article:
    return article_from_bytes(doc, text.encode(), this_year=2026)


def _sentences(text: str) -> list[str]:
    return [span.cut(text) for span in split_sentences(text)]


SEEDS = [
    article_from_bytes(path.name, path.read_bytes(), 2026)
    for path in sorted(ARTICLES.glob("*.txt"))
]
BRIDGE = _article(
    "长江大桥通车\n——全长五公里 双向六车道\n李明 王芳\n\n大桥今天通车。总投资30亿元。\n\n"
    "工程难点\n\n桥墩最深处达80米。\n江水很急。\n\n大桥全景。赵静 摄\n\n市民很高兴。"
)
OTHERS = [
    BRIDGE,
    _article("2023-08-01，正文：" + "没有标点的长句" * 60 + "。" + "短句。" * 50),
    _article("“不配对的引号，说个没完。后面还有一句！（括号也没有关上。最后一句？"),
    _article("，。！？\n……\n”"),
    _article("a"),
]


def _news() -> Iterator[Article]:
    """300 lines of the news file that WENJU_NEWS names, where there is one."""
    path = os.environ.get("WENJU_NEWS")
    if path and Path(path).exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                if number % 50 == 0 and number < 15_000:
                    yield _article(line)


@pytest.mark.parametrize(
    "sentences",
    [
        ["第一句。", "第二句！", "第三句？"],
        ["他说：“走吧。”", "然后他走了。"],
        ["“走吧。”他说。", "然后他走了。"],
        ["“我们统计了漏点。马上维修。”居民们告诉记者。", "第二天修好了。"],
        ["他喊：“来人！快！”", "没有人来。"],
        ["“打一口价的都是穷人。”", "还有人称：“不对。”"],
        ["增长10.6%，达到7673.7亿元。", "另有5.4万家。"],
        ["见 No.1 展厅 www.example.com/a?b=c。", "版本 v1.2 发布！"],
        ["电影《你好！李焕英》上映。", "票房很高。"],
        ["湖南（含长沙。及其他）增长。", "下降的有两家。"],
        ["真的吗？！", "真的……"],
        ["在“简、快、全”体系”“一件事”引领下发展。", "不靠海。"],
        ["“没有关上的引号说了一句。", "后面照样分句。"],
        ["人才、金融、科技……据悉，安排6亿元。", "完。"],
        ["委托改授权；派驻改内设；多枚改一枚。", "效率提高。"],
        ["It costs 3.5 dollars.", "Mr. Smith paid it.", "He left."],
    ],
    ids=lambda sentences: sentences[0][:12],
)
def test_sentences_are_whole_statements(sentences: list[str]) -> None:
    separator = " " if sentences[0].isascii() else ""
    assert _sentences(separator.join(sentences)) == sentences


def test_a_very_long_sentence_is_cut_at_semicolons() -> None:
    clause = "一" * 50
    assert _sentences(f"{clause}；{clause}；{clause}。") == [f"{clause}；{clause}；", f"{clause}。"]


def test_an_unclosed_quotation_does_not_swallow_the_rest() -> None:
    assert len(_sentences("他说：“" + "话很长。" * 30)) == 30


def test_a_closed_but_endless_quotation_is_cut_inside() -> None:
    assert len(_sentences("“" + "话说得很长。" * 40 + "”他走了。")) > 30


def test_marks_without_words_belong_to_a_neighbour() -> None:
    assert _sentences("……好。”") == ["……好。”"]
    assert _sentences("") == []
    assert _sentences("。！") == ["。！"]


@pytest.mark.parametrize("max_chars", [1, 60, 180])
@pytest.mark.parametrize("article", [*SEEDS, *OTHERS, *_news()])
def test_chunks_are_exact_slices_and_their_sentences_lie_inside_in_order(
    article: Article, max_chars: int
) -> None:
    chunks = split_article(article, max_chars)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    position = 0
    for chunk in chunks:
        assert chunk.text == chunk.span.cut(article.text)
        assert chunk.sentences[0].span.start == chunk.span.start >= position
        assert chunk.sentences[-1].span.end == chunk.span.end
        for sentence in chunk.sentences:
            assert position <= sentence.span.start < sentence.span.end
            position = sentence.span.end


@pytest.mark.parametrize("article", [*SEEDS, *OTHERS, *_news()])
def test_every_visible_character_is_in_one_sentence_and_quotable(article: Article) -> None:
    sentences = [s for chunk in split_article(article, 180) for s in chunk.sentences]
    covered = "".join(sentence.span.cut(article.text) for sentence in sentences)
    bare = "".join(article.text.split())
    lead = bare.partition("正文：")[0] + "正文：" if "正文：" in bare[:70] else ""
    assert lead + "".join(covered.split()) == bare
    for sentence in sentences:
        quoted = article.original_span(sentence.span).cut(article.original)
        assert "".join(quoted.split()) == "".join(sentence.span.cut(article.text).split())


@pytest.mark.parametrize("article", [*SEEDS, *OTHERS])
def test_a_chunk_is_longer_than_allowed_only_if_it_is_one_sentence(article: Article) -> None:
    for chunk in split_article(article, 100):
        is_one = len(chunk.sentences) == 1 or chunk.sentences[0].kind != "body"
        assert len(chunk.text) <= 100 or is_one


@pytest.mark.parametrize("article", [*SEEDS, *OTHERS])
def test_body_never_shares_a_chunk_with_another_kind(article: Article) -> None:
    for chunk in split_article(article, 180):
        kinds = {sentence.kind for sentence in chunk.sentences}
        assert kinds == {"title", "subtitle"} or len(kinds) == 1


def test_chunks_carry_title_heading_and_role_as_context() -> None:
    assert [(chunk.context, chunk.text) for chunk in split_article(BRIDGE, 180)] == [
        ("标题", "长江大桥通车\n——全长五公里 双向六车道"),
        ("长江大桥通车｜——全长五公里 双向六车道｜作者 记者 署名", "李明 王芳"),
        ("长江大桥通车", "大桥今天通车。总投资30亿元。"),
        ("长江大桥通车｜小标题", "工程难点"),
        ("长江大桥通车｜工程难点", "桥墩最深处达80米。\n江水很急。"),
        ("长江大桥通车｜图片说明 照片 摄影 供图", "大桥全景。赵静 摄"),
        ("长江大桥通车｜工程难点", "市民很高兴。"),
    ]


def test_headings_that_stand_behind_their_body_head_nothing() -> None:
    body = [c for c in split_article(SEEDS[0], 180) if c.sentences[0].kind == "body"]
    assert {chunk.context for chunk in body} == {"遇自贸区 创新促开放"}


def test_a_date_before_the_text_is_not_part_of_its_first_sentence() -> None:
    article = _article("2023-08-01 15:10，正文：大桥通车。市民高兴。")
    assert split_article(article, 180)[0].text == "大桥通车。市民高兴。"
    assert article.date == "2023-08-01"


def test_a_chunk_ends_with_its_paragraph_rather_than_inside_the_next() -> None:
    article = _article("甲" * 59 + "。\n" + "乙" * 39 + "。" + "丙" * 39 + "。")
    assert [len(chunk.text) for chunk in split_article(article, 120)] == [60, 80]


def test_text_without_any_stop_is_cut_into_quotable_pieces() -> None:
    spans = split_sentences("中" * 5000)
    assert max(len(span) for span in spans) <= 600
    assert sum(len(span) for span in spans) == 5000


def test_white_space_behind_the_last_sentence_is_no_sentence() -> None:
    assert _sentences("大桥通车。市民高兴。 \n") == ["大桥通车。", "市民高兴。"]
