"""Pictures of what people see, into docs/pictures: python scripts/screenshots.py.

A server of its own on the two shipped articles, Chromium, no retouching.
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

from playwright.sync_api import Browser, FloatRect, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
PASSWORD = "screenshots"
FACT = "三一科学城总投资多少亿元？"
JOINT = "湘琼先进制造业共建产业园由哪两方共同建设管理？"
UNANSWERED = "三一科学城的董事长是谁？"
DESKTOP, PHONE = (1280, 800), (375, 667)
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")


def main() -> None:
    """Take all of them."""
    PICTURES.mkdir(exist_ok=True)
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
            # Below, the list names folders of the machine that the pictures are taken on.
            _take(page, "documents", height=530)
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
    yield context.new_page()
    context.close()


def _ask(page: Page, question: str) -> None:
    before = page.locator("#wj-messages .wj-reply").count()
    page.get_by_label("您的问题").fill(question)
    page.get_by_label("您的问题").press("Enter")
    expect(page.locator("#wj-messages .wj-reply")).to_have_count(before + 1)
    expect(page.get_by_role("button", name="发送")).to_be_visible()


def _take(page: Page, name: str, height: int | None = None) -> None:
    page.wait_for_timeout(400)  # until what moves has come to rest
    size = page.viewport_size or {"width": DESKTOP[0], "height": DESKTOP[1]}
    part: FloatRect = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"]}
    page.screenshot(path=PICTURES / f"{name}.png", clip=part)


@contextmanager
def _served() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        command = [sys.executable, str(ROOT / "app.py"), "serve", "--port", str(port), "--demo"]
        environ = os.environ | {"WENJU_OPERATOR_PASSWORD": PASSWORD}
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            while not _ready(address):
                if server.poll() is not None:
                    sys.exit("the server has not started")
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait()


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


if __name__ == "__main__":
    main()
