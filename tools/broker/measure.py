"""How fast a record reaches the city: ``python -m tools.broker.measure`` prints one JSON object.

Latency: from the call of ``put`` (durable on disk included) until the city's subscriber has the record.
Backlog: seven days of minutes wait in the outbox; time until the broker has acknowledged all of them.
Mosquitto without TLS on this machine; the disk is that of ``--folder``.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import tempfile
import time
from pathlib import Path

from firmware.city.outbox import Outbox
from firmware.city.payload import describe
from firmware.city.publisher import Publisher
from firmware.city.settings import BrokerSettings
from firmware.city.standing import Description, Meter, State, SystemState
from firmware.drivers.mqtt import connector
from firmware.flow.record import PublishedMinute
from firmware.ground.clock import MinuteNumber, SystemClock, minute_of
from firmware.ground.log import Log
from tools.broker import DemoBroker, Subscriber
from tools.contracts import PLACE

WEEK_MINUTES = 7 * 24 * 60


class Report:
    """The least that a pole can say."""

    def description(self) -> Description:
        """Return the rules."""
        return describe(PLACE, k=3)

    def state(self) -> State:
        """Return the state."""
        running = SystemState(state="running")
        return State(
            sp_pole=PLACE.pole, sp_status="online", profile="bench", flow=running, footage=running, city=running
        )

    def meter(self) -> Meter:
        """Return an empty meter."""
        now = "2026-01-01T00:00:00Z"
        return Meter(
            sp_pole=PLACE.pole, sp_since=now, sp_at=now, residence_p50_ms=1, residence_p999_ms=1, residence_max_ms=1,
            slots_overwritten=0, wipe_failures=0, egress_blocked=0, minutes_published=0, minutes_suppressed=0,
            minutes_gap=0, epochs_erased=0, live_holds="0",
        )  # fmt: skip

    def checkpoint(self) -> str | None:
        """Return none."""
        return None

    def growth(self) -> str | None:
        """Return none."""
        return None


def record(minute: int) -> PublishedMinute:
    """Return some record of ``minute``."""
    return PublishedMinute(MinuteNumber(minute), 60, 60, 26, 6, 19, congested=False, k=3)


def percentile(values: list[float], per_mille: int) -> float:
    """Return the ``per_mille``-th of ``values``."""
    return sorted(values)[min(len(values) - 1, len(values) * per_mille // 1000)]


async def measure(folder: Path, latencies: int) -> dict[str, float | str]:
    """Return the figures."""
    clock, log = SystemClock(), Log(io.StringIO())
    now = minute_of(clock.utc_ns())
    async with (
        DemoBroker() as broker,
        Subscriber(broker.port).listening() as city,
        Outbox.opened(folder / "outbox.sqlite", PLACE, clock, log) as outbox,
    ):
        settings = BrokerSettings(host="127.0.0.1", port=broker.port, plain=True)
        publisher = Publisher(
            outbox,
            connector(settings, folder, "sp03"),
            Report(),
            place=PLACE,
            clock=clock,
            log=log,
            jitter=random.random,
        )
        began = time.perf_counter()
        for minute in range(now - WEEK_MINUTES + latencies + 10, now - latencies):
            await outbox.put(record(minute))
        puts = time.perf_counter() - began
        backlog = await outbox.backlog()
        task = asyncio.create_task(publisher.run())
        began = time.perf_counter()
        while outbox.counters.delivered < backlog:
            await asyncio.sleep(0.01)
        emptied = time.perf_counter() - began
        waits = list[float]()
        for minute in range(now - latencies, now):
            began, seen = time.perf_counter(), len(city.of("minute"))
            await outbox.put(record(minute))
            while len(city.messages) <= seen or city.messages[-1].body["spSeq"] != minute:
                await asyncio.sleep(0)
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        return {
            "broker": broker.name,
            "put_ms_mean": round(puts / backlog * 1000, 3),
            "backlog_records": backlog,
            "backlog_seconds": round(emptied, 2),
            "backlog_records_per_second": round(backlog / emptied),
            "put_to_city_ms_p50": round(percentile(waits, 500) * 1000, 2),
            "put_to_city_ms_p99": round(percentile(waits, 990) * 1000, 2),
            "put_to_city_ms_max": round(max(waits) * 1000, 2),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--latencies", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        print(json.dumps(asyncio.run(measure(Path(scratch), given.latencies)), indent=1))
