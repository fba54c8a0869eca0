"""The command that makes what an investigator receives. At the desk only.

Knows:  a bundle, an officer's key file of each group and their passphrases.
Never:  a recipient's key that the case does not name, a plain copy left behind unless it was asked for.
Leaves: one age file and its papers, or the tree to look at.
Clauses: 7.2(1), 7.3(1)1-3.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.answers import Facts, Json, answering, read_text
from firmware.custodian.bundles import BundleFile, Officers, prover, unlock
from firmware.custodian.pole_folder import PoleKeyFile, expected_key, refuse_on_a_pole
from firmware.custody.desk.opening import OfficerKeys
from firmware.custody.package.facts import CaseFacts, compare_key
from firmware.custody.package.making import Desk, Package, case_of, write_package, write_tree
from firmware.custody.package.receiver.curves import UnknownKind, ssh_signed
from firmware.custody.package.receiver.verify import NAMESPACE
from firmware.custody.package.tree import PART_90K
from firmware.drivers.mp4 import Mp4Film
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.ground.clock import SystemClock
from firmware.ground.errors import CaseError, KeystoreError


def package(
    bundle_file: BundleFile,
    *,
    identity_a: Annotated[Path, typer.Option("--identity-a", help="Key file of an officer of group A.")],
    by: Annotated[str, typer.Option("--by", help="Account code of who makes it; never a name.")],
    identity_b: Annotated[Path | None, typer.Option("--identity-b", help="Key file of an officer of group B.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The sealed package, FILE.age; must not exist.")] = None,
    tree: Annotated[Path | None, typer.Option("--tree", help="Instead: the plain tree, to look at. Erase it.")] = None,
    recipient: Annotated[str, typer.Option("--recipient", help="The key on paper: refused if it is another.")] = "",
    work: Annotated[Path | None, typer.Option("--work", help="Where it is made, if not in memory: encrypted.")] = None,
    sign: Annotated[
        Path | None, typer.Option("--sign", help="Your SSH key: signs SHA256SUMS (FILE.pub beside it).")
    ] = None,
    passphrase_a: Annotated[Path | None, typer.Option("--passphrase-a-file", help="Instead of asking.")] = None,
    passphrase_b: Annotated[Path | None, typer.Option("--passphrase-b-file", help="Instead of asking.")] = None,
    pole_key: PoleKeyFile = None,
    officers: Officers = None,
    as_json: Json = False,
) -> None:
    """At the desk: make the package of a case and seal it to the recipient that the case names."""
    with answering(as_json=as_json) as answer:
        refuse_on_a_pole()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is being made is wiped
        place = _place(out, tree)
        signed = partial(_signed, sign) if sign else None
        desk = Desk(
            SystemClock(),
            by,
            partial(Mp4Film, longest_90k=PART_90K),
            prover(officers),
            expected_key(pole_key),
            signed,
            work,
        )
        facts = case_of(bundle_file, desk)  # before anybody is asked for a passphrase
        if recipient:
            compare_key(facts, recipient)
        if facts.recipient.age_recipient is None and out and not as_json and not sys.stdout.isatty():
            raise KeystoreError(
                "E-KEY-TERMINAL", "the nine words are shown on a terminal only", where="standard output",
                todo="run it in a terminal; a program that keeps them safe uses --json", clause="7.3(1)1",
            )  # fmt: skip
        group_b = unlock(identity_b, passphrase_b, "B") if identity_b else []
        keys = OfficerKeys(unlock(identity_a, passphrase_a, "A"), group_b)
        made = (write_package if out else write_tree)(bundle_file, keys, desk, place)
        answer(_facts(made, facts, place), _text(made, facts, place))


def _place(out: Path | None, tree: Path | None) -> Path:
    """Return where it goes. Raises :class:`CaseError` unless exactly one of both was given."""
    place = out or tree
    if place is None or (out and tree):
        raise CaseError("E-CASE-OUT", "give --out or --tree, one of both", where="options", todo="run it again")
    return place


def _signed(keyfile: Path, sums: bytes) -> bytes:
    """Sign SHA256SUMS with an officer's SSH key. Raises :class:`CaseError` also for a kind no receiver can judge."""
    public = read_text(keyfile.with_name(keyfile.name + ".pub")).strip()
    key = " ".join(public.split(" ")[:2])
    signature = asyncio.run(SshKeygen(os.environ).sign(sums, key, keyfile, namespace=NAMESPACE.decode()))
    try:
        ssh_signed(signature.decode(), NAMESPACE, sums)
    except UnknownKind as kind:
        raise CaseError(
            "E-OFFICE-SIGN", f"a receiver's program cannot judge a key of kind {kind}", where=str(keyfile),
            todo="sign with an Ed25519 or ECDSA P-256 key, on a token or not", clause="7.3(1)3",
        ) from None  # fmt: skip
    return signature


def _facts(made: Package, facts: CaseFacts, place: Path) -> Facts:
    return {
        "case": facts.case,
        "out": str(place),
        "papers": str(made.papers) if made.papers else None,
        "recipient": facts.recipient.code,
        "sealed_to": facts.recipient.age_recipient if made.sha256 else None,
        "sha256": made.sha256 or None,
        "manifest_sha256": made.manifest_sha256,
        "films": made.films,
        "gaps": made.gaps,
        "unreadable": made.unreadable,
        **({"passphrase": made.words} if made.words else {}),
    }


def _text(made: Package, facts: CaseFacts, place: Path) -> str:
    lines = [f"films        {made.films}", f"gaps         {made.gaps}", f"unreadable   {made.unreadable} chunks"]
    lines += [f"manifest     {made.manifest_sha256} (its SHA-256 is on the papers)"]
    if not made.sha256:
        return "\n".join([f"tree         {place}: plain pictures, erase it when you have looked", *lines])
    first = [f"package      {place}", f"sealed to    {facts.recipient.code}, {facts.recipient.organisation}"]
    last = [f"SHA-256      {made.sha256}", f"papers       {made.papers}: print both, have both signed"]
    if made.words:
        last += [
            f"passphrase   {made.words}",
            "Tell the nine words by another way than the file. They are kept nowhere.",
        ]
    return "\n".join([*first, *lines, *last])
