"""What the pole says of itself: health with its reasons, the rules it counts under."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from firmware.upkeep.report import Health, PoleReport
from firmware.upkeep.whole import load_settings
from tests.whole.bench import officers, write_settings


def test_a_fall_names_its_code_and_a_fall_for_good_is_a_failure() -> None:
    health = Health()
    assert {state.state for state in health.states.values()} == {"starting"}
    health.fell("footage", "E-STORE-FULL")
    assert (health.states["footage"].state, health.states["footage"].reason) == ("degraded", "E-STORE-FULL")
    health.fell("footage", "E-STORE-FULL", for_good=True)
    assert health.states["footage"].state == "failed"
    assert health.states["flow"].state == "starting", "the other system is not spoken of"
    health.note("footage", "running")
    assert (health.states["footage"].state, health.states["footage"].reason) == ("running", "ok")


def test_the_city_is_told_the_constants_that_stand_in_the_file(tmp_path: Path) -> None:
    a, b = (str(identity.to_public()) for identity in officers())
    folder = write_settings(tmp_path / "config", a=a, b=b)
    (folder / "flow.toml").write_text("mean_day_percent = 96\nmean_night_percent = 131\n")
    report = cast("PoleReport", SimpleNamespace(settings=load_settings(folder)))
    factor = PoleReport.description(report).sp_mean_factor
    assert (factor.day_percent, factor.night_percent) == (96, 131)
