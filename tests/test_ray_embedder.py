"""Bulk embedding on a Ray cluster: what can go wrong before and on it, and (long) a real one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from errors import ClusterError, ModelError
from index import ray_embedder as module
from index.embedder import OnnxEmbedder
from index.ray_driver import RayWorkers
from index.ray_embedder import RayEmbedder, ray_embedder
from index.ray_worker import embed_on_worker, read_files, release
from index.spread import Task
from schema import Span
from settings import SEED_ARTICLES, SHIPPED_MODEL
from tests.ray_cluster import ENVIRONMENT, RunningCluster, running_cluster

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ["临江港开通近洋航线14条。直达日本。", "", "园区落户企业231家。", "港口" * 400]
PARTS = [[Span(0, 13), Span(13, 18)], [], [Span(0, 10)], [Span(0, 800), Span(798, 800)]]


@pytest.fixture
def local() -> OnnxEmbedder:
    return OnnxEmbedder(SHIPPED_MODEL)


class Reference:
    """What names the model in Ray's store."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hex(self) -> str:
        return self.name


def on_worker(
    monkeypatch: pytest.MonkeyPatch, files: object, expected: dict[str, str] | None = None
) -> tuple[object, object]:
    """Call what runs on a worker, without the cluster."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda _: files))
    task = Task.of(TEXTS, PARTS)
    release_there = dict(release()) if expected is None else expected
    model = [Reference(os.urandom(8).hex())]
    return embed_on_worker(model, release_there, task.texts, task.spans, task.counts)


def test_a_worker_gives_the_vectors_of_the_local_embedder_to_the_bit(
    monkeypatch: pytest.MonkeyPatch, local: OnnxEmbedder
) -> None:
    vectors, rows = on_worker(monkeypatch, read_files(SHIPPED_MODEL))
    expected, parts = local.embed_passages_with_parts(TEXTS, PARTS)
    np.testing.assert_array_equal(vectors, expected)
    np.testing.assert_array_equal(rows, np.concatenate(parts))


def test_a_model_that_was_damaged_on_its_way_is_refused_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = dict(read_files(SHIPPED_MODEL))
    files["model.onnx"] = np.append(files["model.onnx"][:-1], np.uint8(0))
    _, message = on_worker(monkeypatch, files)
    assert "收到的模型不能用" in str(message)
    assert "checksum of model.onnx" in str(message)


def test_a_worker_with_another_release_says_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {**release(), "onnxruntime": "0.0.1", "code": "another"}
    _, message = on_worker(monkeypatch, {}, expected)
    assert "，本机 0.0.1" in str(message)
    assert "code" in str(message)
    assert "numpy" not in str(message)


def test_one_worker_that_refuses_stops_the_build() -> None:
    ray = SimpleNamespace(
        put=lambda files: files,
        remote=lambda **_: lambda function: function,
        get=lambda job: ("another release", "程序与本机不同"),
        exceptions=SimpleNamespace(
            WorkerCrashedError=KeyError,
            NodeDiedError=KeyError,
            ObjectLostError=KeyError,
            OutOfMemoryError=KeyError,
            RayTaskError=KeyError,
            RayError=KeyError,
        ),
    )
    workers = RayWorkers(ray, SHIPPED_MODEL)  # type: ignore[arg-type]
    with pytest.raises(ClusterError) as caught:
        workers.result("job")
    assert caught.value.user_message == "程序与本机不同"


@pytest.mark.parametrize("address", ["10.0.0.1", "local", "", "ray://", "http://h:1/x", "h:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ClusterError) as caught:
        refuse(address)
    assert "应为 主机:端口、ray://主机:端口 或 auto" in caught.value.user_message


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens_is_told_at_once(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ClusterError) as caught:
        refuse(f"{scheme}127.0.0.1:{port}")
    assert f"连不上 Ray 集群 {scheme}127.0.0.1:{port}" in caught.value.user_message


def refuse(address: str, model: Path = SHIPPED_MODEL) -> None:
    with ray_embedder(str(model), address):
        raise AssertionError("connected")


def test_only_a_model_that_can_be_sent_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        refuse("127.0.0.1:1", tmp_path)
    assert "train.export_onnx" in caught.value.user_message


def test_without_ray_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Python itself would say it: a module of that name that cannot be imported.
    (tmp_path / "ray.py").write_text("raise ImportError('no ray here')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ClusterError) as caught, socket.create_server(("127.0.0.1", 0)) as other:
        refuse(f"127.0.0.1:{other.getsockname()[1]}")
    assert "pip install 'wenju[ray]'" in caught.value.user_message


def test_a_driver_that_ray_has_ended_is_a_lost_cluster(local: OnnxEmbedder) -> None:
    with module._running_driver() as driver:
        embedder = RayEmbedder(local, driver, cores=1)
        # What it cannot read ends it, as Ray does when the head of the cluster is gone.
        driver.say({})
        with pytest.raises(ClusterError) as caught:
            embedder.embed_passages(TEXTS)
    assert "与 Ray 集群的连接断了" in caught.value.user_message
    assert "索引照常可用" in caught.value.user_message


def test_questions_are_embedded_here(local: OnnxEmbedder) -> None:
    with module._running_driver() as driver:
        embedder = RayEmbedder(local, driver, cores=1)
        found = embedder.embed_queries(["港口"])
    np.testing.assert_array_equal(found, local.embed_queries(["港口"]))
    assert (embedder.dim, embedder.fingerprint) == (local.dim, local.fingerprint)


# A real cluster: a head without cores and two workers of one core each.

DOCUMENTS, CHUNKS = 30, 20


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 600 chunks of text that differs everywhere."""
    folder = tmp_path_factory.mktemp("articles")
    seeds = "".join(path.read_text("utf-8") for path in sorted(SEED_ARTICLES.glob("*.txt")))
    sentences = [s for s in "".join(seeds.split()).split("。") if 20 < len(s) < 90]
    for number in range(DOCUMENTS):
        text = "。".join(
            f"第{number}号园区第{row}年，{sentences[(number * 7 + row) % len(sentences)]}"
            for row in range(CHUNKS * 3)
        )
        (folder / f"{number:03d}.txt").write_text(text + "。", "utf-8")
    return folder


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCluster]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with running_cluster() as running:
        yield running


def start_build(articles: Path, index: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "app.py"), "build", str(articles)]
    return subprocess.Popen(
        [*command, "--index", str(index), "--json", "--progress", "json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def files_of(index: Path) -> dict[str, bytes]:
    """All files of the one generation but the manifest, which tells the time."""
    (generation,) = (index / "generations").iterdir()
    return {
        str(path.relative_to(generation)): path.read_bytes()
        for path in generation.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def wait_for_vectors(build: subprocess.Popen[str], least: int) -> None:
    assert build.stderr is not None
    for line in build.stderr:
        event = json.loads(line)
        if event.get("stage") == "embed" and event["done"] >= least:
            return
    raise AssertionError("the build ended before")


@pytest.mark.long
def test_a_worker_killed_in_the_middle_changes_nothing_of_the_index(
    articles: Path, tmp_path: Path, cluster: RunningCluster
) -> None:
    with start_build(articles, tmp_path / "local") as here:
        assert json.loads(here.communicate()[0])["documents"] == DOCUMENTS
    with start_build(articles, tmp_path / "spread", "--ray", cluster.address) as build:
        wait_for_vectors(build, least=1)
        cluster.kill_worker(0)
        output, progress = build.communicate()
    assert build.returncode == 0, progress
    assert json.loads(output)["documents"] == DOCUMENTS  # nothing of Ray's on standard output
    assert all(json.loads(line) for line in progress.splitlines())
    assert files_of(tmp_path / "spread") == files_of(tmp_path / "local")


@pytest.mark.long
def test_from_outside_the_cluster_it_is_asked_by_its_client_port(
    cluster: RunningCluster, local: OnnxEmbedder
) -> None:
    with ray_embedder(str(SHIPPED_MODEL), cluster.client_address) as embedder:
        vectors, parts = embedder.embed_passages_with_parts(TEXTS, PARTS)
    expected, expected_parts = local.embed_passages_with_parts(TEXTS, PARTS)
    np.testing.assert_array_equal(vectors, expected)
    for one, other in zip(parts, expected_parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_machines_without_the_program_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "__init__.py").write_text("# of another program\n", "utf-8")
    with (
        running_cluster(path=tmp_path) as cluster,
        pytest.raises(ClusterError) as caught,
        ray_embedder(str(SHIPPED_MODEL), cluster.client_address) as embedder,
    ):
        embedder.embed_passages(TEXTS)
    assert "没有问据的程序，或版本不同" in caught.value.user_message


@pytest.mark.long
def test_all_workers_gone_leaves_the_index_as_it_was(
    articles: Path, tmp_path: Path, cluster: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    (small / "甲.txt").write_text("甲园区共有企业392家。", "utf-8")
    index = tmp_path / "index"
    with start_build(small, index) as first:
        first.communicate()
    before = files_of(index)
    with start_build(articles, index, "--ray", cluster.address) as build:
        wait_for_vectors(build, least=1)
        cluster.kill_worker(0)
        cluster.kill_worker(1)
        output, progress = build.communicate()
    assert build.returncode == 1
    assert output == ""
    assert "已没有可用的机器" in progress.splitlines()[-1]
    assert files_of(index) == before


@pytest.mark.long
def test_a_head_that_is_lost_ends_the_build_with_one_line(
    articles: Path, tmp_path: Path, cluster: RunningCluster
) -> None:
    with start_build(articles, tmp_path / "index", "--ray", cluster.address) as build:
        wait_for_vectors(build, least=1)
        cluster.kill_head()
        output, progress = build.communicate()
    assert build.returncode == 1
    assert output == ""
    assert "与 Ray 集群的连接断了" in progress.splitlines()[-1]
    assert not (tmp_path / "index" / "CURRENT").exists()


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the driver")
def test_a_build_that_is_told_to_stop_leaves_no_driver_behind(
    articles: Path, tmp_path: Path, cluster: RunningCluster
) -> None:
    with start_build(articles, tmp_path / "index", "--ray", cluster.address) as build:
        wait_for_vectors(build, least=1)
        (driver,) = Path(f"/proc/{build.pid}/task/{build.pid}/children").read_text().split()
        build.send_signal(signal.SIGINT)
        _, progress = build.communicate()
    assert build.returncode == 1
    assert "已中断" in progress.splitlines()[-1]
    assert not Path(f"/proc/{driver}").exists()
