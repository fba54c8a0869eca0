"""Writes ``models/MANIFEST.toml``: what each file is, was made of, and how well it does.

Knows:  the form that ``firmware.drivers.model_manifest`` reads.
Never:  a figure that was not measured.
Leaves: TOML text.
Clauses: 4.2(2), 1.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def _line(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, list)):
        message = f"{key}: {type(value).__name__} has no place in the manifest"
        raise TypeError(message)
    return f"{key} = {json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else repr(value)}"


def _table(title: str, entry: Entry) -> str:
    return "\n".join([title, *(_line(key, value) for key, value in entry.items())])


def text_of(entries: list[Entry]) -> str:
    """Return the manifest of ``entries``; each has plain keys, ``input``, ``output`` (a list) and ``measured``."""
    parts = ["# Written by tools/train; the models are described for people in README.md."]
    for entry in entries:
        plain = {k: v for k, v in entry.items() if k not in ("input", "output", "measured")}
        parts.append(_table("[[model]]", plain))
        parts.append(_table("[model.input]", entry["input"]))
        parts += [_table("[[model.output]]", output) for output in entry["output"]]
        parts.append(_table("[model.measured]", entry["measured"]))
    return "\n\n".join(parts) + "\n"


def replace_entry(directory: Path, entry: Entry) -> None:
    """Put ``entry`` into the directory's manifest, in the place of an older one for the same file.

    Detectors come first, in the order in which they were first written: the first is the pole's default.
    """
    path = directory / "MANIFEST.toml"
    entries: list[Entry] = tomllib.loads(path.read_text())["model"] if path.exists() else []
    places = [old["file"] for old in entries]
    if entry["file"] in places:
        entries[places.index(entry["file"])] = entry
    else:
        entries.append(entry)
    path.write_text(text_of(sorted(entries, key=lambda e: str(e["task"]), reverse=True)))
