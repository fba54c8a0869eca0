"""A record is forgotten when the broker says that it has it, and not before."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.city import standing
from firmware.city.outbox import Outbox
from firmware.city.payload import describe
from firmware.city.publisher import BackOff, Publisher
from firmware.city.session import NO_SUBSCRIBER, NOT_AUTHORISED, SUCCESS, Message, Session
from firmware.city.standing import SystemState
from firmware.city.topics import Kind
from firmware.flow.record import Gap, GapReason, SuppressedMinute
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock
from firmware.ground.errors import CityError
from firmware.ground.log import Log
from tests.contracts.test_payloads import NOTE
from tools.contracts import PLACE

START = MinuteNumber(29_923_296)
TOPICS = {PLACE.topics.name(kind): kind for kind in Kind}


class FakeBroker:
    """Answers as it is told to; hangs up when ``hang_up_after`` messages have come."""

    def __init__(self) -> None:
        self.got = list[Message]()
        self.wills = list[Message]()
        self.answers: dict[Kind, int] = {}
        self.refuse: CityError | None = None
        self.hang_up_after: int | None = None
        self.window = 20
        self.under_way = 0
        self.most_under_way = 0

    @asynccontextmanager
    async def connect(self, will: Message) -> AsyncIterator[Session]:
        self.wills.append(will)
        if self.refuse is not None:
            raise self.refuse
        yield FakeSession(self)

    def seen(self, kind: Kind) -> list[Message]:
        return [message for message in self.got if TOPICS[message.topic] is kind]


class FakeSession:
    protocol = "5"

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker

    @property
    def window(self) -> int:
        return self.broker.window

    async def publish(self, message: Message) -> int:
        broker = self.broker
        broker.under_way += 1
        broker.most_under_way = max(broker.most_under_way, broker.under_way)
        try:
            await asyncio.sleep(0)
            if broker.hang_up_after is not None:
                if broker.hang_up_after <= 0:
                    raise lost("E-CITY-LOST")
                broker.hang_up_after -= 1
            broker.got.append(message)
            return broker.answers.get(TOPICS[message.topic], SUCCESS)
        finally:
            broker.under_way -= 1


def lost(code: str) -> CityError:
    return CityError(code, "gone", where="broker", todo="wait")


class Report:
    """What the pole says of itself."""

    def __init__(self) -> None:
        running = SystemState(state="running")
        self.now = standing.State(
            sp_pole="sp03", sp_status="online", profile="bench", flow=running, footage=running, city=running
        )
        self.overwritten = 0
        self.note: str | None = NOTE
        self.grown: str | None = None

    def description(self) -> standing.Description:
        return describe(PLACE, k=3)

    def state(self) -> standing.State:
        return self.now

    def meter(self) -> standing.Meter:
        self.overwritten += 60
        return standing.Meter(
            sp_pole="sp03",
            sp_since="2026-11-23T01:00:00Z",
            sp_at="2026-11-23T01:00:00Z",
            residence_p50_ms=standing.band(31_000),
            residence_p999_ms=standing.band(99_999),
            residence_max_ms=standing.band(9_000_000),
            slots_overwritten=self.overwritten,
            wipe_failures=0,
            egress_blocked=0,
            minutes_published=0,
            minutes_suppressed=0,
            minutes_gap=0,
            epochs_erased=0,
            live_holds=standing.holds_band(3),
        )

    def checkpoint(self) -> str | None:
        return self.note

    def growth(self) -> str | None:
        return self.grown


class Town:
    """Outbox, publisher, broker and a clock that the test moves."""

    def __init__(
        self, outbox: Outbox, clock: SimulatedClock, log: Log, *, hold_without_subscriber: bool = True
    ) -> None:
        self.outbox = outbox
        self.clock = clock
        self.broker = FakeBroker()
        self.report = Report()
        self.publisher = Publisher(
            outbox,
            self.broker.connect,
            self.report,
            place=PLACE,
            clock=clock,
            log=log,
            jitter=lambda: 0.0,
            hold_without_subscriber=hold_without_subscriber,
        )

    async def until(self, condition: Callable[[], bool], *, passing_seconds: float = 0) -> None:
        """Let the house run until ``condition``; ``passing_seconds`` of its time go by in every round."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)
                await self.clock.advance_to(self.clock.utc_ns() + int(passing_seconds * NS_PER_SECOND))

    async def put(self, *offsets: int) -> None:
        for offset in offsets:
            await self.outbox.put(SuppressedMinute(MinuteNumber(START + offset), 60, 3))

    async def emptied(self, *, passing_seconds: float = 0) -> None:
        async with asyncio.timeout(10):
            while await self.outbox.backlog():
                await asyncio.sleep(0.002)
                await self.clock.advance_to(self.clock.utc_ns() + int(passing_seconds * NS_PER_SECOND))


@asynccontextmanager
async def town(tmp_path: Path, *, hold_without_subscriber: bool = True) -> AsyncIterator[Town]:
    clock, lines = SimulatedClock((START + 1) * NS_PER_MINUTE), io.StringIO()
    async with Outbox.opened(tmp_path / "outbox.sqlite", PLACE, clock, Log(lines)) as outbox:
        yield Town(outbox, clock, Log(lines), hold_without_subscriber=hold_without_subscriber)


@asynccontextmanager
async def running(house: Town) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(house.publisher.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


def sequences(messages: list[Message]) -> list[int]:
    return [json.loads(message.payload)["spSeq"] - START for message in messages]


async def test_oldest_first_and_forgotten_only_then(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        await house.put(*range(200))
        async with running(house):
            await house.emptied()
        assert sequences(house.broker.seen(Kind.MINUTE)) == list(range(200))
        assert house.outbox.counters.delivered == 200
        assert house.broker.most_under_way <= 20


async def test_the_brokers_window_is_kept(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.broker.window = 3
        await house.put(*range(50))
        async with running(house):
            await house.emptied()
        assert house.broker.most_under_way <= 3


async def test_a_refused_record_stays_and_is_probed_alone(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.broker.answers[Kind.MINUTE] = NOT_AUTHORISED
        await house.put(*range(30))
        async with running(house):
            await house.until(lambda: len(house.broker.seen(Kind.MINUTE)) == 33, passing_seconds=1)
            assert house.publisher.progress.refused == {Kind.MINUTE: NOT_AUTHORISED}
            assert house.publisher.progress.reason == standing.reason_code("E-CITY-REFUSED-135")
            assert await house.outbox.backlog() == 30
            assert sequences(house.broker.seen(Kind.MINUTE))[30:] == [0, 0, 0], "one record probes, not thirty"
            house.broker.answers.clear()
            await house.emptied(passing_seconds=5)
            await house.until(lambda: house.publisher.progress.reason == "ok")
            assert house.publisher.progress.refused == {}


async def test_one_refused_kind_does_not_hold_up_another(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.broker.answers[Kind.MINUTE] = 0x97  # quota exceeded
        await house.put(0)
        await house.outbox.put(Gap(MinuteNumber(START + 1), MinuteNumber(START + 1), GapReason.OVERLOAD))
        async with running(house):
            await house.until(lambda: bool(house.broker.seen(Kind.GAP)))
            await house.until(lambda: house.outbox.counters.delivered == 1)


async def test_nobody_listens_so_it_waits(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.broker.answers = dict.fromkeys(Kind, NO_SUBSCRIBER)
        await house.put(0, 1)
        async with running(house):
            await house.until(lambda: house.publisher.progress.refused == {Kind.MINUTE: NO_SUBSCRIBER})
            assert house.publisher.progress.reason == standing.reason_code("E-CITY-NO-SUBSCRIBER")
            assert await house.outbox.backlog() == 2
            assert len(house.broker.seen(Kind.META)) == 1, "what is retained needs no listener"


async def test_a_broker_with_rules_of_its_own_needs_no_listener(tmp_path: Path) -> None:
    async with town(tmp_path, hold_without_subscriber=False) as house:
        house.broker.answers = dict.fromkeys(Kind, NO_SUBSCRIBER)
        await house.put(0, 1)
        async with running(house):
            await house.emptied()


async def test_a_lost_session_loses_nothing_and_repeats_the_same_bytes(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        await house.put(*range(100))
        house.broker.hang_up_after = 25
        async with running(house):
            await house.until(lambda: house.publisher.progress.reason == "E-CITY-LOST")
            house.broker.hang_up_after = None
            await house.emptied(passing_seconds=1)
        seen = house.broker.seen(Kind.MINUTE)
        assert sorted(set(sequences(seen))) == list(range(100))
        bytes_of = dict[int, set[bytes]]()
        for sequence, message in zip(sequences(seen), seen, strict=True):
            bytes_of.setdefault(sequence, set()).add(message.payload)
        assert all(len(versions) == 1 for versions in bytes_of.values())


async def test_a_broker_that_refuses_is_asked_less_and_less_often(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.broker.refuse = lost("E-CITY-TLS")
        await house.put(0)
        async with running(house):
            began_ns = house.clock.utc_ns()
            await house.until(lambda: len(house.broker.wills) == 12, passing_seconds=1)
            # 1 + 2 + 4 + 8 + 16 + 32 + 60 * 5 seconds
            assert house.clock.utc_ns() - began_ns > 350 * NS_PER_SECOND
            assert house.publisher.progress.reason == "E-CITY-TLS"
            assert not house.publisher.progress.connected
            house.broker.refuse = None
            await house.emptied(passing_seconds=5)
            assert house.publisher.progress.reason == "ok"


async def test_what_stands_is_said_at_every_connection_and_then_on_change(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        async with running(house):
            await house.until(lambda: len(house.broker.got) == 4)
            assert {TOPICS[message.topic] for message in house.broker.got} == {
                Kind.META, Kind.STATUS, Kind.METER, Kind.CHECKPOINT,
            }  # fmt: skip
            assert all(message.retain and message.expiry_seconds is None for message in house.broker.got)
            await house.until(lambda: len(house.broker.seen(Kind.METER)) == 3, passing_seconds=60)
            assert len(house.broker.seen(Kind.STATUS)) == 1
            failed = SystemState(state="failed", reason="E-CAMERA-STALL")
            house.report.now = msgspec.structs.replace(house.report.now, flow=failed)
            await house.until(lambda: len(house.broker.seen(Kind.STATUS)) == 2, passing_seconds=60)
        *_, goodbye = house.broker.seen(Kind.STATUS)
        assert (b'"offline"' in goodbye.payload, b'"stopped"' in goodbye.payload) == (True, True)
        will = json.loads(house.broker.wills[0].payload)
        assert (will["spStatus"], will["spReason"]) == ("offline", "connection_lost")


async def test_a_saying_that_may_not_leave_is_counted_and_records_go_on(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.report.note = NOTE + "taro@example.jp\n"
        await house.put(0)
        async with running(house):
            await house.emptied()
            await house.until(lambda: house.outbox.counters.egress_blocked == 1)
        assert not house.broker.seen(Kind.CHECKPOINT)


async def test_growth_is_said_beside_the_checkpoint_and_only_as_sizes_and_hashes(tmp_path: Path) -> None:
    grown = f"smartpole growth v1\nold 9\n{'A' * 43}=\nleaves 17\n\n{NOTE}"
    async with town(tmp_path) as house:
        house.report.grown = grown
        async with running(house):
            await house.until(lambda: len(house.broker.seen(Kind.GROWTH)) == 1)
            assert house.broker.seen(Kind.GROWTH)[0].payload == grown.encode()
            house.report.grown = grown.replace("old 9", "old taro")
            await house.until(lambda: house.outbox.counters.egress_blocked == 1, passing_seconds=60)
        assert len(house.broker.seen(Kind.GROWTH)) == 1


async def test_no_checkpoint_yet_is_no_message(tmp_path: Path) -> None:
    async with town(tmp_path) as house:
        house.report.note = None
        async with running(house):
            await house.until(lambda: len(house.broker.got) == 3)
        assert not house.broker.seen(Kind.CHECKPOINT)


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_waits_are_bounded_on_both_sides(failures: int, jitter: float) -> None:
    wait_ns = BackOff().wait_ns(failures, jitter)
    assert NS_PER_SECOND // 2 <= wait_ns <= 60 * NS_PER_SECOND


def test_waits_double() -> None:
    assert [BackOff().wait_ns(failures, 0.0) // NS_PER_SECOND for failures in range(1, 9)] == [
        1, 2, 4, 8, 16, 32, 60, 60,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("residence_us", "edge"), [(0, 1), (1000, 1), (1001, 2), (5_000_000, 5000), (5_000_001, "longer")]
)
def test_residence_is_told_in_bands(residence_us: int, edge: object) -> None:
    assert standing.band(residence_us) == edge
