"""A ChatService without index or model: the same answers every time, for the tests of the web."""

from __future__ import annotations

import os
import textwrap
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from errors import (
    BadQuestionError,
    BusyError,
    LongQuestionError,
    NotReadyError,
    TooManyRequestsError,
    WenjuError,
)
from schema import (
    Answer,
    Article,
    AskResult,
    Block,
    BlockKind,
    Chunk,
    Citation,
    DocumentSummary,
    Passage,
    Refusal,
    Reply,
    Sentence,
    Span,
    Turn,
)
from tests.servers import RunningServer, free_port, served
from web.options import WebOptions

PORT_DOC = "港口/2025 年报#1.txt"
PARK_DOC = "园区.txt"
HOSTILE_DOC = "hostile.txt"

SHIPS = "全年完成集装箱吞吐量128.6万标箱，同比增长9.3%，其中外贸箱占四成以上。"
ROUTES = "目前港口开通近洋航线14条，直达日本、韩国和东南亚的主要口岸。"
FIRMS = "截至年底，园区落户企业231家，其中高新技术企业87家。"
HOSTILE_SENTENCE = (
    '<script>window.hacked=1</script><img src="http://evil.test/a.png" onerror="window.hacked=1">'
    "![图](http://evil.test/b.png)[点我](javascript:window.hacked=1)"
    '<form action="http://evil.test/c"><button>交</button></form>'
)


def article(
    doc: str, *parts: tuple[BlockKind, str], date: str | None = None, inferred: bool = False
) -> Article:
    """An article whose original is hard-wrapped at 16 characters, as newspaper pages are."""
    original = "\n"
    text = ""
    offsets = array("I")
    blocks: list[Block] = []
    for kind, content in parts:
        if text:
            offsets.append(len(original) - 1)  # the blank line before this block
            text += "\n"
        start = len(text)
        for line in textwrap.wrap(content, 16, drop_whitespace=False):
            offsets.extend(range(len(original), len(original) + len(line)))
            original += line + "\n"
            text += line
        original += "\n"
        blocks.append(Block(kind, Span(start, len(text))))
    fields = {kind: content for kind, content in parts if kind in get_args(BlockKind)}
    return Article(
        doc=doc,
        sha256="0" * 64,
        original=original,
        text=text,
        offsets=offsets,
        blocks=tuple(blocks),
        title=fields.get("title"),
        subtitle=fields.get("subtitle"),
        byline=fields.get("byline"),
        date=date,
        date_inferred=inferred,
    )


PORT = article(
    PORT_DOC,
    ("title", "临江港：一条江，通向十四个口岸"),
    ("subtitle", "——临江市内河港口高质量发展纪实"),
    ("byline", "林 溪  周望舒"),
    (
        "body",
        "清晨六点，江面薄雾未散，临江港三号码头的岸桥已经开始转动。值班调度员说，这是入冬以来最忙的一周。",
    ),
    ("heading", "从“小码头”到“大枢纽”"),
    (
        "body",
        "五年前，这里只有两个泊位，货物要先用卡车运到下游才能出海。扩建之后，港口一次可以停靠六艘五千吨级货轮。"
        + SHIPS
        + "港口负责人表示，下一步将建设全自动堆场，进一步压缩货物在港时间。",
    ),
    ("caption", "临江港三号码头，岸桥正在装船。（周望舒 摄）"),
    ("heading", "航线越织越密"),
    ("body", "航线是港口的生命线。" + ROUTES + "企业从下单到收货，平均缩短了三天。"),
    ("pull_quote", "“过去是货等船，现在是船等货。”"),
    (
        "body",
        "为了让中小企业也能用上这条通道，港口推出拼箱服务，一个托盘也可以订舱，费用按体积计算。",
    ),
    date="2025",
    inferred=True,
)
PARK = article(
    PARK_DOC,
    ("title", "产业园里的“店小二”"),
    (
        "body",
        "产业园把政务窗口搬到车间旁边，企业办证不出园。"
        + FIRMS
        + "园区每月召开一次座谈会，当场解决问题。",
    ),
    date="2025-03-30",
)
HOSTILE = article(
    HOSTILE_DOC,
    ("title", "<b onmouseover=alert(1)>标题</b>"),
    ("body", "前文。" + HOSTILE_SENTENCE + "后文。"),
)


def cite(n: int, source: Article, quote: str) -> Citation:
    """A citation of a sentence that stands in the article."""
    start = source.text.index(quote)
    span = source.original_span(Span(start, start + len(quote)))
    return Citation(n, source.doc, source.title, source.date, span, quote)


def chunk_of(source: Article) -> Chunk:
    """The last block of an article, as the one chunk that search knows."""
    block = source.blocks[-1]
    sentence = Sentence(block.span, block.kind)
    return Chunk(source.doc, 0, block.span, block.span.cut(source.text), "", (sentence,))


_HURRY = "hurry"  # in the folder of the server


def hurry(server: RunningServer) -> None:
    """Let the slow answers come that are under way."""
    file = server.log.parent / _HURRY
    file.touch()
    now = time.time_ns()  # the clock of the file system is behind it
    os.utime(file, ns=(now, now))


TROUBLE: dict[str, WenjuError] = {
    "太勤": TooManyRequestsError(40),
    "太忙": BusyError(),
    "没建好": NotReadyError(),
}


class FakeChatService:
    """Knows a handful of questions; a slow one takes three seconds, or until `hurry` is called."""

    examples: Sequence[str] = (
        "临江港全年完成多少集装箱吞吐量？",
        "港口开通了哪些航线？",
        "园区落户了多少家企业？",
    )
    index_version = "fake-1"

    def __init__(self, slow_seconds: float = 3.0) -> None:
        self.slow_seconds = slow_seconds
        self.histories: list[list[Turn]] = []

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        on_stage: Callable[[str], None] | None = None,
    ) -> AskResult:
        if not question.strip():
            raise BadQuestionError("empty question", "请先输入一个问题。")
        if len(question) > 1000:
            raise LongQuestionError(len(question), 1000)
        if "太频繁" in question:
            raise TooManyRequestsError(7)
        self.histories.append(list(history))
        for stage in ("understand", "retrieve", "read", "compose"):
            if on_stage is not None:
                on_stage(stage)
        return AskResult(question, self._reply(question, history), {"total": 1.0}, "fake-1")

    def search(self, query: str, k: int) -> list[Passage]:
        found = [
            Passage(number, chunk_of(item), item.title, item.date, 1.0 - number / 10)
            for number, item in enumerate((PORT, PARK))
            if any(character in item.text for character in query)
        ]
        return found[:k]

    def article(self, doc: str) -> Article | None:
        return {item.doc: item for item in (PORT, PARK, HOSTILE)}.get(doc)

    def documents(self) -> list[DocumentSummary]:
        return [
            DocumentSummary(item.doc, item.title, item.date, len(item.text), 3)
            for item in (HOSTILE, PARK, PORT)
        ]

    def _reply(self, question: str, history: Sequence[Turn]) -> Reply:
        if "崩溃" in question:
            raise RuntimeError("secret detail of the server")
        trouble = next((error for word, error in TROUBLE.items() if word in question), None)
        if trouble is not None:
            raise trouble
        if "慢" in question:
            self._take_time()
        if question.startswith("那") and history:
            return Answer(
                "园区落户企业231家[1]。",
                "231家",
                0.9,
                (cite(1, PARK, FIRMS),),
                "园区去年落户了多少家企业？",
            )
        return self._known(question)

    def _take_time(self) -> None:
        began = time.time_ns()
        while time.time_ns() - began < self.slow_seconds * 1e9:
            file = Path(_HURRY)
            if file.exists() and file.stat().st_mtime_ns > began:
                return
            time.sleep(0.01)

    def _known(self, question: str) -> Reply:
        if "危险" in question:
            return Answer(
                f"{HOSTILE_SENTENCE}[1]。", None, 0.9, (cite(1, HOSTILE, HOSTILE_SENTENCE),)
            )
        if "航线" in question:
            return Answer(
                "港口开通近洋航线14条，直达日本、韩国和东南亚的主要口岸[1]。"
                "企业从下单到收货平均缩短了三天[2]。",
                "14条",
                0.9,
                (cite(1, PORT, ROUTES), cite(2, PORT, "企业从下单到收货，平均缩短了三天。")),
            )
        if "吞吐量" in question or "慢" in question:
            return Answer(
                "全年完成集装箱吞吐量128.6万标箱，同比增长9.3%[1]。园区落户企业231家[2]。",
                "128.6万标箱",
                0.9,
                (cite(1, PORT, SHIPS), cite(2, PARK, FIRMS)),
            )
        if "拿不准" in question or "说不好" in question:
            confidence = 0.2 if "拿不准" in question else 0.5
            return Answer("园区落户企业231家[1]。", "231家", confidence, (cite(1, PARK, FIRMS),))
        if "企业" in question:
            return Answer("园区落户企业231家[1]。", "231家", 0.9, (cite(1, PARK, FIRMS),))
        return Refusal(
            "文档里没有找到能回答这个问题的内容。",
            "nothing_found",
            suggestions=(cite(0, PARK, FIRMS), cite(0, PORT, ROUTES)),
        )


class TroubledChatService(FakeChatService):
    """Has nothing indexed, fails on every article and offers a hostile example."""

    examples = ("</script><script>window.hacked=1</script>",)

    def article(self, doc: str) -> Article | None:
        raise RuntimeError("secret detail of the server")

    def documents(self) -> list[DocumentSummary]:
        return []


SERVICES: dict[str, type[FakeChatService]] = {
    "fake": FakeChatService,
    "troubled": TroubledChatService,
}


@contextmanager
def running_server(
    service: str, *, port: int | None = None, **options: object
) -> Iterator[RunningServer]:
    """Serve one of SERVICES, ready to be asked.

    Args:
        service: its name.
        port: one that was used before, for a server that is started again; else a free one.
        options: those of WebOptions.
    """
    if port is None:
        port = free_port()
    chosen = {"concurrent_questions": 2, "queue_size": 0} | options
    with (
        TemporaryDirectory() as folder,
        served(_serve, service, port, chosen, port=port, folder=Path(folder)) as server,
    ):
        yield server


def _serve(service: str, port: int, options: dict[str, Any]) -> None:
    from web.server import serve

    serve(SERVICES[service](), "127.0.0.1", port, WebOptions(**options))
