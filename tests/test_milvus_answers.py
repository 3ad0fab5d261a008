"""The shipped articles in Milvus, with the real models: the answers are those of a folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pymilvus")

from app import main
from assemble import build_index, open_chatbot, settings_in
from qa.chatbot import Chatbot
from qa.record import answer_record
from settings import ROOT, SEED_ARTICLES, Settings
from tests.milvus_parts import LiteServer, lite_file

OPEN_SET = ROOT / "eval" / "sets" / "zimao_open.jsonl"


def questions(step: int) -> list[str]:
    lines = OPEN_SET.read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines[::step]]


def told(chatbot: Chatbot, question: str) -> dict[str, Any]:
    """The answer record without what differs from run to run."""
    record = answer_record(chatbot.ask(question), "1")
    return {k: v for k, v in record.items() if k not in ("timings_ms", "index_version")}


def assert_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Scores are the same but for the last digits of a float, and so is the confidence."""
    assert one.pop("confidence") == pytest.approx(other.pop("confidence"), abs=1e-3)
    assert one == other


@pytest.mark.long
def test_answers_from_a_file_are_those_from_a_folder(seed_chatbot: Chatbot, tmp_path: Path) -> None:
    with lite_file(tmp_path) as store:
        settings = replace(Settings(), index_dir=str(tmp_path / "unused"), store=store)
        report = build_index(settings, [SEED_ARTICLES]).report
        assert (report.documents, report.chunks) == (2, len(seed_chatbot.generation.words))
        chatbot = open_chatbot(settings)
        with chatbot.generation:
            for question in questions(step=12):
                assert_alike(told(chatbot, question), told(seed_chatbot, question))
        assert not (tmp_path / "unused").exists()


@pytest.mark.long
def test_all_answers_from_a_server_are_those_from_a_folder(
    seed_chatbot: Chatbot, milvus_server: LiteServer
) -> None:
    settings = replace(Settings(), store=milvus_server.new_database())
    build_index(settings, [SEED_ARTICLES])
    chatbot = open_chatbot(settings)
    with chatbot.generation:
        for question in questions(step=1):
            assert_alike(told(chatbot, question), told(seed_chatbot, question))


def test_an_index_for_comparison_never_takes_the_place_of_the_store(tmp_path: Path) -> None:
    settings = replace(Settings(), store="http://127.0.0.1:1")
    assert settings_in(tmp_path, settings, {}).store == ""


def test_an_index_named_on_the_command_line_is_used_instead_of_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").write_text('store = "http://127.0.0.1:1"\n', "utf-8")
    options = ["--settings", str(tmp_path / "settings.toml")]
    assert main(["search", "企业", *options]) == 1
    assert capsys.readouterr().err.startswith("连不上向量数据库 http://127.0.0.1:1")
    assert main(["search", "企业", *options, "--index", str(tmp_path / "index")]) == 1
    assert "中还没有索引" in capsys.readouterr().err


def test_the_doctor_says_that_it_looks_at_folders_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").write_text('store = "http://127.0.0.1:1"\n', "utf-8")
    assert main(["doctor", "--settings", str(tmp_path / "settings.toml")]) == 1
    assert capsys.readouterr().err.startswith("doctor 只检查索引文件夹")


@contextmanager
def serving(settings_file: Path, folder: Path) -> Iterator[str]:
    """`wenju serve` over the store; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "app.py"), "serve", "--port", str(port)]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--settings", str(settings_file)], cwd=folder, stdout=log, stderr=log
        )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            assert process.poll() is None, (folder / f"{port}.log").read_text("utf-8")
            try:
                if httpx.get(f"{address}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def answer_of(address: str, question: str) -> dict[str, Any]:
    reply = httpx.post(f"{address}/api/v1/ask", json={"question": question}, timeout=60)
    record: dict[str, Any] = reply.json()
    return record


def wait_for(address: str, said: str) -> None:
    deadline = time.monotonic() + 60
    while said not in answer_of(address, "甲园区共有企业多少家？").get("answer", ""):
        assert time.monotonic() < deadline, "not served within a minute"
        time.sleep(0.2)


@pytest.mark.long
def test_two_web_processes_follow_what_a_third_builds(
    milvus_server: LiteServer, tmp_path: Path
) -> None:
    store = milvus_server.new_database()
    settings_file = tmp_path / "settings.toml"
    settings_file.write_text(f'store = "{store}"\n', "utf-8")
    source = tmp_path / "甲.txt"

    def build(count: str) -> None:
        source.write_text(f"园区年报\n\n甲园区共有企业{count}，均已投产。\n", "utf-8")
        command = [sys.executable, str(ROOT / "app.py"), "build", str(source)]
        subprocess.run(
            [*command, "--settings", str(settings_file)],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            env=os.environ,
        )

    build("392家")
    with ExitStack() as stack:
        addresses = [stack.enter_context(serving(settings_file, tmp_path)) for _ in range(2)]
        for address in addresses:
            wait_for(address, "392家")
        build("400家")
        for address in addresses:
            wait_for(address, "400家")
        versions = {answer_of(a, "甲园区共有企业多少家？")["index_version"] for a in addresses}
        assert len(versions) == 1
    assert not (tmp_path / "data" / "index").exists()
