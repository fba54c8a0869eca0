"""What the office waits for: sealing, bundle, package, verifying, beside pyrage, a plain copy and SHA-256 alone.

Knows:  the production functions; a small pole with a street's chunks (720p, 15 pictures a second, 2 Mbit/s).
Never:  a figure without the plain things measured beside it, over the same bytes, in the same run.
Leaves: a table, or one JSON object.

    tools/bench custody [--minutes 5] [--lines 544600] [--json]

Each step is done three times and the median taken; files stay in the page cache on both sides of a ratio.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import av
import numpy as np
import pyrage
import typer
from rich.console import Console
from rich.table import Table

from firmware.custody.audit.evidence import gather
from firmware.custody.audit.verdict import judge
from firmware.custody.bundle.archive import reading
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.span import Span
from firmware.custody.desk.opening import OfficerKeys
from firmware.custody.package.making import Desk
from firmware.custody.package.tree import PART_90K
from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import MinuteNumber
from tests.parts.small_pole import FIRST, Film, SmallPole
from tools.benchmark import package, parts
from tools.benchmark.ledger import write_year

ROUNDS: Final = 3
FPS: Final = 15
FRAMES: Final = FPS * 10
WIDTH, HEIGHT = 1280, 720
BITS_PER_SECOND: Final = 2_000_000
YEAR_LINES: Final = 544_600

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    minutes: Annotated[int, typer.Option(help="minutes in the case", min=1, max=60)] = 5,
    lines: Annotated[int, typer.Option(help="lines of the ledger that is audited", min=100)] = YEAR_LINES,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure the office's steps in one run."""
    with tempfile.TemporaryDirectory(prefix="custody-") as name:
        found = asyncio.run(measured(Path(name), minutes, lines))
    if as_json:
        typer.echo(json.dumps({key: round(value, 3) for key, value in found.items()}))
    else:
        _print(found)


async def measured(folder: Path, minutes: int, lines: int) -> dict[str, float]:
    """Return MB/s of every step and ratios to the plain things; ``folder`` has room for twenty bundles."""
    (folder / "pole").mkdir()
    pole = await SmallPole.begin(folder / "pole" / "state", minutes=minutes)
    chunk = street_chunk()
    for epoch in range(FIRST, FIRST + minutes):
        pole.record(epoch, film=chunk)
    case = await pole.sealed_case(Span(FIRST, MinuteNumber(FIRST + minutes - 1)))
    stored = sum(path.stat().st_size for path in pole.store.folder.glob("*/*.age"))
    found = {"chunk_mb": len(chunk.data) / 1e6, "seal_over_pyrage": parts.sealing_ratio()}
    (folder / "out").mkdir()
    names = (folder / "out" / f"{number}" for number in range(10_000))
    recipient = pyrage.x25519.Identity.generate().to_public()
    seconds = {
        "copy_chunks": _median(partial(_copied, pole.store.folder, names)),
        "sha256_chunks": _median(partial(_hashed, pole.store.folder)),
        "pyrage": _median(partial(_sealed, chunk.data, recipient, minutes * 6)),
        "bundle": await _bundled(pole, case, names),
    }
    bundle = folder / "bundle.tar"
    await pole.bundle_of(case, bundle)
    seconds["check"] = _median(partial(_checked, bundle))
    found |= {f"{name}_mb_s": stored / 1e6 / taken for name, taken in seconds.items()}
    found |= {
        "bundle_over_copy": seconds["copy_chunks"] / seconds["bundle"],
        "bundle_over_sha256": seconds["sha256_chunks"] / seconds["bundle"],
        "check_over_sha256": seconds["sha256_chunks"] / seconds["check"],
    }
    (folder / "packages").mkdir()
    desk = Desk(pole.clock, "handler-01", partial(Mp4Film, longest_90k=PART_90K), pole.prove, pole.public_key())
    keys: OfficerKeys = pole.officers.keys()
    found |= await asyncio.to_thread(package.throughput, bundle, keys, desk, folder / "packages")
    found["package_over_pyrage"] = found["package_mb_s"] / found["pyrage_mb_s"]
    return found | await asyncio.to_thread(audited, folder, lines)


def audited(folder: Path, lines: int) -> dict[str, float]:
    """Return how long an auditor's verdict over ``lines`` lines takes, beside SHA-256 over the same file."""
    year = write_year(folder, lines=lines)
    file = year.ledger / "lines.jsonl"
    plain = _timed(lambda: hashlib.sha256(file.read_bytes()).digest())
    evidence = gather([], [year.archive], year.pole_key, [year.witness_key])
    taken = _timed(lambda: judge(year.ledger, evidence))
    return {
        "audit_lines": float(lines),
        "audit_seconds": taken,
        "audit_mb_s": file.stat().st_size / 1e6 / taken,
        "audit_over_sha256": plain / taken,
    }


def street_chunk() -> Film:
    """Ten seconds of 720p at 2 Mbit/s: noise that moves, so that the encoder has to spend its bits."""
    out, random = io.BytesIO(), np.random.default_rng(4)
    field = random.integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(out, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = BITS_PER_SECOND
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        for number in range(FRAMES):
            picture[:HEIGHT] = np.roll(field, 3 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return Film(out.getvalue(), FRAMES, FPS)


def _copied(folder: Path, names: Iterator[Path]) -> None:
    with next(names).open("wb") as out:
        for path in sorted(folder.glob("*/*.age")):
            out.write(path.read_bytes())


def _hashed(folder: Path) -> None:
    for path in sorted(folder.glob("*/*.age")):
        hashlib.sha256(path.read_bytes()).digest()


def _sealed(plain: bytes, recipient: pyrage.x25519.Recipient, times: int) -> None:
    for _ in range(times):
        pyrage.encrypt(plain, [recipient])


def _checked(bundle: Path) -> None:
    with reading(bundle) as reader:
        checked = CheckedBundle(reader, None)
        for member in checked.index.members:
            checked.read(member.name, member.length)


def _median(work: Callable[[], object]) -> float:
    return statistics.median(_timed(work) for _ in range(ROUNDS))


async def _bundled(pole: SmallPole, case: str, names: Iterator[Path]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await pole.bundle_of(case, next(names))
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _print(found: dict[str, float]) -> None:
    table = Table(title="the office's steps on this machine in this run", title_justify="left")
    for column in ("what", "value", ""):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, value in found.items():
        unit = "MB/s" if name.endswith("_mb_s") else "x" if "_over_" in name else ""
        table.add_row(name.removesuffix("_mb_s").replace("_", " "), f"{value:.2f}", unit)
    Console().print(table)


if __name__ == "__main__":
    app()
