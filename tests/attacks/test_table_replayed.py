"""An older epoch table copied back: beside the one in force, in its place, under its name. Never one minute more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.footage.parts import Parts
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock, minute_of
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.attacks.test_erasure import HOUR_NS, record_a_minute
from tests.parts.footage_parts import MemoryKeystore, Silence, make_parts

START_NS = 29_923_200 * NS_PER_MINUTE


class Scene:
    """A pole that has erased an old minute; the thief kept the table that still opened it, and its chunks."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = SimulatedClock(START_NS)
        self.keystore = MemoryKeystore()
        self.sink = Silence()
        self.state = tmp_path
        self.copy = b""
        self.copied_generation = 0
        self.old = minute_of(START_NS)

    def start(self) -> Parts:
        return make_parts(self.state, self.clock, self.keystore, log=Log(self.sink))

    @property
    def table(self) -> Path:
        (path,) = (self.state / "footage").glob("*.table")
        return path

    async def play(self) -> None:
        parts = self.start()
        await boot(parts, Eraser(parts))
        await record_a_minute(parts, self.clock)
        self.copy, self.copied_generation = self.table.read_bytes(), parts.table.generation
        await self.clock.advance_to(START_NS + 336 * HOUR_NS)
        parts = self.start()
        await boot(parts, Eraser(parts))
        assert parts.table.generation > self.copied_generation
        assert self.old not in parts.table.epochs()


def image_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_beside_the_one_in_force_it_is_refused_told_and_removed(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    await scene.play()
    put_back = scene.table.with_name(f"epochs-{scene.copied_generation}.table")
    put_back.write_bytes(scene.copy)
    parts = scene.start()
    await boot(parts, Eraser(parts))
    assert scene.old not in parts.table.epochs()
    assert not put_back.exists()
    assert [dict(line.fields) for line in parts.ledger.lines("table.refused")] == [
        {"generation": scene.copied_generation}
    ]
    assert any("table_refused" in line for line in scene.sink.lines)
    with pytest.raises(KeystoreError, match="E-KEY-GONE"):
        await parts.table.sealed_identity(scene.old)


@pytest.mark.parametrize(
    "put",
    [
        lambda table, generation: table.with_name(f"epochs-{generation}.table"),
        lambda table, _generation: table,  # under the name of the one in force
        lambda table, _generation: table.with_name("epochs-999999.table"),
    ],
    ids=["its own name", "the name in force", "a newer name"],
)
async def test_instead_of_the_one_in_force_nothing_opens_and_nothing_is_begun_anew(
    tmp_path: Path, put: Callable[[Path, int], Path]
) -> None:
    scene = Scene(tmp_path)
    await scene.play()
    in_force, secrets = scene.table.read_bytes(), dict(scene.keystore.slots)
    name = scene.table
    place = put(name, scene.copied_generation)
    name.unlink()
    place.write_bytes(scene.copy)
    parts = scene.start()
    for _ in range(2):
        with pytest.raises(KeystoreError, match="E-KEY-LOST"):
            await boot(parts, Eraser(parts))
    assert [dict(line.fields) for line in parts.ledger.lines("keystore.refused")] == [{"reason": "lost"}]
    assert scene.keystore.slots == secrets  # nothing destroyed by the attempt
    place.unlink()
    name.write_bytes(in_force)
    parts = scene.start()
    await boot(parts, Eraser(parts))
    assert scene.old not in parts.table.epochs()


async def test_a_whole_disk_of_an_hour_ago_does_not_open_with_todays_chip(tmp_path: Path) -> None:
    """The image of the disk, ledger and all, against a chip whose secret has gone on: refused, not rolled back."""
    scene = Scene(tmp_path)
    parts = scene.start()
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, scene.clock)
    image = image_of(tmp_path)
    await scene.clock.advance_to(scene.clock.utc_ns() + HOUR_NS)
    await Eraser(parts).sweep()
    scene.table.unlink()
    for path, content in image.items():
        path.write_bytes(content)
    with pytest.raises(KeystoreError, match="E-KEY-LOST"):
        parts = scene.start()
        await boot(parts, Eraser(parts))
