"""A ledger's growth, as a witness checks it that saw any of its last 32 checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.ground import growth, merkle, note
from firmware.ground.clock import SimulatedClock
from firmware.ground.errors import LedgerError
from firmware.ground.growth import MARKS, MOST_LEAVES, RecentTree, parse
from firmware.ground.ledger import Ledger
from firmware.ground.note import Checkpoint
from tests.signing import Ed25519Key


def leaf(number: int) -> bytes:
    return merkle.leaf_hash(b"%d" % number)


def tree_of(size: int) -> merkle.Tree:
    tree = merkle.Tree()
    for number in range(size):
        tree.append(leaf(number))
    return tree


def checkpoint_of(size: int) -> Checkpoint:
    return Checkpoint("smartpole.example/sp03", size, tree_of(size).root())


async def signed_of(checkpoint: Checkpoint) -> str:
    return await note.sign_note(checkpoint.text(), Ed25519Key())


@settings(max_examples=150, deadline=None)
@given(marks=st.lists(st.integers(1, 220), min_size=1, max_size=40, unique=True), more=st.integers(1, 30))
async def test_from_every_mark_it_is_shown_and_no_other_root_passes(marks: list[int], more: int) -> None:
    marks.sort()
    size = marks[-1] + more
    tree = RecentTree(marks[0])
    for number in range(size):
        tree.append(leaf(number))
        if tree.size in marks[1:]:
            tree.forget_before(marks[max(0, marks.index(tree.size) - MARKS + 1)])
    told = parse(tree.growth(marks, await signed_of(checkpoint_of(size))).text(), where="")
    assert list(told.proofs) == marks[-MARKS:]
    for mark in marks[-MARKS:]:
        assert told.grew_from(checkpoint_of(mark)) is True
        assert told.grew_from(Checkpoint("", mark, leaf(999))) is False
    assert told.grew_from(checkpoint_of(size)) is True
    assert told.grew_from(Checkpoint("", size, leaf(999))) is False
    assert told.leaves == tuple(leaf(number) for number in range(marks[-1], size))
    assert told.leaves_hold(checkpoint_of(marks[-1]))
    assert not told.leaves_hold(None)


async def test_a_hash_of_a_line_that_is_not_the_lines_own_is_found() -> None:
    tree = RecentTree(4)
    for number in range(9):
        tree.append(leaf(number))
    told = tree.growth([4, 6], await signed_of(checkpoint_of(9)))
    for at in range(3):
        leaves = (*told.leaves[:at], leaf(999), *told.leaves[at + 1 :])
        assert not growth.Growth(told.proofs, 6, leaves, told.signed, told.checkpoint).leaves_hold(checkpoint_of(6))
    assert told.grew_from(checkpoint_of(5)) is None


async def test_the_first_checkpoint_tells_all_its_lines() -> None:
    tree = RecentTree()
    for number in range(5):
        tree.append(leaf(number))
    told = tree.growth([], await signed_of(checkpoint_of(5)))
    assert (told.first_leaf, len(told.leaves), dict(told.proofs)) == (0, 5, {})
    assert told.leaves_hold(None)


async def test_too_many_new_lines_are_not_told_one_by_one() -> None:
    tree = RecentTree()
    for number in range(MOST_LEAVES + 2):
        tree.append(leaf(number))
    told = tree.growth([1], await signed_of(checkpoint_of(MOST_LEAVES + 2)))
    assert (told.first_leaf, told.leaves) == (MOST_LEAVES + 2, ())
    assert told.grew_from(checkpoint_of(1)) is True


async def test_a_ledger_proves_from_its_last_32_checkpoints_after_any_restart(tmp_path: Path) -> None:
    clock, seen = SimulatedClock(0), list[Checkpoint]()
    ledger = Ledger.open(tmp_path, Ed25519Key(), clock)
    for number in range(40):
        for _ in range(number % 4 + 1):
            ledger.append("pole.stopped")
        checkpoint = note.parse_checkpoint(await ledger.checkpoint(), where="")
        told = parse(ledger.last_growth() or "", where="")
        assert told.checkpoint == checkpoint
        assert [told.grew_from(old) for old in seen[-MARKS:]] == [True] * len(seen[-MARKS:])
        assert told.leaves_hold(seen[-1] if seen else None)
        seen.append(checkpoint)
        if number % 7 == 3:
            ledger = Ledger.open(tmp_path, Ed25519Key(), clock)


@pytest.mark.parametrize("left", [b"", b"\xff", b"smartpole growth v1\nold 99999\nleaves 99999\n\nx\n9\nx\n"])
async def test_a_lost_or_spoiled_text_is_made_anew_from_the_checkpoint(tmp_path: Path, left: bytes) -> None:
    ledger = Ledger.open(tmp_path, Ed25519Key(), SimulatedClock(0))
    ledger.append("pole.stopped")
    first = note.parse_checkpoint(await ledger.checkpoint(), where="")
    (tmp_path / "growth").write_bytes(left)
    again = Ledger.open(tmp_path, Ed25519Key(), SimulatedClock(0))
    again.append("pole.stopped")
    await again.checkpoint()
    told = parse(again.last_growth() or "", where="")
    assert (told.grew_from(first), told.leaves_hold(first)) == (True, True)


async def test_marks_of_another_ledger_are_no_marks(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "a", Ed25519Key(), SimulatedClock(0))
    for _ in range(9):
        ledger.append("pole.stopped")
    await ledger.checkpoint()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "growth").write_bytes((tmp_path / "a" / "growth").read_bytes())
    other = Ledger.open(tmp_path / "b", Ed25519Key(), SimulatedClock(0))
    other.append("pole.stopped")
    await other.checkpoint()
    told = parse(other.last_growth() or "", where="")
    assert (told.checkpoint.size, dict(told.proofs), told.leaves) == (1, {}, ())


@settings(max_examples=200, deadline=None)
@given(junk=st.text(max_size=200))
def test_no_text_upsets_the_reader(junk: str) -> None:
    for text in (junk, "smartpole growth v1\n" + junk, "smartpole growth v1\nleaves 0\n\n" + junk):
        with pytest.raises(LedgerError):
            parse(text, where="")
