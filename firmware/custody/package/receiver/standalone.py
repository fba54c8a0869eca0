"""The one Python file that goes into each package, put together from the modules of this room.

Knows:  their sources.
Never:  a line in it that is not in one of them.
Leaves: the text of ``verify.py``.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

_ROOM: Final = "firmware.custody.package.receiver"
_FUTURE: Final = "from __future__ import annotations\n"
_IMPORT: Final = re.compile(rf"^from {re.escape(_ROOM)}\.([a-z]+) import [^\n]+\n", re.MULTILINE)


def program() -> str:
    """Return ``verify.py``: the judge, each of its modules in the place of the first import from it."""
    return _whole("verify", set())


def _whole(module: str, done: set[str]) -> str:
    done.add(module)
    text = resources.files(_ROOM).joinpath(f"{module}.py").read_text("utf-8")
    text = text if module == "verify" else text.partition(_FUTURE)[2].strip() + "\n"
    return _IMPORT.sub(lambda found: "" if found[1] in done else _whole(found[1], done), text)
