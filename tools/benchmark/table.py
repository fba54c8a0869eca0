"""The epoch table of fourteen days under each rule of officers: its size, and what an hourly rewrite of it costs.

Knows:  the production mint's sealing, table and software keystore.
Never:  a rule timed in another run than the one it is compared with.
Leaves: one JSON object: a row a rule.

    python -m tools.benchmark.table [--epochs 20160]
"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final

import pyrage
import typer

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.footage.nesting import pack, rule_of, seal_for
from firmware.footage.ports import MintedEpoch
from firmware.footage.table import EpochTable
from firmware.ground.clock import MinuteNumber
from firmware.ground.log import Log

FIRST: Final = MinuteNumber(29_900_040)
HOUR: Final = 60
MADE_AT_MOST: Final = 600
"""So many pairs are really sealed; the rest of the table are copies under other minutes, of the same size."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _Quiet:
    def write(self, _text: str, /) -> None:
        """Say nothing."""


@app.command()
def main(epochs: Annotated[int, typer.Option(help="minutes in the table")] = 20_160) -> None:
    """Measure one group, two groups (one key each; two each) and two of three (one key each; two each)."""
    shapes = {"one group": [1], "two groups": [1, 1], "two groups, spare keys": [2, 2], "two of three": [1, 1, 1],
              "two of three, spare keys": [2, 2, 2]}  # fmt: skip
    typer.echo(json.dumps([asyncio.run(_measure(name, keys, epochs)) for name, keys in shapes.items()], indent=1))


async def _measure(name: str, keys: list[int], epochs: int) -> dict[str, Any]:
    groups = [[str(pyrage.x25519.Identity.generate().to_public()) for _ in range(count)] for count in keys]
    began = time.perf_counter()
    made = [_pair(groups) for _ in range(min(epochs, MADE_AT_MOST))]
    sealing_ms = (time.perf_counter() - began) / len(made) * 1000
    entries = [MintedEpoch(MinuteNumber(FIRST + place), *made[place % len(made)]) for place in range(epochs)]
    with tempfile.TemporaryDirectory(prefix="pole-table-") as folder:
        table = EpochTable(Path(folder), SoftwareKeystore(Path(folder) / "keystore", Log(_Quiet())))
        await table.load(FIRST)
        await table.rewrite([], entries, FIRST)
        fresh = [MintedEpoch(MinuteNumber(FIRST + epochs + place), *made[place]) for place in range(HOUR)]
        began = time.perf_counter()
        done = await table.rewrite([MinuteNumber(FIRST + place) for place in range(HOUR)], fresh, FIRST)
        rewrite_seconds = time.perf_counter() - began
        began = time.perf_counter()
        await EpochTable(Path(folder), SoftwareKeystore(Path(folder) / "keystore", Log(_Quiet()))).load(FIRST)
        load_seconds = time.perf_counter() - began
    return {
        "rule": name,
        "kind": rule_of(groups),
        "epochs": epochs,
        "identity_bytes": sum(len(sealed) for _, sealed in made) // len(made),
        "table_bytes": done.table_bytes,
        "seal_ms_an_epoch": round(sealing_ms, 3),
        "rewrite_seconds": round(rewrite_seconds, 3),
        "load_seconds": round(load_seconds, 3),
        "peak_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def _pair(groups: list[list[str]]) -> tuple[str, bytes]:
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), pack(seal_for(str(identity).encode(), groups))


if __name__ == "__main__":
    app()
