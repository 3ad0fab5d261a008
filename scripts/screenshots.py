"""Pictures of what people see, into docs/pictures: python scripts/screenshots.py.

A server of its own on the two shipped articles, Chromium, no retouching; a picture that would be
large is reduced to 256 colours.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
ARTICLES = ROOT / "corpus" / "articles"
PASSWORD = "screenshots"
FACT = "三一科学城总投资多少亿元？"
JOINT = "湘琼先进制造业共建产业园由哪两方共同建设管理？"
UNANSWERED = "三一科学城的董事长是谁？"
DESKTOP, PHONE = (1280, 800), (375, 667)
_MAX_BYTES = 250_000  # of a picture: they are in the repository for good
_START_SECONDS = 120
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def main() -> None:
    """Take all of them; ends with one line on standard error where the server does not start."""
    PICTURES.mkdir(exist_ok=True)
    expect.set_options(timeout=30_000)  # the machine may be busy; no picture is worth a second try
    binary = os.environ.get("WENJU_CHROMIUM") or shutil.which("chromium")
    with _served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(_ARGUMENTS))
        for name, size, scheme in (
            ("page", DESKTOP, "light"),
            ("page-dark", DESKTOP, "dark"),
            ("page-phone", PHONE, "light"),
        ):
            with _page(browser, size, scheme) as page:
                page.goto(address)
                _ask(page, FACT)
                _ask(page, JOINT)
                _take(page, name)
        with _page(browser, DESKTOP, "light") as page:
            page.goto(address)
            page.get_by_label("您的问题").wait_for()
            _take(page, "welcome")
            _ask(page, UNANSWERED)
            _take(page, "refusal")
        with _page(browser, DESKTOP, "light") as page:
            page.goto(address)
            _ask(page, JOINT)
            page.locator("#wj-panel").get_by_role("link", name="查看全文").first.click()
            frame = page.get_by_role("dialog", name="全文").frame_locator("iframe")
            expect(frame.locator("mark#quote").first).to_be_in_viewport()
            _take(page, "article")
        for name, size in (("widget", DESKTOP), ("widget-phone", PHONE)):
            with _page(browser, size, "light") as page:
                page.goto(f"{address}/demo")
                page.locator("wenju-widget .bubble").click()
                box = page.locator("wenju-widget textarea")
                box.fill(FACT)
                box.press("Enter")
                expect(page.locator("wenju-widget")).to_contain_text("180亿元")
                _take(page, name)
        with _page(browser, DESKTOP, "light") as page:
            page.goto(f"{address}/documents")
            page.locator("input[type=password]").fill(PASSWORD)
            page.locator("input[type=password]").press("Enter")
            expect(page.get_by_text("蹄疾步稳，筑梦自贸").first).to_be_visible()
            _take(page, "documents")
            page.goto(f"{address}/docs")
            _take(page, "reference")
        browser.close()


@contextmanager
def _page(browser: Browser, size: tuple[int, int], scheme: str) -> Iterator[Page]:
    dark = scheme == "dark"
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale="zh-CN",
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def _ask(page: Page, question: str) -> None:
    before = page.locator("#wj-messages .wj-reply").count()
    page.get_by_label("您的问题").fill(question)
    page.get_by_label("您的问题").press("Enter")
    expect(page.locator("#wj-messages .wj-reply")).to_have_count(before + 1)
    expect(page.get_by_role("button", name="发送")).to_be_visible()


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(400)  # until what moves has come to rest
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)
    if path.stat().st_size > _MAX_BYTES:
        with Image.open(path) as picture:
            picture.quantize(256).save(path, optimize=True)


@contextmanager
def _served() -> Iterator[str]:
    """Yields the address of a server on the shipped articles, which stops afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        # As uploads: the documents page would name this machine's folders otherwise.
        shutil.copytree(ARTICLES, Path(folder) / "data" / "uploads")
        app = [sys.executable, str(ROOT / "app.py")]
        subprocess.run([*app, "build", "data/uploads"], cwd=folder, check=True, capture_output=True)
        port = _free_port()
        environ = os.environ | {"WENJU_OPERATOR_PASSWORD": PASSWORD}
        with (Path(folder) / "log").open("w+b") as log:
            command = [*app, "serve", "--port", str(port), "--demo"]
            server = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
            try:
                address = f"http://127.0.0.1:{port}"
                _wait_until_ready(address, server, Path(folder) / "log")
                yield address
            finally:
                server.terminate()
                server.wait()


def _free_port() -> int:
    """7860 where it can be had: the page of the API shows the address."""
    for wanted in (7860, 0):
        try:
            with socket.create_server(("127.0.0.1", wanted)) as free:
                port: int = free.getsockname()[1]
                return port
        except OSError:
            continue
    sys.exit("no free port")


def _wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not _ready(address):
        if server.poll() is not None or time.monotonic() > end:
            sys.exit(f"the server has not started: {log.read_text(encoding='utf-8')[-500:]}")
        time.sleep(0.2)


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


if __name__ == "__main__":
    main()
