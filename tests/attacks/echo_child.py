"""A jailed child that echoes, hangs, dies or babbles as it is told; what the tests of the jail itself talk to."""

from __future__ import annotations

import ctypes
import os
import threading

from firmware.drivers.jail_door import Door


def main() -> None:
    door = Door.from_argv()
    if door.argument.get("crash"):
        raise ValueError("as told")
    door.shut()
    for message, descriptors in door.requests():
        if message == b"hang":
            held = threading.Lock()
            held.acquire()
            held.acquire()
        if message == b"die":
            os._exit(7)
        if message == b"crash":
            ctypes.string_at(0)
        if message == b"babble":
            door.answer(b"one")
        if message == b"long":
            door.answer(bytes(70_000))
        door.answer(message + bytes(len(descriptors)))


if __name__ == "__main__":
    main()
