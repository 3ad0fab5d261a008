"""One part changed at a time: what is changed, and what the table says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assemble import built_chatbot, settings_in
from corpus.load import article_from_bytes
from corpus.repair import unrepaired
from corpus.split import split_article
from errors import ModelError, SettingsError
from eval.ablation import Variant, ablation_table, compare_variants, variants
from eval.case import Case
from eval.figures import Figure
from eval.metrics import is_verbatim
from eval.paired import SHOWN, Trial, paired
from qa.chatbot import Chatbot
from qa.ranker import UNREAD
from schema import Answer
from settings import SEED_ARTICLES, Settings

SANY = "004_43073762742753e7.txt"
PARKS = "000_633663b307547015.txt"
CASES = [
    Case(
        "n-1",
        "三一科学城总投资多少亿元？",
        "number",
        True,
        ("180亿元",),
        evidence=((SANY, "总投资180亿元"),),
    ),
    Case(
        "n-2",
        "吸引了多少家再制造维修企业入驻？",
        "number",
        True,
        ("392家",),
        evidence=((PARKS, "吸引392家再制造维修企业入驻"),),
    ),
    Case("u-1", "月球背面的平均温度是多少？", "unanswerable", False, ()),
]
CHOSEN = {variant.name: variant for variant in variants()}


@contextmanager
def opened(variant: Variant, folder: Path) -> Iterator[Chatbot]:
    settings = settings_in(folder, Settings(), variant.changes)
    with built_chatbot(settings, [SEED_ARTICLES]) as chatbot:
        yield chatbot


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("indexes")


@pytest.fixture(scope="module")
def trials(folder: Path) -> list[Trial]:
    missing = Variant("embedder", "没有的模型", {"model": str(folder / "no-model")}, True)
    chosen = [*CHOSEN.values(), missing]
    return compare_variants(chosen, CASES, lambda variant: opened(variant, folder))


def test_every_part_has_its_turn_and_the_shipped_system_the_first() -> None:
    assert list(CHOSEN) == [
        "shipped",
        "dense",
        "words",
        "bigrams",
        "reciprocal_rank",
        "no_second_look",
        "no_repair",
        "no_reader",
    ]
    assert CHOSEN["shipped"].changes == {}


def test_another_embedder_is_tried_where_one_is_named() -> None:
    assert variants("models/other")[-1].changes == {"model": "models/other"}


@pytest.mark.parametrize("variant", variants("models/other")[1:], ids=lambda one: one.name)
def test_every_variant_changes_the_settings(variant: Variant) -> None:
    assert Settings().changed(variant.changes) != Settings()


@pytest.mark.parametrize("variant", variants("models/other"), ids=lambda one: one.name)
def test_only_what_needs_an_index_of_its_own_gets_one(variant: Variant, tmp_path: Path) -> None:
    shipped = settings_in(tmp_path, Settings(), {}).index_dir
    own = settings_in(tmp_path, Settings(), variant.changes).index_dir
    assert (own != shipped) == variant.own_index


@pytest.mark.parametrize("changes", [{"colour": "red"}, {"repair": "no"}, {"retrieval": {"x": 1}}])
def test_a_change_of_what_is_no_setting_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings().changed(changes)
    assert "改动的设置" in caught.value.user_message


def test_without_a_reader_sentences_are_ranked_unread(folder: Path) -> None:
    with opened(CHOSEN["no_reader"], folder) as chatbot:
        (finding,) = chatbot.trace(CASES[0].question).findings
    assert {one.features["reader"] for one in finding.ranked} == {UNREAD}
    assert all(not one.spans for one in finding.ranked)


def test_without_repair_the_index_holds_the_lines_as_extracted(folder: Path) -> None:
    with opened(CHOSEN["no_repair"], folder) as chatbot:
        article = chatbot.article(SANY)
    assert article is not None
    lines = [line.strip() for line in article.original.splitlines()]
    assert article.text.split("\n") == [line for line in lines if line]


def test_without_repair_every_citation_still_stands_at_its_offsets(folder: Path) -> None:
    with opened(CHOSEN["no_repair"], folder) as chatbot:
        replies = [chatbot.ask(case.question).reply for case in CASES[:2]]
        cited = [one for reply in replies if isinstance(reply, Answer) for one in reply.citations]
        assert cited
        for citation in cited:
            article = chatbot.article(citation.doc)
            assert article is not None
            assert is_verbatim(article.original, citation.span, citation.quote)


@pytest.mark.parametrize(
    "original",
    [
        pytest.param("  第一行 有空格\r\n\r\n\t第二行\u2028第三 行。  \n", id="spaces and breaks"),
        pytest.param("没有换行", id="one line"),
        pytest.param("\n \n", id="nothing"),
        pytest.param("𠮷野家\n\n图 王 旭 摄\x0c下一页", id="page end"),
    ],
)
def test_unrepaired_text_maps_every_character_to_its_place(original: str) -> None:
    got = unrepaired(original)
    assert len(got.text) == len(got.offsets)
    assert list(got.offsets) == sorted(set(got.offsets))
    assert re.sub(r"\s", "", got.text) == re.sub(r"\s", "", original)
    for char, place in zip(got.text, got.offsets, strict=True):
        assert char == original[place] or (char == "\n" and original[place].isspace())
    assert [p.span.cut(got.text) for p in got.paragraphs] == got.text.split("\n")[: len(got.text)]


def test_unrepaired_articles_can_be_split_and_quoted() -> None:
    for name in (SANY, PARKS):
        data = SEED_ARTICLES.joinpath(name).read_bytes()
        article = article_from_bytes(name, data, 2026, mend=False)
        for chunk in split_article(article, 180):
            for sentence in chunk.sentences:
                place = article.original_span(sentence.span)
                assert is_verbatim(article.original, place, sentence.span.cut(article.text))


def test_repair_is_on_unless_it_is_turned_off() -> None:
    data = SEED_ARTICLES.joinpath(SANY).read_bytes()
    mended = article_from_bytes(SANY, data, 2026)
    assert mended == article_from_bytes(SANY, data, 2026, mend=True)
    assert mended.text != article_from_bytes(SANY, data, 2026, mend=False).text


def test_each_variant_asks_every_question(trials: list[Trial]) -> None:
    assert [one.name for one in trials] == [*CHOSEN, "embedder"]
    assert all(set(one.right) == {"n-1", "n-2", "u-1"} for one in trials[:-1])


def test_the_shipped_system_answers_as_it_always_does(
    trials: list[Trial], seed_chatbot: Chatbot
) -> None:
    assert trials[0].right == {"n-1": True, "n-2": True, "u-1": True}


def test_a_variant_that_cannot_be_opened_says_why_and_the_others_go_on(trials: list[Trial]) -> None:
    assert trials[-1].failure
    assert "没有比成" in ablation_table(trials)


def test_a_failure_of_the_first_one_ends_it(folder: Path) -> None:
    missing = Variant("embedder", "没有的模型", {"model": str(folder / "no-model")}, True)
    with pytest.raises(ModelError):
        compare_variants([missing], CASES, lambda variant: opened(variant, folder))


def trial_of(label: str, right: int, of: int) -> Trial:
    """The first `right` of so many questions are right; the figures are not looked at."""
    figures = tuple(Figure(name, name, 0.5, 0.25, 0.75, of, "rate") for name, _ in SHOWN[:-1])
    time = Figure("latency_p50", "", 61.4, 60.0, 63.0, of, "milliseconds")
    marks = {f"q{number}": number < right for number in range(of)}
    return Trial(label, label, (*figures, time), marks)


def test_the_table_tells_the_difference_with_its_interval_and_p() -> None:
    # Ten of twenty lost, none won: 2 / 2^10 = 0.00195.
    table = ablation_table([trial_of("现状", 20, 20), trial_of("改过", 10, 20)])
    assert "50.0%（25%–75%）" in table
    assert "61 毫秒" in table
    assert re.search(r"-50\.0 点（-\d\d\.\d 至 -\d\d\.\d），新对 0 错 10，p = 0\.002 \*", table)


def test_a_difference_that_chance_explains_bears_no_star() -> None:
    # Two lost: 2 / 2^2 = 0.5.
    line = ablation_table([trial_of("现状", 20, 20), trial_of("改过", 18, 20)]).split("\n")[2]
    assert line.endswith("p = 0.500")


def test_the_columns_of_the_table_stand_under_each_other() -> None:
    table = ablation_table([trial_of("现状", 20, 20), trial_of("一种长得多的做法", 18, 20)])
    rows = table.split("\n")[1:3]
    wide = [row.encode("gb18030").index(b"50.0%") for row in rows]
    assert wide[0] == wide[1]


def test_a_record_of_a_trial_names_the_questions_that_changed() -> None:
    first, second = trial_of("现状", 4, 5), trial_of("改过", 3, 5)
    record = second.record(first)
    assert (record["newly_wrong"], record["newly_right"]) == (["q3"], [])
    assert record["figures"]["answer_right"]["value"] == 0.5
    assert record["p"] == 1.0


def test_only_questions_asked_both_times_are_compared() -> None:
    change = paired({"a": True, "b": True, "c": False}, {"b": False, "c": True, "d": True})
    assert (change.lost, change.won, change.count) == (("b",), ("c",), 2)
    assert (change.before, change.after) == (1, 1)
