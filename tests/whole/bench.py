"""For the tests of the whole: settings as files, short films, the command line, what a state directory says."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import av
import numpy as np
import pyrage
from av.container import OutputContainer

ROOT: Final = Path(__file__).parents[2]
POLE: Final = Path(sys.executable).parent / "pole"
MODELS: Final = ROOT / "tests" / "vectors" / "models"
START: Final = "2026-11-23T09:00:00Z"
START_MINUTE: Final = 29_923_740
FPS: Final = 2
WIDTH, HEIGHT = 160, 90

Table = Mapping[str, object]
_NONE: Final[Table] = MappingProxyType({})


def officers() -> tuple[pyrage.x25519.Identity, pyrage.x25519.Identity]:
    return pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()


def write_settings(
    folder: Path, *, pole: Table = _NONE, flow: Table = _NONE, footage: Table = _NONE, a: str, b: str
) -> Path:
    """Write the three files of a bench with small pictures; the tables given replace or add keys."""
    folder.mkdir(exist_ok=True)
    whole: dict[str, Table] = {
        "pole": {
            "pole": "sp09",
            "profile": "bench",
            "site": "smartpole.example",
            "notice_sha256": "5" * 64,
            "state_directory": str(folder / "state"),
            "models_directory": str(MODELS),
            "location": {"longitude": 139.1, "latitude": 35.2},
            **pole,
        },
        "flow": dict(flow),
        "footage": {
            "keystore": "software",
            "width": 320,
            "height": 180,
            "fps": FPS,
            "min_free_bytes": 0,
            "min_free_percent": 0,
            "stall_seconds": 2,
            **footage,
            "officers": {"a": [a], "b": [b]},
        },
    }
    for name, table in whole.items():
        (folder / f"{name}.toml").write_text("".join(_line(key, value) for key, value in table.items()))
    return folder


def _line(key: str, value: object) -> str:
    return f"{key} = {_toml(value)}\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def film(path: Path, seconds: float) -> Path:
    """Write noise, FPS pictures a second, a keyframe every two seconds; MP4 with its index in front, or MPEG-TS."""
    random = np.random.default_rng(5)
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        assert isinstance(container, OutputContainer)
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "4", "qp": "30"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * FPS)):
            picture = random.integers(0, 255, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def say(*words: object, seconds: float = 90) -> subprocess.CompletedProcess[str]:
    """Run ``pole`` as a person does."""
    return subprocess.run([POLE, *map(str, words)], capture_output=True, text=True, check=False, timeout=seconds)


def replay(video: Path, config: Path, *more: object, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``pole replay`` from START on."""
    return say("replay", video, "--config", config, "--state", state or config / "state", "--start", START, *more)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line for a person; there must be exactly one, and no traceback."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the log's lines."""
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def ledger(state: Path, event: str | None = None) -> list[dict[str, Any]]:
    """Return the ledger's lines, or those of one kind."""
    lines = [json.loads(line) for line in (state / "ledger" / "lines.jsonl").read_text().splitlines()]
    return [line for line in lines if event in (None, line["event"])]


def spans(state: Path) -> list[tuple[str, int, int]]:
    """Return (last word of the topic, first minute, last minute) of what waits for the city, oldest first."""
    with contextlib.closing(sqlite3.connect(f"file:{state}/city/outbox.sqlite?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT topic, first_minute, last_minute FROM waiting ORDER BY position").fetchall()
    return [(topic.rsplit("/", 1)[-1], first, last) for topic, first, last in rows]


def gaps(state: Path) -> list[dict[str, Any]]:
    """Return the payloads of the gaps that wait for the city."""
    with contextlib.closing(sqlite3.connect(f"file:{state}/city/outbox.sqlite?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT payload FROM waiting WHERE topic LIKE '%gap%' ORDER BY position").fetchall()
    return [json.loads(payload) for (payload,) in rows]


def status(state: Path) -> dict[str, Any]:
    """Return status.json."""
    tree: dict[str, Any] = json.loads((state / "status.json").read_bytes())
    return tree
