"""One line of the ledger: how it is written, and how a changed one is told from an honest one.

Knows:  the grammar of a line, the hash chained through all lines before it.
Never:  a key, a signature: who rewrites a line *and* every chain after it is found by a checkpoint, not here.
Leaves: bytes of a line; or an error that names the line.
Clauses: 7.3(1)3.

    {"n":12,"utc":"2026-11-23T09:00:00Z","event":"minute.sealed","epoch":29923200,"manifest":"<hex>","chain":"<hex>"}

Keys stand in this order, fields in the order of their names; no spaces, no escapes. ``chain`` is ``SHA-256(chain of the
line before, as 32 bytes || everything of this line before its chain)``; before line 0 it is 32 zero bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.ground.clock import iso_utc
from firmware.ground.errors import LedgerError
from firmware.ground.ledger_events import Value

NO_CHAIN: Final = bytes(32)
LONGEST_LINE_BYTES: Final = 4096

_CHAIN: Final = b',"chain":"'
_CHAIN_BYTES: Final = len(_CHAIN) + 64 + len(b'"}')
_GRAMMAR: Final = re.compile(
    rb'\{"n":(0|[1-9][0-9]{0,15}),"utc":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)",'
    rb'"event":"([a-z]+\.[a-z_]+)"((?:,"[a-z_][a-z0-9_]*":(?:0|-?[1-9][0-9]{0,15}|"[A-Za-z0-9_.:/-]{1,96}"))*)'
    rb',"chain":"([0-9a-f]{64})"\}'
)
_EPOCH: Final = re.compile(rb'"epoch":([0-9]{1,16})[,}]')


@dataclass(frozen=True, slots=True)
class Line:
    """A line as read: its number, the second it was written (ISO, UTC), its event and fields, and its exact bytes."""

    index: int
    utc: str
    event: str
    fields: Mapping[str, Value]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two lines: how many lines, and how many bytes, stand before it."""

    index: int = 0
    offset: int = 0


def compose(index: int, utc_ns: int, event: str, fields: Mapping[str, Value], chain: bytes) -> tuple[bytes, bytes]:
    """Return ``(line without newline, its chain)``; ``chain`` is the chain of the line before."""
    record = {"n": index, "utc": iso_utc(utc_ns), "event": event, **dict(sorted(fields.items()))}
    body = json.dumps(record, separators=(",", ":")).encode("ascii")[:-1]
    own = hashlib.sha256(chain + body).digest()
    return body + _CHAIN + own.hex().encode() + b'"}', own


def parse(raw: bytes, *, where: str) -> Line:
    """Read one line's facts; the chain is not judged. Raises :class:`LedgerError` (``E-LEDGER-EDITED``)."""
    found = _GRAMMAR.fullmatch(raw)
    if found is None:
        raise edited("this is not a line the ledger writes", where)
    pairs = json.loads(b"{" + found[4][1:] + b"}", object_pairs_hook=list)
    names = [name for name, _ in pairs]
    if names != sorted(set(names)):
        raise edited("fields are out of order or stand twice", where)
    return Line(int(found[1]), found[2].decode(), found[3].decode(), dict(pairs), raw)


def follow(raw: bytes, index: int, chain: bytes) -> bytes | None:
    """Return the chain of ``raw`` if it is line ``index`` and follows a line with ``chain``, else None."""
    found = _GRAMMAR.fullmatch(raw)
    if found is None or int(found[1]) != index:
        return None
    own = hashlib.sha256(chain + raw[:-_CHAIN_BYTES]).digest()
    return own if own.hex().encode() == found[5] else None


def read_lines(path: Path, offset: int = 0) -> Iterator[bytes]:
    """Yield the lines from ``offset`` on, newline included; the last one lacks it where it is torn.

    A line longer than ``LONGEST_LINE_BYTES`` comes in pieces, of which none is a line the ledger writes.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while line := file.readline(LONGEST_LINE_BYTES):
            yield line


def may_be(raw: bytes, event: str | None, epochs: range | None) -> bool:
    """Tell, without parsing it, whether a line is of ``event`` and has an ``epoch`` among ``epochs`` (None: any)."""
    if event is not None and f'"event":"{event}"'.encode() not in raw:
        return False
    if epochs is None:
        return True
    found = _EPOCH.search(raw)
    return found is not None and int(found[1]) in epochs


def why_not(raw: bytes, index: int, rest: Iterator[bytes], where: str) -> LedgerError:
    """Say what is wrong with ``raw``, which stands where line ``index`` belongs; ``rest`` are the lines after it."""
    found = _GRAMMAR.fullmatch(raw)
    number = int(found[1]) if found else index
    if number == index:
        return edited(f"line n={index} was changed after it was written", where)
    if number < index or any(_number(line) == index for line in rest):
        what, code = f"line n={number} stands where n={index} belongs", "E-LEDGER-REORDERED"
    else:
        gone = f"line n={index} is" if number == index + 1 else f"lines n={index} to n={number - 1} are"
        what, code = f"{gone} gone", "E-LEDGER-DROPPED"
    return LedgerError(code, what, where=where, todo=_TODO, clause="7.3(1)3")


def edited(what: str, where: str) -> LedgerError:
    """Return the error for a line that is not as it was written."""
    return LedgerError("E-LEDGER-EDITED", what, where=where, todo=_TODO, clause="7.3(1)3")


_TODO: Final = "keep this file as evidence and compare it with the checkpoints held outside the pole"


def _number(raw: bytes) -> int | None:
    found = _GRAMMAR.fullmatch(raw.removesuffix(b"\n"))
    return int(found[1]) if found else None
