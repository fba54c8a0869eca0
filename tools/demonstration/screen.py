"""The live screen: what the street shows, what the city receives, what the disk holds, what memory holds.

Knows:  running poles, messages as they came from the broker.
Never:  a picture: simulated people are drawn from the street's own truth, as signs.
Leaves: a Rich layout; on a plain output, lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from firmware.assembly import SMALL, SMALL_SLOTS
from firmware.footage.settings import LONGEST_RETENTION_HOURS
from firmware.ground.clock import iso_utc
from tools.broker import Received
from tools.demonstration.poles import Corner

CELLS = (56, 12)
LAST_RECORDS = 10
SHARES = ("spGenderShare", "spAgeShare", "spMaskShare")


def drawing(corner: Corner) -> Text:
    """Draw the simulated people where they stand, as signs of their size."""
    width, height = CELLS
    rows = [[" "] * width for _ in range(height)]
    for person in corner.seen.now:
        left, top, right, bottom = person.box
        column = min(width - 1, max(0, int((left + right) / 2 / SMALL.width * width)))
        first = max(0, int(top / SMALL.height * height))
        last = min(height - 1, max(first, int(bottom / SMALL.height * height)))
        for row in range(first, last + 1):
            rows[row][column] = "o" if row == first else "|"
    return Text("\n".join("".join(row) for row in rows), style="cyan")


def record_line(received: Received) -> Text:
    """Tell one message in a line, from its own JSON."""
    body = received.body
    if isinstance(body, str):
        size = body.splitlines()[1]
        return Text(f"ledger    signed checkpoint over {size} lines", style="dim")
    pole = body["spPole"]
    at = body.get("dateObservedFrom", "           .....")[11:16]
    head = f"{pole} {at} {received.kind:<14}"
    if received.kind == "minute" and body["spStatus"] == "suppressed":
        return Text(f"{head}suppressed: below {body['spRule'][6:]} people, and nobody at all reads the same", "yellow")
    if received.kind == "minute":
        slices = f"{body['spSlices']}/{body['spSlicesPlanned']} slices"
        mean, peak, occupied = body["spMeanOccupancy"], body["spPeakOccupancy"], body["occupancy"]
        return Text(f"{head}mean {mean:>4}  peak {peak:>2}  occupied {occupied:.0%}  {slices}", "green")
    if received.kind == "attr":
        shares = "  ".join(_shares(name, body[name]) for name in SHARES if name in body)
        return Text(f"{head}{shares or 'every dimension withheld'}", "magenta")
    if received.kind == "gap":
        return Text(f"{head}{body['spReason']}", "red")
    return Text(head, "dim")


def _shares(name: str, shares: dict[str, float]) -> str:
    told = " ".join(f"{category} {share:.0%}" for category, share in shares.items())
    return f"{name[2:-5].lower()}: {told}"


def screen(corners: Sequence[Corner], received: Sequence[Received]) -> RenderableType:
    """Return the whole screen."""
    streets = [
        Panel(
            drawing(corner),
            title=f"{corner.settings.pole.pole}: {corner.name}, {iso_utc(corner.clock.utc_ns())[11:19]}",
        )
        for corner in corners
    ]
    lines = [record_line(message) for message in received[-LAST_RECORDS:]]
    city = Panel(
        Group(*lines) if lines else Text("nothing yet"), title=f"what the city receives ({len(received)} messages)"
    )
    table = Table(expand=True)
    for column in (
        "pole",
        "slices",
        "slots free",
        "in memory p50 / p99.9",
        "chunks",
        "ciphertext",
        "hours left",
        "reads it",
    ):
        table.add_column(column)
    for corner in corners:
        totals = corner.pole.report.totals()
        free = SMALL_SLOTS - corner.pole.small.waiting
        table.add_row(
            corner.settings.pole.pole,
            str(totals["slices"]),
            f"{free}/{SMALL_SLOTS}",
            f"{totals['residence_p50_us'] / 1000:.0f} / {totals['residence_p99_9_us'] / 1000:.0f} ms",
            str(totals["chunks"]),
            f"{totals['ciphertext_bytes'] / 1e6:.1f} MB",
            str(LONGEST_RETENTION_HOURS),
            "nobody",
        )
    warning = Text(
        "software keystore: good for this demonstration, refused on a street (a copied secret reopens it)", "bold red"
    )
    return Group(
        Columns(streets, equal=True, expand=True), city, Panel(table, title="what disk and memory hold"), warning
    )
