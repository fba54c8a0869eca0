"""Faces and confidences of the attribute heads' recipe, as far as they need no training framework."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tools.train.confidence import DRAWN, SILENT, SIZES, Told, accuracy, confidence_of, right_enough
from tools.train.face_file import hash_of, read_weights
from tools.train.faces import (
    COLUMNS,
    PARTS,
    ROWS,
    UPRIGHT,
    WIDE,
    Face,
    frame_of,
    mixed,
    nobodys_view,
    part_of,
    read_faces,
    seen,
)
from tools.train.real_samples import Photograph, held_out
from tools.train.upper_bodies import views_of

SIDE = 200
BRIGHT = 180


def disc(name: str = "a", height: float = 72.0) -> Face:
    """Return a dark tile with a bright disc as tall as a face, in its middle."""
    tile = Image.new("RGB", (SIDE, SIDE), (30, 30, 30))
    half = SIDE / WIDE / 2
    ImageDraw.Draw(tile).ellipse((SIDE / 2 - half, SIDE / 2 - half, SIDE / 2 + half, SIDE / 2 + half), "white")
    return Face(tile, (0, 1, 1), height, name, close_up=True)


@given(st.floats(29, 48), st.floats(30, 42), st.floats(26, 38), st.floats(-0.3, 0.3), st.integers(40, 110))
def test_a_face_is_where_and_as_tall_as_it_is_put(
    height: float, across: float, down: float, turn: float, rows: int
) -> None:
    crop = seen(frame_of(disc(), (height, across, down), turn), rows)
    assert crop.shape == (96, 72, 3)
    bright = np.argwhere(crop[..., 0] > BRIGHT)
    coarse = 1 + 96 / rows
    assert (bright[:, 0].max() - bright[:, 0].min() + 1) == pytest.approx(height, abs=2 * coarse)
    assert tuple(bright.mean(axis=0)) == pytest.approx((down, across), abs=coarse)


@pytest.mark.parametrize("seed", range(30))
def test_where_nobody_is_seen_the_trunk_sees_little_of_a_face(seed: int) -> None:
    def bright(crop: np.ndarray) -> int:
        return int((crop[ROWS[0] : ROWS[1], COLUMNS[0] : COLUMNS[1], 0] > BRIGHT).sum())

    face = disc()
    whole = bright(seen(frame_of(face, UPRIGHT), 96))
    assert bright(nobodys_view(face, np.random.default_rng(seed))) < 0.4 * whole


def test_few_pixels_are_few() -> None:
    rng = np.random.default_rng(1)
    noise = Face(Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)), (0, 0, 1), 72, "n", True)
    near, far = (seen(frame_of(noise, UPRIGHT), rows) for rows in (96, 30))
    assert 24 < (np.diff(far[..., 0].astype(int), axis=0) != 0).any(axis=1).sum() < 30
    assert len(np.unique(far[..., 0])) < len(np.unique(near[..., 0]))
    assert 10 < (np.diff(far[..., 1].astype(int), axis=0) != 0).any(axis=1).sum() < 15


def test_a_face_is_measured_at_no_more_pixels_than_it_has() -> None:
    sizes = [pixels for _, pixels in views_of(disc(height=34.0), np.random.default_rng(2))]
    assert set(sizes) == {20, 30}


def test_no_photograph_is_in_two_parts() -> None:
    photos = [Photograph(Path(f"{k}.png"), "x", "B", complete=False) for k in range(600)]
    parts = [part_of(photo) for photo in photos]
    assert all((part == "held") == held_out(photo) for part, photo in zip(parts, photos, strict=True))
    assert {part: parts.count(part) > 50 for part in PARTS} == dict.fromkeys(PARTS, True)
    folds = np.array([[part_of(photo, (k, 3)) == "held" for k in range(3)] for photo in photos])
    assert (folds.sum(axis=1) == 1).all()
    assert (np.abs(folds.mean(axis=0) - 1 / 3) < 0.07).all()


def test_somebody_who_does_not_exist_has_no_class() -> None:
    black = Face(Image.new("RGB", (SIDE, SIDE)), (0, 1, 1), 72, "b", close_up=True)
    white = Face(Image.new("RGB", (SIDE, SIDE), "white"), (1, 2, 1), 72, "w", close_up=True)
    for seed in range(12):
        made = mixed(black, white, np.random.default_rng(seed))
        assert made.classes[:2] == (-1, -1)
        assert 50 < np.asarray(made.tile).mean() < 205


def face_folder(root: Path) -> Path:
    images = root / "people" / "images"
    images.mkdir(parents=True)
    entries, marks = [], []
    for k in range(60):
        Image.new("RGB", (120, 120), (k, k, k)).save(images / f"f{k}.png")
        entries.append({"id": k, "file_name": f"f{k}.png", "source": "s", "tier": "B", "person_boxes_complete": False})
        mark = {"image_id": k, "category_id": 2, "bbox": [50, 30, 30, 34]}
        if k % 2:
            marks.append({**mark, "mask": ("with_mask", "without_mask", "mask_weared_incorrect")[k % 3]})
        else:
            marks.append({**mark, "gender": "male", "age": ("60-69", "3-9")[k // 2 % 2]})
    document = {"categories": [], "images": entries, "annotations": marks}
    (root / "people" / "annotations.json").write_text(json.dumps(document))
    return root


def test_faces_carry_what_is_known_of_them(tmp_path: Path) -> None:
    folder = face_folder(tmp_path)
    every = {part: list(read_faces(folder, part)) for part in PARTS}
    names = [face.name for part in PARTS for face in every[part]]
    assert len(names) == len(set(names)) == 50  # ten masks are worn under the nose
    kinds = {face.classes for faces in every.values() for face in faces}
    assert kinds == {(-1, -1, 0), (-1, -1, 1), (1, -1, 1), (1, 0, 1)}
    assert not list(read_faces(folder, "train", tier_b=False))


def told(sizes: tuple[int, ...], scores: list[float], right: list[bool]) -> Told:
    """Return one head's answers: everybody is of class 0, who is not told rightly has the score for class 1."""
    rows = [(score, 1 - score) if good else (1 - score, score) for score, good in zip(scores, right, strict=True)]
    count = len(sizes)
    return Told(np.array(rows * count, np.float32), np.zeros(len(rows) * count, np.int64),
                np.repeat(np.array(sizes), len(rows)))  # fmt: skip


def test_a_head_speaks_where_it_is_right_and_is_silent_where_it_is_not() -> None:
    scores = [0.55 + 0.04 * k for k in range(10)]
    good = told(SIZES, scores, [False, False, False, *[True] * 7])
    assert 0.5 < confidence_of("sex", good) <= 0.67
    assert confidence_of("sex", told(SIZES, scores, [False] * 6 + [True] * 4)) == SILENT  # too few would be answered
    assert confidence_of("age", good) == 0.5
    mixed_sizes = Told(
        np.concatenate((good.scores, 1 - good.scores)),
        np.concatenate((good.truth, good.truth)),
        np.concatenate((good.pixels, np.full(len(good.truth), SIZES[0]))),
    )
    assert confidence_of("sex", mixed_sizes) == SILENT  # wrong of small faces


def test_of_drawn_people_only_the_mask_is_asked() -> None:
    scores = [0.55 + 0.004 * k for k in range(100)]
    good = told(SIZES, [0.97] * 20, [True] * 20)
    bad = told((DRAWN,), scores, [False] * 60 + [True] * 40)
    both = Told(*(np.concatenate(pair) for pair in zip(
        (good.scores, good.truth, good.pixels), (bad.scores, bad.truth, bad.pixels), strict=True)))  # fmt: skip
    assert confidence_of("sex", both) == 0.5
    assert confidence_of("mask", both) == 0.78  # two of a hundred are told wrongly
    assert right_enough("mask", both, 0.78, DRAWN)
    assert not right_enough("mask", both, 0.77, DRAWN)


def test_figures_of_silence() -> None:
    found = accuracy("x", np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), np.array([0, 0]), SILENT)
    assert (found["x_accuracy"], found["x_answered"]) == (0.5, 0.0)
    assert "x_accuracy_answered" not in found


def weights_file(root: Path, head: str = "fc/age") -> Path:
    content = bytes([0, 10, 255]) + np.array([1.5, -2], np.float32).tobytes()
    (root / "w.bin").write_bytes(content)
    listed = root / "w.json"
    listed.write_text(json.dumps([{"paths": ["w.bin"], "weights": [
        {"name": "a", "shape": [3, 1], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}},
        {"name": f"{head}/bias", "shape": [2], "dtype": "float32"}]}]))  # fmt: skip
    return listed


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    listed = weights_file(tmp_path)
    found = read_weights(listed)
    assert found["a"].tolist() == [[-1], [4], [126.5]]
    assert found["fc/age/bias"].tolist() == [1.5, -2]
    assert len(hash_of(listed)) == 64
    (tmp_path / "w.bin").write_bytes((tmp_path / "w.bin").read_bytes() + b"x")
    with pytest.raises(ValueError, match="belong to no tensor"):
        read_weights(listed)


def test_a_start_that_could_tell_more_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither sex nor years"):
        read_weights(weights_file(tmp_path, "fc/descriptor"))
