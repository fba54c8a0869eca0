"""What an investigator receives: everything requirements 4.7 ask for, sealed to one key, nothing left behind."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
from pyrage import x25519

from firmware.custody.bundle import archive
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.span import Span
from firmware.custody.keys.words import WORDS, tidy
from firmware.custody.office.fields import Span as CaseSpan
from firmware.custody.package import private, seal
from firmware.custody.package.carried import facts_of
from firmware.custody.package.facts import compare_key, judge
from firmware.custody.package.making import write_package, write_tree
from firmware.custody.package.receiver import standalone
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError, LedgerError
from tests.parts.small_case import AUTHORITY, DAY_NS, DOCUMENT, Handed, desk, file_names, hand_over
from tests.parts.small_pole import FIRST, FRAMES, SmallPole, film_of, shade_of

STEM = "video/sp03_cam0_20261123T090000JST_part01"


def opened(sealed: Path, identity: x25519.Identity, out: Path) -> Path:
    """Open a package as a recipient does, with stock tools; return its folder."""
    out.mkdir()
    key = out.with_suffix(".key")
    key.write_text(f"{identity}\n")
    plain = subprocess.run(["age", "-d", "-i", key, sealed], capture_output=True, check=True).stdout
    subprocess.run(["tar", "x", "-C", out], input=plain, check=True)
    (folder,) = out.iterdir()
    return folder


def test_the_tree_is_the_one_agreed_on(handed: Handed) -> None:
    assert file_names(handed.tree) == {
        "00_はじめにお読みください.txt", "README.txt", f"{STEM}.mp4", f"{STEM}.srt", "manifest.json", "time.json",
        "gaps.csv", "gaps.json", "case.json", "custody.csv", "checkpoint.txt", "proofs.json", "pole.vkey",
        "SHA256SUMS", "verify.html", "verify.py", "提供票.html", "受領書.html",
    }  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=handed.tree, check=True)
    case_file = json.loads((handed.tree / "case.json").read_text())
    assert (case_file["document"]["number"], case_file["document"]["authority"]) == (DOCUMENT, AUTHORITY)
    rows = list(csv.DictReader(io.StringIO((handed.tree / "custody.csv").read_text("utf-8-sig"))))
    assert [(row["what_ja"], row["who"]) for row in rows] == [
        ("撮影・封印（柱）", "pole"), ("提供先の登録", "manager"), ("案件の開始", "manager"), ("文書の受理", "manager"),
        ("範囲と提供先の決定", "manager"), ("承認", "manager"), ("承認", "chief"), ("封印のまま搬出の決定", "manager"),
        ("封印のまま柱から搬出", "pole"), ("庁内で開封（二名の鍵）", "handler-01"), ("提供先の鍵で封印", "handler-01"),
    ]  # fmt: skip
    assert rows[8]["sha256"] == hashlib.sha256(handed.bundle.read_bytes()).hexdigest()
    gaps = json.loads((handed.tree / "gaps.json").read_text())
    assert [(gap["from_jst"], gap["reason"], gap["reason_ja"]) for gap in gaps] == [
        ("2026-11-23T09:01:20+09:00", "damaged", "柱の上で損傷"),
        ("2026-11-23T09:03:00+09:00", "erased", "保存期間の満了による消去済み"),
    ]
    time = json.loads((handed.tree / "time.json").read_text())
    assert (time["statement"]["ja"], time["proven"], len(time["minutes"])) == ("時刻は未同期（誤差不明）", False, 4)


def test_every_picture_is_as_it_was_recorded(handed: Handed) -> None:
    """Not one byte of a packet differs between the sealed chunks and the film (7.2(1))."""
    with av.open(str(handed.tree / f"{STEM}.mp4")) as film:
        shown = [bytes(packet) for packet in film.demux(video=0) if packet.size]
    expected = []
    for epoch in (FIRST, FIRST + 1, FIRST + 2, FIRST + 4):
        for sequence in range(6):
            if (epoch, sequence) != (FIRST + 1, 2):
                with av.open(io.BytesIO(film_of(shade_of(epoch, sequence)))) as chunk:
                    expected += [bytes(packet) for packet in chunk.demux(video=0) if packet.size]
    assert shown == expected
    listed = json.loads((handed.tree / "manifest.json").read_text())["chunks"]
    assert [(chunk["epoch"], chunk["sequence"]) for chunk in listed if "film" not in chunk] == [(FIRST + 1, 2)]
    assert sum(chunk.get("frames", 0) for chunk in listed) == len(shown) == 23 * FRAMES


def test_the_sealed_file_opens_with_stock_tools_and_holds_the_same(
    handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed, memory = tmp_path / "package.age", tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(private, "IN_MEMORY", memory)
    made = write_package(handed.bundle, handed.pole.officers.keys(), desk(handed.pole), sealed)
    assert made.sha256 == hashlib.sha256(sealed.read_bytes()).hexdigest()
    assert sealed.read_bytes()[:1000].count(b"\n-> X25519 ") == 1
    folder = opened(sealed, handed.recipient, tmp_path / "elsewhere")
    assert folder.name == "case-2026-0001_sp03_20261123T090000+0900"
    assert file_names(folder) == file_names(handed.tree)
    assert all((folder / name).read_bytes() == (handed.tree / name).read_bytes() for name in file_names(folder))
    papers = tmp_path / "package.age.papers"
    assert file_names(papers) == {"提供票.html", "受領書.html"}
    assert made.sha256[:8] in (papers / "受領書.html").read_text()
    assert made.sha256[:8] not in (folder / "受領書.html").read_text()  # it cannot know the file it lies in
    assert not list(memory.iterdir())


def test_nobody_else_opens_it(handed: Handed, tmp_path: Path) -> None:
    sealed = tmp_path / "package.age"
    write_package(handed.bundle, handed.pole.officers.keys(), desk(handed.pole), sealed)
    for stranger in (x25519.Identity.generate(), handed.pole.officers.a, handed.pole.officers.b):
        with pytest.raises(subprocess.CalledProcessError):
            opened(sealed, stranger, tmp_path / str(stranger)[-8:])


def test_without_a_key_nine_words_open_it(tmp_path: Path) -> None:
    """Only where two officers approved that. The only stanza is the passphrase's; the words are nowhere."""
    handed, sealed = asyncio.run(hand_over(tmp_path, words=True)), tmp_path / "package.age"
    made = write_package(handed.bundle, handed.pole.officers.keys(), desk(handed.pole), sealed)
    assert len(made.words.split("-")) == WORDS
    assert tidy(made.words) == made.words
    header = sealed.read_bytes()[:1000].split(b"\n---")[0]
    assert header.count(b"\n-> ") == header.count(b"\n-> scrypt ") == 1
    plain = seal.pyrage.passphrase.decrypt(sealed.read_bytes(), made.words)
    names = subprocess.run(["tar", "t"], input=plain, capture_output=True, check=True).stdout
    assert b"SHA256SUMS" in names
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and made.words.encode() in path.read_bytes()]


def test_an_expired_recipient_receives_nothing(handed: Handed, tmp_path: Path) -> None:
    """Whatever the pole sealed a month ago: the desk looks at the date again."""
    handed.pole.clock.step(31 * DAY_NS)
    with pytest.raises(CaseError, match="registration ended") as caught:
        write_package(handed.bundle, handed.pole.officers.keys(), desk(handed.pole), tmp_path / "p.age")
    assert caught.value.code == "E-CASE-RECIPIENT"
    assert not list(tmp_path.glob("p.age*"))


def test_what_the_case_does_not_allow_is_refused(handed: Handed) -> None:
    """The pole has judged all this; the desk judges it again."""
    with archive.reading(handed.bundle) as reader:
        checked = CheckedBundle(reader, None)
    facts, now_ns = facts_of(checked, handed.pole.prove(checked)), handed.pole.clock.utc_ns()

    def refusal(**changed: Any) -> CaseError:
        with pytest.raises(CaseError) as caught:
            judge(msgspec.structs.replace(facts, **changed), checked.index, "cam0", now_ns)
        return caught.value

    judge(facts, checked.index, "cam0", now_ns)
    assert refusal(approved_by=("chief", "chief")).code == "E-CASE-APPROVALS"
    assert refusal(spans=(CaseSpan(camera="cam1", first_epoch=FIRST, last_epoch=FIRST + 9),)).code == "E-CASE-OUTSIDE"
    narrow = (CaseSpan(camera="cam0", first_epoch=FIRST, last_epoch=FIRST + 3),)
    assert "1 minutes of cam0" in refusal(spans=narrow).what
    other = msgspec.structs.replace(facts.document, number="小刑発第124号")
    assert refusal(document=other).code == "E-CASE-DOCUMENT"
    with pytest.raises(CaseError, match="another key"):
        compare_key(facts, str(x25519.Identity.generate().to_public()))
    compare_key(facts, f"{handed.recipient.to_public()}\n")
    with pytest.raises(CaseError, match="no age X25519 key"):
        seal.parse_recipient("age1" + "q" * 58)


async def test_two_stretches_leave_no_hole_between_them(tmp_path: Path) -> None:
    """What lies between was not asked for: no gap is told, and the subtitle says so."""
    spans = (Span(FIRST, FIRST), Span(MinuteNumber(FIRST + 2), MinuteNumber(FIRST + 2)))
    handed = await hand_over(tmp_path, spans=spans)
    assert json.loads((handed.tree / "gaps.json").read_text()) == []
    (track,) = (handed.tree / "video").glob("*.srt")
    assert "照会の範囲外" in track.read_text("utf-8-sig")
    assert judged(handed.tree) == 0


def test_another_pole_s_bundle_is_refused(handed: Handed, tmp_path: Path) -> None:
    from firmware.custody.keys.pole_key import PoleKey
    from firmware.ground import note
    from tests.signing import Ed25519Key

    key = Ed25519Key(seed=9)
    other = PoleKey.parse(note.verifier_text(key.name, key.algorithm, key.public_key), where="")
    at = desk(handed.pole, expected_key=other)
    with pytest.raises(LedgerError, match="another key"):
        write_package(handed.bundle, handed.pole.officers.keys(), at, tmp_path / "p.age")


async def test_a_film_is_split_before_it_is_too_long(handed: Handed, tmp_path: Path) -> None:
    """Parts of two minutes here stand for those of an hour."""
    at = desk(handed.pole, longest_90k=120 * 90_000)
    made = write_tree(handed.bundle, handed.pole.officers.keys(), at, tmp_path / "split")
    films = json.loads((tmp_path / "split" / "manifest.json").read_text())["films"]
    assert made.films == len(films) == 3
    assert [film["begin_jst"][11:19] for film in films] == ["09:00:00", "09:02:00", "09:04:00"]
    assert [Path(film["file"]).stem[-6:] for film in films] == ["part01", "part02", "part03"]
    assert all(film["seconds"] <= 120 for film in films)
    assert judged(tmp_path / "split") == 0


def judged(folder: Path, *words: str) -> int:
    """Run the folder's own verify.py without anything that is installed, in a place of its own."""
    words = (sys.executable, "-I", "-S", str(folder / "verify.py"), *words)
    return subprocess.run(words, cwd="/", env={}, capture_output=True, check=False).returncode


def test_the_judge_needs_nothing_and_knows_old_pythons() -> None:
    import ast

    tree = ast.parse(standalone.program(), feature_version=(3, 8))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported <= set(sys.stdlib_module_names)
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"removeprefix", "removesuffix", "file_digest", "bit_count", "is_relative_to", "pairwise"}
    assert len([node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "ed25519"]) == 1


def test_a_failure_leaves_no_picture_anywhere(handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("firmware.custody.package.seal.os.fsync", full)
    with pytest.raises(CaseError, match="No space left"):
        write_package(handed.bundle, handed.pole.officers.keys(), desk(handed.pole, work=work), tmp_path / "p.age")
    assert not list(work.iterdir())
    assert not list(tmp_path.glob("p.age*"))


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from firmware.custody.package.private import private_folder\n"
        "with private_folder(0, pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'picture').write_text('plain'); print('made', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    (left,) = tmp_path.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    with private.private_folder(0, tmp_path):
        assert left.exists()  # somebody is at work there
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with private.private_folder(0, tmp_path):
        assert not left.exists()
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="E-CASE-ROOM"), private.private_folder(1 << 60):
        pass
    with pytest.raises(CaseError, match="E-CASE-ROOM"), private.private_folder(0, tmp_path / "missing"):
        pass


def test_a_stopped_read_is_no_whole_package(handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library hides what stopped it; a half file must not take its name all the same."""

    def stopped(*_arguments: object) -> Any:
        yield b"x" * 100_000
        raise KeyboardInterrupt

    monkeypatch.setattr(seal, "tar_pieces", stopped)
    with pytest.raises(CaseError, match="E-CASE-STOPPED"):
        seal.seal_to_key(handed.tree, str(handed.recipient.to_public()), tmp_path / "p.age", 0)
    assert not list(tmp_path.glob("p.age*"))


async def test_a_bundle_without_one_readable_minute_makes_no_film(tmp_path: Path) -> None:
    pole = await SmallPole.begin(tmp_path / "state")
    pole.record(FIRST)
    for path in pole.store.chunks(MinuteNumber(FIRST)):
        path.unlink()
    bundle = tmp_path / "b.tar"
    await pole.bundle(bundle, Span(FIRST, FIRST))
    made = write_tree(bundle, pole.officers.keys(), desk(pole), tmp_path / "tree")
    assert (made.films, made.gaps) == (0, 1)  # honest, judged, and without a film
    assert judged(tmp_path / "tree") == 0
