"""``pole run`` as systemd runs it: one a state directory, ended in good order, its status told and grown old."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.mosquitto import Authority, Mosquitto, broker
from tests.whole.bench import (
    POLE,
    complaint,
    gaps,
    ledger,
    officers,
    replay,
    say,
    spans,
    status,
    write_settings,
)

__all__ = ["broker"]


@contextmanager
def running(config: Path, video: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a pole in real time; whatever happens, it ends with the block."""
    with (config / "log").open("a") as log:
        process = subprocess.Popen([POLE, "run", "--config", config, "--video", video], stderr=log, text=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 60) -> Any:
    """Return what ``what`` returns once it is true; fails when the pole ends before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except (FileNotFoundError, json.JSONDecodeError):
            pass
        assert process.poll() is None, "the pole has ended"
        time.sleep(0.1)
    raise AssertionError("it never came")


def log_of(config: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (config / "log").read_text().splitlines() if line.startswith("{")]


def heard(config: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in log_of(config) if line["event"] == event]


def test_one_pole_a_state_directory_and_the_first_ends_in_good_order(config: Path, long_film: Path) -> None:
    state = config / "state"
    with running(config, long_film) as pole:
        wait_for(lambda: heard(config, "counter.ready") and heard(config, "lamp.missing"), pole)
        second = replay(long_film, config)
        assert second.returncode == 1
        assert complaint(second).startswith("E-STORE-RUNNING: another pole runs on this state directory")
        assert pole.poll() is None, "the first one goes on"
        fresh = say("status", "--state", state)
        assert fresh.returncode == 0, "written less than three minutes ago"
        assert "software keystore" in " ".join(fresh.stdout.split())
        wait_for(lambda: len(list((state / "footage").glob("*/*.age"))) >= 1, pole)
        pole.send_signal(signal.SIGTERM)
        assert pole.wait(20) == 0
    assert "Traceback" not in (config / "log").read_text()
    assert gaps(state)[-1]["spReason"] == "stopped"
    last = sorted((state / "footage").glob("*/*.manifest.json"))[-1]
    manifest = json.loads(last.read_bytes())
    assert manifest["gaps"][-1]["reason"] == "stopped"
    files = {path.name for path in last.parent.glob(f"{manifest['epoch']}-*.age")}
    assert len(files) == len(manifest["chunks"]) > 0, "the last chunk is sealed and listed"
    assert ledger(state, "minute.sealed")[-1]["epoch"] == manifest["epoch"]


def test_a_ledger_cut_under_a_running_pole_ends_it_and_the_next_start_goes_on(config: Path, long_film: Path) -> None:
    """7.1(3): a pole that only waited for its ledger to come back would erase nothing any more."""
    lines = config / "state" / "ledger" / "lines.jsonl"
    with running(config, long_film) as pole:
        wait_for(lambda: heard(config, "counter.ready") and ledger(config / "state", "store.checked"), pole)
        whole = lines.read_bytes().splitlines(keepends=True)
        lines.write_bytes(b"".join(whole[:2]))
        assert pole.wait(90) == 1  # at the next minute's line
    assert [line["code"] for line in heard(config, "footage.stopped")] == ["E-LEDGER-CUT"]
    assert "Traceback" not in (config / "log").read_text()
    with running(config, long_film) as pole:
        wait_for(lambda: heard(config, "ledger.succeeded"), pole)
        wait_for(lambda: ledger(config / "state", "store.checked"), pole)


def test_status_names_the_officers_the_keystore_and_its_age(config: Path, tmp_path: Path) -> None:
    state = config / "state"
    replay(tmp_path / "nothing.mp4", config)
    shown = say("status", "--state", state)
    tree = json.loads(say("status", "--state", state, "--json").stdout)
    words = " ".join(shown.stdout.replace("│", " ").split())
    assert shown.returncode == 1
    assert "the pole does not run" in words
    assert "a copied secret file reopens erased footage" in words
    assert {group: len(prints) for group, prints in tree["officers"].items()} == {"a": 1, "b": 1}
    for prints in tree["officers"].values():
        assert prints[0] in words
    assert (tree["keystore"], tree["profile"], tree["stale"]) == ("software", "bench", True)
    nowhere = say("status", "--state", tmp_path / "nowhere")
    assert nowhere.returncode == 1
    assert complaint(nowhere).startswith("E-STORE-STATUS: ")


def test_a_broker_that_refuses_the_certificate_costs_no_record(
    tmp_path: Path, long_film: Path, broker: Mosquitto
) -> None:
    """The stranger's certificate is well made, by an authority that the city does not know."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    settings = broker.settings("sp09", Authority(folder, "stranger"))
    table = {
        "host": settings.host,
        "port": settings.port,
        "ca_file": settings.ca_file,
        "certificate_file": settings.certificate_file,
        "key_file": settings.key_file,
    }
    a, b = (str(identity.to_public()) for identity in officers())
    config = write_settings(tmp_path / "config", pole={"broker": table}, a=a, b=b)
    state = config / "state"
    with running(config, long_film) as pole:
        wait_for(lambda: heard(config, "lamp.missing") and heard(config, "city.session"), pole)
        pole.send_signal(signal.SIGTERM)
        assert pole.wait(20) == 0
    assert spans(state), "the minute is kept for later"
    assert {line["code"] for line in heard(config, "city.session")} == {"E-CITY-TLS"}


@pytest.mark.parametrize(
    ("harm", "code"),
    [("wrong hash", "E-MODEL-HASH"), ("float", "E-MODEL-DTYPE"), ("embedding", "E-MODEL-")],
)
def test_a_wrong_model_is_refused_by_name_and_footage_goes_on(
    tmp_path: Path, long_film: Path, harm: str, code: str
) -> None:
    models = wrong_models(tmp_path / "models", harm)
    a, b = (str(identity.to_public()) for identity in officers())
    config = write_settings(tmp_path / "config", pole={"models_directory": str(models)}, a=a, b=b)
    state = config / "state"
    done = replay(long_film, config)
    assert code in done.stderr
    told = json.loads(done.stdout)
    assert told["slices"] == 0
    assert [gap["spReason"] for gap in gaps(state)] == ["stopped", "model_mismatch", "stopped"]
    assert status(state)["flow"]["state"] == "degraded"
    assert status(state)["flow"]["reason"].startswith(code)
    assert told["footage"]["chunks"] == 13, "footage does not need people flow's models"


def wrong_models(folder: Path, harm: str) -> Path:
    from tests.parts import small_models as small

    folder.mkdir()
    for path in small.VECTORS.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if harm == "wrong hash":
        data = bytearray((folder / "detector.tflite").read_bytes())
        data[-1] ^= 1
        (folder / "detector.tflite").write_bytes(data)
    else:
        file = "float.tflite" if harm == "float" else "embedding.tflite"
        (folder / "MANIFEST.toml").write_text(small.entry("persons", file, small.PICTURE, small.PERSONS))
    return folder
