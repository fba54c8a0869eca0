"""A pole's city house by itself: tells ``count`` minutes and ends when the broker has them all.

``python -m tests.parts.publishing JSON``; used in a process of its own, to be killed at any moment.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import sys
from pathlib import Path

import msgspec

from firmware.city.outbox import Outbox
from firmware.city.payload import describe
from firmware.city.publisher import BackOff, Publisher
from firmware.city.settings import BrokerSettings
from firmware.city.standing import Description, Meter, State, SystemState
from firmware.drivers.mqtt import connector
from firmware.flow.record import PublishedMinute
from firmware.ground.clock import MinuteNumber, SystemClock, minute_of
from firmware.ground.log import Log
from tools.contracts import PLACE

FAST = BackOff(first_seconds=0.05, longest_seconds=0.4)


class Report:
    """The least that a pole can say."""

    def description(self) -> Description:
        return describe(PLACE, k=3)

    def state(self) -> State:
        running = SystemState(state="running")
        return State(
            sp_pole=PLACE.pole, sp_status="online", profile="bench", flow=running, footage=running, city=running
        )

    def meter(self) -> Meter:
        return Meter(
            sp_pole=PLACE.pole,
            sp_since="2026-11-23T01:00:00Z",
            sp_at="2026-11-23T01:00:00Z",
            residence_p50_ms=50,
            residence_p999_ms=100,
            residence_max_ms=200,
            slots_overwritten=1,
            wipe_failures=0,
            egress_blocked=0,
            minutes_published=0,
            minutes_suppressed=0,
            minutes_gap=0,
            epochs_erased=0,
            live_holds="0",
        )

    def checkpoint(self) -> str | None:
        return None

    def growth(self) -> str | None:
        return None


def publisher(
    outbox: Outbox, settings: BrokerSettings, *, name: str = PLACE.pole, report: Report | None = None
) -> Publisher:
    """Return the real publisher over the real driver, with short waits."""
    return Publisher(
        outbox,
        connector(settings, Path("/"), name),
        report or Report(),
        place=PLACE,
        clock=SystemClock(),
        log=Log(io.StringIO()),
        jitter=random.random,
        back_off=FAST,
        hold_without_subscriber=settings.hold_without_subscriber,
    )


def minutes_ago(offset: int, people_tenths: int = 40) -> PublishedMinute:
    """Return a record of ``offset`` minutes before now."""
    now = minute_of(SystemClock().utc_ns())
    return record_of(now - offset, people_tenths)


def record_of(minute: int, people_tenths: int = 40) -> PublishedMinute:
    """Return a record that is a function of its minute, so that a process started again says the same."""
    return PublishedMinute(MinuteNumber(minute), 60, 60, people_tenths + minute % 50, 6, 19, congested=False, k=3)


async def main(path: Path, settings: BrokerSettings, first: int, count: int) -> None:
    """Go on after the last minute that was kept; end when nothing waits."""
    async with Outbox.opened(path, PLACE, SystemClock(), Log(io.StringIO())) as outbox:
        task = asyncio.create_task(publisher(outbox, settings).run())
        begin = (await outbox.last_minute() or first - 1) + 1
        for minute in range(begin, first + count):
            await outbox.put(record_of(minute))
            await asyncio.sleep(0.001)
        while await outbox.backlog():
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    broker = msgspec.convert(given["broker"], BrokerSettings)
    asyncio.run(main(Path(given["path"]), broker, given["first"], given["count"]))
