"""A real Mosquitto on a free port, with certificates of its own city, for one test."""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware.city.settings import BrokerSettings

_START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str = "city") -> None:
        self.folder = folder
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
        certificate = self._builder(self._subject, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.ca_file = folder / f"{name}-ca.pem"
        self.ca_file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, server: bool = False) -> tuple[Path, Path]:
        """Make a certificate whose common name is ``name``; return its file and the key's."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate_file = self.folder / f"{self.name}-{name}.pem"
        key_file = self.folder / f"{self.name}-{name}.key"
        certificate_file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_START)
            .not_valid_after(_END)
        )


@dataclass
class Mosquitto:
    """One broker: mutual TLS 1.3, a pole may only write below its own name, ``city`` may only read."""

    folder: Path
    authority: Authority
    port: int
    tls: bool = True
    extra: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it and wait until it listens."""
        server, server_key = self.authority.issue("broker", server=True)
        access = self.folder / "access"
        access.write_text(
            "pattern write jp/142069/sp/v1/%u/#\nuser city\ntopic read jp/#\n"
            "user witness\ntopic read jp/+/sp/v1/+/audit/#\n"
        )
        access.chmod(0o600)
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"user {getpass.getuser()}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_on_changes true",
            "autosave_interval 1",
            "max_queued_messages 100000",
            "max_inflight_messages 1000",
            "log_type all",
            f"log_dest file {self.folder}/broker.log",
            *self.extra,
        ]
        if self.tls:
            lines += [
                f"cafile {self.authority.ca_file}",
                f"certfile {server}",
                f"keyfile {server_key}",
                "require_certificate true",
                "use_identity_as_username true",
                "tls_version tlsv1.3",
                "allow_anonymous false",
                f"acl_file {access}",
            ]
        else:
            lines += ["allow_anonymous true"]
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        assert program, "these tests need mosquitto (Debian package mosquitto)"
        self.process = subprocess.Popen([program, "-c", str(configuration)], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "broker.log").read_text()
            signal.sigtimedwait([], 0.05)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def settings(self, name: str = "sp03", authority: Authority | None = None) -> BrokerSettings:
        """Return settings of a client called ``name``, its certificate made by ``authority`` (the broker's own)."""
        if not self.tls:
            return BrokerSettings(host="127.0.0.1", port=self.port, plain=True)
        certificate, key = (authority or self.authority).issue(name)
        return BrokerSettings(
            host="localhost",
            port=self.port,
            ca_file=str(self.authority.ca_file),
            certificate_file=str(certificate),
            key_file=str(key),
        )

    def client(self, name: str = "city", *, persistent: bool = False, **more: object) -> aiomqtt.Client:
        """Return a plain aiomqtt client with MQTT 5, by default the city's own."""
        import ssl

        context = None
        if self.tls:
            settings = self.settings(name)
            context = ssl.create_default_context(cafile=settings.ca_file)
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600 if persistent else 0
        return aiomqtt.Client(
            "localhost" if self.tls else "127.0.0.1",
            self.port,
            identifier=f"{name}-reader",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=not persistent,
            properties=properties,
            tls_context=context,
            **more,  # type: ignore[arg-type]  # keyword arguments of aiomqtt
        )


@asynccontextmanager
async def listening(broker: Mosquitto, *, persistent: bool = False) -> AsyncIterator[list[aiomqtt.Message]]:
    """Collect what the city receives, as long as the block lasts."""
    received = list[aiomqtt.Message]()
    async with broker.client(persistent=persistent) as client:
        await client.subscribe("jp/#", qos=1)

        async def collect() -> None:
            async for message in client.messages:
                received.append(message)

        task = asyncio.create_task(collect())
        try:
            yield received
        finally:
            task.cancel()
            await asyncio.wait([task])


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker with mutual TLS."""
    folder = tmp_path / "broker"
    folder.mkdir()
    running = Mosquitto(folder, Authority(folder), free_port())
    running.start()
    yield running
    running.stop()
