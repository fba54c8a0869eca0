"""Checkpoints and proofs in the texts other tools read."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from firmware.ground import merkle, note
from firmware.ground.errors import LedgerError
from tests.signing import Ed25519Key

VECTORS = Path(__file__).parents[2] / "vectors"


def read(text: str) -> note.Checkpoint:
    return note.parse_checkpoint(text, where="here")


def code_of(text: str, *keys: Ed25519Key) -> str:
    with pytest.raises(LedgerError) as caught:
        note.open_note(text, keys, where="here")
    return caught.value.code


def test_the_specification_s_own_example_reads_and_writes_back() -> None:
    text = (VECTORS / "ledger_checkpoint.txt").read_text("utf-8")
    checkpoint = read(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert text.startswith(checkpoint.text() + "\n\u2014 example.com/behind-the-sofa ")


def test_the_id_of_a_known_ed25519_key() -> None:
    """The key of Go's ``golang.org/x/mod/sumdb/note`` documentation: ``PeterNeumann+c74f20a3+ARpc2Q...``."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, algorithm, public_key = note.parse_verifier_text(text, where="here")
    assert (name, algorithm, len(public_key)) == ("PeterNeumann", note.ED25519, 32)
    assert note.verifier_text(name, algorithm, public_key) == text
    with pytest.raises(LedgerError):
        note.parse_verifier_text(text.replace("c74f20a3", "c74f20a4"), where="here")
    with pytest.raises(LedgerError):
        note.parse_verifier_text("PeterNeumann", where="here")


def test_an_ecdsa_key_is_named_by_its_spki_alone() -> None:
    assert note.key_id("a", note.ECDSA_P256, b"spki") == note.key_id("b", note.ECDSA_P256, b"spki")
    assert note.key_id("a", note.ED25519, b"key") != note.key_id("b", note.ED25519, b"key")


async def test_a_note_opens_for_its_key_and_for_nobody_else() -> None:
    key, stranger = Ed25519Key(), Ed25519Key(seed=2)
    signed = await note.sign_note("text\n\nwith an empty line\n", key)
    assert note.open_note(signed, [key], where="here") == "text\n\nwith an empty line\n"
    assert note.open_note(signed, [stranger, key], where="here")
    assert code_of(signed, stranger) == "E-LEDGER-SIGNATURE"
    assert code_of(signed.replace("with", "w1th"), key) == "E-LEDGER-SIGNATURE"
    assert code_of(signed) == "E-LEDGER-SIGNATURE"


async def test_a_false_signature_of_a_known_key_is_not_outvoted_by_a_good_one() -> None:
    key, witness = Ed25519Key(), Ed25519Key(name="witness.example", seed=2)
    signed = await note.sign_note("text\n", key)
    false = note.key_id(witness.name, witness.algorithm, witness.public_key) + bytes(64)
    both = f"{signed}\u2014 {witness.name} {base64.b64encode(false).decode()}\n"
    assert note.open_note(both, [key], where="here") == "text\n"  # a key not asked about is passed over
    assert code_of(both, key, witness) == "E-LEDGER-SIGNATURE"


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n\n", "a\n\n\u2014 name\n", "a\n\n\u2014 name AAAA\n", "a\n\n\u2014 name !!!!\n",
     "a\n\n- name AAAAAAAA\n",
     "a\n\n\u2014 name AAAAAAAA", "a\n\n" + "\u2014 name AAAAAAAA\n" * 65],
)  # fmt: skip
def test_what_is_no_note_is_refused(text: str) -> None:
    assert code_of(text, Ed25519Key()) == "E-LEDGER-NOTE"


@pytest.mark.parametrize(
    "text",
    ["", "\n0\n" + "A" * 43 + "=\n", "o\n01\n" + "A" * 43 + "=\n", "o\n-1\n" + "A" * 43 + "=\n",
     "o\n\u0661\n" + "A" * 43 + "=\n",
     "o\n1\nAAAA\n", "o\n1\n" + "A" * 42 + "B=\n", "o\n1\n" + "A" * 43 + "="],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="checkpoint"):
        read(text)


async def test_a_proof_shows_one_line_of_one_signed_ledger() -> None:
    key = Ed25519Key()
    lines = [str(number).encode() for number in range(7)]
    tree = merkle.Tree()
    for line in lines:
        tree.append(merkle.leaf_hash(line))
    signed = await note.sign_note(note.Checkpoint(key.name, 7, tree.root()).text(), key)
    nodes = merkle.inclusion_nodes(3, 7)
    hashes = merkle.hashes_of(nodes, map(merkle.leaf_hash, lines), 7)
    proof = note.proof_text(3, [hashes[node] for node in nodes], signed)
    assert proof.startswith("c2sp.org/tlog-proof@v1\nindex 3\n")
    index, checkpoint = note.check_proof(proof, lines[3], [key], where="here")
    assert (index, checkpoint.size) == (3, 7)
    for false, line in (
        (proof, lines[2]),
        (proof.replace("index 3", "index 2"), lines[3]),
        (proof.replace("index 3", "index 03"), lines[3]),
        (proof.replace("@v1", "@v2"), lines[3]),
        (proof.replace("\n7\n", "\n8\n"), lines[3]),
        ("", lines[3]),
    ):
        with pytest.raises(LedgerError):
            note.check_proof(false, line, [key], where="here")
