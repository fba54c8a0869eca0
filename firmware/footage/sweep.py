"""Erasing on time: the hourly rewrite, the purge at boot, room on a full disk.

Knows:  what is due, what is held, what the ledger already says.
Never:  a ciphertext removed while its key lives, a held key destroyed, an erasure that the ledger does not tell.
Leaves: the next table, ``epochs.*`` lines (each exactly once, crash or not), free space.
Clauses: 7.1(3) (336 hours), 7.1(4) (holds re-read under the lock), 7.3(1)3 (the cycle accounted for).

The order is: keys destroyed (table rewritten), ledger lines, files unlinked. What a rewrite did stands in the table's
own header, so after a crash between any two steps :meth:`Eraser.settle` still knows which lines and files are missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from firmware.footage import recipients
from firmware.footage.clock_trust import ProvenBy, keep_ratchet
from firmware.footage.epochs import Run, RunKind, runs_of
from firmware.footage.parts import Parts
from firmware.footage.ports import MintedEpoch
from firmware.footage.retention import (
    HORIZON_SECONDS,
    REWRITE_PERIOD_SECONDS,
    Hold,
    due,
    oldest_unheld,
    still_keeping,
)
from firmware.footage.table import Rewritten
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, minute_of
from firmware.ground.errors import KeystoreError, StoreError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_events import Value
from firmware.ground.ledger_lines import Place

AHEAD_MINUTES: Final = 240
"""Keys are made this far ahead, so that three hours remain when the next rewrite is due."""

RETRY_SECONDS: Final = 60
ROOM_EPOCHS: Final = 60
_MOST_ROUNDS: Final = 24
_RECIPIENTS: Final = "E-KEY-RECIPIENTS"
_REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {"E-KEY-CHIP": "chip", "E-KEY-BOOT": "boot", "E-KEY-LOST": "lost"}
)


class Eraser:
    """The one place where footage is erased."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sweeping = asyncio.Lock()

    async def boot(self) -> None:
        """Load the table, finish what a crash left, purge. Raises KeystoreError, StoreError, LedgerError.

        This is the store's first act: nothing can be asked for, and nothing is recorded, before it has returned.
        """
        await self._parts.lock.during(self._load())
        await self.sweep()

    async def sweep(self) -> None:
        """Destroy what is due now and make the coming hours' keys. Raises KeystoreError, StoreError, LedgerError."""
        parts = self._parts
        async with self._sweeping:  # two at once would both mint the same hours
            here = minute_of(parts.trust.now_ns())
            fresh, failure = await self._mint(here)
            await parts.lock.during(self._rewrite_due(fresh, here))
        if failure and parts.table.recipient_of(MinuteNumber(here + 1)) is None:
            raise failure

    async def prove_time(self, source: ProvenBy, uncertainty_ms: int) -> None:
        """Take UTC as proven (authenticated network time, an officer's signed time), say so, and erase by it.

        Raises what :meth:`sweep` does: then the time is proven but not settled, and footage stays locked.
        """
        parts = self._parts
        gained_seconds = parts.trust.confirm(source, uncertainty_ms)
        await parts.lock.during(parts.note("clock.proven", source=source, uncertainty_ms=uncertainty_ms))
        parts.log.event("footage.time_proven", source=source, gained_seconds=gained_seconds)
        await self.purge_by_proven_time()

    async def purge_by_proven_time(self) -> None:
        """Erase what is due by the line as it is proven now; only after that footage may leave. Raises as sweep."""
        await self.sweep()
        self._parts.trust.purged()

    async def keep_sweeping(self) -> None:
        """Sweep for ever: every 55 minutes of elapsed time, or a minute after a failure."""
        parts = self._parts
        wait_seconds = REWRITE_PERIOD_SECONDS
        while True:
            await parts.clock.sleep_until_boot(parts.clock.boot_ns() + wait_seconds * NS_PER_SECOND)
            try:
                await self.sweep()
            except (KeystoreError, StoreError) as error:
                parts.counters.sweep_failures += 1
                parts.log.event("footage.sweep_failed", code=error.code)
                await parts.lock.during(self._unlink_overdue())
                wait_seconds = RETRY_SECONDS
            else:
                wait_seconds = REWRITE_PERIOD_SECONDS

    async def make_room(self) -> None:
        """If the disk is nearly full, erase the oldest unheld minutes early. Raises E-STORE-FULL: all held."""
        for _ in range(_MOST_ROUNDS):
            if not await asyncio.to_thread(self._is_low):
                return
            if not await self._parts.lock.during(self._drop_oldest()):
                break
        if await asyncio.to_thread(self._is_low):
            raise StoreError(
                "E-STORE-FULL",
                "the disk is full and every older minute is held; recording stops",
                where=str(self._parts.store.folder),
                todo="lift holds that have served, or give the pole a larger disk",
                clause="7.1(4)",
            )

    # ---- under the lock

    async def _load(self) -> None:
        parts = self._parts
        here = minute_of(parts.trust.now_ns())
        accepted = parts.accept_lost_keys or await asyncio.to_thread(_board_was_replaced, parts.ledger)
        try:
            loaded = await parts.table.load(MinuteNumber(here - 1), accept_loss=accepted)
        except KeystoreError as error:
            await self._tell_refusal(error.code)
            raise
        for generation in loaded.refused:
            parts.log.event("footage.table_refused", generation=generation)
            await parts.note("table.refused", generation=generation)
        if loaded.kept in ("old", "new"):
            await parts.note("epochs.recovered", generation=loaded.generation, kept=loaded.kept)
        await self.settle()

    async def settle(self) -> None:
        """Write the ledger lines of the table's last rewrite that are missing, and unlink what has no key any more."""
        parts = self._parts
        lines = list(self._lines(parts.table.generation, parts.table.runs()))
        told = await asyncio.to_thread(self._told, {event for event, _ in lines})
        for event, fields in lines:
            if (event, tuple(sorted(fields.items()))) not in told:
                await parts.note(event, **fields)
        recorded = await asyncio.to_thread(parts.store.recorded)
        keyed = {*parts.table.epochs(), *parts.table.dead}  # the dead go with the line that tells of their loss
        await asyncio.to_thread(parts.store.remove, [epoch for epoch in recorded if epoch not in keyed])

    async def _rewrite_due(self, fresh: Sequence[MintedEpoch], here: MinuteNumber) -> None:
        parts = self._parts
        drop = due(
            parts.table.epochs(),
            await self._holds(),  # 7.1(4): as they stand now, under the lock
            parts.trust.now_ns(),
            retention_hours=parts.settings.retention_hours,
        )
        try:  # before: after a power cut the line must not stand earlier than what was erased by it
            await asyncio.to_thread(keep_ratchet, parts.ratchet_path, parts.trust.now_ns())
        except StoreError as error:  # 7.1(3): a full disk is no reason not to erase
            parts.log.event("footage.ratchet_failed", code=error.code)
        if (
            drop or fresh or parts.table.interrupted or parts.table.dead
        ):  # else an NV write more wears the chip for nothing
            await self._rewrite(drop, fresh, here, early=False)
        await parts.ledger.checkpoint()

    async def _rewrite(
        self, drop: Collection[MinuteNumber], fresh: Sequence[MintedEpoch], here: MinuteNumber, *, early: bool
    ) -> None:
        parts = self._parts
        if parts.table.interrupted:  # an earlier rewrite failed half way: what it did must be told before the next
            await self._load()
            have = set(parts.table.epochs())  # perhaps the new table, with pairs made for the same hours
            fresh = [entry for entry in fresh if entry.epoch not in have]
        try:
            done = await parts.table.rewrite(drop, fresh, MinuteNumber(here - 1), early=early)
        except KeystoreError as error:
            await self._tell_refusal(error.code)
            raise
        for event, fields in self._lines(done.generation, done.runs):
            await parts.note(event, **fields)
        gone = _gone(done)
        await asyncio.to_thread(parts.store.remove, gone)
        parts.counters.rewrites += 1
        parts.counters.erased_epochs += len(gone)
        parts.log.event("footage.rewritten", generation=done.generation, erased=len(gone), bytes=done.table_bytes)

    async def _drop_oldest(self) -> bool:
        parts = self._parts
        here = minute_of(parts.trust.now_ns())
        recorded = await asyncio.to_thread(parts.store.recorded)
        oldest = oldest_unheld(recorded, await self._holds(), MinuteNumber(here - 1), ROOM_EPOCHS)
        if oldest:
            parts.log.event("footage.disk_full", dropped_early=len(oldest))
            await self._rewrite(oldest, [], here, early=True)
        return bool(oldest)

    async def _holds(self) -> list[Hold]:
        """Read the holds anew; tell the ledger, once, of those that end before the next rewrite, and return the rest.

        Told first, erased second: a hold's last hour is the erasure's (there is no rewrite between now and its end).
        """
        parts = self._parts
        holds = await asyncio.to_thread(parts.holds)
        keeping = still_keeping(holds, parts.trust.now_ns() + HORIZON_SECONDS * NS_PER_SECOND)
        kept = {hold.number for hold in keeping}
        ended = {hold.number: minute_of(hold.ends_utc_ns) for hold in holds if hold.number not in kept}
        for number, ends_epoch in sorted(ended.items()):
            if number:
                await parts.note("hold.lapsed", hold=number, ends_epoch=ends_epoch)
                parts.log.event("footage.hold_lapsed", hold=number)
        parts.counters.holds = len(kept)
        return keeping

    async def _unlink_overdue(self) -> None:
        """Keys could not be destroyed: at least unlink what is past its deadline. No line: not erased."""
        parts = self._parts
        recorded = await asyncio.to_thread(parts.store.recorded)
        overdue = due(
            recorded,
            await self._holds(),
            parts.trust.now_ns(),
            retention_hours=parts.settings.retention_hours,
            horizon_seconds=0,
        )
        if overdue:
            parts.log.event("footage.overdue_unlinked", epochs=len(overdue))
            await asyncio.to_thread(parts.store.remove, overdue)

    async def _tell_refusal(self, code: str) -> None:
        """Write once a start that the keystore opens nothing here: another chip, another boot, another table."""
        counters, reason = self._parts.counters, _REFUSALS.get(code)
        if reason and counters.keystore_refusal != code:
            counters.keystore_refusal = code
            await self._parts.note("keystore.refused", reason=reason)

    async def _tell_recipients(self) -> None:
        """Write whose keys can open what is recorded from now on; where nobody signed for them, that they were refused.

        No key is made for refused ones (:meth:`_mint`). The keys of the coming hours, made for the officers in force,
        are used up meanwhile: no frame is sealed to anybody whom the ledger does not name, and none is lost for some
        hours, in which the old keys can be put back or the change be signed.
        """
        parts, groups = self._parts, self._parts.settings.officers.groups
        await asyncio.to_thread(parts.ledger.refresh)  # the officers' program writes the approval
        lines, _ = await asyncio.to_thread(parts.ledger.since, Place(), recipients.MARK)
        found = recipients.standing(groups, lines)
        if found in ("founding", "approved"):
            await parts.note("recipients.set", **recipients.fingerprints(groups))
        if found == "refused" and parts.counters.refusal != _RECIPIENTS:
            await parts.note("recipients.refused", **recipients.fingerprints(groups))
            parts.log.event("footage.recipients_refused", code=_RECIPIENTS, clause="7.3_1_1")
        if found == "refused":
            parts.counters.refusal = _RECIPIENTS
        elif parts.counters.refusal == _RECIPIENTS:
            parts.counters.refusal = ""

    # ---- facts

    async def _mint(self, here: MinuteNumber) -> tuple[list[MintedEpoch], KeystoreError | None]:
        """Make the pairs that the coming hours lack. A failure is given back: erasing must go on without."""
        table = self._parts.table
        await self._parts.lock.during(self._tell_recipients())
        if self._parts.counters.refusal == _RECIPIENTS:
            return [], recipients.refused()
        have = set(table.epochs())
        if table.dead:  # a minute that holds footage under a lost key gets no second key; an unused one may
            have |= table.dead & set(await asyncio.to_thread(self._parts.store.recorded))
        wanted = [MinuteNumber(epoch) for epoch in range(here, here + AHEAD_MINUTES) if epoch not in have]
        fresh: list[MintedEpoch] = []
        try:
            for run in runs_of(RunKind.CREATED, wanted):
                fresh += await self._parts.mint.make(run.first, run.epochs)
        except KeystoreError as error:
            self._parts.log.event("footage.mint_failed", code=error.code)
            return fresh, error
        return fresh, None

    def _lines(self, generation: int, runs: Iterable[Run]) -> Iterator[tuple[str, dict[str, Value]]]:
        for run in runs:
            span: dict[str, Value] = {"first_epoch": run.first, "last_epoch": run.last, "epochs": run.epochs}
            match run.kind:
                case RunKind.CREATED:
                    yield "epochs.created", {**span, "generation": generation}
                case RunKind.LOST:
                    yield "epochs.lost", {**span, "reason": "table_damaged"}
                case RunKind.SECRET_MISSING:
                    yield "epochs.lost", {**span, "reason": "secret_missing"}
                case RunKind.ERASED | RunKind.ERASED_EARLY:
                    if run.kind is RunKind.ERASED_EARLY:
                        yield "epochs.dropped_early", {**span, "reason": "disk_full"}
                    method: dict[str, Value] = {
                        "generation": generation,
                        "method": "secret_overwritten",
                        "keystore": self._parts.table.keystore_name,
                    }
                    yield "epochs.erased", {**span, **method}

    def _told(self, events: Collection[str]) -> set[tuple[str, tuple[tuple[str, Value], ...]]]:
        return {
            (event, tuple(sorted(line.fields.items())))
            for event in sorted(events)
            for line in self._parts.ledger.lines(event)
        }

    def _is_low(self) -> bool:
        space, settings = self._parts.store.space(), self._parts.settings
        floor_bytes = max(settings.min_free_bytes, space.total_bytes * settings.min_free_percent // 100)
        return space.free_bytes < floor_bytes


def _board_was_replaced(ledger: Ledger) -> bool:
    """Tell whether the board was replaced, by an officer's and not by a thief's hand, since keys were last made."""
    replaced = [line.index for line in ledger.lines("board.replaced")]
    created = [line.index for line in ledger.lines("epochs.created")]
    return bool(replaced) and replaced[-1] > (created[-1] if created else -1)


def _gone(done: Rewritten) -> list[MinuteNumber]:
    return [
        MinuteNumber(epoch)
        for run in done.runs
        if run.kind is not RunKind.CREATED
        for epoch in range(run.first, run.last + 1)
    ]
