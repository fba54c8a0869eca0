"""Trains the detector by the clock: resumable, a checkpoint every four minutes.

Knows:  batches, a time budget, a seed, the model's size.
Never:  more than one thread unless told so.
Leaves: ``detector-SIZE.pt`` (weights, their running mean, optimiser, progress) and ``curve-SIZE.csv``.
Clauses: none.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tools.train import rounding
from tools.train.batches import Batches, Pictures
from tools.train.losses import detector_loss, taught_loss
from tools.train.nets import Detector, Teacher
from tools.train.start import start_from, teacher_from

RATES = {"s": 1.2e-3, "m": 9e-4}
"""Highest learning rate, by size: a batch of large pictures holds half as many."""

LAST_SHARE, WARM_STEPS, BODY_WARM_STEPS = 0.02, 40, 300
HEADS_FIRST = 0.06
"""Share of a run in which only the heads learn: to say what the start's own, dearer heads say."""

TAUGHT = (0.7, 0.1)
"""Of the loss: the teacher's word on photographs, beside the boxes', at a run's beginning and end. It looks at the same
small picture, and what learns from boxes of larger ones comes to see more than it does."""

ROUNDED_LAST = 0.15
"""Share of a run, its last, in which weights and what flows between them are rounded as eight bits will round them."""

BODY_SHARE = 0.2
"""Of the rate, for a body that has learnt elsewhere: with 0.4 it forgot faster than it learnt."""

KEPT = 0.9985
"""Of the running mean, a step."""

CHECKPOINT_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: the model's size, minutes of all its parts, what it starts from and what teaches it."""

    size: str
    minutes: float
    seed: int
    start: Path | None = None
    """A float16 YOLOX-nano file."""
    most_steps: int | None = None


def as_input(pictures: Tensor) -> Tensor:
    """uint8 (n, h, w, 3) -> float (n, 3, h, w) 0..1, channels last in memory."""
    return (pictures.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)


def average(mean: nn.Module, model: nn.Module, step: int) -> None:
    """Move the running mean towards the model."""
    keep = min(KEPT, (1 + step) / (10 + step))
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
            old.mul_(keep).add_(new, alpha=1 - keep)


def _begun(plan: Plan) -> Detector:
    model = Detector()
    if plan.start is not None:
        start_from(model, plan.start)
        for part in model.early():
            part.requires_grad_(requires_grad=False)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return] # torch


def train(pictures: Pictures, out: Path, plan: Plan) -> Path:
    """Train until the plan's minutes are spent, from where ``out`` left off. Returns the checkpoint."""
    torch.manual_seed(plan.seed)
    out.mkdir(parents=True, exist_ok=True)
    path, curve = out / f"detector-{plan.size}.pt", out / f"curve-{plan.size}.csv"
    model = _begun(plan)
    teacher = None if plan.start is None else teacher_from(plan.start)
    best = RATES[plan.size]
    optimiser = torch.optim.AdamW(
        _groups(model, BODY_SHARE if plan.start is not None else 1.0), best, weight_decay=1e-3
    )
    mean, step, body_steps, spent = copy.deepcopy(model), 0, 0, 0.0
    if path.exists():
        kept = torch.load(path, weights_only=True)
        model.load_state_dict(kept["model"])
        mean.load_state_dict(kept["mean"])
        optimiser.load_state_dict(kept["optimiser"])
        step, body_steps, spent = kept["step"], kept["body_steps"], kept["spent"]
    batches = iter(
        DataLoader(Batches(pictures, plan.size, plan.seed + step), batch_size=None, num_workers=1, prefetch_factor=6)
    )
    began = saved = time.monotonic()
    sums, first = np.zeros(3), step
    while (now := spent + time.monotonic() - began) < plan.minutes * 60 and (
        plan.most_steps is None or step < first + plan.most_steps
    ):
        done = now / (plan.minutes * 60)
        heads_only = teacher is not None and done < HEADS_FIRST
        if done > 1 - ROUNDED_LAST:
            rounding.begin(model)
        body_steps += not heads_only
        rate = best * _share(done) * min(1.0, (step + 1) / WARM_STEPS)
        ramp = min(1.0, body_steps / BODY_WARM_STEPS)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"] * (1.0 if group["share"] == 1 else ramp)
        taught = TAUGHT[0] + (TAUGHT[1] - TAUGHT[0]) * done
        heat, box = _loss(model, teacher, next(batches), taught, heads_only=heads_only)
        optimiser.zero_grad(set_to_none=True)
        (heat + box).backward()  # type: ignore[no-untyped-call] # torch
        torch.nn.utils.clip_grad_norm_(model.parameters(), 8.0)
        optimiser.step()
        step += 1
        average(mean, model, step)
        sums += (heat.item(), box.item(), 1)
        if step % (10 if plan.most_steps else 60) == 0:
            line = f"{now:.0f},{step},{rate:.6f},{sums[0] / sums[2]:.4f},{sums[1] / sums[2]:.4f}"
            print(f"{now / plan.minutes / 0.6:3.0f} % {line}", flush=True)
            with curve.open("a") as lines:
                lines.write(line + "\n")
            sums[:] = 0
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _save(path, (model, mean, optimiser), step, body_steps, spent + saved - began)
    _save(path, (model, mean, optimiser), step, body_steps, spent + time.monotonic() - began)
    return path


def _grids(model: Detector, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the body sees, reckoned in half the bits where the processor can, which takes a third less time.

    What rounds already is reckoned in all of them.
    """
    fast = torch.cpu._is_avx512_bf16_supported() and not model.pools.kept.rounds  # noqa: SLF001 - it has no other name
    with torch.autocast("cpu", torch.bfloat16, enabled=fast):
        first, second, third = model.seen(x)
    return first.float(), second.float(), third.float()


def _loss(
    model: Detector,
    teacher: Teacher | None,
    batch: tuple[Tensor, Tensor, Tensor],
    taught: float,
    *,
    heads_only: bool,
) -> tuple[Tensor, Tensor]:
    """Return the loss of scores and of boxes: the boxes' own, and on photographs ``taught`` times the teacher's."""
    shown, marks, real = batch
    x = as_input(shown)
    with torch.set_grad_enabled(not heads_only):
        grids = _grids(model, x)
    outputs = model.told(grids)
    heat, box = detector_loss(outputs, marks)
    if teacher is not None and bool(real.any()):
        with torch.no_grad():
            first, second, third = grids if heads_only else _grids(teacher, x[real])
            told = teacher.told((first[real], second[real], third[real]) if heads_only else (first, second, third))
        more_heat, more_box = taught_loss(tuple(output[real] for output in outputs), told)
        heat, box = heat + taught * more_heat, box + taught * more_box
    return heat, box


def _share(done: float) -> float:
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _groups(model: Detector, share: float) -> list[dict[str, object]]:
    """Split what learns into the body, at ``share`` of the rate, and the heads."""
    body = {id(p) for module in model.convolutions() for p in module.parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learning if id(p) in body], "share": share},
        {"params": [p for p in learning if id(p) not in body], "share": 1.0},
    ]


def _save(
    path: Path,
    parts: tuple[nn.Module, nn.Module, torch.optim.Optimizer],
    step: int,
    body_steps: int,
    spent: float,
) -> None:
    """Write a checkpoint, whole or not at all."""
    states = {name: part.state_dict() for name, part in zip(("model", "mean", "optimiser"), parts, strict=True)}
    partial = path.with_suffix(".partial")
    torch.save({**states, "step": step, "body_steps": body_steps, "spent": spent}, partial)
    partial.rename(path)
