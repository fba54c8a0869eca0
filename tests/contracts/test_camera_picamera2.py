"""The fake of picamera2 has the real call signatures, and the driver calls nothing the real one lacks."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from tests.contracts import fake_picamera2

KEPT = json.loads((Path(__file__).parent / "picamera2_signatures.json").read_text())
DRIVER = sorted((Path(__file__).parents[2] / "firmware" / "drivers").glob("picamera*.py"))


def parameters(function: Any) -> list[str]:
    return [
        name + ("" if parameter.default is inspect.Parameter.empty else "?")
        for name, parameter in inspect.signature(function).parameters.items()
    ]


@pytest.mark.parametrize("name", sorted(KEPT["signatures"]))
def test_the_fake_takes_what_the_real_one_takes(name: str) -> None:
    kind_name, method_name = name.split(".")
    if name == "LibavH264Encoder.__init__":  # takes the encoder's place off the board: what we pass must fit it too
        assert {"bitrate?", "repeat?", "iperiod?", "framerate?"} <= {*KEPT["signatures"][name]}
        return
    kind_name = kind_name.replace("LibavH264Encoder", "H264Encoder")
    method = getattr(getattr(fake_picamera2, kind_name), method_name)
    if isinstance(method, property):
        method = method.fget
    assert parameters(method) == KEPT["signatures"][name]


def test_attributes_the_driver_leans_on_exist_in_the_real_package() -> None:
    assert KEPT["attributes"] == {
        "CompletedRequest": ["ref_count", "request"],
        "DmaAllocator": ["mapped_buffers"],
        "Encoder": ["firsttimestamp"],
        "Picamera2": ["allocator", "pre_callback", "request_lock"],
    }


def calls_on(tree: ast.AST, owner: str) -> dict[str, ast.Call]:
    return {
        node.func.attr: node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == owner
    }


def test_every_call_the_driver_makes_on_the_camera_fits_the_real_signature() -> None:
    made = 0
    for path in DRIVER:
        for method, call in calls_on(ast.parse(path.read_text()), "self._camera").items():
            real = KEPT["signatures"][f"Picamera2.{method}"]
            names = {parameter.rstrip("?") for parameter in real}
            assert {keyword.arg for keyword in call.keywords} <= names, method
            assert len(call.args) < len(real), method
            made += 1
    assert made >= 6


def test_the_driver_never_asks_for_a_copy_or_a_kept_picture() -> None:
    copying = {
        "capture_array",
        "capture_buffer",
        "capture_image",
        "capture_file",
        "make_array",
        "make_buffer",
        "make_image",
    }
    for path in DRIVER:
        used = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not used & copying, path
