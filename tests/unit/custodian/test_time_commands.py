"""A visit to a pole that no network reaches: challenge, the officer's own clock, confirmation, unlocked by the pole."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from firmware import custodian
from firmware.custody.office.acts import OfficersFounded
from firmware.custody.office.fields import Officer, Role
from firmware.custody.office.journal import Journal
from firmware.drivers.signer_software import SoftwareSigner
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.timekeeping import Timekeeper
from firmware.ground.clock import SystemClock, iso_utc
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from tests.parts.footage_parts import MemoryKeystore, make_parts, recipient_and_key
from tests.parts.office import new_key

Say = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    a, b = recipient_and_key()[0], recipient_and_key()[0]
    (folder / "pole.toml").write_text(
        f'pole = "sp03"\nprofile = "bench"\nsite = "smartpole.example"\nstate_directory = "{tmp_path / "state"}"\n'
    )
    (folder / "footage.toml").write_text(
        f'keystore = "software"\ntime_source = "officer"\n[officers]\na = ["{a}"]\nb = ["{b}"]\n'
    )
    (tmp_path / "state" / "keystore").mkdir(parents=True)
    return folder


async def say(*words: str, code: int = 0) -> dict[str, Any]:
    """Run one command as its own program would, with --json."""
    said = await asyncio.to_thread(CliRunner().invoke, custodian.app, [*words, "--json"])
    assert said.exit_code == code, (said.output, said.exception)
    facts: dict[str, Any] = json.loads(said.stdout)
    return facts


async def found(state: Path, keys: Path, ledger: Ledger) -> None:
    signatures, now = SshKeygen(os.environ), iso_utc(SystemClock().utc_ns())
    officers = tuple(
        Officer(account=name, role=role, key=new_key(keys / name))
        for name, role in (("chief", Role.CHIEF), ("manager", Role.MANAGER))
    )
    act = OfficersFounded(pole="sp03", utc=now, by="chief", nonce="0" * 32, officers=officers)
    lock = PoleLock(state / "lock")
    journal = await Journal.open(
        state / "custody" / "acts", "sp03", ledger, lock, signatures, lambda: (SystemClock().utc_ns(), False)
    )
    given = {one.account: await signatures.sign(act.encoded(), one.key, keys / one.account) for one in officers}
    await journal.submit(act.encoded(), given)


async def test_a_visit_unlocks_the_pole(config: Path, tmp_path: Path) -> None:
    state, clock = tmp_path / "state", SystemClock()
    where = ("--config", str(config))
    signer = SoftwareSigner(state / "keystore" / "ledger.key", "smartpole.example/sp03")
    ledger = Ledger.open(state / "ledger", signer, clock)
    ledger.append("ledger.started", pole="sp03", generation=0)
    await found(state, tmp_path, ledger)
    parts = make_parts(tmp_path / "made", clock, MemoryKeystore())  # type: ignore[arg-type]  # the machine's own clock
    parts = dataclasses.replace(
        parts, ledger=ledger, lock=PoleLock(state / "lock"), store=type(parts.store)(state / "footage")
    )
    eraser = Eraser(parts)
    keeper = Timekeeper(parts, eraser)
    await boot(parts, eraser)
    await keeper.begin()

    assert await say("time", "show", *where) == {
        "clock_proven": False, "clock_source": "machine", "uncertainty_ms": -1, "release_open": False,
    }  # fmt: skip
    challenge = (await say("time", "challenge", *where))["challenge"]
    act = tmp_path / "time.act"
    stated = ("time", "state", "sp03", challenge, "--by", "manager", "--key", str(tmp_path / "manager"))
    await say(*stated, "--out", str(act))
    answer = await say("time", "confirm", str(act), *where)
    assert answer["by"] == "manager"
    assert 0 <= answer["uncertainty_ms"] <= 60_000
    assert not (await say("time", "show", *where))["release_open"]  # the pole has not looked yet

    await keeper.look()
    shown = await say("time", "show", *where)
    assert (shown["clock_proven"], shown["clock_source"], shown["release_open"]) == (True, "officer", True)
    assert [line.event for line in ledger.lines() if line.event.startswith("clock.")][-2:] == [
        "clock.stated", "clock.proven",
    ]  # fmt: skip

    assert (await say("time", "confirm", str(act), *where, code=1))["error"]["code"] == "E-CLOCK-CHALLENGE"
    (tmp_path / "time.act.manager.sig").unlink()
    assert (await say("time", "confirm", str(act), *where, code=1))["error"]["code"] == "E-OFFICE-SIGNERS"
    assert (await say("time", "confirm", str(tmp_path / "none"), *where, code=1))["error"]["code"] == "E-CASE-DISK"
