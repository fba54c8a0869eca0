"""MQTT over TLS: the one session with the city's broker.

Knows:  a host, a port, certificate files, MQTT 5 and, where the broker refuses that version, 3.1.1.
Never:  a subscription; TLS below 1.3; another version after a TLS or authorisation error; a library's own text.
Leaves: reason codes of PUBACKs; :class:`CityError` with a code and a number.
Clauses: 6.3(1) (nobody listens in, nobody else speaks as this pole), 4.1 (publish only).

aiomqtt drives paho on the event loop but drops the reason code of a PUBACK, and waits its full timeout when the broker
hangs up before it has answered, as a TLS 1.3 broker does that refuses a client certificate. Both are mended here, in a
subclass that hears paho's callbacks itself. Every session starts clean: the outbox is the only memory.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiomqtt
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware.city.session import Connect, Message, Session
from firmware.city.settings import BrokerSettings
from firmware.ground.errors import CityError
from firmware.ground.lock import uncut

WINDOW: Final = 20
"""Publications under way at once, unless the broker allows fewer (MQTT 5 Receive Maximum)."""

_ANSWER_SECONDS: Final = 10.0
_GREETING_SECONDS: Final = 5.0
_SPEECHLESS: Final = frozenset({"E-CITY-SILENT", "E-CITY-LOST"})
_UNSUPPORTED_VERSION: Final = 132
_QOS: Final = 1


@dataclass(frozen=True, slots=True)
class MqttConnector:
    """Opens sessions; an instance is a :data:`firmware.city.session.Connect`. Files are read anew for each session."""

    settings: BrokerSettings
    folder: Path
    identifier: str

    @asynccontextmanager
    async def __call__(self, will: Message) -> AsyncIterator[Session]:
        """See :data:`firmware.city.session.Connect`."""
        client = await self._connected(will)
        try:
            yield _Session(client)
        finally:
            await client.leave()

    async def _connected(self, will: Message) -> _Client:
        try:
            return await self._connect(will, aiomqtt.ProtocolVersion.V5)
        except CityError as error:
            if error.code in _SPEECHLESS and await self._refuses_five():
                pass
            elif error.code != "E-CITY-VERSION":  # only that: anything else must not lead to another session
                raise
        return await self._connect(will, aiomqtt.ProtocolVersion.V311)

    async def _refuses_five(self) -> bool:
        """Ask once more with the shortest MQTT 5 CONNECT there is; tell whether the broker refuses that version.

        Some brokers read all of a CONNECT as 3.1.1 before they look at its version, and choke on a last will.
        """
        try:
            client = await self._connect(None, aiomqtt.ProtocolVersion.V5)
        except CityError as error:
            return error.code == "E-CITY-VERSION"
        await client.leave()
        return False

    async def _connect(self, will: Message | None, protocol: aiomqtt.ProtocolVersion) -> _Client:
        context = None if self.settings.plain else await asyncio.to_thread(self._tls)
        client = _Client(self.settings, self.identifier, will, protocol, context)
        await client.enter()
        return client

    def _tls(self) -> _Context:
        context = _Context(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
        context.minimum_version = ssl.TLSVersion.TLSv1_3  # 6.3(1)
        try:
            context.load_verify_locations(self.folder / self.settings.ca_file)
            context.load_cert_chain(self.folder / self.settings.certificate_file, self.folder / self.settings.key_file)
        except OSError as error:  # ssl.SSLError is one
            raise CityError(
                "E-CITY-CERTIFICATE",
                f"a certificate file cannot be used ({_ssl_reason(error) or error.strerror})",
                where=f"pole.toml: broker ({self.settings.certificate_file})",
                todo="put ca_file, certificate_file and key_file in place",
                clause="6.3(1)",
            ) from None
        return context


class _Session:
    """Implements :class:`firmware.city.session.Session`; has no way to subscribe."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    @property
    def window(self) -> int:
        """See :class:`firmware.city.session.Session`."""
        return self._client.window

    @property
    def protocol(self) -> str:
        """See :class:`firmware.city.session.Session`."""
        return "5" if self._client.five else "3.1.1"

    async def publish(self, message: Message) -> int:
        """See :class:`firmware.city.session.Session`."""
        return await self._client.publish_acknowledged(message)


class _Client(aiomqtt.Client):
    """One connection, and what aiomqtt leaves out."""

    def __init__(
        self,
        settings: BrokerSettings,
        identifier: str,
        will: Message | None,
        protocol: aiomqtt.ProtocolVersion,
        context: _Context | None,
    ) -> None:
        five = protocol is aiomqtt.ProtocolVersion.V5
        self._heard = _Heard()
        self._context = context
        super().__init__(
            settings.host,
            settings.port,
            identifier=identifier,
            protocol=protocol,
            clean_session=None if five else True,
            keepalive=settings.keepalive_seconds,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, _QOS, will.retain),
            tls_context=context,
            timeout=_GREETING_SECONDS,
            max_inflight_messages=WINDOW,
            logger=self._heard.logger,
        )
        self._where = f"broker {settings.host}:{settings.port}"
        self.five = five
        self.window = WINDOW
        self._acknowledged = dict[int, asyncio.Future[int]]()

    async def enter(self) -> None:
        """Connect. Raises CityError; leaves nothing open then."""
        try:
            await uncut(self.__aenter__())  # a half-made connection of the library's thread is never left behind
        except aiomqtt.MqttError as error:
            await self.leave()
            raise self._translated(error) from None
        except asyncio.CancelledError:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Disconnect, and close the socket whatever the broker does."""
        if self._connected.done() and not self._disconnected.done():
            self._client.disconnect()
            await asyncio.wait([self._disconnected], timeout=_ANSWER_SECONDS)
        if self._disconnected.done():
            self._disconnected.exception()  # taken, so that it is not reported as never retrieved
        socket = self._client.socket()
        if socket is not None:
            self._on_socket_close(self._client, None, socket)
            socket.close()
        if self._context is not None and self._context.socket is not None:
            self._context.socket.close()

    async def publish_acknowledged(self, message: Message) -> int:
        """Publish, and return the reason code of the PUBACK. Raises CityError."""
        properties = None
        if self.five and message.expiry_seconds is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
            properties.MessageExpiryInterval = message.expiry_seconds
        sent = self._client.publish(message.topic, message.payload, _QOS, message.retain, properties)
        if sent.rc != 0:
            raise self._lost()
        answer = asyncio.get_running_loop().create_future()
        self._acknowledged[sent.mid] = answer
        try:
            await asyncio.wait(
                [answer, self._disconnected], timeout=_ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._acknowledged.pop(sent.mid, None)
        if not answer.done():
            raise self._lost()
        return int(answer.result())

    def _on_publish(
        self, client: Paho, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        answer = self._acknowledged.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code.value)

    def _on_connect(
        self,
        client: Paho,
        userdata: object,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        allowed = getattr(properties, "ReceiveMaximum", WINDOW)
        self.window = max(1, min(WINDOW, allowed))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: Paho,
        userdata: object,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():  # the broker hung up instead of answering
            self._connected.set_exception(aiomqtt.MqttCodeError(reason_code))
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _lost(self) -> CityError:
        ended = self._disconnected.exception() if self._disconnected.done() else None
        code = _number(ended.rc) if isinstance(ended, aiomqtt.MqttCodeError) else 0
        return self._error("E-CITY-LOST", f"the session ended (MQTT reason {code})", "nothing; the pole connects again")

    def _translated(self, error: aiomqtt.MqttError) -> CityError:
        cause = error.__context__
        alert = self._heard.alert or (_ssl_reason(cause) if isinstance(cause, ssl.SSLError) else None)
        if alert is not None:
            return self._error(
                "E-CITY-TLS", f"TLS failed ({alert})", "check both certificates, their dates, and the pole's clock"
            )
        if isinstance(error, aiomqtt.exceptions.MqttConnectError):
            code = _number(error.rc)
            if code == _UNSUPPORTED_VERSION:
                return self._error(
                    "E-CITY-VERSION", "the broker refuses this MQTT version", "use a broker with MQTT 3.1.1 or 5"
                )
            return self._error(
                "E-CITY-REFUSED",
                f"the broker refuses the session (MQTT reason {code})",
                "check the broker's access list",
            )
        if isinstance(error, aiomqtt.MqttCodeError):
            return self._error(
                "E-CITY-LOST", "the broker hung up before it answered", "check the broker's log and access list"
            )
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            return self._error(
                "E-CITY-UNREACHABLE", f"no connection (errno {cause.errno})", "check network and address"
            )
        return self._error("E-CITY-SILENT", "the broker does not answer", "check network and broker")

    def _error(self, code: str, what: str, todo: str) -> CityError:
        return CityError(code, what, where=self._where, todo=todo, clause="6.3(1)" if code == "E-CITY-TLS" else "")


class _Context(ssl.SSLContext):
    """Remembers its socket, because paho forgets to close one whose handshake failed."""

    socket: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401  # as in ssl
        """See ssl.SSLContext."""
        self.socket = super().wrap_socket(*args, **options)
        return self.socket


class _Heard(logging.Handler):
    """Hears the library's log lines, keeps the name of a TLS alert, lets none of their text out."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.alert: str | None = None
        self.logger = logging.Logger("mqtt", logging.ERROR)  # ours alone, under no other logger
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Look for a TLS error among the line's arguments."""
        for value in record.args if isinstance(record.args, tuple) else ():
            if isinstance(value, ssl.SSLError):
                self.alert = _ssl_reason(value)


def _ssl_reason(error: OSError) -> str | None:
    """Return OpenSSL's name of what went wrong, e.g. ``TLSV13_ALERT_CERTIFICATE_REQUIRED``; None: not a TLS error.

    Some versions report a handshake that the other side hung up on without any reason.
    """
    reason: Any = getattr(error, "reason", None)
    if reason:
        return str(reason)
    return "CLOSED_IN_HANDSHAKE" if isinstance(error, ssl.SSLError) else None


def _number(code: object) -> int:
    return int(code.value) if isinstance(code, ReasonCode) else int(code) if isinstance(code, int) else 0


def connector(settings: BrokerSettings, folder: Path, identifier: str) -> Connect:
    """Return the connector for ``settings``; ``identifier`` is the MQTT client identifier, the pole's name."""
    return MqttConnector(settings, folder, identifier)
