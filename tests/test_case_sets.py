"""Test sets of every form, read into cases; what cannot be read is named and left out."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook

from errors import TestSetError
from eval import sets
from eval.case import Case, CaseSet
from eval.sets import load_set
from schema import Turn

ROW = {
    "id": "a-1",
    "question": "三一科学城总投资多少亿元？",
    "type": "number",
    "answerable": True,
    "answers": ["180亿元"],
    "evidence": [{"doc": "park.txt", "text": "总投资180亿元"}],
}


def lines(tmp_path: Path, *rows: object) -> CaseSet:
    path = tmp_path / "set.jsonl"
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(text, "utf-8")
    return load_set(path)


def case(tmp_path: Path, **changes: object) -> Case:
    return lines(tmp_path, ROW | changes).cases[0]


def faults(read: CaseSet) -> list[tuple[str, str]]:
    return [(fault.place, fault.reason) for fault in read.faults]


class TestJsonLines:
    def test_a_case_is_read_with_its_gold(self, tmp_path: Path) -> None:
        read = case(tmp_path, keypoints=["180亿元"])
        assert (read.answers, read.keypoints) == (("180亿元",), ("180亿元",))
        assert read.evidence == (("park.txt", "总投资180亿元"),)

    def test_a_history_is_read_as_turns(self, tmp_path: Path) -> None:
        said = [
            {"role": "user", "content": "甲厂在哪？"},
            {"role": "assistant", "content": "乙市。"},
        ]
        read = case(tmp_path, history=said)
        assert read.history == (Turn("user", "甲厂在哪？"), Turn("assistant", "乙市。"))

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            pytest.param("{", "不是合法的 JSON", id="broken"),
            pytest.param("[" * 100_000, "不是合法的 JSON", id="nested too deep"),
            pytest.param("[]", "不是 JSON 对象", id="no object"),
            pytest.param({"id": 1, "answerable": True}, "缺少 question", id="no question"),
            pytest.param(ROW | {"id": None}, "缺少编号（id）", id="no id"),
            pytest.param(ROW | {"question": " "}, "question 为空", id="empty question"),
            pytest.param(ROW | {"question": "？！"}, "问题里没有文字", id="marks only"),
            pytest.param(ROW | {"question": ["a"]}, "question 应为文字", id="a list as question"),
            pytest.param(
                ROW | {"answerable": "false"}, "answerable 应为 true 或 false", id="text for truth"
            ),
            pytest.param(ROW | {"answers": []}, "标为可回答，却没有答案", id="nothing to score"),
            pytest.param(
                ROW | {"answers": "180亿元"}, "answers 应为一组不为空的文字", id="bare answer"
            ),
            pytest.param(ROW | {"answers": [180]}, "answers 应为一组不为空的文字", id="a number"),
            pytest.param(ROW | {"evidence": [{}]}, "缺少 doc", id="evidence without document"),
            pytest.param(ROW | {"history": ["甲厂"]}, "history 应为一组对象", id="bare history"),
            pytest.param(
                ROW | {"history": [{"role": "system", "content": "x"}]},
                "history 里的 role 应为 user 或 assistant",
                id="a foreign role",
            ),
            pytest.param(ROW | {"question": "\ud800问"}, "含有无法显示的字符", id="half a pair"),
        ],
    )
    def test_a_malformed_line_is_named_and_the_rest_kept(
        self, tmp_path: Path, line: object, why: str
    ) -> None:
        read = lines(tmp_path, ROW | {"id": "first"}, line, ROW | {"id": "last"})
        assert [one.id for one in read.cases] == ["first", "last"]
        assert faults(read) == [("第 2 行", why)]

    def test_a_second_use_of_an_id_is_left_out(self, tmp_path: Path) -> None:
        read = lines(tmp_path, ROW, "", ROW)
        assert len(read.cases) == 1
        assert faults(read) == [("第 3 行", "编号 a-1 与第 1 行重复")]

    def test_a_line_in_another_encoding_costs_that_line_only(self, tmp_path: Path) -> None:
        path = tmp_path / "set.jsonl"
        good = json.dumps(ROW, ensure_ascii=False)
        path.write_bytes(b"\xef\xbb\xbf" + good.encode() + b"\r\n" + good.encode("gb18030"))
        read = load_set(path)
        assert len(read.cases) == 1
        assert faults(read) == [("第 2 行", "不是合法的 JSON")]

    def test_the_difficulty_of_an_unanswerable_question_is_the_first_word_of_its_note(
        self, tmp_path: Path
    ) -> None:
        none = {"answerable": False, "answers": []}
        assert case(tmp_path, **none, note="hard: 只有前一年").difficulty == "hard"
        assert case(tmp_path, **none, note="其他").difficulty is None
        assert case(tmp_path, note="hard: 要算").difficulty is None

    def test_drafts_are_counted_and_told(self, tmp_path: Path) -> None:
        read = lines(tmp_path, ROW | {"draft": True}, ROW | {"id": "b", "draft": False})
        assert (read.drafts, read.remark) == (1, "1 题仍是草稿，尚未人工核对。")
        assert lines(tmp_path, ROW).remark is None


CONTEXT = "甲厂建于1958年。它有员工1200人，年产轴承3万套。厂址在乙市。"


def squad(*questions: object, context: object = CONTEXT) -> dict[str, object]:
    return {
        "data": [{"title": "甲厂/旧址", "paragraphs": [{"context": context, "qas": questions}]}]
    }


def asked(name: str, answer: str, **more: object) -> dict[str, object]:
    start = CONTEXT.find(answer)
    return {
        "id": name,
        "question": "甲厂有多少员工？",
        "answers": [{"text": answer, "answer_start": start}],
    } | more


def dumped(tmp_path: Path, content: object, name: str = "set.json") -> CaseSet:
    path = tmp_path / name
    data = json.dumps(content, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return load_set(path)


class TestSquad:
    def test_the_evidence_is_the_sentence_around_the_answer(self, tmp_path: Path) -> None:
        (read,) = dumped(tmp_path, squad(asked("q", "1200人"))).cases
        assert [text for _, text in read.evidence] == ["它有员工1200人，年产轴承3万套。"]

    def test_an_answer_over_two_sentences_has_both_as_evidence(self, tmp_path: Path) -> None:
        (read,) = dumped(tmp_path, squad(asked("q", "1958年。它有"))).cases
        assert read.evidence[0][1] == CONTEXT.removesuffix("厂址在乙市。")

    def test_an_answer_that_ends_with_its_stop_stays_in_its_sentence(self, tmp_path: Path) -> None:
        (read,) = dumped(tmp_path, squad(asked("q", "1958年。"))).cases
        assert read.evidence[0][1] == "甲厂建于1958年。"

    def test_a_wrong_start_is_mended_by_looking_for_the_answer(self, tmp_path: Path) -> None:
        given = asked("q", "乙市", answers=[{"text": "乙市", "answer_start": 2}])
        (read,) = dumped(tmp_path, squad(given)).cases
        assert read.evidence[0][1] == "厂址在乙市。"

    def test_each_paragraph_becomes_a_document_with_a_safe_name(self, tmp_path: Path) -> None:
        read = dumped(tmp_path, squad(asked("q", "乙市")))
        ((doc, text),) = read.documents
        assert text == CONTEXT
        assert doc.startswith("甲厂_旧址-")
        assert doc.endswith(".txt")
        assert read.cases[0].evidence[0][0] == doc

    def test_the_name_of_a_document_does_not_depend_on_its_place(self, tmp_path: Path) -> None:
        one = squad(asked("q", "乙市"))
        other = {"data": [*squad(context="丙厂。")["data"], *one["data"]]}  # type: ignore[misc]
        last = dumped(tmp_path, other).documents[-1]
        assert last == dumped(tmp_path, one).documents[0]

    @pytest.mark.parametrize(
        ("question", "answer", "kind"),
        [
            ("甲厂有多少员工？", "1200人", "number"),
            ("甲厂建于哪一年？", "1958年", "date"),
            ("厂址在哪个城市？", "乙市", "entity"),
            ("甲厂的产品怎么样？", "年产轴承3万套", "extractive"),
        ],
    )
    def test_the_type_follows_the_gold_and_the_question(
        self, tmp_path: Path, question: str, answer: str, kind: str
    ) -> None:
        (read,) = dumped(tmp_path, squad(asked("q", answer, question=question))).cases
        assert read.type == kind

    def test_a_packed_file_reads_the_same(self, tmp_path: Path) -> None:
        content = squad(asked("q", "乙市"))
        assert dumped(tmp_path, content, "a.json.gz").cases == dumped(tmp_path, content).cases

    def test_an_impossible_question_is_unanswerable(self, tmp_path: Path) -> None:
        given = asked("q", "x", answers=[], is_impossible=True)
        (read,) = dumped(tmp_path, squad(given)).cases
        assert (read.answerable, read.type, read.answers) == (False, "unanswerable", ())

    def test_the_flat_layout_of_the_trial_set_is_read(self, tmp_path: Path) -> None:
        flat = [
            {
                "context_id": "T_0",
                "context_text": CONTEXT,
                "title": "甲厂",
                "qas": [{"query_id": "T_0_0", "query_text": "厂址在哪？", "answers": ["乙市"]}],
            }
        ]
        (read,) = dumped(tmp_path, flat).cases
        assert (read.id, read.question, read.answers) == ("T_0_0", "厂址在哪？", ("乙市",))

    @pytest.mark.parametrize(
        ("question", "why"),
        [
            (asked("q", "丁市"), "答案不在段落里"),
            (asked("q", "乙市", answers=[]), "没有答案"),
            (asked("q", "乙市", answers=[3]), "answers 应为一组答案"),
            (asked("q", "乙市", answers=3), "answers 应为一组答案"),
            (asked("good", "乙市"), "编号 good 与第 1 篇第 1 段第 1 题重复"),
        ],
    )
    def test_a_malformed_question_is_named(
        self, tmp_path: Path, question: object, why: str
    ) -> None:
        read = dumped(tmp_path, squad(asked("good", "乙市"), question))
        assert [one.id for one in read.cases] == ["good"]
        assert faults(read) == [("第 1 篇第 1 段第 2 题", why)]

    def test_malformed_articles_and_paragraphs_are_named(self, tmp_path: Path) -> None:
        content = squad(asked("q", "乙市"))
        content["data"] += [7, {"title": "空"}, {"paragraphs": [{"context": 1}]}]  # type: ignore[operator]
        assert [place for place, _ in faults(dumped(tmp_path, content))] == [
            "第 2 篇",
            "第 3 篇",
            "第 4 篇第 1 段",
        ]


HEADER = "问题,答案,出处\n"


def table(tmp_path: Path, text: str, encoding: str = "utf-8", name: str = "set.csv") -> CaseSet:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return load_set(path)


class TestTables:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_any_usual_encoding_and_delimiter_will_do(
        self, tmp_path: Path, encoding: str, delimiter: str
    ) -> None:
        text = (HEADER + "甲厂有多少人？,1200人,甲.txt：它有员工1200人。\n").replace(",", delimiter)
        (read,) = table(tmp_path, text, encoding).cases
        assert read == Case(
            id="row-2",
            question="甲厂有多少人？",
            type="number",
            answerable=True,
            answers=("1200人",),
            evidence=(("甲.txt", "它有员工1200人。"),),
        )

    def test_columns_are_found_by_other_names_in_any_order_below_a_title(
        self, tmp_path: Path
    ) -> None:
        text = "2025年验收题目\n编号,标准答案*,是否可回答（是/否）,题目\nk-1,乙市,是,厂在哪个市？\n"
        (read,) = table(tmp_path, text).cases
        assert (read.id, read.question, read.answers) == ("k-1", "厂在哪个市？", ("乙市",))

    def test_several_acceptable_answers_are_parted_by_semicolon_or_line_break(
        self, tmp_path: Path
    ) -> None:
        (read,) = table(tmp_path, HEADER + '甲厂有多少人？,"1200人；1200名\n一千二百人",\n').cases
        assert read.answers == ("1200人", "1200名", "一千二百人")

    @pytest.mark.parametrize("answer", ["", "无", "文中没有", "文中没有。", "无法回答"])
    def test_no_answer_means_unanswerable(self, tmp_path: Path, answer: str) -> None:
        (read,) = table(tmp_path, f"{HEADER}甲厂何时关闭？,{answer},\n").cases
        assert (read.answerable, read.type, read.answers) == (False, "unanswerable", ())

    @pytest.mark.parametrize(
        ("source", "evidence"),
        [
            ("甲.txt", (("甲.txt", ""),)),
            ("厂志：建于1958年。", (("厂志", "建于1958年。"),)),
            ("厂志\n建于1958年。", (("厂志", "建于1958年。"),)),
            ("通知：关于甲.pdf：共3家。", (("通知：关于甲.pdf", "共3家。"),)),
            ("甲.txt：共3家。\n乙.docx\n没有。", (("甲.txt", "共3家。"), ("乙.docx", "没有。"))),
            ("", ()),
        ],
    )
    def test_the_source_names_a_document_and_may_quote_it(
        self, tmp_path: Path, source: str, evidence: tuple[tuple[str, str], ...]
    ) -> None:
        (read,) = table(tmp_path, f'{HEADER}甲厂建于哪年？,1958年,"{source}"\n').cases
        assert read.evidence == evidence

    def test_types_difficulty_and_key_points_are_read_in_chinese(self, tmp_path: Path) -> None:
        text = (
            "问题,答案,类型,要点,难度\n为何搬迁？,,原因方法,地价低；交通好,\n谁是厂长？,无,,,难\n"
        )
        why, who = table(tmp_path, text).cases
        assert (why.type, why.keypoints, why.answerable) == ("howwhy", ("地价低", "交通好"), True)
        assert (who.answerable, who.difficulty) == (False, "hard")

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            (",1200人,甲.txt,", "问题为空"),
            ("甲厂有多少人？,1200人,,否", "标为不可回答，却给了答案"),
            ("甲厂有多少人？,,,是", "标为可回答，却没有答案"),
            ("甲厂有多少人？,1200人,,也许", "“可回答”一列应为是或否，不是“也许”"),
            ("甲厂有多少人？,#REF!,,", "单元格里是错误值 #REF!"),
            ('"甲厂有多少人？,1200人,,', "引号不成对或单元格过长"),
        ],
    )
    def test_a_malformed_row_is_named_and_the_rest_kept(
        self, tmp_path: Path, row: str, why: str
    ) -> None:
        read = table(tmp_path, f"问题,答案,出处,可回答\n{row}\n甲厂在哪？,乙市,,\n")
        assert [one.question for one in read.cases] == ["甲厂在哪？"]
        assert faults(read) == [("第 2 行", why)]

    def test_a_table_without_a_column_of_answers_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TestSetError) as caught:
            table(tmp_path, "问题,出处\n甲厂在哪？,甲.txt\n")
        assert "缺少“答案”" in caught.value.user_message

    def test_cells_of_a_workbook_are_read_as_they_are_seen(self, tmp_path: Path) -> None:
        book = Workbook()
        book.active.append(["说明"])
        sheet = book.create_sheet("题目")
        sheet.append(["问题", "答案", "可回答"])
        for value in (1200, 0.653, date(2024, 3, 5), "乙市；乙", 2.50):
            sheet.append([f"问{sheet.max_row}？", value, True])
        sheet["B3"].number_format = "0.0%"
        sheet.append(["没有答案的？", None, False])
        book.save(tmp_path / "set.xlsx")
        read = load_set(tmp_path / "set.xlsx")
        assert [one.answers for one in read.cases] == [
            ("1200",),
            ("65.3%",),
            ("2024年3月5日",),
            ("乙市", "乙"),
            ("2.5",),
            (),
        ]

    def test_a_table_in_a_file_of_another_suffix_is_known_by_its_content(
        self, tmp_path: Path
    ) -> None:
        assert len(table(tmp_path, HEADER + "甲厂在哪？,乙市,\n", name="set.xlsx").cases) == 1


class TestRefusedFiles:
    @pytest.mark.parametrize(
        ("name", "data", "said"),
        [
            pytest.param("a.jsonl", b"", "没有可用的题目", id="empty"),
            pytest.param("a.jsonl", b"{}\n", "第 1 行：answerable", id="no usable line"),
            pytest.param("a.json", b'{"data": [', "不是合法的 JSON", id="broken JSON"),
            pytest.param("a.json", b'{"data": {}}', "不认识", id="another JSON"),
            pytest.param("a.csv", "甲,乙\n1,2\n".encode(), "不认识", id="no header"),
            pytest.param("a.csv", b"\xff\xff\x81", "编码无法识别", id="no text"),
            pytest.param("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "另存为", id="old workbook"),
            pytest.param("a.xlsx", b"PK\x03\x04 no", "已损坏", id="broken workbook"),
            pytest.param("a.json.gz", b"\x1f\x8b\x08", "压缩已损坏", id="broken packing"),
        ],
    )
    def test_a_file_that_gives_no_case_is_refused_with_the_reason(
        self, tmp_path: Path, name: str, data: bytes, said: str
    ) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(TestSetError) as caught:
            load_set(tmp_path / name)
        assert said in caught.value.user_message

    def test_a_zip_that_is_no_workbook_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as packed:
            packed.writestr("a.txt", "x")
        with pytest.raises(TestSetError):
            load_set(tmp_path / "a.xlsx")

    def test_a_workbook_with_a_broken_sheet_is_refused(self, tmp_path: Path) -> None:
        book = Workbook()
        book.active.append(["问题", "答案"])
        book.save(tmp_path / "good.xlsx")
        with (
            zipfile.ZipFile(tmp_path / "good.xlsx") as good,
            zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as bad,
        ):
            for name in good.namelist():
                data = good.read(name)
                bad.writestr(name, data[:-40] if "sheet1" in name else data)
        with pytest.raises(TestSetError) as caught:
            load_set(tmp_path / "bad.xlsx")
        assert "已损坏" in caught.value.user_message

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TestSetError) as caught:
            load_set(tmp_path / "none.jsonl")
        assert "路径不存在" in caught.value.user_message

    @pytest.mark.parametrize("name", ["big.jsonl", "big.jsonl.gz", "big.xlsx"])
    def test_a_file_that_is_or_unpacks_too_large_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(sets, "MAX_BYTES", 1000)
        path = tmp_path / name
        if name.endswith(".xlsx"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr("a.xml", " " * 1001)
        else:
            path.write_bytes(gzip.compress(b" " * 1001) if name.endswith("gz") else b" " * 1001)
        with pytest.raises(TestSetError) as caught:
            load_set(path)
        assert "太大" in caught.value.user_message
