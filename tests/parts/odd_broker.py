"""Brokers that one cannot install: only MQTT 3.1.1, refusing in some way, or speaking old TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.parts.mosquitto import Mosquitto

CONNECT, PUBLISH, PINGREQ, DISCONNECT = 1, 3, 12, 14


class OddBroker:
    """Answers an MQTT 5 CONNECT with ``to_five`` and hangs up; ``to_four`` answers 3.1.1, then it acknowledges."""

    def __init__(self, to_five: bytes, to_four: bytes = b"\x20\x02\x00\x00") -> None:
        self.to_five = to_five
        self.to_four = to_four
        self.levels = list[int]()
        self.published = list[bytes]()
        self.packets = set[int]()
        self.port = 0

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None = None) -> AsyncIterator[OddBroker]:
        """Serve on a free port of 127.0.0.1 for the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.sleep(0.05)  # its transports end on the next rounds of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        body = await reader.readexactly(length)
        self.packets.add(head >> 4)
        match head >> 4:
            case 1:  # CONNECT
                self.levels.append(body[6])
                answer = self.to_five if body[6] == 5 else self.to_four
                writer.write(answer)
                return answer == b"\x20\x02\x00\x00"
            case 3:  # PUBLISH
                topic_length = int.from_bytes(body[:2], "big")
                self.published.append(body[topic_length + 4 :])
                writer.write(b"\x40\x02" + body[topic_length + 2 : topic_length + 4])
            case 12:  # PINGREQ
                writer.write(b"\xd0\x00")
        return head >> 4 != DISCONNECT


def old_tls(broker: Mosquitto) -> ssl.SSLContext:
    """Return the context of a server with the city's own certificate that knows TLS 1.2 at most."""
    certificate, key = broker.authority.issue("broker", server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
