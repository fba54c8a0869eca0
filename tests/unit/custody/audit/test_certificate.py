"""Certificates of erasure: what they say, what proves it, what they do not hide."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner, Result

from firmware import custodian
from firmware.custodian.erasures import issue
from firmware.custody.audit import certificate as certificates
from firmware.custody.audit.certificate import Certificate, certify, check
from firmware.custody.audit.erasure_page import erasure_page
from firmware.custody.audit.erasure_words import WORDS
from firmware.custody.bundle.span import Span
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.languages import Language
from firmware.drivers.pole_keys import open_pole_keys
from firmware.footage.settings import FootageSettings, Officers
from firmware.ground import note
from firmware.ground.clock import MinuteNumber, SimulatedClock
from firmware.ground.errors import CaseError, LedgerError, PoleError
from firmware.ground.ledger import Ledger
from firmware.ground.log import Log
from tests.parts.small_pole import FIRST, SmallPole
from tests.signing import Ed25519Key
from tests.whole.bench import officers, write_settings

SPAN = Span(FIRST, MinuteNumber(FIRST + 9))


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    """Ten keys, eight minutes recorded, two handed out, five erased, one of them without footage."""
    pole = await SmallPole.begin(tmp_path / "state")
    for epoch in (*range(FIRST, FIRST + 3), *range(FIRST + 4, FIRST + 9)):
        pole.record(epoch, chunks=1)
    await pole.bundle(tmp_path / "bundle.tar", Span(FIRST, MinuteNumber(FIRST + 1)))
    await pole.erase(FIRST, FIRST + 4)
    return pole


async def made_by(pole: SmallPole, span: Span = SPAN) -> tuple[bytes, Certificate]:
    data = await issue(pole.holdings(), span)
    return data, check(data, pole.public_key(), where="")[0]


async def test_it_says_what_when_how_and_what_it_does_not_reach(pole: SmallPole) -> None:
    _, made = await made_by(pole)
    (run,) = made.erased
    assert (run.first_epoch, run.last_epoch, run.recorded) == (FIRST, FIRST + 4, 4)
    assert (run.keystore, run.method, run.early, run.generation) == ("software", "clear", False, 2)
    assert (made.technique, made.standard) == ("cryptographic erase", "NIST SP 800-88 Rev. 2")
    assert (made.recorded, made.erased_minutes, made.live, made.lost) == (8, 4, 4, ())
    (export,) = made.exported
    assert (export.first_epoch, export.last_epoch) == (FIRST, FIRST + 1)
    (line,) = pole.ledger.lines("epochs.erased")
    assert (run.ledger_line, run.utc) == (line.index, line.utc)


async def test_only_the_minutes_asked_for(pole: SmallPole) -> None:
    _, made = await made_by(pole, Span(MinuteNumber(FIRST + 1), MinuteNumber(FIRST + 2)))
    assert [(run.first_epoch, run.last_epoch, run.recorded) for run in made.erased] == [(FIRST + 1, FIRST + 2, 2)]


async def test_what_still_lives_gets_no_certificate(pole: SmallPole) -> None:
    for span, what in (
        (Span(MinuteNumber(FIRST + 5), MinuteNumber(FIRST + 8)), "4 recorded minutes are still kept"),
        (Span(MinuteNumber(FIRST + 3), MinuteNumber(FIRST + 3)), "nothing was recorded in them"),
    ):
        with pytest.raises(CaseError, match=what) as caught:
            await made_by(pole, span)
        assert caught.value.code == "E-CASE-NOT-ERASED"


async def lines_of_a_tpm(folder: Path) -> tuple[Ledger, str]:
    """Minutes erased early under a TPM, minutes lost, minutes whose bundle was given up."""
    ledger = Ledger.open(folder, Ed25519Key(), SimulatedClock(FIRST * 60 * 10**9))
    for epoch in range(FIRST, FIRST + 6):
        ledger.append("minute.sealed", epoch=epoch, manifest=f"{epoch:064x}")
    span = {"first_epoch": FIRST, "last_epoch": FIRST + 1, "epochs": 2}
    case = {"case": "2026-0001", "dossier": "e" * 64, "document": "d" * 64}
    bundled = ledger.append("case.bundled", **case, **span, missing_epochs=0)
    ledger.append("case.abandoned", bundled_line=bundled)
    ledger.append("epochs.dropped_early", **span, reason="disk_full")
    ledger.append("epochs.erased", **span, generation=7, method="secret_overwritten", keystore="tpm2")
    gone = {"first_epoch": FIRST + 2, "last_epoch": FIRST + 3, "epochs": 2}
    ledger.append("epochs.lost", **gone, reason="secret_missing")
    return ledger, await ledger.checkpoint()


async def test_early_lost_and_abandoned(tmp_path: Path) -> None:
    made = certify(*_args(await lines_of_a_tpm(tmp_path)))
    (run,) = made.erased
    assert (run.early, run.keystore, run.method) == (True, "tpm2", "purge")
    assert [(lost.first_epoch, lost.recorded, lost.reason) for lost in made.lost] == [(FIRST + 2, 2, "secret_missing")]
    assert (made.exported, made.live) == ((), 2)


def _args(made: tuple[Ledger, str]) -> tuple[Ledger, str, Span, str, int]:
    return made[0], "sp03", SPAN, made[1], FIRST * 60 * 10**9


async def signed(made: Certificate, key: Ed25519Key) -> bytes:
    encoded = certificates.encode(made)
    told = await note.sign_note(certificates.note_text(key.name, encoded), key)
    return certificates.paper(encoded, told, note.verifier_text(key.name, key.algorithm, key.public_key))


@pytest.mark.parametrize(
    "change",
    [
        {"keystore": "software"},
        {"method": "clear"},
        {"generation": 8},
        {"early": False},
        {"utc": "2026-11-23T01:00:00Z"},
        {"last_epoch": FIRST + 5},
        {"ledger_line": 3},
    ],
)
async def test_even_a_signed_certificate_must_say_what_its_lines_say(tmp_path: Path, change: dict[str, object]) -> None:
    """The pole's key alone does not make a stronger method or another minute of it."""
    made = certify(*_args(await lines_of_a_tpm(tmp_path)))
    key = Ed25519Key()
    assert check(await signed(made, key), None, where="")[0] == made
    lie = msgspec.structs.replace(made, erased=(msgspec.structs.replace(made.erased[0], **change),))
    with pytest.raises(CaseError) as caught:
        check(await signed(lie, key), None, where="")
    assert caught.value.code == "E-CASE-CERTIFICATE"


async def test_a_line_that_is_not_in_the_ledger_is_no_proof(tmp_path: Path) -> None:
    made = certify(*_args(await lines_of_a_tpm(tmp_path)))
    forged = msgspec.structs.replace(made.proofs[0], line=made.proofs[0].line.replace("00Z", "01Z"))
    short = msgspec.structs.replace(made.proofs[0], hashes=made.proofs[0].hashes[1:])
    bent = msgspec.structs.replace(made.proofs[0], hashes=("?", *made.proofs[0].hashes[1:]))
    for proof in (forged, short, bent):
        lie = msgspec.structs.replace(made, proofs=(proof, *made.proofs[1:]))
        with pytest.raises(LedgerError) as caught:
            check(await signed(lie, Ed25519Key()), None, where="")
        assert caught.value.code == "E-LEDGER-PROOF"


async def test_every_changed_byte_is_found(pole: SmallPole) -> None:
    data, _ = await made_by(pole)
    for at in range(0, len(data) - 1, 7):
        changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        with pytest.raises(PoleError):
            check(changed, pole.public_key(), where="")


async def test_another_poles_key_and_another_paper(pole: SmallPole) -> None:
    data, _ = await made_by(pole)
    other = Ed25519Key(seed=5)
    key = PoleKey.parse(note.verifier_text(other.name, other.algorithm, other.public_key), where="")
    with pytest.raises(LedgerError, match="another key"):
        check(data, key, where="")
    for junk in (b"", b"{}", b"[" * 100_000, b"\xff"):
        with pytest.raises(CaseError):
            check(junk, None, where="")


# ---- pages


def test_both_languages_have_the_same_words() -> None:
    assert set(WORDS[Language.JA]) == set(WORDS[Language.EN])
    assert all(text.strip() for language in WORDS for text in WORDS[language].values())


async def test_the_page_says_that_a_software_keystore_is_weaker(pole: SmallPole) -> None:
    _, made = await made_by(pole)
    page = {language: erasure_page(made, pole.public_key(), "f" * 64, language) for language in Language}
    assert "Weaker than a TPM" in page[Language.EN]
    assert "専用チップによる消去より弱い" in page[Language.JA]
    assert "2026-11-23 09:00:00 – 2026-11-23 09:05:00" in page[Language.JA]
    assert WORDS[Language.JA]["exported"] in page[Language.JA]
    assert "8 = 4 erased + 4 kept" in re.sub(r"\s+", " ", page[Language.EN])


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_prints_and_fetches_nothing(pole: SmallPole, tmp_path: Path, language: Language) -> None:
    _, made = await made_by(pole)
    path = tmp_path / "page.html"
    path.write_text(erasure_page(made, pole.public_key(), "f" * 64, language), "utf-8")
    import asyncio

    asked, pdf = await asyncio.to_thread(printed, path)
    assert asked == [path.as_uri()]
    assert pdf.count(b"/Type /Page\n") == 1


def printed(path: Path) -> tuple[list[str], bytes]:
    asked = list[str]()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(path.as_uri())
        pdf = tab.pdf(prefer_css_page_size=True)
        browser.close()
    return asked, pdf


# ---- the command line


def say(*words: str) -> Result:
    return CliRunner().invoke(custodian.app, ["--lang", "en", *words])


async def pole_with_settings(tmp_path: Path) -> Path:
    """A pole whose settings, keystore and signing key are files, as the command itself opens them."""
    a, b = officers()
    config = write_settings(tmp_path / "config", pole={"pole": "sp03"}, a=str(a.to_public()), b=str(b.to_public()))
    state = tmp_path / "config" / "state"
    state.mkdir()
    groups = Officers(a=(str(a.to_public()),), b=(str(b.to_public()),))
    settings = FootageSettings(keystore="software", officers=groups)
    keystore, signer = await open_pole_keys(settings, state, "smartpole.example/sp03", Log(io.StringIO()))
    pole = await SmallPole.begin(state, key=signer, keystore=keystore)
    pole.record(FIRST, chunks=1)
    await pole.erase(FIRST, FIRST)
    return config


def test_issued_on_a_pole_and_judged_elsewhere(tmp_path: Path) -> None:
    import asyncio

    config = asyncio.run(pole_with_settings(tmp_path))
    out = tmp_path / "erased.json"
    span = ("--from", "2026-11-23T09:00:00+09:00", "--to", "2026-11-23T09:10:00+09:00")
    said = say("erasure", "certificate", *span, "--out", str(out), "--config", str(config))
    assert said.exit_code == 0, said.output
    assert "1 recorded = 1 erased + 0 live + 0 lost" in said.stdout
    assert "weaker" in said.stdout
    assert {path.name for path in tmp_path.glob("erased*")} == {"erased.json", "erased.ja.html", "erased.en.html"}
    vkey = tmp_path / "pole.vkey"
    vkey.write_text(json.loads(say("pole-key", "--config", str(config), "--json").stdout)["pole_key"])
    judged = say("erasure", "verify", str(out), "--pole-key", str(vkey))
    assert (judged.exit_code, "is the one you gave" in judged.stdout) == (0, True)
    again = say("erasure", "certificate", *span, "--out", str(out), "--config", str(config))
    assert (again.exit_code, again.stderr.split(":")[0]) == (1, "E-CASE-OUT")
    out.write_bytes(out.read_bytes().replace(b'"clear"', b'"purge"'))
    judged = say("erasure", "verify", str(out), "--pole-key", str(vkey))
    assert (judged.exit_code, judged.stderr.split(":")[0]) == (1, "E-CASE-CERTIFICATE")
    month = say("erasure", "certificate", "--from", "2026-10-01T00:00Z", "--to", "2026-11-02T00:00Z", "--out", "x.json")
    assert (month.exit_code, "more than 31 days" in month.stderr) == (1, True)
