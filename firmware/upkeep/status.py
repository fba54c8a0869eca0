"""status.json: how this pole is, for the person who stands in front of it.

Knows:  a state and a reason for each system, who vouches for the clock, the keystore's kind, officers' keys, counters.
Never:  a count of people, a minute's record, a case, a document number, free text.
Leaves: one file, replaced whole every minute; a table or JSON for ``pole status``.
Clauses: 5.1 (each system by itself), 7.3(1)1 (who could open footage is visible), 6.2(2).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from rich.table import Table

from firmware.city.shapes import PoleId
from firmware.city.standing import SystemState
from firmware.footage.clock_trust import Source
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, Clock, iso_utc
from firmware.ground.durable import write_file
from firmware.ground.errors import StoreError
from firmware.ground.log import Log

STALE_MINUTES: Final = 3
"""A status older than that was not written by a pole that runs."""

Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:+/-]{1,96}$")]


class ClockShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How good the clock is that ages follow. ``settled``: proven, and what was due by it erased: footage may leave.

    ``uncertainty_ms`` is -1 where nothing is known; ``line_ahead_ms`` is the line of ages less the machine's UTC.
    """

    source: Source
    proven: bool
    settled: bool
    uncertainty_ms: int
    line_ahead_ms: int

    def words(self) -> str:
        """Return who vouches for it, and how closely."""
        width = f", ±{self.uncertainty_ms / 1000:g} s" if self.uncertainty_ms >= 0 else ""
        ahead = self.line_ahead_ms / 1000
        return f"{self.source}{width}" + (f"; ages are judged {ahead:+.0f} s from UTC" if abs(ahead) >= 2 else "")


class StatusReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything ``pole status`` shows.

    ``officers`` maps a group to the fingerprints of its keys; ``missing_walls`` names walls of the jail that this
    machine could not build; ``counters`` are totals since the start.
    """

    written_utc_ns: int
    started_utc_ns: int
    pole: PoleId
    profile: Literal["bench", "pole"]
    flow: SystemState
    footage: SystemState
    city: SystemState
    keystore: Literal["software", "tpm2", "none"] = "none"
    officers: dict[Code, tuple[Code, ...]] = {}
    missing_walls: tuple[Code, ...] = ()
    clock: ClockShown | None = None
    counters: dict[Code, int] = {}

    def warnings(self) -> list[str]:
        """Return what a person must know before trusting this pole."""
        found = list[str]()
        if self.keystore == "software":
            found.append("software keystore: a copied secret file reopens erased footage; for a bench only (7.3(1)1)")
        if self.profile == "bench":
            found.append("profile bench: walls may be missing; not for a street")
        if self.clock is not None and not self.clock.settled:
            found.append("the clock is not proven: nothing is handed out until it is (7.1(3))")
        if self.missing_walls:
            found.append(f"walls that this machine could not build: {', '.join(self.missing_walls)}")
        return found


def write_status(path: Path, report: StatusReport) -> None:
    """Replace the file at ``path``. Raises OSError; the old file is then untouched."""
    text = msgspec.json.format(msgspec.json.encode(report, order="deterministic"), indent=1)
    write_file(path, text + b"\n", mode=0o644)


def read_status(path: Path) -> StatusReport:
    """Read the file at ``path``. Raises StoreError (``E-STORE-STATUS``)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StatusReport)
    except OSError as error:
        raise StoreError(
            "E-STORE-STATUS", f"no status: {error.strerror}", where=str(path), todo="start the pole: pole run"
        ) from None
    except (msgspec.ValidationError, msgspec.DecodeError):
        raise StoreError(
            "E-STORE-STATUS", "the status cannot be read", where=str(path), todo="wait a minute, it is written anew"
        ) from None


async def run(path: Path, collect: Callable[[], StatusReport], clock: Clock, log: Log) -> None:
    """Write ``collect()`` to ``path`` now and every minute. A disk that refuses is logged and tried again."""
    while True:
        try:
            write_status(path, collect())
        except OSError as error:
            log.event("upkeep.status", code="E-STORE-STATUS", errno=error.errno or 0)
        await clock.sleep_until_boot(clock.boot_ns() + NS_PER_MINUTE)


def is_stale(report: StatusReport, now_utc_ns: int) -> bool:
    """Tell whether ``report`` is too old to come from a pole that runs."""
    return now_utc_ns - report.written_utc_ns > STALE_MINUTES * NS_PER_MINUTE


def as_json(report: StatusReport, now_utc_ns: int) -> bytes:
    """Return ``report`` as one JSON object with ``stale`` and ``warnings`` added."""
    tree = msgspec.to_builtins(report)
    tree |= {"stale": is_stale(report, now_utc_ns), "warnings": report.warnings()}
    return msgspec.json.encode(tree, order="deterministic")


def render(report: StatusReport, now_utc_ns: int) -> Table:
    """Return ``report`` as a table; the first row says so when nobody has written it lately."""
    age_seconds = max(0, now_utc_ns - report.written_utc_ns) // NS_PER_SECOND
    table = Table(title=f"{report.pole} ({report.profile})", title_justify="left")
    for column in ("what", "state", "why"):
        table.add_column(column, overflow="fold")
    if is_stale(report, now_utc_ns):
        table.add_row("status", "[bold red]old[/]", f"written {age_seconds} s ago: the pole does not run")
    table.add_row("running since", iso_utc(report.started_utc_ns), f"written {age_seconds} s ago")
    for name, state in (("people flow", report.flow), ("footage", report.footage), ("city", report.city)):
        colour = {"running": "green", "failed": "bold red", "degraded": "yellow"}.get(state.state, "white")
        table.add_row(name, f"[{colour}]{state.state}[/]", state.reason)
    if report.clock is not None:
        clock = "[green]proven[/]" if report.clock.settled else "[yellow]not proven[/]"
        table.add_row("clock", clock, report.clock.words())
    table.add_row("keystore", report.keystore, "")
    for group, fingerprints in sorted(report.officers.items()):
        table.add_row(f"officers {group}", str(len(fingerprints)), "\n".join(fingerprints))
    for warning in report.warnings():
        table.add_row("warning", "[yellow]![/]", warning)
    for name, count in sorted(report.counters.items()):
        table.add_row(name, str(count), "")
    return table
