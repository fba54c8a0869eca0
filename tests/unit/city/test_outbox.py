"""Records wait, are told once, and are never lost without a word."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from firmware.city.outbox import KEPT_SECONDS, Outbox, Waiting
from firmware.city.topics import Kind
from firmware.flow.record import (
    AttributeTile,
    Dimension,
    Gap,
    GapReason,
    PublishedMinute,
    RecordSink,
    SuppressedMinute,
)
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import CityError
from firmware.ground.log import Log
from tools.contracts import PLACE

START = MinuteNumber(29_923_296)
DAY = 24 * 60


def minute(offset: int, **changes: Any) -> PublishedMinute:
    record = PublishedMinute(MinuteNumber(START + offset), 60, 60, 26, 6, 19, congested=False, k=3)
    return dataclasses.replace(record, **changes)


class House:
    """An outbox with its clock and log."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.clock = SimulatedClock((START + 1) * NS_PER_MINUTE)
        self.lines = io.StringIO()
        self.options = options

    def opened(self) -> Any:
        return Outbox.opened(self.path, PLACE, self.clock, Log(self.lines), **self.options)

    def to(self, offset: int) -> None:
        self.clock.step((START + offset) * NS_PER_MINUTE - self.clock.utc_ns())

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.lines.getvalue().splitlines()]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "city" / "outbox.sqlite")


def told(waiting: list[Waiting]) -> list[dict[str, Any]]:
    return [json.loads(each.message.payload) for each in waiting]


async def drain(outbox: Outbox, kind: Kind) -> list[dict[str, Any]]:
    """Return what waits as ``kind``, and let it be delivered."""
    async with asyncio.timeout(5):
        waiting = await outbox.waiting(kind, 10_000)
    await outbox.delivered([each.position for each in waiting])
    return told(waiting)


async def test_it_is_the_sink_of_people_flow(house: House) -> None:
    async with house.opened() as outbox:
        sink: RecordSink = outbox
        assert await sink.last_minute() is None
        await sink.put(minute(0))
        assert await sink.last_minute() == START


async def test_records_survive_and_keep_their_order_and_bytes(house: House) -> None:
    async with house.opened() as outbox:
        for offset in range(5):
            await outbox.put(minute(offset))
        before = await outbox.waiting(Kind.MINUTE, 10)
    async with house.opened() as outbox:
        after = await outbox.waiting(Kind.MINUTE, 10)
        assert [each.message.payload for each in after] == [each.message.payload for each in before]
        assert [record["spSeq"] for record in told(after)] == [START + offset for offset in range(5)]
        assert (house.path.stat().st_mode & 0o777) == 0o600


async def test_a_minute_is_told_once_even_after_delivery_and_reboot(house: House) -> None:
    async with house.opened() as outbox:
        await outbox.put(minute(0))
        await drain(outbox, Kind.MINUTE)
    async with house.opened() as outbox:
        await outbox.put(minute(0, peak_occupancy=9))
        await outbox.put(minute(-1))
        assert outbox.counters.late == 2
        assert await outbox.backlog() == 0
        assert await outbox.last_minute() == START


async def test_a_gap_counts_as_told_and_is_cut_to_what_was_not_told(house: House) -> None:
    async with house.opened() as outbox:
        await outbox.put(minute(0))
        await outbox.put(Gap(MinuteNumber(START - 5), MinuteNumber(START + 3), GapReason.POWER))
        await outbox.put(minute(3))
        await outbox.put(minute(4))
        (gap,) = await drain(outbox, Kind.GAP)
        assert (gap["spSeq"], gap["spMinutes"], gap["spReason"]) == (START + 3, 3, "power")
        assert [record["spSeq"] for record in await drain(outbox, Kind.MINUTE)] == [START, START + 4]


async def test_tiles_have_a_series_of_their_own(house: House) -> None:
    share = {Dimension.MASK: {"worn": 3, "not_worn": 6, "unknown": 1}}
    first = MinuteNumber(START // 15 * 15)
    async with house.opened() as outbox:
        await outbox.put(minute(20))
        await outbox.put(AttributeTile(first, 15, share, {}, 5, 3))
        await outbox.put(AttributeTile(first, 15, share, {}, 5, 3))
        assert outbox.counters.late == 1
        assert [tile["spSeq"] for tile in await drain(outbox, Kind.ATTR)] == [first]


@pytest.mark.parametrize(
    "record",
    [
        minute(0, peak_occupancy=2),
        minute(0, mean_occupancy_tenths=26.09),
        minute(0, slices="taro@example.jp"),
        minute(0, slices=9_012_345_678),
        minute(0, congested="山田"),
        minute(0, k=1),
        dataclasses.replace(SuppressedMinute(START, 60, 3), k="3,90-1234-5678"),
    ],
)
async def test_what_may_not_leave_becomes_a_gap(house: House, record: Any) -> None:
    """4.1: dropped here, counted, told as a gap; never repaired."""
    async with house.opened() as outbox:
        await outbox.put(record)
        assert outbox.counters.egress_blocked == 1
        assert outbox.reason == "ok", "the gap was kept"
        assert await outbox.backlog() == 1
        (gap,) = await drain(outbox, Kind.GAP)
        assert (gap["spSeq"], gap["spReason"]) == (START, "egress_blocked")
        assert await outbox.last_minute() == START


async def test_a_tile_that_may_not_leave_is_counted_and_gone(house: House) -> None:
    async with house.opened() as outbox:
        for share in ({"worn": 10, "taro": 0}, {"worn": 11, "unknown": 0}, {"worn": 10}):
            await outbox.put(AttributeTile(MinuteNumber(29_923_290), 15, {Dimension.MASK: share}, {}, 5, 3))
        await outbox.put(AttributeTile(START, 15, {Dimension.MASK: {"worn": 9, "unknown": 1}}, {}, 5, 3))
        assert outbox.counters.egress_blocked == 4
        assert await outbox.backlog() == 0


async def test_seven_days_and_then_a_gap(house: House) -> None:
    async with house.opened() as outbox:
        for offset in range(3):
            house.to(offset + 1)
            await outbox.put(minute(offset))
        house.to(7 * DAY + 3)
        await outbox.sweep()
        assert outbox.counters.expired == 3
        assert await outbox.backlog() == 1
        (gap,) = await drain(outbox, Kind.GAP)
        assert (gap["spSeq"], gap["spMinutes"], gap["spReason"]) == (START + 2, 3, "undelivered")
    assert "city.records_lost" in house.events()


async def test_expiry_counts_from_the_minute_itself(house: House) -> None:
    async with house.opened() as outbox:
        await outbox.put(minute(0))
        house.to(2 * DAY)
        (waiting,) = await outbox.waiting(Kind.MINUTE, 1)
        assert waiting.message.expiry_seconds == KEPT_SECONDS - (2 * DAY - 1) * 60


async def test_the_oldest_make_room_and_are_told_as_one_gap(tmp_path: Path) -> None:
    house = House(tmp_path / "outbox.sqlite", max_bytes=20_000)
    async with house.opened() as outbox:
        for offset in range(100):
            house.to(offset + 1)
            await outbox.put(minute(offset))
        minutes = await drain(outbox, Kind.MINUTE)
        (gap,) = await drain(outbox, Kind.GAP)
        assert outbox.counters.crowded_out == 100 - len(minutes)
        assert minutes[-1]["spSeq"] == START + 99
        assert gap["spSeq"] == minutes[0]["spSeq"] - 1
        assert gap["spMinutes"] == 100 - len(minutes)


async def test_a_full_disk_is_loud_and_the_minute_becomes_a_gap_later(house: House) -> None:
    async with house.opened() as outbox:
        await outbox.put(minute(0))
        pages = "PRAGMA max_page_count = 1"  # SQLite then answers as on a full disk
        outbox._spool._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        outbox._spool._file.execute(pages)
        failed = 0
        for offset in range(1, 40):
            await outbox.put(minute(offset))
            failed += outbox.reason == "E-CITY-OUTBOX-FULL"
        assert failed > 0
        assert outbox.counters.unkept == failed
        outbox._spool._file.execute("PRAGMA max_page_count = 1000000")
        await outbox.sweep()
        assert outbox.reason == "ok"
        gaps = await drain(outbox, Kind.GAP)
        minutes = await drain(outbox, Kind.MINUTE)
        seen = {record["spSeq"] for record in minutes}
        for gap in gaps:
            assert gap["spReason"] == "undelivered"
            seen |= set(range(gap["spSeq"] - gap["spMinutes"] + 1, gap["spSeq"] + 1))
        assert seen == set(range(START, START + 40)), "every minute is told, one way or the other"
    assert "city.outbox" in house.events()


async def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "city").write_text("a file where the folder should be")
    with pytest.raises(CityError, match="E-CITY-OUTBOX-IO"):
        async with House(tmp_path / "city" / "outbox.sqlite").opened():
            pass


async def test_rows_of_another_pole_are_not_sent_under_this_name(house: House) -> None:
    async with house.opened() as outbox:
        await outbox.put(minute(0))
    import msgspec

    other = msgspec.structs.replace(PLACE, pole="sp04")
    async with Outbox.opened(house.path, other, house.clock, Log(house.lines)) as outbox:
        assert await outbox.backlog() == 0


async def test_waiting_waits(house: House) -> None:
    async with house.opened() as outbox:
        getting = asyncio.create_task(outbox.waiting(Kind.MINUTE, 1))
        await asyncio.sleep(0.05)
        assert not getting.done()
        await outbox.put(minute(0))
        async with asyncio.timeout(5):
            assert len(await getting) == 1


async def test_a_cancelled_put_leaves_the_file_whole(house: House) -> None:
    async with house.opened() as outbox:
        for offset in range(20):
            putting = asyncio.create_task(outbox.put(minute(offset)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            putting.cancel()
            await asyncio.wait([putting])
        await outbox.put(minute(30))
        sequences = [record["spSeq"] for record in await drain(outbox, Kind.MINUTE)]
        assert sequences == sorted(set(sequences))
        assert sequences[-1] == START + 30


def spoil_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 400)


def spoil_pages(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    for start in range(4096 * 3, len(whole), 8192):
        whole[start : start + 600] = b"\xa5" * 600
    path.write_bytes(whole)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def strange_format(path: Path) -> None:
    file = sqlite3.connect(path)
    file.execute("PRAGMA user_version = 99")
    file.commit()
    file.close()


async def test_with_everything_unreadable_the_running_minute_is_told_as_lost(house: House) -> None:
    async with house.opened() as outbox:
        await outbox.put(minute(0))
    spoil_header(house.path)
    house.to(1)
    async with house.opened() as outbox:
        await outbox.put(minute(1))
        assert outbox.counters.late == 1
        (gap,) = await drain(outbox, Kind.GAP)
        assert (gap["spSeq"], gap["spMinutes"], gap["spReason"]) == (START + 1, 1, "undelivered")
        await outbox.put(minute(2))
        assert [record["spSeq"] for record in await drain(outbox, Kind.MINUTE)] == [START + 2]


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, cut_short, strange_format])
async def test_a_damaged_file_is_named_and_moved_aside_and_the_rest_goes_on(house: House, spoil: Any) -> None:
    async with house.opened() as outbox:
        for offset in range(50):
            await outbox.put(minute(offset))
        originals = {each.message.payload for each in await outbox.waiting(Kind.MINUTE, 100)}
    spoil(house.path)
    house.to(50)
    async with house.opened() as outbox:
        assert outbox.counters.files_isolated == 1
        assert outbox.reason == "E-CITY-OUTBOX-DAMAGED"
        assert list(house.path.parent.glob("outbox.sqlite.damaged-*"))
        await outbox.put(minute(49, peak_occupancy=9))
        assert outbox.counters.late == 1, "a minute that may have been told is not told again"
        await outbox.put(minute(51))
        saved = {each.message.payload for each in await outbox.waiting(Kind.MINUTE, 100)}
        assert saved - originals == {each for each in saved if json.loads(each)["spSeq"] == START + 51}
    assert "city.outbox_isolated" in house.events()
    assert minute_of(house.clock.utc_ns()) == START + 50


async def test_damage_found_while_running_is_handled_the_same(house: House) -> None:
    async with house.opened() as outbox:
        for offset in range(50):
            await outbox.put(minute(offset))
        outbox._spool._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spoil_pages(house.path)
        outbox._spool._file.execute("PRAGMA shrink_memory")
        for offset in range(50, 60):
            await outbox.put(minute(offset))
            await outbox.sweep()
            await outbox.waiting(Kind.MINUTE, 1000)
        assert outbox.counters.files_isolated + outbox.counters.damaged > 0
        await outbox.put(minute(60))
        assert (await drain(outbox, Kind.MINUTE))[-1]["spSeq"] == START + 60


async def test_a_flipped_bit_is_not_published(house: House) -> None:
    async with house.opened() as outbox:
        for offset in range(3):
            await outbox.put(minute(offset))
    file = sqlite3.connect(house.path)
    file.execute(
        "UPDATE waiting SET payload = CAST(replace(CAST(payload AS TEXT), '\"spPeakOccupancy\":6', "
        "'\"spPeakOccupancy\":7') AS BLOB) WHERE sequence = ?",
        (START + 1,),
    )
    file.commit()
    file.close()
    async with house.opened() as outbox:
        assert [record["spSeq"] for record in await drain(outbox, Kind.MINUTE)] == [START, START + 2]
        assert outbox.counters.damaged == 1
        (gap,) = await drain(outbox, Kind.GAP)
        assert (gap["spSeq"], gap["spReason"]) == (START + 1, "undelivered")
