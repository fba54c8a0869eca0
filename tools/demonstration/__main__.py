"""``python -m tools.demonstration``: the story of a pole in a few minutes. See tools/demo.

Knows:  the order of the story, and what must be true at each step.
Never:  a success that was not seen.
Leaves: exit code 0 when every step was true, else 1.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from firmware.custody.keys.keyfile import unlock
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SystemClock, iso_utc, minute_of
from firmware.ground.log import Log
from tools.broker import DemoBroker, Received, Subscriber
from tools.demonstration import audits, erasure, office
from tools.demonstration.poles import Corner, build_corner, film, settings_for
from tools.demonstration.screen import record_line, screen
from tools.street.scene import market, quiet
from tools.witness.judge import Finding

HOURS_LATER = 337
DOCUMENT = "小捜-2026-0042"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass
class Story:
    """What was claimed, and whether it was seen."""

    console: Console
    failures: list[str] = field(default_factory=list)

    def step(self, title: str) -> None:
        """Begin a chapter."""
        self.console.rule(f"[bold]{title}")

    def claim(self, what: str, *, true: bool) -> None:
        """Say ``what``, and remember it if it is not true."""
        self.console.print(f"{'[green]yes[/]' if true else '[bold red]NO [/]'}  {what}")
        if not true:
            self.failures.append(what)

    def say(self, text: str) -> None:
        """Say something that is no claim."""
        self.console.print(text, style="dim", highlight=False)


@app.command()
def main(
    minutes: Annotated[int, typer.Option(help="minutes of street", min=1, max=60)] = 2,
    video: Annotated[Path | None, typer.Option(help="a video instead of the busy street")] = None,
    state: Annotated[Path | None, typer.Option(help="keep everything in this new folder")] = None,
    seed: Annotated[int, typer.Option(help="another street")] = 1,
) -> None:
    """Show a whole pole: two simulated streets, the city's side, the officers' desk, the erasure."""
    console = Console()
    folder = state or Path(tempfile.mkdtemp(prefix="pole-demo-"))
    if state is not None and state.exists() and any(state.iterdir()):
        console.print(f"E-DEMO-STATE: {state} is not empty -> name a new folder")
        raise typer.Exit(2)
    folder.mkdir(parents=True, exist_ok=True)
    story = Story(console)
    try:
        asyncio.run(_tell(story, folder, minutes, video, seed))
    finally:
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)
    if story.failures:
        console.print(f"[bold red]{len(story.failures)} claims were not true[/]")
        raise typer.Exit(1)
    console.print("[bold green]Every claim above was seen to be true.[/]")


async def _tell(story: Story, folder: Path, minutes: int, video: Path | None, seed: int) -> None:
    story.console.print(
        "[bold red]SOFTWARE KEYSTORE[/]: this demonstration keeps the pole's secret in a file. "
        "On a street it is in the TPM; profile pole refuses this one."
    )
    story.step("two officers make their keys, at their desk")
    desk = await asyncio.to_thread(office.open_office, folder / "office")
    story.say("pole-custodian keygen --out group-a.age     (and group-b.age; nine generated words each)")
    first_ns = (minute_of(SystemClock().utc_ns()) - minutes - 2) * NS_PER_MINUTE
    with (folder / "pole.log").open("w") as lines:
        corners, messages = await _film(story, folder, desk, first_ns, minutes, video, seed, Log(lines))
    _judge_city(story, messages, minutes)
    _judge_memory(story, corners)
    await _visit_witness(story, folder, corners, messages)
    bundle = await _visit_office(story, folder, desk, corners[0], first_ns, minutes)
    await _go_on_337_hours(story, folder, desk, corners[0], first_ns, minutes, bundle)


async def _film(
    story: Story,
    folder: Path,
    desk: office.Office,
    first_ns: int,
    minutes: int,
    video: Path | None,
    seed: int,
    log: Log,
) -> tuple[list[Corner], list[Received]]:
    story.step(f"{minutes} minutes on two streets, as fast as this machine goes")
    async with DemoBroker() as broker, Subscriber(broker.port).listening() as city, AsyncExitStack() as stack:
        story.say(f"broker: {broker.name}; one process a pole, one jailed counter and recorder each")
        corners = []
        for pole, name, scene in (("sp01", "a busy market", market()), ("sp02", "a quiet street", quiet())):
            settings = settings_for(pole, folder / pole, desk.officers, broker.port)
            scene_or_video = None if video is not None and pole == "sp01" else scene
            corners.append(await build_corner(stack, name, scene_or_video, settings, first_ns, log))
        work = [
            asyncio.create_task(film(corner, minutes, video if corner.scene is None else None, seed + number))
            for number, corner in enumerate(corners)
        ]
        await _show(story, corners, city, work)
        for task in work:
            task.result()
    return corners, city.messages


async def _show(story: Story, corners: list[Corner], city: Subscriber, work: list[asyncio.Task[None]]) -> None:
    if story.console.is_terminal:
        with Live(console=story.console, auto_refresh=False) as live:
            while not all(task.done() for task in work):
                live.update(screen(corners, city.messages), refresh=True)
                await asyncio.wait(work, timeout=0.25)
            live.update(screen(corners, city.messages), refresh=True)
        return
    told = 0
    while not all(task.done() for task in work):
        await asyncio.wait(work, timeout=0.25)
        for message in city.messages[told:]:
            story.console.print(record_line(message))
        told = len(city.messages)
    story.console.print(screen(corners, city.messages))


def _judge_city(story: Story, messages: list[Received], minutes: int) -> None:
    told = [message.body for message in messages if message.kind == "minute" and isinstance(message.body, dict)]
    published = [body for body in told if body["spStatus"] == "published"]
    suppressed = [body for body in told if body["spStatus"] == "suppressed"]
    tiles = [message.body for message in messages if message.kind == "attr" and isinstance(message.body, dict)]
    guessed = [body for body in tiles if "spGenderShare" in body]
    story.claim(f"the city has {len(told)} minute records of two poles, each once", true=len(told) == 2 * minutes)
    story.claim(
        f"{len(published)} were published with numbers: the ranked peak reached three people", true=bool(published)
    )
    story.claim(f"{len(suppressed)} were suppressed: few or nobody, the same bytes", true=bool(suppressed))
    story.claim(
        f"{len(tiles)} attribute records came, none of sex or age: the models cannot tell, so nobody is guessed at",
        true=not guessed,
    )


def _judge_memory(story: Story, corners: list[Corner]) -> None:
    for corner in corners:
        totals = corner.pole.report.totals()
        pole = corner.settings.pole.pole
        story.claim(
            f"{pole}: {totals['slots_overwritten']} small pictures overwritten, {totals['wipe_failures']} failures, "
            f"p99.9 {totals['residence_p99_9_us'] / 1000:.0f} ms in memory",
            true=totals["wipe_failures"] == 0 and totals["slots_overwritten"] >= totals["slices"] > 0,
        )
        chunks = list((corner.settings.state / "footage").rglob("*.age"))
        sealed = all(chunk.read_bytes().startswith(b"age-encryption.org/v1\n") for chunk in chunks)
        story.claim(f"{pole}: {len(chunks)} chunks on its disk, every one an age file", true=bool(chunks) and sealed)


async def _visit_witness(story: Story, folder: Path, corners: list[Corner], messages: list[Received]) -> None:
    story.step("another organisation keeps what the poles say of their ledgers")
    seen = await asyncio.to_thread(audits.witness, folder / "witness", corners, messages)
    for name, count in seen.cosigned.items():
        story.claim(f"{name}: {count} checkpoints cosigned, {seen.lines[name]} lines vouched for", true=count > 0)
    story.claim(
        f"a checkpoint with one letter changed: {seen.forged}, kept as evidence", true=seen.forged is Finding.FALSE
    )


async def _visit_office(
    story: Story, folder: Path, desk: office.Office, corner: Corner, first_ns: int, minutes: int
) -> Path:
    story.step("the office: a telephone call, an inquiry with a document number, two officers")
    config, state = folder / "sp01-config", corner.settings.state
    _write_config(config, corner)
    after_ns = first_ns + minutes * NS_PER_MINUTE
    bundle = folder / "office" / "case.bundle"
    pole = office.AtThePole(desk, config, state)
    await asyncio.to_thread(_lead_case, story, pole, f"{iso_utc(first_ns)}/{iso_utc(after_ns)}", bundle)
    out = folder / "office" / "case"
    code, answer = await asyncio.to_thread(office.open_bundle, desk, bundle, out)
    films = sorted(out.glob("*.mp4"))
    story.claim(f"both officers' keys open it: {[film.name for film in films]}", true=code == 0 and bool(films))
    if films:
        sheet = folder / "office" / "contact-sheet.png"
        frames = await asyncio.to_thread(office.contact_sheet, films[0], sheet)
        story.claim(f"{frames} frames play; contact sheet {sheet}", true=frames > 0 and sheet.stat().st_size > 0)
    one = office.Office(desk.folder, desk.a, desk.a)
    code, answer = await asyncio.to_thread(office.open_bundle, one, bundle, folder / "office" / "alone")
    story.claim(f"one group alone opens nothing: {_code(answer)}", true=code == 1)
    return bundle


def _lead_case(story: Story, pole: office.AtThePole, span: str, bundle: Path) -> None:
    """From a call to a bundle, as the officers type it; each refusal on the way is a claim of its own."""
    pole.found("sp01")
    story.say("pole-custodian officer found founders.toml --as chief --with manager   (each signs with an SSH key)")
    code, answer = pole.hold_by_telephone(span)
    kept = f"{answer.get('minutes')} minutes kept, ledger line n={answer.get('ledger_line')}"
    story.claim(f"a call that was called back holds them for ten days: {kept}", true=code == 0)
    code, answer = pole.act("case", "bundle", "2026-0001", "--out", str(bundle))
    story.claim(f"and hands nothing out: {_code(answer)}", true=code == 1 and not bundle.exists())
    pole.must("hold", "confirm", "1", *pole.document(DOCUMENT))
    case = pole.case_until_scoped(DOCUMENT, span)
    story.say(f"the inquiry {DOCUMENT} has come: hold confirmed, case {case} documented and scoped")
    pole.must("case", "approve", case)
    code, answer = pole.act("case", "seal", case, "--yes", case)
    story.claim(f"one officer's approval seals nothing: {_code(answer)}", true=code == 1)
    pole.must("case", "approve", case, by="chief")
    pole.must("case", "seal", case, "--yes", case)
    code, answer = pole.act("case", "bundle", case, "--out", str(bundle))
    story.claim(f"two approvals, sealed: the pole hands out {answer.get('minutes')} sealed minutes", true=code == 0)


async def _go_on_337_hours(
    story: Story, folder: Path, desk: office.Office, corner: Corner, first_ns: int, minutes: int, bundle: Path
) -> None:
    story.step(f"{HOURS_LATER} hours later")
    copy, settings = folder / "thief", corner.settings
    files = erasure.copy_everything(settings.state, copy)
    story.say(
        f"a thief copied {files} files of the pole before: all but the software secret, which a TPM would not give"
    )
    keys = [key for who in (desk.a, desk.b) for key in unlock(who.key, who.passphrase.read_text)]
    tried, opened = await asyncio.to_thread(erasure.try_everything, copy, settings.state, keys)
    story.claim(
        f"before: those files, the secret of today and all officers' keys open {opened} of {tried}", true=opened > 0
    )
    later_ns = first_ns + HOURS_LATER * 3600 * NS_PER_SECOND + minutes * NS_PER_MINUTE
    pole = office.AtThePole(desk, folder / "sp01-config", settings.state)
    await asyncio.to_thread(pole.must, "hold", "lift", "1", "--reason", "handed out", "--yes", "1")
    lines, refusal = await erasure.boot_later(settings, later_ns, folder / "office" / "late.bundle")
    erased = erasure.erase_lines(lines)
    for line in erased:
        story.say(f"ledger: {line}")
    story.claim("the pole's first act at boot was to destroy the keys, and the ledger says so", true=bool(erased))
    story.claim(f"a new bundle is refused: {refusal.split(' (')[0]}", true=refusal.startswith("E-CASE-GONE"))
    code, answer = await asyncio.to_thread(audits.balance, settings.state)
    sums = f"{answer.get('recorded')} recorded = {answer.get('live')} live + {answer.get('erased')} erased"
    story.claim(f"an auditor's balance of minutes: {sums}", true=code == 0 and answer.get("recorded", 0) != 0)
    after_ns, paper = first_ns + minutes * NS_PER_MINUTE, folder / "office" / "erased.json"
    code, answer = await asyncio.to_thread(
        audits.certificate, folder / "sp01-config", settings.state, first_ns, after_ns, paper
    )
    story.claim(
        f"certificate of erasure, judged off line: {answer.get('erased')} minutes, {answer.get('technique')}, "
        f"{answer.get('methods')} (a TPM would say purge)",
        true=code == 0,
    )
    left = list((settings.state / "footage").rglob("*.age"))
    story.claim(f"{len(left)} chunks are left on the disk", true=not left)
    keys = [key for who in (desk.a, desk.b) for key in unlock(who.key, who.passphrase.read_text)]
    tried, opened = await asyncio.to_thread(erasure.try_everything, copy, settings.state, keys)
    story.claim(
        f"everything copied, with all officers' keys: {tried} tries, {opened} opened", true=tried > 0 and not opened
    )
    code, _ = await asyncio.to_thread(office.open_bundle, desk, bundle, folder / "office" / "again")
    story.claim(
        "the bundle handed out before still opens: it is a lawful copy, with its own keys inside", true=code == 0
    )


def _write_config(folder: Path, corner: Corner) -> None:
    """Write the three files of settings, as they stand on a pole, for the officer's command line."""
    folder.mkdir()
    settings = corner.settings
    for name, each in (("pole", settings.pole), ("flow", settings.flow), ("footage", settings.footage)):
        (folder / f"{name}.toml").write_text(_toml(msgspec.to_builtins(each)))


def _toml(tree: dict[str, object]) -> str:
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict) and value is not None}
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    return text + "".join(f"\n[{key}]\n{_toml(value)}" for key, value in tables.items())


def _code(answer: dict[str, object]) -> str:
    error = answer.get("error")
    return str(error["code"]) if isinstance(error, dict) else "not refused"


if __name__ == "__main__":
    sys.exit(app())
