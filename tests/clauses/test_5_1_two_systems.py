"""5.1: 運用するシステム自体の管理を2系統に分離して互いの情報を容易に取り扱えないようにする.

Each system has its own file of settings and its own process; one's death leaves the other at work. 2, 5.1, 7.1(1).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings
from tests.attacks.test_kill9 import child_of
from tests.whole.bench import ledger, officers, write_settings
from tests.whole.test_running import heard, running, wait_for


def names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def test_no_setting_of_one_system_is_a_setting_of_the_other() -> None:
    assert names(FlowSettings) & names(FootageSettings) == set()


def test_the_death_of_either_child_leaves_the_other_at_work(tmp_path: Path, long_film: Path) -> None:
    a, b = (str(identity.to_public()) for identity in officers())
    config = write_settings(tmp_path / "config", a=a, b=b)
    with running(config, long_film) as pole:

        def child(program: str) -> int:
            return int(wait_for(lambda: child_of(pole.pid, program), pole))

        wait_for(lambda: heard(config, "lamp.missing"), pole)
        counter, recorder = child("counter"), child("recorder")
        os.kill(counter, signal.SIGKILL)
        wait_for(lambda: len(heard(config, "counter.ready")) == 2, pole)
        assert child("recorder") == recorder, "footage did not notice"
        again = child("counter")
        assert again != counter
        os.kill(recorder, signal.SIGKILL)
        wait_for(lambda: child_of(pole.pid, "recorder") not in (None, recorder), pole)
        assert child("counter") == again, "people flow did not notice"
        wait_for(lambda: ledger(config / "state", "recording.gap"), pole)
        pole.send_signal(signal.SIGTERM)
        assert pole.wait(20) == 0
    assert {line["reason"] for line in ledger(config / "state", "recording.gap")} == {"recorder_fault"}
    assert not heard(config, "supervise.fell"), "no house fell, only a child"
