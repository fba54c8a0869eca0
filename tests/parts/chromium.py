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


def dropped(page: Page, folder: Path) -> str:
    """Drop ``folder`` on a ``verify.html`` that is open, as a hand does; return the verdict's class."""
    page.evaluate("document.getElementById('verdict').className = ''")
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    field = page.locator("#folder").bounding_box()
    assert field is not None
    place = {"x": field["x"] + field["width"] / 2, "y": field["y"] + field["height"] / 2}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    page.wait_for_selector("#verdict.good, #verdict.bad, #verdict.doubt")
    return page.get_attribute("#verdict", "class") or ""


def played(page: Page, film: Path) -> tuple[float, int]:
    """Play a film for a moment; return how far (seconds) and how many pictures were shown."""
    page.goto(film.as_uri())
    seconds, pictures = page.evaluate(
        """async () => {
            const video = document.querySelector('video');
            video.muted = true;
            await video.play();
            await new Promise(done => setTimeout(done, 700));
            return [video.currentTime, video.getVideoPlaybackQuality().totalVideoFrames];
        }"""
    )
    return float(seconds), int(pictures)
