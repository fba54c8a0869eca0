"""The counter as it must not be: it never overwrites what it made of a picture."""

from __future__ import annotations

from firmware import counter
from firmware.flow.observer import Observer


def main() -> None:
    Observer._wipe = lambda _: None  # type: ignore[method-assign]  # that is the mutant
    Observer.blank = lambda _: None  # type: ignore[method-assign]  # that is the mutant
    counter.main()


if __name__ == "__main__":
    main()
