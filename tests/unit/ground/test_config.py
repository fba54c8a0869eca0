"""Every wrong setting is refused with file, key and remedy; nothing is clamped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from firmware.ground.config import OutOfLaw, fingerprint, load, parse
from firmware.ground.errors import ConfigError


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    days: int = 14

    def __post_init__(self) -> None:
        if self.days > 14:
            raise OutOfLaw(
                "inner.days",
                "footage is kept 14 days at most",
                clause="7.1(3)",
                todo="set 14 or less",
            )


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (b'name="a"\nnmae="b"', "E-CONFIG-KEY", "f.toml"),
        (b'name="a"\n[inner]\ndays="14"', "E-CONFIG-KEY", "inner.days"),
        (b'name="a"\n[inner]\ndays=15', "E-CONFIG-LAW", "inner.days"),
        (b"name=3", "E-CONFIG-KEY", "name"),
        (b"", "E-CONFIG-KEY", "f.toml"),
        (b"name=", "E-CONFIG-TOML", "f.toml"),
        (b"\xff", "E-CONFIG-TOML", "f.toml"),
    ],
)
def test_refused_with_code_and_place(text: bytes, code: str, where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text, Settings, name="f.toml")
    assert refused.value.code == code
    assert where in refused.value.where
    assert refused.value.todo


def test_out_of_law_names_the_clause() -> None:
    with pytest.raises(ConfigError) as refused:
        parse(b'name="a"\n[inner]\ndays=15', Settings, name="f.toml")
    assert refused.value.clause == "7.1(3)"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "flow.toml", Settings)
    assert refused.value.code == "E-CONFIG-MISSING"


def test_fingerprint_changes_with_any_value() -> None:
    one, two = Settings(name="a"), Settings(name="a", inner=Inner(days=13))
    assert fingerprint(one) == fingerprint(Settings(name="a")) != fingerprint(two)
