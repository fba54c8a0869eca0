"""The publisher and its driver against a real Mosquitto: mutual TLS, refusals, kills."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from firmware.city.outbox import Outbox
from firmware.city.publisher import Publisher
from firmware.city.session import NOT_AUTHORISED, SUCCESS, Message
from firmware.city.settings import BrokerSettings
from firmware.city.topics import Kind
from firmware.drivers.mqtt import connector
from firmware.ground.clock import SystemClock, minute_of
from firmware.ground.errors import CityError
from firmware.ground.log import Log
from tests.parts.mosquitto import Authority, Mosquitto, broker, listening
from tests.parts.odd_broker import OddBroker, old_tls
from tests.parts.publishing import minutes_ago, publisher, record_of
from tools.contracts import PLACE

__all__ = ["broker"]

WILL = Message(PLACE.topics.name(Kind.STATUS), b"gone", retain=True)
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def city(tmp_path: Path, settings: BrokerSettings) -> AsyncIterator[tuple[Outbox, Publisher]]:
    """Run outbox and publisher for the block."""
    async with Outbox.opened(tmp_path / "outbox.sqlite", PLACE, SystemClock(), Log(io.StringIO())) as outbox:
        house = publisher(outbox, settings)
        task = asyncio.create_task(house.run())
        try:
            yield outbox, house
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def records(received: list[aiomqtt.Message], kind: Kind = Kind.MINUTE) -> list[bytes]:
    return [bytes(message.payload) for message in received if str(message.topic) == PLACE.topics.name(kind)]  # type: ignore[arg-type]  # bytes here


def by_sequence(payloads: list[bytes]) -> dict[int, set[bytes]]:
    found = dict[int, set[bytes]]()
    for payload in payloads:
        found.setdefault(json.loads(payload)["spSeq"], set()).add(payload)
    return found


async def test_records_arrive_once_with_what_stands_and_with_their_expiry(tmp_path: Path, broker: Mosquitto) -> None:
    async with listening(broker) as received, city(tmp_path, broker.settings()) as (outbox, house):
        for offset in range(30, 0, -1):
            await outbox.put(minutes_ago(offset))
        await until(lambda: len(records(received)) == 30 and outbox.counters.delivered == 30)
        assert house.progress.protocol == "5"
        assert house.progress.reason == "ok"
        assert all(records(received, kind) for kind in (Kind.META, Kind.STATUS, Kind.METER))
        minute = next(message for message in received if str(message.topic) == PLACE.topics.name(Kind.MINUTE))
        assert 0 < minute.properties.MessageExpiryInterval <= 7 * 24 * 3600  # type: ignore[union-attr]  # paho has no types here
        assert not minute.retain
        assert len(by_sequence(records(received))) == 30


async def test_an_orderly_end_says_stopped_and_a_torn_one_says_connection_lost(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with listening(broker) as received:
        async with city(tmp_path, broker.settings()):
            await until(lambda: bool(records(received, Kind.METER)))
        await until(lambda: b'"stopped"' in records(received, Kind.STATUS)[-1])
        await torn_session(broker)
        await until(lambda: records(received, Kind.STATUS)[-1] == b"gone")


async def torn_session(broker: Mosquitto) -> None:
    """Connect as the pole, and let the session fall without a word."""
    async with connector(broker.settings(), Path("/"), "sp03")(WILL) as session:
        paho = session._client._client  # type: ignore[attr-defined]  # the line is cut below the library
        paho.socket().shutdown(2)


async def test_a_refused_certificate_keeps_records_here_and_the_status_says_why(
    tmp_path: Path, broker: Mosquitto
) -> None:
    stranger = Authority(tmp_path, "stranger")
    async with city(tmp_path, broker.settings(authority=stranger)) as (outbox, house):
        await outbox.put(minutes_ago(2))
        await until(lambda: house.progress.reason == "E-CITY-TLS")
        assert not house.progress.connected
        assert await outbox.backlog() == 1
    async with listening(broker) as received, city(tmp_path, broker.settings()):
        await until(lambda: len(records(received)) == 1)


async def test_a_false_broker_gets_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    stranger = Authority(tmp_path, "stranger")
    settings = msgspec.structs.replace(broker.settings(), ca_file=str(stranger.ca_file))
    with pytest.raises(CityError, match="E-CITY-TLS"):
        async with connector(settings, Path("/"), "sp03")(WILL):
            pass
    elsewhere = msgspec.structs.replace(broker.settings(), host="127.0.0.1")
    async with connector(elsewhere, Path("/"), "sp03")(WILL) as session:  # named in its certificate too
        assert session.protocol == "5"


async def test_no_certificate_no_session(tmp_path: Path, broker: Mosquitto) -> None:
    settings = msgspec.structs.replace(broker.settings(), key_file=str(tmp_path / "none.key"))
    with pytest.raises(CityError, match="E-CITY-CERTIFICATE"):
        async with connector(settings, Path("/"), "sp03")(WILL):
            pass


async def test_nothing_below_tls_1_3(broker: Mosquitto) -> None:
    odd = OddBroker(b"")
    async with odd.listening(old_tls(broker)):
        settings = msgspec.structs.replace(broker.settings(), port=odd.port)
        with pytest.raises(CityError, match="E-CITY-TLS"):
            async with connector(settings, Path("/"), "sp03")(WILL):
                pass
    assert odd.levels == []


async def test_a_spoofed_topic_is_refused_by_number_and_the_record_stays(tmp_path: Path, broker: Mosquitto) -> None:
    """The pole ``sp04`` has a certificate of the city, and tries to speak as ``sp03``."""
    async with listening(broker) as received, city(tmp_path, broker.settings("sp04")) as (outbox, house):
        await outbox.put(minutes_ago(2))
        await until(lambda: house.progress.refused.get(Kind.MINUTE) == NOT_AUTHORISED)
        assert await outbox.backlog() == 1
        assert outbox.counters.delivered == 0
        assert received == []


async def test_a_record_that_nobody_would_get_waits(tmp_path: Path, broker: Mosquitto) -> None:
    async with city(tmp_path, broker.settings()) as (outbox, house):
        await outbox.put(minutes_ago(2))
        await until(lambda: house.progress.refused.get(Kind.MINUTE) == 16)
        async with listening(broker) as received:
            await until(lambda: len(records(received)) == 1)
            await until(lambda: house.progress.refused == {})


async def kill_in_the_middle(
    broker: Mosquitto, outbox: Outbox, received: list[bytes], under_way: Iterable[int]
) -> None:
    """Freeze the broker with publications under way, let the city read what it was sent, then cut the power.

    Mosquitto answers PUBACK before its own disk has the message; what it loses by that is not what is tested here.
    """

    def drained() -> bool:
        return 0 < outbox.counters.delivered <= len(by_sequence(received))

    await until(drained)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    for minute in under_way:
        await outbox.put(record_of(minute))
    before = -1
    while before != len(received) or not drained():
        before = len(received)
        await asyncio.sleep(0.2)
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)


async def test_the_broker_is_killed_in_the_middle_of_500_records(tmp_path: Path, broker: Mosquitto) -> None:
    """Nothing is lost, and a record that comes twice is the same record; the city's session outlives its broker."""
    now = minute_of(SystemClock().utc_ns())
    received = list[bytes]()

    async def read() -> None:
        while True:
            try:
                async with broker.client(persistent=True) as client:
                    await client.subscribe("jp/#", qos=1)
                    async for message in client.messages:
                        received.extend(records([message]))
            except aiomqtt.MqttError:
                await asyncio.sleep(0.05)

    reading = asyncio.create_task(read())
    try:
        async with city(tmp_path, broker.settings()) as (outbox, house):
            minutes = iter(range(now - 501, now - 1))
            for before_the_kill in (150, 150, 500):
                for minute in itertools.islice(minutes, before_the_kill):
                    await outbox.put(record_of(minute))
                if before_the_kill < 500:
                    await kill_in_the_middle(broker, outbox, received, itertools.islice(minutes, 30))
            async with asyncio.timeout(60):
                while await outbox.backlog():
                    await asyncio.sleep(0.02)
            await until(lambda: len(by_sequence(received)) == 500)
            assert house.progress.connections >= 3
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    found = by_sequence(received)
    assert set(found) == set(range(now - 501, now - 1))
    assert all(len(versions) == 1 for versions in found.values())


async def test_the_pole_is_killed_at_random_moments(tmp_path: Path, broker: Mosquitto) -> None:
    """kill -9, again and again: 0 lost, and what comes twice comes under the same name with the same bytes."""
    dice = random.Random(9)  # noqa: S311  # repeatable, nothing secret
    count, first = 300, minute_of(SystemClock().utc_ns()) - 400
    given = json.dumps(
        {
            "path": str(tmp_path / "outbox.sqlite"),
            "broker": msgspec.to_builtins(broker.settings()),
            "first": first,
            "count": count,
        }
    )
    kills = 0
    async with listening(broker, persistent=True) as received:
        while True:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.parts.publishing", given, cwd=ROOT, stderr=subprocess.DEVNULL
            )
            before = len(received)
            ending = asyncio.create_task(child.wait())
            if kills < 6:  # count its life from its first message, so that a slow start does not eat the moment
                async with asyncio.timeout(30):
                    while len(received) == before and not ending.done():
                        await asyncio.sleep(0.005)
                await asyncio.wait([ending], timeout=dice.uniform(0.0, 0.12))
            else:
                await asyncio.wait([ending], timeout=60)
            if ending.done():
                assert child.returncode == 0
                break
            child.kill()
            await ending
            kills += 1
        await until(lambda: len(by_sequence(records(received))) == count)
    found = by_sequence(records(received))
    assert set(found) == set(range(first, first + count))
    assert all(len(versions) == 1 for versions in found.values())
    assert kills >= 3


def plain(port: int) -> BrokerSettings:
    return BrokerSettings(host="127.0.0.1", port=port, plain=True, hold_without_subscriber=False)


@pytest.mark.parametrize("refusal", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"], ids=["code 1", "code 132"])
async def test_3_1_1_where_the_broker_refuses_the_version(tmp_path: Path, refusal: bytes) -> None:
    odd = OddBroker(refusal)
    async with odd.listening(), city(tmp_path, plain(odd.port)) as (outbox, house):
        await outbox.put(minutes_ago(2))
        await until(lambda: outbox.counters.delivered == 1)
        assert house.progress.protocol == "3.1.1"
    assert odd.levels == [5, 4]
    assert sum(b"CrowdFlowObserved" in payload and b"spSeq" in payload for payload in odd.published) == 1
    assert odd.packets <= {1, 3, 12, 14}, "connect, publish, ping, disconnect: the pole never subscribes"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (b"\x20\x03\x00\x87\x00", "E-CITY-REFUSED"),  # not authorised
        (b"\x20\x03\x00\x86\x00", "E-CITY-REFUSED"),  # bad user name or password
        (b"\x20\x03\x00\x88\x00", "E-CITY-REFUSED"),  # server unavailable
        (b"\x20\x03\x00\x97\x00", "E-CITY-REFUSED"),  # quota
        (b"\x20\x02\x00\x05", "E-CITY-LOST"),  # not authorised, in the manner of 3.1.1
        (b"", "E-CITY-LOST"),  # hangs up
    ],
)
async def test_no_other_refusal_leads_to_a_weaker_session(refusal: bytes, code: str) -> None:
    odd = OddBroker(refusal)
    async with odd.listening(), asyncio.timeout(8):
        with pytest.raises(CityError) as caught:
            async with connector(plain(odd.port), Path("/"), "sp03")(WILL):
                pass
    assert caught.value.code == code
    assert set(odd.levels) == {5}


async def test_refused_3_1_1_too_is_the_end_of_it() -> None:
    odd = OddBroker(b"\x20\x02\x00\x01", b"\x20\x02\x00\x01")
    async with odd.listening(), asyncio.timeout(8):
        with pytest.raises(CityError):
            async with connector(plain(odd.port), Path("/"), "sp03")(WILL):
                pass
    assert odd.levels == [5, 4]


async def test_publications_that_are_under_way_end_with_the_session(broker: Mosquitto) -> None:
    async with connector(broker.settings(), Path("/"), "sp03")(WILL) as session:
        topic = PLACE.topics.name(Kind.STATUS)
        assert await session.publish(Message(topic, b"1", retain=True)) in {SUCCESS, 16}
        broker.kill()
        answers = await asyncio.gather(
            *(session.publish(Message(topic, b"2")) for _ in range(30)), return_exceptions=True
        )
    assert all(isinstance(answer, CityError) and answer.code == "E-CITY-LOST" for answer in answers)
