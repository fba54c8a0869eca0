"""Commands about certificates of erasure: issued on a pole, judged anywhere.

Knows:  a span of minutes, the pole's ledger and note key; anywhere else a certificate's file.
Never:  a certificate of what no line tells of.
Leaves: one JSON file and a page to print in each language; verdicts.
Clauses: 7.1(3), 7.3(1)3.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.answers import Facts, Json, answering
from firmware.custodian.pole_folder import CONFIG, Config, PoleKeyFile, State, expected_key, key_line, open_holdings
from firmware.custody.audit import certificate as certificates
from firmware.custody.audit.certificate import Certificate
from firmware.custody.audit.erasure_page import erasure_page
from firmware.custody.bundle.making import Holdings
from firmware.custody.bundle.span import Span, parse_span
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.languages import Language
from firmware.ground import note
from firmware.ground.clock import MinuteNumber, SystemClock
from firmware.ground.durable import write_file
from firmware.ground.errors import CaseError


def certificate(
    *,
    begin: Annotated[str, typer.Option("--from", help="First minute: 2026-11-23T09:00:00Z, or with +09:00.")],
    end: Annotated[str, typer.Option("--to", help="End of the last minute (not included); at most 31 days.")],
    out: Annotated[Path, typer.Option("--out", help="The JSON file; the pages to print are laid beside it.")],
    config_folder: Config = CONFIG,
    state: State = None,
    as_json: Json = False,
) -> None:
    """On a pole: certify which of these minutes were erased, when and how, with proofs from the ledger."""
    with answering(as_json=as_json) as answer:
        span = parse_span(begin, end, SystemClock().utc_ns(), certificates.MOST_MINUTES)
        pages = {language: out.with_suffix(f".{language.value}.html") for language in Language}
        _refuse_existing(out, *pages.values())
        data = asyncio.run(_issue(config_folder, state, span))
        made, key = certificates.check(data, None, where=str(out))  # what leaves is judged as its reader will
        write_file(out, data, mode=0o644)
        for language, path in pages.items():
            page = erasure_page(made, key, hashlib.sha256(data).hexdigest(), language)
            write_file(path, page.encode(), mode=0o644)
        answer({"file": str(out), "pages": [str(path) for path in pages.values()], **_facts(made)}, _text(made, out))


def verify(
    file: Annotated[Path, typer.Argument(help="The certificate's JSON file.")],
    *,
    pole_key: PoleKeyFile = None,
    as_json: Json = False,
) -> None:
    """Judge a certificate off line: signature, ledger proofs, and that it says what its lines say."""
    with answering(as_json=as_json) as answer:
        expected = expected_key(pole_key)
        made, key = certificates.check(file.read_bytes(), expected, where=str(file))
        answer(
            {
                "pole_key": key.text(),
                "fingerprint": key.fingerprint(),
                "compared": expected is not None,
                **_facts(made),
            },
            _text(made, file) + "\n" + key_line(key, compared=expected is not None),
        )


async def _issue(config_folder: Path, state: Path | None, span: Span) -> bytes:
    return await issue(await open_holdings(config_folder, state), span)


async def issue(holdings: Holdings, span: Span) -> bytes:
    """Return the certificate's file. Raises CaseError, LedgerError, KeystoreError."""
    checkpoint = await holdings.lock.during(holdings.ledger.checkpoint())
    made = await asyncio.to_thread(
        certificates.certify, holdings.ledger, holdings.pole, span, checkpoint, holdings.clock.utc_ns()
    )
    encoded, signer = certificates.encode(made), holdings.signer
    text = certificates.note_text(holdings.ledger.origin, encoded)
    signed = await holdings.lock.during(note.sign_note(text, signer))
    vkey = note.verifier_text(signer.name, signer.algorithm, signer.public_key)
    return certificates.paper(encoded, signed, PoleKey.parse(vkey, where="the pole").text())


def _facts(made: Certificate) -> Facts:
    return {
        "pole": made.pole,
        "asked": Span(MinuteNumber(made.first_epoch), MinuteNumber(made.last_epoch)).text(),
        "recorded": made.recorded,
        "erased": made.erased_minutes,
        "live": made.live,
        "lost": sum(run.recorded for run in made.lost),
        "exported": [run.ledger_line for run in made.exported],
        "technique": made.technique,
        "methods": sorted({run.method for run in made.erased}),
        "keystores": sorted({run.keystore for run in made.erased}),
    }


def _text(made: Certificate, file: Path) -> str:
    facts = _facts(made)
    parts = f"{made.erased_minutes} erased + {made.live} live + {facts['lost']} lost"
    weaker = "\nremark       under a software keystore this is weaker: flash may keep an old copy of the secret"
    return (
        f"certificate  {file}\nminutes      {facts['asked']}\n"
        f"balance      {made.recorded} recorded = {parts}\n"
        f"technique    {made.technique} ({', '.join(facts['methods'])}), keys in: {', '.join(facts['keystores'])}"
        + (weaker if "software" in facts["keystores"] else "")
        + (f"\nhanded out   before: {len(made.exported)} bundles hold some of these minutes" if made.exported else "")
    )


def _refuse_existing(*files: Path) -> None:
    for path in files:
        if path.exists():
            raise CaseError(
                "E-CASE-OUT", "cannot write: there is a file of that name", where=str(path), todo="choose another name"
            )
