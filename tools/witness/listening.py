"""The witness's ear: one MQTT session that reads ``audit/#`` of every pole, and nothing else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TOPICS: Final = ("jp/+/sp/v1/+/audit/growth", "jp/+/sp/v1/+/audit/checkpoint")
SESSION_SECONDS: Final = 30 * 86_400
"""How long the broker keeps what comes while the witness is away, if its own settings allow that."""

_LONGEST_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where to listen; without ``ca`` in plain text, for a demonstration. ``name`` is this witness's own."""

    host: str
    port: int
    name: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return TLS 1.3 with the witness's certificate. Raises OSError."""
        if self.ca is None:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self) -> aiomqtt.Client:
        """Return a client whose session outlives its connection: what comes meanwhile is delivered in order."""
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_SECONDS
        return aiomqtt.Client(
            self.host,
            self.port,
            identifier=f"witness-{self.name.replace('/', '-')}",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            tls_context=self.tls(),
        )


async def listen(broker: Broker, take: Callable[[str, bytes], object], say: Callable[[str], None]) -> None:
    """Give every message to ``take(topic, payload)``, for ever; connect again whenever the session ends."""
    wait_seconds = 1.0
    while True:
        try:
            async with broker.client() as client:
                for topic in TOPICS:
                    await client.subscribe(topic, qos=1)
                say(f"listening at {broker.host}:{broker.port}")
                wait_seconds = 1.0
                async for message in client.messages:
                    payload = message.payload
                    take(str(message.topic), payload if isinstance(payload, bytes) else str(payload).encode())
        except aiomqtt.MqttError as error:
            say(f"no session ({type(error).__name__}); trying again in {wait_seconds:.0f} s")
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)
