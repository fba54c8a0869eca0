"""A counter that lies, is late or dies; ``pole`` must lose its slices and believe nothing."""

from __future__ import annotations

import os
import struct
import threading

from firmware.drivers.jail_door import Door
from firmware.flow import wire
from firmware.flow.slice import SliceCounts


def hang() -> None:
    held = threading.Lock()
    held.acquire()
    held.acquire()


def lies(nonce: bytes, before: bytes) -> dict[str, list[bytes]]:
    """Return what is answered, by the name of the lie."""
    honest = wire.encode_reply(nonce, SliceCounts(2))
    return {
        "another nonce": [wire.encode_reply(bytes(16), SliceCounts(2))],
        "the answer before": [before],
        "sums": [honest[:26] + struct.pack("<3H", 9, 9, 9) + honest[32:]],
        "an attribute that is off": [wire.encode_reply(nonce, SliceCounts(2, sex=(1, 1, 0)))],
        "too many": [honest[:24] + struct.pack("<H", 65) + honest[26:]],
        "a box in the spare bytes": [honest[:48] + b"box:12,13,40,80 "],
        "a spare field": [honest[:6] + b"\x01\x00" + honest[8:]],
        "a longer answer": [honest + b"\0"],
        "a crop": [bytes(4096)],
        "two answers": [honest, honest],
        "refusal": [wire.encode_refusal(nonce)],
    }


def misbehave(door: Door, how: str, nonce: bytes, before: bytes) -> None:
    if how == "late":
        hang()
    if how == "dead":
        os._exit(3)
    for answer in lies(nonce, before)[how]:
        door.answer(answer)


def main() -> None:
    door = Door.from_argv()
    how = str(door.argument["models"]).rpartition("/")[2].replace("_", " ")
    door.shut()
    before = wire.encode_reply(bytes(16), SliceCounts(2))
    asked = 0
    for message, _ in door.requests():
        request = wire.decode_request(message)
        if request.slot is None:
            lie = bytes(64) if how == "a lie about itself" else wire.encode_about(request.nonce, wire.About(1, 1))
            door.answer(lie)
            continue
        asked += 1
        if asked == 1:  # the first answer is honest
            before = wire.encode_reply(request.nonce, SliceCounts(2))
            door.answer(before)
        else:
            misbehave(door, how, request.nonce, before)


if __name__ == "__main__":
    main()
