"""footage.toml: what the law refuses is refused with its clause; what only a bench may have, under profile pole."""

from __future__ import annotations

import pytest

from firmware.footage.settings import FootageSettings
from firmware.ground import config
from firmware.ground.errors import ConfigError
from tests.parts.footage_parts import bench_settings, recipient_and_key

A, B = recipient_and_key()[0], recipient_and_key()[0]
OFFICERS = f'[officers]\na = ["{A}"]\nb = ["{B}"]\n'


def read(text: str) -> FootageSettings:
    return config.parse(text.encode(), FootageSettings, name="footage.toml")


def test_the_least_file_is_the_city_as_the_guideline_wants_it() -> None:
    settings = read(OFFICERS)
    assert (settings.retention_hours, settings.chunk_seconds, settings.keystore) == (336, 10, "tpm2")
    settings.refuse_unfit("pole")


@pytest.mark.parametrize("hours", [337, 360, 15 * 24, 10_000])
def test_fifteen_days_are_refused_not_clamped(hours: int) -> None:
    with pytest.raises(ConfigError, match=r"E-CONFIG-LAW.*14 days") as raised:
        read(f"retention_hours = {hours}\n{OFFICERS}")
    assert raised.value.clause == "7.1(3)"
    assert "retention_hours" in raised.value.where


def test_shorter_is_always_allowed() -> None:
    assert read(f"retention_hours = 24\n{OFFICERS}").retention_hours == 24


@pytest.mark.parametrize("seconds", [7, 8, 9, 11, 13, 25])
def test_a_chunk_must_divide_the_minute(seconds: int) -> None:
    with pytest.raises(ConfigError, match="E-CONFIG-LAW"):
        read(f"chunk_seconds = {seconds}\n{OFFICERS}")


@pytest.mark.parametrize(
    ("officers", "clause"),
    [
        (f'[officers]\na = ["{A}"]\nb = ["{A}"]\n', "7.3(1)1"),
        (f'[officers]\na = ["{A}", "{A}"]\nb = ["{B}"]\n', "7.3(1)1"),
        (f'[officers]\na = []\nb = ["{B}"]\n', "7.3(1)1"),
    ],
)
def test_officers_must_be_two_groups_of_different_people(officers: str, clause: str) -> None:
    with pytest.raises(ConfigError, match="E-CONFIG-LAW") as raised:
        read(officers)
    assert raised.value.clause == clause


def test_a_private_key_in_the_settings_is_refused() -> None:
    with pytest.raises(ConfigError, match="E-CONFIG-KEY"):
        read(f'[officers]\na = ["AGE-SECRET-KEY-1{"Q" * 58}"]\nb = ["{B}"]\n')


def test_a_pole_refuses_what_only_a_bench_may_have() -> None:
    for unfit in (bench_settings(keystore="software"), read(f'[officers]\na = ["{A}"]\n')):
        unfit.refuse_unfit("bench")
        with pytest.raises(ConfigError, match="E-CONFIG-LAW") as raised:
            unfit.refuse_unfit("pole")
        assert raised.value.clause == "7.3(1)1"
    unproven = bench_settings(time_source="none", keystore="tpm2")
    unproven.refuse_unfit("bench")
    with pytest.raises(ConfigError, match="time_source"):
        unproven.refuse_unfit("pole")


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ConfigError, match="preview"):
        read(f"preview = true\n{OFFICERS}")
