"""One house falls, the others stand.

Knows:  a house's name, how often it fell, how long to wait.
Never:  what a house does, a failure's text (only its class and code reach the log).
Leaves: log lines; after the budget, the failure itself.
Clauses: 2, 5.1 (people flow and footage fail apart from each other).

This is the only module that may catch ``Exception``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import PoleError
from firmware.ground.log import Log


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """At most ``restarts`` falls in a row; a run of ``healthy_seconds`` forgives them."""

    restarts: int = 8
    healthy_seconds: float = 600.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0

    def wait_seconds(self, falls: int) -> float:
        """Return the back-off after the ``falls``-th fall in a row (1, 2, 4 ... seconds)."""
        return min(self.first_wait_seconds * float(2 ** (falls - 1)), self.longest_wait_seconds)


async def keep_running(
    name: str,
    house: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    log: Log,
    budget: RestartBudget,
    on_fall: Callable[[str], None] = lambda _code: None,
) -> None:
    """Run ``house`` until it returns; after a failure wait and run it again, within ``budget``.

    ``on_fall`` receives the code of each failure (``E-...`` or the exception's class name) for the status.
    Raises the last failure when the budget is spent. Cancellation passes through.
    """
    falls = 0
    while True:
        started_ns = clock.stopwatch_ns()
        try:
            await house()
        except Exception as error:
            if clock.stopwatch_ns() - started_ns > budget.healthy_seconds * NS_PER_SECOND:
                falls = 0
            falls += 1
            code = error.code if isinstance(error, PoleError) else type(error).__name__
            on_fall(code)
            log.event("supervise.fell", house=name, code=code, falls=falls)
            if falls > budget.restarts:
                raise
            wait_ns = int(budget.wait_seconds(falls) * NS_PER_SECOND)
            await clock.sleep_until(clock.utc_ns() + wait_ns)
        else:
            return
