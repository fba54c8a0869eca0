"""The ledger keeps what it is told, in order, whatever crashes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware.ground import merkle, note
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import Ledger, verify
from tests.signing import Ed25519Key

START_NS = 1_763_888_400 * 10**9


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_NS)


def fill(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.append("minute.sealed", epoch=ledger.size, manifest=f"{ledger.size:064x}")


def test_a_line_is_written_as_documented(tmp_path: Path, clock: SimulatedClock) -> None:
    ledger = Ledger.open(tmp_path / "ledger", Ed25519Key(), clock)
    assert ledger.append("ledger.started", pole="sp03", generation=0) == 0
    assert ledger.append("clock.stepped", seconds=-3, proven="no") == 1
    first, second = (tmp_path / "ledger" / "lines.jsonl").read_text().splitlines()
    assert first.startswith(
        '{"n":0,"utc":"2025-11-23T09:00:00Z","event":"ledger.started","generation":0,"pole":"sp03","chain":"'
    )
    assert second.startswith(
        '{"n":1,"utc":"2025-11-23T09:00:00Z","event":"clock.stepped","proven":"no","seconds":-3,"chain":"'
    )
    lines = list(ledger.lines())
    assert [(line.index, line.event, dict(line.fields)) for line in lines] == [
        (0, "ledger.started", {"generation": 0, "pole": "sp03"}),
        (1, "clock.stepped", {"proven": "no", "seconds": -3}),
    ]
    assert [line.index for line in ledger.lines("clock.stepped")] == [1]
    assert ledger.last() == lines[1]
    assert lines[0].raw == first.encode()


def test_lines_of_some_minutes_are_found(tmp_path: Path, clock: SimulatedClock) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    assert list(ledger.lines()) == []
    with pytest.raises(ValueError, match="empty"):
        ledger.last()
    fill(ledger, 30)
    ledger.append("chunk.damaged", epoch=5, sequence=5)
    found = [(line.index, line.fields["epoch"]) for line in ledger.lines("minute.sealed", range(4, 6))]
    assert found == [(4, 4), (5, 5)]
    assert [line.event for line in ledger.lines(epochs=range(5, 6))] == ["minute.sealed", "chunk.damaged"]


def test_a_reader_without_the_lock_touches_nothing(tmp_path: Path, clock: SimulatedClock) -> None:
    fill(Ledger.open(tmp_path, Ed25519Key(), clock), 3)
    path = tmp_path / "lines.jsonl"
    path.write_bytes(path.read_bytes() + b'{"n":3,"u')
    stood = path.read_bytes()
    reader = Ledger.open(tmp_path, Ed25519Key(), clock, mend=False)
    assert (reader.size, path.read_bytes()) == (3, stood)
    assert reader.refresh() == 1  # under the lock: cut off, and said
    assert [line.event for line in reader.lines("ledger.torn")] == ["ledger.torn"]


def test_reopening_gives_the_same_tree_and_another_process_s_lines(tmp_path: Path, clock: SimulatedClock) -> None:
    pole = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(pole, 5)
    custodian = Ledger.open(tmp_path, Ed25519Key(), clock)
    assert (custodian.size, custodian.root) == (5, pole.root)
    fill(custodian, 3)
    assert pole.refresh() == 3
    assert pole.refresh() == 0
    fill(custodian, 1)
    assert pole.append("pole.stopped") == 9  # append looks first
    assert custodian.refresh() == 1
    assert custodian.root == pole.root == verify(tmp_path, []).root()


async def test_a_checkpoint_commits_to_every_line_and_is_signed_once(tmp_path: Path, clock: SimulatedClock) -> None:
    key = Ed25519Key()
    ledger = Ledger.open(tmp_path, key, clock)
    assert ledger.last_checkpoint() is None
    fill(ledger, 6)
    signed = await ledger.checkpoint()
    assert (tmp_path / "checkpoint").read_text("utf-8") == signed
    assert note.parse_checkpoint(note.open_note(signed, [key], where=""), where="") == note.Checkpoint(
        key.name, 6, ledger.root
    )
    assert await ledger.checkpoint() == signed
    assert key.signed == 1
    fill(ledger, 1)
    again = note.parse_checkpoint(await ledger.checkpoint(), where="")
    assert (again.size, key.signed) == (7, 2)


async def test_proofs_hold_for_every_line_and_every_earlier_size(tmp_path: Path, clock: SimulatedClock) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    roots = [ledger.root]
    for _ in range(13):
        fill(ledger, 1)
        roots.append(ledger.root)
    raws = [line.raw for line in ledger.lines()]
    for size in range(1, 14):
        for index, proof in ledger.inclusion(range(size), size).items():
            assert merkle.included(merkle.leaf_hash(raws[index]), index, size, proof, roots[size])
        for old in range(1, size + 1):
            assert merkle.consistent(old, roots[old], size, roots[size], ledger.consistency(old, size))


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("person.seen", {}),
        ("minute.sealed", {"epoch": 1}),
        ("minute.sealed", {"epoch": 1, "manifest": "0" * 64, "people": 3}),
        ("minute.sealed", {"epoch": "1", "manifest": "0" * 64}),
        ("minute.sealed", {"epoch": True, "manifest": "0" * 64}),
        ("minute.sealed", {"epoch": 10**16, "manifest": "0" * 64}),
        ("minute.sealed", {"epoch": 1, "manifest": "Taro Odawara"}),
        ("recording.stopped", {"reason": "somebody pulled the plug"}),
        ("ledger.started", {"pole": "sp03; rm", "generation": 0}),
    ],
)
def test_what_is_not_listed_is_not_written(
    tmp_path: Path, clock: SimulatedClock, event: str, fields: dict[str, int | str]
) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    with pytest.raises(LedgerError) as caught:
        ledger.append(event, **fields)
    assert caught.value.code == "E-LEDGER-EVENT"
    assert not (tmp_path / "lines.jsonl").exists()


@pytest.mark.parametrize("kept", [1, 40, -2, -1])
def test_an_unfinished_last_line_is_cut_off_and_said(tmp_path: Path, clock: SimulatedClock, kept: int) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(ledger, 4)
    path = tmp_path / "lines.jsonl"
    whole = path.read_bytes()
    before = whole[: whole.rindex(b"\n", 0, -1) + 1]
    tail = whole[len(before) :][:kept]
    path.write_bytes(before + tail)
    with pytest.raises(LedgerError, match="unfinished") as caught:
        verify(tmp_path, [])
    assert caught.value.where.endswith("line 4")
    again = Ledger.open(tmp_path, Ed25519Key(), clock)
    assert path.read_bytes().startswith(before)
    *_, last = again.lines()
    assert (last.index, last.event, dict(last.fields)) == (3, "ledger.torn", {"lost_bytes": len(tail)})
    verify(tmp_path, [])


async def test_a_signed_line_is_never_taken_for_an_unfinished_one(tmp_path: Path, clock: SimulatedClock) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(ledger, 4)
    await ledger.checkpoint()
    path = tmp_path / "lines.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    stood = path.read_bytes()
    with pytest.raises(LedgerError, match="n=3 to n=3 are gone") as caught:
        Ledger.open(tmp_path, Ed25519Key(), clock)
    assert caught.value.code == "E-LEDGER-CUT"
    assert path.read_bytes() == stood  # evidence is not touched


def test_a_full_disk_leaves_the_ledger_as_it_was(
    tmp_path: Path, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(ledger, 2)
    path = tmp_path / "lines.jsonl"
    stood, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:17]))
    with pytest.raises(LedgerError) as caught:
        ledger.append("pole.stopped")
    assert caught.value.code == "E-LEDGER-DISK"
    monkeypatch.undo()
    assert path.read_bytes() == stood
    assert ledger.append("pole.stopped") == 2
    verify(tmp_path, [])


def test_a_failed_fsync_is_no_record(tmp_path: Path, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(ledger, 2)

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(LedgerError, match="Input/output error"):
        ledger.append("pole.stopped")
    monkeypatch.undo()
    assert ledger.size == verify(tmp_path, []).size == 2


def test_a_file_that_shrank_under_a_running_pole_is_noticed(tmp_path: Path, clock: SimulatedClock) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(ledger, 3)
    path = tmp_path / "lines.jsonl"
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"\n") + 1])
    with pytest.raises(LedgerError) as caught:
        ledger.append("pole.stopped")
    assert caught.value.code == "E-LEDGER-CUT"


async def test_a_damaged_checkpoint_file_is_named(tmp_path: Path, clock: SimulatedClock) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    fill(ledger, 3)
    await ledger.checkpoint()
    for damage in (b"", b"\xff\xfe", b"smartpole\n3\nAAAA\n"):
        (tmp_path / "checkpoint").write_bytes(damage)
        with pytest.raises(LedgerError, match="checkpoint"):
            Ledger.open(tmp_path, Ed25519Key(), clock)


class TwoProcesses(RuleBasedStateMachine):
    """``pole`` and ``custodian`` append in turn, crash in the middle of lines and start again; nothing is lost."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = SimulatedClock(START_NS)
        self.key = Ed25519Key()
        self.expected: list[tuple[str, int]] = []
        self.ledgers = [Ledger.open(self.folder, self.key, self.clock) for _ in range(2)]
        self.torn = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def mend(self) -> None:
        if self.torn:
            self.expected.append(("ledger.torn", 0))
            self.torn = False

    @rule(who=st.integers(0, 1), count=st.integers(1, 5))
    def append(self, who: int, count: int) -> None:
        for _ in range(count):
            self.mend()
            index = self.ledgers[who].append("minute.sealed", epoch=len(self.expected), manifest="ab" * 32)
            assert index == len(self.expected)
            self.expected.append(("minute.sealed", index))

    @precondition(lambda self: not self.torn)
    @rule(length=st.integers(1, 120))
    def crash_in_the_middle_of_a_line(self, length: int) -> None:
        with (self.folder / "lines.jsonl").open("ab") as file:
            file.write((b'{"n":%d,"utc":"' % len(self.expected) + b"2" * 120)[:length])
        self.torn = True

    @rule(who=st.integers(0, 1))
    def start_again(self, who: int) -> None:
        self.ledgers[who] = Ledger.open(self.folder, self.key, self.clock)
        self.mend()

    @rule(who=st.integers(0, 1))
    def refresh(self, who: int) -> None:
        self.ledgers[who].refresh()
        self.mend()

    @rule(minutes=st.integers(0, 3))
    def time_passes(self, minutes: int) -> None:
        self.clock.step(minutes * NS_PER_MINUTE)

    @invariant()
    def what_was_written_stands(self) -> None:
        if self.torn:
            return
        tree = verify(self.folder, [])
        assert tree.size == len(self.expected)
        reader = Ledger.open(self.folder, self.key, self.clock)
        written = [(line.event, line.fields.get("epoch", 0)) for line in reader.lines()]
        assert written == self.expected


TestTwoProcesses = TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
