"""The counter behind its jail: honest, lying, late, dead, refused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from firmware.drivers.jail_door import WALLS
from firmware.flow.record import Dimension
from firmware.flow.settings import FlowSettings
from firmware.ground.errors import JailError, ModelError
from tests.attacks.hostile_start import INTERPRETER
from tests.parts.leased_counter import counting
from tests.parts.small_models import PERSONS, PICTURE, VECTORS, Walker, crowd, draw, entry, good_manifest

ALL = FlowSettings(attributes=tuple(Dimension))


async def test_it_counts_what_was_drawn() -> None:
    async with counting(ALL) as parts:
        for people in (0, 1, 2, 13, 45):
            counts = await parts.count(draw(*crowd(people)))
            assert counts.persons == people
            assert sum(counts.sex) == sum(counts.age) == sum(counts.mask) == people
        tall = await parts.count(draw(Walker(8, 5, u=255, v=255), Walker(12, 20, u=0)))
        assert tall.persons == 2
        assert tall.age[-1] >= 1
        assert not any(parts.memory._bytes)
        assert parts.counter.about is not None
        assert parts.counter.about.bare_us > 0
        assert parts.counter.round_trip.count == 6
        assert set(WALLS) - set(parts.counter.missing_walls) == set(WALLS)


async def test_people_are_counted_where_the_region_is() -> None:
    left = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    settings = FlowSettings(region_of_interest=left, ignore=(((0.0, 0.0), (0.2, 0.0), (0.2, 1.0), (0.0, 1.0)),))
    async with counting(settings) as parts:
        counts = await parts.count(draw(Walker(8, 2), Walker(8, 12), Walker(8, 16), Walker(8, 30)))
    assert counts.persons == 2


def own_kilobytes(pid: int | None) -> int:
    """Return the private memory of a process that is in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


async def test_counting_takes_no_more_memory_however_long_it_lasts() -> None:
    async with counting(ALL) as parts:
        pictures = [draw(*crowd(people)) for people in (0, 3, 20, 45)]
        before = 0
        for number in range(1600):  # the interpreter's own pools fill during the first thousand, then nothing grows
            await parts.count(pictures[number % 4])
            before = own_kilobytes(parts.counter.pid) if number == 1400 else before
        assert own_kilobytes(parts.counter.pid) - before <= 16  # one page or two; ten thousand slices take no more


LIES = [
    "another nonce", "the answer before", "sums", "an attribute that is off", "too many", "a box in the spare bytes",
    "a spare field", "a longer answer", "a crop", "refusal", "dead", "late", "two answers",
]  # fmt: skip


@pytest.mark.parametrize("how", LIES)
async def test_a_lie_is_never_a_count(how: str) -> None:
    settings = FlowSettings(deadline_ms=600)
    models = Path("/nowhere", how.replace(" ", "_"))
    hostile = {"module": "tests.attacks.hostile_counter", "interpreter": INTERPRETER}
    async with counting(settings, models=models, **hostile) as parts:
        pid = parts.counter.pid
        assert (await parts.count(draw())).persons == 2
        if how == "two answers":  # the first is as asked; the second is noticed with the next question
            assert (await parts.count(draw())).persons == 2
        with pytest.raises(JailError) as lost:
            await parts.count(draw())
        assert lost.value.code in {"E-JAIL-ANSWER", "E-JAIL-DEATH", "E-JAIL-DEADLINE"}
        assert parts.counter.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid or 0, 0)
        assert not any(parts.memory._bytes)
        with pytest.raises(JailError, match="E-JAIL-DEATH"):  # and no start of another while a frame is held
            await parts.count(draw())
        await parts.counter.ready()
        assert (await parts.count(draw())).persons == 2
        assert parts.counter.restarts == 1


async def test_a_lie_about_itself_is_no_start() -> None:
    hostile = {"module": "tests.attacks.hostile_counter", "interpreter": INTERPRETER}
    with pytest.raises(JailError, match="E-JAIL-ANSWER"):
        async with counting(models=Path("/nowhere/a_lie_about_itself"), **hostile):
            pass


async def test_a_frame_that_is_too_old_is_not_asked_about() -> None:
    async with counting() as parts:
        with pytest.raises(JailError, match="E-JAIL-STALE"):
            await parts.count(draw(), age_ns=1_000_000_001)
        assert (await parts.count(draw(*crowd(3)))).persons == 3


async def test_a_killed_child_is_replaced() -> None:
    async with counting() as parts:
        assert parts.counter.pid is not None
        os.kill(parts.counter.pid, signal.SIGKILL)
        with pytest.raises(JailError, match="E-JAIL-DEATH"):
            await parts.count(draw())
        await parts.counter.ready()
        assert (await parts.count(draw(*crowd(4)))).persons == 4


@pytest.mark.parametrize(
    ("manifest", "settings", "code"),
    [
        (good_manifest().replace('sha256 = "', 'sha256 = "0000', 1), FlowSettings(), "E-CONFIG-KEY"),
        (entry("persons", "detector.tflite", PICTURE, PERSONS, sha256="0" * 64), FlowSettings(), "E-MODEL-HASH"),
        (entry("persons", "float.tflite", PICTURE, PERSONS), FlowSettings(), "E-MODEL-DTYPE"),
        (entry("persons", "extra.tflite", PICTURE, PERSONS), FlowSettings(), "E-MODEL-IDENT"),
        (entry("persons", "detector.tflite", PICTURE, PERSONS), ALL, "E-MODEL-MISSING"),
        (good_manifest(), FlowSettings(score_threshold=0.4), "E-MODEL-THRESHOLD"),
        ("", FlowSettings(), "E-CONFIG-KEY"),
    ],
)
async def test_a_refused_model_is_named_by_the_parent(
    manifest: str, settings: FlowSettings, code: str, tmp_path: Path
) -> None:
    for file in VECTORS.glob("*.tflite"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "MANIFEST.toml").write_text(manifest)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with pytest.raises(ModelError) as refused:
        async with counting(settings, models=tmp_path):
            pass
    assert refused.value.code == code
