"""Trains the attribute heads.

Knows:  upper bodies with classes, a time budget, a seed.
Never:  a class outside the closed lists.
Leaves: ``attributes.pt``.
Clauses: 4.2(2).
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as f

from tools.train.nets import Attributes
from tools.train.shards import Picture
from tools.train.upper_bodies import load

BATCH = 32
BEST_RATE = 4e-3
REAL_SHARE = 0.25
SHARES = (0.3, 0.3, 1.0)
"""Of the loss, a head: so small a trunk is for the mask, the one thing a pole can see; the others stay unknown."""

Classes = npt.NDArray[np.int64]


def as_input(crops: Picture) -> Tensor:
    """uint8 (n, 64, 48, 3) -> float (n, 3, 64, 48) 0..1."""
    picture = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() / 255
    return picture.contiguous(memory_format=torch.channels_last)


def changed(crops: Picture, rng: np.random.Generator) -> Picture:
    """Mirror, shift, relight, add noise, sometimes take the colour away."""
    out = crops.astype(np.float32)
    flip = rng.random(len(out)) < 0.5
    out[flip] = out[flip, :, ::-1]
    out = np.roll(out, (int(rng.integers(-3, 4)), int(rng.integers(-3, 4))), axis=(1, 2))
    size = (len(out), 1, 1)
    y = (out[..., 0] - 128) * rng.uniform(0.65, 1.35, size) + 128 + rng.uniform(-32, 32, size)
    out[..., 0] = y + rng.standard_normal(y.shape, np.float32) * rng.uniform(0, 9, size).astype(np.float32)
    strength = np.where(rng.random((len(out), 1, 1, 1)) < 0.15, 0.0, rng.uniform(0.5, 1.4, (len(out), 1, 1, 1)))
    out[..., 1:] = 128 + (out[..., 1:] - 128) * strength + rng.uniform(-7, 7, (len(out), 1, 1, 2)) * (strength > 0)
    return np.clip(out, 0, 255).astype(np.uint8)


def _weights(classes: Classes, real: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Draw real faces often, and each mask state of real faces equally often."""
    weight = np.where(real, REAL_SHARE / max(real.sum(), 1), (1 - REAL_SHARE) / max((~real).sum(), 1))
    for state in (0, 1):
        here = real & (classes[:, 2] == state)
        weight[here] *= 0.5 * (real & (classes[:, 2] >= 0)).sum() / max(here.sum(), 1)
    return np.asarray(weight / weight.sum(), np.float64)


def loss_of(outputs: tuple[Tensor, Tensor, Tensor], classes: Tensor) -> Tensor:
    """Weighted sum of three cross entropies; unknown classes (-1) count nothing."""
    total = torch.zeros(())
    for k, logits in enumerate(outputs):
        if bool((classes[:, k] >= 0).any()):
            total = total + SHARES[k] * f.cross_entropy(logits, classes[:, k], ignore_index=-1, label_smoothing=0.05)
    return total


def train(data: Path, out: Path, *, minutes: float, seed: int, most_steps: int | None = None) -> Path:
    """Train for ``minutes`` more, from where ``out`` left off; returns the checkpoint."""
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    crops, classes, real = load(data / "train.npz")
    weights, rng = _weights(classes, real), np.random.default_rng(seed)
    model = Attributes().to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch
    path = out / "attributes.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True)["mean"])
    optimiser = torch.optim.AdamW(model.parameters(), BEST_RATE, weight_decay=1e-2)
    began, step, total = time.monotonic(), 0, 0.0
    while (spent := time.monotonic() - began) < minutes * 60 and (most_steps is None or step < most_steps):
        for group in optimiser.param_groups:
            group["lr"] = BEST_RATE * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * spent / (minutes * 60))))
        chosen = rng.choice(len(crops), BATCH, p=weights)
        outputs = model(as_input(changed(crops[chosen], rng)))
        loss = loss_of(outputs, torch.from_numpy(classes[chosen]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch
        optimiser.step()
        step, total = step + 1, total + loss.item()
        if step % 100 == 0:
            print(f"{spent:.0f} s, step {step}, loss {total / 100:.4f}", flush=True)
            total = 0.0
    torch.save({"mean": model.state_dict(), "step": step}, path)
    return path
