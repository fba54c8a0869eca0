"""The lamp beside the lens: an LED of the kernel, read back; on a bench, none, and it says so.

Knows:  one folder of ``/sys/class/leds``.
Never:  a lamp believed to burn because it was told to.
Leaves: what the kernel says of it.
Clauses: 6.1(2), 7.1(2) (a camera at work is seen to be at work).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Literal

from firmware.camera.lamp import Lamp
from firmware.ground.errors import CameraError
from firmware.ground.log import Log

_LEDS: Final = Path("/sys/class/leds")


class LedLamp:
    """Implements :class:`firmware.camera.lamp.Lamp` with the kernel's LED class.

    Any trigger (heartbeat, disk, network) is taken off first: the lamp means one thing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name: Final = folder.name

    async def set(self, *, burning: bool) -> None:
        """See :class:`firmware.camera.lamp.Lamp`."""
        await asyncio.to_thread(self._set, burning=burning)

    async def burning(self) -> bool:
        """See :class:`firmware.camera.lamp.Lamp`."""
        return await asyncio.to_thread(self._burning)

    def _set(self, *, burning: bool) -> None:
        try:
            trigger = self._folder / "trigger"
            if trigger.exists() and "[none]" not in trigger.read_text(encoding="ascii"):
                trigger.write_text("none", encoding="ascii")
            wanted = (self._folder / "max_brightness").read_text(encoding="ascii").strip() if burning else "0"
            (self._folder / "brightness").write_text(wanted, encoding="ascii")
        except (OSError, ValueError) as error:
            raise self._fault(error) from None
        if self._burning() != burning:
            raise CameraError(
                "E-CAMERA-LAMP",
                f"the lamp was switched {'on' if burning else 'off'} and is not",
                where=f"lamp {self.name}",
                clause="6.1(2)",
                todo="no stream is opened; mend the lamp or its wiring",
            )

    def _burning(self) -> bool:
        try:
            return int((self._folder / "brightness").read_text(encoding="ascii")) > 0
        except (OSError, ValueError) as error:
            raise self._fault(error) from None

    def _fault(self, error: Exception) -> CameraError:
        return CameraError(
            "E-CAMERA-LAMP",
            f"the lamp cannot be used: {type(error).__name__}",
            where=f"lamp {self.name}",
            clause="6.1(2)",
            todo="check the LED's name in pole.toml against /sys/class/leds, and the right to write there",
        )


class NoLamp:
    """No lamp at all: for a bench only, and said in the log each time one would have been lit."""

    name: Final = "none"

    def __init__(self, log: Log) -> None:
        self._log = log
        self._burning = False

    async def set(self, *, burning: bool) -> None:
        """See :class:`firmware.camera.lamp.Lamp`."""
        self._burning = burning
        self._log.event("lamp.missing", would_burn=burning)

    async def burning(self) -> bool:
        """See :class:`firmware.camera.lamp.Lamp`."""
        return self._burning


def open_lamp(name: str, *, profile: Literal["bench", "pole"], log: Log, leds: Path = _LEDS) -> Lamp:
    """Return the LED called ``name``; with an empty name :class:`NoLamp`, which profile ``pole`` refuses.

    Raises :class:`CameraError` ``E-CAMERA-LAMP``.
    """
    if name and "/" not in name and not name.startswith(".") and (leds / name / "brightness").exists():
        return LedLamp(leds / name)
    if not name and profile == "bench":
        return NoLamp(log)
    raise CameraError(
        "E-CAMERA-LAMP",
        "no lamp is named" if not name else f"there is no LED {name}",
        where="pole.toml: lamp",
        clause="6.1(2)",
        todo="name one of /sys/class/leds; a camera without a lamp is allowed on a bench only",
    )
