"""Trains the detector by the clock: resumable, a checkpoint every five minutes.

Knows:  shards, a time budget, a seed.
Never:  more than one thread unless told so.
Leaves: ``detector.pt`` (weights, their running mean, optimiser, progress) and ``curve.csv``.
Clauses: none.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from tools.train.losses import detector_loss, target
from tools.train.nets import Detector
from tools.train.shards import Sample, Shelf
from tools.train.start import start_from

WHOLES, PARTS, PART = 8, 24, (96, 160)
"""Pictures in a batch, parts in a batch, rows and columns of a part; two batches of parts to one of wholes."""

BEST_RATE, LAST_SHARE = 2.5e-3, 0.01
BODY_SHARE = 0.25
"""Of the rate, for a body that has learnt elsewhere."""

CHECKPOINT_SECONDS = 240.0


class Changes:
    """Mirror, move, relight, blur, add noise: what differs between one camera's street and the next one's."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 31])
        self._noise = self._rng.normal(0, 32, (300, 500)).astype(np.int16)

    def __call__(self, sample: Sample) -> Sample:
        """Return a changed copy of a picture (180, 320, 3) and its boxes."""
        rng, picture, boxes = self._rng, sample[0], sample[1].copy()
        height, width = picture.shape[:2]
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        if rng.random() < 0.6:
            picture, boxes = _moved(picture, boxes, rng)
        y = self._light()[picture[..., 0]]
        if rng.random() < 0.3:
            y = _blurred(y, horizontal=bool(rng.random() < 0.5))
        if rng.random() < 0.5:
            down, over = int(rng.integers(120)), int(rng.integers(180))
            y += (self._noise[down : down + height, over : over + width] * int(rng.integers(8, 90))) >> 8
        out = np.empty(picture.shape, np.uint8)
        out[..., 0] = np.clip(y, 0, 255)
        strength = 0.0 if rng.random() < 0.15 else float(rng.uniform(0.4, 1.5))
        for channel in (1, 2):
            cast = float(rng.uniform(-9, 9)) if strength and rng.random() < 0.5 else 0.0
            table = np.clip(128 + (np.arange(256) - 128) * strength + cast, 0, 255).astype(np.uint8)
            out[..., channel] = table[picture[..., channel]]
        return out, boxes

    def _light(self) -> np.ndarray:  # type: ignore[type-arg] # int16, 256 entries
        rng = self._rng
        table = (np.arange(256) - 128) * float(rng.uniform(0.6, 1.35)) + 128 + float(rng.uniform(-38, 38))
        if rng.random() < 0.25:
            table = 255 * np.clip(table / 255, 0, 1) ** float(rng.uniform(0.6, 1.7))
        return np.clip(table, 0, 255).astype(np.int16)


def _blurred(y: np.ndarray, *, horizontal: bool) -> np.ndarray:  # type: ignore[type-arg] # int16 plane
    out = y.copy()
    out[:, 1:-1] = (y[:, :-2] + y[:, 1:-1] * 2 + y[:, 2:]) >> 2
    if not horizontal:
        out[1:-1] = (out[:-2] + out[1:-1] * 2 + out[2:]) >> 2
    return out


def _moved(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg] # float pictures
    """Zoom by 0.75..1.35 and shift; what comes in from outside is a stretch of the edge."""
    zoom = float(np.exp(rng.uniform(np.log(0.75), np.log(1.35))))
    aspect = float(rng.uniform(0.93, 1.07))
    height, width = picture.shape[:2]
    x0 = (float(rng.uniform(-0.1, 0.1)) + 0.5 * (1 - 1 / zoom)) * width
    y0 = (float(rng.uniform(-0.1, 0.1)) + 0.5 * (1 - 1 / zoom)) * height
    columns = np.clip(np.arange(width) / (zoom * aspect) + x0, 0, width - 1).astype(np.int32)
    rows = np.clip(np.arange(height) / zoom + y0, 0, height - 1).astype(np.int32)
    out = picture[rows[:, None], columns[None]]
    moved = boxes.copy()
    moved[:, [0, 2]] = (boxes[:, [0, 2]] - x0) * zoom * aspect
    moved[:, [1, 3]] = (boxes[:, [1, 3]] - y0) * zoom
    return out, _cut(moved, height, width)


def _cut(moved: np.ndarray, height: int, width: int) -> np.ndarray:  # type: ignore[type-arg] # boxes (n, 5)
    """Cut boxes at the picture's edges; what has too little left is a place to ignore."""
    whole = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    moved[:, [0, 2]] = moved[:, [0, 2]].clip(0, width)
    moved[:, [1, 3]] = moved[:, [1, 3]].clip(0, height)
    left = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    moved[left < 0.3 * whole, 4] = 0
    moved[(moved[:, 3] - moved[:, 1]) < 7, 4] = 0
    return moved[left > 4]


def part_of(sample: Sample, rng: np.random.Generator) -> Sample:
    """Cut a 160 x 96 part out, more often than not around somebody: the same learning at a quarter of the cost."""
    picture, boxes = sample
    x, y = float(rng.uniform(0, 320)), float(rng.uniform(0, 180))
    people = boxes[boxes[:, 4] == 1]
    if len(people) and rng.random() < 0.75:
        chosen = people[int(rng.integers(len(people)))]
        x = float(chosen[0] + chosen[2]) / 2 + float(rng.uniform(-65, 65))
        y = float(chosen[1] + chosen[3]) / 2 + float(rng.uniform(-35, 35))
    left, top = int(np.clip(x - PART[1] / 2, 0, 320 - PART[1])), int(np.clip(y - PART[0] / 2, 0, 180 - PART[0]))
    moved = boxes.copy()
    moved[:, [0, 2]] -= left
    moved[:, [1, 3]] -= top
    return picture[top : top + PART[0], left : left + PART[1]], _cut(moved, *PART)


def batch_of(shelf: Shelf, changes: Changes, rng: np.random.Generator, *, parts: bool) -> tuple[Tensor, Tensor]:
    """Return uint8 pictures (n, 192, 320, 3) and targets (n, 7, 24, 40); half the sides for ``parts``."""
    size, (height, width) = (PARTS, PART) if parts else (WHOLES, (192, 320))
    pictures = np.zeros((size, height, width, 3), np.uint8)
    wanted = np.zeros((size, 7, height // 8, width // 8), np.float32)
    for k in range(size):
        sample = shelf[int(rng.integers(len(shelf)))]
        picture, boxes = changes(part_of(sample, rng) if parts else sample)
        pictures[k, : len(picture)] = picture
        wanted[k] = target(boxes, height, width, height - len(picture))
    return torch.from_numpy(pictures), torch.from_numpy(wanted)


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches without end, made in another process while the network learns; new shards are found on the way."""

    def __init__(self, shards: Path, seed: int) -> None:
        self._shards, self._seed = shards, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 pictures and their targets, see :func:`batch_of`."""
        shelf, changes, rng = Shelf(self._shards), Changes(self._seed), np.random.default_rng([self._seed, 3])
        for number in itertools.count(1):
            yield batch_of(shelf, changes, rng, parts=number % 3 != 0)
            if number % 150 == 0:
                shelf.refresh()


def as_input(pictures: Tensor) -> Tensor:
    """uint8 (n, 192, 320, 3) -> float (n, 3, 192, 320) 0..1, channels last in memory."""
    return (pictures.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)


def _average(mean: nn.Module, model: nn.Module, step: int) -> None:
    keep = min(0.997, (1 + step) / (10 + step))
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
            if old.dtype.is_floating_point:
                old.mul_(keep).add_(new, alpha=1 - keep)
            else:
                old.copy_(new)


def train(
    shards: Path, out: Path, *, minutes: float, seed: int, start: Path | None = None, most_steps: int | None = None
) -> Path:
    """Train until ``minutes`` (of all runs together) are spent, from where ``out`` left off. Returns the checkpoint."""
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "detector.pt"
    model = Detector()
    if start is not None:
        start_from(model, start)
        for part in model.early():
            part.requires_grad_(requires_grad=False)
    model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        _groups(model, BODY_SHARE if start is not None else 1.0), BEST_RATE, weight_decay=2e-3
    )
    mean, step, spent = copy.deepcopy(model), 0, 0.0
    if path.exists():
        kept = torch.load(path, weights_only=True)
        model.load_state_dict(kept["model"])
        mean.load_state_dict(kept["mean"])
        optimiser.load_state_dict(kept["optimiser"])
        step, spent = kept["step"], kept["spent"]
    batches = iter(DataLoader(Batches(shards, seed + step), batch_size=None, num_workers=1, prefetch_factor=4))
    began = saved = time.monotonic()
    sums = np.zeros(3)
    first = step
    while (now := spent + time.monotonic() - began) < minutes * 60 and (
        most_steps is None or step < first + most_steps
    ):
        done = now / (minutes * 60)
        rate = BEST_RATE * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"] * min(1.0, (step + 1) / 60)
        pictures, wanted = next(batches)
        heat, box = detector_loss(*model(as_input(pictures)), wanted)
        optimiser.zero_grad(set_to_none=True)
        (heat + 2.0 * box).backward()  # type: ignore[no-untyped-call] # torch
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        step += 1
        _average(mean, model, step)
        sums += (heat.item(), box.item(), 1)
        if step % (10 if most_steps else 60) == 0:
            line = f"{now:.0f},{step},{rate:.6f},{sums[0] / sums[2]:.4f},{sums[1] / sums[2]:.4f}"
            print(line, flush=True)
            with (out / "curve.csv").open("a") as curve:
                curve.write(line + "\n")
            sums[:] = 0
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _save(path, model, mean, optimiser, step, spent + saved - began)
    _save(path, model, mean, optimiser, step, spent + time.monotonic() - began)
    return path


def _groups(model: Detector, share: float) -> list[dict[str, object]]:
    """Split what learns into the body, at ``share`` of the rate, and the rest."""
    body = {id(p) for module in model.convolutions() for p in module.parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learning if id(p) in body], "share": share},
        {"params": [p for p in learning if id(p) not in body], "share": 1.0},
    ]


def _save(
    path: Path, model: nn.Module, mean: nn.Module, optimiser: torch.optim.Optimizer, step: int, spent: float
) -> None:
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "model": model.state_dict(),
            "mean": mean.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "spent": spent,
        },
        partial,
    )
    partial.rename(path)
