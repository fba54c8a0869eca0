"""The whole recipe on a small budget: it learns, exports, goes on where it stopped. Needs its own environment."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.street import Scene, Street
from tools.street.__main__ import picture_of

ROOT = Path(__file__).parents[3]


pytestmark = pytest.mark.training


@pytest.fixture
def trainer() -> Path:
    """Return the Python of the recipe's own environment."""
    python = ROOT / ".venv-training" / "bin" / "python"
    assert python.exists(), "tools/check makes the environment of tools/train/requirements.txt with CI=true or --long"
    return python


def drawn_folder(root: Path) -> Path:
    """Write a folder of the recipe's form; its photographs are drawn."""
    images = root / "people" / "images"
    images.mkdir(parents=True)
    small, entries, marks = np.empty(640 * 360 * 3 // 2, np.uint8), [], []
    for number in range(24):
        truth = Street(Scene(people_per_minute=40), 700_000 + number, width=640).render(30.0, None, small)
        picture_of(small, 640).save(images / f"d{number}.png")
        entries.append({"id": number, "file_name": f"d{number}.png", "width": 640, "height": 360, "tier": "A",
                        "source": "coco2017", "person_boxes_complete": True})  # fmt: skip
        for person in truth:
            left, top, right, bottom = person.box
            marks.append({"id": len(marks), "image_id": number, "category_id": 1, "iscrowd": int(not person.counted),
                          "bbox": [left, top, right - left, bottom - top]})  # fmt: skip
    document = {"categories": [{"id": 1, "name": "person"}], "images": entries, "annotations": marks}
    (root / "people" / "annotations.json").write_text(json.dumps(document))
    return root


def test_a_few_dozen_steps_from_nothing_learn_and_export(trainer: Path, tmp_path: Path) -> None:
    data, out = drawn_folder(tmp_path / "data"), tmp_path / "out"
    command = [str(trainer), "-m", "tools.train", "detector", "--data", str(data), "--out", str(out), "--smoke",
               "--minutes", "30", "--size", "s", "--export", str(tmp_path / "models")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    losses = [sum(map(float, line.split(",")[3:])) for line in (out / "curve-s.csv").read_text().split()]
    assert losses[-1] < 0.9 * losses[0]
    with Image.open(out / "curve-s.png") as curve:
        assert curve.size[0] > 100
    assert (tmp_path / "models" / "street_s.tflite").stat().st_size < 2 * 1024 * 1024
    apart = done.stdout.partition("int8 beside float, mean differences: ")[2].splitlines()[0]
    assert all(error < 0.3 for error in ast.literal_eval(apart).values()), apart
    assert (out / "street_s.best.tflite").exists()
    layers = (out / "street_s.layers.csv").read_text().splitlines()
    assert len(layers) > 60
    sources = json.loads((out / "shards" / "sources.json").read_text())
    assert sources["coco2017"]["tier"] == "A"
    assert len(sources["coco2017"]["sha256"]) == 64


def test_it_goes_on_where_it_stopped(trainer: Path, tmp_path: Path) -> None:
    data, out = drawn_folder(tmp_path / "data"), tmp_path / "out"
    command = [str(trainer), "-m", "tools.train", "detector", "--data", str(data), "--out", str(out), "--smoke",
               "--minutes", "30", "--size", "s", "--steps", "10"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=1500)
    first = shutil.copyfile(out / "detector-s.pt", tmp_path / "first.pt")
    command += ["--export", str(tmp_path / "models"), "--blend", str(first)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=1500)
    assert (tmp_path / "models" / "street_s.tflite").exists()
    steps = [int(line.split(",")[1]) for line in (out / "curve-s.csv").read_text().split()]
    assert steps == [10, 20]
