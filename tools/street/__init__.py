"""A street that nobody lives in: the camera of the demo, of the tests and of training.

Knows:  geometry, light, weather, how people are built and walk; a seed.
Never:  a real person, a file of pictures, anything that the firmware could import.
Leaves: frames as planar 4:2:0 pictures, and the exact truth about each.
Clauses: none; it is not on a pole.
"""

from __future__ import annotations

from tools.street.scene import Scene
from tools.street.street import Street
from tools.street.truth import PersonTruth, Truth

__all__ = ["PersonTruth", "Scene", "Street", "Truth"]
