"""Log lines made of registered fields only.

Knows:  an event's name and a handful of numbers, codes and names of parts.
Never:  free text from a device, a person or a payload; there is no field it could stand in.
Leaves: one JSON line an event on standard error, for the journal.
Clauses: 4.1, 6.2(2) (no personal data in a log), 0 (nothing leaves by a side door).
"""

from __future__ import annotations

import json
import re
import sys
from typing import Final, Protocol

_EVENT: Final = re.compile(r"[a-z]+(\.[a-z_]+)+")
_CODE: Final = re.compile(r"[A-Za-z0-9_.:+/-]{1,96}")


class Sink(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object:
        """Take one line, newline included."""


class Log:
    """Writes events; refuses anything that is not a registered shape."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._sink = sink if sink is not None else sys.stderr

    def event(self, name: str, **fields: float | bool | str) -> None:
        """Write event ``name`` (``house.what``). Strings must be codes: letters, digits and ``_.:+/-`` up to 96.

        Raises ValueError for anything else, so that free text fails in tests and never reaches the journal.
        """
        if not _EVENT.fullmatch(name):
            message = "event names look like house.what"
            raise ValueError(message)
        for key, value in fields.items():
            if isinstance(value, str) and not _CODE.fullmatch(value):
                message = f"log field {key} of {name} is not a code"
                raise ValueError(message)
        self._sink.write(json.dumps({"event": name, **fields}, separators=(",", ":")) + "\n")
