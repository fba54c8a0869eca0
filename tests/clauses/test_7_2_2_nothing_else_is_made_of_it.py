"""7.2(2): 防犯目的以外には利用、提供しない; 匿名加工して…利用、提供することも禁止.

What the officers' program can do is a closed list: no preview, no still, no blur, no export without a case, and no way
from footage into people flow.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import typer
from typer.main import get_command

from firmware import custodian

FIRMWARE = Path(__file__).parents[2] / "firmware"

SURFACE = {
    "keygen": {"--out", "--name", "--json"},
    "bundle": {"--from", "--to", "--out", "--document", "--config", "--state", "--json"},
    "open": {"bundle_file", "--identity-a", "--identity-b", "--out", "--passphrase-a-file", "--passphrase-b-file",
             "--pole-key", "--json"},
    "check": {"bundle_file", "--pole-key", "--json"},
    "pole-key": {"--config", "--state", "--json"},
    "verify-ledger": {"--state", "--checkpoint", "--witnessed", "--witness-key", "--pole-key", "--json"},
    "erasure certificate": {"--from", "--to", "--out", "--config", "--state", "--json"},
    "erasure verify": {"file", "--pole-key", "--json"},
    "audit conserve": {"--state", "--json"},
    "audit verify": {"--state", "--checkpoint", "--witnessed", "--witness-key", "--pole-key", "--json"},
}  # fmt: skip
"""Every command and option an officer has. Who adds one decides about clause 7.2(2), here."""


def surface(app: typer.Typer) -> dict[str, set[str]]:
    def walk(command: object, name: str) -> dict[str, set[str]]:
        children = getattr(command, "commands", None)
        if children is not None:
            return {
                key: value
                for child in children
                for key, value in walk(children[child], f"{name} {child}".strip()).items()
            }
        return {name: {parameter.opts[0] for parameter in command.params if parameter.name != "help"}}  # type: ignore[attr-defined]

    return walk(get_command(app), "")


def test_the_officers_program_can_do_exactly_this() -> None:
    assert surface(custodian.app) == SURFACE


def calls_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_the_film_is_copied_never_decoded_drawn_on_or_encoded() -> None:
    """Remuxing needs none of these; blurring, stills and analysis need one of them."""
    forbidden = {"decode", "encode", "add_stream", "reformat", "to_ndarray", "to_image", "from_ndarray", "save"}
    assert not calls_in(FIRMWARE / "drivers" / "mp4.py") & forbidden


def test_custody_knows_no_picture_library_and_no_people_flow() -> None:
    imports = re.compile(
        r"^(?:from|import) +(firmware\.flow|firmware\.city|firmware\.camera|numpy|av|PIL|cv2)\b", re.MULTILINE
    )
    for path in (FIRMWARE / "custody").glob("*.py"):
        assert not imports.search(path.read_text("utf-8")), path
