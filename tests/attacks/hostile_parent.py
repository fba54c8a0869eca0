"""Plays the pole for one hostile child after another and prints what each got, as JSON.

A program of its own, so that the same attacks can be run by root and by a plain user.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from firmware.camera.frames import SlotMemory
from firmware.drivers.jail import Jailed, Limits
from firmware.ground.errors import JailError
from tests.attacks.hostile_child import ATTACKS, HOLES, PAGE
from tests.attacks.hostile_start import start

SPOILING = {
    "become_another_program",
    "cut_frames",
    "hand_a_descriptor_to_the_parent",
    "make_a_user_namespace",
    "seal_frames_further",
}
"""Where they work, the next attack needs a fresh child, or fresh memory."""
TREASURE = b"0123456789abcdef"


async def attempt(child: Jailed, name: str) -> dict[str, str]:
    try:
        answer: dict[str, str] = json.loads(await child.ask(name.encode(), 5))
    except JailError as error:
        return {"got": "", "refused": error.code, "gone": error.what}
    return answer


def what_the_kernel_says(pid: int) -> dict[str, Any]:
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        "capabilities": sorted(set(re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\t(\w+)$", status, re.MULTILINE))),
        "memory belongs to": Path(f"/proc/{pid}/mem").stat().st_uid,
    }


async def run(*, door: str, sealed: bool) -> dict[str, Any]:
    folder = tempfile.mkdtemp()
    _for_everybody(folder)
    treasure = ctypes.create_string_buffer(TREASURE, 64)
    plan = {
        "shut": door != "open",
        "folder": folder,
        "address": ctypes.addressof(treasure),
        "treasure": TREASURE.decode(),
        "system_calls": HOLES if door == "holes" else [],
    }
    memory = SlotMemory(PAGE, 2)
    results: dict[str, Any] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/listener")
        _for_everybody(f"{folder}/listener")
        listener.listen()
        child: Jailed | None = None
        loose = -1
        for name in ATTACKS:
            if child is None or not child.alive or name in SPOILING:
                if child is not None:
                    await child.close()
                loose = _renew(loose)
                lend = {"frames": memory.descriptor if sealed else loose}
                child = await start("hostile_child", plan, lend=lend, limits=Limits(incoming_descriptors=4))
            results[name] = await attempt(child, name)
            if results[name]["got"] and name in SPOILING:
                await child.kill()
            if name == "become_another_program" and "gone" in results[name]:
                results[name] = {"got": "exec closes the socket"}
        assert child is not None
        results["missing"] = child.report.missing
        results["landlock"] = child.report.landlock_version
        results |= what_the_kernel_says(child.pid)
        await child.close()
    memory.close()
    os.close(loose)
    shutil.rmtree(folder)
    return results


def _for_everybody(path: str) -> None:
    """What fails here must not fail because of a file's permissions."""
    Path(path).chmod(0o777)


def _renew(descriptor: int) -> int:
    """Replace memory that nothing protects: the child before may have cut or sealed it."""
    if descriptor >= 0:
        os.close(descriptor)
    fresh = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    os.ftruncate(fresh, 2 * PAGE)
    return fresh


def main() -> None:
    print(json.dumps(asyncio.run(run(door=sys.argv[1], sealed=sys.argv[2] == "sealed"))))


if __name__ == "__main__":
    main()
