"""Two poles as they would stand on two streets, but for the software keystore and the street itself.

Knows:  the production composition, the synthetic street, a broker's port.
Never:  another way to count, seal or publish than the pole's own.
Leaves: running poles, and the truth of what their streets showed.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from firmware.assembly import ONCE, SMALL, Pole, build
from firmware.camera.driver import Camera
from firmware.camera.frames import PictureFormat
from firmware.city.settings import BrokerSettings
from firmware.drivers.mqtt import connector
from firmware.drivers.video_file import VideoFile
from firmware.flow.record import Dimension
from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings, Officers
from firmware.ground.clock import SimulatedClock
from firmware.ground.log import Log
from firmware.upkeep.settings import Location, PoleSettings
from firmware.upkeep.whole import Settings
from tools.street.camera import StreetCamera
from tools.street.scene import Scene
from tools.street.street import Street
from tools.street.truth import Truth, persons_in

MODELS = Path(__file__).parents[2] / "models"
FPS = 5
SPARE_SECONDS = 2
DRAIN_SECONDS = 20.0


@dataclass(slots=True)
class Seen:
    """The truth of a street, as the demonstration draws it."""

    now: Truth = ()
    persons: list[tuple[int, int]] = field(default_factory=list)

    def note(self, utc_ns: int, truth: Truth) -> None:
        """Take the truth of one slice."""
        self.now = truth
        self.persons.append((utc_ns, persons_in(truth)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """One pole of the demonstration."""

    name: str
    scene: Scene | None
    settings: Settings
    clock: SimulatedClock
    pole: Pole
    seen: Seen


def settings_for(pole: str, state: Path, officers: Officers, broker_port: int) -> Settings:
    """Return the settings of one pole: embedded defaults, one-minute tiles, attributes on so that they are seen."""
    return Settings(
        folder=state,
        pole=PoleSettings(
            pole=pole,
            profile="bench",
            site="smartpole.example",
            location=Location(longitude=139.1559, latitude=35.2525),
            notice_sha256="0" * 64,
            state_directory=str(state),
            models_directory=str(MODELS),
            broker=BrokerSettings(host="127.0.0.1", port=broker_port, plain=True),
        ),
        flow=FlowSettings(attributes=(Dimension.SEX, Dimension.AGE, Dimension.MASK), window_minutes=1),
        footage=FootageSettings(officers=officers, keystore="software", fps=FPS, min_free_percent=0),
    )


async def build_corner(
    stack: AsyncExitStack, name: str, scene: Scene | None, settings: Settings, utc_ns: int, log: Log
) -> Corner:
    """Build one pole on ``stack``; its clock stands at ``utc_ns`` and follows its own street."""
    clock = SimulatedClock(utc_ns)
    broker = settings.pole.broker
    connect = connector(broker, settings.folder, settings.pole.pole) if broker else None
    pole = await build(stack, settings, clock=clock, log=log, connect=connect, budget=ONCE)
    return Corner(name=name, scene=scene, settings=settings, clock=clock, pole=pole, seen=Seen())


async def film(corner: Corner, minutes: int, video: Path | None, seed: int) -> None:
    """Let the pole work for ``minutes`` minutes of its street (or of ``video``)."""
    seconds = minutes * 60 + SPARE_SECONDS
    await corner.pole.work(_UntilDelivered(_camera(corner, seconds, video, seed), corner))


def _camera(corner: Corner, seconds: int, video: Path | None, seed: int) -> Camera:
    pole, footage = corner.pole, corner.settings.footage
    if video is not None or corner.scene is None:
        return VideoFile(
            video or Path(),
            small=pole.small,
            main=pole.main,
            clock=corner.clock,
            log=pole.log,
            small_format=SMALL,
            main_format=PictureFormat(footage.width, footage.height),
            main_fps=footage.fps,
            end_after_seconds=seconds,
        )
    return StreetCamera(
        Street(corner.scene, seed),
        small=pole.small,
        main=pole.main,
        clock=corner.clock,
        main_fps=footage.fps,
        seconds=seconds,
        on_slice=corner.seen.note,
    )


@dataclass(frozen=True, slots=True)
class _UntilDelivered:
    """A camera that, once its street has ended, waits until the city has acknowledged every record (or gives up)."""

    camera: Camera
    corner: Corner

    async def run(self) -> None:
        await self.camera.run()
        async with asyncio.timeout(DRAIN_SECONDS):
            while await self.corner.pole.outbox.backlog():
                await asyncio.sleep(0.05)
