"""Draft test sets made from documents by rule."""

from __future__ import annotations

import csv
import json
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from corpus.load import discover, read_article
from corpus.split import split_article
from errors import TestSetError, WenjuError
from eval.draft import Document, draft_cases
from eval.metrics import locate
from eval.sets import load_set
from eval.write import write_set
from schema import Article, Block, Sentence, Span
from settings import SEED_ARTICLES, Settings


def document(*texts: str, doc: str = "a.txt", title: str | None = None) -> Document:
    """One paragraph of sentences."""
    text = "".join(texts)
    spans, at = [], 0
    for one in texts:
        spans.append(Span(at, at + len(one)))
        at += len(one)
    article = Article(
        doc, "0", text, text, array("I", range(at)), (Block("body", Span(0, at)),), title=title
    )
    return article, [Sentence(span, "body") for span in spans]


def drafted(*texts: str, title: str | None = None, most: int = 100) -> list[dict[str, Any]]:
    return draft_cases([document(*texts, title=title)], most, seed=1)


def asked(text: str, kind: str) -> list[tuple[str, list[str]]]:
    """Questions of one kind from one sentence; each kind may be what is chosen from it."""
    found = []
    for seed in range(30):
        for row in draft_cases([document(text)], 10, seed):
            if row["type"] == kind:
                found.append((row["question"], row["answers"]))
    return [one for at, one in enumerate(found) if one not in found[:at]]


@pytest.fixture(scope="module")
def seeds() -> list[Document]:
    sources, _ = discover([SEED_ARTICLES])
    articles = [read_article(source) for source in sources]
    size = Settings().split.max_chars
    return [
        (one, [sentence for chunk in split_article(one, size) for sentence in chunk.sentences])
        for one in articles
    ]


class TestQuestions:
    @pytest.mark.parametrize(
        ("sentence", "question", "answers"),
        [
            (
                "宜昌港区新增泊位超25个，吞吐能力提高。",
                "宜昌港区新增泊位多少个？",
                ["25个", "超25个"],
            ),
            ("烟台高新区有6家医院。", "烟台高新区有几家医院？", ["6家"]),
            ("大连港口的出口额达到38.5亿元。", "大连港口的出口额是多少亿元？", ["38.5亿元"]),
            ("柳州高新区产值增长12%。", "柳州高新区产值增长百分之多少？", ["12%"]),
        ],
    )
    def test_a_number_becomes_the_question_for_it(
        self, sentence: str, question: str, answers: list[str]
    ) -> None:
        assert (question, answers) in asked(sentence, "number")

    @pytest.mark.parametrize(
        ("sentence", "question", "answer"),
        [
            (
                "2019年，遵义机场新航站楼投入使用。",
                "遵义机场新航站楼投入使用是在哪一年？",
                "2019年",
            ),
            (
                "遵义机场于2019年5月启用新航站楼。",
                "遵义机场于哪一年的哪个月启用新航站楼？",
                "2019年5月",
            ),
        ],
    )
    def test_a_date_becomes_the_question_for_it(
        self, sentence: str, question: str, answer: str
    ) -> None:
        assert (question, [answer]) in asked(sentence, "date")

    @pytest.mark.parametrize(
        ("sentence", "question", "answer"),
        [
            ("绵阳高新区引进航空企业32家。", "哪个高新区引进航空企业32家？", "绵阳高新区"),
            (
                "2021年，华远集团收购了南江水泥厂。",
                "2021年，哪家公司收购了南江水泥厂？",
                "华远集团",
            ),
        ],
    )
    def test_a_name_before_a_verb_becomes_the_question_for_it(
        self, sentence: str, question: str, answer: str
    ) -> None:
        assert (question, [answer]) in asked(sentence, "entity")

    @pytest.mark.parametrize(
        "sentence",
        [
            pytest.param("该港区新增泊位25个。", id="leans on the sentence before"),
            pytest.param("去年宜昌港区新增泊位25个。", id="leans on the day of printing"),
            pytest.param("宜昌港区新增泊位20至25个。", id="a range"),
            pytest.param("宜昌港区第3届年会闭幕。", id="an ordinal"),
            pytest.param("宜昌港区新增泊位25个了吗？", id="a question itself"),
            pytest.param("泊位新增25个。", id="says of nothing"),
            pytest.param("在宜昌港区新增25个泊位的过程中，没有停工。", id="half a statement"),
        ],
    )
    def test_a_sentence_that_gives_no_question_of_its_own_gives_none(self, sentence: str) -> None:
        assert asked(sentence, "number") == []

    def test_what_names_nothing_is_asked_with_the_title(self) -> None:
        (row,) = drafted("新增泊位25个。", title="江边的新港")
        assert row["question"] == "《江边的新港》一文中，新增泊位多少个？"


class TestNearMisses:
    def rows(self, *documents: Document) -> list[dict[str, Any]]:
        return [
            row
            for seed in range(30)
            for row in draft_cases(documents, 40, seed)
            if not row["answerable"]
        ]

    SENTENCES = (
        "2022年，宜昌港区新增泊位25个。",
        "2022年，宜昌港区装卸货物3000吨。",
        "2022年，宜昌港区投入吊机16台。",
        "2022年，宜昌港区培训工人900名。",
        "2021年和2023年没有新增。",
    )

    def test_a_year_is_exchanged_for_one_that_the_document_does_not_name(self) -> None:
        rows = self.rows(document(*self.SENTENCES))
        years = {row["question"][:5] for row in rows if "宜昌" in row["question"]}
        assert years == {"2020年"}

    def test_a_place_is_exchanged_for_another_of_its_level(self) -> None:
        rows = self.rows(document(*self.SENTENCES))
        places = {row["question"][6:8] for row in rows if "宜昌" not in row["question"]}
        assert places
        assert not places & {"宜昌", "湖北", "日本"}

    def test_a_near_miss_is_hard_and_has_neither_answer_nor_evidence(self) -> None:
        row = self.rows(document(*self.SENTENCES))[0]
        assert (row["answers"], row["evidence"], row["difficulty"]) == ([], [], "hard")
        assert "换成了" in row["note"]

    def test_what_another_document_names_is_used_last_and_told(self) -> None:
        every_year = "、".join(f"{year}年" for year in range(2015, 2030))
        rows = self.rows(document(*self.SENTENCES), document(every_year, doc="b.txt"))
        year_rows = [row for row in rows if row["question"].startswith("2020年")]
        assert year_rows
        assert all("别的文档提到过“2020年”" in row["note"] for row in year_rows)


class TestTheSeedArticles:
    def test_every_row_is_marked_as_a_draft_for_a_person(self, seeds: list[Document]) -> None:
        rows = draft_cases(seeds, 12, seed=1)
        assert len(rows) >= 10
        assert all(row["draft"] is True for row in rows)
        assert all(row["note"].startswith("草稿：") for row in rows)
        assert all("请人工核对" in row["note"] for row in rows)

    def test_the_evidence_stands_in_the_original_and_holds_the_answer(
        self, seeds: list[Document]
    ) -> None:
        originals = {article.doc: article.original for article, _ in seeds}
        for row in draft_cases(seeds, 40, seed=2):
            for item in row["evidence"]:
                assert locate(originals[item["doc"]], item["text"])
                assert row["answers"][-1] in item["text"]

    def test_no_question_gives_its_answer_away(self, seeds: list[Document]) -> None:
        for row in draft_cases(seeds, 40, seed=3):
            assert not any(answer in row["question"] for answer in row["answers"])

    def test_the_rows_spread_over_documents_and_kinds(self, seeds: list[Document]) -> None:
        rows = draft_cases(seeds, 8, seed=4)
        docs = Counter(row["evidence"][0]["doc"] for row in rows if row["evidence"])
        assert set(docs) == {article.doc for article, _ in seeds}
        assert len({row["type"] for row in rows}) >= 3
        assert sum(not row["answerable"] for row in rows) <= 2

    def test_the_same_seed_gives_the_same_rows(self, seeds: list[Document]) -> None:
        assert draft_cases(seeds, 12, seed=5) == draft_cases(seeds, 12, seed=5)
        assert draft_cases(seeds, 12, seed=5) != draft_cases(seeds, 12, seed=6)

    @pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
    def test_a_draft_for_an_office_worker_reads_back_as_the_same_set(
        self, seeds: list[Document], tmp_path: Path, suffix: str
    ) -> None:
        rows = draft_cases(seeds, 40, seed=7)
        write_set(tmp_path / "draft.jsonl", rows, "没有题目")
        write_set(tmp_path / f"draft{suffix}", rows, "没有题目")
        wanted, got = load_set(tmp_path / "draft.jsonl"), load_set(tmp_path / f"draft{suffix}")
        assert got.cases == wanted.cases
        assert got.drafts == wanted.drafts == len(rows)
        assert got.faults == wanted.faults == ()


class TestFiles:
    ROWS = (
        {
            "id": "draft-001",
            "question": "气温最低多少度？",
            "type": "number",
            "answerable": True,
            "answers": ["-5℃", "=零下5度"],
            "evidence": [{"doc": "a.txt", "text": "最低-5℃。"}],
            "draft": True,
            "note": "草稿：请人工核对",
        },
    )

    def test_a_row_whose_note_was_cleared_is_no_draft_any_more(self, tmp_path: Path) -> None:
        path = tmp_path / "draft.csv"
        write_set(path, self.ROWS, "没有题目")
        path.write_text(path.read_text("utf-8-sig").replace("草稿：请人工核对", ""), "utf-8")
        assert load_set(path).drafts == 0

    def test_a_cell_is_never_a_formula_and_reads_back_unchanged(self, tmp_path: Path) -> None:
        for name in ("draft.csv", "draft.xlsx"):
            write_set(tmp_path / name, self.ROWS, "没有题目")
            assert load_set(tmp_path / name).cases[0].answers == ("-5℃", "=零下5度")
        with (tmp_path / "draft.csv").open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        sheet = load_workbook(tmp_path / "draft.xlsx").active
        assert not any(cell.startswith(("=", "-", "+", "@")) for cell in cells)
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)

    def test_json_lines_hold_the_rows_as_they_are(self, tmp_path: Path) -> None:
        write_set(tmp_path / "draft.jsonl", self.ROWS, "没有题目")
        assert json.loads((tmp_path / "draft.jsonl").read_text("utf-8")) == self.ROWS[0]

    def test_no_rows_or_another_suffix_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TestSetError):
            write_set(tmp_path / "draft.csv", [], "没有题目")
        with pytest.raises(TestSetError) as caught:
            write_set(tmp_path / "draft.doc", self.ROWS, "没有题目")
        assert ".xlsx" in caught.value.user_message

    def test_a_folder_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(WenjuError) as caught:
            write_set(tmp_path / "none" / "draft.csv", self.ROWS, "没有题目")
        assert "路径不存在" in caught.value.user_message
        assert list(tmp_path.iterdir()) == []
