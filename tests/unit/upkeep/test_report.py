"""Health: what a system is said to be, and why."""

from __future__ import annotations

from firmware.upkeep.report import Health


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
