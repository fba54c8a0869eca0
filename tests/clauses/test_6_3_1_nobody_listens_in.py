"""6.3(1): 盗聴、不正利用、目的外利用を防止する. What leaves a pole leaves over TLS 1.3, or not at all."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from firmware.city.session import Message
from firmware.city.settings import BrokerSettings
from firmware.drivers.mqtt import connector
from firmware.ground.errors import CityError, ConfigError
from tests.parts.mosquitto import Authority
from tests.unit.upkeep.test_settings import POLE, read


@pytest.mark.parametrize("table", ["", '[broker]\nhost = "h"\nplain = true\n', '[broker]\nhost = "h"\n'])
def test_a_pole_without_tls_does_not_start(table: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(POLE.partition("[broker]")[0] + table)
    assert (caught.value.code, caught.value.clause) == ("E-CONFIG-LAW", "6.3(1)")


async def test_a_broker_that_speaks_less_than_tls_1_3_hears_nothing(tmp_path: Path) -> None:
    authority, heard = Authority(tmp_path), list[bytes]()
    certificate, key = authority.issue("broker", server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    own, own_key = authority.issue("sp03")
    settings = BrokerSettings(
        host="localhost",
        port=server.sockets[0].getsockname()[1],
        ca_file=str(authority.ca_file),
        certificate_file=str(own),
        key_file=str(own_key),
    )
    async with server:
        with pytest.raises(CityError, match="E-CITY-TLS"):
            async with connector(settings, tmp_path, "sp03")(Message("jp/x", b"gone", retain=True)):
                pass
    assert heard == []
