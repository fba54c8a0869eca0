"""The power goes at the n-th step that reaches the disk or the keystore; outside the block nothing is patched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STEPS = ("fsync", "rename", "unlink", "link", "write", "mkdir", "rmdir", "ftruncate")


class PowerCut(BaseException):
    """Everything ends here; nobody catches it but the test."""


class Power:
    """Counts steps; at ``cut_at`` (from 1) and ever after they raise PowerCut."""

    def __init__(self, cut_at: int | None, *, after: bool = False) -> None:
        self.steps = 0
        self._cut_at = cut_at
        self._after = after

    @property
    def gone(self) -> bool:
        return self._cut_at is not None and self.steps >= self._cut_at

    def step(self, act: Callable[[], Any]) -> Any:
        """Count; at the cut do the act before dying (``after``) or not at all."""
        if self.gone:
            raise PowerCut
        self.steps += 1
        if self.gone:
            if self._after:
                act()
            raise PowerCut
        return act()


@contextmanager
def power(cut_at: int | None = None, *, after: bool = False) -> Iterator[Power]:
    """Patch the steps of ``os`` for the block. The block may raise PowerCut, which ends here."""
    supply = Power(cut_at, after=after)
    real = {name: getattr(os, name) for name in STEPS}

    def patched(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return supply.step(lambda: real[name](*arguments, **options))

        return call

    try:
        for name in STEPS:
            setattr(os, name, patched(name))
        yield supply
    except PowerCut:
        pass
    finally:
        for name, function in real.items():
            setattr(os, name, function)
