"""Fourteen days of sealed chunks: how long opening, listing, checking, holding, sweeping take, in what memory.

Knows:  the production store, table, ledger, checker and retention; small age files, one a chunk; a hundred holds as
        the ledger's lines, among one line a minute.
Never:  a timing without a plain walk over the same files beside it.
Leaves: one JSON object a number of cameras.

    python -m tools.benchmark.store [--cameras 1 --cameras 4 --cameras 16] [--days 14]

"ledger" is opening it; "hold" reads the holds from it and judges every minute by them. A store holds one camera; "four
cameras' worth" is four times the chunks in the same minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import pyrage
import typer
from rich.console import Console
from rich.table import Table

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.drivers.signer_software import SoftwareSigner
from firmware.footage.fsck import Checker
from firmware.footage.holds import LedgerHolds
from firmware.footage.manifest import ChunkEntry, ClockEntry, Manifest, Origin, sha256_of
from firmware.footage.ports import MintedEpoch
from firmware.footage.retention import due
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground import ledger_lines
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, SystemClock
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_events import Value
from firmware.ground.log import Log

FIRST: Final = MinuteNumber(29_900_000)
CHUNKS_A_MINUTE: Final = 6
MINUTES_A_DAY: Final = 1440
HOLDS: Final = 100
IDENTITY_BYTES: Final = 430
"""Of age(A, age(B, identity)) with one recipient each."""

CLOCK: Final = ClockEntry(source="machine", proven=False, uncertainty_ms=-1, line_ahead_ms=0)
ORIGIN: Final = Origin(pole="sp03", camera="cam0", software="0", config_sha256="0" * 64, keystore="software")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    cameras: Annotated[list[int] | None, typer.Option(help="how many cameras' worth; may be repeated")] = None,
    days: Annotated[int, typer.Option(help="days of footage")] = 14,
    folder: Annotated[
        Path | None, typer.Option(help="measure the store in this folder only (one process a store)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Build stores, measure each in a process of its own, print a table."""
    if folder is not None:
        typer.echo(json.dumps(asyncio.run(measured(folder, days))))
        return
    rows = []
    for count in cameras or [1, 4, 16]:
        with tempfile.TemporaryDirectory(prefix="store-") as name:
            asyncio.run(build(Path(name), count, days))
            words = [sys.executable, "-m", "tools.benchmark.store", "--folder", name, "--days", str(days)]
            out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            rows.append({"cameras": count, **json.loads(out)})
            if as_json:
                typer.echo(json.dumps(rows[-1]))
    if not as_json:
        _print(rows)


async def build(folder: Path, cameras: int, days: int) -> None:
    """Fill ``folder`` with a store as ``cameras`` cameras leave it after ``days``; without the fsyncs of a pole."""
    chunk = pyrage.encrypt(os.urandom(64), [pyrage.x25519.Identity.generate().to_public()])
    digest, footage = sha256_of(chunk), folder / "footage"
    footage.mkdir()
    for epoch in range(FIRST, FIRST + days * MINUTES_A_DAY):
        hour = footage / str(epoch // 60)
        hour.mkdir(exist_ok=True)
        entries = []
        for sequence in range(CHUNKS_A_MINUTE * cameras):
            (hour / f"{epoch}-{sequence}.age").write_bytes(chunk)
            entries.append(ChunkEntry(sequence=sequence, ciphertext_bytes=len(chunk), sha256=digest, frames=150))
        manifest = Manifest(
            origin=ORIGIN, epoch=epoch, recovered=False, chunks=tuple(entries), gaps=(), clock=CLOCK
        )  # fmt: skip
        (hour / f"{epoch}.manifest.json").write_bytes(manifest.encoded())
    _write_ledger(folder / "ledger", days)
    table = _table(folder)
    await table.load(FIRST)
    minted = [
        MintedEpoch(MinuteNumber(epoch), "age1" + "q" * 58, os.urandom(IDENTITY_BYTES))
        for epoch in range(FIRST, FIRST + days * MINUTES_A_DAY)
    ]
    await table.rewrite([], minted, FIRST)


def _write_ledger(folder: Path, days: int) -> None:
    """Write one line a minute, then the holds: every second stretch of twenty minutes of the first days."""
    folder.mkdir()
    end, chain, digest = FIRST + days * MINUTES_A_DAY, ledger_lines.NO_CHAIN, "0" * 64
    told: list[tuple[int, str, dict[str, Value]]] = [
        (epoch, "minute.sealed", {"epoch": epoch, "manifest": digest}) for epoch in range(FIRST, end)
    ]
    for number in range(HOLDS):
        first = FIRST + 40 * number
        span: dict[str, Value] = {"first_epoch": first, "last_epoch": first + 19, "ends_epoch": 2 * end}
        act: dict[str, Value] = {"number": number + 1, "by": "manager", "act": digest, "at": 0, "clock": "proven"}
        placed = {**act, **span, "hold": number + 1, "kind": "confirmed", "living_from": FIRST}
        told.append((end, "hold.placed", placed))
    with (folder / "lines.jsonl").open("wb") as file:
        for index, (epoch, event, fields) in enumerate(told):
            line, chain = ledger_lines.compose(index, epoch * NS_PER_MINUTE, event, fields, chain)
            file.write(line + b"\n")


async def measured(folder: Path, days: int) -> dict[str, Any]:
    """Return seconds of each thing done once to the store in ``folder``, and this process's peak memory."""
    last = MinuteNumber(FIRST + days * MINUTES_A_DAY - 1)
    seconds: dict[str, float] = {}

    def timed(what: str, deed: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the deed returns
        began = time.perf_counter()
        result = deed()
        seconds[what] = round(time.perf_counter() - began, 3)
        return result

    files = timed("plain_walk", lambda: _walk(folder / "footage"))
    began = time.perf_counter()
    store, table = Store(folder / "footage"), _table(folder)
    await table.load(last)
    seconds["open"] = round(time.perf_counter() - began, 3)
    recorded = timed("list", store.recorded)
    checker = Checker(store, frozenset(table.epochs()), ORIGIN, CLOCK, MinuteNumber(last - 9), lambda *_: None)
    findings = timed("fsck", checker.check)
    signer = SoftwareSigner(folder / "keystore" / "ledger.key", "bench.example/sp03")
    ledger = timed("ledger", lambda: Ledger.open(folder / "ledger", signer, SystemClock(), mend=False))
    holds = LedgerHolds(ledger, folder / "ledger", 336)
    now_ns = (FIRST + 336 * 60) * NS_PER_MINUTE
    drop = timed("hold", lambda: due(table.epochs(), holds(), now_ns, retention_hours=336))
    began = time.perf_counter()
    await table.rewrite(drop, [], last)
    await asyncio.to_thread(store.remove, drop)
    seconds["sweep"] = round(time.perf_counter() - began, 3)
    if not findings.clean or len(recorded) != days * MINUTES_A_DAY or not drop:
        raise SystemExit(f"the store is not as it was built: {findings}, {len(recorded)} minutes, {len(drop)} due")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"files": files, "seconds": seconds, "swept_minutes": len(drop), "peak_mib": round(peak_kib / 1024, 1)}


def _walk(folder: Path) -> int:
    """Look at every file's name and size, as any program must."""
    count = 0
    for hour in os.scandir(folder):
        if hour.is_dir():
            for entry in os.scandir(hour.path):
                entry.stat(follow_symlinks=False)
                count += 1
    return count


def _table(folder: Path) -> EpochTable:
    with Path(os.devnull).open("w") as nowhere:
        return EpochTable(folder / "footage", SoftwareKeystore(folder / "keystore", Log(nowhere)))


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="14 days of 8,640 chunks: seconds, and in brackets times a plain walk", title_justify="left")
    for column in (
        "cameras",
        "files",
        "walk",
        "open",
        "list",
        "fsck",
        "ledger",
        "hold",
        "sweep",
        "minutes swept",
        "peak MiB",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        walk = row["seconds"]["plain_walk"]
        cells = [
            f"{row['seconds'][what]:.2f} ({row['seconds'][what] / walk:.1f})"
            for what in ("open", "list", "fsck", "ledger", "hold", "sweep")
        ]
        table.add_row(
            str(row["cameras"]),
            str(row["files"]),
            f"{walk:.2f}",
            *cells,
            str(row["swept_minutes"]),
            str(row["peak_mib"]),
        )
    Console().print(table)


if __name__ == "__main__":
    app()
