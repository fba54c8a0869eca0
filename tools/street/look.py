"""Who somebody is to the eye: build, clothes, hair, age, sex, mask.

Knows:  shares of looks on a city street.
Never:  two people from one draw; a look belongs to one walker and one seed.
Leaves: one frozen :class:`Look`.
Clauses: none.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""Red, green, blue, 0..1."""

SKINS: tuple[Colour, ...] = (
    (0.95, 0.80, 0.69),
    (0.91, 0.74, 0.61),
    (0.86, 0.67, 0.52),
    (0.78, 0.58, 0.43),
    (0.62, 0.43, 0.30),
    (0.47, 0.31, 0.21),
    (0.33, 0.21, 0.15),
)
HAIRS: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06),
    (0.10, 0.08, 0.07),
    (0.17, 0.11, 0.08),
    (0.30, 0.19, 0.11),
    (0.52, 0.36, 0.18),
    (0.75, 0.62, 0.40),
    (0.45, 0.20, 0.10),
)
GREYS: tuple[Colour, ...] = ((0.55, 0.55, 0.55), (0.75, 0.75, 0.74), (0.35, 0.35, 0.35), (0.9, 0.9, 0.88))
MASKS: tuple[Colour, ...] = ((0.95, 0.96, 0.97), (0.70, 0.84, 0.92), (0.10, 0.10, 0.11), (0.93, 0.80, 0.80))
AGE_SHARES = {"0-19": 0.17, "20-39": 0.33, "40-64": 0.33, "65+": 0.17}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One person's appearance. ``stature`` is metres; ``girth`` multiplies widths; ``stoop`` is radians forward."""

    sex: str
    age: str
    years: int
    stature: float
    girth: float
    stoop: float
    stride: float
    speed: float
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    top: Colour
    top_second: Colour
    top_style: str
    sleeves: str
    bottom: Colour
    bottom_style: str
    shoes: Colour
    bag: str
    bag_colour: Colour
    mask: str
    mask_colour: Colour
    glasses: bool
    texture_seed: int


def _cloth(rng: np.random.Generator, *, dark: float) -> Colour:
    """Draw a textile colour; ``dark`` is the share of near-blacks, navies and greys."""
    if rng.random() < dark:
        value = float(rng.uniform(0.06, 0.34))
        return colorsys.hsv_to_rgb(float(rng.uniform(0.55, 0.72)), float(rng.uniform(0, 0.45)), value)
    if rng.random() < 0.4:
        value = float(rng.uniform(0.6, 0.97))
        return colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0, 0.16)), value)
    return colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0.25, 0.85)), float(rng.uniform(0.25, 0.95)))


def _stature(rng: np.random.Generator, years: int, *, female: bool) -> float:
    adult = float(rng.normal(1.61, 0.062) if female else rng.normal(1.74, 0.07))
    if years < 17:
        adult *= float(np.interp(years, [2, 5, 9, 13, 17], [0.52, 0.65, 0.78, 0.91, 1.0]))
    return adult - (0.05 if years > 72 else 0.0)


def _hair(rng: np.random.Generator, years: int, *, female: bool) -> tuple[Colour, str]:
    grey = rng.random() < np.interp(years, [35, 50, 65, 80], [0.0, 0.25, 0.8, 0.97])
    table = GREYS if grey else HAIRS
    weights = np.array([5, 4, 3, 2, 1, 1, 0.7]) if not grey else np.array([2, 3, 1, 2.0])
    colour = table[int(rng.choice(len(table), p=weights / weights.sum()))]
    if female:
        style = str(rng.choice(["long", "bob", "bun", "short", "tail"], p=[0.32, 0.28, 0.14, 0.14, 0.12]))
    else:
        bald = float(np.interp(years, [30, 60, 80], [0.03, 0.2, 0.35]))
        style = str(rng.choice(["short", "bald", "bob", "tail"], p=[0.93 - bald, bald, 0.05, 0.02]))
    return colour, style


def _bottom(rng: np.random.Generator, *, female: bool, child: bool) -> tuple[Colour, str]:
    styles = ["trousers", "shorts", "skirt", "long skirt", "coat"]
    p = [0.52, 0.08, 0.17, 0.13, 0.10] if female else [0.77, 0.14, 0.0, 0.0, 0.09]
    style = str(rng.choice(styles, p=p)) if not child or not rng.random() < 0.3 else "shorts"
    if style != "skirt" and style != "long skirt" and rng.random() < 0.35:
        shade = float(rng.uniform(0.18, 0.5))
        return (shade * 0.55, shade * 0.7, shade), style
    return _cloth(rng, dark=0.6), style


def draw_look(rng: np.random.Generator, mask_share: float, age: str | None = None) -> Look:
    """Draw one appearance; ``age`` forces the band (a child beside its parent)."""
    band = age or str(rng.choice(list(AGE_SHARES), p=list(AGE_SHARES.values())))
    low, high = {"0-19": (4, 20), "20-39": (20, 40), "40-64": (40, 65), "65+": (65, 90)}[band]
    years = int(rng.integers(low, high))
    female = bool(rng.random() < 0.5)
    hair, style = _hair(rng, years, female=female)
    bottom, bottom_style = _bottom(rng, female=female, child=years < 12)
    masked = bool(rng.random() < mask_share)
    old = float(np.interp(years, [60, 88], [0, 1]))
    top = _cloth(rng, dark=0.45)
    return Look(
        sex="female" if female else "male",
        age=band,
        years=years,
        stature=_stature(rng, years, female=female),
        girth=float(np.clip(rng.normal(1.0 + 0.05 * (years > 40), 0.09), 0.82, 1.35)),
        stoop=float(0.04 + 0.30 * old * rng.random()),
        stride=float(rng.uniform(0.85, 1.1) * (1 - 0.35 * old)),
        speed=float(np.clip(rng.normal(1.3, 0.15), 0.8, 1.8) * (1 - 0.35 * old) * (0.9 if years < 9 else 1)),
        skin=SKINS[int(rng.choice(7, p=[0.2, 0.24, 0.2, 0.14, 0.09, 0.08, 0.05]))],
        hair=hair,
        hair_style=style,
        hat=str(rng.choice(["none", "cap", "beanie", "brim"], p=[0.82, 0.09, 0.05, 0.04])),
        hat_colour=_cloth(rng, dark=0.5),
        top=top,
        top_second=_cloth(rng, dark=0.3),
        top_style=str(rng.choice(["plain", "jacket", "stripes", "block", "print"], p=[0.42, 0.27, 0.1, 0.11, 0.1])),
        sleeves=str(rng.choice(["long", "short"], p=[0.62, 0.38])),
        bottom=bottom,
        bottom_style=bottom_style,
        shoes=_cloth(rng, dark=0.65),
        bag=str(rng.choice(["none", "back", "shoulder", "hand"], p=[0.5, 0.2, 0.17, 0.13])),
        bag_colour=_cloth(rng, dark=0.6),
        mask="worn" if masked else "not_worn",
        mask_colour=MASKS[int(rng.choice(4, p=[0.66, 0.16, 0.13, 0.05]))],
        glasses=bool(rng.random() < 0.2),
        texture_seed=int(rng.integers(1 << 31)),
    )
