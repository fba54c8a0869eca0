"""Ours beside another file on a folder of pictures, from the command line to the last PNG."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.evaluate import __main__ as command
from tools.evaluate.contender import OurDetector, TfliteDetector, contenders, fitted, planar, within
from tools.evaluate.drawn import as_set
from tools.evaluate.pictures import held_out_sets, opened, read_coco
from tools.evaluate.score import overlaps
from tools.street.__main__ import picture_of
from tools.street.scene import Scene
from tools.street.street import Street

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def street_picture() -> Image.Image:
    small = np.empty(640 * 360 * 3 // 2, np.uint8)
    Street(Scene(people_per_minute=30), 900_321, width=640).render(20.0, None, small)
    return picture_of(small, 640)


def test_a_file_without_a_manifest_says_what_the_firmware_says(street_picture: Image.Image) -> None:
    ours = OurDetector(MODELS)
    plain = TfliteDetector(ours.file)
    assert plain.form == "street"
    first, second = ours.find(street_picture), plain.find(street_picture)
    for one, other in ((first, second), (second, first)):
        sure = one.boxes[one.scores >= 0.5]  # the two squeeze the picture a little differently
        assert len(sure) > 0
        assert overlaps(sure, other.boxes[other.scores >= 0.25])[0].max(axis=1).min() > 0.75


def test_a_picture_of_another_shape_gives_boxes_in_its_own_pixels(street_picture: Image.Image) -> None:
    tall = Image.new("RGB", (640, 720), "grey")
    tall.paste(street_picture, (0, 180))
    seen = OurDetector(MODELS).find(tall)  # fitted: half as large
    assert len(seen.boxes)
    assert seen.boxes[:, 0].min() >= 0
    assert seen.boxes[:, 2].max() <= 320
    assert seen.boxes[:, 1].min() > 60


def test_fitting_there_and_back() -> None:
    picture = Image.new("RGB", (400, 200))
    inside, factor, left, top = fitted(picture, (640, 360), middle=True)
    assert (inside.size, factor, left, top) == ((640, 360), 1.6, 0, 20)
    back = within(np.array([[160, 20, 320, 180]], np.float32), factor, (left, top), picture.size)
    assert back[0].tolist() == pytest.approx([160, 0, 320, 160])  # small-picture pixels: the fitted picture's
    assert planar(inside).shape == (640 * 360 * 3 // 2,)


def folder(root: Path) -> Path:
    """A training folder of two sources, 80 pictures of which a few are held out."""
    images = root / "people" / "images"
    images.mkdir(parents=True)
    document = {
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "face"}],
        "images": [
            {"id": k, "file_name": f"p{k}.png", "source": "full" if k % 2 else "part", "tier": "A",
             "person_boxes_complete": bool(k % 2)}
            for k in range(80)
        ],
        "annotations": [
            {"image_id": k, "category_id": 1, "bbox": [100, 100, 40, 90], "iscrowd": int(k % 5 == 0)} for k in range(80)
        ] + [{"image_id": k, "category_id": 2, "bbox": [100, 100, 20, 20]} for k in range(80)],
    }  # fmt: skip
    for k in range(80):
        Image.new("RGB", (320, 320), (k, 90, 90)).save(images / f"p{k}.png")
    (root / "people" / "annotations.json").write_text(json.dumps(document))
    return root


def test_only_what_training_holds_out_is_measured(tmp_path: Path) -> None:
    data = folder(tmp_path)
    sets = {chosen.name: list(chosen.pictures()) for chosen in held_out_sets(data)}
    assert set(sets) == {"full", "full-16:9", "part", "part-16:9"}
    assert 0 < len(sets["full"]) < 20
    assert all(picture.size == (320, 180) for picture, _ in sets["full-16:9"])
    assert all(marked.complete for _, marked in sets["full"])
    assert not any(marked.complete for _, marked in sets["part"])


def test_crowds_are_regions_and_windows_cut(tmp_path: Path) -> None:
    read = read_coco(folder(tmp_path) / "people" / "annotations.json", tmp_path / "people" / "images")
    crowd = opened(read[0], window=False)[1]
    assert (len(crowd.wanted), len(crowd.regions)) == (0, 1)
    whole = opened(read[1], window=False)[1]
    assert whole.wanted[0].tolist() == pytest.approx([112.5, 112.5, 157.5, 213.75])
    cut = opened(read[1], window=True)[1]
    assert cut.wanted[0].tolist() == pytest.approx([200, 60, 280, 240])  # 70 rows above the window are gone


def test_the_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data, out, other = folder(tmp_path / "data"), tmp_path / "out", tmp_path / "other"
    other.mkdir()
    (other / "twin.tflite").write_bytes((MODELS / "street_s.tflite").read_bytes())
    monkeypatch.setattr(
        "sys.argv",
        ["evaluate", "anchors", "--models", str(MODELS), "--anchors", str(other), "--data", str(data), "--suite", "day",
         "--slices", "1", "--rounds", "2", "--out", str(out)],
    )  # fmt: skip
    command.main()
    assert "street-day" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "anchors.csv").read_text().splitlines()))
    day = {row["model"]: row for row in rows if row["set"] == "street-day"}
    assert set(day) >= {"street_s", "twin"}
    assert float(day["street_s"]["AP50"]) == pytest.approx(float(day["twin"]["AP50"]), abs=0.05)
    assert float(day["street_s"]["AP50"]) > 0.3
    assert all(math.isnan(float(row["AP50"])) for row in rows if row["set"].startswith("part"))
    for name in ("ap50.png", "count.png", "recall.png", "milliseconds.png", "calibration-full-16x9.png"):
        with Image.open(out / name) as chart:
            assert len(chart.convert("RGB").getcolors(1 << 20) or []) > 2
    fast = {row["model"]: float(row["ms"]) for row in csv.DictReader((out / "speed.csv").read_text().splitlines())}
    assert fast["street_s"] > 0


def test_two_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "street_s.tflite").write_bytes((MODELS / "street_s.tflite").read_bytes())
    names = [runner.name for runner in contenders([MODELS], tmp_path)[0]]
    assert len(set(names)) == len(names) >= 2


def test_a_set_of_drawn_streets_is_the_same_each_time() -> None:
    chosen = as_set("night", 1, 6_000)
    first, second = (next(iter(chosen.pictures())) for _ in range(2))
    assert first[0].tobytes() == second[0].tobytes()
    assert np.array_equal(first[1].wanted, second[1].wanted)
