"""The officers' desk: keys made, a bundle asked for by document number, opened with both keys, looked at.

Knows:  the command line of ``pole-custodian``, two officers' keys, which never enter a pole's folder.
Never:  a way round the command line: what it does here, an officer can do by hand.
Leaves: a film, its papers, a contact sheet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image

from firmware.footage.settings import Officers
from firmware.ground.clock import iso_utc

CUSTODIAN = Path(sys.executable).parent / "pole-custodian"
SHEET = (4, 3)
THUMB = (320, 180)


@dataclass(frozen=True, slots=True)
class Officer:
    """One officer's key file, the file with its passphrase (an officer keeps it in the head), its public half."""

    key: Path
    passphrase: Path
    recipient: str


@dataclass(frozen=True, slots=True)
class Office:
    """The desk: a folder that no pole has."""

    folder: Path
    a: Officer
    b: Officer

    @property
    def officers(self) -> Officers:
        """The public halves, for ``footage.toml``."""
        return Officers(a=(self.a.recipient,), b=(self.b.recipient,))


def custodian(*words: str) -> tuple[int, dict[str, object]]:
    """Run ``pole-custodian ... --json``; return its exit code and its answer."""
    done = subprocess.run([CUSTODIAN, *words, "--json"], capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"pole-custodian {words[0]} answered nothing: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


def open_office(folder: Path) -> Office:
    """Make two officers' keys, each with its own generated passphrase."""
    folder.mkdir(mode=0o700, parents=True)
    return Office(folder, _officer(folder, "group-a"), _officer(folder, "group-b"))


def _officer(folder: Path, name: str) -> Officer:
    key, passphrase = folder / f"{name}.age", folder / f"{name}.words"
    code, answer = custodian("keygen", "--out", str(key), "--name", name)
    if code:
        raise SystemExit(f"no key: {answer}")
    passphrase.write_text(str(answer["passphrase"]))
    passphrase.chmod(0o600)
    return Officer(key, passphrase, str(answer["recipient"]))


def ask_for_bundle(
    config: Path, state: Path, document: str, first_ns: int, after_ns: int, out: Path
) -> tuple[int, dict[str, object]]:
    """Ask the pole for a bundle, as an officer on its serial line would."""
    return custodian(
        "bundle",
        "--config",
        str(config),
        "--state",
        str(state),
        "--document",
        document,
        "--from",
        iso_utc(first_ns),
        "--to",
        iso_utc(after_ns),
        "--out",
        str(out),
    )


def open_bundle(office: Office, bundle: Path, out: Path) -> tuple[int, dict[str, object]]:
    """Open ``bundle`` at the desk with both officers' keys."""
    return custodian(
        "open",
        str(bundle),
        "--identity-a",
        str(office.a.key),
        "--passphrase-a-file",
        str(office.a.passphrase),
        "--identity-b",
        str(office.b.key),
        "--passphrase-b-file",
        str(office.b.passphrase),
        "--out",
        str(out),
    )


def contact_sheet(film: Path, out: Path) -> int:
    """Draw ``SHEET`` pictures evenly spread over ``film`` to the PNG ``out``; return how many frames the film has."""
    columns, rows = SHEET
    with av.open(str(film)) as container:
        frames = container.streams.video[0].frames
    wanted = {frames * place // (columns * rows) for place in range(columns * rows)}
    sheet = Image.new("RGB", (columns * THUMB[0], rows * THUMB[1]))
    place = 0
    decoded = 0
    with av.open(str(film)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            decoded += 1
            if number in wanted:
                thumb = frame.to_image().resize(THUMB)
                sheet.paste(thumb, (place % columns * THUMB[0], place // columns * THUMB[1]))
                place += 1
    sheet.save(out)
    return decoded
