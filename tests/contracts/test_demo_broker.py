"""The demonstration's broker: Mosquitto or amqtt, the pole talks to both, the city receives each record once."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from firmware.city.outbox import Outbox
from firmware.city.settings import BrokerSettings
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tests.parts.publishing import minutes_ago, publisher
from tools.broker import DemoBroker, Subscriber, find_mosquitto
from tools.contracts import PLACE


@pytest.mark.parametrize(
    ("program", "protocol"), [(find_mosquitto(), "5"), (None, "3.1.1")], ids=["mosquitto", "amqtt"]
)
async def test_the_city_receives_what_the_pole_tells(tmp_path: Path, program: str | None, protocol: str) -> None:
    async with DemoBroker(mosquitto=program) as broker, Subscriber(broker.port).listening() as city:
        settings = BrokerSettings(host="127.0.0.1", port=broker.port, plain=True)
        async with Outbox.opened(tmp_path / "outbox.sqlite", PLACE, SystemClock(), Log(io.StringIO())) as outbox:
            house = publisher(outbox, settings)
            task = asyncio.create_task(house.run())
            for offset in range(20, 0, -1):
                await outbox.put(minutes_ago(offset))
            async with asyncio.timeout(20):
                while len(city.of("minute")) < 20 or not city.of("privacy/meter"):
                    await asyncio.sleep(0.02)
            assert house.progress.protocol == protocol
            task.cancel()
            await asyncio.wait([task])
        assert {message.kind for message in city.messages} == {"minute", "$meta", "status", "privacy/meter"}
        sequences = [message.body["spSeq"] for message in city.of("minute") if isinstance(message.body, dict)]
        assert sequences == sorted(set(sequences))
