"""``python -m tools.witness``: keep what poles say of their ledgers, cosign what only grew, shout about the rest.

Leaves: exit code 0 all good, 3 evidence was found, 4 a pole is silent or a checkpoint waits for a proof, 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from firmware.ground.clock import SystemClock
from firmware.ground.errors import PoleError
from tools.witness.archive import contradictions
from tools.witness.house import House
from tools.witness.judge import ALARMS
from tools.witness.key import WitnessSigner
from tools.witness.listening import Broker, listen

GOOD, WRONG, ALARM, OPEN = 0, 2, 3, 4

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
KeyFile = Annotated[Path, typer.Option("--key", help="This witness's key file.")]
ArchiveFolder = Annotated[Path, typer.Option("--archive", help="Where everything is kept.")]
Poles = Annotated[Path, typer.Option("--poles", help="Folder with one <pole>.vkey a pole.")]


@app.command()
def keygen(
    *,
    out: Annotated[Path, typer.Option("--out", help="Where the key goes; never overwritten.")],
    name: Annotated[str, typer.Option("--name", help="The key's name, for instance witness.example.jp/odawara.")],
) -> None:
    """Make this witness's key and show its public half, for auditors to keep."""
    with _answering():
        print(WitnessSigner.make(out, name).public.text())


@app.command()
def watch(
    *,
    archive: ArchiveFolder,
    key: KeyFile,
    poles: Poles,
    host: Annotated[str, typer.Option("--host")],
    port: Annotated[int, typer.Option("--port")] = 8883,
    ca: Annotated[Path | None, typer.Option("--ca", help="The broker's authority. Without it: no TLS.")] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate")] = None,
    certificate_key: Annotated[Path | None, typer.Option("--certificate-key")] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="End after that long (0: never).")] = 0.0,
) -> None:
    """Listen to the broker. With --seconds: take what is retained and what comes, then end with what was found."""
    with _answering():
        house = _house(archive, poles, key)
        name = WitnessSigner.read(key).public.name
        broker = Broker(host=host, port=port, name=name, ca=ca, certificate=certificate, key=certificate_key)
        with contextlib.suppress(TimeoutError, KeyboardInterrupt):
            asyncio.run(_watch(broker, house, seconds))
    raise typer.Exit(_verdict(house))


@app.command()
def take(
    files: Annotated[list[Path], typer.Argument(help="Checkpoints or growth texts, brought by hand.")],
    *,
    archive: ArchiveFolder,
    key: KeyFile,
    poles: Poles,
) -> None:
    """Take messages from files, as if they had come from the broker."""
    with _answering():
        house = _house(archive, poles, key)
        for path in files:
            house.take(str(path), path.read_bytes())
    raise typer.Exit(_verdict(house))


@app.command()
def prove(
    pole: Annotated[str, typer.Argument(help="The ledger's name, as in its checkpoints.")],
    *,
    lines: Annotated[Path, typer.Option("--lines", help="The ledger itself (lines.jsonl), handed over by an auditor.")],
    archive: ArchiveFolder,
    key: KeyFile,
    poles: Poles,
) -> None:
    """After a long absence: accept what waits, if the ledger handed over contains both ends."""
    with _answering():
        house = _house(archive, poles, key)
        found = house.archives[pole].prove_with(lines) if pole in house.archives else None
        print(found or "nothing waits")
        house.alarms += found in ALARMS
    raise typer.Exit(_verdict(house))


@app.command()
def status(*, archive: ArchiveFolder, key: KeyFile, poles: Poles) -> None:
    """Say how every pole stands."""
    with _answering():
        house = _house(archive, poles, key)
        for _, line in house.standing(SystemClock()):
            print(line)
    raise typer.Exit(_verdict(house))


@app.command()
def compare(
    pole: Annotated[str, typer.Argument(help="The ledger's name.")],
    other: Annotated[Path, typer.Argument(help="Another witness's archive.")],
    *,
    archive: ArchiveFolder,
    key: KeyFile,
    poles: Poles,
) -> None:
    """Compare with another witness's archive: say where one pole was shown to the two with two histories."""
    with _answering():
        signer = WitnessSigner.read(key)
        mine, theirs = (House.open(folder, poles, signer, SystemClock(), print) for folder in (archive, other))
        found = contradictions(mine.archives[pole], theirs.archives[pole])
        for ours, others in found:
            print(f"WITNESS ALARM forked: our checkpoint at {ours} lines and theirs at {others} contradict each other")
        if not found:
            print("nothing contradicts")
    raise typer.Exit(ALARM if found else GOOD)


@app.command()
def restart(
    pole: Annotated[str, typer.Argument(help="The ledger's name.")],
    *,
    because: Annotated[str, typer.Option("--because", help="The paper on which a person decided so.")],
    archive: ArchiveFolder,
    key: KeyFile,
    poles: Poles,
) -> None:
    """Begin a new history of a pole whose ledger was lawfully begun anew. Nothing of the old one is touched."""
    with _answering():
        house = _house(archive, poles, key)
        print(f"history {house.archives[pole].restart(because)} of {pole}; evidence of the former stays")


async def _watch(broker: Broker, house: House, seconds: float) -> None:
    async with asyncio.timeout(seconds or None):
        await listen(broker, house.take, _say)


def _house(archive: Path, poles: Path, key: Path) -> House:
    return House.open(archive, poles, WitnessSigner.read(key), SystemClock(), _say)


def _verdict(house: House) -> int:
    states = {state for state, _ in house.standing(SystemClock())}
    if house.alarms or "alarm" in states:
        return ALARM
    return OPEN if states & {"silent", "waiting"} else GOOD


def _say(line: str) -> None:
    print(line, file=sys.stderr if line.startswith("WITNESS ALARM") else sys.stdout, flush=True)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except PoleError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(WRONG) from None
    except (OSError, KeyError) as error:
        print(f"E-WITNESS: {type(error).__name__}: {error}", file=sys.stderr)
        raise typer.Exit(WRONG) from None


if __name__ == "__main__":
    app()
