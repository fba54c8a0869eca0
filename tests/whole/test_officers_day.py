"""board/OFFICERS.md is true: from the call to the erased footage, every command typed as it stands, a TPM beneath it.

One pole with its own TPM (swtpm), provisioned; three officers with SSH keys of their own; a desk and a police station
that have neither the pole's state nor its home; stock age, ffprobe, Chromium; a witness of another organisation. Its
officers see the pole under profile ``pole``: an unproven clock locks it. It films a video, which only a bench may.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SystemClock, iso_utc, minute_of
from tests.parts.chromium import browser_page, played, verdict
from tests.parts.swtpm import swtpm
from tests.parts.terminal import PROGRAMS, Terminal, consoles
from tests.whole.bench import FPS, POLE, ROOT, film, ledger, write_settings
from tests.whole.bench import say as pole_says

PAGE = ROOT / "board" / "OFFICERS.md"
SPAN = ("2026-11-21T22:00:00+09:00", "2026-11-21T23:30:00+09:00")
POLICE = "神奈川県小田原警察署"
PAPER = ("--document", "小刑発第123号", "--date", "2026-11-24", "--authority", POLICE)
RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
NINE_WORDS = re.compile(r"passphrase +((?:[a-z]+-){8}[a-z]+)")
MINUTES = 2
JAPAN = dt.timezone(dt.timedelta(hours=9))


@dataclass
class Office:
    """Everybody and everything of the story; nobody's folder is another's."""

    folder: Path
    sheet: dict[int, list[str]]
    pole: Terminal
    desk: Terminal
    sockets: dict[tuple[str, ...], Path] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)

    def type(self, command: str, *, ends: int = 0) -> str:
        """Type a command of the page where it belongs, with its officers' agent."""
        self.typed.add(command)
        at_the_pole = " --as " in command or re.search(
            r"time (challenge|confirm)|erasure certificate|conserve|custodian pole-key", command
        )
        if not at_the_pole:
            return self.desk.type(command, ends=ends)
        accounts = tuple(re.findall(r"--(?:as|with) (\S+)", command))
        socket = {"SSH_AUTH_SOCK": str(self.agent(*accounts))} if accounts else {}
        self.pole.environment = {**self.pole.environment, **socket}
        config = "" if "conserve" in command else f" --config {self.folder / 'seen'}"
        return self.pole.type(command + config, ends=ends)

    def section(self, number: int, first: int = 0, last: int | None = None) -> list[str]:
        """Type commands of a section, in order; return the screens."""
        return [self.type(command) for command in self.sheet[number][first:last]]

    def refused(self, code: str, *words: str, by: str) -> dict[str, Any]:
        """Try what must be refused, as a program does; the clause stands in the refusal."""
        done = subprocess.run(
            [PROGRAMS / "pole-custodian", *words, "--as", by, "--config", self.folder / "seen", "--json"],
            cwd=self.pole.folder, env={**os.environ, "SSH_AUTH_SOCK": str(self.agent(by))},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, (words, done.stdout, done.stderr)
        error: dict[str, Any] = json.loads(done.stdout)["error"]
        assert error["code"] == code, error
        return error

    def key(self, account: str) -> Path:
        """An officer's signing key, made at the desk."""
        path = self.desk.folder / account
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", account, "-f", path], check=True)
        return path

    def agent(self, *accounts: str) -> Path:
        """The agent of the officers who sit together now, as ``ssh -A`` brings it to the pole."""
        return self.sockets[accounts]

    @contextlib.contextmanager
    def agents(self, *parties: tuple[str, ...]) -> Iterator[None]:
        """Run an agent for each party of officers."""
        with contextlib.ExitStack() as stack:
            for number, accounts in enumerate(parties):
                socket = self.folder / f"agent-{number}"
                agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
                stack.callback(agent.wait)
                stack.callback(agent.terminate)
                wait_for(socket.exists)
                keys = [self.key(account) for account in accounts]
                environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
                subprocess.run(["ssh-add", "-q", *keys], env=environment, check=True, capture_output=True)
                self.sockets[accounts] = socket
            yield


def wait_for(what: Any, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came")


@contextlib.contextmanager
def filming(config: Path, video: Path) -> Iterator[None]:
    """Run the pole in real time."""
    with (config / "log").open("a") as log:
        process = subprocess.Popen([POLE, "run", "--config", config, "--video", video], stderr=log)
        try:
            wait_for(lambda: "counter.ready" in (config / "log").read_text())
            yield
        finally:
            process.terminate()
            process.wait(30)


def settings(folder: Path, tcti: str, a: str, b: str) -> Path:
    """Write the pole's settings, and beside them what its officers see: the same under profile ``pole``."""
    footage = {"keystore": "tpm2", "tcti": tcti, "time_source": "officer"}
    config = write_settings(folder / "config", pole={"pole": "sp03"}, footage=footage, a=a, b=b)
    shutil.copytree(config, folder / "seen")
    pole = (folder / "seen" / "pole.toml").read_text()
    (folder / "seen" / "pole.toml").write_text(pole.replace('profile = "bench"', 'profile = "pole"'))
    return config


def open_office(folder: Path, begin: dt.datetime) -> Office:
    places = {
        SPAN[0]: begin.isoformat(), SPAN[1]: (begin + dt.timedelta(minutes=MINUTES)).isoformat(),
        "2026-0001": f"{dt.datetime.now(dt.UTC).year}-0001", "/var/lib/smartpole": str(folder / "config" / "state"),
    }  # fmt: skip
    for name in ("console", "desk"):
        (folder / name).mkdir()
    desk = folder / "desk"
    pole = Terminal(folder / "console", places, environment={"SMARTPOLE_LANG": "ja"})
    elsewhere = {"HOME": str(desk), "SMARTPOLE_LANG": "en", "SSH_AUTH_SOCK": "/nonexistent"}
    return Office(folder, consoles(PAGE), pole, Terminal(desk, places, environment=elsewhere))


def carry(source: Terminal, target: Terminal, *names: str) -> None:
    for name in names:
        real = name.replace("2026-0001", source.places["2026-0001"])
        shutil.copy(source.folder / real, target.folder / real)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: sockets lie in it."""
    return tmp_path_factory.mktemp("day")


async def test_from_the_call_to_the_erased_footage(folder: Path, long_film: Path) -> None:
    async with swtpm() as tpm:
        await asyncio.to_thread(the_whole_day, folder, long_film, tpm.tcti)


def the_whole_day(folder: Path, video: Path, tcti: str) -> None:
    now_ns = SystemClock().utc_ns()
    first = minute_of(now_ns) - 6
    office = open_office(folder, dt.datetime.fromtimestamp(first * 60, JAPAN))
    a, b = ceremony(office.desk)
    office.desk.places = office.pole.places = {**office.desk.places, "age1...": station(folder)}
    config = settings(folder, tcti, a, b)
    state = config / "state"
    provisioned(config)
    assert replay_from(video, config, first * NS_PER_MINUTE)["footage"]["minutes"] == MINUTES + 1
    parties = [("chief-1",), ("manager-1",), ("handler-1",), ("chief-1", "manager-1"), ("chief-1", "manager-2")]
    with office.agents(*parties):
        founded(office, folder)
        call_and_paper(office)
        with filming(config, video):
            released(office)
        package = at_the_desk(office)
        handed_over(office, state)
        witness(office, state)
        to_the_police(folder, package)
        replay_from(film(folder / "late.mp4", 2), config, now_ns + 41 * 86_400 * NS_PER_SECOND)
        erased_and_proven(office, state)
        successor(office, config)
    everything = {command for commands in office.sheet.values() for command in commands}
    assert everything == office.typed


def ceremony(desk: Terminal) -> tuple[str, str]:
    """KEYS.md, section 1: both officers' keys that open."""
    found = []
    for name in ("footage-a1", "footage-b1"):
        screen = desk.type(f"pole-custodian keygen --out {name}.age --name {name}")
        words = NINE_WORDS.search(screen)
        assert words
        desk.words[f"{name}.age"] = words[1]
        found.append(RECIPIENT.findall(screen)[0])
    return found[0], found[1]


def station(folder: Path) -> str:
    """The police station's own key, made by the station."""
    (folder / "police").mkdir()
    subprocess.run(["age-keygen", "-o", folder / "police" / "our.key"], check=True, capture_output=True)
    return RECIPIENT.findall((folder / "police" / "our.key").read_text())[0]


def provisioned(config: Path) -> None:
    """KEYS.md, section 2."""
    done = pole_says("provision", "--config", config, "--confirm", "PROVISION", "--json")
    assert done.returncode == 0, done.stderr


def replay_from(video: Path, config: Path, utc_ns: int) -> dict[str, Any]:
    done = pole_says(
        "replay", video, "--config", config, "--state", config / "state", "--start", iso_utc(utc_ns), seconds=120
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def founded(office: Office, folder: Path) -> None:
    office.section(1, 0, 2)
    carry(office.desk, office.pole, "founders.toml", "handler-1.pub")
    office.section(1, 2)
    carry(office.pole, office.desk, "sp03.vkey")
    office.section(2, 0, 1)
    facts = json.loads((folder / "console" / "sp03.facts").read_bytes())
    assert (facts["pole"], facts["keystore"], facts["clock_proven"]) == ("sp03", "tpm2", False)
    assert facts["live_minutes"] == MINUTES + 1


def call_and_paper(office: Office) -> None:
    case, span = office.pole.places["2026-0001"], "/".join(office.pole.places[each] for each in SPAN)
    call = ("hold", "place", "--span", span, "--office", POLICE)
    assert office.refused("E-CASE-CALL", *call, by="handler-1")["clause"] == "7.1(4)"
    placed, _ = office.section(3)
    assert "これで映像を見ることはできません" in placed
    office.refused("E-CASE-NUMBER", "case", "bundle", case, "--out", "b", by="handler-1")  # a hold is no release
    office.section(4, 0, 2)
    office.refused("E-CASE-ORDER", "case", "scope", case, "--span", span, "--to", "odawara-ps", by="handler-1")
    bar = ("case", "document", case, *PAPER, "--instrument", "bar-inquiry")
    assert office.refused("E-CASE-BASIS-OFF", *bar, by="handler-1")["clause"].startswith("7.2")
    office.section(4, 2)


def released(office: Office) -> None:
    """Refused while one alone approved, and while nobody vouches for the clock."""
    case = office.pole.places["2026-0001"]
    show, by_manager, by_chief, seal, bundle = office.sheet[5][:5]
    assert case in office.type(show)
    office.type(by_manager)
    office.refused("E-CASE-APPROVALS", "case", "seal", case, "--yes", case, by="handler-1")
    office.type(by_chief)
    assert office.refused("E-CASE-CLOCK", "case", "seal", case, "--yes", case, by="handler-1")["clause"]
    challenge, state, confirm = office.sheet[5][5:]
    number = re.findall(r"[0-9a-f]{64}", office.type(challenge))[0]
    office.desk.places = {**office.desk.places, "CHALLENGE": number}
    office.type(state)
    carry(office.desk, office.pole, "time.act", "time.act.manager-1.sig")
    office.type(confirm)
    wait_for(lambda: '"release_open": true' in shown_clock(office))
    assert "取り消すことはできません" in office.type(seal)
    office.type(bundle)


def shown_clock(office: Office) -> str:
    words = [PROGRAMS / "pole-custodian", "time", "show", "--config", office.folder / "seen", "--json"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def at_the_desk(office: Office) -> Path:
    carry(office.pole, office.desk, "2026-0001.bundle", "sp03.facts")
    office.type(office.sheet[2][1])
    assert "sp03" in (office.desk.folder / "morning.html").read_text()
    check, package = office.section(6)
    assert "whole and unchanged" in check
    assert "sealed to    odawara-ps" in package
    return office.desk.folder / f"{office.desk.places['2026-0001']}.age"


def handed_over(office: Office, state: Path) -> None:
    carry(office.desk, office.pole, "2026-0001.age")
    case = office.pole.places["2026-0001"]
    office.section(7, 0, 3)
    assert office.refused("E-CASE-ORDER", "case", "close", case, "--yes", case, by="manager-1")
    office.section(7, 3)
    assert case in (office.pole.folder / "retrievals.csv").read_text("utf-8-sig")
    assert [line["case"] for line in ledger(state, "case.closed")] == [case]


def witness(office: Office, state: Path) -> None:
    """Another organisation keeps what the pole signed: carried by hand here, by the broker on a street."""
    there = office.folder / "witness"
    (there / "poles").mkdir(parents=True)
    shutil.copy(office.desk.folder / "sp03.vkey", there / "poles" / "sp03.vkey")
    words = [sys.executable, "-m", "tools.witness"]
    made = subprocess.run(
        [*words, "keygen", "--out", there / "key", "--name", "witness.example/one"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (office.desk.folder / "witness.vkey").write_text(made.stdout)
    kept = ["--archive", there / "archive", "--key", there / "key", "--poles", there / "poles"]
    done = subprocess.run(
        [*words, "take", state / "ledger" / "growth", *kept], cwd=ROOT, capture_output=True, check=False
    )
    assert b"ALARM" not in done.stderr, done.stderr
    (archived,) = (path for path in (there / "archive").iterdir() if path.is_dir())
    shutil.copytree(archived, office.desk.folder / "witnessed")


def to_the_police(folder: Path, package: Path) -> None:
    """Opened with stock age in another folder, by somebody of another home; judged by both judges; played."""
    police = folder / "police"
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(police)}
    package.rename(police / "package.age")
    subprocess.run(["sh", "-ec", "age -d -i our.key package.age | tar x"], cwd=police, env=plain, check=True)
    (tree,) = (path for path in police.iterdir() if path.is_dir())
    (video,) = (tree / "video").glob("*.mp4")
    probe = ["ffprobe", "-v", "warning", "-of", "json", "-count_packets", "-show_streams", str(video)]
    done = subprocess.run(probe, capture_output=True, text=True, check=True)
    (stream,) = json.loads(done.stdout)["streams"]
    assert (done.stderr, stream["codec_name"], stream["nb_read_packets"]) == ("", "h264", str(MINUTES * 60 * FPS))
    judge = [sys.executable, "-I", "-S", str(tree / "verify.py")]
    done = subprocess.run(judge, cwd="/", env=plain, capture_output=True, text=True, check=False)
    assert (done.returncode, "UNCHANGED" in done.stdout) == (0, True), done.stdout
    with browser_page() as page:
        page.goto((tree / "verify.html").as_uri())
        assert verdict(page, tree)[0] == "good"
        seconds, pictures = played(page, video)
    assert seconds > 0
    assert pictures > 0


def erased_and_proven(office: Office, state: Path) -> None:
    """Forty-one days later the hold has lapsed by itself: the first act of the pole's start was to erase."""
    assert ledger(state, "hold.lapsed")
    assert not [path for path in (state / "footage").glob("*/*.age") if int(path.name.split("-")[0]) < minute_of(
        SystemClock().utc_ns() + NS_PER_MINUTE)]  # fmt: skip
    span = "/".join(office.pole.places[each] for each in SPAN)
    office.refused(
        "E-CASE-GONE", "hold", "place", "--span", span, "--office", POLICE, "--called-back", by="handler-1"
    )  # fmt: skip
    shutil.copytree(state / "ledger", office.desk.folder / "copy" / "ledger")
    certificate, _ = office.section(8, 0, 2)
    assert "Purge" in certificate
    carry(office.pole, office.desk, "erased.json")
    judged, audited = office.section(8, 2)
    assert f"{MINUTES} recorded = {MINUTES} erased" in judged
    assert "witness.example/one vouches for lines n=0" in audited


def successor(office: Office, config: Path) -> None:
    """A manager leaves: role, signing key and opening key go to somebody else, and the old key signs no more."""
    screen = office.desk.type("pole-custodian keygen --out footage-b2.age --name footage-b2")
    (key,) = set(RECIPIENT.findall(screen))
    text = (config / "footage.toml").read_text()
    old = RECIPIENT.findall(text)[1]
    (office.pole.folder / "footage.toml").write_text(text.replace(old, key))
    office.key("manager-2")
    carry(office.desk, office.pole, "manager-2.pub")
    office.section(9)
    office.refused("E-OFFICE-UNKNOWN", "case", "open", by="manager-1")
    (changed,) = ledger(config / "state", "groups.changed")
    assert changed["by"] == "chief-1/manager-2"
