"""The synthetic street tells the truth about what it draws, and draws the same again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tools.street import Scene, Street
from tools.street.look import SKINS
from tools.street.scene import PRESETS, busy, deserted, empty
from tools.street.truth import PersonTruth, persons_in

SMALL = 640 * 360 * 3 // 2
MAIN = 1280 * 720 * 3 // 2


def still_scene(**changes: object) -> Scene:
    """A street on which only people move, and nothing stands before them."""
    calm = Scene(people_per_minute=30, cars_per_minute=0, dogs_per_minute=0, trees=0, posts=0, parked_cars=0)
    return replace(calm, **changes)  # type: ignore[arg-type] # names of fields


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(still_scene(), 5, width=640)


def drawn(street: Street, seconds: float) -> tuple[np.ndarray, tuple[PersonTruth, ...]]:  # type: ignore[type-arg]
    small = np.zeros(SMALL, np.uint8)
    return small, street.render(seconds, None, small)


def test_equal_seeds_give_equal_bytes_in_any_order(street: Street) -> None:
    other = Street(still_scene(), 5, width=640)
    forward = [drawn(street, t)[0].tobytes() for t in (10.0, 20.0, 95.0)]
    backward = [drawn(other, t)[0].tobytes() for t in (95.0, 20.0, 10.0)]
    assert forward == backward[::-1]
    assert len(set(forward)) == 3


def test_another_seed_is_another_street(street: Street) -> None:
    assert drawn(street, 10.0)[0].tobytes() != drawn(Street(still_scene(), 6, width=640), 10.0)[0].tobytes()


def test_boxes_enclose_what_was_drawn() -> None:
    """Against the same second with nobody: every strongly changed pixel lies in a box or in a shadow's reach."""
    alone = Street(still_scene(people_per_minute=0, light="dusk"), 5, width=640)
    crowded = Street(still_scene(light="dusk"), 5, width=640)
    seen = 0
    for seconds in (12.0, 33.0, 61.0):
        with_people, truth = drawn(crowded, seconds)
        without = drawn(alone, seconds)[0]
        change = np.abs(with_people[: 640 * 360].astype(int) - without[: 640 * 360].astype(int)).reshape(360, 640) > 45
        assert truth
        inside = np.zeros((360, 640), bool)
        for person in truth:
            left, top, right, bottom = person.box
            area = change[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
            seen += int(area.sum())
            inside[max(0, int(top) - 2) : int(bottom) + 3, max(0, int(left) - 2) : int(right) + 3] = True
        assert (change & ~inside).sum() <= 0.02 * change.sum() + 4
    assert seen > 500


def test_an_empty_street_is_empty() -> None:
    street = Street(empty(), 9, width=640)
    assert all(drawn(street, 7.0 * k)[1] == () for k in range(12))


def test_density_follows_the_rate() -> None:
    """Twice the arrivals, about twice the people; pure arithmetic of the crowd, nothing drawn."""

    def mean(rate: float) -> float:
        street = Street(still_scene(people_per_minute=rate), 3, width=640)
        here = [sum(w.look is not None for w, _ in street._crowd.present(200.0 + 5 * k)) for k in range(200)]
        return float(np.mean(here))

    low, high = mean(10), mean(40)
    assert 2.8 < high / low < 5.5


def test_truth_is_within_the_picture_and_honest_about_what_hides(street: Street) -> None:
    hidden = 0
    for k in range(12):
        for person in drawn(street, 5.0 * k)[1]:
            left, top, right, bottom = person.box
            assert 0 <= left < right <= 640
            assert 0 <= top < bottom <= 360
            assert 0 < person.visible_fraction <= 1
            assert person.sex in ("female", "male")
            assert person.age in ("0-19", "20-39", "40-64", "65+")
            assert person.mask in ("worn", "not_worn")
            hidden += person.visible_fraction < 0.9
    assert hidden > 0


def test_only_people_of_whom_enough_is_seen_are_asked_for() -> None:
    here = PersonTruth((0, 0, 10, 30), 0.31, "female", "20-39", "worn")
    assert persons_in((here, replace(here, visible_fraction=0.29))) == 1


def test_small_is_the_box_average_of_main() -> None:
    street = Street(still_scene(people_per_minute=15), 4)
    main, small = np.zeros(MAIN, np.uint8), np.zeros(SMALL, np.uint8)
    truth = street.render(31.0, main, small)
    y = main[: 1280 * 720].reshape(360, 2, 640, 2).astype(np.uint16).sum(axis=(1, 3))
    assert np.array_equal((y + 2) // 4, small[: 640 * 360].reshape(360, 640))
    again = np.zeros(SMALL, np.uint8)
    assert street.render(31.0, None, again) == truth
    assert np.array_equal(small, again)


def test_no_pixel_overflows_into_its_opposite() -> None:
    """Noise is added without a clip: a bright pixel must never come out black, nor a dark one white."""
    for preset in ("night", "rainy", "busy"):
        street = Street(PRESETS[preset](), 2, width=640)
        clean = street._canvas._backdrop[0].astype(int)
        small = drawn(street, 3.0)[0][: 640 * 360].reshape(360, 640).astype(int)
        nobody = street._canvas.ids == 0
        wild = (np.abs(small - clean) > 200) & np.repeat(np.repeat(nobody, 2, 0), 2, 1)
        assert wild.sum() == 0


@pytest.mark.parametrize("wrong", [0, SMALL - 1, MAIN])
def test_a_wrong_buffer_is_refused(street: Street, wrong: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        street.render(1.0, None, np.zeros(wrong, np.uint8))


@pytest.mark.parametrize("bad", [{"tilt": 5.0}, {"height": 20.0}, {"people_per_minute": -1.0}, {"light": "noon"}])
def test_an_impossible_scene_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|\.\."):
        replace(busy(), **bad)  # type: ignore[arg-type] # wrong on purpose


def test_night_rain_and_infrared_look_as_they_should() -> None:
    def planes(scene: Scene) -> tuple[float, float]:
        small = drawn(Street(scene, 8, width=640), 20.0)[0]
        return float(small[: 640 * 360].mean()), float(np.abs(small[640 * 360 :].astype(int) - 128).mean())

    day, night = planes(still_scene()), planes(still_scene(light="night"))
    grey = planes(still_scene(light="night", infrared=True))
    assert night[0] < 0.75 * day[0]
    assert grey[1] < 0.05  # rounding at soft edges
    assert night[1] > 1


@pytest.mark.parametrize("what", ["statues", "posters"])
def test_likenesses_are_drawn_and_are_nobody(what: str) -> None:
    without, truth = drawn(Street(still_scene(people_per_minute=0, plaza=True), 21, width=640), 5.0)
    there, also = drawn(Street(still_scene(people_per_minute=0, plaza=True, **{what: 3}), 21, width=640), 5.0)
    assert truth == also == ()
    changed = np.abs(there[: 640 * 360].astype(int) - without[: 640 * 360].astype(int)) > 30
    assert changed.sum() > 600


def test_wet_ground_gives_people_back_below_their_feet_and_counts_them_once() -> None:
    dry, truth = drawn(Street(still_scene(plaza=True), 5, width=640), 12.0)
    wet, also = drawn(Street(still_scene(plaza=True, reflections=True), 5, width=640), 12.0)
    assert truth == also
    change = np.abs(wet[: 640 * 360].astype(int) - dry[: 640 * 360].astype(int)).reshape(360, 640) > 8
    assert change.sum() > 100
    feet = min(person.box[3] for person in truth)
    assert change[: int(feet) - 8].sum() < 0.05 * change.sum()


def test_nobody_walks_on_a_deserted_street() -> None:
    street = Street(deserted(), 4, width=640)
    assert all(drawn(street, 11.0 * k)[1] == () for k in range(4))


def test_skin_is_one_of_the_painted_tones(street: Street) -> None:
    tones = {person.skin for k in range(6) for person in drawn(street, 9.0 * k)[1]}
    assert tones <= set(range(len(SKINS)))
    assert len(tones) > 1
