"""Histories of a pole and its office against a plain model (acceptance of the security side; 7.1(3), 7.1(4), 7.2(1)).

Record, hold, confirm, renew, lift, lapse, every step of a case, bundle, sweep, full disk, power cut at any step, start
again, clock set forward and back, proof gained and lost, RTC lost. After each step: no unheld minute is readable past
its retention by a thief with every table there ever was; no held one is lost; nothing young is erased; what the ledger
tells is so, each erasure once; the office stands where the model says; recorded = live + erased + lost.
Retention is two hours here, so that a history passes it many times; the rule is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.histories.play import play_many
from tests.histories.rules import RULES, Thing, step
from tests.histories.world import World, lean


class Drawn:
    """Choices by Hypothesis, which shrinks them."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def number(self, least: int, most: int) -> int:
        return self.data.draw(st.integers(least, most))

    def pick(self, things: Sequence[Thing]) -> Thing:
        return self.data.draw(st.sampled_from(things))

    def chance(self, percent: int) -> bool:
        return self.data.draw(st.integers(0, 99)) >= 100 - percent


class Histories(RuleBasedStateMachine):
    """The same rules, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.open = contextlib.ExitStack()
        self.open.enter_context(lean())
        self.runner = self.open.enter_context(asyncio.Runner())
        self.world = World(Path(tempfile.mkdtemp(prefix="history-", dir="/dev/shm")))

    def teardown(self) -> None:
        self.open.close()
        shutil.rmtree(self.world.folder)

    @initialize()
    def begin(self) -> None:
        self.runner.run(self.world.begin())

    @rule(name=st.sampled_from(sorted(RULES)), data=st.data())
    def happens(self, name: str, data: st.DataObject) -> None:
        self.runner.run(step(self.world, name, Drawn(data)))

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if self.world.heard:
            self.runner.run(self.world.check_all())


def settings_of(examples: int, steps: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def test_histories_that_hypothesis_draws() -> None:
    run_state_machine_as_test(Histories, settings=settings_of(25, 20))


@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_thousand_steps(seed: int) -> None:
    tally = await play_many(seed, 10_000)
    print(f"\nseed {seed}: {tally}")
    assert tally.steps == 10_000
    assert min(tally.crashes, tally.bundles, tally.holds) > 50  # it is no walk around the interesting places
    assert tally.erased > 500


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
async def test_a_million_steps() -> None:
    """Some 20 minutes of one core. ``python -m tests.histories SEED STEPS`` does the same and goes on where it was."""
    tally = await play_many(2026, 1_000_000, say_every=50_000)
    print(f"\n{tally}")
    assert tally.steps == 1_000_000


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_long_histories_that_hypothesis_draws() -> None:
    run_state_machine_as_test(Histories, settings=settings_of(300, 60))
