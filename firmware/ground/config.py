"""Settings: strict TOML into the frozen struct of the house that owns them.

Knows:  a file's path, a struct's fields.
Never:  a default for a missing file, an unknown key let through, a value clamped in silence.
Leaves: one frozen struct, or one :class:`ConfigError` that names file, key, clause and remedy.
Clauses: 1 (out-of-law values are refused with their clause), 5.1 (each house owns its own file).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from firmware.ground.errors import ConfigError

Settings = TypeVar("Settings", bound=msgspec.Struct)

_KEY_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`$")


class OutOfLaw(ValueError):  # noqa: N818  (reads as the sentence it is: raise OutOfLaw)
    """Raised by a settings struct's ``__post_init__`` for a value the guideline or the design forbids."""

    def __init__(self, key: str, what: str, *, clause: str, todo: str) -> None:
        super().__init__(what)
        self.key = key
        self.what = what
        self.clause = clause
        self.todo = todo


def load(path: Path, kind: type[Settings]) -> Settings:
    """Read ``path`` as a ``kind``. Raises :class:`ConfigError`."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "E-CONFIG-MISSING",
            f"cannot read: {error.strerror}",
            where=str(path),
            todo="put the file there",
        ) from None
    return parse(text, kind, name=str(path))


def parse(text: bytes, kind: type[Settings], *, name: str) -> Settings:
    """Read TOML ``text`` as a ``kind``; ``name`` stands for the file in errors."""
    try:
        tree = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("E-CONFIG-TOML", str(error), where=name, todo="mend the TOML at that place") from None
    try:
        return msgspec.convert(tree, kind, strict=True)
    except msgspec.ValidationError as error:
        law = error.__cause__
        if isinstance(law, OutOfLaw):
            raise ConfigError(
                "E-CONFIG-LAW",
                law.what,
                where=f"{name}: {law.key}",
                clause=law.clause,
                todo=law.todo,
            ) from None
        message = str(error)
        found = _KEY_PATH.search(message)
        key = found["path"] if found and found["path"] else "top level"
        raise ConfigError(
            "E-CONFIG-KEY",
            _KEY_PATH.sub("", message),
            where=f"{name}: {key}",
            todo=f"allowed here: {', '.join(_encoded_names(kind))}" if "unknown field" in message else "correct it",
        ) from None


def fingerprint(settings: msgspec.Struct) -> str:
    """Return ``sha256:...`` over the settings' canonical JSON (keys sorted)."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()


def _encoded_names(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))
