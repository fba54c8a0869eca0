"""The officers: keys made, a hold by telephone, a case on a document, two approvals, a bundle, opened and looked at.

Knows:  the command line of ``pole-custodian``, two officers' keys, which never enter a pole's folder.
Never:  a way round the command line: what it does here, an officer can do by hand.
Leaves: a film, its papers, a contact sheet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image
from pyrage import x25519

from firmware.footage.settings import Officers

POLICE = "odawara-ps"
CUSTODIAN = Path(sys.executable).parent / "pole-custodian"
SHEET = (4, 3)
THUMB = (320, 180)


@dataclass(frozen=True, slots=True)
class Officer:
    """One officer's key file, the file with its passphrase (an officer keeps it in the head), its public half."""

    key: Path
    passphrase: Path
    recipient: str


@dataclass(frozen=True, slots=True)
class Office:
    """The desk: a folder that no pole has, with the officers' age keys and the SSH keys with which they sign."""

    folder: Path
    a: Officer
    b: Officer

    def signing_key(self, account: str) -> Path:
        """Return an officer's SSH key, made when first asked for; in real life a token in a pocket."""
        path = self.folder / f"{account}.ssh"
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
        return path

    def public_key(self, account: str) -> str:
        """Return its public half."""
        return " ".join(Path(f"{self.signing_key(account)}.pub").read_text().split()[:2])

    def listed(self) -> Path:
        """Return the office's own list of its officers' keys."""
        path = self.folder / "officers.txt"
        path.write_text("".join(f"{account} {self.public_key(account)}\n" for account in ("chief", "manager")))
        return path

    @property
    def officers(self) -> Officers:
        """The public halves, for ``footage.toml``."""
        return Officers(a=(self.a.recipient,), b=(self.b.recipient,))


def custodian(*words: str) -> tuple[int, dict[str, object]]:
    """Run ``pole-custodian ... --json``; return its exit code and its answer."""
    done = subprocess.run([CUSTODIAN, *words, "--json"], capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"pole-custodian {words[0]} answered nothing: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


def open_office(folder: Path) -> Office:
    """Make two officers' keys, each with its own generated passphrase."""
    folder.mkdir(mode=0o700, parents=True)
    return Office(folder, _officer(folder, "group-a"), _officer(folder, "group-b"))


def _officer(folder: Path, name: str) -> Officer:
    key, passphrase = folder / f"{name}.age", folder / f"{name}.words"
    code, answer = custodian("keygen", "--out", str(key), "--name", name)
    if code:
        raise SystemExit(f"no key: {answer}")
    passphrase.write_text(str(answer["passphrase"]))
    passphrase.chmod(0o600)
    return Officer(key, passphrase, str(answer["recipient"]))


@dataclass(frozen=True, slots=True)
class AtThePole:
    """Officers at a pole's console: every step is a command that an officer can type."""

    desk: Office
    config: Path
    state: Path

    def act(self, *words: str, by: str = "manager", more: tuple[str, ...] = ()) -> tuple[int, dict[str, object]]:
        """Run a command as ``by``, signed by ``more`` too."""
        signers = [option for account in more for option in ("--with", account)]
        signers += [option for who in (by, *more) for option in ("--sign-with", str(self.desk.signing_key(who)))]
        return custodian(*words, "--config", str(self.config), "--state", str(self.state), "--as", by, *signers)

    def must(self, *words: str, by: str = "manager", more: tuple[str, ...] = ()) -> dict[str, object]:
        """Run a command that nothing may refuse."""
        code, answer = self.act(*words, by=by, more=more)
        if code:
            raise SystemExit(f"pole-custodian {' '.join(words)}: {answer}")
        return answer

    def found(self, pole: str) -> None:
        """Found the office: a chief and a manager, and the police station that may receive footage."""
        founders = self.desk.folder / "founders.toml"
        founders.write_text(
            "".join(
                f'[[officers]]\naccount = "{who}"\nrole = "{who}"\nkey = "{self.desk.public_key(who)}"\n'
                for who in ("chief", "manager")
            )
        )
        self.must("officer", "found", str(founders), "--yes", pole, by="chief", more=("manager",))
        key = str(x25519.Identity.generate().to_public())
        self.must(
            "recipient", "add", POLICE, "--organisation", "小田原警察署", "--kind", "police-station", "--key", key
        )

    def hold_by_telephone(self, span: str) -> tuple[int, dict[str, object]]:
        """Keep the minutes of ``span`` on a call that was called back."""
        return self.act("hold", "place", "--span", span, "--office", "小田原警察署", "--called-back")

    def document(self, document: str) -> list[str]:
        """Return the options for a document."""
        return [
            "--document", document, "--date", "2026-11-20", "--authority", "小田原警察署",
            "--instrument", "investigation-inquiry",
        ]  # fmt: skip

    def case_until_scoped(self, document: str, span: str) -> str:
        """Open a case from the hold, enter the document, scope it; return its number."""
        self.must("case", "open", "--hold", "1")
        cases = self.must("case", "list")["cases"]
        assert isinstance(cases, list)
        case = str(cases[-1]["case"])
        self.must("case", "document", case, *self.document(document))
        self.must("case", "scope", case, "--span", span, "--to", POLICE)
        return case


def open_bundle(office: Office, bundle: Path, out: Path) -> tuple[int, dict[str, object]]:
    """Open ``bundle`` at the desk with both officers' keys."""
    return custodian(
        "open",
        str(bundle),
        "--identity-a",
        str(office.a.key),
        "--passphrase-a-file",
        str(office.a.passphrase),
        "--identity-b",
        str(office.b.key),
        "--passphrase-b-file",
        str(office.b.passphrase),
        "--officers",
        str(office.listed()),
        "--out",
        str(out),
    )


def contact_sheet(film: Path, out: Path) -> int:
    """Draw ``SHEET`` pictures evenly spread over ``film`` to the PNG ``out``; return how many frames the film has."""
    columns, rows = SHEET
    with av.open(str(film)) as container:
        frames = container.streams.video[0].frames
    wanted = {frames * place // (columns * rows) for place in range(columns * rows)}
    sheet = Image.new("RGB", (columns * THUMB[0], rows * THUMB[1]))
    place = 0
    decoded = 0
    with av.open(str(film)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            decoded += 1
            if number in wanted:
                thumb = frame.to_image().resize(THUMB)
                sheet.paste(thumb, (place % columns * THUMB[0], place // columns * THUMB[1]))
                place += 1
    sheet.save(out)
    return decoded
