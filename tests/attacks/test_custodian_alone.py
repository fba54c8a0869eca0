"""The custodian alone, and whoever stole the pole with one officer's help: everything but the other group's key.

The custodian works on the pole every day: all its files, every table there ever was, the keystore's secret of now, all
bundles, and a private half of one group. (7.3(1)1; THREATS: custodian alone, stolen pole)
"""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest
from pyrage import x25519

from firmware.custody.bundle.span import Span
from firmware.custody.desk.opening import OfficerKeys, open_bundle
from firmware.custody.desk.report import Reporter
from firmware.drivers.mp4 import Mp4Film
from firmware.footage.epochs import TableFile
from firmware.footage.ports import SecretSlot
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import PoleError
from tests.attacks.test_case_forged import members_of
from tests.parts.small_pole import FIRST, SmallPole

BOTH: tuple[SecretSlot, SecretSlot] = (0, 1)


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    pole = await SmallPole.begin(tmp_path / "state", minutes=2)
    for epoch in (FIRST, FIRST + 1):
        pole.record(epoch, chunks=1)
    return pole


async def identities_on(pole: SmallPole) -> dict[int, bytes]:
    """What root reads on the pole: the table opened with the keystore's secret."""
    found: dict[int, bytes] = {}
    for slot in BOTH:
        secret = await pole.keystore.read_secret(slot)
        for path in pole.store.folder.glob("*.table") if secret else ():
            table = TableFile(path, secret or b"")
            for hour in table.header.minutes:
                found |= {int(entry.epoch): entry.sealed_identity for entry in table.read_hour(hour)}
    return found


def opened(sealed: bytes, *keys: x25519.Identity) -> bool:
    """Tell whether ``keys``, in any order and as often as they like, take both layers off."""
    for first in keys:
        for second in keys:
            try:
                pyrage.decrypt(pyrage.decrypt(sealed, [first]), [second])
            except pyrage.DecryptError:
                continue
            return True
    return False


@pytest.mark.parametrize("group", ["a", "b"])
async def test_a_custodian_alone_opens_neither_chunk_nor_bundle(pole: SmallPole, tmp_path: Path, group: str) -> None:
    own = pole.officers.a if group == "a" else pole.officers.b
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(FIRST, MinuteNumber(FIRST + 1)))
    bundled = {name: content for name, content in members_of(path).items() if name.endswith("/identity.age")}
    stored = await identities_on(pole)
    assert (set(stored), len(bundled)) == ({FIRST, FIRST + 1}, 2)
    for sealed in (*stored.values(), *bundled.values()):
        assert not opened(sealed, own, x25519.Identity.generate())
        assert opened(sealed, pole.officers.a, pole.officers.b)  # the two of them do
    for epoch in (FIRST, FIRST + 1):
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(pole.store.chunk_path(MinuteNumber(epoch), 0).read_bytes(), [own])
    out = tmp_path / "opened"
    with pytest.raises(PoleError):
        open_bundle(
            path, OfficerKeys([own], [own]), out, Mp4Film, Reporter(path, compared=True).write, pole.prove,
            pole.public_key(),
        )  # fmt: skip
    assert not out.exists()


@pytest.mark.parametrize("group", ["a", "b"])
async def test_a_stolen_pole_with_one_officer_s_help_opens_nothing(pole: SmallPole, group: str) -> None:
    """Board, chip and disk on the thief's bench, and one officer's private half."""
    helper = pole.officers.a if group == "a" else pole.officers.b
    stored = await identities_on(pole)
    assert stored
    assert not any(opened(sealed, helper) for sealed in stored.values())
    assert not any(opened(sealed) for sealed in stored.values())


async def test_both_officers_without_the_pole_open_nothing_that_no_bundle_gave_them(pole: SmallPole) -> None:
    """A copy of the whole disk, but for the keystore, and both private halves."""
    for path in pole.store.folder.glob("*.table"):
        assert b"age-encryption.org" not in path.read_bytes()  # no identity, not even sealed to them
    for epoch in (FIRST, FIRST + 1):
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(
                pole.store.chunk_path(MinuteNumber(epoch), 0).read_bytes(), [pole.officers.a, pole.officers.b]
            )
