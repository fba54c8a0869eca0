"""A lean pole and its office: the real journal, holds, eraser, table, store, ledger, line of time and bundle.

Quick stand-ins, all of them through the ports that production uses: mint, recorder, keystore (of ``footage_parts``),
officers' signatures, the network's time. Threads are made calls, because a history has one deed at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from firmware.custody.audit.conservation import Account
from firmware.custody.bundle.archive import reading
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.index import Index
from firmware.custody.bundle.making import Holdings, make_bundle
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.office import acts
from firmware.custody.office.acts import NAMESPACE, AnyAct
from firmware.custody.office.fields import Officer, Role
from firmware.custody.office.journal import Journal
from firmware.footage import sweep
from firmware.footage.clock_files import followed_line, own_line
from firmware.footage.clock_trust import read_ratchet
from firmware.footage.epochs import TableKeys, peek
from firmware.footage.holds import LedgerHolds
from firmware.footage.parts import Parts
from firmware.footage.ports import MintedEpoch, NetworkTime
from firmware.footage.recording import Clerk, Filming, Job, Undo
from firmware.footage.retention import REWRITE_PERIOD_SECONDS
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.table import EpochTable
from firmware.footage.timekeeping import Timekeeper
from firmware.ground import note
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, SimulatedClock, iso_utc
from firmware.ground.errors import CaseError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_lines import Place
from firmware.ground.lock import PoleLock
from tests.histories.model import HORIZON, MINUTE_NS, OFFICERS, Model
from tests.parts.crashing import Power, PowerCut, power
from tests.parts.footage_parts import (
    MemoryKeystore,
    QuickRecorder,
    bench_settings,
    frame_now,
    make_parts,
    quick_epoch,
    sealed_to,
)
from tests.signing import Ed25519Key

FIRST: Final = 29_923_200
HOURS: Final = 2
AHEAD_MINUTES: Final = 75
"""Keys are made this far ahead here: more than from one rewrite to the next, and less than the real four hours."""

POLE: Final = "sp03"
DAY_NS: Final = 86_400 * NS_PER_SECOND
SETTINGS: Final = bench_settings(retention_hours=HOURS)
KEY: Final = Ed25519Key()
ALLOWANCE_NS: Final = 660 * NS_PER_SECOND
"""How much the line may gain without proof: ten minutes, and a minute a day."""

_REAL_LINK: Final = os.link

minted: Final[Callable[[MinuteNumber], MintedEpoch]] = functools.lru_cache(100_000)(quick_epoch)
chunk_to: Final[Callable[[str], bytes]] = functools.lru_cache(20_000)(sealed_to)


class LeanMint:
    async def make(self, first_epoch: MinuteNumber, count: int) -> list[MintedEpoch]:
        return [minted(MinuteNumber(first_epoch + place)) for place in range(count)]


class LeanSignatures:
    """What stock ssh-keygen does, with a hash; the real one is tried in tests/unit/drivers."""

    async def sign(self, message: bytes, key: str, keyfile: Path | None = None, *, namespace: str = NAMESPACE) -> bytes:
        del keyfile
        return hashlib.sha256(f"{namespace} {key} ".encode() + message).hexdigest().encode()

    async def verify(self, message: bytes, signature: bytes, key: str, *, namespace: str = NAMESPACE) -> bool:
        return signature == await self.sign(message, key, namespace=namespace)


class Network:
    """The authenticated time source: it answers or it does not."""

    def __init__(self) -> None:
        self.answers = True

    async def read(self) -> NetworkTime | None:
        return NetworkTime(uncertainty_ms=5, sample_age_seconds=0) if self.answers else None


class LeanClerk(Clerk):
    """Does each job at once."""

    async def give(self, job: Job, undo: Undo = lambda: None) -> None:
        del undo
        await job()

    async def settled(self) -> None:
        """Nothing waits."""


def key_of(account: str) -> str:
    return f"ssh-ed25519 {hashlib.sha256(account.encode()).hexdigest()}"


async def at_once(work: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
    return work(*arguments, **options)


async def uncut_at_once(work: Awaitable[Any]) -> Any:
    return await work


@contextmanager
def lean() -> Iterator[pytest.MonkeyPatch]:
    """Make threads calls, and keep few keys ahead, for the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", at_once)
        patch.setattr("firmware.ground.lock.uncut", uncut_at_once)
        patch.setattr(sweep, "AHEAD_MINUTES", AHEAD_MINUTES)
        patch.setattr("tests.parts.footage_parts.sealed_to", chunk_to)
        yield patch


class World:
    """One pole with its office in ``folder``; :meth:`begin` first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.clock = SimulatedClock(FIRST * MINUTE_NS, boot_id="boot-0")
        self.keystore = MemoryKeystore()
        self.keystore.before_write = self.copy_tables
        self.network = Network()
        self.model = Model(HOURS * 60, FIRST * MINUTE_NS, FIRST * MINUTE_NS)
        self.signatures = LeanSignatures()
        self.nonces = self.boots = self.copies = self.crashes = self.bundles = self.refusals = 0
        self.heard = 0
        self.generation = -1
        self.keyed: tuple[int, ...] = ()
        self.ratchet_least_ns = 0
        self.seen_ns = self.machine_ns
        self.before_look: tuple[int, int | None] = self.seen_ns, None
        self.offered_until_ns: int | None = None
        self.open_chunk: tuple[int, int] | None = None
        self.bundle_error: CaseError | None = None
        self.tables: dict[str, tuple[bytes, bytes, bytes, frozenset[int]]] = {}
        self.allowance_ns = 0

    # ---- starting

    async def begin(self) -> None:
        """First start; the office is founded."""
        self.allowance_ns = ALLOWANCE_NS
        self.state.mkdir()
        (self.folder / "out").mkdir()
        Ledger.open(self.state / "ledger", KEY, self.clock).append("ledger.started", pole=POLE, generation=0)
        await self.start()
        officers = tuple(
            Officer(account=account, role=Role(role), key=key_of(account)) for account, role in OFFICERS.items()
        )
        founding = self.draw_up(acts.OfficersFounded, "chief", officers=officers)
        await self.journal.submit(founding.encoded(), await self.sign(founding, "chief", "manager"))
        self.model.acts = 1
        await self.look()

    async def start(self) -> None:
        """Start the pole's program and the custodian's on what lies on the disk."""
        trust = own_line(self.clock, self.state / "footage")
        parts = make_parts(
            self.state, self.clock, self.keystore, settings=SETTINGS, mint=LeanMint(), recorder=QuickRecorder()
        )
        self.parts: Parts = replace(parts, trust=trust, time_source=self.network)
        self.eraser = Eraser(self.parts)
        self.place, self.account = Place(), Account()
        await boot(self.parts, self.eraser)
        self.swept_ns = self.clock.boot_ns()
        self.ratchet_least_ns = self.model.line_ns
        self.keeper = Timekeeper(self.parts, self.eraser)
        await self.keeper.begin()
        await self.open_office()

    async def open_office(self) -> None:
        """The custodian's program: its own ledger, table and holds."""
        state = self.state
        self.office_ledger = Ledger.open(state / "ledger", KEY, self.clock, mend=False)
        self.office_lock = PoleLock(state / "lock")
        self.journal = await Journal.open(
            state / "custody" / "acts", POLE, self.office_ledger, self.office_lock, self.signatures, self.instant
        )
        self.office_holds = LedgerHolds(self.office_ledger, state / "ledger", HOURS)

    @property
    def machine_ns(self) -> int:
        """UTC less time since boot."""
        return self.clock.utc_ns() - self.clock.boot_ns()

    @property
    def utc_moved(self) -> bool:
        """Tell whether UTC stepped since the pole last looked."""
        return abs(self.machine_ns - self.seen_ns) >= 2 * NS_PER_SECOND

    def instant(self) -> tuple[int, bool]:
        trust = followed_line(self.clock, self.parts.store.folder)
        return trust.now_ns(), trust.settled

    def holdings(self) -> Holdings:
        folder = self.parts.store.folder
        return Holdings(
            pole=POLE,
            camera="cam0",
            store=self.parts.store,
            table=EpochTable(folder, self.keystore),
            ledger=self.office_ledger,
            holds=self.office_holds,
            lock=self.office_lock,
            signer=KEY,
            clock=self.clock,
            trust=followed_line(self.clock, folder),
            retention_hours=HOURS,
            release_open=lambda: followed_line(self.clock, folder).settled,
        )

    async def start_again(self, *, cold: bool, off_minutes: int = 0, rtc_lost: bool = False) -> None:
        """Start again: after a power cut (another boot) or under the same boot. Then compare with the model."""
        line_ns = highest_ns = self.model.line_ns
        ahead_ns = self.clock.utc_ns() - line_ns
        if self.network.answers or 0 < ahead_ns <= self.allowance_ns:  # perhaps it just followed UTC, or took a proof
            highest_ns += max(0, ahead_ns)
        self.boots += 1
        if cold:
            utc_ns = FIRST * MINUTE_NS - DAY_NS if rtc_lost else self.clock.utc_ns() + off_minutes * MINUTE_NS
            self.clock = SimulatedClock(utc_ns, boot_id=f"boot-{self.boots}")
            self.model.proven_until_ns, self.seen_ns = None, self.machine_ns
            self.before_look, self.offered_until_ns = (self.seen_ns, None), None
            ratchet_ns = read_ratchet(self.state / "footage" / "clock.ratchet")
            assert ratchet_ns <= highest_ns, "the ratchet runs ahead"
            assert ratchet_ns >= self.ratchet_least_ns, "the ratchet was not kept"
            self.allowance_ns = ALLOWANCE_NS
            line_ns = highest_ns = max(ratchet_ns, utc_ns)
        self.model.go_on(line_ns)
        await self.start()
        assert line_ns <= self.parts.trust.now_ns() <= highest_ns, "the line begins elsewhere"
        self.model.go_on(self.parts.trust.now_ns())
        if not cold and abs(self.parts.trust.seen_machine_ns - self.before_look[0]) < 2 * NS_PER_SECOND:
            self.seen_ns, self.model.proven_until_ns = self.before_look  # killed before it wrote down what it saw
        if self.parts.trust.settled and self.offered_until_ns is not None:
            self.model.proven_until_ns = self.offered_until_ns  # killed when the proof was taken and shown
        self.offered_until_ns = None

    # ---- deeds

    async def deed(self, work: Coroutine[Any, Any, Any], cut: tuple[int, bool] | None) -> Any:
        """Do ``work``; where the power goes at its n-th step, start again. Returns None then."""
        if cut is None:
            return await work
        outcome: Any = None
        with power(cut[0], after=cut[1]) as supply:
            self.keystore.before_write = lambda: self.cut_at_keystore(supply)
            outcome = await work
        self.keystore.before_write = self.copy_tables
        if not supply.gone:
            return outcome
        self.crashes += 1
        with contextlib.suppress(OSError, AttributeError):
            for descriptor in self.open_chunk or ():
                os.close(descriptor)
        return PowerCut

    def cut_at_keystore(self, supply: Power) -> None:
        self.copy_tables()
        supply.step(lambda: None)

    async def pass_time(self, seconds: int) -> None:
        """Let time pass, with the rewrites that fall into it, and look at the clock at its end."""
        end_ns = self.clock.boot_ns() + seconds * NS_PER_SECOND
        while (here_ns := self.clock.boot_ns()) < end_ns:
            due_ns = self.swept_ns + REWRITE_PERIOD_SECONDS * NS_PER_SECOND
            step_ns = max(0, min(end_ns, due_ns) - here_ns)
            self.clock._pass(step_ns)
            self.model.go_on(self.model.line_ns + step_ns)
            if here_ns + step_ns >= due_ns:
                await self.look_at_clock()
                await self.sweep()
        await self.look_at_clock()

    async def look_at_clock(self) -> None:
        """What the pole does every minute: ask for the time, keep and show the line."""
        boot_ns, trust, stepped = self.clock.boot_ns(), self.parts.trust, self.utc_moved
        was_settled = trust.settled
        self.before_look = self.seen_ns, self.model.proven_until_ns
        self.seen_ns = self.machine_ns
        if stepped:
            self.model.proven_until_ns = None
        elif self.network.answers:
            self.offered_until_ns = boot_ns + DAY_NS
        await self.keeper.look()
        if self.network.answers and not stepped and trust.state.proven:
            self.model.proven_until_ns = boot_ns + DAY_NS
            if trust.now_ns() == self.clock.utc_ns():  # the proof took it there
                self.model.go_on(max(self.model.line_ns, self.clock.utc_ns()))
                self.allowance_ns = ALLOWANCE_NS
        gained_ns = trust.now_ns() - self.model.line_ns
        assert 0 <= gained_ns <= self.allowance_ns, "the line leapt, or ran back"
        self.allowance_ns -= gained_ns
        self.model.go_on(self.model.line_ns + gained_ns)
        self.before_look, self.offered_until_ns = (self.seen_ns, self.model.proven_until_ns), None
        if trust.settled and not was_settled:
            self.model.swept()
        await self.look()

    async def sweep(self) -> None:
        """One rewrite as it falls due."""
        self.swept_ns = self.clock.boot_ns()
        await self.eraser.sweep()
        self.ratchet_least_ns = self.model.line_ns
        self.model.swept()
        await self.look()

    async def film(self, frames: int) -> None:
        """Record one minute, or a part of one."""
        filming = Filming(self.parts, LeanClerk(), needs_keyframe=False, want_keys=self.eraser.sweep)
        try:
            for _ in range(frames):
                await filming.take(frame_now(self.clock))
                lent = filming._chunk.lent if filming._chunk else None
                self.open_chunk = (lent.descriptor, lent.own) if lent else None
                self.clock._pass(11 * NS_PER_SECOND)
                self.model.go_on(self.model.line_ns + 11 * NS_PER_SECOND)
            await filming.finish()
        finally:
            if filming._chunk is None:
                self.open_chunk = None

    # ---- acts

    def draw_up(self, kind: type[AnyAct], by: str, /, **fields: Any) -> AnyAct:
        self.nonces += 1
        utc = iso_utc(self.model.line_ns)
        act: AnyAct = kind(by=by, pole=POLE, utc=utc, nonce=f"{self.nonces:032x}", **fields)
        return act

    async def sign(self, act: AnyAct, *accounts: str) -> dict[str, bytes]:
        return {account: await self.signatures.sign(act.encoded(), key_of(account)) for account in accounts}

    async def act(self, act: AnyAct, *, allowed: bool, forged: bool = False) -> bool:
        """Do an act; the program must judge it as the model does."""
        given = await self.sign(act, act.by)
        if forged:
            given = {act.by: await self.signatures.sign(act.encoded(), key_of("thief"))}
        try:
            await self.journal.submit(act.encoded(), given)
        except CaseError as error:
            assert not allowed or forged, f"refused: {error}"
            self.refusals += 1
            return False
        assert allowed, f"done: {act}"
        assert not forged, f"done though forged: {act}"
        return True

    async def bundle(self, case: str, out: Path) -> Index | None:
        try:
            return await make_bundle(self.holdings(), self.journal, case, out)
        except CaseError as error:
            self.refusals += 1
            self.bundle_error = error
            return None

    def check_bundle(self, out: Path, case: str) -> None:
        """Judge a bundle as the desk does, but for the signatures under the acts."""
        key = PoleKey.parse(note.verifier_text(KEY.name, KEY.algorithm, KEY.public_key), where="")
        with reading(out) as reader:
            checked = CheckedBundle(reader, key)
        approvals = [acts.decode(paper.act) for paper in checked.papers if paper.line.event == "case.approved"]
        by = {
            act.by
            for act in approvals
            if isinstance(act, acts.CaseApproved) and act.dossier == checked.dossier.sha256()
        }
        assert {"manager", "chief"} <= {OFFICERS[account] for account in by}, "a bundle without its two approvers"
        assert (checked.index.case, any(map(str.isdigit, checked.index.document))) == (case, True)

    # ---- what must be true

    def copy_tables(self) -> None:
        """The thief: a copy of every table there ever was. A table's file is never changed, so a link is a copy."""
        for path in self.state.glob("footage/epochs-*.table"):
            if path.name + str(path.stat().st_ino) in self.tables:
                continue
            copy = self.folder / f"copy-{self.copies}"
            self.copies += 1
            _REAL_LINK(path, copy)
            header = peek(copy)
            packed = header.packed()
            mac = copy.read_bytes()[len(packed) : len(packed) + 32]
            self.tables[path.name + str(path.stat().st_ino)] = (
                header.table_id, packed, mac, frozenset(map(int, header.epochs())),
            )  # fmt: skip

    def readable(self, newest: int = 0) -> set[int]:
        """Return each minute that the thief reads with his copies (or the ``newest``) and the keystore as it is."""
        found: set[int] = set()
        for table_id, packed, mac, epochs in list(self.tables.values())[-newest:]:
            if any(TableKeys(secret, table_id).mac(packed) == mac for secret in self.keystore.slots.values()):
                found |= epochs
        return found

    async def look(self) -> None:
        """Take in the ledger's new lines, and judge what is readable now."""
        self.parts.ledger.refresh()
        lines, self.place = self.parts.ledger.since(self.place, b"{")
        for line in lines:
            self.account.add(line)
            if line.index >= self.heard:
                self.heard = line.index + 1
                self.model.hear(line.event, dict(line.fields))
        self.judge_keys()

    def judge_keys(self) -> None:
        model, table = self.model, self.parts.table
        if table.generation != self.generation:
            self.generation, self.keyed = table.generation, tuple(table.epochs())
            self.copy_tables()
            assert self.readable(3) == set(self.keyed), "another table opens than the one in force"
            assert not model.erased & set(self.keyed), "told erased, and its key is there"
            gone = model.recorded - model.erased - set(self.keyed)
            assert not gone, "its key is gone and no line says so"
            assert int(model.now) in self.keyed, "no key for this minute"
        over = model.now - model.retention + 1
        for epoch in self.keyed:
            if epoch >= over:
                break
            assert not model.is_over(epoch, model.line_ns) or model.may_stay(epoch), "readable past its time"
        if model.proven_until_ns is None or self.clock.boot_ns() > model.proven_until_ns:
            assert not self.parts.trust.settled, "settled without a proof"

    async def compare_acts(self, act: AnyAct | None, *, allowed: bool) -> bool:
        """After a crash: tell whether ``act`` took effect; it may only where it was allowed."""
        done = self.journal.register.number - self.model.acts
        assert done in (0, 1)
        assert not done or (act is not None and allowed), "an act took effect that nobody may do"
        return bool(done)

    async def check_all(self) -> None:
        """Everything at once: names, hashes, thief, balance, the office read anew."""
        model, parts = self.model, self.parts
        live = model.recorded - model.erased
        assert {int(epoch) for epoch in parts.store.recorded()} == live, "the store holds other minutes than are live"
        listing: dict[int, str | None] = {}
        for number in live:
            epoch = MinuteNumber(number)
            manifest, data = parts.store.manifest(epoch), parts.store.manifest_bytes(epoch)
            assert manifest is not None
            assert data is not None
            listing[number] = hashlib.sha256(data).hexdigest()
            for chunk in manifest.chunks:
                assert parts.store.hash_chunk(epoch, chunk.sequence) == chunk.sha256
            assert [chunk.sequence for chunk in manifest.chunks] == parts.store.sequences(epoch)
        balance = self.account.balance(listing)
        assert balance.balanced, balance
        assert (balance.recorded, balance.live, balance.erased, balance.lost) == (
            len(model.recorded), len(live), len(model.recorded & model.erased), 0,
        )  # fmt: skip
        assert self.readable() == set(self.keyed), "an old table opens"
        for hold in model.holds.values():
            assert not model.keeps(hold, model.now + HORIZON) or hold["must"] <= live, "a held minute is lost"
        await self.open_office()
        self.compare_office()

    def compare_office(self) -> None:
        register, model = self.journal.register, self.model
        assert register.number == model.acts
        assert {n: str(case.stage) for n, case in register.cases.entries.items()} == {
            n: case["stage"] for n, case in model.cases.items()
        }
        assert {n: hold.ends_epoch for n, hold in register.holds.entries.items()} == {
            n: hold["ends"] for n, hold in model.holds.items()
        }

    def live(self) -> list[int]:
        return sorted(self.model.recorded - self.model.erased)
