"""Lets the detector feel, while it learns, that eight bits will be all it has.

Knows:  how the quantiser will round: weights by output channel, every kept tensor by the ends of what was seen of it.
Never:  anything of a file; whatever is exported is float and rounded by the quantiser itself.
Leaves: a model whose weights have met their rounding (the gradient passes through it).
Clauses: none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FOLLOWED = 0.98
"""Of the ends of a tensor, a step: they follow what is seen, slowly enough that a rare peak is cut off."""


class Rounded(nn.Module):
    """A place where a tensor is kept in eight bits; a plain passage until :func:`begin` was called."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: Tensor
        self.register_buffer("ends", torch.full((2,), float("nan")), persistent=False)
        self.rounds = False

    def forward(self, x: Tensor) -> Tensor:
        """(any shape) -> the same, on the 256 values that its ends allow."""
        if not self.rounds:
            return x
        with torch.no_grad():
            seen = torch.stack((x.amin().clamp(max=0), x.amax().clamp(min=1e-3)))
            if self.training:
                self.ends.copy_(seen if bool(self.ends.isnan().any()) else self.ends * FOLLOWED + seen * (1 - FOLLOWED))
            scale = float(self.ends[1] - self.ends[0]) / 255
            zero = round(-float(self.ends[0]) / scale)
        return torch.fake_quantize_per_tensor_affine(x, scale, min(max(zero, 0), 255), 0, 255)


def rounded(weight: Tensor) -> Tensor:
    """(out, in, h, w) -> the same, each output channel on 255 values about nothing."""
    scale = weight.detach().abs().amax(dim=(1, 2, 3)).clamp(min=1e-8) / 127
    zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)


def begin(model: nn.Module) -> None:
    """From here on every place of ``model`` rounds."""
    for part in model.modules():
        if isinstance(part, Rounded):
            part.rounds = True
