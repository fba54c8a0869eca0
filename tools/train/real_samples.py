"""Labelled pictures of real people from a folder outside the project.

Knows:  ``people/annotations.json`` (COCO form with source, tier, completeness) and the pictures beside it.
Never:  a picture whose tier was left out; a held-out picture in training.
Leaves: samples in the camera's colours, a manifest of sources with hashes.
Clauses: none.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.train.shards import Boxes, Picture, Sample

Row = tuple[float, float, float, float, float]


@dataclass(slots=True)
class Photograph:
    """One picture: path, source, person boxes (left, top, right, bottom, kind), polygons, faces as annotated."""

    path: Path
    source: str
    tier: str
    complete: bool
    rows: list[Row] = field(default_factory=list)
    polygons: list[list[float]] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)


def read_folder(data: Path, *, tier_b: bool) -> list[Photograph]:
    """Read every photograph of ``data``; ``tier_b`` False leaves out what has no verified origin."""
    document = json.loads((data / "people" / "annotations.json").read_text())
    marks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for mark in document["annotations"]:
        marks[mark["image_id"]].append(mark)
    out = []
    for entry in document["images"]:
        if entry["tier"] != "A" and not tier_b:
            continue
        photo = Photograph(
            data / "people" / "images" / entry["file_name"],
            entry["source"],
            entry["tier"],
            bool(entry["person_boxes_complete"]),
        )
        for mark in marks[entry["id"]]:
            if mark["category_id"] == 2:
                photo.faces.append(mark)
                continue
            x, y, w, h = mark["bbox"]
            photo.rows.append((x, y, x + w, y + h, 0.0 if mark.get("iscrowd") else 1.0))
            if isinstance(mark.get("segmentation"), list) and mark["segmentation"] and not mark.get("iscrowd"):
                photo.polygons.append(mark["segmentation"][0])
        out.append(photo)
    return out


def held_out(photo: Photograph) -> bool:
    """Whether a photograph is for validation only. Clips stay whole; other pictures are drawn by their name's hash."""
    name = photo.path.name
    if photo.source == "intel_sample_videos":
        return "one-by-one" in name
    stem = name.split("_mp4")[0] if "_mp4" in name else name
    return hashlib.sha256(stem.encode()).digest()[0] < 38


def sources(photos: list[Photograph]) -> dict[str, dict[str, object]]:
    """Return, for each source, tier, number of pictures and one sha256 over all of them in name order."""
    out: dict[str, dict[str, object]] = {}
    count = Counter(photo.source for photo in photos)
    for source in sorted(count):
        digest = hashlib.sha256()
        for photo in sorted((p for p in photos if p.source == source), key=lambda p: p.path.name):
            digest.update(hashlib.sha256(photo.path.read_bytes()).digest())
        tier = next(photo.tier for photo in photos if photo.source == source)
        out[source] = {"tier": tier, "pictures": count[source], "sha256": digest.hexdigest()}
    return out


def _planar(picture: Image.Image) -> Picture:
    """(180, 320, 3) Y U V of a 640 x 360 RGB picture; PIL's YCbCr is full-range BT.601 like the camera."""
    y = np.asarray(picture.convert("YCbCr"))[..., 0].astype(np.uint16)
    rows = y[0::2] + y[1::2]
    luma = (rows[:, 0::2] + rows[:, 1::2] + 2) >> 2
    chroma = np.asarray(picture.reduce(2).convert("YCbCr"))
    return np.stack([luma.astype(np.uint8), chroma[..., 1], chroma[..., 2]], axis=2)


def _window(photo: Photograph, size: tuple[int, int], rng: np.random.Generator) -> tuple[Image.Image, list[Row]]:
    """Cut and scale a photograph into ``size``, so that a chosen person gets a plausible height."""
    with Image.open(photo.path) as opened:
        picture = opened.convert("RGB")
    width, height = size
    fit = max(width / picture.width, height / picture.height)
    people = [row for row in photo.rows if row[4] == 1]
    scale = fit * float(rng.uniform(1.0, 1.6))
    centre = (float(rng.uniform(0, picture.width)), float(rng.uniform(0, picture.height)))
    if people:
        left, top, right, bottom, _ = people[int(rng.integers(len(people)))]
        wish = float(np.exp(rng.uniform(np.log(24), np.log(min(300, height * 0.95)))))
        scale = float(np.clip(wish / (bottom - top), fit * 0.5, fit * 2.5))
        centre = ((left + right) / 2 + float(rng.normal(0, 60)), (top + bottom) / 2 + float(rng.normal(0, 40)))
    resized = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))),
        Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR,
    )
    x = int(np.clip(centre[0] * scale - width / 2, min(0, resized.width - width), max(0, resized.width - width)))
    y = int(np.clip(centre[1] * scale - height / 2, min(0, resized.height - height), max(0, resized.height - height)))
    out = picture.resize((width // 16, height // 16)).filter(ImageFilter.GaussianBlur(3)).resize(size)
    out.paste(resized, (-x, -y))
    rows = []
    for left, top, right, bottom, kind in photo.rows:
        a, b = max(0.0, left * scale - x), max(0.0, top * scale - y)
        c, d = min(float(width), right * scale - x), min(float(height), bottom * scale - y)
        whole = (right - left) * (bottom - top) * scale * scale
        if c - a > 2 and d - b > 2:
            share = (c - a) * (d - b) / whole
            rows.append((a, b, c, d, kind if share > 0.3 and d - b >= 14 else 0.0))
    return out, rows


def real_sample(photos: list[Photograph], rng: np.random.Generator, *, mosaic: float = 0.45) -> Sample:
    """Make one sample: a photograph scaled to a pole's distances, or four of them in a mosaic."""
    canvas, rows = Image.new("RGB", (640, 360)), list[Row]()
    if rng.random() < mosaic:
        sx, sy = int(rng.integers(110, 211)) * 2, int(rng.integers(60, 121)) * 2
        tiles = ((0, 0, sx, sy), (sx, 0, 640 - sx, sy), (0, sy, sx, 360 - sy), (sx, sy, 640 - sx, 360 - sy))
    else:
        tiles = ((0, 0, 640, 360),)
    for x, y, width, height in tiles:
        part, found = _window(photos[int(rng.integers(len(photos)))], (width, height), rng)
        canvas.paste(part, (x, y))
        rows += [(a + x, b + y, c + x, d + y, k) for a, b, c, d, k in found]
    return _planar(canvas), np.array([(a / 2, b / 2, c / 2, d / 2, k) for a, b, c, d, k in rows], np.float32).reshape(
        -1, 5
    )


def cut_outs(photos: list[Photograph], smallest: int = 60) -> list[Image.Image]:
    """Cut people out of photographs along their polygons (RGBA), whole-looking ones only."""
    out = []
    for photo in photos:
        if not photo.polygons:
            continue
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB")
        for polygon in photo.polygons:
            points = [(polygon[k], polygon[k + 1]) for k in range(0, len(polygon) - 1, 2)]
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            box = (int(min(xs)), int(min(ys)), int(max(xs)) + 1, int(max(ys)) + 1)
            if box[3] - box[1] < smallest or not 1.5 < (box[3] - box[1]) / (box[2] - box[0]) < 4.2:
                continue
            mask = Image.new("L", picture.size, 0)
            ImageDraw.Draw(mask).polygon(points, fill=255)
            piece = picture.copy()
            piece.putalpha(mask)
            out.append(piece.crop(box))
    return out


def paste_people(
    sample: Sample, pieces: list[Image.Image], rng: np.random.Generator, horizon: float, foot: float
) -> Sample:
    """Paste cut-out people onto a street; height grows from 0 at row ``horizon`` to ``foot`` pixels at row 180."""
    picture, boxes = sample[0].copy(), list(sample[1])
    for _ in range(int(rng.integers(1, 6))):
        row = float(rng.uniform(50, 200))
        tall = foot * (row - horizon) / (180 - horizon) * float(rng.uniform(0.85, 1.12))
        if not 9 < tall < 170:
            continue
        piece = pieces[int(rng.integers(len(pieces)))]
        size = (max(3, round(piece.width * tall / piece.height)), round(tall))
        small = piece.resize(size, Image.Resampling.BOX)
        if rng.random() < 0.5:
            small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x, y = int(rng.uniform(-size[0] * 0.3, 320 - size[0] * 0.7)), int(row - tall)
        a, b, c, d = max(x, 0), max(y, 0), min(x + size[0], 320), min(y + size[1], 180)
        if c - a < 3 or d - b < 5:
            continue
        ycc = np.asarray(small.convert("RGB").convert("YCbCr"), np.float32)[b - y : d - y, a - x : c - x]
        cover = np.asarray(small.getchannel("A"), np.float32)[b - y : d - y, a - x : c - x, None] / 255
        level = float(np.clip(picture[..., 0].mean() / 120, 0.35, 1.15))
        tone = (ycc - np.array([0, 128, 128])) * np.array([level, level, level]) + np.array([0, 128, 128])
        picture[b:d, a:c] = np.clip(picture[b:d, a:c] * (1 - cover) + tone * cover, 0, 255).astype(np.uint8)
        whole = (c - a) * (d - b) / (size[0] * size[1])
        boxes.append(np.array([a, b, c, d, 1.0 if whole > 0.3 else 0.0], np.float32))
    return picture, _hide(boxes)


def _hide(boxes: list[np.ndarray[Any, Any]]) -> Boxes:
    """Turn boxes that later ones cover by more than 70 % into places to ignore."""
    out = np.array(boxes, np.float32).reshape(-1, 5)
    for k in range(len(out)):
        for later in out[k + 1 :]:
            w = min(out[k, 2], later[2]) - max(out[k, 0], later[0])
            h = min(out[k, 3], later[3]) - max(out[k, 1], later[1])
            area = (out[k, 2] - out[k, 0]) * (out[k, 3] - out[k, 1])
            if w > 0 and h > 0 and w * h > 0.7 * area:
                out[k, 4] = 0
    return out
