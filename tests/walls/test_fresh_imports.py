"""What a program really drags in, and that importing touches nothing, seen from a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOADED = "import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
TOUCHES = """
import sys
reads = (".py", ".pyc", ".so")
def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set("wax+") or isinstance(flags, int) and flags & 3
        plain = ("/dev/null", "/sys/devices/system/cpu")
        device = str(path).startswith(("/dev/", "/sys/")) and not str(path).startswith(plain)
        if writes or device:
            raise SystemExit(f"importing {module} opened {{path}}")
    if event in {{"socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn",
                  "sqlite3.connect", "os.mkdir", "os.rename", "os.remove"}}:
        raise SystemExit(f"importing {module} did {{event}}")
sys.dont_write_bytecode = True
sys.addaudithook(hook)
import {module}
"""

PROGRAMS = ["firmware.pole", "firmware.counter", "firmware.recorder", "firmware.mint", "firmware.custodian"]


def loaded_by(module: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "firmware.counter",
            {"pyrage", "cryptography", "sqlite3", "av", "aiomqtt", "firmware.footage", "firmware.city"},
        ),
        (
            "firmware.recorder",
            {"ai_edge_litert", "sqlite3", "aiomqtt", "firmware.flow", "firmware.city", "firmware.custody"},
        ),
        (
            "firmware.mint",
            {"ai_edge_litert", "av", "sqlite3", "aiomqtt", "firmware.flow", "firmware.city", "firmware.custody"},
        ),
        (
            "firmware.flow.run",
            {"pyrage", "cryptography", "sqlite3", "av", "aiomqtt", "firmware.footage", "firmware.city"},
        ),
        ("firmware.pole", {"firmware.custody", "firmware.drivers.mp4", "firmware.mint", "http.server", "aiohttp"}),
        ("firmware.custodian", {"aiomqtt", "ai_edge_litert", "firmware.camera", "firmware.flow", "firmware.city"}),
    ],
)
def test_a_program_has_only_what_it_needs(module: str, absent: set[str]) -> None:
    assert loaded_by(module) & absent == set()


@pytest.mark.parametrize("module", PROGRAMS)
def test_importing_touches_nothing(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOUCHES.format(module=module)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_touch_test_can_fail() -> None:
    code = TOUCHES.format(module="sqlite3") + "\nsqlite3.connect(':memory:')\n"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 1
