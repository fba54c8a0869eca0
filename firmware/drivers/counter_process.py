"""The counter behind its jail: lends the slots, asks for one, believes only what can be checked.

Knows:  a pool's memory to lend, a deadline, 64-byte messages.
Never:  a pixel, a model, an answer that is late, unasked, of another lease or with a number too many.
Leaves: :class:`SliceCounts`, a histogram of round trips, what the child says of itself.
Clauses: 2, 5.1 (a process of its own), 6.2(1) (the deadline), 6.1(4) (nothing but counts comes back).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from firmware.camera.frames import Frame, SlotMemory
from firmware.camera.residence import Residence
from firmware.drivers.jail import Jailed, Keeper, Limits, Profile, spawn
from firmware.flow import wire
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import JailError, ModelError
from firmware.ground.log import Log

MODULE: Final = "firmware.counter"
NS_PER_MS: Final = 1_000_000
ABOUT_SECONDS: Final = 5.0
_MODEL_CODE: Final = re.compile(r"E-(?:MODEL|CONFIG)-[A-Z]+")


class CounterProcess:
    """Implements :class:`firmware.flow.counting.Counter` with a jailed child, replaced when it fails."""

    def __init__(
        self,
        memory: SlotMemory,
        models: Path,
        settings: FlowSettings,
        *,
        clock: Clock,
        log: Log,
        profile: Profile = "bench",
        module: str = MODULE,
        **spawning: Any,  # noqa: ANN401 - handed on to the jail as it is; tests start children that are not installed
    ) -> None:
        """Lend ``memory``'s slots, to read. ``models`` is the folder with MANIFEST.toml, readable by everybody."""
        self.about: wire.About | None = None
        """What the living child measured of itself."""
        self.round_trip: Final = Residence()
        """Question to answer, in bands of 250 microseconds."""
        self.refusal = ""
        """The code with which the last start was refused; empty once a child is ready."""
        self._settings = settings
        self._switched_on = frozenset(settings.attributes)
        self._clock = clock
        self._log = log
        self._child: Jailed | None = None
        argument = {
            "models": str(models.absolute()),
            "settings": msgspec.to_builtins(settings),
            "slots": memory.slots,
            "slot_bytes": memory.slot_bytes,
        }

        async def start() -> Jailed:
            return await spawn(
                module,
                argument=argument,
                lend={"frames": memory.descriptor},
                limits=Limits(),
                profile=profile,
                clock=clock,
                log=log,
                **spawning,
            )

        self._keeper = Keeper(start, clock=clock, log=log, on_ready=self._ask_about)

    @property
    def pid(self) -> int | None:
        """The living child's process id."""
        return self._child.pid if self._child is not None and self._child.alive else None

    @property
    def restarts(self) -> int:
        """Children started after the first one."""
        return self._keeper.restarts

    @property
    def missing_walls(self) -> tuple[str, ...]:
        """Walls around the child that this machine could not build."""
        return self._child.report.missing if self._child is not None else ()

    async def ready(self) -> None:
        """See :class:`firmware.flow.counting.Counter`."""
        try:
            self._child = await self._keeper.child()
        except JailError as error:
            self._child = None
            refused = _MODEL_CODE.search(self.refusal if error.code == "E-JAIL-RESTING" else error.what)
            self.refusal = refused[0] if refused else error.code
            if refused is None:
                raise
            raise ModelError(
                refused[0], error.what, where=MODULE, clause="4.2(2)", todo="put the right models in place"
            ) from None
        self.refusal = ""

    async def count(self, frame: Frame) -> SliceCounts:
        """See :class:`firmware.flow.counting.Counter`."""
        child, stamp = self._child, frame.stamp
        if child is None or not child.alive:
            raise _failure("E-JAIL-DEATH", "no child to ask")
        asked_ns = self._clock.stopwatch_ns()
        left_ns = stamp.stopwatch_ns + self._settings.deadline_ms * NS_PER_MS - asked_ns
        if left_ns <= 0:
            raise _failure("E-JAIL-STALE", "the frame was too old to ask about")  # 6.2(1)
        nonce = os.urandom(wire.NONCE_BYTES)
        answer = await child.ask(wire.encode_request(frame.slot, nonce), left_ns / NS_PER_SECOND)
        self.round_trip.note((self._clock.stopwatch_ns() - asked_ns) // 1000)
        try:
            return wire.decode_reply(answer, nonce, self._switched_on)
        except wire.Refused as refused:
            await child.kill()
            raise _failure("E-JAIL-ANSWER", f"an answer that is not exactly right: {refused}") from None

    async def close(self) -> None:
        """Let the child leave."""
        self._child = None
        await self._keeper.close()

    async def _ask_about(self, child: Jailed) -> None:
        nonce = os.urandom(wire.NONCE_BYTES)
        answer = await child.ask(wire.encode_about_request(nonce), ABOUT_SECONDS)
        try:
            self.about = wire.decode_about(answer, nonce)
        except wire.Refused as refused:
            await child.kill()
            raise _failure("E-JAIL-ANSWER", f"an answer that is not exactly right: {refused}") from None
        self._log.event("counter.ready", bare_us=self.about.bare_us, load_us=self.about.load_us)


def _failure(code: str, what: str) -> JailError:
    return JailError(code, what, where=MODULE, clause="2", todo="it is replaced; look at the counts of lost slices")
