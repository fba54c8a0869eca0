"""A whole pole, put together: camera, slots, two jailed children, store, session with the city, on one event loop.

Knows:  how everything is built and in which order it starts and ends; nothing else.
Never:  a rule, a pixel looked at, a key that opens footage, a listening port.
Leaves: counters of the run.
Clauses: 2, 5.1, 7.1(1) (two processing systems behind one camera, each in a process of its own, failing apart).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from firmware.camera.driver import Camera
from firmware.camera.frames import MainFrames, Packets, PictureFormat, SlotMemory, SlotPool, SmallFrames, StreamEnded
from firmware.camera.lamp import Lamp, burning_lamp, watch_lamp
from firmware.city.outbox import Outbox
from firmware.city.publisher import Publisher
from firmware.city.session import Connect
from firmware.drivers.counter_process import CounterProcess
from firmware.drivers.encoder import H264Settings
from firmware.drivers.lamp import open_lamp
from firmware.drivers.mint_process import MintProcess
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.recorder_process import RecorderProcess, RecorderSettings
from firmware.flow import run as flow_house
from firmware.footage import run as footage_house
from firmware.footage.clock_files import own_line
from firmware.footage.holds import LedgerHolds
from firmware.footage.manifest import Origin
from firmware.footage.parts import Parts
from firmware.footage.ports import TimeSource
from firmware.footage.store import Store, store_errors
from firmware.footage.table import EpochTable
from firmware.ground.clock import Clock
from firmware.ground.errors import CameraError, JailError, ModelError, PoleError
from firmware.ground.ledger_start import start_ledger
from firmware.ground.lock import PoleLock, held_for_life, uncut
from firmware.ground.log import Log
from firmware.ground.supervise import RestartBudget, keep_running
from firmware.upkeep import status as status_house
from firmware.upkeep.memory import peak_rss_kib
from firmware.upkeep.report import Health, PoleReport, SystemName
from firmware.upkeep.settings import Profile
from firmware.upkeep.whole import Settings

SMALL: Final = PictureFormat(640, 360)
SMALL_SLOTS: Final = 4
MAIN_SLOTS: Final = 6
PACKET_SLOTS: Final = 12
PACKET_BYTES: Final = 512 * 1024
VERSION: Final = "0.1.0"
NOT_AGAIN: Final = frozenset({"E-CAMERA-WIPE", "E-CAMERA-LEAK", "E-CAMERA-STUCK"})
"""After these a house stays down (5.2(1)): a slot could not be erased; a library's thread cannot be ended."""
A_NEW_START: Final = frozenset({f"E-LEDGER-{how}" for how in ("EDITED", "DROPPED", "REORDERED", "CUT", "REWRITTEN")})
"""After these the whole pole ends: a start succeeds a damaged ledger; until then nothing is erased (7.1(3))."""
FOR_EVER: Final = RestartBudget(restarts=1_000_000)
ONCE: Final = RestartBudget(restarts=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pole:
    """A whole pole, built and not yet running. ``report`` may be read at any time."""

    settings: Settings
    clock: Clock
    log: Log
    small: SmallFrames
    main: MainFrames | Packets
    lamp: Lamp
    counter: CounterProcess
    recorder: RecorderProcess
    outbox: Outbox
    publisher: Publisher | None
    parts: Parts
    report: PoleReport
    health: Health
    budget: RestartBudget
    broken: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, camera: Camera) -> None:
        """Run until ``camera`` ends or the task is cancelled; then close the last minute and seal the last chunk.

        Raises :class:`CameraError` ``E-CAMERA-LAMP`` when the lamp does not burn: then there is no stream (6.1(2)).
        """
        try:
            async with asyncio.TaskGroup() as group:
                houses = [group.create_task(self._footage())]
                around = [
                    group.create_task(status_house.run(self._status_path, self.report.status, self.clock, self.log))
                ]
                if self.publisher is not None:
                    around.append(group.create_task(self._house("city", self.publisher.run)))
                try:
                    await self._make_ready()
                    houses.append(group.create_task(self._flow()))
                    async with burning_lamp(self.lamp, (self.small, self.main)):
                        try:
                            await self._film(camera)
                        finally:
                            await self._end_streams(houses)
                finally:
                    await self._end_streams(houses)
                    for task in around:
                        task.cancel()
        finally:
            self._say_ended()

    def _say_ended(self) -> None:
        for system in ("flow", "footage", "camera"):
            if self.health.states[system].state in ("starting", "running"):
                self.health.note(system, "stopped")
        with contextlib.suppress(OSError):
            status_house.write_status(self._status_path, self.report.status())

    async def _film(self, camera: Camera) -> None:
        """Run the camera while the lamp burns; the one ends with the other (6.1(2), 7.1(2))."""
        filming = asyncio.create_task(self._house("camera", lambda: self._once(camera)))
        watching = asyncio.create_task(watch_lamp(self.lamp, self.clock))
        breaking = asyncio.create_task(self.broken.wait())
        tasks: tuple[asyncio.Task[None] | asyncio.Task[bool], ...] = (filming, watching, breaking)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
        finally:
            for task in tasks:
                task.cancel()
            await uncut(_all_done(tasks))

    async def _once(self, camera: Camera) -> None:
        try:
            await camera.run()
        except CameraError as error:
            if error.code not in NOT_AGAIN:
                raise
            self.health.fell("camera", error.code, for_good=True)

    async def _end_streams(self, houses: Sequence[asyncio.Task[None]]) -> None:
        self.small.close()
        self.main.close()
        await uncut(_all_done(houses))

    def peak_rss_kib(self) -> dict[str, int]:
        """Return the largest resident size so far of each process, KiB."""
        pids = {"pole": os.getpid(), "counter": self.counter.pid, "recorder": self.recorder.pid}
        return {name: peak_rss_kib(pid) for name, pid in pids.items() if pid is not None}

    async def _make_ready(self) -> None:
        """Start both children before the first picture exists; what fails here is met again by its house."""
        for start in (self.counter.ready, self.recorder.ready):
            try:
                await start()
            except (JailError, ModelError) as error:
                self.log.event("pole.child", code=error.code)

    async def _flow(self) -> None:
        house = flow_house.run
        await self._attended(
            "flow",
            self.small,
            lambda: house(
                self.small,
                self.counter,
                self.outbox,
                clock=self.clock,
                settings=self.settings.flow,
                log=self.log,
                figures=self.report.figures,
            ),
        )

    async def _footage(self) -> None:
        if not self.settings.footage.enabled:
            self.health.note("footage", "off")
            await _overwrite_all(self.main)
            return
        await self._attended("footage", self.main, lambda: footage_house.run(self.main, self.parts))

    async def _attended(self, name: SystemName, pool: SlotPool, house: Callable[[], Awaitable[object]]) -> None:
        """Run ``house``; whenever it does not run, its pictures are overwritten as they come (5.1(1), 5.2(1))."""
        down: list[asyncio.Task[None]] = []

        async def once() -> None:
            for task in down:
                task.cancel()
            down.clear()
            try:
                await house()
            except PoleError as error:
                down.append(asyncio.create_task(_overwrite_all(pool)))
                if error.code in A_NEW_START:
                    self.broken.set()
                if error.code not in NOT_AGAIN | A_NEW_START:
                    raise
                self.health.fell(name, error.code, for_good=True)

        await self._house(name, once)
        await _all_done(down)

    async def _house(self, name: SystemName, house: Callable[[], Awaitable[None]]) -> None:
        async def once() -> None:
            self.health.note(name, "running")
            await house()

        try:
            await keep_running(
                name,
                once,
                clock=self.clock,
                log=self.log,
                budget=self.budget,
                on_fall=lambda code: self.health.fell(name, code),
            )
        except PoleError as error:
            self.health.fell(name, error.code, for_good=True)
            self.health.last_words[name] = str(error)

    @property
    def _status_path(self) -> Path:
        return self.settings.state / "status.json"


async def build(
    stack: AsyncExitStack,
    settings: Settings,
    *,
    clock: Clock,
    log: Log,
    connect: Connect | None,
    budget: RestartBudget = FOR_EVER,
    board_encodes: bool = False,
    accept_lost_keys: bool = False,
    time_source: TimeSource | None = None,
) -> Pole:
    """Build all on ``stack``, which closes it; ``time_source`` vouches for ``clock`` (none in a replay). PoleError."""
    state, profile = settings.state, settings.pole.profile
    _take_folder(stack, state)
    small = SmallFrames(_memory(stack, SMALL.frame_bytes, SMALL_SLOTS, profile, "small"), clock)
    main = _main_stream(stack, settings, clock, board_encodes=board_encodes)
    recording = _recording(settings, board_encodes=board_encodes)
    counter = CounterProcess(small.memory, settings.models, settings.flow, clock=clock, log=log, profile=profile)
    recorder = RecorderProcess(main.memory, recording, profile=profile, clock=clock, log=log)
    stack.push_async_callback(counter.close)
    stack.push_async_callback(recorder.close)
    spool = state / "city" / "outbox.sqlite"
    outbox = await stack.enter_async_context(Outbox.opened(spool, settings.place, clock, log))
    parts = await _parts(settings, recorder, clock, log, accept_lost_keys=accept_lost_keys, time_source=time_source)
    health = Health()
    report = PoleReport(
        settings=settings,
        health=health,
        small=small,
        main=main,
        figures=flow_house.Figures(),
        counters=parts.counters,
        trust=parts.trust,
        outbox=outbox,
        ledger=parts.ledger,
        clock=clock,
        started_utc_ns=clock.utc_ns(),
        progress=lambda: publisher.progress if publisher else None,
        missing_walls=lambda: _missing_walls(counter, recorder, small, main),
        refusal=lambda: counter.refusal,
    )
    publisher = _publisher(settings, outbox, connect, report, clock, log)
    return Pole(
        settings=settings,
        clock=clock,
        log=log,
        small=small,
        main=main,
        lamp=open_lamp(settings.pole.lamp, profile=profile, log=log),
        counter=counter,
        recorder=recorder,
        outbox=outbox,
        publisher=publisher,
        parts=parts,
        report=report,
        health=health,
        budget=budget,
    )


def _take_folder(stack: AsyncExitStack, state: Path) -> None:
    for folder in (state, state / "city"):
        with store_errors("E-STORE-FOLDER", folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stack.enter_context(held_for_life(state / "running"))


async def _parts(
    settings: Settings,
    recorder: RecorderProcess,
    clock: Clock,
    log: Log,
    *,
    accept_lost_keys: bool,
    time_source: TimeSource | None,
) -> Parts:
    state, footage, profile = settings.state, settings.state / "footage", settings.pole.profile
    keystore, signer = await open_pole_keys(settings.footage, state, settings.place.ledger_origin, log, profile)
    lock = PoleLock(state / "lock")
    async with lock.held():
        ledger, damage = await asyncio.to_thread(start_ledger, state / "ledger", signer, clock, settings.pole.pole)
        holds = LedgerHolds(ledger, state / "ledger", settings.footage.retention_hours)
        await asyncio.to_thread(holds)
    if damage is not None:
        log.event("ledger.succeeded", code=damage.code)  # set aside whole; the new one's own lines say so too
    if holds.rescued:
        log.event("footage.holds_rescued", holds=len(holds.rescued))
    return Parts(
        settings=settings.footage,
        origin=Origin(
            pole=settings.pole.pole,
            camera=settings.footage.camera,
            software=VERSION,
            config_sha256=settings.fingerprint.removeprefix("sha256:"),
            keystore=settings.footage.keystore,
        ),
        recorder=recorder,
        store=Store(footage),
        table=EpochTable(footage, keystore),
        ledger=ledger,
        mint=MintProcess(settings.footage.officers, profile=profile, clock=clock, log=log),
        trust=own_line(clock, footage),
        clock=clock,
        lock=lock,
        log=log,
        holds=holds,
        time_source=time_source,
        accept_lost_keys=accept_lost_keys,
    )


def _publisher(
    settings: Settings, outbox: Outbox, connect: Connect | None, report: PoleReport, clock: Clock, log: Log
) -> Publisher | None:
    if connect is None:
        report.health.note("city", "off")
        return None
    broker = settings.pole.broker
    return Publisher(
        outbox,
        connect,
        report,
        place=settings.place,
        clock=clock,
        log=log,
        jitter=random.random,
        hold_without_subscriber=broker is None or broker.hold_without_subscriber,
    )


def _main_stream(
    stack: AsyncExitStack, settings: Settings, clock: Clock, *, board_encodes: bool
) -> MainFrames | Packets:
    profile = settings.pole.profile
    if board_encodes:
        return Packets(_memory(stack, PACKET_BYTES, PACKET_SLOTS, profile, "packets"), clock)
    picture = PictureFormat(settings.footage.width, settings.footage.height)
    return MainFrames(_memory(stack, picture.frame_bytes, MAIN_SLOTS, profile, "main"), clock)


def _memory(stack: AsyncExitStack, slot_bytes: int, slots: int, profile: Profile, name: str) -> SlotMemory:
    return stack.enter_context(contextlib.closing(SlotMemory(slot_bytes, slots, profile=profile, name=name)))


def _missing_walls(
    counter: CounterProcess, recorder: RecorderProcess, small: SmallFrames, main: SlotPool
) -> Sequence[str]:
    pools = (*small.memory.walls.missing(), *main.memory.walls.missing())
    return tuple(dict.fromkeys((*counter.missing_walls, *recorder.missing_walls, *pools)))


def _recording(settings: Settings, *, board_encodes: bool) -> RecorderSettings:
    footage = settings.footage
    h264 = H264Settings(footage.width, footage.height, footage.fps, footage.bitrate_kbps, footage.preset)
    return RecorderSettings("packets" if board_encodes else "frames", h264, footage.chunk_seconds)


async def _overwrite_all(pool: SlotPool) -> None:
    """Take every frame and overwrite it unseen, until the stream ends."""
    with contextlib.suppress(StreamEnded):
        while True:
            async with pool.lease():
                pass


async def _all_done(tasks: Sequence[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
    if tasks:
        await asyncio.wait(tasks)
