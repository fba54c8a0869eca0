#!/usr/bin/env python3
"""Read the call signatures the camera driver relies on out of a picamera2 wheel, without importing it.

    pip download --no-deps picamera2==0.3.38 && tools/board/picamera2_signatures.py picamera2-0.3.38-py3-none-any.whl

prints JSON: facts only (names and parameters), no code. ``--check FILE`` compares and says what differs.
"""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

WANTED = {
    "picamera2/picamera2.py": {
        "Picamera2": [
            "__init__",
            "create_video_configuration",
            "configure",
            "camera_configuration",
            "start",
            "stop",
            "close",
            "start_encoder",
            "stop_encoder",
        ]
    },
    "picamera2/request.py": {
        "CompletedRequest": ["__init__", "acquire", "release", "get_metadata"],
        "MappedArray": ["__init__", "__enter__", "__exit__", "array"],
    },
    "picamera2/encoders/h264_encoder.py": {"H264Encoder": ["__init__", "force_key_frame"]},
    "picamera2/encoders/libav_h264_encoder.py": {"LibavH264Encoder": ["__init__", "force_key_frame"]},
    "picamera2/outputs/output.py": {"Output": ["__init__", "start", "stop", "outputframe"]},
    "picamera2/allocators/dmaallocator.py": {"DmaAllocator": ["__init__"]},
}
ATTRIBUTES = {
    "picamera2/picamera2.py": {"Picamera2": ["allocator", "pre_callback", "request_lock"]},
    "picamera2/request.py": {"CompletedRequest": ["ref_count", "request"]},
    "picamera2/encoders/encoder.py": {"Encoder": ["firsttimestamp"]},
    "picamera2/allocators/dmaallocator.py": {"DmaAllocator": ["mapped_buffers"]},
}


def main(arguments: list[str]) -> int:
    """Print the signatures, or compare them with a file; 0 when equal."""
    wheel, *rest = arguments
    found = read(Path(wheel))
    if not rest:
        print(json.dumps(found, indent=1, sort_keys=True))
        return 0
    kept = json.loads(Path(rest[1]).read_text())
    for part in ("signatures", "attributes"):
        for name in sorted({*kept[part], *found[part]}):
            if kept[part].get(name) != found[part].get(name):
                print(f"{part}: {name}: kept {kept[part].get(name)}, wheel {found[part].get(name)}")
    return int(kept != found)


def read(wheel: Path) -> dict[str, Any]:
    """Return ``{"version": ..., "signatures": {...}, "attributes": {...}}`` of ``wheel``."""
    with zipfile.ZipFile(wheel) as archive:
        trees = {path: ast.parse(archive.read(path)) for path in {*WANTED, *ATTRIBUTES}}
    signatures = {
        f"{kind.name}.{method.name}": parameters(method)
        for path, kinds in WANTED.items()
        for kind in classes(trees[path])
        for method in kind.body
        if isinstance(method, ast.FunctionDef)
        and method.name in kinds.get(kind.name, [])
        and not any(ast.unparse(decorator) == "overload" for decorator in method.decorator_list)
    }
    attributes = {
        kind.name: sorted(set(kinds.get(kind.name, [])) & assigned(kind))
        for path, kinds in ATTRIBUTES.items()
        for kind in classes(trees[path])
        if kind.name in kinds
    }
    return {"version": wheel.name.split("-")[1], "signatures": signatures, "attributes": attributes}


def classes(tree: ast.Module) -> list[ast.ClassDef]:
    """Return the classes of a module."""
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def parameters(method: ast.FunctionDef) -> list[str]:
    """Return a method's parameters in order; ``?`` after the name of one that may be left out."""
    names = [argument.arg for argument in (*method.args.posonlyargs, *method.args.args)]
    required = len(names) - len(method.args.defaults)
    return [name + ("?" if place >= required else "") for place, name in enumerate(names)]


def assigned(kind: ast.ClassDef) -> set[str]:
    """Return the names that the class's methods assign on ``self``."""
    return {
        target.attr
        for node in ast.walk(kind)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
