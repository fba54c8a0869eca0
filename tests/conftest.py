"""What every test shares: names of parametrised tests that two workers agree on and that carry no key."""

from __future__ import annotations

LONGEST_IN_A_NAME = 24


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long text or key by its argument: keys are new in each process, and belong in no report."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_IN_A_NAME else None
