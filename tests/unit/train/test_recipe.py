"""The parts of the recipe that need no training framework: views, shards, curves, the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware.drivers.model_manifest import read_manifest
from firmware.flow.form import FORMS, LARGE, SMALL
from firmware.flow.tensors import DetectorInput, Planes
from tools.train import chart
from tools.train.manifest import replace_entry
from tools.train.real_samples import Photograph, labelled
from tools.train.shards import Shelf, write
from tools.train.views import Changes, Labelled, mosaic, view

SIZES = ((384, 192), (512, 288))
GREY = (110, 128, 128)
MARK = (230, 90, 200)


def marked(width: int, height: int, box: tuple[int, int, int, int]) -> Labelled:
    """Return a grey picture with one bright rectangle, which is its person."""
    planes = []
    for level, mark in zip(GREY, MARK, strict=True):
        plane = np.full((height, width), level, np.uint8)
        plane[box[1] : box[3], box[0] : box[2]] = mark
        planes.append(Image.fromarray(plane))
    return Labelled((planes[0], planes[1], planes[2]), np.array([[*box, 1, 1]], np.float32))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_box_stays_on_its_person_in_every_view(size: tuple[int, int], whole: bool) -> None:
    rng, seen = np.random.default_rng(3), 0
    for number in range(60):
        source = marked(640, 480, (200, 120, 260, 300)) if number % 2 else marked(300, 400, (60, 50, 160, 380))
        picture, boxes = view(source, size, rng, whole=whole)
        assert picture.shape == (size[1], size[0], 3)
        for left, top, right, bottom, kind, sure in boxes:
            bright = np.argwhere(picture[..., 2] > 165)
            if kind != 1 or not len(bright):
                continue
            seen += 1
            assert sure == 1
            edges = (bright[:, 1].min(), bright[:, 0].min(), bright[:, 1].max() + 1, bright[:, 0].max() + 1)
            assert np.abs(np.array(edges) - (left, top, right, bottom)).max() <= 2.5
    assert seen > 40


def test_four_pictures_in_one_keep_their_boxes() -> None:
    rng = np.random.default_rng(4)
    picture, boxes = mosaic([marked(640, 480, (200, 120, 260, 300))] * 4, SIZES[0], rng)
    for left, top, right, bottom, kind, _ in boxes:
        middle = picture[int((top + bottom) / 2), int((left + right) / 2)]
        assert kind == 0 or middle[2] > 165


def test_changes_move_boxes_with_what_they_mark() -> None:
    changes, rng = Changes(5), np.random.default_rng(6)
    picture, boxes = view(marked(640, 360, (40, 100, 140, 300)), SIZES[0], rng, whole=True)
    mirrored = 0
    for _ in range(40):
        changed, moved = changes(picture, boxes)
        assert changed.shape == picture.shape
        mirrored += bool(abs(moved[0, 0] - boxes[0, 0]) > 1)
        assert moved[0, 2] - moved[0, 0] == pytest.approx(boxes[0, 2] - boxes[0, 0])
    assert 5 < mirrored < 35


@pytest.mark.parametrize("size", SIZES)
def test_a_view_of_a_whole_frame_is_what_the_counter_sees(size: tuple[int, int]) -> None:
    """A street's picture through the recipe's filters stays near the pole's own."""
    form = LARGE if size[0] == LARGE.width else SMALL
    assert (form.width, form.height) == size
    assert form.picture in FORMS
    coarse = np.random.default_rng(1).integers(0, 256, (23, 40), dtype=np.uint8)
    y = Image.fromarray(coarse).resize((640, 360), Image.Resampling.BICUBIC)
    u = Image.fromarray(coarse).resize((320, 180), Image.Resampling.BICUBIC)
    small = np.concatenate([np.asarray(y).ravel(), np.asarray(u).ravel(), np.asarray(u).ravel()])
    tensor = np.zeros(form.picture, np.int8)
    DetectorInput(form).fill(Planes(small), tensor)
    as_seen = (tensor.view(np.uint8) ^ 0x80)[0].astype(int)
    for channel, plane in enumerate((y, u, u)):
        trained = np.asarray(plane.resize(size, Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(as_seen[..., channel] - trained).mean() < (1.0, 4.5, 4.5)[channel]


def test_a_teachers_doubt_is_nobodys_fault(tmp_path: Path) -> None:
    """A sure box of a teacher is a person, a doubtful one and an unexplained face are places where nobody is judged."""
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    face = {"bbox": [300, 40, 20, 25]}
    photo = Photograph(tmp_path / "a.png", "x", "B", complete=False, rows=[(10, 10, 50, 120, 1.0)], faces=[face])
    taught = {"a.png": [[12, 10, 50, 121, 0.9, 0.9], [100, 20, 140, 130, 0.7, 0.8], [200, 20, 240, 130, 0.2, 0.3],
                        [360, 200, 390, 290, 0.05, 0.1]]}  # fmt: skip
    kinds = [tuple(row[:5].tolist()) for row in labelled(photo, taught).boxes]
    assert kinds[0] == (10, 10, 50, 120, 1)
    assert (100, 20, 140, 130, 1) in kinds
    assert (200, 20, 240, 130, 0) in kinds
    assert len(kinds) == 4
    assert kinds[3][4] == 0
    assert kinds[3][0] < 300 < 320 < kinds[3][2]


def test_shards_keep_boxes_with_their_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    made = [(rng.integers(0, 256, 345_600, dtype=np.uint8), rng.random((k, 5)).astype(np.float32)) for k in (2, 0, 3)]
    write(tmp_path, 0, made)
    shelf = Shelf(tmp_path)
    write(tmp_path, 1, made[:1])
    assert len(shelf) == 3
    shelf.refresh()
    assert len(shelf) == 4
    for k, (picture, boxes) in enumerate([*made, made[0]]):
        assert np.array_equal(shelf[k][0], picture)
        assert np.array_equal(shelf[k][1], boxes)


def test_curves_are_drawn(tmp_path: Path) -> None:
    assert chart.curves(tmp_path, "s") is None
    (tmp_path / "curve-s.csv").write_text("".join(f"{k * 60},{k * 100},0.001,{1 / (k + 1)},0.5\n" for k in range(9)))
    path = chart.curves(tmp_path, "s")
    assert path is not None
    colours = {colour for _, colour in Image.open(path).getcolors(1 << 20) or []}
    assert set(chart.COLOURS.values()) <= colours


def entry(task: str, file: str, threshold: float) -> dict[str, object]:
    heat = {"name": "a", "shape": [1, 24, 48, 1], "dtype": "int8", "scale": 0.1, "zero_point": 3, "meaning": "heat_8"}
    picture = {**heat, "name": "in", "shape": [1, 192, 384, 3], "meaning": "picture"}
    out: dict[str, object] = {
        "file": f"{file}.tflite", "sha256": "0" * 64, "task": task, "licence": "Apache-2.0",
        "training_data": 'a "street"', "input": picture, "output": [heat], "measured": {"ap50": 0.5},
    }  # fmt: skip
    if task == "persons":
        return {**out, "score_threshold": threshold}
    return {**out, "minimum_height_pixels": 60, "output": [{**heat, "meaning": "sex", "confidence": 0.8}]}


def test_the_manifest_is_one_the_firmware_reads(tmp_path: Path) -> None:
    for task, file, threshold in (
        ("persons", "s", 0.3), ("attributes", "a", 0.0), ("persons", "m", 0.2), ("persons", "s", 0.4),
    ):  # fmt: skip
        replace_entry(tmp_path, entry(task, file, threshold))
    manifest = read_manifest(tmp_path)
    assert [model.file for model in manifest.model] == ["s.tflite", "m.tflite", "a.tflite"]
    first = manifest.for_task("persons")
    assert first is not None
    assert (first.file, first.score_threshold) == ("s.tflite", 0.4)
    other = manifest.for_task("persons", "m")
    assert other is not None
    assert other.score_threshold == 0.2
    assert manifest.for_task("persons", "a") is None
    assert first.training_data == 'a "street"'
    assert first.measured == {"ap50": 0.5}
