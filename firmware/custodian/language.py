"""Which language an officer reads: Japanese or English, by option, by environment, by the terminal's own.

Knows:  ``--lang``, ``SMARTPOLE_LANG``, ``LANG``.
Never:  a language that changes what is done.
Leaves: the language of this call.
Clauses: 0 (explained so that it is understood), 7.3(1)2.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Final

from firmware.custody.languages import Language

_CHOSEN: Final[ContextVar[Language]] = ContextVar("language")


def terminal_language() -> Language:
    """Return the language that the environment asks for: ``SMARTPOLE_LANG``, else ``LANG``, else English."""
    wanted = os.environ.get("SMARTPOLE_LANG") or os.environ.get("LANG", "")
    return Language.JA if wanted.lower().startswith("ja") else Language.EN


def choose(language: Language | None) -> None:
    """Let the command that runs now answer in ``language``; None: in :func:`terminal_language`."""
    _CHOSEN.set(language or terminal_language())


def language() -> Language:
    """Return the language of the command that runs now."""
    return _CHOSEN.get(None) or terminal_language()
