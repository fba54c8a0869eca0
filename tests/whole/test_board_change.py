"""A board over its life, with two chips: retired with a certificate, replaced with its disk, replaced without it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest

from firmware import board_change
from firmware.custody.keys.pole_key import PoleKey
from firmware.drivers.mint_process import MintProcess
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.tpm_record import read_record
from firmware.footage.parts import Parts
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground import note
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import CaseError, ConfigError, KeystoreError, LedgerError
from firmware.ground.ledger import Ledger, verify
from firmware.ground.lock import held_for_life
from firmware.ground.log import Log
from firmware.upkeep.whole import Settings, load_settings
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import Silence, make_parts, recipient_and_key
from tests.parts.swtpm import Swtpm, swtpm
from tests.unit.footage.test_holds import placed
from tests.whole.bench import write_settings

START_NS = 29_923_200 * NS_PER_MINUTE


@dataclass
class Board:
    """One pole's settings and state; ``tpm`` is the chip on its board now."""

    folder: Path
    of_a: pyrage.x25519.Identity
    of_b: pyrage.x25519.Identity
    tpm: Swtpm
    clock: SimulatedClock

    @classmethod
    def new(cls, folder: Path, tpm: Swtpm) -> Board:
        (_, of_a), (_, of_b) = recipient_and_key(), recipient_and_key()
        return cls(folder, of_a, of_b, tpm, SimulatedClock(START_NS))

    @property
    def settings(self) -> Settings:
        footage = {"keystore": "tpm2", "tcti": self.tpm.tcti}
        a, b = str(self.of_a.to_public()), str(self.of_b.to_public())
        return load_settings(write_settings(self.folder, footage=footage, a=a, b=b))

    async def provision(self, **how: Any) -> board_change.Provisioning:
        return await board_change.provision(self.settings, self.clock, Log(Silence()), lambda *_: None, **how)

    async def house(self) -> Parts:
        """Start footage as a new process does."""
        settings, log = self.settings, Log(Silence())
        keystore, signer = await open_pole_keys(
            settings.footage, settings.state, settings.place.ledger_origin, log, "pole"
        )
        mint = MintProcess(settings.footage.officers, profile="bench", clock=self.clock, log=log)
        parts = make_parts(settings.state, self.clock, keystore, settings=settings.footage, mint=mint)
        parts = dataclasses.replace(parts, ledger=Ledger.open(settings.state / "ledger", signer, self.clock))
        await boot(parts, Eraser(parts))
        return parts

    async def record(self) -> MinuteNumber:
        parts = await self.house()
        epoch = minute_of(self.clock.utc_ns())
        await record_a_minute(parts, self.clock)
        await parts.ledger.checkpoint()
        return epoch

    def owner(self) -> bytes:
        sealed = (self.settings.state / "tpm-owner.age").read_bytes()
        opened: bytes = pyrage.decrypt(pyrage.decrypt(sealed, [self.of_a]), [self.of_b])
        return opened

    def lines(self, event: str) -> list[dict[str, Any]]:
        ledger = Ledger.open(self.settings.state / "ledger", board_change._Unsigned("x"), self.clock)
        return [dict(line.fields) for line in ledger.lines(event)]


async def test_provisioned_once_told_once_and_its_key_is_the_ledgers(tmp_path: Path) -> None:
    async with swtpm() as tpm:
        board = Board.new(tmp_path, tpm)
        first, second = await board.provision(), await board.provision()
        assert (first.changed, second.changed) == (True, False)
        assert first.facts == second.facts
        (line,) = board.lines("tpm.provisioned")
        assert (line["chip"], line["key"], line["policy"]) == tuple(
            first.facts[name] for name in ("chip", "key", "policy")
        )
        assert line["boot_pcrs"] == 0
        signed = (board.settings.state / "ledger" / "checkpoint").read_text()
        note.open_note(signed, [PoleKey.parse(first.pole_key, where="")], where="")
        with held_for_life(board.settings.state / "running"), pytest.raises(Exception, match="E-STORE"):
            await board.provision()  # not under a running pole


async def test_a_replaced_board_goes_on_in_the_same_ledger_and_opens_nothing_old(tmp_path: Path) -> None:
    async with swtpm() as old, swtpm() as new:
        board = Board.new(tmp_path, old)
        before = await board.provision()
        epoch = await board.record()
        state = board.settings.state
        chunks = list((state / "footage").rglob("*-*.age"))
        head = note.parse_checkpoint((state / "ledger" / "checkpoint").read_text(), where="")
        board.tpm = new
        for _ in range(2):  # without an officer's word nothing happens
            with pytest.raises(KeystoreError, match="E-KEY-CHIP"):
                await board.provision()
            with pytest.raises(KeystoreError, match="E-KEY-CHIP"):
                await board.house()
        assert all(path.exists() for path in chunks)
        after = await board.provision(replace=True)
        assert after.pole_key != before.pole_key
        assert board.lines("board.replaced") == [
            {
                "old_chip": before.facts["chip"],
                "old_lines": head.size,
                "old_root": head.root.hex(),
                "ledger": "continued",
            }
        ]
        parts = await board.house()
        assert epoch not in parts.table.epochs()
        assert not any(path.exists() for path in chunks)  # no key, so no file
        lost = parts.ledger.lines("epochs.lost")
        assert any(int(line.fields["first_epoch"]) <= epoch <= int(line.fields["last_epoch"]) for line in lost)
        verify(state / "ledger", [head])  # the old checkpoint's lines still begin the ledger
        young = await board.record()
        parts = await board.house()
        assert await parts.table.sealed_identity(young)
        assert sorted(path.name for path in state.glob("*tpm*")) == [
            f"old-{before.facts['chip'][:16]}-tpm-owner.age",
            f"tpm-{before.facts['chip'][:16]}.json",
            "tpm-owner.age",
            "tpm.json",
        ]


async def test_the_right_to_begin_anew_is_used_up_by_the_first_keys(tmp_path: Path) -> None:
    """After one replacement the next foreign table is a thief's again."""
    async with swtpm() as old, swtpm() as new:
        board = Board.new(tmp_path, old)
        await board.provision()
        await board.record()
        (table,) = (board.settings.state / "footage").glob("*.table")
        stolen = table.read_bytes()
        board.tpm = new
        await board.provision(replace=True)
        await board.record()
        (table,) = (board.settings.state / "footage").glob("*.table")
        table.write_bytes(stolen)
        with pytest.raises(KeystoreError, match="E-KEY-LOST"):
            await board.house()


async def test_a_retired_board_certifies_what_it_can_never_open_again_and_the_next_continues_from_it(
    tmp_path: Path,
) -> None:
    async with swtpm() as old, swtpm() as new:
        board = Board.new(tmp_path / "old", old)
        before = await board.provision()
        epoch = await board.record()
        certificate = tmp_path / "certificate.txt"
        stranger = Board.new(tmp_path / "stranger", new)
        await stranger.provision()
        with pytest.raises(KeystoreError, match="E-KEY-OWNER"):
            await board_change.retire(board.settings, stranger.owner(), certificate, board.clock, Log(Silence()))
        assert not certificate.exists()
        facts = await board_change.retire(board.settings, board.owner(), certificate, board.clock, Log(Silence()))
        key = PoleKey.parse(before.pole_key, where="")
        origin, kind, body, _ = note.open_note(certificate.read_text(), [key], where="").split("\n")
        assert (origin, kind) == (board.settings.place.ledger_origin, "board retired")
        assert msgspec.json.decode(body) == msgspec.to_builtins(facts)
        assert any(first <= epoch <= last for first, last in facts["epochs"])
        head = note.parse_checkpoint(note.open_note(facts["checkpoint"], [key], where=""), where="")
        verify(board.settings.state / "ledger", [head])
        assert board.lines("board.retired") == [{"chip": before.facts["chip"]}]
        erased = board.lines("epochs.erased")
        assert any(line["first_epoch"] <= epoch <= line["last_epoch"] for line in erased)
        with pytest.raises(KeystoreError, match="E-KEY-UNPROVISIONED"):
            await board.house()  # the chip is empty, and its record set aside
        assert read_record(board.settings.state) is None

        async with swtpm() as third:  # a new board and a new disk, the same pole
            successor = Board.new(tmp_path / "new", third)
            await successor.provision(succeeds=certificate)
            (line,) = successor.lines("board.replaced")
            assert (line["old_lines"], line["old_root"], line["ledger"]) == (head.size, head.root.hex(), "lost")
            kept = (successor.settings.state / board_change.OLD_CHECKPOINT).read_text()
            assert note.open_note(kept, [key], where="") == note.open_note(facts["checkpoint"], [key], where="")
            await successor.record()


async def test_a_board_with_held_minutes_is_not_retired(tmp_path: Path) -> None:
    async with swtpm() as tpm:
        board = Board.new(tmp_path, tpm)
        await board.provision()
        epoch = await board.record()
        parts = await board.house()
        placed(parts.ledger, 1, epoch, epoch, epoch + 60, epoch - 10)
        certificate = tmp_path / "certificate.txt"
        with pytest.raises(CaseError, match="E-CASE-HELD"):
            await board_change.retire(board.settings, board.owner(), certificate, board.clock, Log(Silence()))
        assert await parts.table.sealed_identity(epoch)
        await board.clock.advance_to((epoch + 61) * NS_PER_MINUTE)  # it lapses
        await board_change.retire(board.settings, board.owner(), certificate, board.clock, Log(Silence()))


async def test_what_is_no_checkpoint_of_this_pole_continues_nothing(tmp_path: Path) -> None:
    async with swtpm() as tpm:
        board = Board.new(tmp_path / "pole", tpm)
        with pytest.raises(ConfigError, match="E-CONFIG-STATE"):
            await board.provision(replace=True)  # nothing was there before
        wrong = tmp_path / "note"
        for text in ("", "x", "smartpole.example/sp77\n5\nAAAA\n"):
            wrong.write_text(text)
            with pytest.raises(LedgerError, match="E-LEDGER-NOTE"):
                await board.provision(succeeds=wrong)
        assert read_record(board.settings.state) is None
