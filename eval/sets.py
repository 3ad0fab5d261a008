"""Test-set files to cases. The forms are described in eval/sets/README.md.

JSON lines, SQuAD-style JSON, CSV and XLSX go in, told apart by content and then by suffix. A line,
row or question that cannot be used becomes a Fault, and the rest is kept. Nothing here looks at an
index: whether the evidence stands in a document shows when the set is run.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from errors import TestSetError, reason
from eval.case import DIFFICULTIES, TYPES_ZH, Case, CaseSet, Fault
from qa.expressions import find_dates, find_numbers
from qa.question import Kind, has_words, understand
from schema import Role, Span, Turn

MAX_BYTES = 200_000_000  # of the file and of what it unpacks to
DRAFT_MARK = "草稿"  # a note that begins with it marks a draft in a table

# Column by what it holds; the first name is the one that is written.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("编号", "序号", "题号", "id"),
    "question": ("问题", "题目", "问", "提问", "题干", "question"),
    "answers": ("答案", "标准答案", "参考答案", "答", "回答", "answer", "answers"),
    "evidence": ("出处", "来源", "文档", "依据", "原文出处", "证据", "source"),
    "type": ("类型", "题型", "type"),
    "answerable": ("可回答", "是否可回答", "能否回答", "answerable"),
    "keypoints": ("要点", "得分点", "关键点", "keypoints"),
    "difficulty": ("难度", "difficulty"),
    "note": ("备注", "说明", "note"),
}
_COLUMN_OF = {name: column for column, names in COLUMNS.items() for name in names}
_TYPE_OF = {label: name for name, label in TYPES_ZH.items()}
DIFFICULTIES_ZH = dict(zip(DIFFICULTIES, ("难", "中", "易"), strict=True))
_DIFFICULTY_OF = {label: name for name, label in DIFFICULTIES_ZH.items()}
_YES = {"是", "可", "能", "可以", "可回答", "true", "yes", "y", "1"}
_NO = {"否", "不可", "不能", "不", "不可回答", "false", "no", "n", "0"}
_NO_ANSWER = {
    "",
    "无",
    "无答案",
    "文中没有",
    "文中无",
    "文中未提及",
    "文中没有提到",
    "文中没有答案",
    "没有答案",
    "未提及",
    "不可回答",
    "无法回答",
}
_EXPRESSION_CHARS = 20  # of the longest number or date with its unit
_ENTITY_KINDS = {Kind.PERSON, Kind.ORGANISATION, Kind.PLACE}


class _MalformedError(ValueError):
    """Why a line, row or question is left out, in Chinese."""


@dataclass
class _Collected:
    """What has been read so far."""

    cases: list[Case] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    drafts: int = 0
    places: dict[str, str] = field(default_factory=dict)  # of each id

    def take(self, place: str, read: Callable[[], Case], *, draft: bool = False) -> None:
        """Keep a case, or the reason why it cannot be read."""
        try:
            case = read()
            if case.id in self.places:
                raise _MalformedError(f"编号 {case.id} 与{self.places[case.id]}重复")
        except _MalformedError as error:
            self.faults.append(Fault(place, str(error)))
            return
        self.places[case.id] = place
        self.cases.append(case)
        self.drafts += draft


def load_set(path: Path) -> CaseSet:
    """The cases of a test set of any known form.

    Raises:
        TestSetError: the file cannot be read, is of an unknown form or too large, or holds no
            usable question.
    """
    data = _unpacked(path, _bytes(path))
    collected = _Collected()
    if data.startswith(b"PK\x03\x04"):
        _read_table(path, _sheets(path, data), collected)
    elif _is_lines(path, data):
        _read_lines(data, collected)
    elif (text := _text(path, data)).lstrip()[:1] in {"{", "["}:
        _read_squad(path, text, collected)
    else:
        _read_table(path, [_csv_rows(text)], collected)
    if not collected.cases:
        faults = collected.faults
        first = f"（{faults[0].place}：{faults[0].reason}）" if faults else ""
        raise TestSetError(f"{path}: no case", f"测试集 {path} 里没有可用的题目{first}。")
    return CaseSet(
        name=path.name,
        cases=tuple(collected.cases),
        faults=tuple(collected.faults),
        documents=tuple(collected.documents.items()),
        drafts=collected.drafts,
    )


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path)
        return path.read_bytes()
    except OSError as error:
        raise TestSetError(
            f"{path}: {error}", f"无法读取测试集 {path}：{reason(error)}。"
        ) from error


def _too_large(path: Path) -> TestSetError:
    limit = MAX_BYTES // 1_000_000
    return TestSetError(f"{path}: too large", f"测试集 {path} 太大（超过 {limit} MB）。")


def _unpacked(path: Path, data: bytes) -> bytes:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise TestSetError(
            f"{path}: OLE file", f"测试集 {path} 是旧版或加密的工作簿，请另存为不加密的 XLSX。"
        )
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TestSetError(f"{path}: {error}", f"测试集 {path} 的压缩已损坏。") from error
    if len(plain) > MAX_BYTES:
        raise _too_large(path)
    return plain


def _text(path: Path, data: bytes) -> str:
    """Decoded: by byte-order mark (Excel writes UTF-16 too), else UTF-8, else GB18030."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise TestSetError(
        f"{path}: unknown encoding", f"测试集 {path} 的编码无法识别，请另存为 UTF-8。"
    )


def _plain(text: str) -> str:
    """Text that can be printed and sent on: no lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _MalformedError("含有无法显示的字符") from error
    return text


def _decoded_json(text: str | bytes) -> Any:
    """What JSON text holds.

    Raises:
        _MalformedError: it is no JSON, or nested too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _MalformedError("不是合法的 JSON") from error


# ---------------------------------------------------------------- JSON lines


def _is_lines(path: Path, data: bytes) -> bool:
    """By suffix, or because the first line is a row of its own and not a whole SQuAD file."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if ".jsonl" in suffixes or ".ndjson" in suffixes:
        return True
    if not data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
        return False
    try:
        first = _decoded_json(data.lstrip(b"\xef\xbb\xbf \r\n\t").split(b"\n", 1)[0])
    except _MalformedError:
        return False
    return isinstance(first, dict) and "data" not in first


def _read_lines(data: bytes, into: _Collected) -> None:
    """One JSON object a line; text may hold U+2028, so only line feeds part lines."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16", "replace").encode()
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"第 {number} 行"
        try:
            row = _decoded_json(line)
            if not isinstance(row, dict):
                raise _MalformedError("不是 JSON 对象")
        except _MalformedError as error:
            into.faults.append(Fault(place, str(error)))
            continue
        draft = row.get("draft") is True
        into.take(place, partial(_line_case, row), draft=draft)


def _line_case(row: Mapping[str, Any]) -> Case:
    answerable = row.get("answerable")
    if not isinstance(answerable, bool):
        raise _MalformedError("answerable 应为 true 或 false")
    return _checked(
        Case(
            id=_name(row.get("id")),
            question=_string(row, "question"),
            type=_string(row, "type"),
            answerable=answerable,
            answers=_strings(row, "answers"),
            items=_strings(row, "items"),
            keypoints=_strings(row, "keypoints"),
            evidence=tuple(
                (_string(item, "doc"), _string(item, "text")) for item in _objects(row, "evidence")
            ),
            history=tuple(_turn(item) for item in _objects(row, "history")),
            difficulty=None if answerable else _difficulty(row),
        )
    )


def _checked(case: Case) -> Case:
    """The case if it can be asked and scored."""
    if not has_words(case.question):
        raise _MalformedError("问题里没有文字")
    if case.answerable and not (case.answers or case.items or case.keypoints):
        raise _MalformedError("标为可回答，却没有答案")
    return case


def _name(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise _MalformedError("缺少编号（id）")
    return _plain(str(value).strip())


def _string(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        raise _MalformedError(f"缺少 {key}")
    if not isinstance(value, str):
        raise _MalformedError(f"{key} 应为文字")
    if not value.strip():
        raise _MalformedError(f"{key} 为空")
    return _plain(value)


def _strings(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key)
    texts = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) and one.strip() for one in texts) or isinstance(value, str):
        raise _MalformedError(f"{key} 应为一组不为空的文字")
    return tuple(_plain(one) for one in texts)


def _objects(row: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _MalformedError(f"{key} 应为一组对象")
    return value


def _turn(item: Mapping[str, Any]) -> Turn:
    roles: dict[object, Role] = {"user": "user", "assistant": "assistant"}
    role = item.get("role")
    if not isinstance(role, str) or role not in roles:
        raise _MalformedError("history 里的 role 应为 user 或 assistant")
    return Turn(roles[role], _string(item, "content"))


def _difficulty(row: Mapping[str, Any]) -> str | None:
    """As given, or the first word of the note; None unless it is one of the three."""
    word = str(row.get("difficulty") or str(row.get("note") or "").split(":")[0])
    return word if word in DIFFICULTIES else None


# ---------------------------------------------------------------- SQuAD


def _read_squad(path: Path, text: str, into: _Collected) -> None:
    """CMRC 2018, DRCD, XQuAD and SQuAD 2; CMRC's trial layout, which is a list of paragraphs."""
    try:
        content = _decoded_json(text)
    except _MalformedError as error:
        raise TestSetError(f"{path}: no JSON", f"测试集 {path} 不是合法的 JSON。") from error
    articles = content.get("data") if isinstance(content, dict) else content
    if not isinstance(articles, list):
        raise _unknown_form(path)
    for number, article in enumerate(articles, start=1):
        place = f"第 {number} 篇"
        if not isinstance(article, dict):
            into.faults.append(Fault(place, "不是 JSON 对象"))
        elif "context_text" in article:
            _read_paragraph(article, "", place, into)
        elif isinstance(article.get("paragraphs"), list):
            title = article.get("title") if isinstance(article.get("title"), str) else ""
            for at, paragraph in enumerate(article["paragraphs"], start=1):
                _read_paragraph(paragraph, title or "", f"{place}第 {at} 段", into)
        else:
            into.faults.append(Fault(place, "没有段落（paragraphs）"))


def _unknown_form(path: Path) -> TestSetError:
    return TestSetError(
        f"{path}: unknown form",
        f"不认识测试集 {path} 的格式：支持 JSONL、SQuAD 式 JSON（可用 gzip 压缩），"
        "以及有“问题”“答案”两列的 CSV 或 XLSX。",
    )


def _read_paragraph(paragraph: Any, title: str, place: str, into: _Collected) -> None:
    try:
        if not isinstance(paragraph, dict):
            raise _MalformedError("不是 JSON 对象")
        context = _string(paragraph, "context_text" if "context_text" in paragraph else "context")
        questions = _objects(paragraph, "qas")
    except _MalformedError as error:
        into.faults.append(Fault(place, str(error)))
        return
    title = title or str(paragraph.get("title") or "")
    doc = _document_name(title, context)
    into.documents[doc] = context
    for number, one in enumerate(questions, start=1):
        fallback = f"{doc.removesuffix('.txt')}-{number}"
        into.take(
            f"{place}第 {number} 题",
            partial(_squad_case, one, fallback, doc, context),
        )


def _document_name(title: str, context: str) -> str:
    """Title and a hash of the text: safe as a file name, and the same in any order of reading."""
    safe = re.sub(r'[\\/:*?"<>|\s\x00-\x1f\ud800-\udfff]+', "_", title)[:40].strip("._")
    digest = hashlib.sha256(context.encode()).hexdigest()[:10]
    return f"{safe}-{digest}.txt" if safe else f"{digest}.txt"


def _squad_case(row: Mapping[str, Any], fallback: str, doc: str, context: str) -> Case:
    question = _string(row, "query_text" if "query_text" in row else "question").strip()
    name = _name(row.get("id", row.get("query_id", fallback)))
    listed = row.get("answers") or []
    given = [_squad_answer(one) for one in (listed if isinstance(listed, list) else [listed])]
    if row.get("is_impossible") is True:
        return _checked(Case(name, question, "unanswerable", answerable=False, answers=()))
    answers = tuple(dict.fromkeys(text for text, _ in given))
    if not answers:
        raise _MalformedError("没有答案")
    place = _answer_place(given, context)
    if place is None:
        raise _MalformedError("答案不在段落里")
    evidence = sentence_around(context, place).cut(context).strip()
    return _checked(
        Case(
            name,
            question,
            kind_of(question, answers[0]),
            answerable=True,
            answers=answers,
            evidence=((doc, evidence),),
        )
    )


def _squad_answer(given: object) -> tuple[str, int]:
    """(text, start; -1 where it is not told): the trial layout of CMRC has bare strings."""
    if isinstance(given, str) and given.strip():
        return _plain(given.strip()), -1
    if not isinstance(given, dict):
        raise _MalformedError("answers 应为一组答案")
    start = given.get("answer_start", -1)
    return _string(given, "text").strip(), start if type(start) is int else -1


def _answer_place(given: Sequence[tuple[str, int]], context: str) -> Span | None:
    """Where the preferred answer stands, or else the first that stands anywhere.

    One place only: the others are what further readers marked, not further evidence that an
    answer would have to cite.
    """
    for text, start in given:
        at = start if start >= 0 and context.startswith(text, start) else context.find(text)
        if at >= 0:
            return Span(at, at + len(text))
    return None


_CLOSERS = "”’」』）)】》"
_STOP = re.compile(rf"[。！？!?]+[{_CLOSERS}]*|\n+")


def sentence_around(text: str, place: Span) -> Span:
    """From the start of the sentence in which `place` begins to the end of that where it ends."""
    start = 0
    for match in _STOP.finditer(text, 0, place.end):
        if match.end() > place.start:
            break
        start = match.end()
    last = text[place.start : place.end].rstrip(_CLOSERS)  # it may end with its stop
    end = _STOP.search(text, place.start + max(0, len(last) - 1))
    return Span(start, end.end() if end else len(text))


def kind_of(question: str, answer: str) -> str:
    """A date or a number by the form of the gold, a name by what is asked; else extractive."""
    if len(answer) <= _EXPRESSION_CHARS:
        if any(text == answer for _, text in find_dates(answer)):
            return "date"
        if any(number.text == answer for number in find_numbers(answer)):
            return "number"
    kind = understand(question, (), len(question)).kind
    return "entity" if kind in _ENTITY_KINDS else "extractive"


# ---------------------------------------------------------------- tables

Row = tuple[str, ...] | Fault  # the cells of a row as text, or why it cannot be read
_HEADER_WITHIN = 20  # rows; a title may stand above the header


def _read_table(path: Path, sheets: Iterable[Iterable[Row]], into: _Collected) -> None:
    """The first sheet with a header of the right columns."""
    for sheet in sheets:
        rows = enumerate(sheet, start=1)
        for number, row in rows:
            columns = _columns(row) if isinstance(row, tuple) else {}
            if "question" in columns:
                if "answers" not in columns:
                    raise TestSetError(
                        f"{path}: no column of answers", f"测试集 {path} 的表头缺少“答案”一列。"
                    )
                _read_rows(rows, columns, into)
                return
            if number >= _HEADER_WITHIN:
                break
    raise _unknown_form(path)


def _columns(row: Sequence[str]) -> dict[str, int]:
    """Position of each known column; of two with one meaning the first."""
    found: dict[str, int] = {}
    for position, cell in enumerate(row):
        plain = re.sub(r"[（(\[【].*|[\s*:：]", "", unicodedata.normalize("NFKC", cell)).lower()
        if plain in _COLUMN_OF:
            found.setdefault(_COLUMN_OF[plain], position)
    return found


def _read_rows(
    rows: Iterable[tuple[int, Row]], columns: Mapping[str, int], into: _Collected
) -> None:
    for number, row in rows:
        place = f"第 {number} 行"
        if isinstance(row, Fault):
            into.faults.append(replace(row, place=place))
            continue
        if not any(cell.strip() for cell in row):
            continue
        cells = {name: _unguarded(row[at]) if at < len(row) else "" for name, at in columns.items()}
        draft = cells.get("note", "").startswith(DRAFT_MARK)
        into.take(place, partial(_row_case, cells, f"row-{number}"), draft=draft)


def _unguarded(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from running a cell as a formula."""
    return re.sub(r"^'(?=[=+\-@])", "", cell.strip())


def _row_case(cells: Mapping[str, str], fallback: str) -> Case:
    for cell in cells.values():
        _plain(cell)
        if re.fullmatch(r"#(?:REF|N/A|NAME|VALUE|DIV/0|NUM|NULL)[!?]?", cell):
            raise _MalformedError(f"单元格里是错误值 {cell}")
    question = cells["question"]
    if not question:
        raise _MalformedError("问题为空")
    keypoints = _variants(cells.get("keypoints", ""))
    answerable = _answerable(cells, has_keypoints=bool(keypoints))
    answers = _variants(cells["answers"]) if answerable and not _no_answer(cells) else ()
    kind = cells.get("type", "")
    if not kind:
        kind = kind_of(question, answers[0] if answers else "") if answerable else "unanswerable"
    difficulty = cells.get("difficulty", "")
    difficulty = _DIFFICULTY_OF.get(difficulty, difficulty)
    return _checked(
        Case(
            id=cells.get("id", "") or fallback,
            question=question,
            type=_TYPE_OF.get(kind, kind),
            answerable=answerable,
            answers=answers,
            keypoints=keypoints,
            evidence=_evidence(cells.get("evidence", "")),
            difficulty=None
            if answerable
            else _difficulty({"difficulty": difficulty, "note": cells.get("note")}),
        )
    )


def _no_answer(cells: Mapping[str, str]) -> bool:
    return cells["answers"].strip(" 。.（）()") in _NO_ANSWER


def _answerable(cells: Mapping[str, str], *, has_keypoints: bool) -> bool:
    """As the row says, else by whether it has an answer; a contradiction is a fault."""
    said = cells.get("answerable", "").lower()
    none = _no_answer(cells) and not has_keypoints
    if not said:
        return not none
    if said not in _YES | _NO:
        raise _MalformedError(f"“可回答”一列应为是或否，不是“{said}”")
    if said in _NO and not none:
        raise _MalformedError("标为不可回答，却给了答案")
    return said in _YES


def _variants(cell: str) -> tuple[str, ...]:
    """Parts between ； or line breaks."""
    return tuple(dict.fromkeys(part.strip() for part in re.split("[；\n]", cell) if part.strip()))


_NAMED_FILE = re.compile(
    r"(.{1,200}?\.(?:txt|md|markdown|html?|docx|pdf))\s*(?:[：:]\s*(.*))?", re.IGNORECASE
)


def _evidence(cell: str) -> tuple[tuple[str, str], ...]:
    """Document names, each with the sentence that follows it after ： or in the next lines."""
    found: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, cell.split("\n"))):
        named = _NAMED_FILE.fullmatch(line)
        if named:
            found.append((named[1], named[2] or ""))
        elif found:
            doc, text = found[-1]
            found[-1] = (doc, f"{text}\n{line}" if text else line)
        else:
            doc, _, text = line.partition("：")
            found.append((doc.strip(), text.strip()))
    return tuple(found)


def _csv_rows(text: str) -> Iterator[Row]:
    """Rows of a CSV text, parted by whichever of , ; and tab gives the most known columns."""
    lines = list(io.StringIO(text, newline=""))
    head = lines[:_HEADER_WITHIN]

    def known(delimiter: str) -> int:
        rows = _parted(head, delimiter)
        return max((len(_columns(row)) for row in rows if isinstance(row, tuple)), default=0)

    yield from _parted(lines, max(",;\t", key=known))


def _parted(lines: Sequence[str], delimiter: str) -> Iterator[Row]:
    """A row whose quotation marks do not match is a fault, and reading goes on in the next line.

    Read leniently, a mark that is never closed would swallow all that follows it.
    """
    at = 0
    while at < len(lines):
        reader = csv.reader(lines[at:], delimiter=delimiter, strict=True)
        done = 0
        try:
            for row in reader:
                done = reader.line_num
                yield tuple(row)
            return
        except csv.Error:
            yield Fault("", "引号不成对或单元格过长")
            at += done + 1


# What openpyxl stumbles with over a foreign or broken file, besides its own exception.
_BROKEN = (zipfile.BadZipFile, zlib.error, LookupError, ValueError, TypeError, AttributeError)
_MAX_ROWS = 1_048_576  # of a sheet; a forged row number would give empty rows without end


def _sheets(path: Path, data: bytes) -> Iterator[list[Row]]:
    """The sheets of a workbook, in order, each as its rows."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MAX_BYTES:
                raise _too_large(path)
        with warnings.catch_warnings():
            # About styles and drop-down lists that are left unread.
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheets = [_sheet_rows(sheet) for sheet in book.worksheets]
    except (*_BROKEN, InvalidFileException, SyntaxError, OSError) as error:
        raise TestSetError(
            f"{path}: no workbook: {error!r}", f"测试集 {path} 不是 XLSX 工作簿，或已损坏。"
        ) from error
    yield from sheets


def _sheet_rows(sheet: Any) -> list[Row]:
    sheet.reset_dimensions()  # some programs write a wrong size
    rows = islice(sheet.iter_rows(), _MAX_ROWS)
    return [tuple(_cell_text(cell) for cell in row) for row in rows]


def _cell_text(cell: Any) -> str:
    """A cell as it is seen: 0.653 shown as a percentage is 65.3%, a date is 2024年3月5日."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, (date, datetime)):
        return f"{value.year}年{value.month}月{value.day}日"
    if isinstance(value, (int, float)):
        shown = re.fullmatch(r"0(?:\.(0+))?%", cell.number_format or "")
        return f"{value:.{len(shown[1] or '')}%}" if shown else f"{value:.15g}"
    return str(value).replace("_x000D_", "").replace("\r\n", "\n")
