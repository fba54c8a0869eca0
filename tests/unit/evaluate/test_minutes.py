"""Minutes under the firmware's rule: of made-up counts, of a video, of an empty street."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.flow.record import PublishedMinute
from tools.evaluate import __main__ as command
from tools.evaluate import counting, empty, minutes
from tools.evaluate.bootstrap import interval, never_seen
from tools.evaluate.cores import spread
from tools.evaluate.counting import Watched, gain_of
from tools.evaluate.measure import Detector
from tools.evaluate.minutes import Minute, published, rules, summary, told
from tools.street.__main__ import render
from tools.street.scene import Scene

MODELS = Path(__file__).parents[3] / "models"
CROWDED = (4,) * 60
FEW = (2,) * 60


def test_a_minute_is_told_as_the_pole_tells_it() -> None:
    assert isinstance(told(CROWDED, rules()), PublishedMinute)
    assert not published(FEW, rules())
    assert not published([3] * 4 + [0] * 56, rules())  # the fifth largest decides
    assert published([3] * 5 + [0] * 55, rules())


def test_agreement_knows_which_side_was_wrong() -> None:
    both = [Minute(CROWDED, FEW), Minute(FEW, CROWDED), Minute(CROWDED, CROWDED), Minute(FEW, FEW)]
    found = summary(both, rules())
    assert (found["agreement"], found["published wrongly"], found["suppressed wrongly"]) == (0.5, 0.25, 0.25)
    assert found["MAE"] == pytest.approx(4 / 12)
    assert found["bias"] == 0
    assert found["peak MAE"] == 1


def test_of_nobody_there_is_no_share() -> None:
    assert math.isnan(summary([Minute((1,) * 60, (0,) * 60)], rules())["MAE"])


def street(condition: str, told: tuple[Minute, ...]) -> Watched:
    return Watched(condition, 20.0, told, told)


def test_a_constant_is_fitted_on_other_streets_only() -> None:
    half = street("day", (Minute((2,) * 60, (4,) * 60),))
    third = street("rain", (Minute((1,) * 60, (3,) * 60),))
    dark = [street("night", (Minute((1,) * 60, (6,) * 60),)) for _ in range(2)]
    assert gain_of([half]) == 2
    rows = {str(row["condition"]): row for row in counting.report([half, third, *dark]) if row["people/min"] == "all"}
    assert rows["day"]["bias"] == pytest.approx(-0.5)
    assert rows["day"]["bias with constant"] == pytest.approx((2 * 3 - 4) / 4)
    assert rows["rain"]["bias with constant"] == pytest.approx((1 * 2 - 3) / 3)
    assert rows["night"]["bias"] == pytest.approx(-5 / 6)
    assert rows["night"]["bias with constant"] == 0, "the night has its own constant"
    assert counting.constants([half, third, *dark]) == {"mean_day_percent": 233, "mean_night_percent": 600}


def test_a_video_is_read_slice_by_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each slice of the video finds about the persons that its truth tells; the command says the same."""
    video, truth = tmp_path / "street.mp4", tmp_path / "truth.json"
    render(Scene(people_per_minute=20), 905_501, seconds=61, fps=1, out=video, truth=truth)
    found = minutes.of_video(Detector(MODELS), video, truth)
    assert len(found) == 1
    assert len(found[0].counted) == len(found[0].there) == 60
    assert np.corrcoef(found[0].counted, found[0].there)[0, 1] > 0.5
    words = ["minutes", "--video", str(video), "--truth", str(truth), "--models", str(MODELS)]
    monkeypatch.setattr("sys.argv", ["evaluate", *words])
    command.main()
    assert f"{np.mean(found[0].there):.3f}" in capsys.readouterr().out


@given(st.lists(st.integers(0, 5), min_size=60, max_size=60))
@settings(max_examples=50)
def test_a_made_up_minute_opens_exactly_when_the_firmware_says(slices: list[int]) -> None:
    """A street of one block has only one minute that can be made of it."""
    ten = slices[:10]
    assert empty.made_up(ten, rules(), 3) == float(published(ten * 6, rules()))


def test_what_stands_is_drawn_out_and_what_passes_is_not() -> None:
    statue, passing = [100.0, 100, 130, 180], [300.0, 50, 320, 90]
    slices = [np.array([statue, passing] if k == 3 else [statue], np.float32) + k % 2 for k in range(10)]
    slices[5] = np.zeros((0, 4), np.float32)
    polygons = empty.standing(slices)
    assert len(polygons) == 1
    counted = empty.mask(360, 640, (), tuple(polygons))
    assert empty.outside(np.array([statue, passing], np.float32), counted) == 1


def test_bounds() -> None:
    assert never_seen(3000) == pytest.approx(1e-3, rel=0.01)
    low, high = interval([0.0, 1.0] * 20, lambda some: float(np.mean(some)))
    assert 0.3 < low < 0.5 < high < 0.7
    assert math.isnan(interval([], lambda _: 0.0)[0])


def test_empty_streets_hold_nobody_and_are_reported_both_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "empty", "--models", str(MODELS), "--streets", "2", "--hours", "0.03",
                                     "--out", str(tmp_path)])  # fmt: skip
    command.main()
    text = capsys.readouterr().out
    assert "as found" in text
    assert "commissioned" in text
    assert list(tmp_path.glob("empty-*.csv"))


@pytest.mark.parametrize("cores", [1, 2])
def test_work_comes_back_in_its_order(cores: int) -> None:
    assert list(spread(math.factorial, range(9, 0, -1), cores)) == [math.factorial(n) for n in range(9, 0, -1)]
