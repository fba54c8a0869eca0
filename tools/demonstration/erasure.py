"""337 hours later: what the pole does at its first boot then, and what an attacker with everything can open.

Knows:  a pole's state directory, a copy of it made before, both officers' private keys.
Never:  the software secret that was overwritten: a real pole's TPM would not give it back, a copied file would.
Leaves: the ledger's line, the refusal, a count of what opened.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pyrage

from firmware.assembly import ONCE, build
from firmware.custody.bundle.making import Holdings, make_bundle
from firmware.custody.office.journal import Journal
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.footage.epochs import TableFile
from firmware.footage.holds import LedgerHolds
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.table import EpochTable
from firmware.ground.clock import SimulatedClock
from firmware.ground.errors import PoleError
from firmware.ground.log import Log
from firmware.upkeep.whole import Settings

SOFTWARE_SECRETS = "slot-*"


def copy_everything(state: Path, copy: Path) -> int:
    """Copy every file of the pole but the software secret; return how many."""
    shutil.copytree(state, copy, ignore=shutil.ignore_patterns(SOFTWARE_SECRETS, "lock", "running"))
    return sum(path.is_file() for path in copy.rglob("*"))


async def boot_later(settings: Settings, utc_ns: int, out: Path) -> tuple[list[str], str]:
    """Boot the pole at ``utc_ns`` and ask for the bundle of its sealed case again.

    Returns the ledger's new lines and the refusal's text; an empty refusal means that something was handed out.
    """
    log, clock = Log(io.StringIO()), SimulatedClock(utc_ns)
    lines = settings.state / "ledger" / "lines.jsonl"
    before = len(lines.read_text().splitlines())
    async with AsyncExitStack() as stack:
        pole = await build(stack, settings, clock=clock, log=log, connect=None, budget=ONCE)
        parts = pole.parts
        await boot(parts, Eraser(parts))
        keystore, signer = await open_pole_keys(settings.footage, settings.state, settings.place.ledger_origin, log)
        holdings = Holdings(
            pole=settings.pole.pole,
            camera=settings.footage.camera,
            store=parts.store,
            table=EpochTable(parts.store.folder, keystore),
            ledger=parts.ledger,
            holds=LedgerHolds(parts.ledger, settings.state / "ledger", settings.footage.retention_hours),
            lock=parts.lock,
            signer=signer,
            clock=clock,
            trust=parts.trust,
            retention_hours=settings.footage.retention_hours,
            release_open=lambda: True,  # a bench: nobody proves a simulated clock
        )
        journal = await Journal.open(
            settings.state / "custody" / "acts", settings.pole.pole, parts.ledger, parts.lock, SshKeygen(os.environ),
            lambda: (utc_ns, True),
        )  # fmt: skip
        try:
            await make_bundle(holdings, journal, next(iter(journal.register.cases.entries)), out)
            refusal = ""
        except PoleError as error:
            refusal = str(error)
    return lines.read_text().splitlines()[before:], refusal


def erase_lines(lines: Sequence[str]) -> list[str]:
    """Return those ledger lines that tell of an erasure."""
    return [line for line in lines if json.loads(line)["event"] == "epochs.erased"]


def try_everything(copy: Path, state: Path, officers: Sequence[pyrage.x25519.Identity]) -> tuple[int, int]:
    """Attack the copied files with every secret the pole holds now and all officers' private keys.

    Each secret is tried on each table; what a table gives up is unwrapped with the officers' keys and tried, like those
    keys themselves, on every chunk. Returns ``(chunks tried, chunks opened)``.
    """
    secrets = [path.read_bytes() for path in (state / "keystore").glob(SOFTWARE_SECRETS)]
    identities = list(officers)
    for table in sorted(copy.rglob("*.table")):
        for secret in secrets:
            identities += _identities(table, secret, officers)
    chunks = sorted(copy.rglob("*-*.age"))
    return len(chunks), sum(_opens(chunk.read_bytes(), identities) is not None for chunk in chunks)


def _identities(table: Path, secret: bytes, officers: Sequence[pyrage.x25519.Identity]) -> list[pyrage.x25519.Identity]:
    try:
        opened = TableFile(table, secret)
    except PoleError:
        return []
    found = []
    for hour in opened.header.minutes:
        for entry in opened.read_hour(hour):
            inner = _opens(entry.sealed_identity, officers)
            text = _opens(inner, officers) if inner else None
            if text:
                found.append(pyrage.x25519.Identity.from_str(text.decode().strip()))
    return found


def _opens(sealed: bytes, identities: Sequence[pyrage.x25519.Identity]) -> bytes | None:
    try:
        return pyrage.decrypt(sealed, list(identities))
    except pyrage.DecryptError:
        return None
