"""Holds as the running pole learns of them: from the ledger's lines alone, minute by minute."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.footage.holds import LedgerHolds, living_from
from firmware.footage.retention import is_held, still_keeping
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock, minute_of, start_of
from firmware.ground.errors import StoreError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_start import start_ledger
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, Silence, bench_settings, make_parts, place_hold
from tests.parts.told import AN_ACT
from tests.signing import Ed25519Key

FIRST = 29_923_200
NOW_NS = FIRST * NS_PER_MINUTE
HOUR_NS = 3600 * NS_PER_SECOND
SETTINGS = bench_settings(retention_hours=4)
HOURS = 336


def a_ledger(folder: Path, clock: SimulatedClock | None = None) -> Ledger:
    return Ledger.open(folder / "ledger", Ed25519Key(), clock or SimulatedClock(NOW_NS))


def placed(ledger: Ledger, number: int, first: int, last: int, ends: int, living: int = 0) -> None:
    ledger.append(
        "hold.placed",
        hold=number,
        first_epoch=first,
        last_epoch=last,
        ends_epoch=ends,
        living_from=living,
        kind="provisional",
        **AN_ACT,
    )


def told(ledger: Ledger, event: str, number: int, first: int, last: int, ends: int) -> None:
    ledger.append(event, hold=number, first_epoch=first, last_epoch=last, ends_epoch=ends, **AN_ACT)


def kept(holds: LedgerHolds, at_epoch: int, minutes: range) -> set[int]:
    keeping = still_keeping(holds(), start_of(MinuteNumber(at_epoch)))
    return {epoch for epoch in minutes if is_held(MinuteNumber(epoch), keeping)}


def test_only_what_was_living_is_kept_and_the_first_living_minute_is_exact() -> None:
    now_ns = (FIRST + HOURS * 60) * NS_PER_MINUTE
    assert living_from(now_ns, HOURS) == FIRST + 1  # FIRST's 336 hours are over in this very instant
    assert living_from(now_ns - 1, HOURS) == FIRST
    assert living_from(now_ns + 1, HOURS) == FIRST + 1


LINES = st.lists(
    st.one_of(
        st.tuples(st.just("placed"), st.integers(0, 25), st.integers(0, 10), st.integers(1, 12)),
        st.tuples(st.just("renewed"), st.integers(0, 30), st.just(0), st.integers(1, 12)),
        st.tuples(st.just("lifted"), st.integers(0, 30), st.just(0), st.just(0)),
        st.tuples(st.just("lapsed"), st.integers(0, 30), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@given(lines=LINES, reads=st.sets(st.integers(0, 14)))
def test_the_fold_against_a_plain_reading_minute_by_minute(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, int, int, int]], reads: set[int]
) -> None:
    """A minute is kept by a hold that named it when it was living, or kept by another that still stood."""
    hours, now = 2, 1000 * 120
    folder = tmp_path_factory.mktemp("ledger")
    ledger = a_ledger(folder)
    holds = LedgerHolds(ledger, folder / "ledger", hours)
    model: dict[int, tuple[set[int], int]] = {}  # number: (its minutes, end)
    spans: dict[int, tuple[int, int]] = {}
    for place, (what, first, length, lasting) in enumerate(lines):
        now += 7
        base, living = now - hours * 60 - 12, now - hours * 60 + 1
        if what == "placed":
            number, span = len(spans) + 1, range(base + first, base + first + length + 1)
            placed(ledger, number, span[0], span[-1], now + lasting * 5, living)
            elsewhere = {epoch for minutes, ends in model.values() if ends >= now + 1 for epoch in minutes}
            model[number] = ({epoch for epoch in span if epoch >= living or epoch in elsewhere}, now + lasting * 5)
            spans[number] = (span[0], span[-1])
        elif first in model and what == "renewed":
            told(ledger, "hold.renewed", first, *spans[first], now + lasting * 5)
            model[first] = (model[first][0], now + lasting * 5)
        elif first in spans and what in ("lifted", "lapsed"):
            fields = {"ends_epoch": now} if what == "lapsed" else AN_ACT
            ledger.append(f"hold.{what}", hold=first, **fields)
            model.pop(first, None)
        if place in reads:
            holds()
    minutes = range(1000 * 120 - 150, now + 40)
    for at in range(now, now + 70, 3):
        assert kept(holds, at, minutes) == {epoch for held, ends in model.values() if ends > at for epoch in held}
    assert kept(LedgerHolds(a_ledger(folder), folder / "ledger", hours), now, minutes) == kept(holds, now, minutes)


def test_another_process_appends_and_the_next_reading_sees_it(tmp_path: Path) -> None:
    clock = SimulatedClock(NOW_NS)
    pole, custodian = a_ledger(tmp_path, clock), a_ledger(tmp_path, clock)
    holds = LedgerHolds(pole, tmp_path / "ledger", HOURS)
    assert (list(holds()), holds.highest) == ([], 0)
    custodian.append("pole.stopped")
    placed(custodian, 1, FIRST, FIRST + 4, FIRST + 100)
    assert [(hold.number, hold.first_epoch, hold.last_epoch) for hold in holds()] == [(1, FIRST, FIRST + 4)]
    custodian.append("hold.lifted", hold=1, **AN_ACT)
    assert (list(holds()), holds.highest) == ([], 1)


async def test_erasing_re_reads_the_holds_under_its_lock(tmp_path: Path) -> None:
    """A hold placed by another process a moment before the sweep keeps its minutes; the line of its end comes once."""
    clock = SimulatedClock(NOW_NS)
    epoch = minute_of(NOW_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore(), settings=SETTINGS)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    await clock.advance_to(NOW_NS + 2 * HOUR_NS)
    async with parts.lock.held():
        other = a_ledger(tmp_path, clock)
        placed(other, 1, epoch, epoch, minute_of(NOW_NS + 10 * HOUR_NS))
        sweeping = asyncio.create_task(eraser.sweep())
        await asyncio.sleep(0.05)
    await sweeping
    for hour in range(3, 9):
        await clock.advance_to(NOW_NS + hour * HOUR_NS)
        await eraser.sweep()
        assert parts.store.recorded() == [epoch]
        assert parts.counters.holds == 1
    for minutes in (1, 56, 111):
        await clock.advance_to(NOW_NS + 9 * HOUR_NS + minutes * NS_PER_MINUTE)
        await eraser.sweep()
    assert parts.store.recorded() == []
    (lapsed,) = parts.ledger.lines("hold.lapsed")
    assert dict(lapsed.fields) == {"hold": 1, "ends_epoch": minute_of(NOW_NS + 10 * HOUR_NS)}
    (erased,) = [line for line in parts.ledger.lines("epochs.erased") if line.fields["first_epoch"] == epoch]
    assert lapsed.index < erased.index  # told first


async def test_a_hold_revives_nothing_that_was_over_when_it_was_placed(tmp_path: Path) -> None:
    """The pole lay switched off past the deadline; a hold placed before the first sweep comes too late (7.1(3))."""
    clock, keystore = SimulatedClock(NOW_NS), MemoryKeystore()
    epoch = minute_of(NOW_NS)
    parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    await clock.advance_to(NOW_NS + NS_PER_MINUTE)
    await record_a_minute(parts, clock)
    later = SimulatedClock(start_of(MinuteNumber(epoch + 4 * 60)))  # the first one's hours are over just now
    again = make_parts(tmp_path, later, keystore, settings=SETTINGS)
    place_hold(again, 1, epoch, epoch + 1, later.utc_ns() + 20 * HOUR_NS)
    await boot(again, Eraser(again))
    assert again.store.recorded() == [epoch + 1]


async def test_a_disk_full_of_held_minutes_stops_recording_and_a_lifted_hold_lets_it_go_on(tmp_path: Path) -> None:
    clock = SimulatedClock(NOW_NS)
    epoch = minute_of(NOW_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore(), settings=SETTINGS)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    place_hold(parts, 7, epoch, epoch, NOW_NS + 20 * HOUR_NS)
    await clock.advance_to(NOW_NS + HOUR_NS)
    eraser._is_low = lambda: bool(parts.store.recorded())  # type: ignore[method-assign]  # full of that minute
    with pytest.raises(StoreError, match=r"E-STORE-FULL.*held"):
        await eraser.make_room()
    assert parts.store.recorded() == [epoch]
    parts.ledger.append("hold.lifted", hold=7, **AN_ACT)
    await eraser.make_room()
    assert parts.store.recorded() == []


DAMAGE = {
    "edited": lambda data: data.replace(b'"profile":"bench"', b'"profile":"pole "'),
    "dropped": lambda data: b"".join(line for line in data.splitlines(keepends=True) if b"pole.started" not in line),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
async def test_a_damaged_and_succeeded_ledger_loses_no_hold(tmp_path: Path, damage: str) -> None:
    """Hold 1 stands before the damage, 2 behind it, 3 behind it and lifted there: lifting is not believed."""
    clock, key = SimulatedClock(NOW_NS), Ed25519Key()
    ledger, _ = start_ledger(tmp_path / "ledger", key, clock, "sp03")
    placed(ledger, 1, FIRST, FIRST, FIRST + 9000)
    ledger.append("pole.started", profile="bench", keystore="tpm2")
    placed(ledger, 2, FIRST + 1, FIRST + 1, FIRST + 9000)
    placed(ledger, 3, FIRST + 2, FIRST + 2, FIRST + 9000)
    ledger.append("hold.lifted", hold=3, **AN_ACT)
    placed(ledger, 4, FIRST + 3, FIRST + 3, FIRST + 10**8)  # somebody made it last for ever
    path = tmp_path / "ledger" / "lines.jsonl"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    ledger, fault = start_ledger(tmp_path / "ledger", key, clock, "sp03")
    assert fault is not None
    holds = LedgerHolds(ledger, tmp_path / "ledger", HOURS)
    assert kept(holds, FIRST + 8999, range(FIRST, FIRST + 9)) == {FIRST, FIRST + 1, FIRST + 2, FIRST + 3}
    assert (holds.rescued, holds.highest) == ({2, 3, 4}, 4)
    assert kept(holds, FIRST + 30 * 24 * 60, range(FIRST, FIRST + 9)) == set()  # 30 days behind its line, no longer
    ledger.append("hold.lifted", hold=3, **AN_ACT)  # by an officer, in the new ledger
    ledger.append("hold.lapsed", hold=4, ends_epoch=FIRST + 1)
    assert kept(holds, FIRST + 8999, range(FIRST, FIRST + 9)) == {FIRST, FIRST + 1}
    assert kept(LedgerHolds(ledger, tmp_path / "ledger", HOURS), FIRST, range(FIRST, FIRST + 9)) == {FIRST, FIRST + 1}


def test_a_confirmation_alone_keeps_the_whole_span(tmp_path: Path) -> None:
    """The line that placed it was lost with a ledger of which nothing is left."""
    ledger = a_ledger(tmp_path)
    told(ledger, "hold.confirmed", 5, FIRST, FIRST + 2, FIRST + 50)
    holds = LedgerHolds(ledger, tmp_path / "ledger", HOURS)
    assert kept(holds, FIRST, range(FIRST - 2, FIRST + 9)) == {FIRST, FIRST + 1, FIRST + 2}


async def test_a_whole_pole_boots_on_a_damaged_ledger_and_still_holds(tmp_path: Path) -> None:
    clock, keystore, log = SimulatedClock(NOW_NS), MemoryKeystore(), Silence()
    epoch = minute_of(NOW_NS)
    parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    parts.ledger.append("pole.started", profile="bench", keystore="tpm2")
    place_hold(parts, 1, epoch, epoch, NOW_NS + 20 * HOUR_NS)
    path = tmp_path / "ledger" / "lines.jsonl"
    path.write_bytes(DAMAGE["edited"](path.read_bytes()))
    start_ledger(tmp_path / "ledger", Ed25519Key(), clock, "sp03")
    await clock.advance_to(NOW_NS + 6 * HOUR_NS)
    again = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    await boot(again, Eraser(again))
    assert again.store.recorded() == [epoch]
    assert log.lines == []
