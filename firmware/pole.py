"""``pole``: the program that runs on the pole, replays a video on a bench, checks settings and tells how it is.

Knows:  command lines, which camera stands where.
Never:  a decision, a pixel, a key that opens footage, a listening port.
Leaves: exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
Clauses: 1 (settings are judged before anything starts), 2, 5.1.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console

from firmware import board_commands
from firmware.assembly import FOR_EVER, ONCE, SMALL, Pole, build
from firmware.camera.frames import MainFrames, PictureFormat
from firmware.drivers.chrony import ChronyTime
from firmware.drivers.mqtt import connector
from firmware.drivers.picamera import PiCamera
from firmware.drivers.picamera_library import Library, load_library
from firmware.drivers.video_file import VideoFile
from firmware.ground.clock import NS_PER_SECOND, SimulatedClock, SystemClock
from firmware.ground.errors import ConfigError, PoleError
from firmware.ground.log import Log
from firmware.upkeep.bench import bench_settings
from firmware.upkeep.replay import summary
from firmware.upkeep.status import as_json, is_stale, read_status, render
from firmware.upkeep.whole import Settings, load_settings

MODELS: Final = Path(__file__).parents[1] / "models"

app = typer.Typer(
    help="A city pole: counts people and forgets them, seals footage for a legal case.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


for command in (board_commands.provision, board_commands.rebind, board_commands.retire):
    app.command()(command)


@app.command("check-config")
def check_config(
    directory: Annotated[Path, typer.Argument(help="folder with pole.toml, flow.toml and footage.toml")],
) -> None:
    """Judge the three files of settings against the guideline; start nothing."""
    settings = load_settings(directory)
    typer.echo(f"ok {settings.fingerprint} profile={settings.pole.profile} pole={settings.pole.pole}")


@app.command()
def run(
    config: Annotated[Path, typer.Option(help="folder with pole.toml, flow.toml and footage.toml")],
    video: Annotated[Path | None, typer.Option(help="a file instead of the camera (profile bench only)")] = None,
) -> None:
    """Run the pole in real time until it is told to stop."""
    settings = load_settings(config)
    if video is not None and settings.pole.profile == "pole":
        raise ConfigError(
            "E-CONFIG-CAMERA",
            "a pole films with its own camera only",
            where="--video",
            clause="7.1(1)",
            todo='leave --video away, or set profile = "bench"',
        )
    asyncio.run(_until_told(_run(settings, video)))


async def _run(settings: Settings, video: Path | None) -> None:
    clock, log = SystemClock(), Log()
    broker = settings.pole.broker
    connect = connector(broker, settings.folder, f"{settings.pole.pole}-{settings.pole.camera}") if broker else None
    library = load_library() if video is None else None
    async with AsyncExitStack() as stack:
        pole = await build(
            stack,
            settings,
            clock=clock,
            log=log,
            connect=connect,
            budget=FOR_EVER,
            time_source=ChronyTime(log) if settings.footage.time_source == "chrony" else None,
            board_encodes=library is not None and library.board_encodes,
        )
        camera = _video(pole, video, None) if video else _pi_camera(pole, library)
        await pole.work(camera)
        if pole.broken.is_set():
            raise typer.Exit(1)  # systemd starts it anew, and that start succeeds the damaged ledger
        if pole.health.states["camera"].reason == "E-CAMERA-STUCK":
            os._exit(1)  # a thread of the camera's library hangs: nothing else ends it, and systemd starts anew


def _pi_camera(pole: Pole, library: Library | None) -> PiCamera:
    footage = pole.settings.footage
    return PiCamera(
        small=pole.small,
        main=pole.main,
        clock=pole.clock,
        log=pole.log,
        library=library,
        small_format=SMALL,
        main_format=PictureFormat(footage.width, footage.height),
        slice_period_seconds=pole.settings.flow.slice_period_seconds,
        main_fps=footage.fps,
        bits_per_second=footage.bitrate_kbps * 1000,
        stall_seconds=footage.stall_seconds,
    )


def _video(pole: Pole, path: Path, minutes: float | None) -> VideoFile:
    footage, main = pole.settings.footage, pole.main
    return VideoFile(
        path,
        small=pole.small,
        main=main if isinstance(main, MainFrames) else None,
        clock=pole.clock,
        log=pole.log,
        small_format=SMALL,
        main_format=PictureFormat(footage.width, footage.height),
        slice_period_seconds=pole.settings.flow.slice_period_seconds,
        main_fps=footage.fps,
        end_after_seconds=minutes * 60 if minutes else None,
    )


@app.command()
def replay(
    video: Annotated[Path, typer.Argument(help="any file that FFmpeg reads")],
    state: Annotated[Path, typer.Option(help="state directory; made if missing")],
    start: Annotated[str, typer.Option(help="UTC of the first frame, like 2026-11-23T09:00:00Z")],
    minutes: Annotated[float | None, typer.Option(help="end after so many minutes of video", min=0.01)] = None,
    config: Annotated[
        Path | None, typer.Option(help="settings; without: a bench whose footage opens for nobody")
    ] = None,
) -> None:
    """Run a whole pole on a video, as fast as this machine goes; the clock follows the video. Prints a summary."""
    settings = _replay_settings(state, config)
    utc_ns = _utc_ns(start)
    figures = asyncio.run(_until_told(_replay(settings, video, utc_ns, minutes)))
    typer.echo(json.dumps(figures, indent=1))
    if figures["frames_skipped"]:
        typer.echo(f"{figures['frames_skipped']} frames of {video} could not be read; the rest was counted", err=True)
    if figures["frames_skipped"] or figures["ended"] != "end of the video":
        raise typer.Exit(1)


async def _replay(settings: Settings, video: Path, utc_ns: int, minutes: float | None) -> dict[str, Any]:
    clock, log = SimulatedClock(utc_ns), Log()
    async with AsyncExitStack() as stack:
        pole = await build(stack, settings, clock=clock, log=log, connect=None, budget=ONCE)
        camera = _video(pole, video, minutes)
        began_ns = clock.stopwatch_ns()
        await pole.work(camera)
        state = pole.health.states["camera"]
        for words in pole.health.last_words.values():
            typer.echo(words, err=True)
        about = pole.counter.about
        return summary(
            pole.report.totals(),
            round_trip=pole.counter.round_trip,
            bare_us=about.bare_us if about else 0,
            peak_rss_kib=pole.peak_rss_kib(),
            wall_seconds=(clock.stopwatch_ns() - began_ns) / NS_PER_SECOND,
            video_seconds=(clock.utc_ns() - utc_ns) / NS_PER_SECOND,
            ended="end of the video" if state.state == "stopped" else state.reason,
            frames=camera.report.frames,
            frames_skipped=camera.report.skipped,
        )


@app.command()
def status(
    state: Annotated[Path, typer.Option(help="state directory of the pole")],
    as_object: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Tell how the pole is. Exit code 1 when nobody has written a status lately."""
    report = read_status(state / "status.json")
    now_ns = SystemClock().utc_ns()
    if as_object:
        typer.echo(as_json(report, now_ns))
    else:
        Console().print(render(report, now_ns))
    if is_stale(report, now_ns):
        raise typer.Exit(1)


def _replay_settings(state: Path, config: Path | None) -> Settings:
    if config is not None:
        settings = load_settings(config)
        pole = msgspec.structs.replace(settings.pole, state_directory=str(state.absolute()))
        return Settings(folder=config, pole=pole, flow=settings.flow, footage=settings.footage)
    pole, flow, footage = bench_settings()
    pole = msgspec.structs.replace(pole, state_directory=str(state.absolute()), models_directory=str(MODELS))
    return Settings(folder=state.absolute(), pole=pole, flow=flow, footage=footage)


def _utc_ns(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(
            "E-CONFIG-TIME", "not a time with its zone", where="--start", todo="write it like 2026-11-23T09:00:00Z"
        )
    return int(moment.timestamp()) * NS_PER_SECOND


async def _until_told(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - hands on whatever the work returns
    """Await ``work``; SIGTERM ends it in good order, as Ctrl-C does."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main() -> None:
    """Run the command line; print a PoleError as one line."""
    try:
        app()
    except PoleError as error:
        typer.echo(str(error), err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
