"""Authenticated network time, as the machine's own chronyd knows it.

Knows:  ``chronyc``, chronyd's control socket, the columns of three reports.
Never:  a clock set, a source without authentication believed, a wait longer than five seconds.
Leaves: :class:`firmware.footage.ports.NetworkTime`, or None and one log line when the reason changes.
Clauses: 7.1(3), 7.3(1) (a spoofed time server proves nothing).

``chronyc -c`` prints comma-separated values: of ``tracking`` 14 (reference, its name, stratum, time of its last
sample, correction still to be applied, two offsets, two frequencies, skew, root delay, root dispersion, update
interval, leap status), of ``sources`` 10 a source (mode, state, name, stratum, poll, reach, seconds since its last
sample, ...), of ``authdata`` 10 a source (name, mechanism, key, algorithm, ...). Seconds are not converted to other
units. From chrony's manual and source (4.x), tried with the daemon of 4.3.

Proven means: chronyd says it is synchronised, to the very source it selected, and every source that it selected or
combined with it (``*``, ``+``) authenticates its answers by NTS or by a symmetric key better than SHA-1. The
uncertainty is the root distance: half the root delay, the root dispersion (chronyd lets it grow while nobody answers)
and what is still to be corrected. ``authdata`` is answered through the control socket only, which is as good as the
right to steer chronyd: the unit gives ``pole`` its group for that.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Final, Literal

from firmware.footage.ports import NetworkTime
from firmware.ground.log import Log

SOCKET: Final = Path("/run/chrony/chronyd.sock")

_CALL_SECONDS: Final = 5.0
_REPORTS: Final = ("tracking", "sources", "authdata")
_COLUMNS: Final = (14, 10, 10)
_LOCAL: Final = "7F7F0101"
"""The reference of a chronyd that follows nothing but its own crystal."""
_MOST_MS: Final = 1e9
_WEAK_KEYS: Final = ("1", "2")
"""MD5 and SHA-1: a symmetric key of these proves nothing any more."""

Why = Literal[
    "ok", "E-CLOCK-TOOL", "E-CLOCK-LATE", "E-CLOCK-DAEMON", "E-CLOCK-ANSWER", "not_synchronised", "not_authenticated"
]


class ChronyTime:
    """Implements ``footage.ports.TimeSource`` over the chronyd whose control socket is ``socket``."""

    def __init__(self, log: Log, socket: Path = SOCKET, program: str = "chronyc") -> None:
        self._log = log
        self._socket = socket
        self._program = program
        self._told = ""

    async def read(self) -> NetworkTime | None:
        """See the port. Takes at most five seconds."""
        answer = await self._ask()
        found = answer if answer in ("E-CLOCK-TOOL", "E-CLOCK-LATE", "E-CLOCK-DAEMON") else judge(answer)
        why = found if isinstance(found, str) else "ok"
        if why != self._told:
            self._told = why
            self._log.event("footage.network_time", code=why)
        return None if isinstance(found, str) else found

    async def _ask(self) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *(self._program, "-c", "-n", "-m", "-h", str(self._socket), *_REPORTS),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            )
        except OSError:
            return "E-CLOCK-TOOL"
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            return "E-CLOCK-LATE"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return "E-CLOCK-DAEMON" if process.returncode else output.decode("ascii", "replace")


def judge(report: str) -> NetworkTime | Why:
    """Return what chronyc's three reports prove, or why nothing. Pure."""
    rows = [line.split(",") for line in report.splitlines()]
    tracking, sources, mechanisms = _sorted(rows)
    if not tracking:
        return "E-CLOCK-ANSWER"
    reference, name, leap = tracking[0], tracking[1], tracking[13]
    selected = [row for row in sources if row[1] == "*"]
    if leap == "Not synchronised" or reference == _LOCAL or len(selected) != 1 or selected[0][2] != name:
        return "not_synchronised"
    if not all(_authenticated(row, mechanisms) for row in sources if row[1] in ("*", "+")):
        return "not_authenticated"
    try:
        correction, delay, dispersion = (float(tracking[column]) for column in (4, 10, 11))
        age_seconds = int(selected[0][6])
    except ValueError:
        return "E-CLOCK-ANSWER"
    distance_ms = (abs(correction) + abs(delay) / 2 + dispersion) * 1000
    if not (dispersion >= 0 and age_seconds >= 0 and distance_ms < _MOST_MS):  # of a NaN none of these is true
        return "E-CLOCK-ANSWER"
    return NetworkTime(math.ceil(distance_ms), age_seconds)


def _sorted(rows: list[list[str]]) -> tuple[list[str], list[list[str]], dict[str, list[str]]]:
    """Return the row of ``tracking`` (empty: not what chronyc prints), those of ``sources``, ``authdata`` by name."""
    sources = [row for row in rows[1:] if len(row) == _COLUMNS[1] and row[0] in ("^", "=", "#")]
    rest = [row for row in rows[1:] if row not in sources]
    whole = bool(rows) and len(rows[0]) == _COLUMNS[0] and all(len(row) == _COLUMNS[2] for row in rest)
    return (rows[0] if whole else []), sources, {row[0]: row for row in rest}


def _authenticated(source: list[str], mechanisms: dict[str, list[str]]) -> bool:
    """Tell whether a server or peer authenticates its answers; a reference clock (GNSS) never does."""
    row = mechanisms.get(source[2], [])
    return source[0] != "#" and bool(row) and (row[1] == "NTS" or (row[1] == "SK" and row[3] not in _WEAK_KEYS))
