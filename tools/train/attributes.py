"""Trains the attribute heads: first to see what a teacher of faces sees, then to tell sex, age band and mask.

Knows:  faces and drawn people with classes, the teacher's word, a seed, a time budget.
Never:  a class outside the closed lists; a held-out face.
Leaves: ``attributes.pt``.
Clauses: 4.2(2).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as f

from tools.train.face_nets import Attributes, FaceTeacher
from tools.train.face_start import Kept, face_teacher, narrowed
from tools.train.face_word import LEAST_TAUGHT, Word, invented, words
from tools.train.faces import COLUMNS, ROWS, Face, any_frame, any_view, close_ups, nobodys_view, read_faces, seen
from tools.train.shards import Picture
from tools.train.upper_bodies import load

BATCH = 64
COPYING = 0.3
"""Share of the minutes in which the trunk learns to see what the teacher sees, before the heads learn anything."""

COPYING_RATE, RATE, LEAST_RATE = 2e-3, 1.5e-3, 0.02
INVENTED = 2_000
OF_BATCH = {"close": 0.3, "invented": 0.22, "worn": 0.18, "bare": 0.18, "drawn": 0.08, "nobody": 0.04}
"""Shares of a batch: close-ups, faces put together, masked and bare faces, drawn people, and crops without a face.

Of sex and age drawn people teach only that nothing can be told; of what has no face nothing can be told at all."""

SEEING, TRUTH = 1.0, 0.5
"""Weight of the teacher's last map beside the classes; of a known class beside the teacher's word."""

CLOSE_UPS_MASK = 0.15
"""Weight of "no mask" of a close-up and of a face put together: there are many, and never a masked one."""

EVERY = 10
"""Steps that a line of a curve stands for."""

KEEPING = 0.998
"""Of the running mean of weights a step."""

Classes = npt.NDArray[np.int64]


def as_input(crops: Picture) -> Tensor:
    """uint8 (n, 96, 72, 3) -> float (n, 3, 96, 72) 0..1."""
    picture = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() / 255
    return picture.contiguous(memory_format=torch.channels_last)


def changed(crops: Picture, rng: np.random.Generator) -> Picture:
    """Mirror, shift, relight, add noise, sometimes take the colour away."""
    out = crops.astype(np.float32)
    flip = rng.random(len(out)) < 0.5
    out[flip] = out[flip, :, ::-1]
    out = np.roll(out, (int(rng.integers(-2, 3)), int(rng.integers(-2, 3))), axis=(1, 2))
    size = (len(out), 1, 1)
    y = (out[..., 0] - 128) * rng.uniform(0.65, 1.35, size) + 128 + rng.uniform(-32, 32, size)
    out[..., 0] = y + rng.standard_normal(y.shape, np.float32) * rng.uniform(0, 9, size).astype(np.float32)
    strength = np.where(rng.random((len(out), 1, 1, 1)) < 0.15, 0.0, rng.uniform(0.5, 1.4, (len(out), 1, 1, 1)))
    out[..., 1:] = 128 + (out[..., 1:] - 128) * strength + rng.uniform(-7, 7, (len(out), 1, 1, 2)) * (strength > 0)
    return np.clip(out, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Known:
    """Faces with the teacher's word (``taught`` says of which), faces put together, drawn people, places by kind."""

    faces: list[Face]
    word: Word
    taught: npt.NDArray[np.bool_]
    made: list[Face]
    made_word: Word
    drawn: tuple[Picture, Classes]
    places: dict[str, npt.NDArray[np.int64]]


def known(data: Path, crops: Path, teacher: FaceTeacher, rng: np.random.Generator, fold: tuple[int, int] | None,
          *, tier_b: bool, most: int | None) -> Known:  # fmt: skip
    """Read the training part of ``data`` (``most`` faces at most) and ask the teacher."""
    faces = list(read_faces(data, "train", tier_b=tier_b, fold=fold))
    if not any(face.close_up for face in faces):
        message = "no face of known sex to learn from: all there are have an origin that cannot be verified (tier B)"
        raise SystemExit(message)
    faces = [faces[int(k)] for k in rng.permutation(len(faces))[:most]]
    taught = np.array([face.close_up or face.height >= LEAST_TAUGHT for face in faces])
    made = invented(faces, INVENTED if most is None else 16, rng)
    print(f"{len(faces)} faces, {taught.sum()} of them taught, {len(made)} put together", flush=True)
    order = np.flatnonzero(taught)
    some, made_word = words(teacher, [faces[int(k)] for k in order], made)
    whole = [torch.zeros(len(faces), part.shape[1]) for part in (some.seen, some.sex, some.age)]
    for target, part in zip(whole, (some.seen, some.sex, some.age), strict=True):
        target[torch.from_numpy(order)] = part
    pictures, classes, _ = load(crops / "train.npz")
    close = np.array([face.close_up for face in faces])
    worn = np.array([face.classes[2] == 0 for face in faces])
    places = {"close": np.flatnonzero(close), "invented": np.arange(len(made)), "worn": np.flatnonzero(worn & ~close),
              "bare": np.flatnonzero(~worn & ~close), "drawn": np.arange(len(pictures)),
              "nobody": np.flatnonzero(close | (taught & ~worn))}  # fmt: skip
    return Known(faces, Word(*whole), taught, made, made_word, (pictures, classes), places)


def train(
    data: Path,
    out: Path,
    *,
    crops: Path,
    minutes: float,
    seed: int,
    start: Path,
    tier_b: bool = True,
    fold: tuple[int, int] | None = None,
    most: int | None = None,
) -> Path:
    """Narrow the start, copy what it sees, learn the classes; returns the checkpoint.

    A checkpoint that is already in ``out`` is learnt on from, without copying again.
    """
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    path, teacher = out / "attributes.pt", face_teacher(start)
    before = torch.load(path, weights_only=True) if path.exists() else None
    rng = np.random.default_rng([seed, 11, 0 if before is None else int(before["minutes"])])
    have = known(data, crops, teacher, rng, fold, tier_b=tier_b, most=most)
    model = Attributes()
    if before is None:
        some = [have.faces[int(k)] for k in have.places["close"][:48]]
        looks = torch.from_numpy(np.concatenate([close_ups(face, most=2) for face in some])).permute(0, 3, 1, 2).float()
        kept, had = narrowed(model, teacher, looks), 0.0
        _copy(model, teacher, kept, have, Curve(out / "curve-copying.csv", minutes * COPYING), rng)
    else:
        model.load_state_dict(before["mean"])
        kept, had = Kept(before["stream"], before["last"]), float(before["minutes"])
    share = 1 - COPYING if before is None else 1
    mean = _learn(model, kept, have, Curve(out / "curve-heads.csv", minutes * share), rng)
    state = {"mean": mean.state_dict(), "stream": kept.stream, "last": kept.last, "minutes": had + minutes}
    torch.save(state, path)
    return path


def calibration(data: Path, crops: Path, *, seed: int, tier_b: bool, fold: tuple[int, int] | None) -> Picture:
    """Return batches (60, 8, 96, 72, 3) of training's own crops, real and drawn: ranges are read off them."""
    rng = np.random.default_rng([seed, 12])
    faces = list(read_faces(data, "train", tier_b=tier_b, fold=fold))
    drawn, _, _ = load(crops / "train.npz")
    some = [any_view(faces[int(k)], rng) for k in rng.integers(len(faces), size=432)]
    some += [drawn[int(k)] for k in rng.integers(len(drawn), size=48)]
    order = rng.permutation(len(some))
    return changed(np.stack([some[int(k)] for k in order]), rng).reshape(60, 8, *some[0].shape)


def scores(checkpoint: Path, crops: Path) -> list[npt.NDArray[np.float32]]:
    """Return softmax scores (n, classes) of each head for the crops of a file, from the float weights."""
    model = Attributes()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["mean"])
    pictures, _, _ = load(crops)
    with torch.no_grad():
        parts = [model(as_input(pictures[first : first + BATCH])) for first in range(0, len(pictures), BATCH)]
    return [torch.cat([part[k] for part in parts]).softmax(dim=1).numpy() for k in range(3)]


class Curve:
    """How far a run is in its minutes; writes the mean losses of every ten steps to a file: second, step, losses."""

    def __init__(self, path: Path, minutes: float) -> None:
        """Count the minutes from now. A file that is there goes on."""
        self._path, self._seconds, self._began = path, minutes * 60, time.monotonic()
        self.step, self._sums = 0, np.zeros(4)

    def done(self) -> float:
        """Return the share of the minutes that is over."""
        return (time.monotonic() - self._began) / self._seconds

    def note(self, losses: list[float]) -> None:
        """Count a step."""
        self.step += 1
        self._sums += losses
        if self.step % EVERY == 0:
            means = [f"{value / EVERY:.4f}" for value in self._sums]
            with self._path.open("a") as lines:
                lines.write(f"{time.monotonic() - self._began:.0f},{self.step},{','.join(means)}\n")
            print(f"{self._path.stem} {self.done():.0%} step {self.step}: {' '.join(means)}", flush=True)
            self._sums[:] = 0


def _rate(optimiser: torch.optim.Optimizer, rate: float, done: float, step: int) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * max(LEAST_RATE, 0.5 * (1 + math.cos(math.pi * done))) * min(1, (step + 1) / 50)


def _copy(
    model: Attributes, teacher: FaceTeacher, kept: Kept, have: Known, curve: Curve, rng: np.random.Generator
) -> None:
    """Let the trunk's four maps become the teacher's of the same place, which sees it twice as fine."""
    optimiser = torch.optim.AdamW(model.trunk.parameters(), weight_decay=1e-4)
    every = [have.faces[int(k)] for k in np.flatnonzero(have.taught)] + have.made
    chosen_channels = (slice(None), kept.stream, kept.stream, kept.last)
    while (done := curve.done()) < 1:
        _rate(optimiser, COPYING_RATE, done, curve.step)
        frames = [any_frame(every[int(k)], rng, 36.0) for k in rng.integers(len(every), size=BATCH // 2)]
        fine = [
            np.asarray(frame)[2 * ROWS[0] : 2 * ROWS[1] - 2, 2 * COLUMNS[0] : 2 * COLUMNS[1] - 2] for frame in frames
        ]
        coarse = np.stack([seen(frame, int(rng.integers(48, 116))) for frame in frames])
        with torch.no_grad():
            wanted = teacher.maps(torch.from_numpy(np.stack(fine)).permute(0, 3, 1, 2).float())
        losses = [
            f.mse_loss(ours, theirs[:, channels]) / theirs[:, channels].var()
            for ours, theirs, channels in zip(model.maps(as_input(coarse)), wanted, chosen_channels, strict=True)
        ]
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimiser.step()
        curve.note([loss.item() for loss in losses])


def _learn(model: Attributes, kept: Kept, have: Known, curve: Curve, rng: np.random.Generator) -> Attributes:
    """Learn the classes from what is known and from the teacher's word; returns the mean of the weights."""
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    mean = Attributes()
    mean.load_state_dict(model.state_dict())
    everything = torch.cat((have.word.seen[torch.from_numpy(have.taught)], have.made_word.seen))[:, kept.last]
    spread = everything.std(dim=0) + 1e-2
    while (done := curve.done()) < 1:
        _rate(optimiser, RATE, done, curve.step)
        losses = _losses(model, _batch(have, kept, rng), spread, rng)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimiser.step()
        with torch.no_grad():
            for kept_mean, now in zip(mean.parameters(), model.parameters(), strict=True):
                kept_mean.lerp_(now, 1 - min(KEEPING, 1 - 1 / (curve.step + 2)))
        curve.note([loss.item() for loss in losses])
    return mean


def _losses(model: Attributes, lessons: list[Lesson], spread: Tensor, rng: np.random.Generator) -> list[Tensor]:
    """Return how far the trunk sees from what the teacher saw, and the loss of each head."""
    weights = torch.tensor([lesson.weights for lesson in lessons])
    classes = torch.tensor([lesson.classes for lesson in lessons])
    saw = torch.stack([lesson.saw for lesson in lessons])
    pooled = model.pooled(as_input(changed(np.stack([lesson.crop for lesson in lessons]), rng)))
    away = ((pooled[:, : saw.shape[1]] - saw) / spread).square().mean(dim=1)
    losses = [SEEING * (away * weights[:, 0]).sum() / weights[:, 0].sum()]
    for number, logits in enumerate(model.told(pooled)):
        said = torch.stack([lesson.said[number] for lesson in lessons])
        losses.append(_class_loss(logits, classes[:, number], said, weights[:, 1 + number]))
    return losses


def _class_loss(logits: Tensor, classes: Tensor, said: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy with a mixture of the known class and the teacher's shares, where there are such."""
    truth = f.one_hot(classes.clamp(min=0), logits.shape[1]).float() * 0.95 + 0.05 / logits.shape[1]
    is_known, is_said = (classes >= 0).float()[:, None], (said.sum(dim=1) > 0).float()[:, None]
    share = torch.where(is_said > 0, TRUTH * is_known, is_known)
    target = share * truth + is_said * (1 - share) * said
    there = weights * target.sum(dim=1)
    each = -(target * f.log_softmax(logits, dim=1)).sum(dim=1)
    return (each * there).sum() / there.sum().clamp(min=1e-6)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One crop: its classes (-1 unknown), what the teacher saw, shares said of each head (zeros: nothing), weights.

    The weights are of what was seen and of the three heads.
    """

    crop: Picture
    classes: tuple[int, int, int]
    saw: Tensor
    said: tuple[Tensor, Tensor, Tensor]
    weights: tuple[float, float, float, float]


NOTHING = (torch.zeros(2), torch.zeros(4), torch.zeros(2))
ANYTHING = (torch.full((2,), 1 / 2), torch.full((4,), 1 / 4), torch.full((2,), 1 / 2))


def _lesson(have: Known, kind: str, place: int, kept: Kept, rng: np.random.Generator) -> Lesson:
    blank = torch.zeros(len(kept.last))
    if kind == "nobody":
        return Lesson(nobodys_view(have.faces[place], rng), (-1, -1, -1), blank, ANYTHING, (0.0, 1.0, 1.0, 1.0))
    if kind == "drawn":
        classes = (-1, -1, int(have.drawn[1][place, 2]))
        return Lesson(have.drawn[0][place], classes, blank, (*ANYTHING[:2], NOTHING[2]), (0.0, 0.5, 0.5, 1.0))
    face, word = (have.made[place], have.made_word) if kind == "invented" else (have.faces[place], have.word)
    told = kind == "invented" or bool(have.taught[place])
    said = (word.sex[place], word.age[place], NOTHING[2]) if told and kind != "worn" else NOTHING
    saw_weight = (0.5 if kind == "worn" else 1.0) * told
    mask = CLOSE_UPS_MASK if kind in ("close", "invented") else 1.0
    return Lesson(any_view(face, rng), face.classes, word.seen[place][kept.last], said, (saw_weight, 1.0, 1.0, mask))


def _batch(have: Known, kept: Kept, rng: np.random.Generator) -> list[Lesson]:
    return [
        _lesson(have, kind, int(place), kept, rng)
        for kind, share in OF_BATCH.items()
        if len(have.places[kind])
        for place in rng.choice(have.places[kind], round(share * BATCH))
    ]
