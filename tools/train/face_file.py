"""Reads the file of weights that the attribute heads start from.

Knows:  the age-and-gender file of "face-api" (8 bits a weight, a JSON beside it says which is where).
Never:  the file's neighbours: none that tells people apart is read.
Leaves: arrays by name, a hash.
Clauses: 4.2(2) (sex and years of a face, no model of anybody).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
TOLD = ("fc/age", "fc/gender")
"""What the file's network tells, and all that it may: anything else it could tell is refused."""


def read_weights(listed: Path) -> dict[str, Floats]:
    """Return every tensor that ``listed`` (the JSON) names, from the file beside it.

    Raises ValueError where they do not fit, or where the file has another head than those of sex and years.
    """
    group = json.loads(listed.read_text())[0]
    content = b"".join((listed.parent / name).read_bytes() for name in group["paths"])
    at, found = 0, {}
    for one in group["weights"]:
        number = int(np.prod(one["shape"]))
        if "quantization" in one:
            whole = np.frombuffer(content, np.uint8, number, at).astype(np.float32)
            values, at = whole * one["quantization"]["scale"] + one["quantization"]["min"], at + number
        else:
            values, at = np.frombuffer(content, np.float32, number, at).copy(), at + 4 * number
        found[str(one["name"])] = values.reshape(one["shape"]).astype(np.float32)
    if any(name.startswith("fc/") and not name.startswith(TOLD) for name in found):
        message = f"{listed.name} lists a head that is neither sex nor years"
        raise ValueError(message)
    if at != len(content):
        message = f"{len(content) - at} bytes of {listed.parent} belong to no tensor"
        raise ValueError(message)
    return found


def hash_of(listed: Path) -> str:
    """Return the sha256 of the weights that ``listed`` names."""
    paths = json.loads(listed.read_text())[0]["paths"]
    return hashlib.sha256(b"".join((listed.parent / name).read_bytes() for name in paths)).hexdigest()
