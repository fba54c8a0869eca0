"""A recorder that lies: about what it wrote, about how much, about what it was asked."""

from __future__ import annotations

import os

import pyrage

from firmware.drivers.jail_door import Door
from firmware.footage.recorder_wire import Add, Begin, End, Reply, Status, decode_request, encode_reply

RECIPIENT = "age1rq8z2gwra6mv5lhjq5hgznx87n0mgagnmy40sv9t26dp5v505eaqqrld4z"
PLAIN = b"\x00\x00\x00\x1cftypisom a face at the window"


def main() -> None:
    door = Door.from_argv()
    lie = door.argument["h264"]["preset"]
    sealed = pyrage.encrypt(PLAIN, [pyrage.x25519.Recipient.from_str(RECIPIENT)])
    content = PLAIN if lie == "plaintext" else sealed
    door.shut(["write"])
    descriptor, times = -1, []
    for message, descriptors in door.requests():
        request = decode_request(message)
        reply = Reply(Status.DONE, request.sequence)
        match request:
            case Begin():
                descriptor = descriptors[0]
            case Add():
                times.append(request.pts_90k)
            case End():
                os.write(descriptor, content)
                size = len(content) + (lie == "size")
                frames = len(times) + (lie == "frames")
                reply = Reply(Status.DONE, request.sequence, 0, frames, times[0], times[-1] + (lie == "time"), size)
                os.close(descriptor)
                times = []
        adding = isinstance(request, Add)  # all else is true, so that only this lie can be found out
        if lie == "nonsense" and adding:
            door.answer(b"yes, master")
        elif lie == "stale" and adding:
            door.answer(encode_reply(Reply(Status.DONE, request.sequence - 1)))
        else:
            door.answer(encode_reply(reply))


if __name__ == "__main__":
    main()
