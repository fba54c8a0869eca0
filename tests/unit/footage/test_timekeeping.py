"""The clock's proof: taken with everything due erased before anything may leave, told when it changes, taken back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest

from firmware.footage.clock_files import (
    OfficerWord,
    followed_line,
    line_in,
    own_line,
    read_record,
    word_in,
    write_record,
)
from firmware.footage.clock_trust import LineRecord
from firmware.footage.parts import Parts
from firmware.footage.ports import NetworkTime
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.timekeeping import Timekeeper
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, make_parts

START_NS = 29_923_200 * NS_PER_MINUTE
DAY_NS = 86_400 * NS_PER_SECOND


class Network:
    """A time source that a test switches on and off."""

    def __init__(self) -> None:
        self.answer: NetworkTime | None = None

    async def read(self) -> NetworkTime | None:
        return self.answer


class Pole:
    def __init__(self, state: Path, clock: SimulatedClock, keystore: MemoryKeystore | None = None) -> None:
        self.clock, self.network, self.log = clock, Network(), io.StringIO()
        self.keystore = keystore or MemoryKeystore()
        self.parts: Parts = make_parts(state, clock, self.keystore, time_source=self.network, log=Log(self.log))
        self.eraser = Eraser(self.parts)
        self.keeper = Timekeeper(self.parts, self.eraser)

    async def begin(self) -> Pole:
        await boot(self.parts, self.eraser)
        await self.keeper.begin()
        return self

    async def passes(self, seconds: int) -> None:
        await self.clock.advance_to(self.clock.utc_ns() + seconds * NS_PER_SECOND)

    def told(self) -> list[tuple[str, object]]:
        """What the ledger says of the clock since the start: event and its first telling field."""
        names = {"clock.proven": "source", "clock.lost": "reason", "clock.stepped": "seconds"}
        return [
            (line.event, line.fields[names[line.event]]) for line in self.parts.ledger.lines() if line.event in names
        ]

    def unlocked(self) -> bool:
        """What the custodian's program would find."""
        return followed_line(self.clock, self.parts.store.folder).settled


@pytest.fixture
async def pole(tmp_path: Path) -> Pole:
    return await Pole(tmp_path, SimulatedClock(START_NS)).begin()


async def test_proven_once_told_once_renewed_in_silence(pole: Pole) -> None:
    await pole.keeper.look()
    assert not pole.unlocked()
    pole.network.answer = NetworkTime(12, 3)
    for _ in range(5):
        await pole.keeper.look()
        await pole.passes(60)
    assert pole.told() == [("clock.proven", "network")]
    assert pole.unlocked()
    state = pole.parts.trust.state
    assert (state.source, state.proven, state.uncertainty_ms) == ("network", True, 12 + 6)  # 60 s at 100 ppm


async def test_a_lost_source_stops_proving_after_a_day_and_that_is_told_once(pole: Pole) -> None:
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    pole.network.answer = None
    for _ in range(50):
        await pole.passes(1800)
        await pole.keeper.look()
    assert pole.told() == [("clock.proven", "network"), ("clock.lost", "source")]
    assert not pole.unlocked()
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    assert pole.told()[-1] == ("clock.proven", "network")


async def test_a_proof_too_wide_is_no_proof(pole: Pole) -> None:
    pole.network.answer = NetworkTime(9_999, 3)
    await pole.keeper.look()
    pole.network.answer = None
    await pole.passes(60)
    await pole.keeper.look()
    assert pole.told() == [("clock.proven", "network"), ("clock.lost", "drift")]


async def test_a_step_ends_the_proof_and_an_answer_from_before_it_does_not_bring_it_back(pole: Pole) -> None:
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    await pole.passes(60)
    pole.clock.step(15 * DAY_NS)
    assert not pole.unlocked()  # the custodian's program sees the step itself
    await pole.keeper.look()  # the answer is three seconds old, the step is newer
    assert pole.told()[1:] == [("clock.stepped", 15 * 86_400), ("clock.lost", "step")]
    assert pole.parts.trust.now_ns() == START_NS + 60 * NS_PER_SECOND
    assert not pole.unlocked()
    pole.clock.step(-15 * DAY_NS)
    await pole.passes(10)
    await pole.keeper.look()  # the step back is newer again
    await pole.passes(10)
    await pole.keeper.look()
    assert pole.told()[-1] == ("clock.proven", "network")
    assert pole.parts.counters.erased_epochs == 0


async def test_what_is_due_by_the_proven_time_is_erased_before_anything_may_leave(tmp_path: Path) -> None:
    pole = await Pole(tmp_path, SimulatedClock(START_NS)).begin()
    await record_a_minute(pole.parts, pole.clock)
    recorded = pole.parts.store.recorded()
    pole.clock.step(15 * DAY_NS)
    await pole.keeper.look()
    await pole.passes(30)
    pole.network.answer = NetworkTime(12, 1)

    def fail() -> None:
        raise KeystoreError("E-KEY-TPM", "off", where="test", todo="none")

    pole.keystore.before_write = fail
    await pole.keeper.look()
    assert pole.parts.trust.state.proven
    assert not pole.unlocked()  # proven, but what is due is still readable
    assert set(recorded) <= set(pole.parts.table.epochs())
    pole.keystore.before_write = lambda: None
    await pole.keeper.look()
    assert pole.unlocked()
    assert not set(recorded) & set(pole.parts.table.epochs())
    assert [event for event, _ in pole.told()].count("clock.proven") == 1


async def test_the_custodian_follows_one_line_and_trusts_no_other_boot_no_torn_file_no_silent_pole(
    tmp_path: Path,
) -> None:
    pole = await Pole(tmp_path, SimulatedClock(START_NS)).begin()
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    folder, path = pole.parts.store.folder, line_in(pole.parts.store.folder)
    await pole.passes(100)
    assert pole.unlocked()
    assert followed_line(pole.clock, folder).now_ns() == pole.parts.trust.now_ns()
    whole = path.read_bytes()
    for torn in (b"", whole[:-20], b"{}", b"[1]", b"\xff" * 40, whole.replace(b'"version":1', b'"version":2')):
        path.write_bytes(torn)
        assert not pole.unlocked()
    path.unlink()
    assert not pole.unlocked()
    path.write_bytes(whole)
    assert pole.unlocked()
    other = SimulatedClock(pole.clock.utc_ns(), pole.clock.boot_ns())
    assert not followed_line(other, folder).settled
    early = SimulatedClock(START_NS, 1, pole.clock.boot_id())
    assert not followed_line(early, folder).settled
    await pole.passes(100)  # 200 s without a word of the pole
    assert not pole.unlocked()


async def test_a_program_that_starts_again_in_the_same_boot_believes_no_clock_that_leapt(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    pole = await Pole(tmp_path, clock, keystore).begin()
    await record_a_minute(pole.parts, clock)
    recorded = set(pole.parts.store.recorded())
    await pole.keeper.look()
    line_ns = pole.parts.trust.now_ns()
    clock.step(15 * DAY_NS)
    again = await Pole(tmp_path, clock, keystore).begin()  # killed, and started by systemd
    assert again.parts.trust.start.source == "running"
    assert again.parts.trust.now_ns() == line_ns
    assert recorded <= set(again.parts.table.epochs())
    await again.keeper.look()
    assert not again.unlocked()
    assert recorded <= set(again.parts.table.epochs())


async def test_credit_for_small_gains_is_not_had_anew_by_starting_again(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    for _ in range(5):
        pole = await Pole(tmp_path, clock, keystore).begin()
        clock.step(590 * NS_PER_SECOND)
        await pole.keeper.look()
    assert pole.parts.trust.now_ns() - START_NS <= 601 * NS_PER_SECOND


async def test_a_start_tells_where_the_line_began_and_what_the_last_run_left_untold(tmp_path: Path) -> None:
    keystore = MemoryKeystore()
    pole = await Pole(tmp_path, SimulatedClock(START_NS), keystore).begin()
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    lost = await Pole(tmp_path, SimulatedClock(0), keystore).begin()  # the RTC's battery is empty: 1970
    years = await Pole(tmp_path, SimulatedClock(START_NS + 800 * DAY_NS), keystore).begin()
    told = [
        (line.fields["source"], line.fields["forward_seconds"]) for line in years.parts.ledger.lines("clock.started")
    ]
    assert told == [("machine", 0), ("ratchet", 0), ("machine", 800 * 86_400)]
    assert [reason for event, reason in years.told() if event == "clock.lost"] == ["restart"]
    assert lost.parts.trust.now_ns() >= START_NS
    assert not years.unlocked()


async def test_an_officer_s_word_counts_while_nothing_moved(pole: Pole) -> None:
    folder = pole.parts.store.folder
    clock = pole.clock

    def word(**changes: object) -> OfficerWord:
        plain = OfficerWord(
            boot_id=clock.boot_id(),
            boot_ns=clock.boot_ns(),
            machine_ns=clock.utc_ns() - clock.boot_ns(),
            uncertainty_ms=42_000,
        )
        return msgspec.structs.replace(plain, **changes)

    for bad in (
        word(boot_id="another"),
        word(boot_ns=clock.boot_ns() + 1),
        word(machine_ns=clock.utc_ns() - clock.boot_ns() + 3 * NS_PER_SECOND),
    ):
        write_record(word_in(folder), bad)
        await pole.keeper.look()
        assert not word_in(folder).exists()
    word_in(folder).write_text("{}")
    await pole.keeper.look()
    assert pole.told() == []
    refusals = [json.loads(line)["reason"] for line in pole.log.getvalue().splitlines() if "word_refused" in line]
    assert refusals == ["old", "old", "stepped", "torn"]
    write_record(word_in(folder), word())
    await pole.passes(700)
    await pole.keeper.look()
    assert pole.told() == []  # ten minutes are too long
    write_record(word_in(folder), word())
    await pole.keeper.look()
    assert pole.told() == [("clock.proven", "officer")]
    assert pole.unlocked()
    assert pole.parts.trust.state.uncertainty_ms == 42_000
    assert not word_in(folder).exists()
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    assert pole.told()[-1] == ("clock.proven", "network")
    write_record(word_in(folder), word())
    pole.network.answer = None
    await pole.keeper.look()
    assert pole.parts.trust.state.source == "network"  # the better proof stays


async def test_an_officer_s_word_whose_purge_failed_is_not_lost(pole: Pole) -> None:
    clock, folder = pole.clock, pole.parts.store.folder
    machine_ns = clock.utc_ns() - clock.boot_ns()
    word = OfficerWord(boot_id=clock.boot_id(), boot_ns=clock.boot_ns(), machine_ns=machine_ns, uncertainty_ms=600_000)
    write_record(word_in(folder), word)

    async def fail() -> None:
        raise KeystoreError("E-KEY-TPM", "off", where="test", todo="none")

    sweep, pole.eraser.sweep = pole.eraser.sweep, fail  # type: ignore[method-assign]  # until it works again
    for _ in range(3):
        await pole.keeper.look()
        await pole.passes(400)
        assert not pole.unlocked()
    pole.eraser.sweep = sweep  # type: ignore[method-assign]  # the chip answers again
    await pole.keeper.look()
    assert pole.unlocked()
    assert pole.told() == [("clock.proven", "officer")]
    await pole.passes(29 * 86_400)
    await pole.keeper.look()
    assert pole.unlocked()  # ten minutes and 29 days of a bad crystal are still within a quarter of an hour
    await pole.passes(3 * 86_400)
    await pole.keeper.look()
    assert pole.told()[-1] == ("clock.lost", "source")


async def test_the_record_survives_its_own_writing(pole: Pole) -> None:
    pole.network.answer = NetworkTime(12, 3)
    await pole.keeper.look()
    record = read_record(line_in(pole.parts.store.folder), LineRecord)
    assert record is not None
    assert record == own_line(pole.clock, pole.parts.store.folder).record()
    assert line_in(pole.parts.store.folder).stat().st_mode & 0o777 == 0o600
