"""Questions made by rule: the answer stands at its span, near misses ask for what is not there."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from train.made_questions import (
    KINDS,
    MadeQuestion,
    QuestionMaker,
    find_candidates,
    read_articles,
    read_pieces,
    split_sentences,
    with_typo,
)

ARTICLES = (
    "2021年3月，青石市成立了海岚重工有限公司，总投资超5.4亿元。该项目由市政府推动。公司董事长王建国表示，"
    "去年新增就业岗位1200余个，同比增长12.5%。南溪县农业局发布了《山地茶园管理办法》，要求茶农做好防冻准备。"
    "“春芽”计划在浙江省启动，首批企业包括茶叶加工厂、包装材料厂、物流中心。8月15日，海岚重工有限公司在北京举行发布会，"
    "介绍了新型采茶机器人的性能。",
    "2019年6月，白塔市建设了云岭机械有限公司，投资近3.2亿元。公司总经理李明华介绍，工厂有员工800多名，生产农业机械。"
    "北桥县水利局公布了《河道清淤方案》，覆盖河道36条。“清流”行动在江苏省开展，参加的人员有教师、学生、医生。"
    "7月2日，云岭机械有限公司在上海召开年会，发布了新型水泵。去年，公司出口产品增加了15%，利润达到2000万元。",
)


def made(seed: int = 0, rounds: int = 60) -> list[MadeQuestion]:
    maker = QuestionMaker(seed)
    return [q for _ in range(rounds) for article in ARTICLES for q in maker.make(article, 6)]


MADE = made()


def answers(sentence: str, kind: str) -> list[str]:
    pieces = read_pieces(sentence)
    return [
        "".join(piece.text for piece in pieces[candidate.first : candidate.last])
        for candidate in find_candidates(pieces)
        if candidate.kind == kind
    ]


def asked(sentence: str, answer: str) -> tuple[str, ...]:
    pieces = read_pieces(sentence)
    return next(
        c.wh
        for c in find_candidates(pieces)
        if c.kind != "phrase" and pieces[c.first].text == answer
    )


def test_the_answer_is_what_its_span_cuts_from_the_context() -> None:
    sentence_answers = {
        "".join(piece.text for piece in pieces[candidate.first : candidate.last])
        for article in ARTICLES
        for span in split_sentences(article)
        for pieces in [read_pieces(span.cut(article))]
        for candidate in find_candidates(pieces)
    }
    found = {q.answer.cut(q.context) for q in MADE if q.answer}
    assert len(found) > 15
    assert found <= sentence_answers


def test_no_question_holds_its_answer() -> None:
    assert not [q for q in MADE if q.answer and q.answer.cut(q.context) in q.question]


def test_questions_answers_and_contexts_keep_to_their_lengths() -> None:
    for q in MADE:
        assert 6 <= len(q.question) <= 40
        assert 60 <= len(q.context) <= 320
        assert q.answer is None or 1 <= len(q.answer) <= 60
        assert q.kind in KINDS


def test_a_context_is_whole_sentences_of_the_article() -> None:
    for q in MADE:
        article = next(article for article in ARTICLES if q.context in article)
        start = article.index(q.context)
        assert start in {span.start for span in split_sentences(article)}
        assert start + len(q.context) in {span.end for span in split_sentences(article)}


def test_contexts_vary_in_length_and_in_where_the_answer_stands() -> None:
    assert len({len(q.context) for q in MADE}) > 5
    assert len({q.answer.start * 10 // len(q.context) for q in MADE if q.answer}) > 5


def test_a_near_miss_asks_for_something_that_its_context_lacks() -> None:
    exchanged = [q for q in MADE if q.exchanged]
    assert len(exchanged) > 20
    for q in exchanged:
        assert q.answer is None
        assert q.exchanged in q.question
        assert q.exchanged not in q.context


def test_about_a_third_of_the_questions_are_near_misses() -> None:
    assert 0.25 < sum(q.answer is None for q in MADE) / len(MADE) < 0.45


def test_the_same_seed_gives_the_same_questions_and_another_seed_others() -> None:
    assert made(3, rounds=3) == made(3, rounds=3)
    assert made(3, rounds=3) != made(4, rounds=3)


def test_no_more_questions_are_made_than_asked_for() -> None:
    assert len(QuestionMaker(0).make(ARTICLES[0], 1)) <= 1


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("青石市去年新增企业超5.4万家。", "超5.4万家"),
        ("合作社去年卖出苹果4700余万斤。", "4700余万斤"),
        ("茶园面积占全县的40%以上。", "40%以上"),
        ("公司利润达到2000万元。", "2000万元"),
        ("红灯时间是2分43秒。", "2分43秒"),
        ("气温在15至20度之间。", "15至20度"),
    ],
)
def test_a_number_keeps_its_unit_and_hedge(sentence: str, answer: str) -> None:
    assert answers(sentence, "number") == [answer]


def test_codes_and_scores_are_no_numbers() -> None:
    assert answers("海岚重工(600123.SH)以3:1获胜。", "number") == []


def test_names_and_titles_are_whole() -> None:
    sentence = "南溪县农业局发布了《山地茶园管理办法》。"
    assert answers(sentence, "organisation") == ["南溪县农业局"]
    assert answers(sentence, "title") == ["《山地茶园管理办法》"]
    assert answers("教授安娜·科瓦奇表示支持。", "person") == ["安娜·科瓦奇"]


def test_a_list_behind_a_verb_is_one_answer() -> None:
    sentence = "首批企业包括茶叶加工厂、包装材料厂、物流中心。"
    assert "茶叶加工厂、包装材料厂、物流中心" in answers(sentence, "phrase")


@pytest.mark.parametrize(
    ("sentence", "answer", "wh"),
    [
        ("青石市新增企业120家。", "120家", "多少家"),
        ("这是第三届茶博会。", "第三届", "第几届"),
        ("王建国表示，工厂将扩建。", "王建国", "谁"),
        ("海岚重工有限公司发布了新品。", "海岚重工有限公司", "哪家公司"),
        ("大会8月15日开幕。", "8月15日", "几月几日"),
        ("大会在北京举行。", "北京", "哪里"),
    ],
)
def test_the_wh_phrase_fits_the_answer(sentence: str, answer: str, wh: str) -> None:
    assert wh in asked(sentence, answer)


def test_one_name_of_a_list_is_not_asked_for() -> None:
    assert answers("大会在北京、上海举行。", "place") == []


def test_a_typo_drops_doubles_or_moves_one_character() -> None:
    seen = {with_typo("甲乙", random.Random(seed)) for seed in range(30)}
    assert seen == {"乙", "甲甲乙", "乙甲"}


@pytest.mark.parametrize("name", ["news.txt", "news.txt.gz"])
def test_articles_are_read_from_behind_the_date_with_or_without_compression(
    tmp_path: Path, name: str
) -> None:
    text = "2023-01-02，正文：山报1月2日电（记者 木林）茶园 丰收。\n\n，正文：Open  AI 发布。\n"
    lines = text.encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
    assert list(read_articles(path)) == ["茶园丰收。", "Open AI发布。"]
