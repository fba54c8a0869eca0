"""A bundle on its way: bytes flipped, members dropped, swapped, added, the rest cut off, its story rewritten."""

from __future__ import annotations

import dataclasses
import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.custody.bundle import index
from firmware.custody.bundle.archive import Writer, reading, writing
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.index import Index
from firmware.custody.bundle.span import Span
from firmware.custody.desk.opening import OfficerKeys, open_bundle
from firmware.custody.desk.report import Reporter
from firmware.drivers.mp4 import Mp4Film
from firmware.footage.manifest import sha256_of
from firmware.ground import note
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError, LedgerError, PoleError
from firmware.ground.note import Signer
from tests.parts.small_pole import FIRST, SmallPole, film_of
from tests.signing import Ed25519Key

MADE_NS = (FIRST + 3) * 60 * 10**9
Members = dict[str, bytes]


@dataclasses.dataclass
class Case:
    """A pole, its bundle of two minutes (of three recorded), and where an opening would go."""

    pole: SmallPole
    path: Path
    out: Path

    def members(self) -> Members:
        with tarfile.open(self.path) as tar:
            return {member.name: read(tar, member) for member in tar}

    def write(self, members: Members) -> None:
        """Write a bundle as the pole would, of whatever ``members``."""
        self.path.unlink()
        with writing(self.path, MADE_NS) as tar:
            for name, content in members.items():
                tar.add(name, content)

    def fault(self) -> PoleError:
        """Try to open it with all keys; nothing may be left of the attempt."""
        with pytest.raises(PoleError) as caught:
            self.open()
        assert not list(self.out.parent.glob(f"*{self.out.name}*"))
        return caught.value

    def open(self) -> None:
        keys = OfficerKeys([self.pole.officers.a], [self.pole.officers.b])
        open_bundle(
            self.path,
            keys,
            self.out,
            Mp4Film,
            Reporter(self.path, compared=True).write,
            self.pole.prove,
            self.pole.public_key(),
        )


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


@pytest.fixture
async def case(tmp_path: Path) -> Case:
    pole = await SmallPole.begin(tmp_path / "state", minutes=3)
    for epoch in range(FIRST, FIRST + 3):
        pole.record(epoch, chunks=2)
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(FIRST, MinuteNumber(FIRST + 1)))
    return Case(pole, path, tmp_path / "opened")


def test_it_opens_as_it_is_and_written_again(case: Case) -> None:
    content = case.path.read_bytes()
    case.write(case.members())
    assert case.path.read_bytes() == content
    case.open()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_noticed_and_nothing_is_written(case: Case, data: st.DataObject) -> None:
    whole = case.path.read_bytes()
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    case.path.write_bytes(whole[:at] + bytes((whole[at] ^ 1 << bit,)) + whole[at + 1 :])
    try:
        case.fault()
    finally:
        case.path.write_bytes(whole)


def test_a_flipped_byte_in_each_member_is_refused_and_the_member_named(case: Case) -> None:
    members = case.members()
    for name, content in members.items():
        for at in (0, len(content) // 2, len(content) - 1):
            case.write({**members, name: content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]})
            error = case.fault()
            assert name in str(error) or name in (index.INDEX, index.NOTE, index.POLE_KEY), (name, at)


def boundaries(path: Path) -> set[int]:
    """Where each member's header and content begin, and where the last one's ends."""
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    return {
        place for member in members for place in (member.offset, member.offset_data, member.offset_data + member.size)
    }


def test_a_bundle_copied_half_is_refused_and_says_so(case: Case) -> None:
    """Cut at every member's beginning and end, a byte before, a byte after, at every block and at random places."""
    whole, dice = case.path.read_bytes(), random.Random(7)  # noqa: S311 - where to cut is no secret
    last = max(boundaries(case.path))
    places = {place + off for place in boundaries(case.path) for off in (-1, 0, 1)} | set(range(0, last, 512))
    places |= {dice.randrange(last) for _ in range(200)}
    for length in sorted(place for place in places if 0 <= place < last):
        case.path.write_bytes(whole[:length])
        error = case.fault()
        assert (error.code, "only a part was copied" in error.what, error.clause) == ("E-CASE-HALF", True, "7.3(1)3")
    for length in range(last, len(whole)):  # of the last member's padding and the archive's end, nothing is missed
        case.path.write_bytes(whole[:length])
        if length % 512:
            assert case.fault().code == "E-CASE-HALF"
            break


def test_each_missing_member_is_named(case: Case) -> None:
    members = case.members()
    for name in members:
        case.write({other: content for other, content in members.items() if other != name})
        error = case.fault()
        assert error.code in ("E-CASE-MISSING", "E-CASE-HALF")
        assert name in error.what


def test_an_added_member_is_refused(case: Case) -> None:
    """A plaintext film slipped in beside the sealed chunks, under a name that a bundle could have."""
    members = case.members()
    case.write({f"minutes/{FIRST}/7.age": film_of(99), **members})
    error = case.fault()
    assert (error.code, f"minutes/{FIRST}/7.age" in error.what) == ("E-CASE-MISSING", True)


@pytest.mark.parametrize(
    "name",
    ["film.mp4", "../../escape", "/etc/cron.d/x", "minutes/1/../2.age", "minutes/1/0.age/", "minutes/01/0.age",
     "bundle.json\n", "minutes/1/10000.age", "", "minutes/\u0661/0.age"],
)  # fmt: skip
def test_a_name_that_no_bundle_has_is_refused_before_anything_is_read(case: Case, name: str) -> None:
    members = case.members()
    case.write({name: b"x", **members})
    assert case.fault().code in ("E-CASE-SMUGGLED", "E-CASE-HALF")


Change = Callable[[tarfile.TarInfo], None]


def link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"


def owner(info: tarfile.TarInfo) -> None:
    info.uname = "taro.odawara"


def comment(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"comment": "a message"}


@pytest.mark.parametrize("change", [link, owner, comment])
def test_nothing_is_carried_in_headers(case: Case, change: Change) -> None:
    members = case.members()
    with tarfile.open(case.path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o444, MADE_NS // 10**9
            if name == index.LINE:
                change(info)
            tar.addfile(info, io.BytesIO(content))
    assert case.fault().code == "E-CASE-SMUGGLED"


def test_nothing_stands_twice_or_behind_the_end(case: Case) -> None:
    members = case.members()
    whole = case.path.read_bytes()
    case.path.write_bytes(whole + b"a film")
    assert case.fault().code == "E-CASE-SMUGGLED"
    case.path.unlink()
    with writing(case.path, MADE_NS) as tar:
        for name, content in [*members.items(), *members.items()]:
            tar.add(name, content)
    assert case.fault().code == "E-CASE-SMUGGLED"


def reindexed(members: Members, change: Callable[[Index], Index]) -> Members:
    """Change the index and list the members anew, as somebody without the pole's key can."""
    made = change(index.decode(members[index.INDEX]))
    writer = Writer(tarfile.open(fileobj=io.BytesIO(), mode="w"), 0)  # noqa: SIM115  # only to hash
    for name, content in members.items():
        if name not in (index.INDEX, index.NOTE):
            writer.add(name, content)
    return {**members, index.INDEX: msgspec.structs.replace(made, members=tuple(writer.members)).encoded()}


async def signed(members: Members, key: Signer) -> Members:
    text = index.note_text(key.name, members[index.INDEX])
    return {**members, index.NOTE: (await note.sign_note(text, key)).encode()}


def without_second_minute(made: Index) -> Index:
    return msgspec.structs.replace(made, epochs=made.epochs[:1])


def dropped(members: Members) -> Members:
    return {name: content for name, content in members.items() if f"/{FIRST + 1}/" not in name}


def test_a_minute_cannot_be_dropped_from_the_story(case: Case) -> None:
    case.write(reindexed(dropped(case.members()), without_second_minute))
    error = case.fault()
    assert (error.code, index.INDEX in error.what) == ("E-CASE-CHANGED", True)


async def test_not_even_by_who_has_the_pole_s_key_once_the_ledger_has_told(case: Case) -> None:
    """The ledger's line counts the minutes; a second story would need a second line."""
    case.write(await signed(reindexed(dropped(case.members()), without_second_minute), case.pole.key))
    error = case.fault()
    assert (error.code, "another bundle" in error.what) == ("E-CASE-CHANGED", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: msgspec.structs.replace(made, document="2026-124"),
        lambda made: msgspec.structs.replace(made, first_epoch=FIRST - 1),
        lambda made: msgspec.structs.replace(made, ledger_line=1),
        lambda made: msgspec.structs.replace(made, pole="sp04"),
        lambda made: msgspec.structs.replace(
            made, damaged=(index.DamagedChunk(epoch=FIRST, sequence=0, why="missing"),)
        ),
    ],
)
async def test_the_index_cannot_tell_another_story_than_ledger_and_manifests(
    case: Case, change: Callable[[Index], Index]
) -> None:
    case.write(await signed(reindexed(case.members(), change), case.pole.key))
    assert case.fault().code in ("E-CASE-CHANGED", "E-CASE-MISSING")


async def test_a_chunk_cannot_be_exchanged_after_its_minute_was_told(case: Case) -> None:
    """Not even by who has the pole's key and a minute's public half: the manifest's hash is in the ledger."""
    members = case.members()
    recipient = case.pole.identities[FIRST].to_public()
    members[f"minutes/{FIRST}/0.age"] = pyrage.encrypt(film_of(99), [recipient])
    case.write(await signed(reindexed(members, lambda made: made), case.pole.key))
    error = case.fault()
    assert (error.code, f"minutes/{FIRST}/0.age" in error.what) == ("E-CASE-CHANGED", True)


async def test_another_pole_s_bundle_does_not_pass_for_this_pole_s(case: Case, tmp_path: Path) -> None:
    other = await SmallPole.begin(tmp_path / "other" / "state", minutes=3)
    other.key = Ed25519Key(seed=2)
    for epoch in range(FIRST, FIRST + 2):
        other.record(epoch, chunks=1)
    case.path.unlink()
    await other.bundle(case.path, Span(FIRST, MinuteNumber(FIRST + 1)))
    error = case.fault()
    assert (error.code, isinstance(error, LedgerError)) == ("E-LEDGER-KEY", True)
    with reading(case.path) as reader:  # without a key to compare it holds together: hence the fingerprint
        assert CheckedBundle(reader, None).key.fingerprint() != case.pole.public_key().fingerprint()


async def test_one_minute_s_identity_does_not_open_another(case: Case) -> None:
    members = case.members()
    first, second = (index.of_minute(epoch, "identity.age") for epoch in (FIRST, FIRST + 1))
    members[first], members[second] = members[second], members[first]
    case.write(await signed(reindexed(members, lambda made: made), case.pole.key))
    assert case.fault().code == "E-CASE-SEAL"


async def test_plaintext_in_a_chunk_s_place_is_refused_though_everything_is_signed(case: Case, tmp_path: Path) -> None:
    """A pole gone mad: its manifest, ledger and index vouch for a chunk that is not sealed."""
    manifest = case.pole.store.manifest(FIRST)
    assert manifest is not None
    plain = film_of(77)
    case.pole.store.chunk_path(FIRST, 0).write_bytes(plain)
    chunk = msgspec.structs.replace(manifest.chunks[0], sha256=sha256_of(plain), ciphertext_bytes=len(plain))
    changed = msgspec.structs.replace(manifest, chunks=(chunk, *manifest.chunks[1:]))
    case.pole.ledger.refresh()
    case.pole.ledger.append("minute.sealed", epoch=FIRST, manifest=case.pole.store.write_manifest(changed))
    case.path = tmp_path / "second.tar"
    await case.pole.bundle(case.path, Span(FIRST, FIRST))
    error = case.fault()
    assert (error.code, f"minutes/{FIRST}/0.age" in error.what) == ("E-CASE-PLAIN", True)


def test_a_bundle_holds_no_private_half_and_no_picture(case: Case) -> None:
    content = case.path.read_bytes()
    assert b"AGE-SECRET-KEY-" not in content
    assert b"ftyp" not in content
    for group in (case.pole.officers.a, case.pole.officers.b):
        for name, member in case.members().items():
            if name.endswith("/0.age"):
                with pytest.raises(pyrage.DecryptError):
                    pyrage.decrypt(member, [group])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=2000))
def test_any_other_file_is_refused_in_words(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "junk.tar"
    path.write_bytes(junk)
    with pytest.raises(CaseError), reading(path):
        pass
