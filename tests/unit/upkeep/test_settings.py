"""pole.toml: what is missing, unknown or out of law is refused with file, key, clause and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.ground.config import fingerprint, load, parse
from firmware.ground.errors import ConfigError
from firmware.upkeep.settings import PoleSettings

BENCH = """
pole = "sp03"
profile = "bench"
site = "smartpole.example.lg.jp"
notice_sha256 = "5f1f0b0b2a8d9a4d0c0f1b1f4a7f1c8d6a5e4b3c2d1e0f9a8b7c6d5e4f3a2b1c"
state_directory = "state"
models_directory = "models"
lamp = ""
location = { longitude = 139.1559, latitude = 35.2525 }

[broker]
host = "127.0.0.1"
port = 1883
plain = true
"""
POLE = (
    BENCH.replace('profile = "bench"\n', "")
    .replace('lamp = ""', 'lamp = "pole:red"')
    .replace('"state"', '"/var/lib/pole"')
    .replace('"models"', '"/usr/share/models"')
    .replace("plain = true", 'ca_file = "ca.pem"\ncertificate_file = "pole.pem"\nkey_file = "pole.key"')
)


def read(text: str) -> PoleSettings:
    return parse(text.encode(), PoleSettings, name="pole.toml")


def test_a_bench_and_a_pole() -> None:
    bench = read(BENCH)
    assert bench.broker is not None
    assert (bench.municipality, bench.camera, bench.profile) == ("142069", "cam0", "bench")
    assert bench.state_path(Path("/etc/pole")) == Path("/etc/pole/state")
    pole = read(POLE)
    assert (pole.profile, pole.lamp) == ("pole", "pole:red")
    assert pole.state_path(Path("/etc/pole")) == Path("/var/lib/pole")


def test_a_pole_without_the_word_bench_is_a_pole() -> None:
    with pytest.raises(ConfigError) as caught:
        read(BENCH.replace('profile = "bench"\n', ""))
    assert (caught.value.code, caught.value.clause) == ("E-CONFIG-LAW", "6.1(2)")


def test_the_place_is_what_the_settings_say() -> None:
    settings = read(BENCH)
    place = settings.place(fingerprint(settings))
    assert place.topics.pole == "sp03"
    assert place.notice == f"sha256:{settings.notice_sha256}"
    assert place.ledger_origin == "smartpole.example.lg.jp/sp03"
    assert place.observed()["source"] == "https://smartpole.example.lg.jp/p/sp03"


@pytest.mark.parametrize(
    ("known", "other", "clause", "key"),
    [
        ('lamp = "pole:red"', "", "6.1(2)", "lamp"),
        ('lamp = "pole:red"', 'lamp = ""', "6.1(2)", "lamp"),
        ('ca_file = "ca.pem"', "", "6.3(1)", "broker.ca_file"),
        ('ca_file = "ca.pem"', 'ca_file = "ca.pem"\nplain = true', "6.3(1)", "broker.plain"),
        ('"/var/lib/pole"', '"state"', "7.3(1)3", "state_directory"),
    ],
)
def test_out_of_law(known: str, other: str, clause: str, key: str) -> None:
    assert known in POLE
    with pytest.raises(ConfigError) as caught:
        read(POLE.replace(known, other))
    assert (caught.value.code, caught.value.clause) == ("E-CONFIG-LAW", clause)
    assert caught.value.where.endswith(key)
    assert caught.value.todo


def test_a_pole_without_a_broker_or_without_tls_is_refused() -> None:
    for text in (POLE.partition("[broker]")[0], POLE.partition("[broker]")[0] + '[broker]\nhost = "h"\nplain = true\n'):
        with pytest.raises(ConfigError) as caught:
            read(text)
        assert (caught.value.code, caught.value.clause) == ("E-CONFIG-LAW", "6.3(1)")


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ('pole = "sp03"', 'pole = "pole3"'),
        ('pole = "sp03"', 'pole = "sp03"\nname = "taro"'),
        ('"smartpole.example.lg.jp"', '"192.168.0.1"'),
        ('"smartpole.example.lg.jp"', '"smartpole.example.lg.jp/x"'),
        ("139.1559", "239.1559"),
        ("5f1f0b", "5f1f0"),
        ("port = 1883", "port = 70000"),
        ("port = 1883", 'port = "1883"'),
        ("plain = true", 'plain = true\npassword = "x"'),
    ],
)
def test_wrong_values_and_unknown_keys_are_named(known: str, other: str) -> None:
    assert known in BENCH
    with pytest.raises(ConfigError, match="E-CONFIG-KEY"):
        read(BENCH.replace(known, other))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="E-CONFIG-MISSING"):
        load(tmp_path / "pole.toml", PoleSettings)
