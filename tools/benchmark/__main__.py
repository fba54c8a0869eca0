"""``python -m tools.benchmark``: the design's numbers on this machine. See tools/bench.

Knows:  what was promised.
Never:  a figure that was not measured in this run.
Leaves: a table, or JSON; exit code 1 when a promise was not kept.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from firmware.ground.clock import NS_PER_SECOND, SystemClock
from tools.benchmark import parts
from tools.benchmark.live import FPS, draw
from tools.broker import DemoBroker, Subscriber

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One promise and what was seen."""

    what: str
    seen: float
    promised: float
    unit: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the promise was kept in this run."""
        return self.seen >= self.promised if self.at_least else self.seen <= self.promised


@app.command()
def main(
    seconds: Annotated[int, typer.Option(help="seconds of a whole pole in real time")] = 135,
    slices: Annotated[int, typer.Option(help="slices for the memory test")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure every number of the design in one run."""
    rows = asyncio.run(_measure(seconds, slices))
    if as_json:
        typer.echo(json.dumps([{**asdict(row), "kept": row.kept} for row in rows]))
    else:
        _print(rows)
    raise typer.Exit(0 if all(row.kept for row in rows) else 1)


async def _measure(seconds: int, slices: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        await asyncio.to_thread(draw, folder / "drawn")
        live, delays = await _live(folder, seconds)
        encoder = await asyncio.to_thread(parts.encoder_cpu_seconds_a_frame, folder / "drawn")
        ratio = await asyncio.to_thread(parts.sealing_ratio)
        many = await parts.slices(folder / "slices.log", slices)
    frames = seconds * FPS - live["totals"]["main_frames_dropped"]
    cpu = live["pole_cpu_seconds"] + sum(live["children_cpu_seconds"].values()) - encoder * frames
    residence, bare = live["totals"]["residence_p99_9_us"] / 1000, many["bare_p50_ms"]
    longest = live["round_trip_p99_9_us"] / 1000
    return [
        Row("residence p99.9, over inference (p99.9) + 20 ms", residence, longest + 20, "ms"),
        Row(
            "a slice over the bare interpreter call",
            many["round_trip_p50_ms"] - bare,
            max(2, bare / 10),
            "ms",
        ),
        Row(f"growth of pole's memory over {slices} slices", many["growth_pole_kib"], 0, "KiB"),
        Row(f"growth of counter's memory over {slices} slices", many["growth_counter_kib"], 0, "KiB"),
        Row("sealing speed / pyrage alone", ratio, 0.8, "x", at_least=True),
        Row("event-loop stall p99.9", live["stall_p99_9_ms"], 20, "ms"),
        Row("720p15 + flow, besides the encoder", 100 * cpu / seconds, 35, "% of a core"),
        Row("x264 alone (720p15, for comparison)", 100 * encoder * FPS, 100, "% of a core"),
        Row("pole resident", live["rss_mib"]["pole"], 100, "MiB"),
        Row("counter resident", live["rss_mib"]["counter"], 150, "MiB"),
        Row("recorder resident", live["rss_mib"]["recorder"], 150, "MiB"),
        Row("start to first slice", live["first_slice_seconds"] or float("inf"), 3, "s"),
        Row(f"record on the broker after the minute (max of {len(delays)})", max(delays, default=np.inf), 2, "s"),
        Row("main frames dropped", live["totals"]["main_frames_dropped"], 0, "frames"),
        Row("slices lost", live["totals"]["slices_lost"], 0, "slices"),
    ]


async def _live(folder: Path, seconds: int) -> tuple[dict[str, Any], list[float]]:
    clock, delays = SystemClock(), list[float]()
    async with DemoBroker() as broker, Subscriber(broker.port).listening() as city:

        async def follow() -> None:
            async for message in city.follow():
                if message.kind == "minute" and isinstance(message.body, dict):
                    delays.append(clock.utc_ns() / NS_PER_SECOND - 60 * (message.body["spSeq"] + 1))

        following = asyncio.create_task(follow())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tools.benchmark.live", str(folder / "state"), str(seconds), str(broker.port)),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        following.cancel()
    if process.returncode:
        raise SystemExit((folder / "live.log").read_text()[-2000:])
    return json.loads(out), delays


def _print(rows: list[Row]) -> None:
    table = Table(title="promised, and seen on this machine in this run", title_justify="left")
    for column in ("what", "seen", "promised", "", "kept"):
        table.add_column(column)
    for row in rows:
        sign = ">=" if row.at_least else "<="
        kept = "[green]yes[/]" if row.kept else "[bold red]NO[/]"
        table.add_row(row.what, f"{row.seen:.2f}", f"{sign} {row.promised:.2f}", row.unit, kept)
    Console().print(table)


if __name__ == "__main__":
    app()
