"""What is really on a drawn frame.

Knows:  every drawn person's outline, how much of it can be seen, and who was drawn.
Never:  an estimate.
Leaves: tuples of :class:`PersonTruth`, and their JSON form.
Clauses: none; measures what 4.2(2) and 6.1(3) are promised with.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNTED_VISIBLE_FRACTION = 0.3
"""A person of whom less than this can be seen is not asked of a counter, and is no mistake if counted."""


@dataclass(frozen=True, slots=True)
class PersonTruth:
    """One drawn person.

    ``box`` is left, top, right, bottom in pixels of the small picture (640 x 360), the outline of the whole
    body cut at the picture's edge; ``visible_fraction`` is seen pixels over all pixels of the body, parts
    outside the picture included. ``sex``, ``age`` and ``mask`` use the names of the published categories.
    ``skin`` is the tone's place in ``look.SKINS``, 0 the lightest, -1 where it is not known; it is never
    published, only measured by.
    """

    box: tuple[float, float, float, float]
    visible_fraction: float
    sex: str
    age: str
    mask: str
    skin: int = -1

    @property
    def counted(self) -> bool:
        """Whether a counter is asked to see this person."""
        return self.visible_fraction >= COUNTED_VISIBLE_FRACTION

    def facts(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "box": [round(edge, 1) for edge in self.box],
            "visible": round(self.visible_fraction, 3),
            "counted": self.counted,
            "sex": self.sex,
            "age": self.age,
            "mask": self.mask,
            "skin": self.skin,
        }


Truth = tuple[PersonTruth, ...]


def persons_in(truth: Truth) -> int:
    """Return how many persons a counter is asked to see."""
    return sum(person.counted for person in truth)
