"""Commands about keys: an officer's new key at the desk, a pole's public key.

Knows:  an officer's key while it is made; a pole's public key.
Never:  a private half on a pole, a passphrase in a file of its own making.
Leaves: a key file and nine words, shown once; a public key and its fingerprint.
Clauses: 7.3(1)1, 7.3(1)3.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.answers import Json, answering
from firmware.custodian.labels_ja import LABELS
from firmware.custodian.language import language
from firmware.custodian.pole_folder import CONFIG, Config, State, refuse_on_a_pole, settings_of
from firmware.custody.keys import keyfile
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.languages import Language
from firmware.drivers.pole_keys import open_pole_keys
from firmware.ground import note
from firmware.ground.clock import SystemClock
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log


def keygen(
    *,
    out: Annotated[Path, typer.Option("--out", help="Where the key file goes; never overwritten.")],
    name: Annotated[str, typer.Option("--name", help="A code for the key, not a person's name.")] = "officer",
    as_json: Json = False,
) -> None:
    """Make an officer's key: a file that stock age reads, opened by nine words that are shown once."""
    with answering(as_json=as_json) as answer:
        refuse_on_a_pole()
        if not as_json and not sys.stdout.isatty():
            raise KeystoreError(
                "E-KEY-TERMINAL", "the passphrase is shown on a terminal only, never written to a file",
                where="standard output", todo="run it in a terminal; a program that keeps it safe uses --json",
                clause="7.3(1)1",
            )  # fmt: skip
        key = keyfile.new_key(name, SystemClock().utc_ns())
        keyfile.write_key(out, key)
        answer(
            {"file": str(out), "recipient": key.recipient, "passphrase": key.passphrase},
            f"key file     {out}\npublic half  {key.recipient}\npassphrase   {key.passphrase}\n"
            "Write the nine words down now, away from the file. They are shown this once and kept nowhere.",
        )


def pole_key(*, config_folder: Config = CONFIG, state: State = None, as_json: Json = False) -> None:
    """On a pole: show the public key that signs its ledger, for the office to keep."""
    with answering(as_json=as_json) as answer:
        pole, footage, folder = settings_of(config_folder, state)
        _, signer = asyncio.run(open_pole_keys(footage, folder, pole.ledger_origin, Log(), pole.profile))
        text = note.verifier_text(signer.name, signer.algorithm, signer.public_key)
        key = PoleKey.parse(text, where="the pole")
        if as_json:
            answer({"pole_key": text, "fingerprint": key.fingerprint()}, "")
        else:  # the first line is the key's file in every language: pole-key > sp03.vkey
            label = LABELS["fingerprint"] if language() is Language.JA else "fingerprint"
            typer.echo(f"{text}\n{label}  {key.fingerprint()}")
