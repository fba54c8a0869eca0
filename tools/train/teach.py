"""Boxes for photographs whose people are not all boxed, from openly licensed detectors that look five times.

Knows:  the two YOLOX-nano files, at sizes several times as costly as what is trained here.
Never:  a box on a held-out photograph that anything is measured with.
Leaves: a JSON file: by picture, boxes with how sure the looks are together and how sure the surest is.
Clauses: none.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from tools.train.losses import flat, grid_of, overlaps
from tools.train.nets import Teacher
from tools.train.real_samples import Taught, held_out, read_folder
from tools.train.start import teacher_from

LOOKS = ((-1, 960, False), (-1, 640, True), (-1, 448, False), (0, 768, False), (0, 512, True))
"""Which teacher (the last, or the first), pixels of the longer side, whether mirrored.

On held-out everyday photographs these five together have an AP50 of 0.88; three of them had 0.82, one at 640 has 0.77.
"""

LEAST, SAME, APART = 0.1, 0.55, 0.6
"""Score of a box worth keeping; overlap at which two looks mean one person; at which one look's boxes are doubles."""

Floats = npt.NDArray[np.float32]


def _apart(boxes: Floats, scores: Floats) -> list[int]:
    order, kept = list(np.argsort(-scores)), list[int]()
    while order:
        kept.append(int(order[0]))
        shared = overlaps(torch.from_numpy(boxes[order[0]])[None], torch.from_numpy(boxes[order]))[0].numpy()
        order = [k for k, share in zip(order, shared, strict=True) if share <= APART]
    return kept


def look(teacher: Teacher, picture: Image.Image, longer: int, *, mirrored: bool) -> tuple[Floats, Floats]:
    """Return boxes (n, 4, pixels of the picture) and scores of one look."""
    scale = longer / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BILINEAR).convert("YCbCr")
    if mirrored:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    seen = np.zeros((-(-size[1] // 32) * 32, -(-size[0] // 32) * 32, 3), np.uint8)
    seen[..., 0], seen[..., 1:] = 114, 128
    seen[: size[1], : size[0]] = np.asarray(small)
    with torch.no_grad():
        outputs = teacher(torch.from_numpy(seen).permute(2, 0, 1)[None].float() / 255)
    logits, every = flat(outputs, grid_of(outputs))
    scores = torch.sigmoid(logits[0]).numpy()
    boxes = every[0].numpy()[scores >= LEAST]
    scores = scores[scores >= LEAST]
    if mirrored:
        boxes[:, [0, 2]] = size[0] - boxes[:, [2, 0]]
    boxes = np.clip(boxes / scale, 0, np.array(picture.size * 2)).astype(np.float32)
    kept = _apart(boxes, scores)
    return boxes[kept], scores[kept]


def together(looks: list[tuple[Floats, Floats]]) -> list[list[float]]:
    """Return one row a person: the looks' mean box, their scores' mean (a miss counts 0), the best score."""
    boxes = np.concatenate([boxes for boxes, _ in looks])
    scores = np.concatenate([scores for _, scores in looks])
    which = np.concatenate([np.full(len(found), k) for k, (_, found) in enumerate(looks)])
    order, rows = list(np.argsort(-scores)), []
    while order:
        shared = overlaps(torch.from_numpy(boxes[order[0]])[None], torch.from_numpy(boxes[order]))[0].numpy()
        mine = [k for k, share in zip(order, shared, strict=True) if share >= SAME]
        best = [next(k for k in mine if which[k] == look) for look in range(len(looks)) if look in which[mine]]
        weight = scores[best]
        middle = (boxes[best] * weight[:, None]).sum(axis=0) / weight.sum()
        rows.append([*(round(float(edge), 1) for edge in middle), round(float(weight.sum()) / len(looks), 3),
                     round(float(weight.max()), 3)])  # fmt: skip
        order = [k for k in order if k not in mine]
    return rows


def teach(data: Path, teachers: list[Path], out: Path, *, tier_b: bool, most: int | None = None) -> Taught:
    """Look at every photograph for training whose people are not all boxed; goes on where ``out`` left off."""
    known: Taught = json.loads(out.read_text()) if out.exists() else {}
    models, began = [teacher_from(path) for path in teachers], time.monotonic()
    wanted = [
        photo.path
        for photo in read_folder(data, tier_b=tier_b)
        if not photo.complete and not held_out(photo) and not photo.source.startswith("fairface")
    ][:most]
    for number, path in enumerate(wanted):
        if path.name not in known:
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            known[path.name] = together([look(models[k], picture, longer, mirrored=m) for k, longer, m in LOOKS])
        if number % 100 == 99 or number + 1 == len(wanted):
            out.write_text(json.dumps(known))
            print(f"taught {number + 1} of {len(wanted)}, {time.monotonic() - began:.0f} s", flush=True)
    return known
