"""4.2(1): 利用目的の範囲内での利用に限定する; 利用目的の通知・公表を実施する.

A pole without a notice does not start, and whatever leaves says which notice hangs there. Clauses 1, 4.2(1).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.ground.errors import ConfigError
from firmware.upkeep.bench import NO_NOTICE, bench_settings, refuse_examples
from firmware.upkeep.settings import PoleSettings
from tests.unit.upkeep.test_settings import POLE, read


def test_a_pole_without_a_notice_does_not_start() -> None:
    _, _, footage = bench_settings()
    people = footage.__class__(officers=footage.officers.__class__(a=("age1" + "q" * 58,), b=("age1" + "p" * 58,)))
    hanging: PoleSettings = read(POLE)
    refuse_examples(hanging, people, folder=Path("etc"))
    with pytest.raises(ConfigError, match=r"E-CONFIG-LAW.*notice_sha256.*6\.1\(2\)"):
        refuse_examples(read(POLE.replace(hanging.notice_sha256, NO_NOTICE)), people, folder=Path("etc"))


def test_whatever_leaves_names_the_notice_that_hangs_there() -> None:
    pole = read(POLE)
    assert pole.place("sha256:" + "1" * 64).notice == f"sha256:{pole.notice_sha256}"
