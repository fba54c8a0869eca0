"""Holds and cases as officers type them: from a telephone call to a closed case, and to every letter on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firmware.custodian import acting, pole_folder
from firmware.ground.clock import NS_PER_MINUTE, iso_utc
from tests.parts.command_line import POLICE, CommandLine, custodian_says
from tests.parts.small_pole import FIRST, SmallPole

MINUTES = 4


def span(first: int = 0, last: int = MINUTES - 1) -> str:
    """The minutes from FIRST + first to FIRST + last, as an officer types them."""
    begin, end = ((FIRST + at) * NS_PER_MINUTE for at in (first, last + 1))
    return f"{iso_utc(begin)}/{iso_utc(end)}"


def paper(number: str = "小刑発第123号", instrument: str = "investigation-inquiry") -> list[str]:
    return ["--document", number, "--date", "2026-11-20", "--authority", "小田原警察署", "--instrument", instrument]


@pytest.fixture
async def pole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallPole:
    """Four recorded minutes, the second of them erased; both programs' clocks are the pole's."""
    pole = await SmallPole.begin(tmp_path / "state")
    for epoch in range(FIRST, FIRST + MINUTES):
        pole.record(epoch, chunks=1)
    await pole.erase(FIRST + 1, FIRST + 1)
    for module in (acting, pole_folder):
        monkeypatch.setattr(module, "SystemClock", lambda: pole.clock)
    return pole


@pytest.fixture
def office(tmp_path: Path, pole: SmallPole) -> CommandLine:
    """A founded office at that pole's console."""
    (tmp_path / "pole.toml").write_text(
        'pole = "sp03"\nsite = "smartpole.example"\nprofile = "bench"\nstate_directory = "state"\n'
    )
    (tmp_path / "footage.toml").write_text(
        f'keystore = "software"\n[officers]\na = ["{pole.officers.a.to_public()}"]\n'
        f'b = ["{pole.officers.b.to_public()}"]\n'
    )
    office = CommandLine(tmp_path, tmp_path / "keys")
    office.found()
    return office


def test_a_call_keeps_what_is_left_and_says_exactly_what_is_not(office: CommandLine, tmp_path: Path) -> None:
    error = office.refused("hold", "place", "--span", span(), "--office", "小田原警察署")
    assert (error["code"], error["clause"]) == ("E-CASE-CALL", "7.1(4)")
    placed = office.must("hold", "place", "--span", span(), "--office", "小田原警察署", "--called-back")
    assert (placed["minutes"], placed["missing_minutes"], placed["missing"][0]["reason"]) == (3, 1, "erased")
    assert placed["missing"][0]["asked"] == "2026-11-23T00:01:00Z to 2026-11-23T00:02:00Z"
    (listed,) = office.must("hold", "list")["holds"]
    assert (listed["hold"], listed["state"], listed["until"]) == (1, "provisional", "2026-12-03T00:04:00Z")
    office.must("hold", "slip", "1", "--out", str(tmp_path / "slip.html"))
    slip = (tmp_path / "slip.html").read_text()
    assert all(
        word in slip for word in ("保全票", "2026-12-03 09:04", "小田原警察署", "閲覧・提供を認めるものではありません")
    )
    error = office.refused("hold", "place", "--span", span(1, 1), "--office", "小田原警察署", "--called-back")
    assert (error["code"], error["clause"]) == ("E-CASE-GONE", "7.1(3)")


def test_confirmed_renewed_lifted(office: CommandLine, pole: SmallPole) -> None:
    office.must("hold", "place", "--span", span(), "--office", "小田原警察署", "--called-back")
    office.must("hold", "confirm", "1", *paper())
    pole.pass_to(FIRST + 25 * 24 * 60)
    found = office.must("hold", "list")
    assert (found["holds"][0]["state"], found["ends_soon"][0]["days"]) == ("confirmed", 7)
    office.must("hold", "renew", "1", "--reason", "捜査継続中")
    assert office.must("hold", "list")["ends_soon"] == []
    assert office.refused("hold", "lift", "1")["code"] == "E-OFFICE-WORD"
    office.must("hold", "lift", "1", "--reason", "カメラ違い", "--yes", "1")
    assert office.must("hold", "list")["holds"][0]["state"] == "lifted"


def test_a_look_before_a_case_is_minutes_and_gaps(office: CommandLine, tmp_path: Path) -> None:
    office.must("hold", "place", "--span", span(2, 3), "--office", "小田原警察署", "--called-back")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    seen = office.must("case", "preview", "--span", span())
    assert (seen["minutes"], seen["missing_minutes"], seen["holds"]) == (3, 1, [1])
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not any(word in json.dumps(seen) for word in ("sha256", "frames", "bytes", "chunk"))


def test_from_the_paper_to_the_receipt(office: CommandLine, tmp_path: Path) -> None:
    case = office.until_scoped(*span().split("/"), "小刑発第123号")
    shown = office.must("case", "show", case)
    assert (shown["state"], shown["approved"], shown["approved_by"], shown["not_covered"]) == ("scoped", False, [], [])
    for account in ("manager", "chief"):
        approved = office.must("case", "approve", case, by=account)
        assert approved["dossier"] == shown["dossier"]
    assert office.refused("case", "seal", case)["code"] == "E-OFFICE-WORD"
    office.must("case", "seal", case, "--yes", case)
    package = tmp_path / "package.age"
    package.write_bytes(b"age-encryption.org/v1\n")
    handing = ("case", "hand-over", case, "--package", str(package), "--yes", case)
    assert office.refused(*handing)["code"] == "E-CASE-ORDER"  # there is no bundle yet
    made = office.must("case", "bundle", case, "--out", str(tmp_path / "bundle.tar"))
    assert (made["minutes"], made["case"], made["dossier"]) == (3, case, shown["dossier"])
    office.must(*handing)
    assert office.must("case", "show", case)["receipts_missing"] == 1
    office.must("case", "receipt", case, "--date", "2026-11-24")
    office.must("case", "close", case, "--yes", case)
    assert office.must("case", "list")["cases"] == [
        {"case": case, "state": "closed", "opened": "2026-11-23T00:04:00Z", "by": "manager"}
    ]
    (row,) = office.must("retrievals", "list")["retrievals"]
    assert (row["case"], row["approved_by"]) == (case, ["manager", "chief"])


def test_a_refusal_is_an_answer_with_its_letter(office: CommandLine, tmp_path: Path) -> None:
    case = office.until_scoped(*span().split("/"), "小刑発第123号")
    assert office.refused("case", "letter", case, "--out", str(tmp_path / "x.html"))["code"] == "E-CASE-ORDER"
    office.must("case", "refuse", case, "--reason", "too-wide", "--words", "30分に絞ってください", "--yes", case)
    office.must("case", "letter", case, "--out", str(tmp_path / "letter.html"))
    letter = (tmp_path / "letter.html").read_text()
    assert all(word in letter for word in ("回答書", "小刑発第123号", "7.2(1)", "必要最小限", "30分に絞ってください"))
    assert office.refused("case", "approve", case)["code"] == "E-CASE-ORDER"
    other = office.until_scoped(*span().split("/"), "小刑発第124号")
    office.must("case", "withdraw", other, "--yes", other)
    office.must("case", "letter", other, "--out", str(tmp_path / "withdrawn.html"))
    assert "取下げ" in (tmp_path / "withdrawn.html").read_text()
    assert office.refused("case", "letter", other, "--out", str(tmp_path / "withdrawn.html"))["code"] == "E-CASE-OUT"


def test_the_wrong_paper_names_the_right_one(office: CommandLine) -> None:
    office.must("case", "open", "2026-0012")
    error = office.refused("case", "document", "2026-0012", *paper(instrument="telephone"))
    assert (error["code"], error["clause"], "捜査関係事項照会書" in error["todo"]) == (
        "E-CASE-INSTRUMENT",
        "7.2(1)",
        True,
    )
    error = office.refused("case", "document", "2026-0012", *paper(instrument="bar-inquiry"))
    assert error["code"] == "E-CASE-BASIS-OFF"
    error = office.refused("case", "document", "2026-0012", *paper(), "--asks", "wifi-log")
    assert (error["code"], error["clause"], "令状" in error["todo"]) == ("E-CASE-OTHER-HOUSE", "8.1(2)", True)


def test_more_before_and_after_is_a_new_scope_with_new_approvals(office: CommandLine, tmp_path: Path) -> None:
    begin, end = span(2, 2).split("/")
    case = office.until_sealed(begin, end, "小刑発第123号")
    office.must("case", "bundle", case, "--out", str(tmp_path / "one.tar"))
    office.must("case", "scope", case, "--span", span(2, 3), "--to", POLICE)
    assert office.refused("case", "bundle", case, "--out", str(tmp_path / "two.tar"))["code"] == "E-CASE-ORDER"
    assert office.refused("case", "seal", case, "--yes", case)["code"] == "E-CASE-APPROVALS"
    for account in ("chief", "manager"):
        office.must("case", "approve", case, by=account)
    office.must("case", "seal", case, "--yes", case)
    assert office.must("case", "bundle", case, "--out", str(tmp_path / "two.tar"))["minutes"] == 2


def test_at_the_desk_a_case_is_approved_without_a_pole(office: CommandLine, tmp_path: Path) -> None:
    """The chief signs at the city hall what the pole's dossier is; the file goes to the pole."""
    case = office.until_scoped(*span().split("/"), "小刑発第123号")
    dossier = office.must("case", "show", case)["dossier"]
    act = tmp_path / "approve.act"
    desk = ("--pole", "sp03", "--draw-up", str(act), "--dossier", dossier)
    drawn = office.must("case", "approve", case, *desk, by="chief")
    assert drawn["signatures"]
    code, done = _submit(office, act)
    assert (code, done["signed_by"]) == (0, ["chief"])
    assert office.must("case", "show", case)["approved_by"] == ["chief"]


def _submit(office: CommandLine, act: Path) -> tuple[int, dict[str, object]]:
    return custodian_says("act", "submit", str(act), "--config", str(office.folder))
