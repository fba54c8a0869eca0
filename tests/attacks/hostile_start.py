"""How tests start children that are not installed, through the jail of the product."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firmware.drivers.jail import Jailed, Limits, Profile, spawn
from firmware.ground.clock import Clock, SystemClock
from firmware.ground.log import Log

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = (
    sys.executable,
    "-P",
    "-s",
    "-B",
    "-c",
    f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module(sys.argv[2], run_name='__main__')",
)


async def start(
    module: str,
    argument: Mapping[str, Any] | None = None,
    *,
    lend: Mapping[str, int] | None = None,
    limits: Limits | None = None,
    profile: Profile = "bench",
    clock: Clock | None = None,
) -> Jailed:
    """Start ``tests.attacks.<module>``."""
    return await spawn(
        f"tests.attacks.{module}",
        argument=argument or {},
        lend=lend or {},
        limits=limits or Limits(),
        profile=profile,
        clock=clock or SystemClock(),
        log=Log(io.StringIO()),
        interpreter=INTERPRETER,
    )
