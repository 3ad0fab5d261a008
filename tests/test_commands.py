"""The commands as a user runs them: exit codes, one line for every mistake."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import app
import serving
from index.generation import CURRENT
from index.journal import JOURNAL
from index.lock import LOCK_FILE, write_lock
from tests.commands import ROOT, wenju, wenju_process
from web.tokens import TokenBook

SEEDS = ROOT / "corpus" / "articles"
RECORD_KEYS = {
    *("id", "question", "answer", "short_answer", "refused", "confidence", "citations"),
    *("suggestions", "timings_ms", "index_version"),
}


def one_clear_line(result: subprocess.CompletedProcess[str]) -> str:
    """The error line of a command that failed as the contract says."""
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An index of the two shipped articles, built by the command."""
    folder = tmp_path_factory.mktemp("commands") / "索 引"
    built = wenju_process("build", SEEDS, "--index", folder)
    assert built.returncode == 0, built.stderr
    assert "新增 2 篇" in built.stdout
    yield folder


def batch(tmp_path: Path, index: Path, rows: list[Any]) -> list[dict[str, Any]]:
    questions, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    result = wenju("ask", "--batch", questions, "--out", answers, "--index", index)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in answers.read_text("utf-8").splitlines()]


def test_a_second_build_of_unchanged_files_changes_nothing(index: Path) -> None:
    pointer = (index / "CURRENT").read_bytes()
    again = wenju("build", SEEDS, "--index", index)
    assert "未变 2 篇" in again.stdout
    assert (index / "CURRENT").read_bytes() == pointer


def test_an_answer_on_the_terminal_shows_its_source(index: Path) -> None:
    result = wenju_process("ask", "湘琼先进制造业共建产业园坐落在哪个市？", "--index", index)
    assert result.returncode == 0
    assert "东方市" in result.stdout
    assert "[1]" in result.stdout
    assert "000_633663b307547015.txt" in result.stdout


def test_json_is_one_document_and_nothing_else(index: Path) -> None:
    result = wenju_process("ask", "三批制度创新成果共有多少项？", "--json", "--index", index)
    record = json.loads(result.stdout)
    assert set(record) >= RECORD_KEYS
    assert record["refused"] is False
    assert record["short_answer"] == "109项"
    assert result.stderr == ""


def test_an_explanation_follows_the_answer_after_a_blank_line(index: Path) -> None:
    question = "每隔多少分钟完成一台泵车的总装？"
    plain = wenju("ask", question, "--index", index)
    explained = wenju("ask", question, "--explain", "--index", index)
    assert explained.returncode == 0, explained.stderr
    answer, explanation = explained.stdout.split("\n\n", maxsplit=1)
    assert answer + "\n" == plain.stdout
    assert "45分钟" in explanation
    assert "门槛" in explanation


def test_with_json_the_explanation_is_one_more_field(index: Path) -> None:
    question = "每隔多少分钟完成一台泵车的总装？"
    plain = json.loads(wenju("ask", question, "--json", "--index", index).stdout)
    explained = json.loads(wenju("ask", question, "--json", "--explain", "--index", index).stdout)
    assert set(explained) - set(plain) == {"explanation"}
    assert "45分钟" in explained["explanation"]


def test_a_batch_is_not_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        app.main(["ask", "--batch", "in.jsonl", "--out", "out.jsonl", "--explain"])
    assert exit_.value.code == 2
    assert "不能与 --batch 同用" in capsys.readouterr().err


def test_a_citation_is_what_stands_in_the_file_at_its_offsets(index: Path) -> None:
    result = wenju("ask", "郴州片区推动哪些稀贵金属产业链？", "--json", "--index", index)
    citation = json.loads(result.stdout)["citations"][0]
    original = (SEEDS / citation["doc"]).read_text("utf-8")
    quoted = original[citation["start"] : citation["end"]]
    assert "".join(quoted.split()) == "".join(citation["quote"].split())


def test_search_gives_passages_with_their_place(index: Path) -> None:
    result = wenju("search", "保税维修", "--top-k", 3, "--json", "--index", index)
    passages = json.loads(result.stdout)["passages"]
    assert len(passages) == 3
    original = (SEEDS / passages[0]["doc"]).read_text("utf-8")
    quoted = original[passages[0]["start"] : passages[0]["end"]]
    assert "保税维修" in "".join(quoted.split())


def test_a_batch_is_answered_in_order_with_its_histories(tmp_path: Path, index: Path) -> None:
    history = [
        {"role": "user", "content": "湘琼先进制造业共建产业园在哪里？"},
        {"role": "assistant", "content": "位于海南省东方市。"},
    ]
    records = batch(
        tmp_path,
        index,
        [
            {"id": "b", "question": "已经有多少个项目签约了？", "history": history},
            {"id": 7, "question": "湘瓊先進製造業共建產業園位於哪個市？"},
        ],
    )
    assert [record["id"] for record in records] == ["b", 7]
    assert "30个" in records[0]["answer"]
    assert "东方市" in records[1]["answer"]


def test_a_batch_is_searched_in_order(tmp_path: Path, index: Path) -> None:
    questions, found = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{"id": "b", "question": "保税维修"}, {"id": 7, "question": "三一科学城"}]
    questions.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    result = wenju("search", "--batch", questions, "--out", found, "--top-k", 2, "--index", index)
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in found.read_text("utf-8").splitlines()]
    assert [record["id"] for record in records] == ["b", 7]
    assert all(len(record["passages"]) == 2 for record in records)
    assert "保税维修" in records[0]["passages"][0]["text"]


# What people and programs type that is no question. Each is a refusal that says what to do, and
# the questions beside it are answered as if it were not there.
STRANGE = [
    pytest.param("", id="empty"),
    pytest.param(" \t\n", id="white space"),
    pytest.param("问" * 100_000, id="100,000 characters"),
    pytest.param("😀🎉👍", id="emoji only"),
    pytest.param("\x00\x07\x1b[31m", id="control characters"),
    pytest.param("<script>alert(1)</script>", id="HTML"),
    pytest.param("' OR 1=1; DROP TABLE documents; --", id="SQL"),
    pytest.param("%s%n{0}${jndi:ldap://x}", id="format strings"),
    pytest.param("\ud800", id="half a surrogate pair"),
    pytest.param("？？？。。。", id="punctuation only"),
    pytest.param("你好", id="greeting"),
    pytest.param("今天天气怎么样？", id="weather"),
    pytest.param("推荐几部最近好看的电影。", id="another subject"),
]


@pytest.fixture(scope="module")
def strange_records(tmp_path_factory: pytest.TempPathFactory, index: Path) -> list[dict[str, Any]]:
    rows = [{"id": i, "question": case.values[0]} for i, case in enumerate(STRANGE)]
    rows.append({"id": "last", "question": "文章里有多少项为全国首创？"})
    return batch(tmp_path_factory.mktemp("strange"), index, rows)


@pytest.mark.parametrize("number", [pytest.param(i, id=c.id) for i, c in enumerate(STRANGE)])
def test_what_is_no_question_is_refused_politely(
    strange_records: list[dict[str, Any]], number: int
) -> None:
    record = strange_records[number]
    assert record["id"] == number
    assert record["refused"] is True
    assert record["citations"] == []
    assert record["answer"].endswith("。")


def test_strange_questions_do_not_disturb_the_next_one(
    strange_records: list[dict[str, Any]],
) -> None:
    assert "51项" in strange_records[-1]["answer"]


def test_line_separators_and_half_characters_inside_a_batch_line_are_data(
    tmp_path: Path, index: Path
) -> None:
    questions, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text('{"id": "\\ud800", "question": "你好\u2028您好"}\r\n', "utf-8")
    assert wenju("ask", "--batch", questions, "--out", answers, "--index", index).returncode == 0
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_output_that_cannot_be_written_is_one_line(index: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, ROOT / "app.py", "ask", "你好", "--index", index],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    assert (result.returncode, result.stderr) == (1, "无法写出结果：磁盘已满。\n")


def test_a_search_without_words_is_no_search(index: Path) -> None:
    assert "请输入要检索的词" in one_clear_line(wenju("search", "😀", "--index", index))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("{not json", id="not JSON"),
        pytest.param('["a list"]', id="not an object"),
        pytest.param('{"id": 1}', id="no question"),
        pytest.param('{"id": 1, "question": 5}', id="question not text"),
        pytest.param('{"id": {}, "question": "问"}', id="id not a name"),
        pytest.param(
            '{"id": 1, "question": "问", "history": [{"role": "x", "content": ""}]}',
            id="unknown role",
        ),
    ],
)
def test_a_bad_line_of_a_batch_is_named_and_nothing_is_written(
    tmp_path: Path, index: Path, line: str
) -> None:
    questions, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text('{"id": 0, "question": "问题"}\n' + line, "utf-8")
    result = wenju("ask", "--batch", questions, "--out", answers, "--index", index)
    assert "第 2 行" in one_clear_line(result)
    assert not answers.exists()


@pytest.mark.parametrize(
    ("question", "said"),
    [
        pytest.param("", "请先输入一个问题", id="empty"),
        # ASCII: no system passes 300,000 bytes in one argument.
        pytest.param("?" * 100_000, "问题太长", id="100,000 characters"),
    ],
)
def test_a_question_that_cannot_be_worked_on_fails_with_one_line(
    index: Path, question: str, said: str
) -> None:
    assert said in one_clear_line(wenju("ask", question, "--index", index))


def test_an_index_that_is_missing_is_said_with_the_cure(tmp_path: Path) -> None:
    line = one_clear_line(wenju_process("ask", "问题", "--index", tmp_path / "none"))
    assert "还没有索引" in line
    assert "build" in line


def test_a_foreign_folder_is_not_taken_for_an_index_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "年报.xlsx").write_bytes(b"important")
    before = sorted(tmp_path.iterdir())
    for command in (("ask", "问题"), ("build", SEEDS), ("build", SEEDS, "--rebuild")):
        line = one_clear_line(wenju(*command, "--index", tmp_path))
        assert str(tmp_path) in line
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_index_is_said_with_the_cure(tmp_path: Path, index: Path) -> None:
    damaged = tmp_path / "index"
    shutil.copytree(index, damaged)
    for vectors in damaged.glob("generations/*/vectors.faiss"):
        vectors.write_bytes(vectors.read_bytes()[:100])
    assert "--rebuild" in one_clear_line(wenju("ask", "问题", "--index", damaged))
    (tmp_path / "a.txt").write_text("甲园区共有企业392家，均已投产。", "utf-8")
    cured = wenju("build", tmp_path / "a.txt", "--rebuild", "--index", damaged)
    assert "新增 1 篇" in cured.stdout


def test_a_build_waits_for_no_other_and_says_who_is_building(tmp_path: Path, index: Path) -> None:
    locked = tmp_path / "index"
    shutil.copytree(index, locked)
    with FileLock(locked / LOCK_FILE):
        assert "正在写入" in one_clear_line(wenju_process("build", SEEDS, "--index", locked))
        assert wenju_process("ask", "有多少项为全国首创？", "--index", locked).returncode == 0


def test_a_folder_without_a_readable_file_makes_no_index(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "index"
    source.mkdir()
    (source / "空.txt").write_bytes(b"")
    (source / "图.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "没有找到可以读取的文档" in one_clear_line(wenju("build", source, "--index", target))
    assert "还没有索引" in one_clear_line(wenju("ask", "问题", "--index", target))


def test_what_cannot_be_read_is_skipped_said_and_counted(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "source", tmp_path / "index", tmp_path / "outside"
    source.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("机密内容不应入库。", "utf-8")
    (source / "好.txt").write_text("园区共有企业三百家。\n今年新增企业25家。", "utf-8")
    (source / "空.txt").write_bytes(b"")
    (source / "乱.txt").write_bytes(bytes(range(256)) * 20)
    (source / "link").symlink_to(outside, target_is_directory=True)
    result = wenju("build", source, "--index", target)
    assert result.returncode == 0, result.stderr
    assert "新增 1 篇" in result.stdout
    assert "跳过 3 个" in result.stdout
    assert len(result.stderr.strip().splitlines()) == 3
    found = wenju("search", "机密内容", "--json", "--index", target)
    assert "机密" not in str(json.loads(found.stdout)["passages"])


def test_changed_and_vanished_files_are_followed(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "index"
    source.mkdir()
    # However the folder is written, it is the same one.
    (source / "a.txt").write_text("甲园区共有企业392家，均已投产。", "utf-8")
    (source / "b.txt").write_text("乙园区共有企业25家，均已投产。", "utf-8")
    wenju("build", source, "--index", target)
    (source / "a.txt").write_text("甲园区共有企业400家，均已投产。", "utf-8")
    (source / "b.txt").unlink()
    (source / "c.txt").write_text("丙园区共有企业7家，均已投产。", "utf-8")
    built = wenju("build", "source", "--index", target, cwd=tmp_path)
    assert "新增 1 篇，更新 1 篇，删除 1 篇" in built.stdout
    texts = str(json.loads(wenju("search", "园区企业", "--json", "--index", target).stdout))
    assert "400家" in texts
    assert "392家" not in texts
    assert "25家" not in texts


def test_a_port_in_use_is_said_before_anything_is_built(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_clear_line(wenju("serve", "--port", port, "--index", tmp_path / "index"))
    assert f"端口 {port} 已被占用" in line
    assert not (tmp_path / "index").exists()


def serve_but_once(index: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The code of `serve`, which ends where it would begin to listen."""
    monkeypatch.setattr(serving, "serve", lambda *_, **__: None)
    return app.main(["serve", "--port", "0", "--index", str(index)])


def test_a_first_start_that_was_interrupted_is_made_up_for_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("index.vectors._embed", interrupt)
        assert serve_but_once(tmp_path / "index", monkeypatch) == 1
    assert not (tmp_path / "index" / CURRENT).exists()
    assert serve_but_once(tmp_path / "index", monkeypatch) == 0
    assert (tmp_path / "index" / CURRENT).exists()


def test_serve_puts_no_sample_articles_into_an_index_that_somebody_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, stopped = tmp_path / "locked", tmp_path / "stopped"
    locked.mkdir()
    stopped.mkdir()
    (stopped / JOURNAL).touch()
    with write_lock(locked):
        assert serve_but_once(locked, monkeypatch) == 0
    assert serve_but_once(stopped, monkeypatch) == 0
    assert [(folder / CURRENT).exists() for folder in (locked, stopped)] == [False, False]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["ask"], id="no question"),
        pytest.param(["ask", "问", "--batch", "in.jsonl"], id="question and batch"),
        pytest.param(["ask", "--batch", "in.jsonl"], id="batch without out"),
        pytest.param(["build"], id="build without path"),
        pytest.param(["search", "词", "--top-k", "0"], id="no passages wanted"),
        pytest.param(["serve", "--port", "99999"], id="impossible port"),
        pytest.param(["fly"], id="unknown command"),
    ],
)
def test_wrong_usage_exits_with_2_in_chinese(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        app.main(arguments)
    assert exit_.value.code == 2
    assert "命令有误" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("colour = 'red'", "未知的项：colour", id="unknown key"),
        pytest.param("max_question_chars = 'many'", "类型不对", id="wrong type"),
        pytest.param("= =", "无法读取", id="not TOML"),
    ],
)
def test_a_wrong_settings_file_is_refused(
    tmp_path: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "wenju.toml"
    settings.write_text(content, "utf-8")
    assert app.main(["ask", "问题", "--settings", str(settings)]) == 1
    assert said in capsys.readouterr().err


def test_a_missing_model_is_said_with_the_cure(index: Path, tmp_path: Path) -> None:
    result = wenju("ask", "问题", "--index", index, "--model", tmp_path / "no-model")
    assert "模型" in one_clear_line(result)


def test_the_help_lists_every_command_in_chinese() -> None:
    result = wenju("--help")
    assert result.returncode == 0
    for command in ("serve", "build", "ask", "search", "eval"):
        assert command in result.stdout


def test_a_token_is_made_with_the_secret_and_never_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WENJU_TOKEN_SECRET", raising=False)
    assert app.main(["token", "https://portal.example.cn"]) == 1
    assert "WENJU_TOKEN_SECRET" in capsys.readouterr().err
    secret = "s" * 32
    monkeypatch.setenv("WENJU_TOKEN_SECRET", secret)
    assert app.main(["token", "HTTPS://Portal.example.cn:443"]) == 0
    made = capsys.readouterr().out.strip()
    TokenBook(secret).admit(made, site="https://portal.example.cn", address="192.0.2.1")
    assert app.main(["token", "portal.example.cn"]) == 1
    assert "portal.example.cn" in capsys.readouterr().err
