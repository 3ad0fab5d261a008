"""The operator's page as operators use it: a real server, a real index, a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from assemble import build_index
from corpus.formats import SUFFIXES
from index.lock import HOLDER_FILE
from settings import SEED_ARTICLES, Settings
from tests.library_server import PASSWORD, LibraryServer, library_server
from tests.test_library import FakeIndex
from web.documents import COOKIE, documents_router
from web.library import Library

pytest.importorskip("playwright")

from playwright.sync_api import Browser, FilePayload, Page, expect

REPORT = "临江港年度报告\n\n临江港全年完成集装箱吞吐量{}万标箱，同比增长9.3%。\n"
QUESTION = "临江港全年完成集装箱吞吐量多少万标箱？"
HOSTILE_TITLE = "<img src=x onerror=window.hacked=1>年度报告"
HOSTILE_TEXT = f"{HOSTILE_TITLE}\n\n<script>window.hacked=1</script>正文。\n"
API = "/documents/api"
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibraryServer]:
    """Over the two shipped articles, which lie in a folder of the server's."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(SEED_ARTICLES, folder / "articles")
    build_index(replace(Settings(), index_dir=str(folder / "index")), [folder / "articles"])
    with library_server(folder, max_file_bytes=LIMIT) as server:
        yield server


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibraryServer]:
    """Without an index."""
    with library_server(tmp_path_factory.mktemp("bare"), max_file_bytes=LIMIT) as server:
        yield server


def log_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    return client.post("/documents/login", data={"password": password})


def client_of(server: LibraryServer) -> httpx.Client:
    return httpx.Client(base_url=server.address, timeout=30)


@pytest.fixture
def operator(server: LibraryServer) -> Iterator[httpx.Client]:
    with client_of(server) as client:
        assert log_in(client).status_code == 303
        yield client


@pytest.fixture
def stranger(server: LibraryServer) -> Iterator[httpx.Client]:
    with client_of(server) as client:
        yield client


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


def settled(operator: httpx.Client) -> dict[str, Any]:
    """The state when everything is built and what was built answers."""

    def state() -> dict[str, Any]:
        got: dict[str, Any] = operator.get(f"{API}/state").json()
        return got

    def is_settled() -> bool:
        now = state()
        build, serving = now["build"], now["serving"]
        busy = build["phase"] == "running" or build["queued"]
        return not busy and build["version"] in ("", serving["version"])

    wait_until(is_settled)
    return state()


def upload(
    client: httpx.Client, name: str, data: str | bytes, *, replacing: bool = False
) -> httpx.Response:
    content = data.encode() if isinstance(data, str) else data
    params = {"name": name, "replace": "1" if replacing else "0"}
    return client.post(f"{API}/upload", params=params, content=content)


def ask(server: LibraryServer, question: str = QUESTION) -> dict[str, Any]:
    answer = httpx.post(f"{server.address}/api/v1/ask", json={"question": question}, timeout=30)
    record: dict[str, Any] = answer.json()
    return record


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- who may -------------------------------------------------------------------------------------


def routes() -> Iterator[tuple[str, str]]:
    """(method, path) of all that the router has, but of what needs no session."""
    library = Library(Path("uploads"), Path("index"), [], FakeIndex(), suffixes=SUFFIXES)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(documents_router(library, FakeServed(), "password"))

    def walk(entries: Any) -> Iterator[tuple[str, str]]:
        for entry in entries:
            if hasattr(entry, "effective_route_contexts"):
                yield from walk(entry.effective_route_contexts())
            else:
                yield from ((method, entry.path) for method in sorted(entry.methods))

    yield from walk(app.routes)


class FakeServed(FakeIndex):
    serving_since = None


ROUTES = {
    ("GET", "/documents"),
    ("GET", "/documents/login"),
    ("POST", "/documents/login"),
    ("POST", "/documents/logout"),
    ("GET", f"{API}/state"),
    ("GET", f"{API}/documents"),
    ("POST", f"{API}/names"),
    ("POST", f"{API}/upload"),
    ("POST", f"{API}/remove"),
    ("POST", f"{API}/update"),
    ("POST", f"{API}/rebuild"),
}
API_ROUTES = sorted(route for route in ROUTES if route[1].startswith(API))


def test_no_route_is_unknown_here() -> None:
    assert set(routes()) == ROUTES


@pytest.mark.parametrize("cookie", [None, "guess", ""])
@pytest.mark.parametrize(("method", "path"), API_ROUTES)
def test_without_a_session_nothing_is_told_and_nothing_read(
    stranger: httpx.Client, server: LibraryServer, method: str, path: str, cookie: str | None
) -> None:
    if cookie is not None:
        stranger.headers["cookie"] = f"{COOKIE}={cookie}"
    response = stranger.request(method, path, content=b"{not JSON" if method == "POST" else None)
    assert response.status_code == 401
    assert response.json() == {
        "error": {"code": "unauthorized", "message": "登录已失效，请重新登录。"}
    }
    assert not server.uploads.exists() or "not JSON" not in str(files_in(server.uploads))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{API}/state", None, 200),
        ("GET", f"{API}/documents", None, 200),
        ("GET", f"{API}/documents?page=0", None, 400),
        ("POST", f"{API}/names", {"names": ["a.txt"]}, 200),
        ("POST", f"{API}/names", {"names": ["a.txt"] * 201}, 413),
        ("POST", f"{API}/names", {"names": "a.txt"}, 400),
        ("POST", f"{API}/upload?name=", None, 400),
        ("POST", f"{API}/upload", None, 400),
        ("POST", f"{API}/remove", {"docs": []}, 202),
        ("POST", f"{API}/remove", {"docs": [1]}, 400),
        ("GET", f"{API}/rebuild", None, 405),
    ],
)
def test_with_a_session_the_routes_answer(
    operator: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    response = operator.request(method, path, json=body)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/json")


def test_the_page_leads_to_the_log_in_and_back(stranger: httpx.Client) -> None:
    first = stranger.get("/documents")
    assert (first.status_code, first.headers["location"]) == (303, "/documents/login")
    entered = log_in(stranger)
    assert (entered.status_code, entered.headers["location"]) == (303, "/documents")
    assert stranger.get("/documents").status_code == 200
    assert stranger.get("/documents/login").headers["location"] == "/documents"
    left = stranger.post("/documents/logout")
    assert (left.status_code, left.headers["location"]) == (303, "/documents/login")
    assert stranger.get("/documents").status_code == 303


def test_a_session_ends_on_the_server_too(server: LibraryServer, operator: httpx.Client) -> None:
    token = operator.cookies[COOKIE]
    operator.post("/documents/logout")
    stolen = httpx.get(f"{server.address}{API}/state", headers={"cookie": f"{COOKIE}={token}"})
    assert stolen.status_code == 401


def test_the_cookie_is_for_this_page_alone(stranger: httpx.Client) -> None:
    cookie = log_in(stranger).headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/documents;", "Max-Age=28800"):
        assert part in cookie
    assert "Secure" not in cookie  # over plain HTTP the browser would drop it


def test_a_wrong_password_is_told_and_opens_nothing(stranger: httpx.Client) -> None:
    response = log_in(stranger, "wrong")
    assert response.status_code == 401
    assert "密码不对" in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "http://evil.test"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="hidden origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="sibling host"),
    ],
)
@pytest.mark.parametrize("path", [p for m, p in sorted(ROUTES) if m == "POST"])
def test_another_sites_page_can_do_nothing_with_the_operators_session(
    operator: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    response = operator.post(path, headers=headers, data={"password": PASSWORD})
    assert response.status_code == 403
    assert operator.get(f"{API}/state").status_code == 200


@pytest.mark.parametrize("path", ["/documents", "/documents/login"])
def test_the_pages_are_strict_and_never_framed(operator: httpx.Client, path: str) -> None:
    headers = operator.get(path).headers
    assert "script-src 'self'; style-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


# --- uploads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "status", "said"),
    [
        pytest.param("空.txt", "", 400, "空的", id="0 bytes"),
        pytest.param("太大.txt", "x" * (LIMIT + 1), 413, "超过 1 MB", id="too large"),
        pytest.param("程序.exe", "MZ", 400, "不支持", id="program"),
        pytest.param("..", "x", 400, "不能用", id="dots"),
        pytest.param("con.txt", "x", 400, "不能用", id="reserved"),
        pytest.param("长" * 100 + ".txt", "x", 400, "太长", id="long"),
        pytest.param("a" * 5000, "x", 413, "太长", id="very long"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_leaves_nothing(
    server: LibraryServer, operator: httpx.Client, name: str, data: str, status: int, said: str
) -> None:
    before = files_in(server.folder)
    response = upload(operator, name, data)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]
    assert {f for f in files_in(server.folder) - before if "upload" in f} == set()


def test_a_body_without_a_length_is_counted_as_it_comes(
    server: LibraryServer, operator: httpx.Client
) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * (LIMIT // 10)

    response = operator.post(f"{API}/upload", params={"name": "流.txt"}, content=body())
    assert response.status_code == 413
    assert not server.uploads.exists() or not files_in(server.uploads)


HOSTILE_NAMES = {
    "../../../逃.txt": "逃.txt",
    "..\\..\\逃.md": "逃.md",
    "/tmp/逃.html": "逃.html",
    "...逃\x00\r\n2.txt": "逃2.txt",
}


def test_a_hostile_name_writes_nowhere_else(server: LibraryServer, operator: httpx.Client) -> None:
    def uploads() -> set[str]:  # besides the index, which is being built
        return {file for file in files_in(server.folder) if not file.startswith("index/")}

    before = uploads()
    for name, kept in HOSTILE_NAMES.items():
        response = upload(operator, name, f"{kept}的内容在此。")
        assert (response.status_code, response.json()) == (201, {"name": kept})
    kept_names = list(HOSTILE_NAMES.values())
    assert uploads() - before == {f"uploads/{kept}" for kept in kept_names}
    assert operator.post(f"{API}/remove", json={"docs": kept_names}).status_code == 202
    settled(operator)
    assert uploads() - before == set()


def test_an_upload_cut_in_the_middle_leaves_nothing_behind(
    server: LibraryServer, operator: httpx.Client
) -> None:
    address = urlsplit(server.address)
    head = (
        f"POST {API}/upload?name=half.txt HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Cookie: {COOKIE}={operator.cookies[COOKIE]}\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + b"x" * 50_000)
        wait_until(lambda: any(server.uploads.glob(".upload-*")))
    wait_until(lambda: not any(server.uploads.glob(".upload-*")))
    assert "half.txt" not in files_in(server.uploads)
    assert "Traceback" not in server.output()


def test_nothing_is_removed_that_is_not_an_upload(
    server: LibraryServer, operator: httpx.Client
) -> None:
    seed = next(iter(sorted(p.name for p in (server.folder / "articles").iterdir())))
    response = operator.post(f"{API}/remove", json={"docs": [seed]})
    assert response.status_code == 409
    assert str(server.folder / "articles") in response.json()["error"]["message"]
    before = files_in(server.folder)
    for doc in ("../output.txt", "../index/CURRENT", "/etc/passwd", ".."):
        assert operator.post(f"{API}/remove", json={"docs": [doc]}).status_code == 404
    assert files_in(server.folder) == before


# --- without an index ---------------------------------------------------------------------------


def test_without_an_index_the_first_upload_makes_one(bare: LibraryServer) -> None:
    refused = httpx.post(f"{bare.address}/api/v1/ask", json={"question": QUESTION})
    assert refused.status_code == 503
    assert refused.json()["error"] == {
        "code": "not_ready",
        "message": "资料库还没有建好，请稍后再试。",
    }
    with client_of(bare) as operator:
        log_in(operator)
        assert upload(operator, "年报.txt", REPORT.format("128.6")).status_code == 201
        operator.post(f"{API}/update")
        assert settled(operator)["serving"]["documents"] == 1
        assert "128.6万标箱" in ask(bare)["answer"]
        last = operator.post(f"{API}/remove", json={"docs": ["年报.txt"]})
        assert last.status_code == 409
        assert "最后一篇" in last.json()["error"]["message"]


# --- the page in a browser -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One for all: a new one is two new processes of the browser."""
    context = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab: Page, server: LibraryServer) -> Page:
    """Logged in, with the list loaded."""
    tab.context.clear_cookies()
    tab.context.add_cookies([{"name": COOKIE, "value": session(server), "url": server.address}])
    tab.goto(f"{server.address}/documents")
    tab.locator("#rows tr").first.wait_for()
    return tab


def session(server: LibraryServer) -> str:
    with client_of(server) as client:
        log_in(client)
        return client.cookies[COOKIE]


FOCUSED = "document.activeElement.id || document.activeElement.textContent"


def choose(page: Page, *files: tuple[str, str | bytes]) -> None:
    page.locator("#files").set_input_files(
        [
            FilePayload(
                name=name,
                mimeType="text/plain",
                buffer=data.encode() if isinstance(data, str) else data,
            )
            for name, data in files
        ]
    )


def built(page: Page, said: str = "收录完成") -> None:
    expect(page.locator("#build-message")).to_contain_text(said, timeout=60_000)
    expect(page.locator("#build-note")).to_be_hidden(timeout=30_000)


def test_a_document_comes_is_asked_about_changes_and_goes(
    page: Page, server: LibraryServer, operator: httpx.Client
) -> None:
    version = settled(operator)["serving"]["version"]
    expect(page.locator("#serving")).to_contain_text(version)
    choose(page, ("年报.txt", REPORT.format("128.6")), ("坏.txt", bytes(range(256)) * 9))
    expect(page.locator("#uploads li").first).to_contain_text("已收下")
    expect(page.get_by_text("建库期间，提问照常由上面的版本回答。")).to_be_visible()
    built(page)
    expect(page.locator("#serving")).not_to_contain_text(version)
    report = page.get_by_role("row", name="年度报告")
    expect(report).to_contain_text("已收录")
    expect(page.get_by_role("row", name="坏.txt")).to_contain_text("读不了")
    expect(page.get_by_role("row", name="坏.txt")).to_contain_text("不是文本")
    record = ask(server)
    assert "128.6万标箱" in record["answer"]
    assert record["citations"][0]["doc"] == "年报.txt"
    report.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("临江港年度报告")
    page.go_back()

    choose(page, ("年报.txt", REPORT.format("140.2")))
    page.get_by_role("dialog", name="替换同名文档？").get_by_role("button", name="替换").click()
    built(page, "更新 1 篇")
    assert "140.2万标箱" in ask(server)["answer"]

    for name in ("年报.txt", "坏.txt"):
        button = page.locator(f"button[data-doc='{name}']")
        button.click()
        dialog = page.get_by_role("dialog", name="移除这篇文档？")
        expect(dialog).to_contain_text(name)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(button).to_be_focused()
        button.click()
        dialog.get_by_role("button", name="移除").click()
    built(page)
    expect(page.locator("#rows tr")).to_have_count(2)
    record = ask(server)
    assert "140.2" not in record["answer"]
    assert "年报.txt" not in {citation["doc"] for citation in record["citations"]}
    assert files_in(server.uploads) == set()


def test_a_rebuild_is_confirmed_and_those_who_ask_notice_nothing(
    page: Page, server: LibraryServer, operator: httpx.Client
) -> None:
    version = settled(operator)["serving"]["version"]
    page.get_by_role("button", name="全部重建").click()
    page.get_by_role("dialog", name="全部重建？").get_by_role("button", name="重建").click()
    page.get_by_role("progressbar", name="建库进度").wait_for()
    answers = []
    question = "湘琼先进制造业共建产业园坐落在哪个市？"
    while operator.get(f"{API}/state").json()["build"]["phase"] == "running":
        answers.append(ask(server, question))
        time.sleep(0.1)  # without a pause the answers take the processor that the build waits for
    built(page, "重建完成")
    answers.append(ask(server, question))
    assert len(answers) > 2
    assert all("东方市" in answer["answer"] for answer in answers)
    assert settled(operator)["serving"]["version"] != version


def test_what_cannot_be_taken_is_told_beside_its_name(page: Page, server: LibraryServer) -> None:
    before = files_in(server.folder)
    choose(page, ("表.xlsx", "x"), ("大.txt", "x" * (LIMIT + 1)), ("空.txt", ""))
    lines = page.locator("#uploads li")
    expect(lines.nth(0)).to_contain_text("不支持这种文件")
    expect(lines.nth(1)).to_contain_text("超过 1 MB")
    expect(lines.nth(2)).to_contain_text("文件是空的")
    expect(page.get_by_role("status")).to_have_text("上传结束：0 个文件已收下，共 3 个。")
    assert {f for f in files_in(server.folder) - before if "upload" in f} == set()


def test_a_dropped_file_is_uploaded_and_its_hostile_texts_stay_text(
    page: Page, operator: httpx.Client
) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    transfer = page.evaluate_handle(
        """([name, text]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], name, { type: "text/html" }));
            return transfer;
        }""",
        [
            "<b onclick=alert(1)>页.txt",
            f"{HOSTILE_TITLE}\n\n<script>window.hacked=1</script>正文。\n",
        ],
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    built(page)
    row = page.locator("#rows tr").filter(has_text="页.txt")
    expect(row).to_contain_text("_b onclick=alert(1)_页.txt")
    expect(row).to_contain_text("<img src=x onerror=window.hacked=1>")
    assert page.locator("#library :is(img, script, [onerror], [onclick])").count() == 0
    assert page.evaluate("window.hacked") is None
    assert problems == []
    operator.post(f"{API}/remove", json={"docs": ["_b onclick=alert(1)_页.txt"]})
    settled(operator)


def test_the_list_is_filtered(page: Page) -> None:
    page.get_by_role("searchbox").fill("创新促开放")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 / 2 篇")
    page.get_by_role("searchbox").fill("没有这样的文档")
    expect(page.get_by_text("没有符合筛选的文档。")).to_be_visible()


def test_a_session_that_has_ended_leads_to_the_log_in(page: Page) -> None:
    page.context.clear_cookies()
    page.get_by_role("searchbox").fill("x")
    page.wait_for_url("**/documents/login")


def test_everything_is_reached_and_done_with_the_keyboard(page: Page) -> None:
    reached = []
    page.locator("body").press("Tab")
    for _ in range(12):
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
        page.keyboard.press("Tab")
    for control in ("问据", "退出登录", "rebuild", "files", "filter", "移除"):
        assert control in [text.strip() for text in reached]
    page.get_by_role("button", name="全部重建").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#dialog-no")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="全部重建")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_is_accessible_and_never_scrolls_sideways(
    browser: Browser, server: LibraryServer, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(
        locale="zh-CN",
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # for the checker's own script
    )
    page = context.new_page()
    page.goto(f"{server.address}/documents")
    found = [axe.run(page).response["violations"]]
    page.get_by_label("管理密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.locator("#rows tr").first.wait_for()
    choose(page, ("表.xlsx", "x"))
    page.locator("#uploads li.failed").wait_for()
    found.append(axe.run(page).response["violations"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="全部重建").click()
    found.append(axe.run(page).response["violations"])
    context.close()
    assert found == [[], [], []]


def test_nothing_in_the_log_tells_the_password_or_a_session(
    server: LibraryServer, operator: httpx.Client
) -> None:
    assert PASSWORD not in server.output()
    assert operator.cookies[COOKIE] not in server.output()
    assert not re.search(r"Traceback", server.output())


def test_a_long_list_is_shown_in_pages(tab: Page, bare: LibraryServer) -> None:
    for number in range(250):
        (bare.uploads / f"{number:03}.txt").write_text("甲园区。", "utf-8")
    tab.context.clear_cookies()
    tab.context.add_cookies([{"name": COOKIE, "value": session(bare), "url": bare.address}])
    tab.goto(f"{bare.address}/documents")
    expect(tab.locator("#rows tr")).to_have_count(200)
    expect(tab.locator("#page")).to_have_text("第 1 / 2 页")
    tab.get_by_role("button", name="下一页").click()
    expect(tab.locator("#page")).to_have_text("第 2 / 2 页")
    expect(tab.locator("#rows tr")).to_have_count(51)


# Last, since for a minute nobody can log in.
def test_guessing_is_stopped_after_five_wrong_passwords(bare: LibraryServer) -> None:
    with client_of(bare) as client:
        assert [log_in(client, f"guess {n}").status_code for n in range(5)] == [401] * 5
        locked = log_in(client)
    assert locked.status_code == 429
    assert 1 <= int(locked.headers["retry-after"]) <= 60
    assert "密码错误次数过多" in locked.text
    assert PASSWORD not in bare.output()


def test_a_server_that_is_stopped_stops_its_build_and_leaves_the_index_as_it_was(
    tmp_path: Path,
) -> None:
    shutil.copytree(SEED_ARTICLES, tmp_path / "articles")
    build_index(replace(Settings(), index_dir=str(tmp_path / "index")), [tmp_path / "articles"])
    pointer = (tmp_path / "index" / "CURRENT").read_bytes()
    with library_server(tmp_path) as server, client_of(server) as operator:
        log_in(operator)
        operator.post(f"{API}/rebuild")
        wait_until(lambda: operator.get(f"{API}/state").json()["build"]["total"] > 0)
        builder = json.loads((tmp_path / "index" / HOLDER_FILE).read_text())["pid"]
        server.stop(seconds=5)
        with pytest.raises(ProcessLookupError):
            os.kill(builder, 0)
    assert (tmp_path / "index" / "CURRENT").read_bytes() == pointer
