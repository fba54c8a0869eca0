"""The store and its check at boot: whole or not there, damage named and set aside, the rest usable."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from firmware.footage import store as store_module
from firmware.footage.fsck import Checker, Findings
from firmware.footage.manifest import ClockEntry, Manifest
from firmware.footage.ports import ChunkFacts
from firmware.footage.store import Store
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import StoreError
from tests.parts.footage_parts import origin, sealed_to

EPOCH = MinuteNumber(29_923_200)
CLOCK = ClockEntry(source="machine", proven=False, uncertainty_ms=-1, line_ahead_ms=0)


def put(store: Store, epoch: int, sequence: int) -> bytes:
    lent = store.lend()
    sealed = sealed_to(f"{epoch}-{sequence}")
    os.write(lent.descriptor, sealed)
    store.keep(lent, MinuteNumber(epoch), sequence, ChunkFacts(150, 0, 894_000, len(sealed)), (1, 2))
    return sealed


def put_minute(store: Store, epoch: int, chunks: int = 3) -> str:
    entries = []
    for sequence in range(chunks):
        lent = store.lend()
        sealed = sealed_to(f"{epoch}-{sequence}")
        os.write(lent.descriptor, sealed)
        facts = ChunkFacts(150, 0, 894_000, len(sealed))
        entries.append(store.keep(lent, MinuteNumber(epoch), sequence, facts, (1, 2)))
    manifest = Manifest(origin=origin(), epoch=epoch, recovered=False, chunks=tuple(entries), gaps=(), clock=CLOCK)
    return store.write_manifest(manifest)


def check(store: Store, epochs: range, told: list[tuple[int, int]] | None = None, hash_from: int = 0) -> Findings:
    return Checker(
        store=store,
        keyed=frozenset(MinuteNumber(epoch) for epoch in epochs),
        origin=origin(),
        clock=CLOCK,
        hash_from=MinuteNumber(hash_from),
        on_damage=lambda epoch, sequence: told.append((epoch, sequence)) if told is not None else None,
    ).check()


def test_a_kept_chunk_stands_under_its_name_with_its_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sealed = put(store, EPOCH, 0)
    path = tmp_path / str(EPOCH // 60) / f"{EPOCH}-0.age"
    assert path.read_bytes() == sealed
    assert path.stat().st_mode & 0o777 == 0o400
    assert store.recorded() == [EPOCH]
    assert store.chunks(EPOCH) == [path]


def test_the_lent_descriptor_cannot_read_and_an_abandoned_chunk_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lent = store.lend()
    os.write(lent.descriptor, b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pread(lent.descriptor, 1, 0)
    store.abandon(lent)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x00\x20ftypiso5 plain video", b"age-encryption.org/v1\nbroken"])
def test_what_is_not_sealed_never_gets_a_name(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    lent = store.lend()
    os.write(lent.descriptor, content)
    with pytest.raises(StoreError, match="E-STORE-PLAIN"):
        store.keep(lent, EPOCH, 0, ChunkFacts(1, 0, 0, len(content)), (1, 2))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_size_that_differs_from_what_was_said_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lent = store.lend()
    os.write(lent.descriptor, sealed_to("x"))
    with pytest.raises(StoreError, match="E-STORE-SIZE"):
        store.keep(lent, EPOCH, 0, ChunkFacts(1, 0, 0, 7), (1, 2))
    assert store.recorded() == []


def test_no_chunk_takes_anothers_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    sealed = put(store, EPOCH, 0)
    with pytest.raises(StoreError, match="File exists"):
        put(store, EPOCH, 0)
    assert store.chunk_path(EPOCH, 0).read_bytes() == sealed


def test_where_nameless_files_are_not_known_a_part_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def without_tmpfile(path: str, flags: int, *rest: int, **options: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(store_module.os, "open", without_tmpfile)
    store = Store(tmp_path)
    put(store, EPOCH, 0)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{EPOCH}-0.age"]
    left = store.lend()
    assert list(tmp_path.glob("*.part"))
    os.close(left.descriptor)
    os.close(left.own)
    findings = check(store, range(EPOCH, EPOCH + 1))  # a crash left it
    assert findings.removed_parts == 1
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_disk_that_refuses_harms_nothing_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    store = Store(tmp_path)
    sealed = put(store, EPOCH, 0)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(StoreError, match="E-STORE-FULL" if number == errno.ENOSPC else "E-STORE-WRITE"):
            put(store, EPOCH, 1)
    assert store.chunk_path(EPOCH, 0).read_bytes() == sealed
    assert store.sequences(EPOCH) == [0]
    put(store, EPOCH, 1)


def test_removing_takes_whole_minutes_and_empty_hours(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for epoch in (EPOCH, EPOCH + 1, EPOCH + 60):
        put_minute(store, epoch)
    assert store.remove([EPOCH, MinuteNumber(EPOCH + 60)]) == 8
    assert store.recorded() == [EPOCH + 1]
    assert store.hours() == [EPOCH // 60]


def test_a_clean_store_is_clean(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    assert check(store, range(EPOCH, EPOCH + 1)).clean


def test_chunks_that_a_crash_left_without_a_manifest_are_adopted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for sequence in range(4):
        put(store, EPOCH, sequence)
    findings = check(store, range(EPOCH, EPOCH + 1))
    assert [epoch for epoch, _ in findings.recovered] == [EPOCH]
    manifest = store.manifest(EPOCH)
    assert manifest is not None
    assert manifest.recovered
    assert [chunk.sequence for chunk in manifest.chunks] == [0, 1, 2, 3]
    assert all(chunk.first_utc_ns is None for chunk in manifest.chunks)  # unknown, and not invented
    assert check(store, range(EPOCH, EPOCH + 1)).clean


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "plain"])
def test_a_damaged_chunk_is_told_first_set_aside_and_the_rest_stays(tmp_path: Path, harm: str) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    put_minute(store, EPOCH + 1)
    path = store.chunk_path(EPOCH, 1)
    data = bytearray(path.read_bytes())
    path.unlink()
    if harm == "flip":
        data[-1] ^= 1
        path.write_bytes(data)
    elif harm == "cut":
        path.write_bytes(data[:-1])
    elif harm == "plain":
        path.write_bytes(bytes(len(data)))
    told: list[tuple[int, int]] = []
    findings = check(store, range(EPOCH, EPOCH + 2), told)
    assert findings.damaged == told == [(EPOCH, 1)]
    assert store.sequences(EPOCH) == [0, 2]
    manifest = store.manifest(EPOCH)
    assert manifest is not None
    assert [chunk.sequence for chunk in manifest.chunks] == [0, 2]
    assert manifest.chunks[0].frames == 150  # what is known of the good ones stays known
    aside = sorted(path.name for path in (tmp_path / "damaged").iterdir())
    assert f"{EPOCH}.manifest.json" in aside
    assert (f"{EPOCH}-1.age" in aside) == (harm != "remove")
    again = check(store, range(EPOCH, EPOCH + 2))
    assert again.clean
    store.remove([EPOCH])
    assert not (tmp_path / "damaged").exists()


def test_an_old_chunk_is_judged_by_size_and_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    path = store.chunk_path(EPOCH, 0)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    assert check(store, range(EPOCH, EPOCH + 1), hash_from=EPOCH + 1).clean
    assert check(store, range(EPOCH, EPOCH + 1), hash_from=EPOCH).damaged == [(EPOCH, 0)]


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"[" * 100_000, b'{"version":2}', b"\xff"])
def test_a_damaged_manifest_is_set_aside_and_written_anew(tmp_path: Path, text: bytes) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    store.manifest_path(EPOCH).write_bytes(text)
    with pytest.raises(StoreError, match="E-STORE-MANIFEST"):
        store.manifest(EPOCH)
    findings = check(store, range(EPOCH, EPOCH + 1))
    assert findings.bad_manifests == [EPOCH]
    manifest = store.manifest(EPOCH)
    assert manifest is not None
    assert len(manifest.chunks) == 3
    assert manifest.recovered


def test_a_manifest_in_anothers_place_is_no_manifest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    put_minute(store, EPOCH + 1)
    store.manifest_path(EPOCH).write_bytes(store.manifest_path(MinuteNumber(EPOCH + 1)).read_bytes())
    assert check(store, range(EPOCH, EPOCH + 2)).bad_manifests == [EPOCH]


def test_names_nobody_knows_are_counted_and_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    stranger = tmp_path / str(EPOCH // 60) / "holiday.mp4"
    stranger.write_bytes(b"x")
    (tmp_path / str(EPOCH // 60) / f"{EPOCH + 60}-0.age").write_bytes(b"wrong hour")
    (tmp_path / "notes.txt").write_bytes(b"x")
    findings = check(store, range(EPOCH, EPOCH + 100))
    assert findings.unlisted == 3
    assert stranger.exists()


def test_minutes_without_a_key_are_named_for_the_eraser(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put_minute(store, EPOCH)
    put_minute(store, EPOCH + 1)
    assert check(store, range(EPOCH + 1, EPOCH + 2)).keyless == [EPOCH]
