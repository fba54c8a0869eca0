from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.flow.disclosure import Rules
from firmware.flow.record import Dimension
from firmware.flow.settings import FlowSettings
from firmware.ground.config import parse
from firmware.ground.errors import ConfigError


def read(text: str) -> FlowSettings:
    return parse(text.encode(), FlowSettings, name="flow.toml")


def test_an_empty_file_is_the_strictest_lawful_one() -> None:
    rules = read("").rules()
    assert (rules.k_total, rules.k_attr, rules.k_cell, rules.peak_rank, rules.planned) == (3, 5, 3, 5, 60)
    assert rules.dimensions == ()


@pytest.mark.parametrize(
    ("line", "clause"),
    [
        ("k_total = 1", "6.2(2)"),
        ("k_total = 2", "6.2(2)"),
        ("k_attr = 4", "6.2(2)"),
        ("k_cell = 2", "6.2(2)"),
        ("k_total = 6\nk_attr = 5", "6.2(2)"),
        ("peak_rank = 4", "6.2(2)"),
        ("peak_rank = 1", "6.2(2)"),
        ("congested_at_occupancy = 2.9", "6.2(2)"),
        ("congested_at_occupancy = nan", "6.2(2)"),
        ("min_coverage = 0.79", "6.2(2)"),
        ("min_coverage = nan", "6.2(2)"),
        ("min_coverage = 1.1", "6.2(1)"),
        ("mean_day_percent = 49", "1"),
        ("mean_night_percent = 201", "1"),
        ("deadline_ms = 1001", "6.2(1)"),
        ("deadline_ms = 0", "6.2(1)"),
        ("slice_period_seconds = 0.1", "6.1(3)"),
        ("slice_period_seconds = 0.7", "6.1(3)"),
        ("slice_period_seconds = nan", "6.1(3)"),
        ("slice_period_seconds = 5", "6.1(3)"),
        ("region_of_interest = [[0.0, 0.0], [1.0, 1.0]]", "6.1(3)"),
        ("ignore = [[[0.0, 0.0], [1.0, 1.0], [0.5, 1.5]]]", "6.1(3)"),
    ],
)
def test_what_the_guideline_forbids_is_refused_with_its_clause(line: str, clause: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(line)
    assert (refused.value.code, refused.value.clause) == ("E-CONFIG-LAW", clause)
    assert line.rpartition("\n")[2].split(" ")[0] in refused.value.where


@pytest.mark.parametrize(
    "line",
    [
        'attributes = ["race"]', "window_minutes = 10", "k = 3", "score_threshold = 1.5", 'model_directory = "a b"',
        "k_total = 3.0",
    ],
)  # fmt: skip
def test_nonsense_is_refused(line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(line)
    assert refused.value.code == "E-CONFIG-KEY"


@given(st.integers(3, 64), st.sampled_from([0.5, 0.75, 1, 1.5, 2]), st.booleans())
def test_stricter_is_always_allowed(k: int, period: float, raise_rank: bool) -> None:
    settings = FlowSettings(
        k_total=k,
        k_attr=max(5, k),
        congested_at_occupancy=max(float(k), 8.0),
        slice_period_seconds=period,
        peak_rank=60 if raise_rank else None,
        attributes=(Dimension.MASK, Dimension.SEX),
    )
    rules = settings.rules()
    assert rules.planned * period == pytest.approx(60)
    assert rules.peak_rank >= max(3, rules.planned / 12)
    assert rules.dimensions == (Dimension.SEX, Dimension.MASK)


@pytest.mark.parametrize(
    "change",
    [
        {"k_total": 2}, {"k_attr": 4}, {"k_cell": 2}, {"peak_rank": 4}, {"congested_tenths": 29},
        {"min_coverage_thousandths": 799}, {"planned": 120},
    ],
)  # fmt: skip
def test_the_rule_itself_refuses_to_be_weakened(change: dict[str, int]) -> None:
    lawful = {
        "planned": 60, "k_total": 3, "k_attr": 5, "k_cell": 3, "peak_rank": 5, "congested_tenths": 30,
        "min_coverage_thousandths": 800,
    }  # fmt: skip
    Rules(**lawful)
    with pytest.raises(ValueError, match="floor"):
        Rules(**{**lawful, **change})


@given(st.integers(50, 200), st.integers(50, 200))
def test_what_a_mean_has_to_be_multiplied_by_reaches_no_record(by_day: int, by_night: int) -> None:
    settings = FlowSettings(mean_day_percent=by_day, mean_night_percent=by_night)
    assert settings.rules() == FlowSettings().rules()
