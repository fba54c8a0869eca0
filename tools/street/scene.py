"""What kind of street it is.

Knows:  where the camera hangs, how many people come, the light and the weather.
Never:  who comes; that is the seed's business.
Leaves: one frozen value that a test, a demo or a training run can name.
Clauses: none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Light = Literal["day", "dusk", "night"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A street. Lengths are metres, angles degrees.

    ``people_per_minute`` is the mean arrival rate of persons (Poisson groups). ``tilt`` is how far the camera
    looks down; ``view`` its horizontal field of view; ``turn`` the street's direction across the picture.
    ``infrared`` gives a grey picture lit from the pole. ``mask_share``, ``umbrella_share`` (in rain) and
    ``bicycle_share`` are probabilities a person; ``cars_per_minute`` and ``dogs_per_minute`` are what nobody counts,
    and so are ``statues`` and ``posters`` (life-size); ``reflections`` gives things back from wet ground.
    """

    people_per_minute: float = 20.0
    light: Light = "day"
    rain: bool = False
    infrared: bool = False
    height: float = 4.0
    tilt: float = 30.0
    view: float = 70.0
    turn: float = 12.0
    plaza: bool = False
    mask_share: float = 0.25
    umbrella_share: float = 0.7
    bicycle_share: float = 0.04
    cars_per_minute: float = 2.0
    dogs_per_minute: float = 0.5
    parked_cars: int = 1
    trees: int = 1
    posts: int = 2
    statues: int = 0
    posters: int = 0
    reflections: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.people_per_minute <= 600:
            raise ValueError("people_per_minute must be 0..600")
        if self.light not in ("day", "dusk", "night"):
            raise ValueError("light must be day, dusk or night")
        if not (2 <= self.height <= 8 and 10 <= self.tilt <= 70 and 40 <= self.view <= 110):
            raise ValueError("height 2..8 m, tilt 10..70 and view 40..110 degrees")


def busy() -> Scene:
    """Return a shopping street at noon: about ten people in view."""
    return Scene(people_per_minute=40.0)


def market() -> Scene:
    """Return a market seen from a low pole: many people near enough that a mask can be seen on them."""
    return Scene(people_per_minute=75.0, mask_share=0.5, height=3.4, tilt=26.0, view=60.0)


def quiet() -> Scene:
    """Return a side street: usually nobody, sometimes one or two."""
    return Scene(people_per_minute=2.0, turn=-18.0, tilt=33.0, cars_per_minute=1.0, dogs_per_minute=0.2)


def empty() -> Scene:
    """Nobody ever; trees sway, cars and dogs pass."""
    return Scene(people_per_minute=0.0, turn=8.0, cars_per_minute=4.0, dogs_per_minute=1.0)


def deserted() -> Scene:
    """Nobody ever, and much that looks like somebody: a statue, posters, reflections, trees, cars, dogs."""
    return replace(empty(), trees=2, statues=1, posters=2, reflections=True, rain=True)


def night() -> Scene:
    """Return a street under one lamp."""
    return Scene(people_per_minute=12.0, light="night", turn=-10.0)


def rainy() -> Scene:
    """Dusk and rain, umbrellas."""
    return Scene(people_per_minute=20.0, light="dusk", rain=True, turn=15.0)


PRESETS = {
    "busy": busy,
    "market": market,
    "quiet": quiet,
    "empty": empty,
    "deserted": deserted,
    "night": night,
    "rainy": rainy,
}
"""Scenes by the name that the command line knows them by."""
