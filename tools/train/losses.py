"""What the detector is punished for.

Knows:  where persons are, how sure their boxes are, where nobody may be judged.
Never:  a picture.
Leaves: two numbers to descend.
Clauses: none.

Each person is asked of the few cells that see it best (score and overlap together, the best ``CELLS``); a cell's
wanted score is how well its box fits, so that a score means "a person, and here". All other cells want nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as f

from tools.train.nets import STRIDES

CELLS = 8
"""Cells at most that are asked for one person."""

REACH = 2.5
"""Cells from a person's middle within which a cell may be asked for it."""

BOX_SHARE = 2.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Every cell of the three grids: corner in cells (n, 2), size in pixels (n)."""

    corner: Tensor
    size: Tensor


def grid_of(outputs: tuple[Tensor, ...]) -> Grid:
    """Return the cells of the detector's outputs, in their order."""
    corners, sizes = [], []
    for heat, stride in zip(outputs[0::2], STRIDES, strict=True):
        rows, columns = heat.shape[2:]
        here = heat.device
        down, across = torch.meshgrid(
            torch.arange(rows, device=here), torch.arange(columns, device=here), indexing="ij"
        )
        corners.append(torch.stack((across, down), -1).reshape(-1, 2).float())
        sizes.append(torch.full((rows * columns,), float(stride), device=here))
    return Grid(torch.cat(corners), torch.cat(sizes))


def flat(outputs: tuple[Tensor, ...], grid: Grid) -> tuple[Tensor, Tensor]:
    """Return logits (b, n) and boxes (b, n, 4; left top right bottom in the model's pixels)."""
    logits = torch.cat([heat.flatten(1) for heat in outputs[0::2]], dim=1)
    raw = torch.cat([box.flatten(2).transpose(1, 2) for box in outputs[1::2]], dim=1)
    middle = (raw[..., :2] + grid.corner) * grid.size[:, None]
    half = raw[..., 2:].clamp(-6, 6).exp() * grid.size[:, None] / 2
    return logits, torch.cat((middle - half, middle + half), dim=-1)


def overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return intersection over union and its generalised form, of boxes that broadcast together."""
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    union = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(-1) - both + 1e-6
    outer = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    hull = outer.prod(-1) + 1e-6
    overlap = both / union
    return overlap, overlap - (hull - union) / hull


def asked(scores: Tensor, boxes: Tensor, grid: Grid, persons: Tensor) -> tuple[Tensor, Tensor]:
    """Return each cell's wanted score (n) and whom it is asked for (n; -1 nobody), for one picture.

    ``scores`` (n) and ``boxes`` (n, 4) are the detector's own, ``persons`` (m, 5) boxes and how sure they are.
    """
    middle = (grid.corner + 0.5) * grid.size[:, None]
    centre = (persons[:, :2] + persons[:, 2:4]) / 2
    away = (middle[None] - centre[:, None]).abs().amax(-1) / grid.size
    inside = torch.minimum(middle[None] - persons[:, None, :2], persons[:, None, 2:4] - middle[None]).amin(-1) > 0
    allowed = ((away < REACH) & inside) | (away <= 0.5)
    overlap = overlaps(boxes[None], persons[:, None, :4])[0].clamp(min=0)
    fitness = torch.where(allowed, scores[None].sqrt() * overlap**4 + 1e-9, torch.zeros((), device=boxes.device))
    best = fitness.topk(min(CELLS, fitness.shape[1]), dim=1)
    chosen = torch.zeros_like(fitness).scatter(1, best.indices, (best.values > 0).float())
    rivals = torch.where(chosen > 0, overlap + 1e-6, torch.zeros(()))
    whom = rivals.argmax(0)
    taken = rivals.amax(0) > 0
    mine = torch.zeros_like(chosen).scatter(0, whom[None], taken[None].float())
    peak = (fitness * mine).amax(1, keepdim=True).clamp(min=1e-9)
    fit = (overlap * mine).amax(1, keepdim=True)
    wanted = (fitness * mine / peak * fit * persons[:, 4:5]).amax(0)
    return wanted, torch.where(taken, whom, torch.full_like(whom, -1))


def detector_loss(outputs: tuple[Tensor, ...], marks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of scores and of boxes.

    ``marks`` (b, m, 6) are boxes, kind (1 person, 0 ignore, -1 no row), how sure.
    """
    grid = grid_of(outputs)
    logits, boxes = flat(outputs, grid)
    goal, weight, pairs = torch.zeros_like(logits), torch.ones_like(logits), []
    middle = (grid.corner + 0.5) * grid.size[:, None]
    with torch.no_grad():
        scores = torch.sigmoid(logits)
        for k, rows in enumerate(marks):
            unknown = rows[rows[:, 4] == 0]
            if len(unknown):
                inside = torch.minimum(middle[None] - unknown[:, None, :2], unknown[:, None, 2:4] - middle[None])
                weight[k][(inside.amin(-1) > -0.25 * grid.size).any(0)] = 0
            persons = rows[rows[:, 4] == 1]
            if len(persons):
                people = persons[:, [0, 1, 2, 3, 5]]
                goal[k], whom = asked(scores[k], boxes[k], grid, people)
                cells = torch.nonzero(whom >= 0)[:, 0]
                weight[k][cells] = 1
                pairs.append((k, cells, people[whom[cells], :4]))
    whole = goal.sum().clamp(min=1.0)
    sharp = (goal - scores).abs().pow(1.5) + 0.02
    heat = (f.binary_cross_entropy_with_logits(logits, goal, reduction="none") * weight * sharp).sum() / whole
    box = torch.zeros((), device=logits.device)
    for k, cells, people in pairs:
        box = box + ((1 - overlaps(boxes[k, cells], people)[1]) * goal[k, cells]).sum()
    return heat, BOX_SHARE * box / whole


def told_by(teacher: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return what a teacher says at the cells of ``outputs``: logits (b, n) and boxes (b, n, 4; the model's pixels).

    The teacher saw more cells of the same picture: of those that lie in one of ours the surest speaks.
    """
    grid = grid_of(teacher)
    _, boxes = flat(teacher, grid)
    logits, chosen, first = [], [], 0
    for theirs, ours in zip(teacher[0::2], outputs[0::2], strict=True):
        rows, columns = theirs.shape[2:]
        best, which = f.adaptive_max_pool2d(theirs, ours.shape[2:], return_indices=True)
        logits.append(best.flatten(1))
        own = boxes[:, first : first + rows * columns]
        chosen.append(own.gather(1, which.flatten(1)[..., None].expand(-1, -1, 4)))
        first += rows * columns
    smaller = [ours / theirs for ours, theirs in zip(outputs[0].shape[2:], teacher[0].shape[2:], strict=True)]
    return torch.cat(logits, dim=1), torch.cat(chosen, dim=1) * boxes.new_tensor([smaller[1], smaller[0]] * 2)


def taught_loss(outputs: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return how far scores and boxes are from the teacher's, cell by cell, where either sees somebody."""
    logits, boxes = flat(outputs, grid_of(outputs))
    theirs, their_boxes = told_by(teacher, outputs)
    wanted = torch.sigmoid(theirs)
    whole = wanted.sum().clamp(min=1.0)
    sharp = (wanted - torch.sigmoid(logits.detach())).abs() + 0.05
    heat = (f.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * sharp).sum() / whole
    likely = wanted * (wanted > 0.1)
    box = ((1 - overlaps(boxes, their_boxes)[1]) * likely).sum() / whole
    return heat, BOX_SHARE * box
