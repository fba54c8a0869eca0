"""A pole's folders as the officers' command line finds them, and the rule that a pole is no desk.

Knows:  where settings and state lie.
Never:  people flow's settings, the city's (5.1).
Leaves: settings, holdings, keys of one pole.
Clauses: 5.1, 7.3(1)1 (private halves never come to a pole).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from firmware.custodian.answers import read_text
from firmware.custody.bundle.making import Holdings
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.pole_file import PoleFile
from firmware.drivers.pole_keys import open_pole_keys
from firmware.footage.clock_files import followed_line
from firmware.footage.holds import LedgerHolds
from firmware.footage.settings import FootageSettings
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground import config
from firmware.ground.clock import SystemClock
from firmware.ground.errors import CaseError, ConfigError
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log

CONFIG: Final = Path("/etc/smartpole")
"""Where a pole's settings lie; a machine that has them is a pole, and no office."""

Config = Annotated[Path, typer.Option("--config", help="Folder of the pole's settings.")]
State = Annotated[Path | None, typer.Option("--state", help="State directory, where it is not the settings' own.")]
PoleKeyFile = Annotated[Path | None, typer.Option("--pole-key", help="File with the pole's public key (pole-key).")]


def refuse_on_a_pole() -> None:
    """Raise :class:`CaseError` on a machine that is a pole: private halves never come there (7.3(1)1)."""
    if (CONFIG / "pole.toml").exists():
        raise CaseError(
            "E-CASE-HERE", "this machine is a pole", where=str(CONFIG), todo="do this at the office's desk",
            clause="7.3(1)1",
        )  # fmt: skip


async def open_holdings(config_folder: Path, state: Path | None) -> Holdings:
    """Return what the custodian works on at this pole. Raises ConfigError, KeystoreError, LedgerError, StoreError."""
    pole, footage, folder = await asyncio.to_thread(settings_of, config_folder, state)
    clock, log = SystemClock(), Log()
    keystore, signer = await open_pole_keys(footage, folder, pole.ledger_origin, log, pole.profile)
    store = Store(folder / "footage")
    ledger = await asyncio.to_thread(lambda: Ledger.open(folder / "ledger", signer, clock, mend=False))
    return Holdings(
        pole=pole.pole,
        camera=footage.camera,
        store=store,
        table=EpochTable(store.folder, keystore),
        ledger=ledger,
        holds=LedgerHolds(ledger, folder / "ledger", footage.retention_hours),
        lock=PoleLock(folder / "lock"),
        signer=signer,
        clock=clock,
        trust=followed_line(clock, store.folder),
        release_open=lambda: pole.profile == "bench" or followed_line(clock, store.folder).settled,
        retention_hours=footage.retention_hours,
    )


def settings_of(folder: Path, state: Path | None) -> tuple[PoleFile, FootageSettings, Path]:
    """Return a pole's facts, its footage settings and its state folder. Raises :class:`ConfigError`."""
    pole = config.load(folder / "pole.toml", PoleFile)
    footage = config.load(folder / "footage.toml", FootageSettings)
    footage.refuse_unfit(pole.profile)
    found = state or pole.state_path(folder)
    if not found.is_dir():
        raise ConfigError(
            "E-CONFIG-STATE", "there is no pole's state", where=str(found), todo="give --state, or run pole"
        )
    return pole, footage, found


def expected_key(path: Path | None) -> PoleKey | None:
    """Return the pole's key in a file that an officer gave; None where none was given."""
    return None if path is None else PoleKey.parse(read_text(path).split("\n")[0], where=str(path))


def key_line(key: PoleKey, *, compared: bool) -> str:
    """Return the line that shows a pole's key and whether it was compared."""
    return f"pole's key   {key.fingerprint()}\n             " + (
        "is the one you gave" if compared else "compare it with the office's list, or give --pole-key"
    )
