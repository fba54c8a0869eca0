"""status.json is whole, fresh or called old, and says what a person must know first."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from firmware.city.standing import SystemState
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock
from firmware.ground.errors import StoreError
from firmware.ground.log import Log
from firmware.upkeep.status import StatusReport, as_json, is_stale, read_status, render, run, write_status

NOW = 29_923_296 * NS_PER_MINUTE


def report(**changes: object) -> StatusReport:
    running = SystemState(state="running")
    whole = StatusReport(
        written_utc_ns=NOW,
        started_utc_ns=NOW - 90 * NS_PER_MINUTE,
        pole="sp03",
        profile="bench",
        flow=running,
        footage=running,
        city=SystemState(state="degraded", reason="E-CITY-TLS"),
        keystore="software",
        officers={"a": ("age1abc",), "b": ("age1def",)},
        missing_walls=("landlock",),
        counters={"minutes_published": 31},
    )
    return msgspec.structs.replace(whole, **changes)


def shown(whole: StatusReport, now_utc_ns: int) -> str:
    text = io.StringIO()
    Console(file=text, width=120, color_system=None).print(render(whole, now_utc_ns))
    return text.getvalue()


def test_written_and_read_again(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", report())
    assert read_status(tmp_path / "status.json") == report()
    assert list(tmp_path.iterdir()) == [tmp_path / "status.json"]


def test_a_person_sees_reasons_and_warnings() -> None:
    text = shown(report(), NOW)
    for word in ("sp03", "E-CITY-TLS", "software keystore", "landlock", "age1abc", "minutes_published", "31"):
        assert word in text
    assert "does not run" not in text


def test_an_old_status_is_called_old() -> None:
    later = NOW + 4 * NS_PER_MINUTE
    assert is_stale(report(), later)
    assert "does not run" in shown(report(), later)
    assert json.loads(as_json(report(), later))["stale"] is True
    assert json.loads(as_json(report(), NOW))["stale"] is False


def test_json_says_the_same() -> None:
    tree = json.loads(as_json(report(), NOW))
    assert tree["city"] == {"state": "degraded", "reason": "E-CITY-TLS"}
    assert any("software keystore" in warning for warning in tree["warnings"])


@pytest.mark.parametrize("text", [None, b"{", b"{}", b'{"pole":"taro"}'])
def test_what_cannot_be_read_is_named(tmp_path: Path, text: bytes | None) -> None:
    path = tmp_path / "status.json"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(StoreError, match="E-STORE-STATUS"):
        read_status(path)


def test_no_free_text_fits(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", report(missing_walls=("taro yamada",)))
    with pytest.raises(StoreError):
        read_status(tmp_path / "status.json")


async def test_written_every_minute_and_a_refusing_disk_is_only_logged(tmp_path: Path) -> None:
    clock, lines, path = SimulatedClock(NOW), io.StringIO(), tmp_path / "state" / "status.json"
    collect = lambda: report(written_utc_ns=clock.utc_ns())  # noqa: E731  # shorter here
    task = asyncio.create_task(run(path, collect, clock, Log(lines)))
    try:
        await clock.advance_to(NOW + 1)
        assert "upkeep.status" in lines.getvalue(), "there is no folder yet"
        path.parent.mkdir()
        for minute in (1, 2, 3):
            await clock.advance_to(NOW + minute * NS_PER_MINUTE + minute)
            assert read_status(path).written_utc_ns >= NOW + minute * NS_PER_MINUTE
    finally:
        task.cancel()
        await asyncio.wait([task])
