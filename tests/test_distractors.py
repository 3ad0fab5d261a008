"""Further articles beside the test documents: how they are read, added and reported."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from assemble import built_chatbot
from errors import TestSetError
from eval.case import Case
from eval.distractors import distraction_table, measure_distraction, read_articles, steps
from eval.paired import Trial
from qa.chatbot import Chatbot
from settings import Settings

HARBOUR = (
    "临江港三号码头于2024年扩建，总投资46亿元。扩建之后，港口一次可以停靠六艘货轮。"
    "值班调度员说，这是入冬以来最忙的一周。"
)
CASE = Case(
    "n-1",
    "临江港三号码头扩建总投资多少亿元？",
    "number",
    True,
    ("46亿元",),
    evidence=(("harbour.txt", "总投资46亿元"),),
)
FOREIGN = [f"第{n}届龙舟赛在江边开赛，共有{n}支队伍参加，冠军是{n}号艇。" for n in range(2, 32)]


def written(tmp_path: Path, lines: Sequence[str]) -> Path:
    path = tmp_path / "news.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_each_line_is_an_article_and_empty_lines_are_none(tmp_path: Path) -> None:
    path = written(tmp_path, ["第一篇。", "", "  ", "第二篇。"])
    assert list(read_articles(path)) == ["第一篇。", "第二篇。"]


def test_of_a_news_line_the_body_is_the_article(tmp_path: Path) -> None:
    path = written(tmp_path, ["[ 2024-05-01 09：00 ] ，正文：江边开赛。", "，正文："])
    assert list(read_articles(path)) == ["江边开赛。"]


def test_a_mark_inside_the_body_cuts_nothing(tmp_path: Path) -> None:
    line = "长文。" * 200 + "正文：见下页。"
    assert list(read_articles(written(tmp_path, [line]))) == [line]


def test_a_compressed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "news.txt.gz"
    path.write_bytes(gzip.compress("一。\n二。".encode()))
    assert list(read_articles(path)) == ["一。", "二。"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("none.txt", None, id="missing"),
        pytest.param("cut.txt.gz", gzip.compress("一篇文章。".encode())[:-9], id="cut short"),
        pytest.param("plain.txt.gz", "一篇。".encode(), id="not compressed"),
        pytest.param("other.txt", "一篇。".encode("gb18030"), id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        tmp_path.joinpath(name).write_bytes(data)
    with pytest.raises(TestSetError) as caught:
        list(read_articles(tmp_path / name))
    assert "无法读取干扰文章" in caught.value.user_message


@pytest.mark.parametrize(
    ("most", "wanted"),
    [
        (None, [0, 1000, 17000]),
        (0, [0]),
        (30, [0, 30]),
        (1000, [0, 1000]),
        (5000, [0, 1000, 5000]),
        (20000, [0, 1000, 17000, 20000]),
    ],
)
def test_the_steps_end_at_the_most_that_was_asked_for(most: int | None, wanted: list[int]) -> None:
    assert steps(most) == wanted


class Builds:
    """Opens one index again and again; remembers what each build had to do."""

    def __init__(self, folder: Path) -> None:
        self.settings = replace(Settings(), index_dir=str(folder / "index"))
        self.documents: list[int] = []
        self.embedded: list[int] = []

    @contextmanager
    def open(self, paths: Sequence[Path]) -> Iterator[Chatbot]:
        totals = [0]
        with built_chatbot(
            self.settings, paths, embed_progress=lambda _, total: totals.append(total)
        ) as chatbot:
            self.documents.append(len(chatbot.documents()))
            self.embedded.append(totals[-1])
            yield chatbot


@dataclass(frozen=True)
class Measured:
    trials: list[Trial]
    builds: Builds


def measured(folder: Path, lines: Sequence[str], most: int | None) -> Measured:
    builds = Builds(folder)
    documents, articles = folder / "documents", folder / "articles"
    documents.mkdir()
    articles.mkdir()
    documents.joinpath("harbour.txt").write_text(HARBOUR, "utf-8")
    source = written(folder, lines)
    trials = measure_distraction([CASE], [documents], source, articles, builds.open, most=most)
    return Measured(trials, builds)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return measured(tmp_path_factory.mktemp("foreign"), FOREIGN, 30)


def test_thirty_articles_are_added_to_the_documents(foreign: Measured) -> None:
    assert [one.label for one in foreign.trials] == ["0", "30"]
    assert foreign.builds.documents == [1, 31]


def test_what_was_embedded_is_not_embedded_again(foreign: Measured) -> None:
    assert foreign.builds.embedded == [1, 30]


def test_articles_on_another_matter_leave_the_answer_right(foreign: Measured) -> None:
    assert [one.right for one in foreign.trials] == [{"n-1": True}, {"n-1": True}]
    assert "新对 0 错 0" in distraction_table(foreign.trials)


def test_articles_that_say_nearly_the_same_push_the_evidence_down(tmp_path: Path) -> None:
    alike = [
        f"临江港三号码头扩建总投资{n}亿元，扩建总投资多少亿元已有定论。" for n in range(50, 80)
    ]
    recalls = [
        figure.value
        for one in measured(tmp_path, alike, 30).trials
        for figure in one.figures
        if figure.name == "recall_at_5"
    ]
    assert recalls == [1.0, 0.0]


def test_a_file_with_fewer_articles_gives_as_many_as_there_are(tmp_path: Path) -> None:
    got = measured(tmp_path, FOREIGN[:7], None)
    assert [one.label for one in got.trials] == ["0", "7"]
    assert got.builds.documents == [1, 8]


def test_a_file_without_an_article_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(TestSetError) as caught:
        measured(tmp_path, ["", " "], None)
    assert "没有文章" in caught.value.user_message
    assert not (tmp_path / "index").exists()
