"""A damaged ledger is set aside and succeeded; the pole goes on, and nothing is hidden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.ground import ledger_lines
from firmware.ground.clock import SimulatedClock
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import Ledger, verify
from firmware.ground.ledger_start import start_ledger
from tests.signing import Ed25519Key

START_NS = 1_763_888_400 * 10**9
Rows = list[bytes]


def start(state: Path) -> tuple[Ledger, LedgerError | None]:
    return start_ledger(state / "ledger", Ed25519Key(), SimulatedClock(START_NS), "sp03")


async def filled(state: Path) -> bytes:
    """Ten lines after the first, signed; return the file."""
    ledger, damage = start(state)
    assert damage is None
    for number in range(10):
        ledger.append("minute.sealed", epoch=number, manifest=f"{number:064x}")
    await ledger.checkpoint()
    return (state / "ledger" / "lines.jsonl").read_bytes()


def beside(state: Path) -> list[str]:
    return sorted(path.name for path in state.iterdir())


def told(ledger: Ledger) -> list[str]:
    return [line.event for line in ledger.lines()]


async def test_a_ledger_is_begun_once(tmp_path: Path) -> None:
    whole = await filled(tmp_path)
    ledger, damage = start(tmp_path)
    assert damage is None
    assert ledger.size == 11
    assert whole.startswith(
        b'{"n":0,"utc":"2025-11-23T09:00:00Z","event":"ledger.started","generation":0,"pole":"sp03"'
    )
    assert beside(tmp_path) == ["ledger"]


def edited(rows: Rows) -> Rows:
    return [*rows[:6], rows[6].replace(b'"epoch":5', b'"epoch":7'), *rows[7:]]


def dropped(rows: Rows) -> Rows:
    return rows[:6] + rows[7:]


def reordered(rows: Rows) -> Rows:
    return [*rows[:6], rows[7], rows[6], *rows[8:]]


def cut(rows: Rows) -> Rows:
    return rows[:6]


def rewritten(rows: Rows) -> Rows:
    chain, out = ledger_lines.NO_CHAIN, list[bytes]()
    for index, raw in enumerate(rows):
        line = ledger_lines.parse(raw.removesuffix(b"\n"), where="")
        fields = {**line.fields, "epoch": 99} if index == 6 else line.fields
        redone, chain = ledger_lines.compose(index, START_NS, line.event, fields, chain)
        out.append(redone + b"\n")
    return out


@pytest.mark.parametrize(("damage", "kept"), [(edited, 6), (dropped, 6), (reordered, 6), (cut, 6), (rewritten, 0)])
async def test_a_damaged_ledger_is_set_aside_whole_and_its_sound_lines_go_on(
    tmp_path: Path, damage: Callable[[Rows], Rows], kept: int
) -> None:
    whole = await filled(tmp_path)
    spoilt = b"".join(damage(whole.splitlines(keepends=True)))
    (tmp_path / "ledger" / "lines.jsonl").write_bytes(spoilt)
    ledger, found = start(tmp_path)
    assert found is not None
    assert (tmp_path / "ledger-damaged-1" / "lines.jsonl").read_bytes() == spoilt
    assert (tmp_path / "ledger-damaged-1" / "checkpoint").exists()
    assert told(ledger) == [*["ledger.started", *["minute.sealed"] * 5][:kept], "ledger.succeeded"]
    assert ledger.last().fields == {"kept_lines": kept, "cause": damage.__name__}
    assert (
        (tmp_path / "ledger" / "lines.jsonl").read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:kept]))
    )
    await ledger.checkpoint()
    again, found = start(tmp_path)
    assert (found, again.size) == (None, kept + 1)
    assert verify(tmp_path / "ledger", []).size == kept + 1


async def test_what_a_witness_kept_still_convicts_the_old_and_the_new(tmp_path: Path) -> None:
    whole = await filled(tmp_path)
    witnessed = Ledger.open(tmp_path / "ledger", Ed25519Key(), SimulatedClock(START_NS)).last_checkpoint()
    assert witnessed is not None
    (tmp_path / "ledger" / "lines.jsonl").write_bytes(b"".join(rewritten(whole.splitlines(keepends=True))))
    start(tmp_path)
    for folder in ("ledger", "ledger-damaged-1"):
        with pytest.raises(LedgerError):
            verify(tmp_path / folder, [witnessed])


async def test_a_spoilt_checkpoint_file_costs_no_line(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "ledger" / "checkpoint").write_bytes(b"\xff")
    ledger, damage = start(tmp_path)
    assert (damage is not None, ledger.size, ledger.last().fields["cause"]) == (True, 12, "checkpoint")


async def test_a_crash_between_the_two_renames_is_finished(tmp_path: Path) -> None:
    whole = await filled(tmp_path)
    (tmp_path / "ledger" / "lines.jsonl").write_bytes(b"".join(dropped(whole.splitlines(keepends=True))))
    start(tmp_path)
    (tmp_path / "ledger").rename(tmp_path / "ledger-coming")
    ledger, damage = start(tmp_path)
    assert (damage, told(ledger)[-1]) == (None, "ledger.succeeded")
    (tmp_path / "ledger-coming").mkdir()
    (tmp_path / "ledger-coming" / "lines.jsonl").write_bytes(b"half")
    ledger, damage = start(tmp_path)  # and one before the first rename: the old one is still in force
    assert (damage, ledger.size) == (None, 7)
    assert not (tmp_path / "ledger-coming").exists()


async def test_a_second_damage_is_the_second_generation(tmp_path: Path) -> None:
    for _ in range(2):
        await filled(tmp_path)
        path = tmp_path / "ledger" / "lines.jsonl"
        path.write_bytes(b"?" + path.read_bytes()[1:])
        ledger, damage = start(tmp_path)
        assert damage is not None
    assert beside(tmp_path) == ["ledger", "ledger-damaged-1", "ledger-damaged-2"]
    assert told(ledger) == ["ledger.succeeded"]


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file where the folder belongs")
    with pytest.raises(LedgerError) as caught:
        start(tmp_path)
    assert caught.value.code == "E-LEDGER-DISK"
