"""A chunk made by somebody who has only the minute's public key: age does not say who wrote a file, so the rest must.

The forger has everything public: the real recipient of the minute, the format, a picture, and the pole's disk while it
is off. (7.2(1): handed out as it was recorded; 7.3(1)3)
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pyrage
import pytest

from firmware.custody.audit.conservation import conserve
from firmware.custody.bundle import index
from firmware.custody.bundle.archive import reading, writing
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.span import Span
from firmware.footage.fsck import Checker, Findings
from firmware.footage.manifest import ChunkEntry, ClockEntry, Origin, sha256_of
from firmware.footage.untold import NEWEST, untold
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError, PoleError
from tests.attacks.test_bundle_tampered import Members, reindexed, signed
from tests.attacks.test_case_forged import members_of
from tests.parts.small_pole import FIRST, SmallPole, film_of
from tests.signing import Ed25519Key

MINUTES = NEWEST + 4
REFUSALS = ("E-CASE-MISSING", "E-CASE-CHANGED", "E-LEDGER-SIGNATURE")
OLD = FIRST
"""Sealed and told so long ago that no crash can have touched it."""


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    pole = await SmallPole.begin(tmp_path / "state", minutes=MINUTES)
    for epoch in range(FIRST, FIRST + MINUTES):
        pole.record(epoch, chunks=2)
    return pole


def forged(pole: SmallPole, epoch: int) -> bytes:
    """A true age file to the minute's true public key, holding a picture that no camera took."""
    chunk: bytes = pyrage.encrypt(film_of(200), [pole.identities[epoch].to_public()])
    pyrage.decrypt(chunk, [pole.identities[epoch]])  # it would open like any other
    return chunk


def start_again(pole: SmallPole) -> Findings:
    """What the pole's start does with the store, as ``footage.run`` has it."""
    found = Checker(
        store=pole.store,
        keyed=frozenset(pole.table.epochs()),
        origin=Origin(pole="sp03", camera="cam0", software="0.1.0", config_sha256="0" * 64, keystore="software"),
        clock=ClockEntry(source="machine", proven=False, uncertainty_ms=-1, line_ahead_ms=0),
        hash_from=MinuteNumber(FIRST + MINUTES - NEWEST),
        on_damage=lambda epoch, sequence: told_damage(pole, epoch, sequence),
    ).check()
    for epoch, digest in [*found.recovered, *untold(pole.store, pole.ledger)]:
        pole.ledger.append("minute.sealed", epoch=epoch, manifest=digest)
    return found


def told_damage(pole: SmallPole, epoch: int, sequence: int) -> None:
    pole.ledger.append("chunk.damaged", epoch=epoch, sequence=sequence)


async def bundled(pole: SmallPole, tmp_path: Path) -> Members:
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(MinuteNumber(OLD), MinuteNumber(OLD)))
    return members_of(path)


async def test_a_chunk_added_to_a_sealed_minute_is_set_aside_and_told(pole: SmallPole, tmp_path: Path) -> None:
    told = len(list(pole.ledger.lines("minute.sealed")))
    path = pole.store.chunk_path(MinuteNumber(OLD), 2)
    path.write_bytes(forged(pole, OLD))
    found = start_again(pole)
    assert (found.damaged, found.recovered) == ([(OLD, 2)], [])
    assert not path.exists()
    assert [dict(line.fields) for line in pole.ledger.lines("chunk.damaged")] == [{"epoch": OLD, "sequence": 2}]
    assert len(list(pole.ledger.lines("minute.sealed"))) == told  # no second line vouches for it
    members = await bundled(pole, tmp_path)
    assert index.of_minute(OLD, "2.age") not in members
    assert start_again(pole).clean


async def test_a_chunk_added_while_the_pole_runs_is_never_handed_out(pole: SmallPole, tmp_path: Path) -> None:
    """No start in between: the bundle takes what the manifest lists, and nothing that merely lies there."""
    pole.store.chunk_path(MinuteNumber(OLD), 2).write_bytes(forged(pole, OLD))
    assert index.of_minute(OLD, "2.age") not in await bundled(pole, tmp_path)


async def test_a_chunk_put_in_another_s_place_is_handed_out_as_changed_or_not_at_all(
    pole: SmallPole, tmp_path: Path
) -> None:
    path = pole.store.chunk_path(MinuteNumber(OLD), 0)
    path.unlink()
    path.write_bytes(forged(pole, OLD))
    await bundled(pole, tmp_path)
    with reading(tmp_path / "bundle.tar") as reader:
        checked = CheckedBundle(reader, pole.public_key())
    assert [(each.epoch, each.sequence, each.why) for each in checked.index.damaged] == [(OLD, 0, "changed")]
    assert start_again(pole).damaged == [(OLD, 0)]  # of another size


async def test_a_manifest_that_lists_the_forged_chunk_is_vouched_for_by_nobody(pole: SmallPole, tmp_path: Path) -> None:
    """The forger writes the manifest too: its hash is not the one that the signed ledger has."""
    content = forged(pole, OLD)
    pole.store.chunk_path(MinuteNumber(OLD), 2).write_bytes(content)
    manifest = pole.store.manifest(MinuteNumber(OLD))
    assert manifest is not None
    entry = ChunkEntry(sequence=2, ciphertext_bytes=len(content), sha256=sha256_of(content), frames=20)
    pole.store.write_manifest(msgspec.structs.replace(manifest, chunks=(*manifest.chunks, entry)))
    start_again(pole)
    with pytest.raises(CaseError, match="E-CASE-NOTHING"):
        await bundled(pole, tmp_path)
    listing = {
        int(epoch): sha256_of(data)
        for epoch in pole.store.recorded()
        if (data := pole.store.manifest_bytes(epoch)) is not None
    }
    faults = conserve(pole.ledger.lines(), listing).faults
    assert [(fault.first_epoch, str(fault.fault)) for fault in faults] == [(OLD, "changed")]


async def test_a_chunk_put_into_a_bundle_on_its_way_is_refused(pole: SmallPole, tmp_path: Path) -> None:
    """The index made anew, signed with a key of the forger's own: the desk has the pole's."""
    path = tmp_path / "bundle.tar"
    members = await bundled(pole, tmp_path)
    added: Members = {index.of_minute(OLD, "2.age"): forged(pole, OLD), **members}
    swapped: Members = {**members, index.of_minute(OLD, "0.age"): forged(pole, OLD)}
    for changed in (added, swapped, reindexed(added, lambda made: made), reindexed(swapped, lambda made: made)):
        for sign in (False, True):
            again = await signed(changed, Ed25519Key(seed=99)) if sign else changed
            await asyncio.to_thread(path.unlink)
            with writing(path, (FIRST + 99) * 60 * 10**9) as tar:
                for name, content in again.items():
                    tar.add(name, content)
            with reading(path) as reader, pytest.raises(PoleError) as caught:
                checked = CheckedBundle(reader, pole.public_key())
                for name in sorted(again):
                    checked.read(name, 1 << 20)
            assert caught.value.code in REFUSALS, caught.value
