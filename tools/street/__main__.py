"""``python -m tools.street``: a video of the street with its truth, or one picture.

Knows:  scenes by name.
Never:  anything of a pole.
Leaves: an MP4 (H.264) and a JSON file, or a PNG.
Clauses: none.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from tools.street.scene import PRESETS, Scene
from tools.street.street import Street
from tools.street.truth import Truth, persons_in

MAIN_BYTES = 1280 * 720 * 3 // 2
SLICE_SECONDS = 1


def picture_of(planar: npt.NDArray[np.uint8], width: int) -> Image.Image:
    """Return a planar 4:2:0 picture, 16:9, as RGB."""
    height = width * 9 // 16
    y = planar[: width * height].reshape(height, width)
    u, v = planar[width * height :].reshape(2, height // 2, width // 2)
    full = [y, *(np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1) for plane in (u, v))]
    return Image.fromarray(np.stack(full, axis=2), "YCbCr").convert("RGB")


def truth_document(scene: Scene, seed: int, slices: list[tuple[float, Truth]]) -> dict[str, object]:
    """Return the truth of a video: every slice (one a second), and per minute the mean and the peaks of occupancy."""
    minutes: dict[int, list[int]] = {}
    for seconds, truth in slices:
        minutes.setdefault(int(seconds // 60), []).append(persons_in(truth))
    return {
        "scene": asdict(scene),
        "seed": seed,
        "slice_seconds": SLICE_SECONDS,
        "minutes": [
            {
                "minute": minute,
                "slices": len(counts),
                "mean_occupancy": round(sum(counts) / len(counts), 4),
                "counts_descending": sorted(counts, reverse=True),
            }
            for minute, counts in sorted(minutes.items())
        ],
        "slices": [
            {"seconds": seconds, "count": persons_in(truth), "persons": [person.facts() for person in truth]}
            for seconds, truth in slices
        ],
    }


def render(scene: Scene, seed: int, *, seconds: float, fps: int, out: Path, truth: Path | None) -> None:
    """Write a video of ``seconds`` and its truth."""
    street, planar = Street(scene, seed), np.empty(MAIN_BYTES, np.uint8)
    slices: list[tuple[float, Truth]] = []
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj420p"
        stream.options = {"preset": "veryfast", "crf": "21", "g": str(2 * fps)}
        stream.codec_context.thread_count = 1
        for tick in range(round(seconds * fps)):
            found = street.render(tick / fps, planar, None)
            if tick % (SLICE_SECONDS * fps) == 0:
                slices.append((tick / fps, found))
            frame = av.VideoFrame.from_ndarray(planar.reshape(1080, 1280), format="yuvj420p")
            frame.pts = tick
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    if truth is not None:
        truth.write_text(json.dumps(truth_document(scene, seed, slices)))


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m tools.street", description=__doc__)
    parser.add_argument("what", choices=("render", "still"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--scene", choices=sorted(PRESETS), default="busy")
    parser.add_argument("--people-per-minute", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--at", type=float, default=30.0, help="second of a still")
    parser.add_argument("--fps", type=int, default=15)
    asked = parser.parse_args()
    scene = PRESETS[asked.scene]()
    if asked.people_per_minute is not None:
        scene = replace(scene, people_per_minute=asked.people_per_minute)
    if asked.what == "render":
        render(scene, asked.seed, seconds=asked.minutes * 60, fps=asked.fps, out=asked.out, truth=asked.truth)
        return
    planar = np.empty(MAIN_BYTES, np.uint8)
    found = Street(scene, asked.seed).render(asked.at, planar, None)
    picture_of(planar, 1280).save(asked.out)
    if asked.truth is not None:
        asked.truth.write_text(json.dumps(truth_document(scene, asked.seed, [(asked.at, found)])))


if __name__ == "__main__":
    main()
