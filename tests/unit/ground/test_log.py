"""A log line cannot carry free text."""

from __future__ import annotations

import io

import pytest

from firmware.ground.log import Log


@pytest.mark.parametrize("value", ["two words", "名前", "a" * 97, "", "x@y", "new\nline"])
def test_free_text_is_refused(value: str) -> None:
    lines = io.StringIO()
    with pytest.raises(ValueError, match="not a code"):
        Log(lines).event("flow.gap", reason=value)
    assert lines.getvalue() == ""


def test_codes_and_numbers_pass() -> None:
    lines = io.StringIO()
    Log(lines).event("flow.gap", reason="camera_fault", minutes=3)
    assert lines.getvalue() == '{"event":"flow.gap","reason":"camera_fault","minutes":3}\n'
