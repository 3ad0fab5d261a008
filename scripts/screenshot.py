"""Take the picture of the chat page for the README from a running server.

Usage: python scripts/screenshot.py URL OUT.png [--question TEXT]... [--width 1280] [--dark]
Asks the questions, or else the first example, waits for each answer and opens the first citation.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def main() -> int:
    """Parse, take the picture, say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="address of the page, such as http://127.0.0.1:7860")
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--question", action="append", default=[], help="may be repeated")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    chromium = os.environ.get("WENJU_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("没有找到 Chromium：请安装，或用 WENJU_CHROMIUM 指定路径。", file=sys.stderr)
        return 1
    try:
        _take(arguments, chromium)
    except Error as error:
        print(f"截图失败，请确认 {arguments.url} 可以打开：{error.message}", file=sys.stderr)
        return 1
    print(arguments.out)
    return 0


def _take(arguments: argparse.Namespace, chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_ARGUMENTS))
        page = browser.new_page(
            locale="zh-CN",
            viewport={"width": arguments.width, "height": arguments.height},
            color_scheme="dark" if arguments.dark else "light",
        )
        page.goto(arguments.url)
        _converse(page, arguments.question)
        page.screenshot(path=arguments.out, animations="disabled")
        browser.close()


def _converse(page: Page, questions: list[str]) -> None:
    """Ask one after the other and open the first citation of the last answer."""
    for question in questions or [page.locator("#wj-examples button").first.inner_text()]:
        answers = page.locator("#wj-messages .wj-reply")
        before = answers.count()
        page.get_by_label("您的问题").fill(question)
        page.get_by_label("您的问题").press("Enter")
        answers.nth(before).wait_for()
        page.get_by_role("button", name="发送").wait_for()
    page.locator("#wj-messages .wj-answer").last.locator("a.wj-cite").first.click()
    page.locator(".wj-source.is-active:visible").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # the smooth scroll to the source


if __name__ == "__main__":
    sys.exit(main())
