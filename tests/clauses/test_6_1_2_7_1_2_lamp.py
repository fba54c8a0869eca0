"""6.1(2), 7.1(2): カメラ作動中の表示. A whole pole whose lamp does not burn never asks its camera for a picture."""

from __future__ import annotations

import dataclasses
import io
from contextlib import AsyncExitStack
from pathlib import Path

import pyrage
import pytest

from firmware.assembly import ONCE, build
from firmware.drivers.lamp import LedLamp
from firmware.footage.settings import Officers
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock
from firmware.ground.errors import CameraError
from firmware.ground.log import Log
from tests.parts.victim import settings_of


class Curious:
    """Notes whether the lamp burnt when it was told to film."""

    def __init__(self, led: Path) -> None:
        self.led = led
        self.lit: list[str] = []

    async def run(self) -> None:
        self.lit.append((self.led / "brightness").read_text())


@pytest.mark.parametrize("works", [True, False])
async def test_no_lamp_no_picture(tmp_path: Path, works: bool) -> None:
    led = tmp_path / "led"
    led.mkdir()
    for name, text in (("max_brightness", "1"), ("trigger", "[none]"), ("brightness", "0")):
        (led / name).write_text(text)
    if not works:
        (led / "brightness").unlink()
        (led / "brightness").symlink_to("/dev/null")
    groups = [str(pyrage.x25519.Identity.generate().to_public()) for _ in "ab"]
    settings = settings_of(tmp_path / "state", "software", "device:/dev/null", Officers(a=(groups[0],), b=(groups[1],)))
    camera, clock = Curious(led), SimulatedClock(29_923_200 * NS_PER_MINUTE)
    async with AsyncExitStack() as stack:
        pole = await build(stack, settings, clock=clock, log=Log(io.StringIO()), connect=None, budget=ONCE)
        pole = dataclasses.replace(pole, lamp=LedLamp(led))
        if works:
            await pole.work(camera)
        else:
            with pytest.raises((CameraError, ExceptionGroup)) as caught:
                await pole.work(camera)
            assert "E-CAMERA-LAMP" in repr(caught.value) + str(getattr(caught.value, "exceptions", ""))
    assert camera.lit == (["1"] if works else [])
    if works:
        assert (led / "brightness").read_text() == "0", "dark again when no picture can exist"
