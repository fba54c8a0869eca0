"""Somebody changes one file of a package: the program and the page both find it, and name it.

And somebody who also writes the lists of hashes anew: what the pole signed still convicts, or else the paper does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from firmware.custody.package.receiver.verify import judge
from firmware.ground import note
from tests.parts.chromium import browser_page, dropped, verdict
from tests.parts.small_case import Handed, file_names, hand_over
from tests.signing import EcdsaKey, Ed25519Key

FILM = "video/sp03_cam0_20261123T090000JST_part01.mp4"
PAPERS = ("提供票.html", "受領書.html")


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Handed:
    return asyncio.run(hand_over(tmp_path_factory.mktemp("handed")))


@pytest.fixture(scope="module")
def page(handed: Handed) -> Iterator[Page]:
    with browser_page() as page:
        page.goto((handed.tree / "verify.html").as_uri())
        yield page


@pytest.fixture
def tree(handed: Handed, tmp_path: Path) -> Path:
    """A copy to be tampered with."""
    shutil.copytree(handed.tree, tmp_path / "tree")
    return tmp_path / "tree"


def named(tree: Path, page: Page) -> set[str]:
    """The files that the program names; the page must name the same."""
    found, _, unjudged = judge(tree)
    assert unjudged == []
    kind, lines = verdict(page, tree)
    assert kind == ("bad" if found else "good"), lines
    assert {line.split(": ")[0] for line in lines} == {changed.file for changed in found}
    return {changed.file for changed in found}


def test_unchanged_is_unchanged_and_the_page_asks_for_nothing(handed: Handed, page: Page) -> None:
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    assert named(handed.tree, page) == set()
    facts = page.inner_text("#facts").split("\n")
    whole = hashlib.sha256((handed.tree / "manifest.json").read_bytes()).hexdigest()
    assert facts[1].replace(" ", "") == whole
    assert facts[3] == handed.pole.public_key().fingerprint()
    assert facts[5] == "manager, chief"
    assert asked == []
    page.evaluate("wholeAtMost = 0")  # large files go through the page's own SHA-256
    assert named(handed.tree, page) == set()
    page.evaluate("wholeAtMost = 268435456")
    blocked = page.evaluate("fetch('https://example.org').then(() => 'sent', error => error.message)")
    assert "Failed to fetch" in blocked
    assert asked == []


def test_each_file_changed_or_gone_is_named(handed: Handed, tree: Path, page: Page) -> None:
    for name in sorted(file_names(handed.tree)):
        path, before = tree / name, (tree / name).read_bytes()
        changed = bytearray(before)
        changed[len(changed) // 2] ^= 1
        path.write_bytes(changed)
        assert named(tree, page) == {name}
        path.unlink()
        if name != "SHA256SUMS":  # without it nothing can be judged, and both say so
            assert named(tree, page) == {name}
        path.write_bytes(before)
    assert named(tree, page) == set()


def test_a_file_added_is_named(tree: Path, page: Page) -> None:
    (tree / "video" / "part02.mp4").write_bytes(b"another film")
    assert named(tree, page) == {"video/part02.mp4"}


def test_without_the_list_nothing_is_judged(tree: Path, page: Page) -> None:
    (tree / "SHA256SUMS").unlink()
    assert verdict(page, tree)[0] == "doubt"


def rewritten(tree: Path) -> None:
    """Write both lists of hashes anew, as whoever knows this program can."""
    manifest = json.loads((tree / "manifest.json").read_text())
    names = file_names(tree) - {"SHA256SUMS", "SHA256SUMS.sig"}
    for name in names - {"manifest.json", *PAPERS}:
        content = (tree / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (tree / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False))
    sums = [f"{hashlib.sha256((tree / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names)]
    (tree / "SHA256SUMS").write_text("".join(sums))


def edited(tree: Path, name: str, change: Callable[[Any], None]) -> None:
    value = json.loads((tree / name).read_text())
    change(value)
    (tree / name).write_text(json.dumps(value, ensure_ascii=False))


def another_picture(tree: Path) -> None:
    film = bytearray((tree / FILM).read_bytes())
    film[-100] ^= 1
    (tree / FILM).write_bytes(film)


def another_time(tree: Path) -> None:
    film = (tree / FILM).read_bytes()
    at = film.index(b"stts") + 16  # how long the first pictures last
    (tree / FILM).write_bytes(film[:at] + (46_000).to_bytes(4, "big") + film[at + 4 :])


def a_gap_less(tree: Path) -> None:
    edited(tree, "gaps.json", lambda gaps: gaps.pop())
    text = (tree / "gaps.csv").read_bytes().splitlines(keepends=True)
    (tree / "gaps.csv").write_bytes(b"".join(text[:-1]))


def a_chunk_less(tree: Path) -> None:
    edited(tree, "manifest.json", lambda manifest: manifest["chunks"].pop(8))


def another_line(tree: Path) -> None:
    def change(proofs: Any) -> None:
        proofs["minutes"][0]["line"] = proofs["minutes"][0]["line"].replace("2026-11-23", "2026-11-24")

    edited(tree, "proofs.json", change)


def a_minute_less(tree: Path) -> None:
    edited(tree, "proofs.json", lambda proofs: proofs["minutes"].pop())


def better_clock(tree: Path) -> None:
    edited(tree, "time.json", lambda times: times["minutes"][0].update(proven=True, uncertainty_ms=20))


def another_document(tree: Path) -> None:
    edited(tree, "case.json", lambda case: case["document"].update(number="小刑発第124号"))


def another_checkpoint(tree: Path) -> None:
    text = (tree / "checkpoint.txt").read_text()
    size = text.split("\n")[1]
    (tree / "checkpoint.txt").write_text(text.replace(f"\n{size}\n", f"\n{int(size) + 1}\n", 1))


def another_pole(tree: Path) -> None:
    key = Ed25519Key(seed=7)
    (tree / "pole.vkey").write_text(note.verifier_text(key.name, key.algorithm, key.public_key) + "\n")


def another_officer(tree: Path) -> None:
    """An approval under which another officer's signature stands: the manager has signed for the chief."""

    def change(proofs: Any) -> None:
        acts = [entry for entry in proofs["case"]["acts"] if '"case.approved"' in entry["act"]]
        acts[1]["signatures"]["chief"] = acts[0]["signatures"]["manager"]

    edited(tree, "proofs.json", change)


def another_body(tree: Path) -> None:
    edited(tree, "case.json", lambda case: case["recipient"].update(age_recipient="age1another"))


def an_approval_less(tree: Path) -> None:
    def change(proofs: Any) -> None:
        entries = proofs["case"]["acts"]
        proofs["case"]["acts"] = [
            entry for entry in entries if "case.approved" not in entry["act"] or "chief" not in entry["signatures"]
        ]

    edited(tree, "proofs.json", change)


def frames_not_told(tree: Path) -> None:
    edited(tree, "manifest.json", lambda manifest: manifest["chunks"][0].update(frames=19))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (another_picture, FILM), (another_time, FILM), (a_gap_less, "gaps.json"), (a_chunk_less, "manifest.json"),
        (another_line, "proofs.json"), (a_minute_less, "proofs.json"), (better_clock, "time.json"),
        (another_document, "case.json"), (another_checkpoint, "checkpoint.txt"), (another_pole, "pole.vkey"),
        (frames_not_told, FILM), (another_officer, "proofs.json"), (another_body, "case.json"),
        (an_approval_less, "case.json"),
    ],
)  # fmt: skip
def test_new_lists_of_hashes_do_not_help(change: Callable[[Path], None], name: str, tree: Path, page: Page) -> None:
    change(tree)
    rewritten(tree)
    assert named(tree, page) == {name}


def test_what_the_pole_did_not_sign_is_convicted_by_the_paper(handed: Handed, tree: Path, page: Page) -> None:
    """A subtitle is the office's own word: after new lists only the hash on the signed paper tells."""
    whole = hashlib.sha256((handed.tree / "manifest.json").read_bytes()).hexdigest()
    assert judge(tree, whole)[0] == []
    track = tree / FILM.replace(".mp4", ".srt")
    track.write_text(track.read_text("utf-8-sig").replace("09:00", "10:00"), "utf-8-sig")
    rewritten(tree)
    assert named(tree, page) == set()
    assert [changed.file for changed in judge(tree, whole)[0]] == ["manifest.json"]
    assert whole[:8] not in page.inner_text("#facts")


def test_a_folder_can_be_dropped_on_the_page(handed: Handed, tree: Path, page: Page) -> None:
    assert dropped(page, handed.tree) == "good"
    (tree / "case.json").write_text("{}")
    assert dropped(page, tree) == "bad"


def test_a_pole_with_a_tpm_and_a_handler_who_signs(tmp_path: Path, page: Page) -> None:
    """P-256 instead of Ed25519; each byte of the handler's signature counts, and whose it is stands on the screen."""
    with ThreadPoolExecutor(1) as one:  # the browser's loop runs in this thread
        signed = one.submit(lambda: asyncio.run(hand_over(tmp_path, key=EcdsaKey(), sign=True))).result()
    assert named(signed.tree, page) == set()
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{signed.pole.office.keyfile('handler')}.pub"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split(" ")[1]
    assert shown in page.inner_text("#facts")
    assert judge(signed.tree)[1]["signed by"] == shown
    path = signed.tree / "SHA256SUMS.sig"
    before = path.read_bytes()
    for place in range(0, len(before), 17):
        path.write_bytes(before[:place] + (b"A" if before[place : place + 1] != b"A" else b"B") + before[place + 1 :])
        assert named(signed.tree, page) == {"SHA256SUMS.sig"}
    path.write_bytes(before)
    head = (signed.tree / "checkpoint.txt").read_text()
    (signed.tree / "checkpoint.txt").write_text(head[:-10] + ("A" if head[-10] != "A" else "B") + head[-9:])
    rewritten(signed.tree)
    assert "checkpoint.txt" in named(signed.tree, page)
