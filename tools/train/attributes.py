"""Trains the attribute heads: three linear ones, fitted at once, then tuned together with the trunk.

Knows:  upper bodies with classes, a seed, a time budget.
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
from torch import Tensor, nn
from torch.nn import functional as f

from tools.train.nets import Attributes
from tools.train.shards import Picture
from tools.train.start import start_attributes
from tools.train.upper_bodies import load

BATCH = 64
ROUNDS = 2
"""How often each crop is seen, changed each time."""

DECAY = (0.3, 0.3, 0.02)
"""Of the squared weights, a head: the fewer real faces tell it, the more."""

DRAWN_TELLS = (False, False, True)
"""Whether a drawn person teaches a head: clothes of drawings say nothing of real people's sex and age."""

DRAWN_SHARE = 0.15
"""Of the loss, of drawn people, where they teach."""

STEPS = 60
TUNING_RATE, TRUNK_SHARE = 2e-4, 0.15

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
    out = np.roll(out, (int(rng.integers(-3, 4)), int(rng.integers(-3, 4))), axis=(1, 2))
    size = (len(out), 1, 1)
    y = (out[..., 0] - 128) * rng.uniform(0.65, 1.35, size) + 128 + rng.uniform(-32, 32, size)
    out[..., 0] = y + rng.standard_normal(y.shape, np.float32) * rng.uniform(0, 9, size).astype(np.float32)
    strength = np.where(rng.random((len(out), 1, 1, 1)) < 0.15, 0.0, rng.uniform(0.5, 1.4, (len(out), 1, 1, 1)))
    out[..., 1:] = 128 + (out[..., 1:] - 128) * strength + rng.uniform(-7, 7, (len(out), 1, 1, 2)) * (strength > 0)
    return np.clip(out, 0, 255).astype(np.uint8)


def _weights(classes: Classes, real: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return each row's weight for one head (``classes`` (n), all known): real people's classes count the same."""
    weight = np.zeros(len(classes), np.float32)
    for source, share in ((real, 1 - DRAWN_SHARE), (~real, DRAWN_SHARE)):
        there = np.unique(classes[source])
        for state in there:
            here = source & (classes == state)
            weight[here] = share / len(there) / here.sum()
    return weight / weight.sum()


def _fit(head: nn.Linear, seen: Tensor, classes: Classes, weight: npt.NDArray[np.float32], decay: float) -> float:
    """Fit one head to what the trunk saw, by LBFGS on standardised columns; returns the loss."""
    middle, spread = seen.mean(0), seen.std(0) + 1e-3
    columns, wanted, shares = (seen - middle) / spread, torch.from_numpy(classes), torch.from_numpy(weight)
    weights = torch.zeros(head.out_features, seen.shape[1], requires_grad=True)
    bias = torch.zeros(head.out_features, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        each = f.cross_entropy(columns @ weights.T + bias, wanted, reduction="none")
        whole = (each * shares).sum() + decay * weights.square().sum()
        whole.backward()  # type: ignore[no-untyped-call] # torch
        return whole

    optimiser.step(loss)  # type: ignore[arg-type, no-untyped-call] # torch
    last = loss().item()
    with torch.no_grad():
        head.weight.copy_(weights / spread)
        head.bias.copy_(bias - (weights * (middle / spread)).sum(dim=1))
    return last


def train(
    data: Path, out: Path, *, minutes: float, seed: int, start: Path | None = None, most: int | None = None
) -> Path:
    """Fit the heads on the trunk as it started (``most`` crops at most), tune both; returns the checkpoint."""
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    crops, classes, real = load(data / "train.npz")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(crops))[:most]
    crops, classes, real = crops[chosen], classes[chosen], real[chosen]
    model = Attributes().eval()
    if start is not None:
        start_attributes(model, start)
    parts, began = [], time.monotonic()
    with torch.no_grad():
        for _ in range(ROUNDS):
            parts += [
                model.pooled(as_input(changed(crops[first : first + BATCH], rng)))
                for first in range(0, len(crops), BATCH)
            ]
            print(f"seen {sum(len(part) for part in parts)}, {time.monotonic() - began:.0f} s", flush=True)
    seen, classes, real = torch.cat(parts), np.tile(classes, (ROUNDS, 1)), np.tile(real, ROUNDS)
    for number, head in enumerate(model.heads()):
        known = (classes[:, number] >= 0) & (real | DRAWN_TELLS[number])
        if not known.any():
            continue
        weight = _weights(classes[known, number], real[known])
        loss = _fit(head, seen[torch.from_numpy(known)], classes[known, number], weight, DECAY[number])
        print(f"head {number}: {known.sum()} rows, loss {loss:.4f}", flush=True)
    _tune(model, (crops, classes[: len(crops)], real[: len(crops)]), minutes, rng)
    path = out / "attributes.pt"
    torch.save({"mean": model.state_dict()}, path)
    return path


def _tune(
    model: Attributes,
    known: tuple[Picture, Classes, npt.NDArray[np.bool_]],
    minutes: float,
    rng: np.random.Generator,
) -> None:
    """Let the later blocks follow the heads, slowly: at ten times these rates they forget all they knew."""
    crops, classes, real = known
    for part in model.early():
        part.requires_grad_(requires_grad=False)
    heads = {id(p) for head in model.heads() for p in head.parameters()}
    learning = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if id(p) in heads], "share": 1.0, "lr": 0.0},
        {"params": [p for p in learning if id(p) not in heads], "share": TRUNK_SHARE, "lr": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=1e-2)
    chances = np.zeros(len(crops))
    for number in range(3):
        here = (classes[:, number] >= 0) & (real | DRAWN_TELLS[number])
        if here.any():
            chances[here] += _weights(classes[here, number], real[here])
    began, step, total = time.monotonic(), 0, 0.0
    while (done := (time.monotonic() - began) / (minutes * 60)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * TUNING_RATE * 0.5 * (1 + math.cos(math.pi * done)) * min(1, step / 50)
        chosen = rng.choice(len(crops), BATCH // 2, p=chances / chances.sum())
        loss = torch.zeros(())
        for number, logits in enumerate(model(as_input(changed(crops[chosen], rng)))):
            told = (classes[chosen, number] >= 0) & (real[chosen] | DRAWN_TELLS[number])
            if told.any():
                truth = torch.from_numpy(classes[chosen, number][told])
                loss = loss + f.cross_entropy(logits[torch.from_numpy(told)], truth, label_smoothing=0.05)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch
        optimiser.step()
        step, total = step + 1, total + loss.item()
        if step % 50 == 0:
            print(f"{done:.0%} step {step}, loss {total / 50:.4f}", flush=True)
            total = 0.0
