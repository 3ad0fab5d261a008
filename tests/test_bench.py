"""The benchmarks that stand beside others: what is computed, what is written, who is asked."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks import run, store, watch
from benchmarks.bench import OURS, Bench, Size, articles_in, chunks_in, size_of
from benchmarks.load import Crowd, figures, measure, passages_at
from benchmarks.ours import STAGES, Stages, timed_retriever
from benchmarks.page import page, times
from benchmarks.parts.archive import _change_middle
from benchmarks.parts.flat import Point, growth, varied_questions
from benchmarks.plot import Panel, panels_of, picture
from benchmarks.ratios import Ratio, Spread
from benchmarks.server import Server
from benchmarks.service import Service
from index.generation import Generation
from qa.chatbot import Chatbot
from settings import SEED_ARTICLES, Settings

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="memory and processor time are read from /proc"
)

SVG = "{http://www.w3.org/2000/svg}"


# --- figures


def test_a_ratio_compares_each_round_with_the_one_taken_right_after_it() -> None:
    # A machine that is twice as slow in the second round strikes both sides.
    assert Ratio.of([1.0, 2.0, 4.0], [3.0, 6.0, 20.0]) == Ratio(middle=3.0, least=3.0, most=5.0)


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0, 2.0]), ([], [])])
def test_rounds_that_do_not_belong_together_have_no_ratio(
    ours: list[float], theirs: list[float]
) -> None:
    with pytest.raises(ValueError):
        Ratio.of(ours, theirs)


def test_a_spread_is_the_median_and_the_95th_percentile() -> None:
    assert Spread.of([float(n) for n in range(101)]) == Spread(count=101, p50=50.0, p95=95.0)


@pytest.mark.parametrize(
    ("per_thousand", "flat"), [(0.0, True), (0.5, True), (2.0, False), (-3.0, True)]
)
def test_memory_is_flat_where_the_last_half_grows_by_two_percent_at_most(
    per_thousand: float, flat: bool
) -> None:
    # 200 MB come in with the first questions, and do not count.
    points = [Point(1000 * n, 300 + min(n, 3) * 70 + per_thousand * n, 9.0 * n) for n in range(21)]
    assert growth(points)["flat"] is flat


def test_growth_is_told_in_percent_of_the_mean() -> None:
    points = [Point(1000 * n, 95.0 + n, 0.0) for n in range(11)]
    assert growth(points)["last_half_percent"] == pytest.approx(100 * 5 / 102.5, abs=0.01)


def test_too_few_questions_have_no_verdict() -> None:
    assert growth([Point(0, 1.0, 0.0), Point(1000, 99.0, 0.0)])["flat"] is None


# --- processes


def test_the_cost_of_a_command_counts_the_processes_that_it_starts() -> None:
    child = "x = bytearray(80 << 20); sum(range(3_000_000)); import time; time.sleep(0.4)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    cost, text = watch.run([sys.executable, "-c", f"{parent}; print('done')"])
    assert text == "done\n"
    assert cost.peak_megabytes > 80
    assert cost.seconds > 0.4
    assert 0.03 < cost.core_seconds < cost.seconds


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(SystemExit, match="没有这个文件"):
        watch.run([sys.executable, "-c", "import sys; sys.exit('没有这个文件')"])


BURN = "import time\nwhile time.process_time() < 0.4: pass"


def test_what_this_process_and_its_children_take_is_not_taken_by_others() -> None:
    cores = os.cpu_count() or 1
    burn = f"import subprocess as s, sys\nall_ = [s.Popen([sys.executable, '-c', {BURN!r}])"
    others = watch.Others()
    with others:
        cost, _ = watch.run(
            [sys.executable, "-c", f"{burn} for _ in range({cores})]\nfor one in all_: one.wait()"]
        )
    assert others.share <= 1 - cost.core_seconds / (cores * cost.seconds) + 0.1


def test_what_nobody_here_has_waited_for_is_taken_by_others() -> None:
    other = subprocess.Popen([sys.executable, "-c", BURN])
    others = watch.Others()
    started = time.perf_counter()
    with others:
        watch.run([sys.executable, "-c", BURN])
    elapsed = time.perf_counter() - started
    other.wait()
    assert others.share >= 0.1 / ((os.cpu_count() or 1) * elapsed)


def test_memory_of_a_process_that_has_ended_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError):
        watch.memory_of(process.pid)


def served_by(body: str) -> Service:
    code = f"from benchmarks.service import answer\n{body}"
    return Service([sys.executable, "-c", code])


def test_what_a_library_prints_does_not_disturb_the_replies() -> None:
    with served_by("answer({'double': lambda n: (print('loading 100%'), 2 * n)[1]})") as service:
        assert [service.ask("double", n=n) for n in (1, 2)] == [2, 4]


def test_a_service_that_dies_says_why() -> None:
    with (
        served_by("import os\nanswer({'open': lambda: os.abort()})") as service,
        pytest.raises(SystemExit, match="has ended"),
    ):
        service.ask("open")


# --- ours


def test_the_stages_are_timed_inside_a_search_that_finds_the_same(seed_chatbot: Chatbot) -> None:
    stages = Stages()
    timed = timed_retriever(seed_chatbot.retriever, stages)
    found = timed.search("三一科学城总投资多少亿元？", 10)
    assert (
        found.passages == seed_chatbot.retriever.search("三一科学城总投资多少亿元？", 10).passages
    )
    assert all(stages.spent[stage] > 0 for stage in STAGES)
    taken = stages.taken(1000.0)
    assert sum(taken[stage] for stage in (*STAGES, "fuse")) == pytest.approx(1000.0)
    assert not any(stages.spent.values())


def in_folder(chatbot: Chatbot) -> Generation:
    assert isinstance(chatbot.generation, Generation)
    return chatbot.generation


def test_others_are_given_the_articles_as_their_files_have_them(seed_chatbot: Chatbot) -> None:
    given = dict(articles_in(in_folder(seed_chatbot)))
    files = {path.name: path.read_text("utf-8") for path in SEED_ARTICLES.glob("*.txt")}
    assert given == files


def test_given_chunks_stand_in_the_order_of_their_vectors(seed_chatbot: Chatbot) -> None:
    generation = in_folder(seed_chatbot)
    rows = list(chunks_in(generation))
    assert [int(number) for number, _ in rows] == list(range(generation.manifest.chunks))
    middle = len(rows) // 2
    (vector,) = generation.vectors.reconstruct([middle])
    (made,) = seed_chatbot.retriever.embedder.embed_passages([rows[middle][1]])
    assert float(vector @ made) > 0.999


def a_bench(work: Path) -> Bench:
    return Bench(
        work=work,
        news=None,
        ready=(),
        sizes=(0,),
        python=sys.executable,
        float_model=work,
        systems=("txtai",),
        questions=("谁？",),
        articles=2,
        rounds=1,
        peer_articles=100,
        seconds=1.0,
        people=(1,),
        many=1,
    )


def test_txtai_is_left_out_where_it_would_have_to_embed_too_many_articles(tmp_path: Path) -> None:
    size = Size(articles=101, chunks=500, index=tmp_path, version="000001-aaaaaaaa")
    assert a_bench(tmp_path).peer_index("txtai", size) is None


def test_nobody_else_is_measured_without_a_python_for_them(tmp_path: Path) -> None:
    assert a_bench(tmp_path).others == ("txtai",)
    assert replace(a_bench(tmp_path), python=None).others == ()


def test_news_are_cut_to_their_first_articles_and_too_few_are_told(tmp_path: Path) -> None:
    news = tmp_path / "news.txt"
    news.write_text("第一篇。\n\n第二篇。\n第三篇。\n", "utf-8")
    bench = replace(a_bench(tmp_path), news=news)
    rows = [json.loads(line) for line in bench.news_file(2).read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["第一篇。", "第二篇。"]
    with pytest.raises(SystemExit, match="只有 3 篇"):
        bench.news_file(4)


def test_one_article_is_changed_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "news.jsonl"
    file.write_text("".join(f'{{"id": "{n}", "text": "第{n}篇。"}}\n' for n in range(4)), "utf-8")
    before = file.read_text("utf-8").splitlines()
    _change_middle(file)
    changed = [
        new != old for new, old in zip(file.read_text("utf-8").splitlines(), before, strict=True)
    ]
    assert sum(changed) == 1


def test_half_of_many_questions_are_sentences_all_different(seed_settings: Settings) -> None:
    size = size_of(Path(seed_settings.index_dir))
    asked = list(itertools.islice(varied_questions(size, ["甲？", "乙？"]), 40))
    assert asked[::4] == ["甲？"] * 10
    assert len(set(asked[1::2])) > 15


# --- people


class _Busy(BaseHTTPRequestHandler):
    """Is busy first, then finds a passage, and fails for a question it does not like."""

    asked = itertools.count()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if next(self.asked) == 0:
            self.send_response(503)
            self.send_header("retry-after", "0")
        else:
            self.send_response(500 if "坏" in json.loads(body)["query"] else 200)
        self.end_headers()
        self.wfile.write(b'{"passages": ["one"]}')

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def busy_server() -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Server(f"http://127.0.0.1:{server.server_port}", os.getpid(), 0.0, 0.0)
        server.shutdown()
        thread.join()


def test_a_busy_server_is_asked_again_and_what_fails_is_lost(busy_server: Server) -> None:
    questions = iter(["好？", "坏？", "好？", "好？"])
    crowd = Crowd(2, (passages_at("/search", 10),))
    with ThreadPoolExecutor(1) as apart:  # the browser fixture keeps a loop in the main thread
        seen = apart.submit(measure, busy_server, crowd, questions).result()
    found = figures(seen, 1.0)
    assert (found["asked"], found["answered"], found["lost"], found["busy"]) == (4, 3, 1, 1)
    assert found["megabytes_most"] > 10


# --- what is written

LATENCY = {
    "questions": 4,
    "rounds": 2,
    "depth": 10,
    "sizes": [
        {
            "articles": articles,
            "chunks": 40 * articles,
            "embedded_by_peers": articles == 2,
            "systems": {
                name: {
                    "stages": {"retrieve": {"count": 8, "p50": milliseconds, "p95": 9.5}},
                    "times_ours": {"middle": ratio, "least": ratio - 0.5, "most": ratio + 0.5},
                }
                for name, milliseconds, ratio in ((OURS, 5.0, 1.0), ("langchain-500", 31.0, 6.2))
            },
            "times_smallest": {
                stage: {"middle": 1.4, "least": 1.4, "most": 1.4}
                for stage in ("retrieve", "answer")
            },
        }
        for articles in (2, 17366)
    ],
}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.json"
    store.keep("latency", LATENCY, 0.05, path)
    return path


def test_a_ratio_is_written_with_its_range_where_there_is_one() -> None:
    assert times({"middle": 3.4, "least": 3.12, "most": 3.8}) == "3.40 倍（3.12–3.80）"
    assert times({"middle": 3.4, "least": 3.4, "most": 3.4}) == "3.40 倍"


def test_the_page_tells_ratios_machine_and_what_others_were_given(kept: Path) -> None:
    text = page(store.read(kept), "benchmarks.svg")
    assert "| 2 篇，LangChain + FAISS，500/50 字 | 31.0／9.5 | 6.20 倍（5.70–6.70） |" in text
    assert "17,366 篇，LangChain + FAISS，500/50 字（收下现成的向量）" in text
    assert "17,366 篇时检索 1.40 倍、回答 1.40 倍" in text
    assert store.machine()["processor"] in text
    assert "其间别的任务占用 5 % 的处理器。" in text
    assert "## 内存" not in text  # was not measured


def test_figures_of_a_busy_machine_are_marked(kept: Path) -> None:
    store.keep("latency", LATENCY, 0.4, kept)
    assert "**机器不空闲，比值偏向问据，不宜采用**" in page(store.read(kept), None)


def test_a_page_without_results_says_so() -> None:
    assert "还没有量过" in page({}, None)


def test_a_part_that_is_measured_again_leaves_the_others_as_they_are(kept: Path) -> None:
    before = store.read(kept)["latency"]
    store.keep("flat", {"flat": True}, 1.0, kept)
    assert store.read(kept) == {"latency": before, "flat": store.read(kept)["flat"]}


def test_page_and_picture_are_written_from_what_is_kept(kept: Path) -> None:
    run.main(["--only-write", "--store", str(kept)])
    assert "](benchmarks.svg)" in kept.with_suffix(".md").read_text("utf-8")
    assert ET.fromstring(kept.with_suffix(".svg").read_text("utf-8")).tag == f"{SVG}svg"


def test_a_picture_has_a_line_a_system_and_is_the_same_every_time() -> None:
    (panel,) = panels_of({"latency": {"result": LATENCY}})
    assert panel.lines == {
        OURS: [(2, 5.0), (17366, 5.0)],
        "langchain-500": [(2, 31.0), (17366, 31.0)],
    }
    drawn = picture([panel, Panel("内存", {OURS: [(2, 400.0)]})])
    assert drawn == picture([panel, Panel("内存", {OURS: [(2, 400.0)]})])
    texts = ["".join(node.itertext()) for node in ET.fromstring(drawn).iter(f"{SVG}text")]
    assert {"检索，中位（毫秒）", "内存", "问据", "LangChain + FAISS，500/50 字", "17,366"} <= set(
        texts
    )


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--only", "build,nothing"])
    assert "没有这一部分：nothing" in capsys.readouterr().err
