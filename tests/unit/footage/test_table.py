"""The epoch table: rewritten, crashed at every step, damaged; never revived, never lost."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.footage import epochs as epochs_module
from firmware.footage.epochs import (
    Header,
    Run,
    RunKind,
    TableFile,
    TableKeys,
    minutes_map,
    peek,
    runs_of,
    write_table,
)
from firmware.footage.ports import MintedEpoch, SecretSlot
from firmware.footage.table import EpochTable
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import KeystoreError
from tests.parts.crashing import Power, PowerCut, power
from tests.parts.footage_parts import MemoryKeystore, quick_epoch

FIRST = MinuteNumber(29_923_200)


def span(start: int, count: int) -> list[MinuteNumber]:
    return [MinuteNumber(FIRST + start + place) for place in range(count)]


def fresh(epochs: Iterable[MinuteNumber]) -> list[MintedEpoch]:
    return [quick_epoch(epoch) for epoch in epochs]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def opened_by(folder: Path, keystore: MemoryKeystore) -> set[int]:
    """What a thief reads who has every file and the keystore as it is now."""
    found: set[int] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            for secret in keystore.slots.values():
                try:
                    table = TableFile(path, secret)
                except KeystoreError:
                    continue
                found |= {entry.epoch for hour in table.header.minutes for entry in table.read_hour(hour)}
    return found


async def two_generations(folder: Path, keystore: MemoryKeystore) -> EpochTable:
    table = EpochTable(folder, keystore)
    await table.load(FIRST)
    await table.rewrite([], fresh(span(0, 150)), FIRST)
    return table


async def test_a_rewrite_drops_adds_and_tells(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)
    done = await table.rewrite(span(0, 30), fresh(span(150, 60)), MinuteNumber(FIRST + 140))
    assert table.epochs() == span(30, 180)
    assert done.runs == (
        Run(RunKind.CREATED, MinuteNumber(FIRST + 150), MinuteNumber(FIRST + 209)),
        Run(RunKind.ERASED, FIRST, MinuteNumber(FIRST + 29)),
    )
    assert (
        await table.sealed_identity(MinuteNumber(FIRST + 100)) == quick_epoch(MinuteNumber(FIRST + 100)).sealed_identity
    )
    assert table.recipient_of(MinuteNumber(FIRST + 160)) == quick_epoch(MinuteNumber(FIRST + 160)).recipient
    assert table.recipient_of(MinuteNumber(FIRST + 100)) is None  # past: no public half is kept in memory
    with pytest.raises(KeystoreError, match="E-KEY-GONE"):
        await table.sealed_identity(FIRST)
    assert names_in(tmp_path) == ["epochs-2.table"]
    assert len(keystore.slots) == 1


async def test_every_rewrite_takes_a_fresh_secret_and_the_other_slot(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)
    seen = set()
    for generation in range(2, 8):
        before = dict(keystore.slots)
        await table.rewrite([], [], FIRST)
        assert table.generation == generation
        assert set(keystore.slots) == {1 - slot for slot in before}
        seen |= set(keystore.slots.values())
    assert len(seen) == 6


async def test_an_epoch_never_gets_a_second_pair(tmp_path: Path) -> None:
    table = await two_generations(tmp_path, MemoryKeystore())
    with pytest.raises(ValueError, match="second"):
        await table.rewrite([], fresh(span(149, 2)), FIRST)


async def count_steps(folder: Path) -> int:
    keystore = MemoryKeystore()
    table = await two_generations(folder, keystore)
    with power() as supply:
        keystore.before_write = _step_of(supply)
        await table.rewrite(span(0, 30), fresh(span(150, 60)), FIRST)
    return supply.steps


@pytest.mark.parametrize("after", [False, True])
async def test_a_power_cut_at_any_step_loses_nothing_and_revives_nothing(tmp_path: Path, after: bool) -> None:
    (tmp_path / "count").mkdir()
    steps = await count_steps(tmp_path / "count")
    assert steps >= 8  # secret, bytes, fsync, rename, folder, old secret, old name, folder
    outcomes = set()
    for cut_at in range(1, steps + 1):
        folder, keystore = tmp_path / f"cut-{cut_at}", MemoryKeystore()
        folder.mkdir()
        table = await two_generations(folder, keystore)
        copy = (folder / "epochs-1.table").read_bytes()
        with power(cut_at, after=after) as supply:
            keystore.before_write = _step_of(supply)
            await table.rewrite(span(0, 30), fresh(span(150, 60)), FIRST)
        keystore.before_write = lambda: None
        assert supply.gone
        again = EpochTable(folder, keystore)
        loaded = await again.load(FIRST)
        outcomes.add(loaded.kept)
        assert again.epochs() in (span(0, 150), span(30, 180))
        assert len(keystore.slots) == 1
        assert len(list(folder.iterdir())) == 1
        await again.rewrite(span(0, 30), fresh(epoch for epoch in span(150, 60) if epoch not in again.epochs()), FIRST)
        (folder / "stolen.table").write_bytes(copy)
        assert opened_by(folder, keystore) == set(span(30, 180))
    assert outcomes >= {"only", "new"}


def _step_of(supply: Power) -> Callable[[], None]:
    def step() -> None:
        supply.step(lambda: None)

    return step


async def test_a_cut_during_the_repair_is_repaired_again(tmp_path: Path) -> None:
    for cut_at in range(1, 6):
        folder, keystore = tmp_path / str(cut_at), MemoryKeystore()
        folder.mkdir()
        table = await two_generations(folder, keystore)
        old, old_slots = (folder / "epochs-1.table").read_bytes(), dict(keystore.slots)
        await table.rewrite(span(0, 30), [], FIRST)
        (folder / "epochs-1.table").write_bytes(old)  # as if the power had gone before the old secret did
        keystore.slots |= old_slots
        with power(cut_at) as supply:
            keystore.before_write = _step_of(supply)
            await EpochTable(folder, keystore).load(FIRST)
        keystore.before_write = lambda: None
        again = EpochTable(folder, keystore)
        await again.load(FIRST)
        assert again.epochs() == span(30, 120)
        assert len(keystore.slots) == 1


async def test_a_failed_rewrite_must_be_loaded_before_the_next(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)

    def refuse() -> None:
        raise KeystoreError("E-KEY-TPM", "no answer", where="tpm", todo="none")

    keystore.before_write = refuse
    with pytest.raises(KeystoreError, match="E-KEY-TPM"):
        await table.rewrite([], [], FIRST)
    keystore.before_write = lambda: None
    assert table.interrupted
    with pytest.raises(RuntimeError, match="load"):
        await table.rewrite([], [], FIRST)
    await table.load(FIRST)
    assert table.epochs() == span(0, 150)
    await table.rewrite([], [], FIRST)


async def test_a_damaged_block_costs_its_hour_and_is_told(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)
    path = tmp_path / "epochs-1.table"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # in the second hour's block
    path.write_bytes(data)
    with pytest.raises(KeystoreError, match="E-KEY-BLOCK"):
        await table.sealed_identity(MinuteNumber(FIRST + 70))
    assert await table.sealed_identity(MinuteNumber(FIRST + 10))
    done = await table.rewrite([], [], FIRST)
    assert done.runs == (Run(RunKind.LOST, MinuteNumber(FIRST + 60), MinuteNumber(FIRST + 119)),)
    assert table.epochs() == span(0, 60) + span(120, 30)


async def test_a_newer_table_that_does_not_open_entirely_gives_way_to_the_old_one(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)
    old, old_slots = (tmp_path / "epochs-1.table").read_bytes(), dict(keystore.slots)
    await table.rewrite(span(0, 30), [], FIRST)
    new = bytearray((tmp_path / "epochs-2.table").read_bytes())
    new[-10] ^= 1
    (tmp_path / "epochs-2.table").write_bytes(new)
    (tmp_path / "epochs-1.table").write_bytes(old)
    keystore.slots |= old_slots
    again = EpochTable(tmp_path, keystore)
    assert (await again.load(FIRST)).kept == "old"
    assert again.epochs() == span(0, 150)


async def test_a_replayed_old_table_is_ignored_and_removed(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)
    old = (tmp_path / "epochs-1.table").read_bytes()
    await table.rewrite(span(0, 30), [], FIRST)
    (tmp_path / "epochs-9.table").write_bytes(old)
    again = EpochTable(tmp_path, keystore)
    await again.load(FIRST)
    assert again.epochs() == span(30, 120)
    assert not (tmp_path / "epochs-9.table").exists()


async def test_another_keystore_is_refused_unless_the_loss_is_accepted(tmp_path: Path) -> None:
    await two_generations(tmp_path, MemoryKeystore())
    table = EpochTable(tmp_path, MemoryKeystore())
    with pytest.raises(KeystoreError, match="E-KEY-LOST"):
        await table.load(FIRST)
    assert (tmp_path / "epochs-1.table").exists()  # a wrong TCTI must cost nothing
    loaded = await table.load(FIRST, accept_loss=True)
    assert list(loaded.dead) == span(0, 150)
    done = await table.rewrite([], fresh(span(150, 10)), FIRST)
    assert Run(RunKind.SECRET_MISSING, FIRST, MinuteNumber(FIRST + 149)) in done.runs
    assert done.generation == 2
    assert table.epochs() == span(150, 10)


async def test_an_unreadable_keystore_judges_nothing_lost(tmp_path: Path) -> None:
    await two_generations(tmp_path, MemoryKeystore())

    class Mute(MemoryKeystore):
        async def read_secret(self, slot: SecretSlot) -> bytes | None:  # noqa: ARG002  # the port's
            raise KeystoreError("E-KEY-TPM", "no answer", where="tpm", todo="none")

    with pytest.raises(KeystoreError, match="E-KEY-TPM"):
        await EpochTable(tmp_path, Mute()).load(FIRST, accept_loss=True)
    assert (tmp_path / "epochs-1.table").exists()


@settings(max_examples=60, deadline=None)
@example(epochs={100}, spoiled=3597, bit=0)  # the length of the last block
@given(
    epochs=st.sets(st.integers(60, 600), min_size=1, max_size=80), spoiled=st.integers(0, 10**9), bit=st.integers(0, 7)
)
def test_any_flipped_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, epochs: set[int], spoiled: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "epochs-1.table"
    wanted = [MinuteNumber(epoch) for epoch in sorted(epochs)]
    header = Header(1, 0, os.urandom(16), runs_of(RunKind.CREATED, wanted), minutes_map(wanted))
    entries = {epoch // 60: fresh(e for e in wanted if e // 60 == epoch // 60) for epoch in wanted}
    secret = os.urandom(32)
    write_table(path, header, secret, entries.__getitem__)
    whole = TableFile(path, secret)
    assert peek(path).epochs() == wanted
    assert [entry for hour in whole.header.minutes for entry in whole.read_hour(hour)] == fresh(wanted)
    data = bytearray(path.read_bytes())
    data[spoiled % len(data)] ^= 1 << bit
    path.write_bytes(data)
    try:
        damaged = TableFile(path, secret).damaged_hours()
    except KeystoreError:
        return
    assert damaged


def test_blocks_cannot_change_places() -> None:
    keys = TableKeys(os.urandom(32), os.urandom(16))
    sealed = keys.seal(7, b"hour seven", b"m" * 32)
    assert keys.unseal(7, sealed, b"m" * 32) == b"hour seven"
    for hour, mac in ((8, b"m" * 32), (7, b"n" * 32)):
        with pytest.raises(InvalidTag):
            keys.unseal(hour, sealed, mac)


@given(st.sets(st.integers(1, 300)))
def test_runs_are_exactly_the_epochs(epochs: set[int]) -> None:
    runs = runs_of(RunKind.ERASED, [MinuteNumber(epoch) for epoch in epochs])
    assert [epoch for run in runs for epoch in range(run.first, run.last + 1)] == sorted(epochs)
    assert all(later.first > earlier.last + 1 for earlier, later in itertools.pairwise(runs))


def test_power_cuts_do_cut() -> None:
    with power(1):
        Path("/nowhere/at/all").mkdir()
        raise AssertionError
    with pytest.raises(PowerCut):
        Power(1).step(lambda: None)


async def test_a_disk_or_keystore_that_lies_is_found_out_before_the_old_secret_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystore = MemoryKeystore()
    table = await two_generations(tmp_path, keystore)
    real = epochs_module.write_file

    def lying_disk(path: Path, pieces: Iterable[bytes]) -> None:
        data = bytearray(b"".join(pieces))
        data[-10] ^= 1
        real(path, bytes(data))

    with monkeypatch.context() as patch:
        patch.setattr(epochs_module, "write_file", lying_disk)
        with pytest.raises(KeystoreError, match="E-KEY-VERIFY"):
            await table.rewrite(span(0, 30), [], FIRST)
    await table.load(FIRST)
    assert table.epochs() == span(0, 150)

    async def lying_keystore(slot: SecretSlot, _: bytes) -> None:
        keystore.slots[slot] = b"another secret than was given!!!"

    with monkeypatch.context() as patch:
        patch.setattr(keystore, "write_secret", lying_keystore)
        with pytest.raises(KeystoreError, match="E-KEY-VERIFY"):
            await table.rewrite(span(0, 30), [], FIRST)
    await table.load(FIRST)
    assert table.epochs() == span(0, 150)
    assert await table.sealed_identity(FIRST)
