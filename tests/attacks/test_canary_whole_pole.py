"""A whole pole whose two streams carry different marks, searched byte by byte. (5.1, 5.2, 6.2(1), 6.2(2), 7.1(1))

Small marks: found while a slot holds them, in no process afterwards. Main marks: in the running encoder and nowhere
else. Neither, nor any plaintext H.264, in any file, in any message to the city, in any log line.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.canary import Scan, literal, make_mark, scan_bytes, scan_files, scan_process
from tests.parts.marked_pole import MAIN_SEED, SMALL_SEED
from tools.broker import DemoBroker, Subscriber

SMALL = make_mark(SMALL_SEED).patterns()
MAIN = make_mark(MAIN_SEED).patterns(limited_range=True)
PLAINTEXT = (
    literal("sps", b"\x00\x00\x00\x01\x67"),
    literal("idr", b"\x00\x00\x00\x01\x65"),
    literal("ftyp", b"ftypiso"),
    literal("x264", b"x264 - core"),
    literal("mvhd", b"moov\x00\x00\x00\x6cmvhd"),
)


async def searched(pids: dict[str, int]) -> dict[str, Scan]:
    """Search the memory of each process for all marks."""
    return {name: await asyncio.to_thread(scan_process, pid, (*SMALL, *MAIN)) for name, pid in pids.items()}


def names(scan: Scan, seed: int) -> set[str]:
    return {name for name in scan.names if name.startswith(f"mark-{seed}-")}


async def test_no_mark_outlives_its_lease_or_leaves(tmp_path: Path) -> None:
    state, log = tmp_path / "state", tmp_path / "log"
    async with DemoBroker() as broker, Subscriber(broker.port).listening() as city:
        with log.open("wb") as lines:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.parts.marked_pole", str(state), str(broker.port)),
                cwd=Path(__file__).parents[2],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=lines,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        counter, recorder = (int(word) for word in (await process.stdout.readline()).split())
        pids = {"pole": process.pid, "counter": counter, "recorder": recorder}
        seen: dict[str, dict[str, Scan]] = {}
        for phase in ("released", "held", "abandoned"):
            assert (await process.stdout.readline()).decode().strip() == phase, log.read_text()[-1500:]
            seen[phase] = await searched(pids if phase == "released" else {"pole": process.pid})
            process.stdin.write(b"\n")
        await process.stdin.drain()
        assert await process.wait() == 0
        messages = list(city.messages)

    assert names(seen["held"]["pole"], SMALL_SEED), "the search cannot find what is there"
    print(f"\nmain marks in the running encoder: {len(names(seen['released']['recorder'], MAIN_SEED))} forms")
    for phase in ("released", "abandoned"):
        for name, scan in seen[phase].items():
            assert names(scan, SMALL_SEED) == set(), f"{phase}: a small mark in {name}: {scan.hits}"
            assert scan.bytes_read > 10_000_000
    for name in ("pole", "counter"):
        assert names(seen["released"][name], MAIN_SEED) == set(), f"a main mark in {name}"

    files = scan_files(tmp_path, (*SMALL, *MAIN, *PLAINTEXT))
    assert files.hits == []
    assert len(list((state / "footage").rglob("*.age"))) >= 6
    assert {message.kind for message in messages} >= {"minute", "$meta", "status"}
    for message in messages:
        assert scan_bytes(message.payload, (*SMALL, *MAIN, *PLAINTEXT)) == set()
