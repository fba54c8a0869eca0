"""What the detector is punished for.

Knows:  where persons are, where nobody may be judged.
Never:  a picture.
Leaves: one number to descend.
Clauses: none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as f

from tools.train.shards import Boxes

STRIDE = 8
Floats = npt.NDArray[np.float32]


def target(boxes: Boxes, height: int = 192, width: int = 320, blank: int = 12) -> Floats:
    """Return (7, height / 8, width / 8): heat 0..1, weight of the background, box l t r b, weight of the box.

    The ``blank`` last rows of pixels are no part of the picture.
    """
    rows, columns = height // STRIDE, width // STRIDE
    out = np.zeros((7, rows, columns), np.float32)
    out[1, : -(-(height - blank) // STRIDE)] = 1
    ys, xs = (np.arange(rows, dtype=np.float32) + 0.5) * STRIDE, (np.arange(columns, dtype=np.float32) + 0.5) * STRIDE
    for left, top, right, bottom, kind in boxes:
        if kind == 1:
            continue
        inside = ((ys >= top - 4) & (ys <= bottom + 4))[:, None] & ((xs >= left - 4) & (xs <= right + 4))[None]
        out[1][inside] = 0
    order = sorted((row for row in boxes if row[4] == 1), key=lambda r: -(r[2] - r[0]) * (r[3] - r[1]))
    for left, top, right, bottom, _ in order:
        cx, cy, w, h = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        column, row = min(int(cx / STRIDE), columns - 1), min(int(cy / STRIDE), rows - 1)
        sx, sy = np.clip(w / 9, 2.6, 14), np.clip(h / 9, 2.6, 16)
        gx = np.exp(-(((xs - xs[column]) / sx) ** 2) / 2)
        gy = np.exp(-(((ys - ys[row]) / sy) ** 2) / 2)
        heat = gy[:, None] * gx[None]
        better = heat > out[0]
        out[0] = np.maximum(out[0], heat)
        near = better & (heat > 0.55)
        out[1][heat > 0.3] = 1
        distances = (xs[None] - left, ys[:, None] - top, right - xs[None], bottom - ys[:, None])
        for k, distance in enumerate(distances):
            out[2 + k][near] = np.broadcast_to(distance, near.shape)[near]
        out[6][near] = heat[near]
    out[6] *= (out[2:6].min(axis=0) > -2) & (out[2:6].sum(axis=0) > 0)
    out[2:6] = np.maximum(out[2:6], 0)
    return out


def detector_loss(heat: Tensor, box: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return focal loss of the heat and IoU loss of the boxes, both a person."""
    logits, goal, weight = heat[:, 0].clamp(-12, 12), wanted[:, 0], wanted[:, 1]
    probability = torch.sigmoid(logits)
    peak = (goal > 0.999).float()
    persons = peak.sum().clamp(min=1.0)
    hit = peak * (1 - probability) ** 2 * f.logsigmoid(logits)
    miss = (1 - peak) * (1 - goal) ** 4 * probability**2 * f.logsigmoid(-logits) * weight
    share = wanted[:, 6]
    pl, pt, pr, pb = box.unbind(1)
    gl, gt, gr, gb = wanted[:, 2], wanted[:, 3], wanted[:, 4], wanted[:, 5]
    across = torch.minimum(pl, gl) + torch.minimum(pr, gr)
    down = torch.minimum(pt, gt) + torch.minimum(pb, gb)
    both = across.clamp(min=0) * down.clamp(min=0)
    union = (pl + pr) * (pt + pb) + (gl + gr) * (gt + gb) - both + 1e-3
    hull = (torch.maximum(pl, gl) + torch.maximum(pr, gr)) * (torch.maximum(pt, gt) + torch.maximum(pb, gb)) + 1e-3
    generous = both / union - (hull - union) / hull
    near = (torch.log1p(torch.stack((pl, pt, pr, pb))) - torch.log1p(torch.stack((gl, gt, gr, gb)))).abs().mean(0)
    boxes = ((1 - generous + 0.5 * near) * share).sum() / share.sum().clamp(min=1.0)
    return -(hit + miss).sum() / persons, boxes
