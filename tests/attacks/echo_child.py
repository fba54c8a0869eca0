"""A jailed child that echoes, hangs, dies, babbles or leaves traces as it is told; the jail's own tests talk to it."""

from __future__ import annotations

import ctypes
import os
import threading

from firmware.drivers.jail_door import WALLS, Door, Report

SECRET = bytes(range(33, 127)) * 11
"""About a row of a picture: too long for the interpreter's own small-object pools."""


def hang() -> None:
    held = threading.Lock()
    held.acquire()
    held.acquire()


def leave_a_trace() -> None:
    for place in range(50):
        trace = bytearray(SECRET)
        trace[0] = place
        del trace


def start(door: Door, how: str | None) -> None:
    match how:
        case "crash":
            raise ValueError("as told")
        case "hang":
            hang()
        case "report nonsense":
            door.answer(b'{"applied": ["all of them"], "missing": [], "landlock": 9}')
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
