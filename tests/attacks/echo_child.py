"""A jailed child that echoes, hangs, dies, babbles or leaves traces as it is told; the jail's own tests talk to it."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import threading

from firmware.drivers.jail_door import WALLS, Door, Report

ROW = random.Random(5).randbytes(1034)  # noqa: S311 - a picture, not a secret
"""About a row of a picture, in disguise: the child never holds it plainly but in what it makes and frees."""
DISGUISE = 0x80


def hang() -> None:
    held = threading.Lock()
    held.acquire()
    held.acquire()


def leave_a_trace() -> None:
    """Make short and long copies of the row, all alive at once, and free them."""
    table = bytes(value ^ DISGUISE for value in range(256))
    rows = [ROW[:length].translate(table) for length in (100, 400, 1000) for _ in range(50)]
    del rows


def start(door: Door, how: str | None) -> None:
    match how:
        case "crash":
            raise ValueError("as told")
        case "hang":
            hang()
        case "report nonsense":
            door.answer(b'{"applied": ["all of them"], "missing": [], "landlock": 9}')
        case "without libseccomp":
            sys.modules["pyseccomp"] = None  # type: ignore[assignment]  # what an import that fails leaves there
            door.shut()
        case "with two threads":
            threading.Thread(target=hang, daemon=True).start()
            door.shut()
        case "miss a wall":
            door._say_ready(Report(WALLS[1:], WALLS[:1], 0))
        case _:
            door.shut()


def obey(door: Door, message: bytes) -> None:
    match message:
        case b"hang":
            hang()
        case b"die":
            os._exit(7)
        case b"crash":
            ctypes.string_at(0)
        case b"babble":
            door.answer(b"one")
        case b"long":
            door.answer(bytes(70_000))
        case b"trace":
            leave_a_trace()
        case b"raise":
            raise ValueError("a face at the window")


def main() -> None:
    door = Door.from_argv()
    start(door, door.argument.get("start"))
    for message, descriptors in door.requests():
        obey(door, message)
        door.answer(message + b"." * len(descriptors))


if __name__ == "__main__":
    main()
