"""Recorded = live + erased + lost, for every history; and which minutes do not fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test
from typer.testing import CliRunner

from firmware import custodian
from firmware.custody.audit import stocktaking
from firmware.custody.audit.conservation import Balance, Fault, Imbalance, conserve
from firmware.custody.audit.stocktaking import take_stock
from firmware.footage.epochs import Run
from firmware.footage.parts import Parts
from firmware.footage.run import boot
from firmware.footage.store import Store
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock
from firmware.ground.errors import LedgerError
from firmware.ground.ledger_events import Value
from firmware.ground.ledger_lines import Line
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, bench_settings, make_parts
from tests.unit.footage.test_machine import PoleMachine, settings_of

START_NS = 29_923_200 * NS_PER_MINUTE


class History:
    """A plain pole: a set of minutes with a key and files, and the lines it writes. Leaks on demand."""

    def __init__(self) -> None:
        self.now = 100
        self.lines = list[Line]()
        self.store = dict[int, str | None]()
        self.keys = set[int]()
        self.held = set[int]()
        self.truth = {"live": set[int](), "erased": set[int](), "lost": set[int]()}

    def tell(self, event: str, **fields: int | str) -> None:
        self.lines.append(Line(len(self.lines), "2026-11-23T00:00:00Z", event, fields, b""))

    def record(self, minutes: int) -> None:
        for _ in range(minutes):
            self.store[self.now] = f"{self.now:064x}"
            self.keys.add(self.now)
            self.truth["live"].add(self.now)
            self.tell("minute.sealed", epoch=self.now, manifest=f"{self.now:064x}")
            self.now += 1

    def hold(self, place: int) -> None:
        self.held |= set(sorted(self.keys)[place % max(1, len(self.keys)) :][:3])

    def lapse(self) -> None:
        self.held.clear()

    def film_without_sealing(self) -> None:
        """A crash before the manifest: chunks lie there, the ledger knows nothing; the next minute follows."""
        self.now += 1

    def retell(self, place: int) -> None:
        """After a crash the check writes a manifest anew and tells it again."""
        if self.keys:
            epoch = sorted(self.keys)[place % len(self.keys)]
            self.store[epoch] = f"{epoch + 10**6:064x}"
            self.tell("minute.sealed", epoch=epoch, manifest=f"{epoch + 10**6:064x}")

    def erase(self, age: int, event: str = "epochs.erased", *, leak: int | None = None) -> None:
        due = [epoch for epoch in sorted(self.keys) if epoch <= self.now - age and epoch not in self.held]
        for first, last in runs(due):
            if event == "epochs.erased":
                self.tell("epochs.dropped_early", first_epoch=first, last_epoch=last, epochs=last - first + 1)
            told = first + 1 if leak == first else first
            if told <= last:
                self.tell(event, first_epoch=told, last_epoch=last, epochs=last - told + 1)
            for epoch in range(first, last + 1):
                self.keys.discard(epoch)
                self.store.pop(epoch, None)
                self.truth["live"].discard(epoch)
                self.truth["lost" if event == "epochs.lost" else "erased"].add(epoch)

    def idle(self, minutes: int) -> None:
        self.now += minutes

    def balance(self) -> Balance:
        return conserve(self.lines, self.store)


def runs(epochs: list[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for epoch in epochs:
        if first is not None and epoch == last + 1:  # type: ignore[operator]  # both are numbers then
            last = epoch
            continue
        if first is not None:
            yield first, last  # type: ignore[misc]  # both are numbers then
        first = last = epoch
    if first is not None:
        yield first, last  # type: ignore[misc]  # both are numbers then


DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(1, 9)),
        st.tuples(st.just("hold"), st.integers(0, 50)),
        st.tuples(st.just("lapse")),
        st.tuples(st.just("film_without_sealing")),
        st.tuples(st.just("retell"), st.integers(0, 50)),
        st.tuples(st.just("erase"), st.integers(0, 20)),
        st.tuples(st.just("lose"), st.integers(0, 20)),
        st.tuples(st.just("idle"), st.integers(1, 9)),
    ),
    max_size=30,
)


def played(deeds: list[tuple[object, ...]]) -> History:
    history = History()
    for name, *given_ in deeds:
        if name == "lose":
            history.erase(int(str(given_[0])), "epochs.lost")
        else:
            getattr(history, str(name))(*given_)
    return history


@settings(max_examples=300, deadline=None)
@given(deeds=DEEDS)
def test_every_honest_history_balances(deeds: list[tuple[object, ...]]) -> None:
    history = played(deeds)
    balance, truth = history.balance(), history.truth
    assert balance.balanced, balance.faults
    assert (balance.live, balance.erased, balance.lost) == tuple(
        len(truth[kind]) for kind in ("live", "erased", "lost")
    )
    assert balance.recorded == balance.live + balance.erased + balance.lost


@settings(max_examples=300, deadline=None)
@given(deeds=DEEDS, place=st.integers(0, 100), data=st.data())
def test_one_minute_out_of_place_is_named(deeds: list[tuple[object, ...]], place: int, data: st.DataObject) -> None:
    history = played([*deeds, ("lapse",), ("record", 5), ("retell", 3)])
    live = sorted(history.truth["live"])
    epoch = live[place % len(live)]
    how = data.draw(st.sampled_from(["removed", "kept", "changed", "manifest gone", "unknown", "again", "twice"]))
    expected = {
        "removed": Fault.MISSING,
        "kept": Fault.STILL_THERE,
        "changed": Fault.CHANGED,
        "manifest gone": Fault.CHANGED,
        "unknown": Fault.UNTOLD,
        "again": Fault.RECORDED_AGAIN,
        "twice": Fault.ERASED_TWICE,
    }[how]
    match how:
        case "removed":
            del history.store[epoch]
        case "kept":
            history.tell("epochs.erased", first_epoch=epoch, last_epoch=epoch, epochs=1)
        case "changed":
            history.store[epoch] = "f" * 64
        case "manifest gone":
            history.store[epoch] = None
        case "unknown":
            epoch = 50
            history.store[epoch] = "e" * 64
        case "again" | "twice":
            history.tell("epochs.erased", first_epoch=epoch, last_epoch=epoch, epochs=1)
            if how == "again":
                history.tell("minute.sealed", epoch=epoch, manifest="a" * 64)
                history.store[epoch] = "a" * 64
            else:
                del history.store[epoch]
                history.tell("epochs.erased", first_epoch=epoch, last_epoch=epoch, epochs=1)
    balance = history.balance()
    assert not balance.balanced
    assert [(one.first_epoch, one.last_epoch, one.fault) for one in balance.faults] == [(epoch, epoch, expected)]


@given(place=st.integers(0, 100))
def test_an_eraser_that_leaks_a_minute_is_caught(place: int) -> None:
    """The mutant: an erasure that tells one minute less than it erased."""
    history = played([("record", 20), ("hold", 3), ("record", 20)])
    first = next(runs([epoch for epoch in sorted(history.keys) if epoch not in history.held]))[0]
    history.erase(0, leak=first if place % 2 else None)
    faults = history.balance().faults
    assert faults == ((Imbalance(first, first, Fault.MISSING, 0),) if place % 2 else ())


def test_neighbours_with_one_fault_are_one_run() -> None:
    history = played([("record", 9)])
    for epoch in (102, 103, 104, 107):
        del history.store[epoch]
    assert [(one.first_epoch, one.last_epoch) for one in history.balance().faults] == [(102, 104), (107, 107)]


def test_a_minute_in_hand_is_neither_live_nor_a_fault() -> None:
    history = played([("record", 3)])
    history.store[history.now] = None
    balance = history.balance()
    assert (balance.balanced, balance.live, balance.in_hand) == (True, 3, 1)


def test_an_absurd_run_does_not_hang_the_auditor() -> None:
    history = played([("record", 3)])
    history.tell("epochs.erased", first_epoch=0, last_epoch=10**15, epochs=10**15)
    assert {one.fault for one in history.balance().faults} == {Fault.STILL_THERE}


# ---- real poles: store, table, ledger, crashes


class AccountedMachine(PoleMachine):
    """The footage house's own machine, with an auditor who comes after every step."""

    @invariant()
    def every_minute_is_accounted_for(self) -> None:
        if hasattr(self, "parts"):
            balance = self.runner.run(take_stock(self.state))
            assert balance.balanced, balance.faults


def test_real_histories_balance() -> None:
    run_state_machine_as_test(AccountedMachine, settings=settings_of(5, 10))


@pytest.mark.long
def test_long_real_histories_balance() -> None:
    run_state_machine_as_test(AccountedMachine, settings=settings_of(200, 50))


async def test_a_real_pole_that_leaks_is_caught(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    (epoch,) = parts.store.recorded()
    assert await take_stock(tmp_path) == Balance(1, 1, 0, 0, 0, ())
    (parts.store.manifest_path(epoch)).unlink()
    for chunk in parts.store.chunks(epoch):
        chunk.unlink()
    assert [one.fault for one in (await take_stock(tmp_path)).faults] == [Fault.MISSING]


async def test_a_real_eraser_that_tells_one_minute_less_is_caught(tmp_path: Path) -> None:
    """The mutant: the last minute of each erasure is left out of its line."""
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore, settings=bench_settings(retention_hours=4))
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    (epoch,) = parts.store.recorded()
    lines = eraser._lines

    def one_less(generation: int, runs: Iterable[Run]) -> Iterator[tuple[str, dict[str, Value]]]:
        for event, fields in lines(generation, runs):
            if event != "epochs.erased":
                yield event, fields
                continue
            for first, last in ((fields["first_epoch"], epoch - 1), (epoch + 1, fields["last_epoch"])):
                if int(first) <= int(last):
                    yield event, {**fields, "first_epoch": first, "last_epoch": last}

    eraser._lines = one_less  # type: ignore[method-assign]  # the mutant
    clock.step(5 * 60 * NS_PER_MINUTE)
    parts.trust.confirm("officer", 100)
    await eraser.sweep()
    assert parts.store.recorded() == []
    assert (await take_stock(tmp_path)).faults == (Imbalance(epoch, epoch, Fault.MISSING, _sealed_line(parts)),)


def _sealed_line(parts: Parts) -> int:
    (line,) = parts.ledger.lines("minute.sealed")
    return line.index


async def test_lost_keys_are_declared_and_balance(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    keystore.slots.clear()
    clock.step(5 * NS_PER_MINUTE)
    again = make_parts(tmp_path, clock, keystore, accept_lost_keys=True)
    await boot(again, Eraser(again))
    balance = await take_stock(tmp_path)
    assert (balance.balanced, balance.recorded, balance.lost) == (True, 1, 1)


async def test_the_lock_is_held_between_ledger_and_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute sealed or erased meanwhile must not look like a leak: the pole waits for the auditor's last look."""
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    looked, listing = list[bool](), stocktaking.listing_of

    def look(store: Store) -> dict[int, str | None]:
        looked.append(parts.lock._here.locked() or _locked(tmp_path / "lock"))
        return listing(store)

    monkeypatch.setattr(stocktaking, "listing_of", look)
    assert (await take_stock(tmp_path)).balanced
    assert looked == [True]


def _locked(path: Path) -> bool:
    import fcntl

    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


async def test_a_changed_ledger_is_not_balanced(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    path = tmp_path / "ledger" / "lines.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"epochs":', b'"epochs":1', 1))
    with pytest.raises(LedgerError):
        await take_stock(tmp_path)


def test_the_command_names_the_minutes(tmp_path: Path) -> None:
    async def make() -> None:
        clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
        parts = make_parts(tmp_path, clock, keystore)
        await boot(parts, Eraser(parts))
        await record_a_minute(parts, clock)

    asyncio.run(make())
    said = CliRunner().invoke(custodian.app, ["audit", "conserve", "--state", str(tmp_path)])
    assert (said.exit_code, said.stdout.splitlines()[0]) == (
        0,
        "minutes      1 recorded = 1 live + 0 erased + 0 lost",
    )
    for path in (tmp_path / "footage").glob("[0-9]*/*"):
        path.unlink()
    said = CliRunner().invoke(custodian.app, ["audit", "conserve", "--state", str(tmp_path)])
    assert said.exit_code == 1
    assert "DOES NOT FIT 2026-11-23T00:0" in said.stdout
    facts = json.loads(
        CliRunner().invoke(custodian.app, ["audit", "conserve", "--state", str(tmp_path), "--json"]).stdout
    )
    assert (facts["balanced"], facts["faults"][0]["fault"]) == (False, "missing")
