"""A broker for demonstrations, and the city's side of it. Never in the image, never on a pole.

``python -m tools.broker --port 1883`` runs until Ctrl-C: Mosquitto if it is installed, else amqtt (MQTT 3.1.1 only, so
that the pole's fallback is seen at work). No TLS, no passwords, 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiomqtt

HOST: Final = "127.0.0.1"
_SBIN: Final = ("/usr/sbin", "/usr/local/sbin")


def free_port() -> int:
    """Return a port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str | None:
    """Return Mosquitto's path, None where it is not installed (Debian keeps it in /usr/sbin)."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))


class DemoBroker:
    """``async with DemoBroker() as broker``: a broker on ``broker.port`` for the block; ``broker.name`` says which."""

    def __init__(self, port: int | None = None, *, mosquitto: str | None = find_mosquitto()) -> None:
        self.port = port or free_port()
        self.name = "mosquitto" if mosquitto else "amqtt"
        self._mosquitto = mosquitto
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._embedded: Any = None

    async def __aenter__(self) -> Self:
        """Start, and wait until it listens."""
        if self._mosquitto:
            await self._start_mosquitto(self._mosquitto)
        else:
            await self._start_embedded()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        if self._embedded is not None:
            await self._embedded.shutdown()
        if self._folder is not None:
            self._folder.cleanup()

    async def _start_mosquitto(self, program: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="demo-broker-")
        configuration = Path(self._folder.name) / "mosquitto.conf"
        configuration.write_text(
            f"listener {self.port} {HOST}\nallow_anonymous true\npersistence false\nlog_type none\n"
        )
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(configuration), stderr=asyncio.subprocess.DEVNULL
        )
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection(HOST, self.port)
            except OSError:
                if self._process.returncode is not None:
                    break
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
        message = f"mosquitto did not start on port {self.port}"
        raise RuntimeError(message)

    async def _start_embedded(self) -> None:
        from amqtt.broker import Broker  # noqa: PLC0415  # an extra that Mosquitto makes unnecessary

        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self._embedded = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._embedded.start()


@dataclass(frozen=True, slots=True)
class Received:
    """One message as the city sees it; ``body`` is the JSON object, or the text of a checkpoint."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def kind(self) -> str:
        """``minute``, ``attr``, ``gap``, ``$meta``, ``status``, ``privacy/meter`` or ``audit/checkpoint``."""
        tail = self.topic.split("/sp/v1/", 1)[-1].split("/")
        return "/".join(tail[3:] if tail[1:2] == ["flow"] else tail[1:])

    @property
    def body(self) -> dict[str, Any] | str:
        """The message, decoded."""
        text = self.payload.decode()
        if not text.startswith("{"):
            return text
        decoded: dict[str, Any] = json.loads(text)
        return decoded


@dataclass
class Subscriber:
    """The city's reference subscriber: listens, keeps each ``(topic, spSeq)`` once.

    ``async with Subscriber(port).listening() as city`` collects in ``city.messages`` for the block;
    :meth:`follow` yields messages as they come.
    """

    port: int
    host: str = HOST
    messages: list[Received] = field(default_factory=list)
    repeated: int = 0
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _news: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Subscriber]:
        """Subscribe, and collect until the block ends."""
        # 3.1.1 here: both demo brokers speak it
        async with aiomqtt.Client(self.host, self.port, identifier="city-reader") as client:
            await client.subscribe("jp/#", qos=1)
            collecting = asyncio.create_task(self._collect(client))
            try:
                yield self
            finally:
                collecting.cancel()
                await asyncio.wait([collecting])

    async def follow(self) -> AsyncIterator[Received]:
        """Yield messages as they come, without end."""
        while True:
            yield await self._news.get()

    def of(self, kind: str) -> list[Received]:
        """Return what came as ``kind`` so far."""
        return [message for message in self.messages if message.kind == kind]

    async def _collect(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
            self._take(Received(str(message.topic), payload, message.retain))

    def _take(self, received: Received) -> None:
        body = received.body
        if isinstance(body, dict) and "spSeq" in body:
            name = (received.topic, int(body["spSeq"]))
            if name in self._seen:
                self.repeated += 1
                return
            self._seen.add(name)
        self.messages.append(received)
        self._news.put_nowait(received)
