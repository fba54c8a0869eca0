"""The rules hold, and each of them can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.walls.rules import RULES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", RULES)
def test_rule_is_kept(name: str) -> None:
    assert RULES[name](ROOT) == []


MUTANTS = [
    ("one_clock", "firmware/flow/run.py", "import time\nx = time.time()\n"),
    ("one_clock", "firmware/footage/retention.py", "import datetime\nx = datetime.datetime.now()\n"),
    ("one_clock", "firmware/city/publisher.py", "import asyncio\nasync def f() -> None:\n    await asyncio.sleep(1)\n"),
    ("one_supervisor", "firmware/flow/run.py", "try:\n    pass\nexcept Exception:\n    pass\n"),
    ("one_supervisor", "firmware/footage/run.py", "try:\n    pass\nexcept:\n    pass\n"),
    ("no_opener_on_the_pole", "firmware/footage/store.py", "import pyrage\nx = pyrage.decrypt(b'', [])\n"),
    ("no_opener_on_the_pole", "firmware/pole.py", "import pyrage\nx = pyrage.decrypt(b'', [])\n"),
    ("nobody_listens", "firmware/pole.py", "import asyncio\nx = asyncio.start_server(None)\n"),
    (
        "nobody_listens",
        "firmware/upkeep/status.py",
        "import socket\nsocket.socket().listen()\ns = socket.socket\ns.listen()\n",
    ),
    ("no_fork_no_shell", "firmware/drivers/jail.py", "import os\nx = os.fork()\n"),
    ("no_fork_no_shell", "firmware/drivers/tpm.py", "import subprocess\nsubprocess.run('x', shell=True)\n"),
    ("no_fork_no_shell", "firmware/drivers/litert.py", "import multiprocessing\n"),
    ("flow_vocabulary", "firmware/flow/tally.py", "class Tracker:\n    pass\n"),
    ("flow_vocabulary", "firmware/counter.py", "def f(face_embedding: bytes) -> None:\n    pass\n"),
    ("no_junk_drawers", "firmware/flow/util.py", "x = 1\n"),
    ("no_junk_drawers", "tools/helpers/things.py", "x = 1\n"),
    ("charters", "firmware/flow/charterless.py", '"""Counts."""\n'),
    ("short_modules", "firmware/flow/run.py", "\n" * 401),
    ("short_modules", "firmware/flow/run.py", "def f() -> None:\n" + "    pass\n" * 61),
    ("no_module_state", "firmware/flow/tally.py", "seen = []\n"),
    ("no_module_state", "firmware/city/outbox.py", "def f() -> None:\n    global x\n    x = 1\n"),
    ("reasons_for_silence", "firmware/flow/run.py", "x = 1  # noqa\n"),
    ("reasons_for_silence", "firmware/flow/run.py", "x = 1  # type: ignore[no-any-return]\n"),
]


@pytest.mark.parametrize(
    ("rule", "path", "inserted"), MUTANTS, ids=[f"{m[0]}:{m[1]}:{i}" for i, m in enumerate(MUTANTS)]
)
def test_rule_catches_its_mutant(rule: str, path: str, inserted: str, tmp_path: Path) -> None:
    for top in ("firmware", "tools"):
        shutil.copytree(ROOT / top, tmp_path / top, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    before = RULES[rule](tmp_path)
    target.write_text((target.read_text("utf-8") if target.exists() else "") + "\n" + inserted, "utf-8")
    assert len(RULES[rule](tmp_path)) > len(before)


def test_every_rule_has_a_mutant() -> None:
    assert {mutant[0] for mutant in MUTANTS} == set(RULES)
