"""The models' page gets its figures from files, between two marks and nowhere else; a pole's outbox is compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageColor

from tools.evaluate import chart, page, table
from tools.evaluate.chart import round_up
from tools.evaluate.outbox import compare


def saved(folder: Path) -> Path:
    table.save([{"model": "a", "ms": 1.234567, "KB": 12}], folder, "speed")
    table.save([{"group": "sex", "worst": "female", "best": "male", "gap": 0.0312}], folder, "gaps-street_s")
    rows = [{"model": "a", "condition": "day", "people/min": rate, "MAE": 0.1} for rate in ("1", "all")]
    table.save(rows, folder, "counting-a")
    return folder


def test_figures_stand_between_the_marks_and_the_rest_stays(tmp_path: Path) -> None:
    target = tmp_path / "README.md"
    target.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(target, saved(tmp_path / "out"))
    text = target.read_text()
    assert text.startswith(f"before\n{page.BEGIN}\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "old" not in text
    assert "| a | 1.235 | 12 |" in text
    assert "| street_s | sex | female | male | 0.031 |" in text
    assert text.count("| a | day |") == 1  # only the row of all rates


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "README.md"
    target.write_text("by hand\n")
    with pytest.raises(ValueError, match="needs one line"):
        page.write(target, saved(tmp_path / "out"))
    assert target.read_text() == "by hand\n"


def test_unknown_is_a_dash_and_digits_are_few() -> None:
    rows: list[dict[str, table.Cell]] = [{"word": "x", "a": float("nan"), "b": 1234.5}, {"word": "longer", "a": 0.5}]
    assert table.text(rows).splitlines()[1].split() == ["x", "-", "1234"]
    assert table.markdown(rows).splitlines()[1] == "| --- | ---: | ---: |"


def test_a_poles_outbox_beside_the_truth() -> None:
    told = [
        {"spSeq": 7, "spStatus": "published", "spMeanOccupancy": 3.0},
        {"spSeq": 8, "spStatus": "suppressed"},
    ]
    truth = {
        "minutes": [
            {"minute": 0, "mean_occupancy": 4.0, "counts_descending": [5] * 60},
            {"minute": 1, "mean_occupancy": 3.5, "counts_descending": [4] * 60},
        ]
    }
    lines = compare(told, truth)
    assert "published 1 of 2: MAE 1.00 persons (25.0%), bias -25.0%" in lines[2]
    assert "1 of 2" in lines[3]


@pytest.mark.parametrize(("length", "axis"), [(0.97, 1), (1, 1), (8.96, 10), (0.031, 0.04), (2.2, 2.5), (0, 1)])
def test_an_axis_ends_at_a_round_number(length: float, axis: float) -> None:
    assert round_up(length) == pytest.approx(axis)


def test_every_name_is_in_the_key(tmp_path: Path) -> None:
    """With a colour for each of eight long names; those are drawn nowhere but in the key when all bars are unknown."""
    names = [f"a detector with quite a long name, number {k}" for k in range(8)]
    chart.bars(tmp_path / "key.png", "key", ["x"], {name: [float("nan")] for name in names})
    with Image.open(tmp_path / "key.png") as picture:
        seen = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {ImageColor.getrgb(colour) for colour in chart.COLOURS} <= seen
