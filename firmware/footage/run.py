"""The footage house's one ``run()``: check, purge, film, sweep.

Knows:  the parts, the main stream.
Never:  a frame recorded before what is due was erased.
Leaves: sealed minutes, the ledger's account of them.
Clauses: 2, 5.1 (footage runs and falls apart from people flow), 7.1(3) (retention is the first act at boot).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Final

from firmware.camera.frames import MainFrames, Packets, StreamEnded
from firmware.footage.fsck import Checker, Findings
from firmware.footage.manifest import ClockEntry, GapReason
from firmware.footage.parts import Parts
from firmware.footage.recording import Clerk, Filming
from firmware.footage.sweep import Eraser
from firmware.footage.timekeeping import Timekeeper, tell_step
from firmware.footage.untold import untold
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, minute_of, start_of
from firmware.ground.errors import PoleError
from firmware.ground.lock import uncut

HASHED_AT_BOOT_MINUTES: Final = 10
"""How many of the newest minutes are read and hashed at boot; names and sizes of all are always judged."""

_TICK_NS: Final = NS_PER_SECOND


async def run(frames: MainFrames | Packets, parts: Parts) -> None:
    """Run the house until the stream ends. Cancelled: the chunk and the minute in hand are still sealed.

    Raises the first PoleError that recording cannot go on after (it is in the ledger, if that can still be written);
    what is stored is unharmed then.
    """
    eraser = Eraser(parts)
    await boot(parts, eraser)
    timekeeper = Timekeeper(parts, eraser)
    await timekeeper.begin()
    clerk = Clerk()
    filming = Filming(parts, clerk, needs_keyframe=isinstance(frames, Packets), want_keys=eraser.sweep)
    gap = await asyncio.to_thread(_gap_before, parts)
    if gap is not None:
        filming.open_gap(*gap)
    try:
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(work) for work in (clerk.run(), eraser.keep_sweeping(), timekeeper.run())]
            try:
                await _film(frames, parts, filming, clerk, eraser)
            finally:
                await uncut(_wind_up(parts, filming, clerk))
            for helper in helpers:
                helper.cancel()
    except BaseExceptionGroup as failures:
        failure = _first(failures)
        await uncut(_tell_stop(parts, failure))
        raise failure from None
    finally:
        parts.counters.recording = False


async def boot(parts: Parts, eraser: Eraser) -> Findings:
    """Purge, then check the store and tell the ledger. Raises KeystoreError, StoreError, LedgerError."""
    await eraser.boot()
    findings = await parts.lock.during(_check(parts))
    await eraser.make_room()
    await parts.lock.during(_tell_resumed(parts))
    return findings


async def _tell_resumed(parts: Parts) -> None:
    def count(event: str) -> int:
        return sum(1 for _ in parts.ledger.lines(event))

    stopped = await asyncio.to_thread(count, "recording.stopped")
    if stopped > await asyncio.to_thread(count, "recording.resumed"):
        await parts.note("recording.resumed")


async def _check(parts: Parts) -> Findings:
    loop = asyncio.get_running_loop()
    here = minute_of(parts.trust.now_ns())
    state = parts.trust.state
    clock = ClockEntry(source=state.source, proven=state.proven, uncertainty_ms=state.uncertainty_ms, line_ahead_ms=0)

    def tell_damage(epoch: MinuteNumber, sequence: int) -> None:
        note = parts.note("chunk.damaged", epoch=epoch, sequence=sequence)
        asyncio.run_coroutine_threadsafe(note, loop).result()

    checker = Checker(
        store=parts.store,
        keyed=frozenset(parts.table.epochs()),
        origin=parts.origin,
        clock=clock,
        hash_from=MinuteNumber(here - HASHED_AT_BOOT_MINUTES),
        on_damage=tell_damage,
    )
    findings = await asyncio.to_thread(checker.check)
    for epoch, digest in findings.recovered:
        await parts.note("minute.sealed", epoch=epoch, manifest=digest)
    for epoch, digest in await asyncio.to_thread(untold, parts.store, parts.ledger):
        await parts.note("minute.sealed", epoch=epoch, manifest=digest)
    await parts.note(
        "store.checked",
        removed=findings.removed_parts,
        damaged=len(findings.damaged),
        unlisted=findings.unlisted,
    )
    parts.log.event(
        "footage.checked",
        recovered=len(findings.recovered),
        damaged=len(findings.damaged),
        bad_manifests=len(findings.bad_manifests),
        unlisted=findings.unlisted,
    )
    return findings


async def _film(frames: MainFrames | Packets, parts: Parts, filming: Filming, clerk: Clerk, eraser: Eraser) -> None:
    gate = asyncio.Lock()
    before = frames.counters.published - frames.waiting

    def frames_in_hand() -> bool:
        """Tell whether a frame has come that is not recorded yet: then a slow disk is late, not the camera."""
        return frames.counters.published - before > filming.taken

    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(_tick(parts, filming, clerk, eraser, gate, frames_in_hand))
        try:
            while True:
                async with frames.lease() as frame, gate:
                    await filming.take(frame)
        except StreamEnded:
            ticking.cancel()


async def _tick(
    parts: Parts,
    filming: Filming,
    clerk: Clerk,
    eraser: Eraser,
    gate: asyncio.Lock,
    frames_in_hand: Callable[[], bool],
) -> None:
    """Once a second of elapsed time: look at the clock and for frames that do not come; once a minute at the disk."""
    minute = minute_of(parts.trust.now_ns())
    while True:
        await parts.clock.sleep_until_boot(parts.clock.boot_ns() + _TICK_NS)
        step = parts.trust.observe()
        if step is not None:
            await clerk.give(functools.partial(tell_step, parts, step))
        async with gate:
            if not frames_in_hand():
                await filming.tick()
        if (here := minute_of(parts.trust.now_ns())) != minute:
            minute = here
            await clerk.give(eraser.make_room)


async def _wind_up(parts: Parts, filming: Filming, clerk: Clerk) -> None:
    """Seal what is in hand, as far as that is possible; the failure that led here is the one to be raised."""
    try:
        await filming.finish()
    except PoleError as error:
        parts.log.event("footage.wind_up_failed", code=error.code)
        await filming.give_up()
    await clerk.settled()


async def _tell_stop(parts: Parts, failure: BaseException) -> None:
    if isinstance(failure, PoleError):
        reason = GapReason.DISK_FULL if failure.code == "E-STORE-FULL" else GapReason.STORE_FAULT
        parts.log.event("footage.stopped", code=failure.code)
        try:
            await parts.lock.during(parts.note("recording.stopped", reason=str(reason)))
        except PoleError as error:
            parts.log.event("footage.stop_untold", code=error.code)


def _gap_before(parts: Parts) -> tuple[int, GapReason] | None:
    """Return since when (line, ns) nothing was recorded before this start, and why; None on the very first one."""
    recorded = parts.store.recorded()
    if not recorded:
        return None
    last = recorded[-1]
    manifest = parts.store.manifest(last)
    if manifest is None or manifest.recovered:
        return start_of(last), GapReason.POWER
    stopped = bool(manifest.gaps) and manifest.gaps[-1].reason is GapReason.STOPPED
    return start_of(MinuteNumber(last + 1)), GapReason.STOPPED if stopped else GapReason.POWER


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first PoleError in a group of failures, else its first member."""
    flat = list(_flat(failures))
    return next((failure for failure in flat if isinstance(failure, PoleError)), flat[0])


def _flat(failures: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in failures.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _flat(failure)
        else:
            yield failure
