"""Robustness, groups, memory: small runs of the real thing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.evaluate import __main__ as command
from tools.evaluate import groups, robust
from tools.evaluate.footprint import megabytes
from tools.evaluate.groups import Someone

MODELS = Path(__file__).parents[3] / "models"


def test_every_condition_shows_the_same_people_otherwise() -> None:
    first = {name: next(iter(robust.as_set(name, 1).pictures())) for name in ("day", "night", "blur-2", "shaken-6")}
    assert len({picture.tobytes() for picture, _ in first.values()}) == 4
    assert np.array_equal(first["day"][1].wanted, first["night"][1].wanted)
    assert np.array_equal(first["day"][1].wanted, first["blur-2"][1].wanted)


def test_shaking_smears_sideways_only() -> None:
    dot = Image.new("RGB", (40, 20))
    dot.putpixel((20, 10), (240, 240, 240))
    seen = np.asarray(robust.moved(6)(dot, np.random.default_rng(1)))[..., 0]
    assert (seen[10] == 40).sum() == 6
    assert seen.sum() == 240


def test_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["robust", "--slices", "1", "--condition", "day", "--condition", "tilt-60"]
    monkeypatch.setattr("sys.argv", ["evaluate", *words, "--models", str(MODELS), "--out", str(tmp_path)])
    command.main()
    assert {path.name for path in tmp_path.iterdir()} == {
        "robust.md",
        "robust.csv",
        "robust-ap50.png",
        "robust-recall.png",
    }


def someone(height: float, value: str, *, found: bool) -> Someone:
    return Someone(0, height, found, (("age", value),))


def test_a_gap_of_size_is_not_told_as_a_gap_of_kind() -> None:
    """Children here are missed only because they are small: at equal heights nothing is left of the gap."""
    small = [someone(30, "0-19", found=k < 2) for k in range(10)] + [
        someone(30, "20-39", found=k < 1) for k in range(5)
    ]
    tall = [someone(100, "0-19", found=True) for _ in range(2)] + [someone(100, "20-39", found=True) for _ in range(13)]
    rows = {str(row["value"]): row for row in groups.report([*small, *tall])}
    assert float(rows["0-19"]["recall"]) < float(rows["20-39"]["recall"]) - 0.3
    assert float(rows["0-19"]["at equal heights"]) == pytest.approx(float(rows["20-39"]["at equal heights"]))
    assert groups.widest(list(rows.values()))[0]["gap"] == pytest.approx(0)


def test_groups_of_drawn_streets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "groups", "--models", str(MODELS), "--streets", "1", "--slices", "2"])
    command.main()
    text = capsys.readouterr().out
    assert all(word in text for word in ("sex x age", "skin", "female", "65+", "worst"))


def test_a_model_takes_some_memory() -> None:
    assert all(0.5 < megabytes(file) < 200 for file in MODELS.glob("*.tflite"))
