"""The clock's proof, kept: asked for, taken, shown, and taken back when nobody renews it.

Knows:  the line, the network's time source, an officer's word, what the ledger last said of the clock.
Never:  a proof older than the last step, footage unlocked before what is due by the new time is erased, a line of the
        ledger each minute.
Leaves: ``clock.started`` once a start, ``clock.proven`` and ``clock.lost`` when that changes, the line shown.
Clauses: 7.1(3) (purged again when time is proven), 7.2(1) (no release on an unproven clock), 7.3(1)3.

Order when time becomes proven: the line goes forward, the ledger says so, everything due by it is erased, and only
then the line is shown as settled, which unlocks bundles. When a proof ends, the line is shown unproven before the
ledger says so. A crash between any two of these leaves bundles locked; the next start tells ``clock.lost``, restart.
"""

from __future__ import annotations

import asyncio
from typing import Final

from firmware.footage.clock_files import WORD_SECONDS, OfficerWord, drop_record, read_record, show_line, word_in
from firmware.footage.clock_trust import NOTEWORTHY_NS, ProvenBy, Start, Step
from firmware.footage.parts import Parts
from firmware.footage.ports import NetworkTime
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import KeystoreError, StoreError

LOOK_SECONDS: Final = 60
LOOK_UNPROVEN_SECONDS: Final = 10
SHOW_SECONDS: Final = 50
FRESH_SECONDS: Final = 3600
"""A network source that has not answered for so long vouches for nothing new."""


class Timekeeper:
    """One a run of the house. Call :meth:`begin` after the purge at boot, then :meth:`run`."""

    def __init__(self, parts: Parts, eraser: Eraser) -> None:
        self._parts = parts
        self._eraser = eraser
        self._told_proven = False
        self._shown_at_ns = 0
        self._sampled_at_ns = -1
        self._crept_ns = parts.trust.crept_ns

    async def begin(self) -> None:
        """Say where the line began and what the last run left unsaid; show the line. Raises LedgerError, StoreError."""
        await self._parts.lock.during(self._begin())

    async def run(self) -> None:
        """Look for ever: every ten seconds until time is proven, then once a minute. Raises LedgerError."""
        clock = self._parts.clock
        while True:
            await self.look()
            wait_seconds = LOOK_SECONDS if self._parts.trust.settled else LOOK_UNPROVEN_SECONDS
            await clock.sleep_until_boot(clock.boot_ns() + wait_seconds * NS_PER_SECOND)

    async def look(self) -> None:
        """Ask who vouches for UTC now, and act on the answer. A failing disk or keystore is logged and met again."""
        asked_at_ns = self._parts.clock.boot_ns()
        found = await self._parts.time_source.read() if self._parts.time_source else None
        try:
            await notice_step(self._parts)
            await self._judge()
            crept_ns, self._crept_ns = self._parts.trust.crept_ns - self._crept_ns, self._parts.trust.crept_ns
            if not (found and await self._take_network(found, asked_at_ns, crept_ns)):
                await self._hear_officer()
            if self._parts.trust.state.proven and not self._parts.trust.settled:  # an earlier purge failed
                await self._eraser.purge_by_proven_time()
                await self._show()
            if self._parts.clock.boot_ns() - self._shown_at_ns >= SHOW_SECONDS * NS_PER_SECOND:
                await self._show()
        except (KeystoreError, StoreError) as error:
            self._parts.log.event("footage.time_unsettled", code=error.code)

    async def _begin(self) -> None:
        parts = self._parts
        start = parts.trust.start
        parts.log.event("footage.line", source=start.source, forward_seconds=start.forward_seconds)
        proven, lost = [await asyncio.to_thread(self._last_line, event) for event in ("clock.proven", "clock.lost")]
        self._told_proven = proven > lost
        if not self._told_proven:
            parts.trust.doubt()  # shown by a line that this ledger does not know
        await parts.note("clock.started", source=start.source, forward_seconds=start.forward_seconds)
        if self._told_proven and not parts.trust.state.proven:
            self._told_proven = False
            await parts.note("clock.lost", reason="restart")
        parts.trust.start = Start("running", forward_seconds=0)  # of a house that is started again in this process
        await asyncio.to_thread(show_line, parts.store.folder, parts.trust)

    def _last_line(self, event: str) -> int:
        return max((line.index for line in self._parts.ledger.lines(event)), default=-1)

    async def _take_network(self, found: NetworkTime, asked_at_ns: int, crept_ns: int) -> bool:
        """Take the network's answer if it is fresh and newer than the last step; tell whether it was.

        An answer that was taken before proves nothing new: the proof it gave stands, and widens. What UTC crept since
        the last look may have come after the answer, so it is added.
        """
        trust = self._parts.trust
        sampled_at_ns = asked_at_ns - found.sample_age_seconds * NS_PER_SECOND
        if found.sample_age_seconds > FRESH_SECONDS or sampled_at_ns <= trust.stepped_at_ns:
            return False
        if sampled_at_ns > self._sampled_at_ns + NS_PER_SECOND or not trust.state.proven:
            self._sampled_at_ns = sampled_at_ns
            await self._take("network", found.uncertainty_ms + -(-crept_ns // 1_000_000))
        return True

    async def _take(self, source: ProvenBy, uncertainty_ms: int) -> None:
        trust = self._parts.trust
        before = trust.state
        if before.proven and before.source == source and trust.waiting_ns < NOTEWORTHY_NS and self._told_proven:
            trust.confirm(source, uncertainty_ms)
            return
        self._told_proven = True
        await self._eraser.prove_time(source, uncertainty_ms)
        await self._show()

    async def _show(self) -> None:
        await keep_line(self._parts)
        self._shown_at_ns = self._parts.clock.boot_ns()

    async def _hear_officer(self) -> None:
        """Take an officer's word that the custodian's program has checked, unless UTC or the boot changed since."""
        parts = self._parts
        path = word_in(parts.store.folder)
        if not path.exists():
            return
        word = await asyncio.to_thread(read_record, path, OfficerWord)
        refusal = self._refusal(word)
        if word is not None and not refusal:
            moved_ns = abs(parts.trust.seen_machine_ns - word.machine_ns)
            await self._take("officer", word.uncertainty_ms + -(-moved_ns // 1_000_000))
        else:
            parts.log.event("footage.word_refused", reason=refusal)
        await parts.lock.during(asyncio.to_thread(drop_record, path))

    def _refusal(self, word: OfficerWord | None) -> str:
        clock, trust = self._parts.clock, self._parts.trust
        if word is None:
            return "torn"
        age_ns = clock.boot_ns() - word.boot_ns
        if word.boot_id != clock.boot_id() or not 0 <= age_ns <= WORD_SECONDS * NS_PER_SECOND:
            return "old"
        if word.boot_ns <= trust.stepped_at_ns or abs(trust.seen_machine_ns - word.machine_ns) >= NOTEWORTHY_NS:
            return "stepped"
        return "network" if trust.settled and trust.state.source == "network" else ""

    async def _judge(self) -> None:
        trust = self._parts.trust
        if not self._told_proven or trust.state.proven:
            return
        reason = trust.lost or "step"
        await self._show()
        self._told_proven = False
        await self._parts.lock.during(self._parts.note("clock.lost", reason=reason))
        self._parts.log.event("footage.time_lost", reason=reason)


async def notice_step(parts: Parts) -> None:
    """Look at UTC; a step is shown to the custodian's program at once, then told. Raises LedgerError, StoreError."""
    step = parts.trust.observe()
    if step is not None:
        await tell_step(parts, step)


async def tell_step(parts: Parts, step: Step) -> None:
    """Show the line as it stands after ``step`` and write the ledger's line. Raises LedgerError, StoreError."""
    try:
        await keep_line(parts)
    except StoreError as error:  # the custodian's program sees the step itself, and must find it told
        parts.log.event("footage.line_unshown", code=error.code)
    note = parts.note("clock.stepped", seconds=step.seconds, proven="yes" if step.followed else "no")
    await parts.lock.during(note)


async def keep_line(parts: Parts) -> None:
    """Keep the ratchet and show the line, under the lock. Raises StoreError."""
    async with parts.lock.held():  # a sweep may be keeping the ratchet too
        await asyncio.to_thread(show_line, parts.store.folder, parts.trust)
