"""Answers, silence and gaps of attribute heads: figures known by hand, and the shipped model on drawn people."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware.flow.record import Dimension
from tools.evaluate import __main__ as command
from tools.evaluate import attributes
from tools.evaluate.attributes import Answers, figures, risk_coverage

MODELS = Path(__file__).parents[3] / "models"
SCORES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]], np.float32)
TRUTH = np.array([0, 1, 1, 0])


def test_silence_is_neither_right_nor_wrong() -> None:
    found = figures(SCORES, TRUTH, 0.65)
    assert found["balanced"] == 0.5
    assert found["coverage"] == 0.75
    assert found["right of answered"] == pytest.approx(2 / 3)
    assert found["balanced of answered"] == 0.75
    assert math.isnan(figures(SCORES, TRUTH, 0.95)["right of answered"])
    assert math.isnan(figures(SCORES, TRUTH, 0.85)["balanced of answered"])  # one class never answered


def test_the_surest_answer_first() -> None:
    assert risk_coverage(SCORES, TRUTH) == [(0.25, 0.0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]


def test_a_gap_is_told_against_everybody() -> None:
    one = Answers(Dimension.SEX, "street", SCORES, TRUTH, (("a",), ("b",), ("a",), ("b",)))
    rows = {str(row["group"]): row for row in attributes.gaps([one], {Dimension.SEX: 0.65})}
    assert (rows["a"]["right"], rows["a"]["less everybody's"], rows["a"]["coverage"]) == (1.0, 0.5, 1.0)
    assert (rows["b"]["right"], rows["b"]["coverage"]) == (0.0, 0.5)


def test_a_face_far_away_has_few_pixels() -> None:
    rng = np.random.default_rng(3)
    picture = Image.fromarray(rng.integers(0, 255, (200, 200, 3), dtype=np.uint8))
    near, far = (attributes.face_as_seen(picture, (70, 40, 50, 60), pixels) for pixels in (40, 12))
    assert near.shape == far.shape == (96, 72, 3)
    assert len(np.unique(far[..., 0])) < len(np.unique(near[..., 0]))


def masked_folder(root: Path) -> Path:
    images = root / "people" / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(4)
    entries, faces = [], []
    for k in range(40):
        Image.fromarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)).save(images / f"f{k}.png")
        entries.append(
            {"id": k, "file_name": f"f{k}.png", "source": "masks", "tier": "B", "person_boxes_complete": False}
        )
        state = ("with_mask", "without_mask", "mask_weared_incorrect")[k % 3]
        faces.append({"image_id": k, "category_id": 2, "bbox": [50, 30, 30, 34], "mask": state})
    document = {"categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "face"}], "images": entries,
                "annotations": faces}  # fmt: skip
    (root / "people" / "annotations.json").write_text(json.dumps(document))
    return root


def test_faces_are_shown_no_larger_than_they_are(tmp_path: Path) -> None:
    bodies = list(attributes.of_masks(masked_folder(tmp_path)))
    assert bodies
    assert {body.source for body in bodies} == {f"faces at {pixels} px" for pixels in (12, 16, 20, 30)}
    assert all(set(body.truth) == {Dimension.MASK} for body in bodies)


def test_close_ups_are_shown_as_small_as_a_pole_shows_them(tmp_path: Path) -> None:
    images = tmp_path / "people" / "images"
    images.mkdir(parents=True)
    entries = [{"id": k, "file_name": f"c{k}.png", "source": "f", "tier": "B", "person_boxes_complete": False}
               for k in range(30)]  # fmt: skip
    for entry in entries:
        picture = Image.new("RGB", (100, 100))
        picture.paste("white", (36, 29, 64, 65))  # where such a picture has its face
        picture.save(images / str(entry["file_name"]))
    faces = [{"image_id": k, "category_id": 2, "bbox": [0, 0, 100, 100], "gender": "female",
              "age": ("60-69", "3-9")[k % 2]} for k in range(30)]  # fmt: skip
    document = {"categories": [], "images": entries, "annotations": faces}
    (tmp_path / "people" / "annotations.json").write_text(json.dumps(document))
    bodies = list(attributes.of_faces(tmp_path))
    assert {body.source for body in bodies} == {f"faces at {pixels} px" for pixels in attributes.SIZES}
    assert {"female 60-69", "female 0-19"} >= {body.groups[2] for body in bodies}
    assert all((Dimension.AGE in body.truth) == ("60-69" not in body.groups[1]) for body in bodies)
    for body in bodies:
        rows = np.flatnonzero((body.crop[..., 0] > 128).any(axis=1))
        assert len(rows) == pytest.approx(attributes.FACE_SHARE * 96, abs=7)


def test_the_whole_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = masked_folder(tmp_path / "data"), tmp_path / "out"
    words = ["attributes", "--streets", "1", "--slices", "3", "--data", str(data), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["evaluate", *words, "--models", str(MODELS)])
    command.main()
    text = capsys.readouterr().out
    assert all(word in text for word in ("street", "faces at 20 px", "coverage", "skin"))
    assert {path.name for path in out.glob("*.png")} == {"risk-sex.png", "risk-age.png", "risk-mask.png"}
