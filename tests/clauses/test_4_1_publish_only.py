"""4.1: the pole speaks and does not listen; the broker holds it to that."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import aiomqtt
import pytest

from firmware.city.session import Message, Session
from firmware.drivers import mqtt
from firmware.drivers.mqtt import connector
from tests.parts.mosquitto import Mosquitto, broker
from tools.contracts import PLACE

__all__ = ["broker"]

TOPIC = "jp/142069/sp/v1/sp03/status"


async def test_the_session_that_the_city_house_gets_has_no_way_to_listen(broker: Mosquitto) -> None:
    async with connector(broker.settings(), Path("/"), PLACE.pole)(Message(TOPIC, b"gone")) as session:
        offered = {name for name in dir(session) if not name.startswith("_")}
        assert offered == {name for name in Session.__dict__ if not name.startswith("_")}


def test_no_line_of_the_pole_subscribes() -> None:
    for path in (Path(mqtt.__file__).parents[1]).rglob("*.py"):
        called = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert "subscribe" not in called, path


async def test_the_broker_gives_a_poles_identity_nothing_to_read(broker: Mosquitto) -> None:
    """Even a stolen certificate of a pole reads nothing, its own records included."""
    async with broker.client("sp03") as thief, broker.client("sp04") as writer:
        heard = asyncio.create_task(anext(aiter(thief.messages)))
        try:
            granted = await thief.subscribe("jp/#", qos=1)
            for name in ("sp03", "sp04"):
                await writer.publish(f"jp/142069/sp/v1/{name}/status", b"x", qos=1, retain=True)
            done, _ = await asyncio.wait([heard], timeout=0.5)
            assert not done or granted[0] != 0
            assert not done
        finally:
            heard.cancel()
            await asyncio.wait([heard])


async def test_the_city_may_read_and_not_write(broker: Mosquitto) -> None:
    async with broker.client() as city:
        await city.subscribe("jp/#", qos=1)
        heard = asyncio.create_task(anext(aiter(city.messages)))
        await city.publish(TOPIC, b"forged", qos=1)
        done, _ = await asyncio.wait([heard], timeout=0.3)
        assert not done
        heard.cancel()
        await asyncio.wait([heard])


async def test_nobody_without_a_certificate(broker: Mosquitto) -> None:
    client = aiomqtt.Client("127.0.0.1", broker.port, timeout=1)
    with pytest.raises(aiomqtt.MqttError):
        await client.__aenter__()
    client._client.disconnect()
