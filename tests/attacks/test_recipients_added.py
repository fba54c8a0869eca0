"""A recipient put among the officers in silence: no frame is ever sealed to it, and everybody sees that it was tried.

Root on a pole can write footage.toml. What root cannot write is a line that officers of both groups have signed.
"""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.office import acts
from firmware.drivers.mint_process import MintProcess
from firmware.footage import recipients
from firmware.footage.parts import Parts
from firmware.footage.ports import MintedEpoch
from firmware.footage.recipients import fingerprints
from firmware.footage.run import boot
from firmware.footage.settings import Officers
from firmware.footage.sweep import AHEAD_MINUTES, Eraser
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import CaseError, KeystoreError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_lines import Line
from firmware.ground.log import Log
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, Silence, bench_settings, make_parts, recipient_and_key
from tests.parts.office import Office
from tests.signing import Ed25519Key

START_NS = 29_923_200 * NS_PER_MINUTE
ACT = "ab" * 32


class Scene:
    """One pole whose footage.toml somebody has changed; the disk, the TPM and the ledger stay."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = SimulatedClock(START_NS)
        self.keystore = MemoryKeystore()
        (self.a, _), (self.b, _), (self.thief, self.of_thief) = (recipient_and_key() for _ in range(3))
        self.lawful = Officers(a=(self.a,), b=(self.b,))
        self.changed = Officers(a=(self.a, self.thief), b=(self.b, recipient_and_key()[0]))
        self.sink = Silence()
        self._state = tmp_path

    async def start(self, officers: Officers) -> Parts:
        log = Log(self.sink)
        mint = MintProcess(officers, profile="bench", clock=self.clock, log=log)
        parts = make_parts(
            self._state, self.clock, self.keystore, settings=bench_settings(officers=officers), mint=mint, log=log
        )
        await boot(parts, Eraser(parts))
        return parts


async def entries(parts: Parts) -> list[MintedEpoch]:
    sealed = await parts.table.sealed_identities(parts.table.epochs())
    return [MintedEpoch(epoch, "", identity) for epoch, identity in sealed.items()]


async def test_no_key_is_made_for_it_recording_goes_on_to_the_old_keys_and_then_stops_loudly(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    parts = await scene.start(scene.lawful)
    await record_a_minute(parts, scene.clock)
    recorded = parts.store.recorded()

    parts = await scene.start(scene.changed)  # root's doing, and a restart
    assert parts.counters.refusal == "E-KEY-RECIPIENTS"
    assert [dict(line.fields) for line in parts.ledger.lines("recipients.refused")] == [
        fingerprints(scene.changed.groups)
    ]
    assert len(list(parts.ledger.lines("recipients.set"))) == 1
    assert any("recipients_refused" in line for line in scene.sink.lines)
    await record_a_minute(parts, scene.clock)  # to a key made for the officers in force
    assert parts.store.recorded()[: len(recorded)] == recorded  # nothing lost, nothing erased

    eraser = Eraser(parts)
    for _ in range(4):
        await scene.clock.advance_to(scene.clock.utc_ns() + 55 * NS_PER_MINUTE)
        if minute_of(scene.clock.utc_ns()) < START_NS // NS_PER_MINUTE + AHEAD_MINUTES - 1:
            await eraser.sweep()
    await scene.clock.advance_to(START_NS + AHEAD_MINUTES * NS_PER_MINUTE)
    with pytest.raises(KeystoreError, match="E-KEY-RECIPIENTS") as raised:
        await eraser.sweep()
    assert "sign" in raised.value.todo
    for entry in await entries(parts):  # of all keys that exist, none is the thief's to open
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(entry.sealed_identity, [scene.of_thief])
    assert len(list(parts.ledger.lines("recipients.refused"))) == 1  # told once, not every hour

    parts = await scene.start(scene.lawful)  # the old keys are put back: all is well again
    assert parts.counters.refusal == ""
    assert parts.table.recipient_of(MinuteNumber(minute_of(scene.clock.utc_ns()) + 1))


async def test_what_is_due_is_erased_all_the_same(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    parts = await scene.start(scene.lawful)
    await record_a_minute(parts, scene.clock)
    parts = await scene.start(scene.changed)
    eraser = Eraser(parts)
    await scene.clock.advance_to(START_NS + 336 * 60 * NS_PER_MINUTE)
    with pytest.raises(KeystoreError, match="E-KEY-RECIPIENTS"):
        await eraser.sweep()
    assert parts.store.recorded() == []
    assert parts.table.epochs()[0] > START_NS // NS_PER_MINUTE  # that minute's key is gone, too


async def test_a_line_signed_by_both_groups_lets_exactly_that_change_in_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    parts = await scene.start(scene.lawful)
    parts.ledger.append("recipients.approved", act=ACT, **fingerprints(scene.changed.groups))
    other = Officers(a=(scene.a, scene.thief), b=(scene.b,))
    assert (await scene.start(other)).counters.refusal  # approved was another set than this
    assert not (await scene.start(scene.changed)).counters.refusal
    parts = await scene.start(scene.lawful)  # going back is a change too, and the old approval is used up
    assert parts.counters.refusal
    parts.ledger.append("recipients.approved", act=ACT, **fingerprints(scene.lawful.groups))
    assert not (await scene.start(scene.lawful)).counters.refusal
    assert not (await scene.start(scene.lawful)).counters.refusal
    assert (await scene.start(scene.changed)).counters.refusal


async def test_an_approval_that_comes_while_the_pole_runs_is_taken_at_the_next_sweep(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.start(scene.lawful)
    parts = await scene.start(scene.changed)
    officers_program = Ledger.open(tmp_path / "ledger", Ed25519Key(), scene.clock)
    officers_program.append("recipients.approved", act=ACT, **fingerprints(scene.changed.groups))
    await scene.clock.advance_to(scene.clock.utc_ns() + 55 * NS_PER_MINUTE)
    await Eraser(parts).sweep()
    assert parts.counters.refusal == ""
    newest = parts.table.epochs()[-1]
    pyrage.decrypt(await parts.table.sealed_identity(newest), [scene.of_thief])  # now lawfully an officer's


async def test_the_act_that_an_officer_of_each_group_signed_is_the_right_to_it(tmp_path: Path) -> None:
    """The office's own program and stock ssh-keygen on one side, the pole on the other; between them one ledger."""
    scene = Scene(tmp_path / "state")
    office = Office(tmp_path, clock=scene.clock)
    journal = await office.found()
    await scene.start(scene.lawful)
    parts = await scene.start(scene.changed)
    assert parts.counters.refusal
    groups = {"group_a": scene.changed.a, "group_b": scene.changed.b}
    act = office.draw_up(acts.GroupsChanged, "chief", **groups)
    with pytest.raises(CaseError):  # one officer alone
        await office.do(journal, act)
    assert (await scene.start(scene.changed)).counters.refusal
    await office.do(journal, act, "manager")
    assert not (await scene.start(scene.changed)).counters.refusal
    assert (await office.journal()).register.groups == act  # and the record reads back
    for wrong in ({}, {"group_a": scene.lawful.a, "group_b": scene.lawful.a}):
        with pytest.raises(CaseError, match="E-OFFICE-KEYS"):
            await office.do(journal, office.draw_up(acts.GroupsChanged, "chief", **wrong), "manager")


KEYS = [recipient_and_key()[0] for _ in range(5)]
SETS = st.sampled_from(
    [
        ((KEYS[0],),),
        ((KEYS[0],), (KEYS[1],)),
        ((KEYS[1],), (KEYS[0],)),
        ((KEYS[0], KEYS[2]), (KEYS[1],)),
        ((KEYS[0],), (KEYS[1],), (KEYS[2],)),
    ]
)


@given(
    st.lists(st.tuples(st.sampled_from(["recipients.set", "recipients.approved", "groups.changed"]), SETS), max_size=6),
    SETS,
)
def test_only_the_set_in_force_and_the_last_approval_after_it_count(
    history: list[tuple[str, tuple[tuple[str, ...], ...]]], wanted: tuple[tuple[str, ...], ...]
) -> None:
    lines = [Line(n, "", event, fingerprints(groups), b"") for n, (event, groups) in enumerate(history)]
    sets = [n for n, (event, _) in enumerate(history) if event == "recipients.set"]
    found = recipients.standing(wanted, lines)
    if not sets:
        assert found == "founding"
    elif history[sets[-1]][1] == wanted:
        assert found == "unchanged"
    else:
        after = [groups for event, groups in history[sets[-1] + 1 :]]
        assert found == ("approved" if after and after[-1] == wanted else "refused")


def test_a_line_of_the_first_version_names_two_groups() -> None:
    told = fingerprints(((KEYS[0],), (KEYS[1],)))
    line = Line(0, "", "recipients.set", {name: told[name] for name in ("group_a", "group_b")}, b"")
    assert recipients.standing(((KEYS[0],), (KEYS[1],)), [line]) == "unchanged"
    assert recipients.standing(((KEYS[0],), (KEYS[1],), (KEYS[2],)), [line]) == "refused"
