"""From the outbox to the broker, and what the pole says about itself.

Knows:  messages that wait, answers of the broker, patience.
Never:  a record forgotten without a PUBACK that says success; a subscription; a busy retry.
Leaves: publications; :class:`Progress` for the status.
Clauses: 4.1 (publish only), 6.2(2), 5.1(1) and 5.2(1) (the privacy meter), 7.3(1)3 (the checkpoint kept elsewhere).

Each kind of record has a lane of its own: oldest first, a batch at a time, at most ``session.window`` under way over
all lanes. A refusal keeps the record, and the lane waits and probes with its oldest record until it is accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from firmware.city import standing
from firmware.city.outbox import Outbox, Waiting
from firmware.city.payload import Place, gate, say
from firmware.city.session import NO_SUBSCRIBER, SUCCESS, Connect, Message, Session
from firmware.city.topics import RECORDS, STANDING, Kind
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, Clock, MinuteNumber, minute_of
from firmware.ground.errors import CityError
from firmware.ground.log import Log

BATCH: Final = 64
_MINUTES_BETWEEN_METERS: Final = 60
_FAREWELL_SECONDS: Final = 3.0


class SelfReport(Protocol):
    """What the pole can say about itself, cheaply and at any time; the composition root implements it."""

    def description(self) -> standing.Description:
        """Return the rules in force (:func:`firmware.city.payload.describe`)."""

    def state(self) -> standing.State:
        """Return the state of the systems, ``online``."""

    def meter(self) -> standing.Meter:
        """Return what happened to pictures and minutes since the start."""

    def checkpoint(self) -> str | None:
        """Return the ledger's newest signed checkpoint, None while there is none."""

    def growth(self) -> str | None:
        """Return what shows that the ledger only grew to its newest checkpoint, None while there is none."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """1, 2, 4 ... seconds, at most ``longest_seconds``; shortened by up to half, so that poles do not march in step."""

    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def wait_ns(self, failures: int, jitter: float) -> int:
        """Return the wait after ``failures`` failures in a row (>= 1); ``jitter`` in 0..1."""
        longest = min(self.first_seconds * 2.0 ** min(failures - 1, 16), self.longest_seconds)
        return int(longest * (1.0 - jitter / 2.0) * NS_PER_SECOND)


@dataclass(slots=True)
class Progress:
    """How it goes, for the status: ``reason`` is ``ok`` or the code of what is in the way."""

    connected: bool = False
    protocol: str = ""
    reason: str = "E-CITY-NOT-YET"
    refused: dict[Kind, int] = field(default_factory=dict)
    """The reason code with which the broker last refused a kind; empty when it takes all."""
    connections: int = 0
    refusals: int = 0

    def refuses(self, kind: Kind, code: int) -> None:
        """Note that the broker refused a message of ``kind`` with the reason ``code``."""
        self.refused[kind] = code
        self.refusals += 1
        self.reason = "E-CITY-NO-SUBSCRIBER" if code == NO_SUBSCRIBER else f"E-CITY-REFUSED-{code}"

    def took(self, kind: Kind) -> None:
        """Note that the broker took a message of ``kind``."""
        if self.refused.pop(kind, None) is not None and not self.refused:
            self.reason = "ok"


class Publisher:
    """The house's one task. ``jitter`` returns numbers in 0..1 (``random.random``)."""

    def __init__(
        self,
        outbox: Outbox,
        connect: Connect,
        report: SelfReport,
        *,
        place: Place,
        clock: Clock,
        log: Log,
        jitter: Callable[[], float],
        back_off: BackOff = BackOff(),
        hold_without_subscriber: bool = True,
    ) -> None:
        self.progress = Progress()
        self._outbox = outbox
        self._connect = connect
        self._report = report
        self._place = place
        self._clock = clock
        self._log = log
        self._jitter = jitter
        self._back_off = back_off
        self._hold_without_subscriber = hold_without_subscriber
        self._failures = 0

    async def run(self) -> None:
        """Keep a session, publish what waits; return only by cancellation, and then say goodbye."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            tasks.create_task(self._keep_session())

    async def _sweep(self) -> None:
        while True:
            await self._outbox.sweep()
            await self._pause(NS_PER_MINUTE)

    async def _keep_session(self) -> None:
        while True:
            began_ns = self._clock.boot_ns()
            try:
                async with self._connect(self._will()) as session:
                    await self._serve_politely(session)
            except CityError as error:
                held_long = self._clock.boot_ns() - began_ns > self._back_off.longest_seconds * NS_PER_SECOND
                self._failures = 1 if held_long else self._failures + 1
                self.progress.reason = error.code
                self._log.event("city.session", code=error.code, failures=self._failures)
            finally:
                self.progress.connected = False
            await self._pause(self._back_off.wait_ns(self._failures, self._jitter()))

    async def _serve_politely(self, session: Session) -> None:
        try:
            await self._serve(session)
        except asyncio.CancelledError:
            await self._farewell(session)
            raise

    async def _serve(self, session: Session) -> None:
        self.progress.connected = True
        self.progress.connections += 1
        self.progress.protocol = session.protocol
        self.progress.reason = "ok"
        self.progress.refused.clear()
        window = asyncio.Semaphore(session.window)
        ended: CityError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speak(session, window))
                for kind in RECORDS:
                    tasks.create_task(self._lane(session, window, kind))
        except* CityError as group:
            ended = _first(group)
        if ended is not None:
            raise ended

    async def _lane(self, session: Session, window: asyncio.Semaphore, kind: Kind) -> None:
        refusals = 0
        while True:
            waiting = await self._outbox.waiting(kind, 1 if refusals else BATCH)
            refusal = await self._send(session, window, waiting)
            if refusal is None:
                refusals = 0
                self.progress.took(kind)
                continue
            refusals += 1
            self._refused(kind, refusal)
            await self._pause(self._back_off.wait_ns(refusals, self._jitter()))

    async def _send(self, session: Session, window: asyncio.Semaphore, waiting: list[Waiting]) -> int | None:
        """Publish ``waiting``, forget what was accepted, return the first refusal (None without one)."""

        async def one(message: Message) -> int:
            async with window:
                return await session.publish(message)

        answers = await asyncio.gather(*(one(each.message) for each in waiting), return_exceptions=True)
        taken = [each.position for each, answer in zip(waiting, answers, strict=True) if self._accepted(answer)]
        if taken:
            self._failures = 0
            await self._outbox.delivered(taken)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return next((code for code in answers if isinstance(code, int) and not self._accepted(code)), None)

    def _accepted(self, answer: int | BaseException) -> bool:
        if isinstance(answer, BaseException):
            return False
        return answer == SUCCESS or (answer == NO_SUBSCRIBER and not self._hold_without_subscriber)

    async def _speak(self, session: Session, window: asyncio.Semaphore) -> None:
        """Say what stands, at the beginning and whenever it has changed; the meter every hour."""
        said = dict[Kind, bytes]()
        metered: MinuteNumber | None = None
        while True:
            now = minute_of(self._clock.utc_ns())
            for kind in STANDING:
                if kind is Kind.METER and metered is not None and now < metered + _MINUTES_BETWEEN_METERS:
                    continue
                payload = self._saying(kind)
                if payload is None or said.get(kind) == payload:
                    continue
                async with window:
                    code = await session.publish(Message(self._place.topics.name(kind), payload, retain=True))
                if code in (SUCCESS, NO_SUBSCRIBER):  # nobody need listen now: the broker retains it
                    said[kind] = payload
                    metered = now if kind is Kind.METER else metered
                    self.progress.took(kind)
                else:
                    self._refused(kind, code)
            await self._pause(NS_PER_MINUTE)

    def _saying(self, kind: Kind) -> bytes | None:
        """Return what to say as ``kind`` now; None when there is nothing, or when it may not leave (then counted)."""
        try:
            match kind:
                case Kind.META:
                    return say(kind, self._report.description(), self._place)
                case Kind.STATUS:
                    return say(kind, self._report.state(), self._place)
                case Kind.METER:
                    return say(kind, self._report.meter(), self._place)
                case Kind.GROWTH:
                    return self._text(kind, self._report.growth())
                case _:
                    return self._text(kind, self._report.checkpoint())
        except CityError as error:
            self._outbox.counters.egress_blocked += 1
            self._log.event("city.egress", code=error.code, kind=kind.strip("$"))
            return None

    def _text(self, kind: Kind, text: str | None) -> bytes | None:
        return None if text is None else gate(kind, text.encode(), self._place)

    def _will(self) -> Message:
        return self._offline("connection_lost")

    def _offline(self, reason: str) -> Message:
        state = msgspec.structs.replace(self._report.state(), sp_status="offline", sp_reason=reason)
        payload = say(Kind.STATUS, state, self._place)
        return Message(self._place.topics.name(Kind.STATUS), payload, retain=True)

    async def _farewell(self, session: Session) -> None:
        """Say ``offline`` before an orderly end, because an orderly end silences the last will."""
        with suppress(CityError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await session.publish(self._offline("stopped"))

    def _refused(self, kind: Kind, code: int) -> None:
        self.progress.refuses(kind, code)
        self._log.event("city.refused", kind=kind.strip("$"), code=code)

    async def _pause(self, wait_ns: int) -> None:
        await self._clock.sleep_until_boot(self._clock.boot_ns() + wait_ns)


def _first(group: BaseExceptionGroup[CityError]) -> CityError:
    """Return the first error of ``group``; the tasks beside it ended for the same reason."""
    error = group.exceptions[0]
    return error if isinstance(error, CityError) else _first(error)
