"""The papers: every fact an officer signs for, a code a telephone reads, one page of A4, nothing fetched, no name."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page

from firmware.custody.bundle import archive
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.package.carried import facts_of
from firmware.custody.package.making import write_package
from firmware.custody.package.sheets import Contents, papers
from tests.parts.chromium import browser_page
from tests.parts.small_case import AUTHORITY, DOCUMENT, Handed, desk
from tests.parts.small_pole import FIRST


def shown(page: Page, paper: Path) -> tuple[str, bytes, list[str]]:
    """Text, picture and requests of a paper in a browser."""
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1000, "height": 1400})
    page.goto(paper.as_uri())
    return page.inner_text("body"), page.screenshot(full_page=True), asked


@pytest.mark.parametrize("name", ["提供票.html", "受領書.html"])
def test_a_paper_says_it_all_on_one_page(name: str, handed: Handed, tmp_path: Path) -> None:
    out = tmp_path / "p.age"
    made = write_package(handed.bundle, handed.pole.officers.keys(), desk(handed.pole), out)
    paper = tmp_path / "p.age.papers" / name
    with browser_page() as page:
        text, picture, asked = shown(page, paper)
        pdf = page.pdf(prefer_css_page_size=True)
    assert asked == [paper.as_uri()]
    assert pdf.count(b"/Type /Page\n") == 1
    checkpoint = (handed.tree / "checkpoint.txt").read_text().split("\n")[:3]
    grouped = [" ".join(re.findall(".{8}", sha256)) for sha256 in (made.sha256, made.manifest_sha256)]
    wanted = [
        "2026-0001", DOCUMENT, AUTHORITY, "捜査関係事項照会書", "sp03", "cam0", "2026-11-23 09:00:00 から",
        "2026-11-23 09:05:00 まで", "時刻は未同期（誤差不明）", "署名", " ".join(checkpoint), *grouped,
    ]  # fmt: skip
    if name == "提供票.html":
        wanted += ["2026-11-23 09:03:00", "保存期間の満了による消去済み", handed.pole.public_key().fingerprint()]
    assert [words for words in wanted if words not in text] == []
    (code,) = zxingcpp.read_barcodes(np.asarray(Image.open(io.BytesIO(picture)).convert("L")))
    assert code.text == f"smartpole-package case=2026-0001 manifest-sha256={made.manifest_sha256}"
    assert made.manifest_sha256 == hashlib.sha256((handed.tree / "manifest.json").read_bytes()).hexdigest()


def test_what_stands_on_a_paper_cannot_become_a_page_of_its_own(handed: Handed) -> None:
    with archive.reading(handed.bundle) as reader:
        checked = CheckedBundle(reader, None)
    facts = facts_of(checked, handed.pole.prove(checked))
    evil = msgspec.structs.replace(facts.recipient, organisation="<script>alert(1)</script>&")
    contents = Contents("sp03", {}, [], checked.manifests, FIRST, FIRST, "", "<b>")
    for paper in papers(contents, msgspec.structs.replace(facts, recipient=evil), "0" * 64).values():
        assert b"<script" not in paper
        assert b"&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in paper
        assert b"<b>" not in paper
