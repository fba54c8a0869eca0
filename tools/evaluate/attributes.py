"""The attribute heads on people they never saw: how often they answer, how often they are right, for whom less.

Knows:  held-out faces of a folder, held-out drawn people through detector and crop as on a pole.
Never:  a face that training may have seen; an answer where the firmware would say unknown.
Leaves: answers with their truth; figures, risk-coverage curves, gaps between groups.
Clauses: 4.2(2), 6.1(3) (estimated sex, age band and mask, or 不明).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import read_manifest
from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.tensors import ATTRIBUTE_SHAPE, CROP_HEIGHT, CROP_WIDTH, CROPS, AttributeInput, Planes
from tools.evaluate import table
from tools.evaluate.drawn import HELD_OUT_SEEDS, SMALL_BYTES
from tools.evaluate.groups import TONES
from tools.evaluate.measure import Detector, asked, plain, sure_boxes
from tools.evaluate.score import Floats, overlaps
from tools.street.scene import market
from tools.street.street import Street
from tools.train.faces import FACE_AGES, MASK_STATES, close_up_box
from tools.train.real_samples import held_out, read_folder

SEED = 50_000
LOWEST_OVERLAP = 0.5
FACE_SHARE = 0.41
"""Height of a face over the height of the crop around it, as a pole's crop of the top 32 % of a person has it."""

ABOVE = 0.11
"""Share of the crop above the face."""

SIZES = (12, 16, 20, 30, 40)
"""Face heights, pixels, at which real faces are shown; a pole's small picture has no more than about 45."""

Crops = npt.NDArray[np.uint8]


class Estimator:
    """The attribute model of a directory, through the firmware's loader."""

    def __init__(self, directory: Path, *, reference: bool = False) -> None:
        """Load it; ``reference`` as for :class:`Detector`. Raises ValueError where the manifest lists none."""
        entry = read_manifest(directory).for_task("attributes")
        if entry is None or entry.minimum_height_pixels is None:
            message = "the manifest lists no model for attributes"
            raise ValueError(message)
        self._network = plain(directory, entry) if reference else load_model(directory, entry)
        self.minimum_height = entry.minimum_height_pixels
        self.confidence = {Dimension(output.meaning): float(output.confidence or 1.0) for output in entry.output}

    def scores(self, crops: Crops) -> dict[Dimension, Floats]:
        """Return softmax scores (n, classes) of each attribute for (n, 96, 72, 3) Y U V crops."""
        found: dict[Dimension, list[Floats]] = {dimension: [] for dimension in self.confidence}
        for start in range(0, len(crops), CROPS):
            batch = np.zeros(ATTRIBUTE_SHAPE, np.uint8)
            part = crops[start : start + CROPS]
            batch[: len(part)] = part
            self._network.input()[:] = (batch ^ 0x80).view(np.int8)
            self._network.run()
            for dimension, answers in found.items():
                output = self._network.output_entry(dimension.value)
                logits = (self._network.output(dimension.value).astype(np.float32) - output.zero_point) * output.scale
                grown = np.exp(logits - logits.max(axis=1, keepdims=True))
                answers.append((grown / grown.sum(axis=1, keepdims=True))[: len(part)])
        return {dimension: np.concatenate(answers) for dimension, answers in found.items() if answers}


@dataclass(frozen=True, slots=True)
class Body:
    """One upper body: its crop, true class of each attribute where it is known, where it comes from, its groups."""

    crop: Crops
    truth: dict[Dimension, int]
    source: str
    groups: tuple[str, ...]


def of_streets(detector: Detector | None, minimum_height: int, streets: int, slices: int) -> Iterator[Body]:
    """Yield drawn people as the pole would crop them: found by the detector, tall enough, the eight tallest a slice.

    Without a detector the boxes are the true ones.
    """
    cutter, tensor = AttributeInput(), np.zeros(ATTRIBUTE_SHAPE, np.int8)
    small = np.empty(SMALL_BYTES, np.uint8)
    for number in range(streets):
        scene = replace(market(), turn=(-25.0, -8.0, 9.0, 26.0)[number % 4], tilt=(22.0, 26.0, 31.0)[number % 3])
        street = Street(scene, HELD_OUT_SEEDS + SEED + number, width=640)
        for k in range(slices):
            truth = [person for person in street.render(60.0 + 9.0 * k, None, small) if asked(person)]
            there = np.array([person.box for person in truth], np.float32).reshape(-1, 4)
            boxes = there if detector is None else sure_boxes(detector, small)
            boxes = boxes[boxes[:, 3] - boxes[:, 1] >= minimum_height]
            boxes = boxes[np.argsort(boxes[:, 1] - boxes[:, 3], kind="stable")][:CROPS]
            if not len(boxes) or not truth:
                continue
            eight = np.zeros((CROPS, 4), np.float32)
            eight[: len(boxes)] = boxes / 2
            cutter.fill(Planes(small), eight, tensor)
            crops = tensor.view(np.uint8) ^ 0x80
            shared = overlaps(boxes, there)[0]
            for place in range(len(boxes)):
                if shared[place].max() < LOWEST_OVERLAP:
                    continue
                person = truth[int(shared[place].argmax())]
                known = {
                    dimension: CATEGORIES[dimension].index(getattr(person, dimension.value)) for dimension in Dimension
                }
                groups = (person.sex, person.age, f"skin {TONES[person.skin]}", f"mask {person.mask}")
                yield Body(crops[place].copy(), known, "street", groups)


def face_as_seen(picture: Image.Image, box: Sequence[float], pixels: int) -> Crops:
    """Return the upper body around a face as a pole sees one ``pixels`` tall: few pixels, then the nearest of them."""
    x, y, w, h = box
    tall = h / FACE_SHARE
    wide, left, top = tall * 0.75, x + w / 2 - tall * 0.375, y - tall * ABOVE
    frame = Image.new("RGB", (max(1, round(wide)), max(1, round(tall))), (110, 108, 105))
    frame.paste(picture, (-round(left), -round(top)))
    rows = max(8, round(pixels / FACE_SHARE))
    coarse = frame.resize((max(6, rows * 3 // 4), rows), Image.Resampling.BOX)
    return np.asarray(coarse.resize((CROP_WIDTH, CROP_HEIGHT), Image.Resampling.NEAREST).convert("YCbCr")).copy()


def of_masks(data: Path) -> Iterator[Body]:
    """Yield held-out real faces whose mask is known, at each size that they have pixels for."""
    for photo in read_folder(data, tier_b=True):
        states = [face for face in photo.faces if face.get("mask") in MASK_STATES]
        if not states or not held_out(photo):
            continue
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB")
        for face in states:
            for pixels in SIZES:
                if face["bbox"][3] >= pixels:
                    known = {Dimension.MASK: MASK_STATES[face["mask"]]}
                    yield Body(face_as_seen(picture, face["bbox"], pixels), known, f"faces at {pixels} px", ())


def of_faces(data: Path) -> Iterator[Body]:
    """Yield held-out real faces of known sex and age at each size."""
    for photo in read_folder(data, tier_b=True):
        if not photo.faces or not photo.faces[0].get("gender") or not held_out(photo):
            continue
        face = photo.faces[0]
        sex, band = CATEGORIES[Dimension.SEX].index(face["gender"]), FACE_AGES.get(str(face["age"]), -1)
        known = {Dimension.SEX: sex} | ({Dimension.AGE: band} if band >= 0 else {})
        age = CATEGORIES[Dimension.AGE][band] if band >= 0 else "60-69"
        groups = (str(face["gender"]), age, f"{face['gender']} {age}")
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB")
        for pixels in SIZES:
            yield Body(
                face_as_seen(picture, close_up_box(picture.size), pixels), known, f"faces at {pixels} px", groups
            )


def balanced(right: npt.NDArray[np.bool_], truth: npt.NDArray[np.int64]) -> float:
    """Return the mean over classes of the share that is right; nan of nothing."""
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)])) if len(truth) else float("nan")


def figures(scores: Floats, truth: npt.NDArray[np.int64], confidence: float) -> dict[str, float]:
    """Return how often it answers at ``confidence`` and how right it is, of all and of the answered."""
    right, sure = scores.argmax(axis=1) == truth, scores.max(axis=1) >= confidence
    whole = all((truth[sure] == c).any() for c in np.unique(truth))
    return {
        "bodies": len(truth),
        "balanced": balanced(right, truth),
        "confidence": confidence,
        "coverage": float(sure.mean()),
        "right of answered": float(right[sure].mean()) if sure.any() else float("nan"),
        "balanced of answered": balanced(right[sure], truth[sure]) if whole else float("nan"),
    }


def risk_coverage(scores: Floats, truth: npt.NDArray[np.int64], points: int = 20) -> list[tuple[float, float]]:
    """Return (share answered, share wrong of those) when the surest are answered first."""
    order = np.argsort(-scores.max(axis=1), kind="stable")
    wrong = np.cumsum(scores.argmax(axis=1)[order] != truth[order])
    places = np.unique(np.linspace(1, len(truth), min(points, len(truth))).astype(int))
    return [(float(n / len(truth)), float(wrong[n - 1] / n)) for n in places]


@dataclass(frozen=True, slots=True)
class Answers:
    """Scores and truth of one attribute on one source, and the groups of each body."""

    dimension: Dimension
    source: str
    scores: Floats
    truth: npt.NDArray[np.int64]
    groups: tuple[tuple[str, ...], ...]


def answers(estimator: Estimator, bodies: Sequence[Body]) -> list[Answers]:
    """Ask the heads about every body, source by source."""
    out = []
    for source in dict.fromkeys(body.source for body in bodies):
        here = [body for body in bodies if body.source == source]
        found = estimator.scores(np.stack([body.crop for body in here]))
        for dimension, scores in found.items():
            known = [k for k, body in enumerate(here) if dimension in body.truth]
            if known:
                truth = np.array([here[k].truth[dimension] for k in known], np.int64)
                out.append(Answers(dimension, source, scores[known], truth, tuple(here[k].groups for k in known)))
    return out


def report(every: Sequence[Answers], confidence: dict[Dimension, float]) -> list[dict[str, table.Cell]]:
    """Return a row for each attribute and source."""
    return [
        {"attribute": one.dimension.value, "source": one.source,
         **figures(one.scores, one.truth, confidence[one.dimension])}
        for one in sorted(every, key=lambda one: one.dimension.value)
    ]  # fmt: skip


def gaps(every: Sequence[Answers], confidence: dict[Dimension, float]) -> list[dict[str, table.Cell]]:
    """Return a row for each attribute, source and group: how often it is answered and right, less everybody's."""
    rows: list[dict[str, table.Cell]] = []
    for one in every:
        right = one.scores.argmax(axis=1) == one.truth
        sure = one.scores.max(axis=1) >= confidence[one.dimension]
        for group in sorted({group for groups in one.groups for group in groups}):
            here = np.array([group in groups for groups in one.groups])
            rows.append(
                {"attribute": one.dimension.value, "source": one.source, "group": group, "bodies": int(here.sum()),
                 "right": float(right[here].mean()), "less everybody's": float(right[here].mean() - right.mean()),
                 "coverage": float(sure[here].mean())}
            )  # fmt: skip
    return rows
