"""Each import wall can fail: every forbidden import is inserted into a copy, and the linter names each of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

FLOORS, SEPARATE, COUNTER, RECORDER, FLOW, CITY, OPENER, CUSTODY, OFFICE, LIBRARIES, GROUND, CYCLES, ROOMS = range(13)

MUTANTS = [
    (FLOORS, "firmware.ground.log", "firmware.camera.frames"),
    (FLOORS, "firmware.camera.frames", "firmware.flow.record"),
    (FLOORS, "firmware.footage.store", "firmware.drivers.tpm"),
    (FLOORS, "firmware.custody.bundle.making", "firmware.upkeep.status"),
    (FLOORS, "firmware.drivers.litert", "firmware.pole"),
    (SEPARATE, "firmware.flow.tally", "firmware.footage.store"),
    (SEPARATE, "firmware.footage.run", "firmware.flow.run"),
    (COUNTER, "firmware.counter", "firmware.footage.seal"),
    (COUNTER, "firmware.drivers.litert", "sqlite3"),
    (COUNTER, "firmware.counter", "firmware.drivers.mqtt"),
    (COUNTER, "firmware.counter", "pyrage"),
    (RECORDER, "firmware.recorder", "firmware.flow.tally"),
    (RECORDER, "firmware.recorder", "firmware.footage.table"),
    (RECORDER, "firmware.drivers.encoder", "firmware.drivers.litert"),
    (FLOW, "firmware.flow.tally", "firmware.ground.durable"),
    (FLOW, "firmware.flow.run", "pickle"),
    (FLOW, "firmware.flow.disclosure", "socket"),
    (CITY, "firmware.city.publisher", "firmware.flow.tally"),
    (CITY, "firmware.city.outbox", "firmware.footage.store"),
    (CITY, "firmware.city.payload", "numpy"),
    (OPENER, "firmware.pole", "firmware.custody.desk.opening"),
    (OPENER, "firmware.drivers.mqtt", "firmware.drivers.mp4"),
    (OPENER, "firmware.pole", "firmware.mint"),
    (CUSTODY, "firmware.upkeep.status", "firmware.custody.bundle.making"),
    (CUSTODY, "firmware.drivers.mqtt", "firmware.custody.keys.keyfile"),
    (OFFICE, "firmware.custodian.keys", "firmware.drivers.picamera"),
    (OFFICE, "firmware.custodian.bundles", "firmware.city.outbox"),
    (OFFICE, "firmware.custody.bundle.making", "aiomqtt"),
    (LIBRARIES, "firmware.footage.store", "subprocess"),
    (LIBRARIES, "firmware.city.publisher", "paho"),
    (LIBRARIES, "firmware.camera.frames", "av"),
    (GROUND, "firmware.ground.ledger", "cryptography"),
    (GROUND, "firmware.ground.log", "msgspec"),
    (CYCLES, "firmware.camera.picture", "firmware.camera.frames"),
    (ROOMS, "firmware.custody.keys.words", "firmware.custody.bundle.index"),
    (ROOMS, "firmware.custody.bundle.index", "firmware.custody.desk.gaps"),
    (ROOMS, "firmware.custody.desk.film", "firmware.custody.package.boxes"),
]


def linted(root: Path) -> subprocess.CompletedProcess[str]:
    wide = os.environ | {"COLUMNS": "250"}
    return subprocess.run([LINT, "--no-cache"], cwd=root, capture_output=True, text=True, check=False, env=wide)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The linter's words on each broken contract, over a copy with all mutants inserted."""
    root = tmp_path_factory.mktemp("mutants")
    shutil.copytree(ROOT / "firmware", root / "firmware", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for _, importer, imported in MUTANTS:
        path = root.joinpath(*importer.split(".")).with_suffix(".py")
        assert path.exists(), f"the wall's module {importer} is gone: move the wall with it"
        path.write_text(path.read_text("utf-8") + f"\nimport {imported}\n", "utf-8")
    done = linted(root)
    assert done.returncode == 1, done.stdout + done.stderr
    sections = re.split(r"\n(?=[^\n]+\n-{8,}\n)", done.stdout)
    return {section.strip().splitlines()[0]: section for section in sections}


@pytest.mark.parametrize(("contract", "importer", "imported"), MUTANTS)
def test_mutant_is_named(contract: int, importer: str, imported: str, broken: dict[str, str]) -> None:
    words = broken[CONTRACTS[contract]]
    if contract == CYCLES:
        assert "camera" in words
    else:
        assert importer in words
        assert imported in words


def test_every_contract_has_a_mutant() -> None:
    assert {mutant[0] for mutant in MUTANTS} == set(range(len(CONTRACTS)))
