"""The LED lamp on a folder that looks like the kernel's, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.drivers.lamp import LedLamp, NoLamp, open_lamp
from firmware.ground.errors import CameraError
from firmware.ground.log import Log


@pytest.fixture
def leds(tmp_path: Path) -> Path:
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "brightness").write_text("0\n")
    (folder / "max_brightness").write_text("255\n")
    (folder / "trigger").write_text("none timer [heartbeat] mmc0\n")
    return tmp_path


async def test_the_lamp_is_lit_fully_and_nothing_else_drives_it(leds: Path) -> None:
    lamp = LedLamp(leds / "camera")
    await lamp.set(burning=True)
    assert (leds / "camera" / "brightness").read_text() == "255"
    assert (leds / "camera" / "trigger").read_text() == "none"
    assert await lamp.burning()
    await lamp.set(burning=False)
    assert not await lamp.burning()


@given(st.lists(st.booleans(), max_size=20))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_order_it_is_what_it_was_last_told(leds: Path, orders: list[bool]) -> None:
    import asyncio

    async def play() -> None:
        lamp = LedLamp(leds / "camera")
        for order in orders:
            await lamp.set(burning=order)
            assert await lamp.burning() == order

    asyncio.run(play())


async def test_a_lamp_that_does_not_do_as_told_is_a_fault(leds: Path) -> None:
    brightness = leds / "camera" / "brightness"
    brightness.unlink()
    brightness.symlink_to("/dev/null")  # takes every order and reads back nothing
    with pytest.raises(CameraError, match=r"E-CAMERA-LAMP.*6\.1\(2\)"):
        await LedLamp(leds / "camera").set(burning=True)


async def test_a_lamp_without_light_is_a_fault(leds: Path) -> None:
    (leds / "camera" / "max_brightness").write_text("0\n")
    with pytest.raises(CameraError, match="switched on and is not"):
        await LedLamp(leds / "camera").set(burning=True)


async def test_a_lamp_that_vanishes_is_a_fault(leds: Path) -> None:
    lamp = LedLamp(leds / "camera")
    await lamp.set(burning=True)
    (leds / "camera" / "brightness").unlink()
    with pytest.raises(CameraError, match="E-CAMERA-LAMP"):
        await lamp.burning()


@pytest.mark.parametrize(
    ("name", "profile"), [("", "pole"), ("absent", "pole"), ("absent", "bench"), ("../x", "bench")]
)
def test_a_missing_lamp_is_refused(leds: Path, name: str, profile: str) -> None:
    with pytest.raises(CameraError, match=r"E-CAMERA-LAMP.*6\.1\(2\)"):
        open_lamp(name, profile=profile, log=Log(io.StringIO()), leds=leds)  # type: ignore[arg-type] # of two


async def test_on_a_bench_no_lamp_is_allowed_and_said(leds: Path) -> None:
    sink = io.StringIO()
    lamp = open_lamp("", profile="bench", log=Log(sink), leds=leds)
    assert isinstance(lamp, NoLamp)
    await lamp.set(burning=True)
    assert await lamp.burning()
    assert '"lamp.missing","would_burn":true' in sink.getvalue()
    assert isinstance(open_lamp("camera", profile="pole", log=Log(sink), leds=leds), LedLamp)
