"""Debian's Chromium as a person's browser: pages from file://, what they ask of a network is refused and remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

PROGRAM: Final = "/usr/bin/chromium"
_ARGUMENTS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@contextmanager
def browser_page() -> Iterator[Page]:
    """Give one page of a fresh browser that is offline."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=_ARGUMENTS)
        try:
            yield browser.new_context(offline=True, locale="ja-JP").new_page()
        finally:
            browser.close()


def verdict(page: Page, folder: Path) -> tuple[str, list[str]]:
    """Give ``folder`` to a ``verify.html`` that is open; return the verdict's class and the lines about files."""
    page.evaluate("document.getElementById('verdict').className = ''")
    page.set_input_files("#folder", folder)
    page.wait_for_selector("#verdict.good, #verdict.bad, #verdict.doubt")
    return page.get_attribute("#verdict", "class") or "", page.locator("#found li").all_inner_texts()
