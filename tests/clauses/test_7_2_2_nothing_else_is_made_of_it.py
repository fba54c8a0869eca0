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

_ASKS = {"--as", "--sign-with", "--config", "--state", "--json"}
_ACTS = {*_ASKS, "--with", "--draw-up", "--pole", "--yes"}
_PAPER = {"--document", "--date", "--authority", "--instrument", "--scan"}
_CONDITIONS = {"--camera", "--case", "--from", "--to", "--most-minutes", "--most-deliveries", "--key", "--until"}
_JUDGES_A_LEDGER = {"--state", "--checkpoint", "--witnessed", "--witness-key", "--pole-key", "--json"}
SURFACE = {
    "keygen": {"--out", "--name", "--json"},
    "open": {"bundle_file", "--identity-a", "--identity-b", "--out", "--passphrase-a-file", "--passphrase-b-file",
             "--pole-key", "--officers", "--json"},
    "package": {"bundle_file", "--identity-a", "--identity-b", "--passphrase-a-file", "--passphrase-b-file", "--by",
                "--out", "--tree", "--recipient", "--work", "--sign", "--pole-key", "--officers", "--json"},
    "check": {"bundle_file", "--pole-key", "--officers", "--json"},
    "pole-key": {"--config", "--state", "--json"},
    "erasure certificate": {"--from", "--to", "--out", "--config", "--state", "--json"},
    "erasure verify": {"file", "--pole-key", "--json"},
    "verify-ledger": _JUDGES_A_LEDGER,
    "audit verify": _JUDGES_A_LEDGER,
    "audit conserve": {"--state", "--json"},
    "officer found": {*_ACTS, "file"},
    "officer grant": {*_ACTS, "account", "--role", "--key", "--also", "--group", "--from", "--until"},
    "officer revoke": {*_ACTS, "account"},
    "officer override": {*_ACTS, "account", "--until", "--reason"},
    "officer keys": {*_ACTS, "file"},
    "officer list": _ASKS,
    "morning": {*_ASKS, "files", "--facts", "--out"},
    "recipient add": {*_ACTS, *_CONDITIONS, "code", "--organisation", "--kind"},
    "recipient change": {*_ACTS, *_CONDITIONS, "code"},
    "recipient suspend": {*_ACTS, "code"},
    "recipient resume": {*_ACTS, "code"},
    "recipient remove": {*_ACTS, "code"},
    "recipient list": _ASKS,
    "retrievals list": _ASKS,
    "retrievals export": {*_ASKS, "--out"},
    "medium register": {*_ACTS, "code", "--kind", "--serial"},
    "medium out": {*_ACTS, "code", "--case"},
    "medium return": {*_ACTS, "code"},
    "medium sanitise": {*_ACTS, "code", "--method"},
    "medium lost": {*_ACTS, "code"},
    "medium list": _ASKS,
    "hold place": {*_ACTS, *_PAPER, "--span", "--camera", "--office", "--called-back", "--until", "--number"},
    "hold confirm": {*_ACTS, *_PAPER, "number", "--until"},
    "hold renew": {*_ACTS, "number", "--reason", "--until"},
    "hold lift": {*_ACTS, "number", "--reason"},
    "hold list": _ASKS,
    "hold slip": {*_ASKS, "number", "--out"},
    "case open": {*_ACTS, "number", "--hold"},
    "case document": {*_ACTS, *_PAPER, "number", "--reason", "--asks"},
    "case scope": {*_ACTS, "number", "--span", "--camera", "--to", "--reason"},
    "case preview": {*_ASKS, "--span", "--camera"},
    "case approve": {*_ACTS, "number", "--dossier"},
    "case refuse": {*_ACTS, "number", "--reason", "--words"},
    "case withdraw": {*_ACTS, "number", "--words"},
    "case seal": {*_ACTS, "number", "--dossier"},
    "case bundle": {*_ASKS, "number", "--out"},
    "case hand-over": {*_ACTS, "number", "--package", "--medium"},
    "case receipt": {*_ACTS, "number", "--date", "--scan"},
    "case close": {*_ACTS, "number"},
    "case show": {*_ASKS, "number"},
    "case list": _ASKS,
    "case letter": {*_ASKS, "number", "--out"},
    "time show": {"--config", "--state", "--json"},
    "time challenge": {"--config", "--state", "--json"},
    "time state": {"pole", "nonce", "--by", "--key", "--out", "--json"},
    "time confirm": {"file", "--config", "--state", "--json"},
    "act show": {*_ASKS, "number"},
    "act read": {"file", "--json"},
    "act submit": {"file", "--config", "--state", "--json"},
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
