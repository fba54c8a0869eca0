"""At the desk: both groups' keys and an unchanged bundle give one film a camera, with every gap told."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import subprocess
from pathlib import Path

import av
import msgspec
import pyrage
import pytest

from firmware.custody.bundle.span import Span
from firmware.custody.desk.opening import OfficerKeys, open_bundle
from firmware.custody.desk.report import Reporter
from firmware.drivers.mp4 import Mp4Film
from firmware.footage.manifest import GapEntry, GapReason, sha256_of
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber
from firmware.ground.errors import CaseError, KeystoreError
from tests.parts.small_pole import CHUNK_SECONDS, DOCUMENT, FIRST, FPS, FRAMES, Officers, SmallPole, shade_of
from tests.unit.custody.conftest import ALL, Open


def shown(path: Path) -> tuple[list[float], list[int]]:
    """Seconds and brightness of every frame."""
    with av.open(str(path)) as source:
        frames = list(source.decode(video=0))
    return [float(frame.time or 0) for frame in frames], [
        round(float(frame.to_ndarray()[:64].mean())) for frame in frames
    ]


def test_a_bundle_opens_into_one_film_with_every_frame_at_its_time(bundle: Path, tmp_path: Path, open_it: Open) -> None:
    opened = open_it(bundle)
    (part,) = opened.parts
    assert part.path == tmp_path / "out" / "sp03_cam0_20261123T000000Z.mp4"
    times, shades = shown(part.path)
    expected = [shade_of(epoch, sequence) for epoch in ALL.minutes for sequence in range(6) for _ in range(FRAMES)]
    assert len(times) == part.frames == len(expected)
    assert all(abs(shade - wanted) <= 2 for shade, wanted in zip(shades, expected, strict=True))
    assert times == pytest.approx([number / FPS for number in range(len(times))], abs=1e-4)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["document"], report["minutes"]) == (DOCUMENT, {"asked": 5, "here": 5, "missing": 0})
    assert (report["gaps"], report["unreadable"], report["pole_key"]["compared"]) == (0, [], True)
    assert report["bundle"]["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()


def test_standard_tools_agree_with_the_sums(bundle: Path, tmp_path: Path, open_it: Open) -> None:
    open_it(bundle)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "out", check=True)
    listed = {line.split("  ")[1] for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in (tmp_path / "out").iterdir()} - {"SHA256SUMS"}


def test_opening_twice_gives_the_same_bytes(bundle: Path, tmp_path: Path, open_it: Open) -> None:
    for name in ("one", "two"):
        open_it(bundle, tmp_path / name)
    assert [path.read_bytes() for path in sorted((tmp_path / "one").iterdir())] == [
        path.read_bytes() for path in sorted((tmp_path / "two").iterdir())
    ]


async def test_every_gap_has_its_reason_and_keeps_its_time(pole: SmallPole, tmp_path: Path, open_it: Open) -> None:
    """A chunk lost on the pole, a stretch the camera failed, a minute erased, one never recorded."""
    begin_ns = (FIRST + 5) * NS_PER_MINUTE
    fault = GapEntry(
        from_utc_ns=begin_ns + 40 * NS_PER_SECOND, until_utc_ns=begin_ns + NS_PER_MINUTE, reason=GapReason.CAMERA_FAULT
    )
    pole.record(FIRST + 5, chunks=4, gaps=(fault,))
    pole.store.chunks(MinuteNumber(FIRST + 1))[2].unlink()
    await pole.erase(FIRST + 3, FIRST + 3)
    pole.pass_to(FIRST + 8)
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(FIRST, MinuteNumber(FIRST + 6)))
    (part,) = open_it(path).parts
    with (tmp_path / "out" / "gaps.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [(row["from_utc"][11:], row["until_utc"][11:], row["reason"]) for row in rows] == [
        ("00:01:20Z", "00:01:29Z", "damaged"),
        ("00:03:00Z", "00:04:00Z", "erased"),
        ("00:05:40Z", "00:06:00Z", "camera_fault"),
        ("00:06:00Z", "00:07:00Z", "not_recorded"),
    ]
    assert rows[1]["from_jst"] == "2026-11-23T09:03:00+09:00"
    assert json.loads((tmp_path / "out" / "gaps.json").read_text())[1]["seconds"] == 60.0
    times, _ = shown(part.path)
    chunks = [n for n in range(36) if n != 8 and not 18 <= n < 24 and n < 34]
    assert times == pytest.approx([n * CHUNK_SECONDS + k / FPS for n in chunks for k in range(FRAMES)], abs=1e-4)


async def test_a_chunk_with_proven_hash_that_does_not_open_becomes_a_gap(
    pole: SmallPole, tmp_path: Path, open_it: Open
) -> None:
    """Sealed to a stranger's key, and sealed rubbish: the pole itself did wrong, the rest is still evidence."""
    manifest = pole.store.manifest(FIRST)
    assert manifest is not None
    stranger = pyrage.encrypt(b"a picture", [pyrage.x25519.Identity.generate().to_public()])
    rubbish = pyrage.encrypt(b"no film", [pole.identities[FIRST].to_public()])
    chunks = list(manifest.chunks)
    for sequence, sealed in ((1, stranger), (2, rubbish)):
        pole.store.chunk_path(FIRST, sequence).write_bytes(sealed)
        chunks[sequence] = msgspec.structs.replace(
            chunks[sequence], sha256=sha256_of(sealed), ciphertext_bytes=len(sealed)
        )
    digest = pole.store.write_manifest(msgspec.structs.replace(manifest, chunks=tuple(chunks)))
    pole.ledger.append("minute.sealed", epoch=FIRST, manifest=digest)
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, ALL)
    opened = open_it(path)
    assert opened.unreadable == {(FIRST, 1): "E-CASE-SEAL", (FIRST, 2): "E-STORE-CHUNK"}
    assert opened.parts[0].frames == 28 * FRAMES
    rows = json.loads((tmp_path / "out" / "gaps.json").read_text())
    assert [(row["from_utc"], row["reason"]) for row in rows] == [("2026-11-23T00:00:10Z", "unreadable")]


async def test_a_recovered_chunk_without_times_finds_its_place(pole: SmallPole, tmp_path: Path, open_it: Open) -> None:
    manifest = pole.store.manifest(FIRST)
    assert manifest is not None
    known = manifest.chunks[3]
    bare = type(known)(sequence=3, ciphertext_bytes=known.ciphertext_bytes, sha256=known.sha256)
    chunks = (*manifest.chunks[:3], bare, *manifest.chunks[4:])
    digest = pole.store.write_manifest(msgspec.structs.replace(manifest, chunks=chunks, recovered=True))
    pole.ledger.append("minute.sealed", epoch=FIRST, manifest=digest)
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(FIRST, FIRST))
    opened = open_it(path)
    assert (opened.parts[0].frames, opened.unreadable, opened.moved) == (6 * FRAMES, {}, {})
    assert json.loads((tmp_path / "out" / "report.json").read_text())["made_by"]["recovered_minutes"] == 1


def attempt(bundle: Path, out: Path, keys: OfficerKeys, pole: SmallPole) -> KeystoreError:
    with pytest.raises(KeystoreError) as caught:
        open_bundle(bundle, keys, out, Mp4Film, Reporter(bundle, compared=False).write, pole.prove)
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}*"))
    return caught.value


def test_one_officer_alone_opens_nothing(bundle: Path, pole: SmallPole, tmp_path: Path) -> None:
    a, b, stranger = pole.officers.a, pole.officers.b, Officers.appoint().a
    out = tmp_path / "out"
    assert attempt(bundle, out, OfficerKeys([a], []), pole).code == "E-KEY-GROUP-B"
    assert attempt(bundle, out, OfficerKeys([], [b]), pole).code == "E-KEY-GROUP-A"
    assert attempt(bundle, out, OfficerKeys([a], [a]), pole).code == "E-KEY-GROUP-B"
    assert attempt(bundle, out, OfficerKeys([a], [stranger]), pole).code == "E-KEY-GROUP-B"
    assert attempt(bundle, out, OfficerKeys([stranger], [b]), pole).code == "E-KEY-GROUP-A"
    assert "wrong way round" in attempt(bundle, out, OfficerKeys([b], [a]), pole).what


async def test_of_three_officers_any_two_open_either_way_round_and_none_alone(tmp_path: Path) -> None:
    officers = Officers.three()
    pole = await SmallPole.begin(tmp_path / "pole", officers=officers)
    pole.record(FIRST)
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(FIRST, FIRST))
    everybody = [officers.a, officers.b, officers.third]
    for place, (first, second) in enumerate(itertools.permutations(everybody, 2)):
        out = tmp_path / f"out-{place}"
        opened = open_bundle(
            path,
            OfficerKeys([first], [second]),
            out,
            Mp4Film,
            Reporter(path, compared=True).write,
            pole.prove,
            pole.public_key(),
        )
        assert (opened.parts[0].frames, opened.unreadable) == (6 * FRAMES, {})
    stranger = Officers.appoint().a
    for officer in everybody:
        for keys in (([officer], []), ([], [officer]), ([officer], [officer]), ([officer], [stranger])):
            assert attempt(path, tmp_path / "out", OfficerKeys(*keys), pole).code == "E-KEY-TWO-OF-THREE"


def test_what_is_there_already_is_not_touched(bundle: Path, tmp_path: Path, open_it: Open) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(CaseError) as caught:
        open_it(bundle)
    assert caught.value.code == "E-CASE-OUT"
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_failure_while_writing_leaves_no_picture(
    bundle: Path, tmp_path: Path, open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("firmware.custody.desk.report._write_csv", full)
    with pytest.raises(CaseError, match="No space left"):
        open_it(bundle)
    assert not list(tmp_path.glob("*out*"))


async def test_a_bundle_handed_out_before_opens_after_erasure(
    bundle: Path, pole: SmallPole, tmp_path: Path, open_it: Open
) -> None:
    """It is an export, like any lawful copy; what the pole erases afterwards is the pole's."""
    await pole.erase(FIRST, FIRST + 4)
    assert open_it(bundle).parts[0].frames == 30 * FRAMES
    with pytest.raises(CaseError, match="erased"):
        await pole.bundle(tmp_path / "again.tar", ALL)
