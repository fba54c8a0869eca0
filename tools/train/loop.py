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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f
from torch.utils.data import DataLoader

from tools.train import rounding
from tools.train.batches import SIZES, Batches, Pictures
from tools.train.losses import detector_loss, taught_loss
from tools.train.nets import Detector, Teacher
from tools.train.start import start_from, teacher_from

RATES = {"s": 1.2e-3, "m": 9e-4}
"""Highest learning rate, by size: a batch of large pictures holds half as many."""

LAST_SHARE, WARM_STEPS, BODY_WARM_STEPS = 0.02, 40, 300
HEADS_FIRST = 0.06
"""Share of a run in which only the heads learn: to say what the start's own, dearer heads say."""

TAUGHT = 0.8
"""Of the loss: the teacher's word on photographs, beside the boxes'. Without it, what the start knew of the world is
forgotten for what the few photographs show."""

ROUNDED_LAST = 0.15
"""Share of a run, its last, in which weights and what flows between them are rounded as eight bits will round them."""

BODY_SHARE = 0.1
"""Of the rate, for a body that has learnt elsewhere: with 0.2 it forgets faster than it learns."""

HOMEWARD = 2.0
"""Times the rate: how far each step draws the body back to where it started. There it knows more of the world: a body
halfway back had five points more on everyday photographs, and as many fewer on drawn streets."""

KEPT = 0.9985
"""Of the running mean, a step."""

CHECKPOINT_SECONDS, PAUSE_SECONDS = 240.0, 1_800.0

Batch = tuple[Tensor, Tensor, Tensor]
"""As :class:`tools.train.batches.Batches` makes them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: the model's size, minutes of all its parts, what it starts from and what teaches it."""

    size: str
    minutes: float
    seed: int
    start: Path | None = None
    """A float16 YOLOX-nano file."""
    most_steps: int | None = None
    blend: tuple[Path, ...] = ()
    """Checkpoints of runs from the same start: this one begins with the mean of their weights, where rounding begins.

    Such a mean keeps more of what the start knew of the world than any of them (Wortsman et al. 2022, "Model soups").
    """


def as_input(pictures: Tensor) -> Tensor:
    """uint8 (n, h, w, 3) -> float (n, 3, h, w) 0..1, channels last in memory."""
    return (pictures.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)


def average(mean: nn.Module, model: nn.Module, step: int) -> None:
    """Move the running mean towards the model."""
    keep = min(KEPT, (1 + step) / (10 + step))
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
            old.mul_(keep).add_(new, alpha=1 - keep)


class _Run:
    """A run's state: what learns, its running mean, its optimiser, how far it is."""

    def __init__(self, plan: Plan, path: Path, device: torch.device) -> None:
        self.plan, self.path, self.device = plan, path, device
        self.model = Detector()
        if plan.start is not None:
            start_from(self.model, plan.start)
            for part in self.model.early():
                part.requires_grad_(requires_grad=False)
        self.model.to(device, memory_format=torch.channels_last)
        self.teacher = None if plan.start is None else teacher_from(plan.start).to(device)
        share = BODY_SHARE if plan.start is not None else 1.0
        self.optimiser = torch.optim.AdamW(_groups(self.model, share), RATES[plan.size], weight_decay=1e-3)
        self.mean = copy.deepcopy(self.model)
        body = self.optimiser.param_groups[0]["params"]
        self.home = [] if plan.start is None else [(part, part.detach().clone()) for part in body]
        self.step, self.body_steps, self.spent = 0, 0, 0.0
        if path.exists():
            kept = torch.load(path, weights_only=True, map_location=device)
            for name, part in self._parts().items():
                part.load_state_dict(kept[name])
            self.step, self.body_steps, self.spent = kept["step"], kept["body_steps"], kept["spent"]
        elif plan.blend:
            states = [torch.load(each, weights_only=True, map_location=device)["mean"] for each in plan.blend]
            together = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
            self.model.load_state_dict(together)
            self.mean.load_state_dict(together)
            self.body_steps, self.spent = BODY_WARM_STEPS, (1 - ROUNDED_LAST) * plan.minutes * 60
        self.body = self.optimiser.param_groups[0]
        self.body["share"] = share  # a checkpoint's own word would outlive a change of mind

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "mean": self.mean, "optimiser": self.optimiser}

    def save(self, spent: float) -> None:
        """Write the checkpoint, whole or not at all; ``spent`` seconds of training went into it."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        partial = self.path.with_suffix(".partial")
        torch.save({**states, "step": self.step, "body_steps": self.body_steps, "spent": spent}, partial)
        partial.rename(self.path)

    def learn(self, batch: Batch, done: float) -> tuple[float, float, float]:
        """Go one step at ``done`` (0..1) of the plan; returns rate, loss of scores, loss of boxes."""
        heads_only = self.teacher is not None and done < HEADS_FIRST
        if done > 1 - ROUNDED_LAST:
            rounding.begin(self.model)
        self.body_steps += not heads_only
        rate = RATES[self.plan.size] * _share(done) * min(1.0, (self.step + 1) / WARM_STEPS)
        ramp = min(1.0, self.body_steps / BODY_WARM_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"] * (1.0 if group["share"] == 1 else ramp)
        shown, marks, real = (part.to(self.device) for part in batch)
        heat, box = _loss(self.model, self.teacher, (shown, marks, real), SIZES[self.plan.size], heads_only=heads_only)
        self.optimiser.zero_grad(set_to_none=True)
        (heat + box).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 8.0)
        self.optimiser.step()
        with torch.no_grad():
            for learnt, began in self.home:
                learnt.lerp_(began, self.body["lr"] * HOMEWARD)
        self.step += 1
        average(self.mean, self.model, self.step)
        return rate, heat.item(), box.item()


def train(
    pictures: Pictures, out: Path, plan: Plan, *, device: str = "cpu", paused: Callable[[Path], None] | None = None
) -> Path:
    """Train until the plan's minutes are spent, from where ``out`` left off. Returns the checkpoint.

    ``paused`` is called with it every ``PAUSE_SECONDS``; the clock stands meanwhile.
    """
    torch.manual_seed(plan.seed)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(plan, out / f"detector-{plan.size}.pt", torch.device(device))
    source = Batches(pictures, plan.size, plan.seed + run.step)
    batches = iter(DataLoader(source, batch_size=None, num_workers=1, prefetch_factor=6))
    every, first = 10 if plan.most_steps else 60, run.step
    told = np.zeros(3)
    began = saved = rested = time.monotonic()
    while (now := run.spent + time.monotonic() - began) < plan.minutes * 60 and (
        plan.most_steps is None or run.step < first + plan.most_steps
    ):
        told += run.learn(next(batches), now / plan.minutes / 60)
        if run.step % every == 0:
            rate, heat, box = told / every
            line = f"{now:.0f},{run.step},{rate:.6f},{heat:.4f},{box:.4f}"
            print(f"{plan.size} {now / plan.minutes / 0.6:3.0f} % {line}", flush=True)
            with (out / f"curve-{plan.size}.csv").open("a") as lines:
                lines.write(line + "\n")
            told[:] = 0
        if (moment := time.monotonic()) - saved > CHECKPOINT_SECONDS:
            saved = moment
            run.save(run.spent + saved - began)
            if paused is not None and moment - rested > PAUSE_SECONDS:
                paused(run.path)
                rested = time.monotonic()
                began += rested - moment
    run.save(run.spent + time.monotonic() - began)
    return run.path


def _grids(model: Detector, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the body sees, reckoned in half the bits where the processor can, which takes a third less time.

    What rounds already is reckoned in all of them.
    """
    can = x.is_cuda or torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - it has no other name
    with torch.autocast(x.device.type, torch.bfloat16, enabled=can and not model.pools.kept.rounds):
        first, second, third = model.seen(x)
    return first.float(), second.float(), third.float()


def _loss(
    model: Detector,
    teacher: Teacher | None,
    batch: Batch,
    size: tuple[int, int],
    *,
    heads_only: bool,
) -> tuple[Tensor, Tensor]:
    """Return the loss of scores and of boxes: the boxes' own, and on photographs ``TAUGHT`` times the teacher's.

    The teacher sees a batch's pictures as they are, the model sees them at its own ``size`` (width, height).
    """
    shown, marks, real = batch
    larger = as_input(shown)
    x = f.interpolate(larger, size=size[::-1], mode="bilinear", antialias=True, align_corners=False)
    with torch.set_grad_enabled(not heads_only):
        grids = _grids(model, x)
    outputs = model.told(grids)
    heat, box = detector_loss(outputs, marks)
    if teacher is not None and bool(real.any()):
        with torch.no_grad():
            told = teacher.told(_grids(teacher, larger[real]))
        more_heat, more_box = taught_loss(tuple(output[real] for output in outputs), told)
        heat, box = heat + TAUGHT * more_heat, box + TAUGHT * more_box
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
