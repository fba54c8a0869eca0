"""The morning sheet: what needs somebody stands first, nothing is left out, and a city fits on one page."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright

from firmware.custody.languages import Language
from firmware.custody.papers.morning import (
    ExpiringRecipient,
    HeldMinutes,
    MediumOut,
    OpenCase,
    PoleFacts,
    Unread,
    as_facts,
    read_facts,
    sheet,
    todos,
)
from firmware.custody.papers.morning_words import WORDS
from firmware.ground.clock import NS_PER_MINUTE, iso_utc

NOW = 29_930_000
NOW_NS = NOW * NS_PER_MINUTE
DAY = 1440


def pole(number: int = 3, **changes: object) -> PoleFacts:
    facts: dict[str, object] = {
        "pole": f"sp{number:02}", "utc": iso_utc(NOW_NS - 60 * 10**9), "recording": True, "missing_minutes": {},
        "oldest_epoch": NOW - 14 * DAY + 30, "live_minutes": 14 * DAY - 30, "clock_proven": True, "keystore": "tpm2",
        "free_percent": 41, "ledger_lines": 1000,
    }  # fmt: skip
    return PoleFacts(**{**facts, **changes})  # type: ignore[arg-type]  # a test's own mapping


def hold(days: float, *, confirmed: bool = True) -> HeldMinutes:
    ends = NOW + int(days * DAY)
    return HeldMinutes(
        hold=4, camera="cam0", first_epoch=NOW - 900, last_epoch=NOW - 800, ends_epoch=ends, confirmed=confirmed
    )


def busy(number: int) -> PoleFacts:
    return pole(
        number,
        holds=(hold(2.5), hold(0.5, confirmed=False)),
        recipients=(ExpiringRecipient(recipient="odawara-ps", not_after=iso_utc(NOW_NS + 5 * DAY * NS_PER_MINUTE)),),
        cases=(OpenCase(case="2026-0012", state="scoped", approvals=1),),
        media_out=(MediumOut(medium="usb-3", case="2026-0012"),),
        missing_minutes={"power": 12, "maintenance": 3},
    )


def test_a_quiet_city_needs_nobody() -> None:
    assert todos([pole(1), pole(2)], NOW_NS) == []
    assert WORDS[Language.EN]["nothing"] in sheet([pole()], NOW_NS, Language.EN)


@given(st.floats(-3, 40))
def test_a_hold_is_announced_in_its_last_seven_days_and_not_before(days: float) -> None:
    found = todos([pole(holds=(hold(days),))], NOW_NS)
    assert bool(found) == (int(days * DAY) < 7 * DAY)


def test_what_is_urgent_stands_first() -> None:
    found = todos([busy(1), pole(2, recording=False, clock_proven=False)], NOW_NS)
    assert [todo.days for todo in found] == sorted(todo.days for todo in found)
    assert {todo.code for todo in found[:3]} == {"stopped", "clock", "hold_provisional"}


def test_old_facts_are_said_to_be_old() -> None:
    stale = pole(utc=iso_utc(NOW_NS - 25 * 3600 * 10**9))
    assert [todo.code for todo in todos([stale], NOW_NS)] == ["old"]


def test_a_bad_file_stands_on_the_sheet() -> None:
    bad = read_facts(b"{}", "sp09.json")
    assert isinstance(bad, Unread)
    assert "sp09.json" in sheet([pole(), bad], NOW_NS, Language.JA)
    assert as_facts([pole(), bad], NOW_NS, Language.EN)["unread"] == ["sp09.json"]


def test_facts_read_back_and_nothing_else_is_taken() -> None:
    facts = busy(3)
    assert read_facts(facts.encoded(), "sp03.json") == facts
    named = facts.encoded().replace(b'"pole"', b'"officer":"Sato","pole"', 1)
    assert isinstance(read_facts(named, "sp03.json"), Unread)


def test_both_languages_have_the_same_words() -> None:
    assert set(WORDS[Language.JA]) == set(WORDS[Language.EN])
    assert all(WORDS[language][key].strip() for language in WORDS for key in WORDS[language])


def test_nothing_is_written_into_the_page_unescaped() -> None:
    page = sheet([Unread("<script>alert(1)</script>", "")], NOW_NS, Language.EN)
    assert "<script>" not in page


@pytest.mark.parametrize("language", list(Language))
def test_twenty_poles_print_on_one_page(language: Language, tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    page.write_text(sheet([busy(number) for number in range(1, 21)], NOW_NS, language), "utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        asked = list[str]()
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        pdf = tab.pdf(prefer_css_page_size=True)
        browser.close()
    assert asked == [page.as_uri()]
    assert pdf.count(b"/Type /Page\n") == 1
