"""Whoever can write the disk tries to change the past of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.ground import ledger_lines, note
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import Ledger, verify
from firmware.ground.note import Checkpoint
from tests.signing import Ed25519Key

START_NS = 1_763_888_400 * NS_PER_SECOND


@pytest.fixture
def honest(tmp_path: Path) -> tuple[Path, list[Checkpoint]]:
    """Twelve lines; checkpoints after 4, 8 and 12 of them, as a witness outside the pole keeps them."""
    clock = SimulatedClock(START_NS)
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    kept = list[Checkpoint]()
    for number in range(12):
        ledger.append("minute.sealed", epoch=29_398_140 + number, manifest=f"{number:064x}")
        clock.step(NS_PER_MINUTE)
        if number % 4 == 3:
            kept.append(Checkpoint(ledger.origin, ledger.size, ledger.root))
    return tmp_path, kept


def fault(folder: Path, checkpoints: list[Checkpoint]) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        verify(folder, checkpoints)
    return caught.value


def rewrite(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = folder / "lines.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def test_every_single_byte_of_the_file_counts(honest: tuple[Path, list[Checkpoint]]) -> None:
    """Each byte, changed in four ways: found without any checkpoint, and the line named is the line changed."""
    folder, _ = honest
    rewrite(folder, lambda rows: rows[:5])
    path = folder / "lines.jsonl"
    whole = path.read_bytes()
    for at in range(len(whole)):
        line = whole.count(b"\n", 0, at) + 1
        for value in {whole[at] ^ 1, whole[at] ^ 0x80, ord("\n"), ord("0")} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes((value,)) + whole[at + 1 :])
            assert fault(folder, []).where.endswith(f"lines.jsonl: line {line}"), (at, value)


def test_a_dropped_line(honest: tuple[Path, list[Checkpoint]]) -> None:
    folder, _ = honest
    rewrite(folder, lambda rows: rows[:5] + rows[6:])
    error = fault(folder, [])
    assert (error.code, error.what) == ("E-LEDGER-DROPPED", "line n=5 is gone")
    assert error.where.endswith("line 6")


def test_dropped_lines(honest: tuple[Path, list[Checkpoint]]) -> None:
    folder, _ = honest
    rewrite(folder, lambda rows: rows[:2] + rows[6:])
    assert fault(folder, []).what == "lines n=2 to n=5 are gone"


def test_reordered_lines(honest: tuple[Path, list[Checkpoint]]) -> None:
    folder, _ = honest
    rewrite(folder, lambda rows: [*rows[:5], rows[6], rows[5], *rows[7:]])
    error = fault(folder, [])
    assert (error.code, error.what) == ("E-LEDGER-REORDERED", "line n=6 stands where n=5 belongs")


def test_a_line_said_twice(honest: tuple[Path, list[Checkpoint]]) -> None:
    folder, _ = honest
    rewrite(folder, lambda rows: [*rows[:5], rows[4], *rows[5:]])
    assert fault(folder, []).code == "E-LEDGER-REORDERED"


def test_lines_cut_from_the_end(honest: tuple[Path, list[Checkpoint]]) -> None:
    folder, kept = honest
    rewrite(folder, lambda rows: rows[:10])
    error = fault(folder, kept)
    assert (error.code, error.what) == ("E-LEDGER-CUT", "lines n=10 to n=11 are gone from its end")


def test_the_whole_file_removed(honest: tuple[Path, list[Checkpoint]]) -> None:
    folder, kept = honest
    (folder / "lines.jsonl").unlink()
    assert fault(folder, kept[:1]).what == "lines n=0 to n=3 are gone from its end"


def forged(rows: list[bytes], at: int, *, delay_ns: int = 0, epoch: int | None = None) -> list[bytes]:
    """Line ``at`` changed and every chain after it redone: what a careful attacker with the disk writes."""
    chain, out = ledger_lines.NO_CHAIN, list[bytes]()
    for index, raw in enumerate(rows):
        line = ledger_lines.parse(raw.removesuffix(b"\n"), where="")
        utc_ns = START_NS + index * NS_PER_MINUTE + (delay_ns if index == at else 0)
        fields = {**line.fields, "epoch": epoch} if index == at and epoch is not None else line.fields
        redone, chain = ledger_lines.compose(index, utc_ns, line.event, fields, chain)
        out.append(redone + b"\n")
    return out


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("how", ["re-dated", "edited"])
def test_a_careful_forger_is_caught_by_the_checkpoint_after_the_line(
    honest: tuple[Path, list[Checkpoint]], at: int, how: str
) -> None:
    folder, kept = honest
    change = {"delay_ns": NS_PER_SECOND} if how == "re-dated" else {"epoch": 1}
    rewrite(folder, lambda rows: forged(rows, at, **change))
    verify(folder, [])  # the chain alone is redone: that is what checkpoints are for
    error = fault(folder, kept)
    first = at // 4 * 4
    assert error.code == "E-LEDGER-REWRITTEN"
    assert error.where.endswith(f"lines {first + 1} to {first + 4}")


@pytest.mark.parametrize("at", [0, 7, 11])
async def test_the_pole_itself_will_not_start_on_a_forged_ledger(tmp_path: Path, at: int) -> None:
    clock = SimulatedClock(START_NS)
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    for number in range(12):
        ledger.append("minute.sealed", epoch=number, manifest=f"{number:064x}")
        clock.step(NS_PER_MINUTE)
    await ledger.checkpoint()
    rewrite(tmp_path, lambda rows: forged(rows, at, epoch=99))
    with pytest.raises(LedgerError) as caught:
        Ledger.open(tmp_path, Ed25519Key(), clock)
    assert caught.value.code == "E-LEDGER-REWRITTEN"


def test_even_redone_chains_must_count_from_nought_without_a_gap(tmp_path: Path) -> None:
    chain, rows = ledger_lines.NO_CHAIN, list[bytes]()
    for number in (0, 1, 3):
        line, chain = ledger_lines.compose(number, START_NS, "pole.stopped", {}, chain)
        rows.append(line + b"\n")
    (tmp_path / "lines.jsonl").write_bytes(b"".join(rows))
    assert fault(tmp_path, []).what == "line n=2 is gone"


async def test_a_checkpoint_cannot_be_made_to_fit(tmp_path: Path) -> None:
    """The forger also rewrites the checkpoint file: without the key its signature is false."""
    key = Ed25519Key()
    ledger = Ledger.open(tmp_path, key, SimulatedClock(START_NS))
    ledger.append("pole.stopped")
    signed = await ledger.checkpoint()
    forged_text = signed.replace("\n1\n", "\n2\n", 1)
    with pytest.raises(LedgerError) as caught:
        note.open_note(forged_text, [key], where="checkpoint")
    assert caught.value.code == "E-LEDGER-SIGNATURE"


@settings(max_examples=200, deadline=None)
@given(junk=st.binary(max_size=200))
def test_no_bytes_upset_the_reader_of_lines(junk: bytes) -> None:
    assert ledger_lines.follow(junk, 0, ledger_lines.NO_CHAIN) is None
    with pytest.raises(LedgerError):
        ledger_lines.parse(junk, where="")


def test_fields_out_of_order_or_twice_are_no_line_of_ours() -> None:
    tail = b',"chain":"' + b"0" * 64 + b'"}'
    head = b'{"n":0,"utc":"2026-11-23T09:00:00Z","event":"minute.sealed"'
    for fields in (b',"b":1,"a":2', b',"a":1,"a":1'):
        with pytest.raises(LedgerError, match="out of order"):
            ledger_lines.parse(head + fields + tail, where="")
