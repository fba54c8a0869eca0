"""What every line of the ledger about an act has, for tests that need the line and no office."""

from __future__ import annotations

from typing import Any, Final

AN_ACT: Final[dict[str, Any]] = {"number": 1, "by": "manager", "act": "0" * 64, "at": 0, "clock": "proven"}
