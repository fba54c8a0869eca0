"""``python -m tools.evaluate WHAT``: how well a detector counts, as tables and charts; see README.md.

Knows:  the command line.
Never:  a figure of its own.
Leaves: what :mod:`tools.evaluate.commands` says.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.evaluate import commands
from tools.evaluate.drawn import SUITES
from tools.evaluate.figures import MEASURING_SEED
from tools.evaluate.robust import CONDITIONS

WORKS = {
    "streets": commands.streets,
    "anchors": commands.beside_anchors,
    "reproduce": commands.reproduce,
    "robust": commands.robustness,
    "counting": commands.simulated_counting,
    "minutes": commands.told_minutes,
    "empty": commands.empty_streets,
    "groups": commands.by_group,
    "attributes": commands.heads,
    "page": commands.write_page,
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    whole = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__)
    words = whole.add_subparsers(required=True, metavar="WHAT")
    of: dict[str, argparse.ArgumentParser] = {}
    for name, work in WORKS.items():
        task = of[name] = words.add_parser(name, description=work.__doc__, help=work.__doc__)
        task.set_defaults(work=work)
        task.add_argument("--models", type=Path, action="append", help="directory with a MANIFEST.toml; repeatable")
        task.add_argument("--out", type=Path, help="folder for Markdown, CSV and PNG")
    for name in ("counting", "empty"):
        of[name].add_argument("--cores", type=int, default=1, help="streets that are watched at once")
    of["page"].add_argument("--page", type=Path, help="the page whose measured part is written anew")
    for name in ("streets", "anchors"):
        of[name].add_argument("--suite", choices=sorted(SUITES), action="append", help="held-out drawn streets")
        of[name].add_argument("--slices", type=int, default=12, help="slices a street")
        of[name].add_argument("--seed", type=int, default=MEASURING_SEED)
    for name in ("anchors", "robust"):
        of[name].add_argument("--anchors", type=Path, help="a TFLite file, or a folder of them")
    of["streets"].add_argument("--threshold", type=float, help="another threshold than the manifest's")
    for name in ("anchors", "attributes"):
        of[name].add_argument("--data", type=Path, help="a training folder: what training holds out, by source")
    of["anchors"].add_argument("--set", action="append", default=[], metavar="NAME=ANNOTATIONS:IMAGES")
    of["anchors"].add_argument("--rounds", type=int, default=40, help="timed calls of each model, in turn")
    of["reproduce"].add_argument("--short", action="store_true", help="seconds, not minutes: the fingerprint only")
    of["robust"].add_argument("--condition", choices=sorted(CONDITIONS), action="append")
    of["robust"].add_argument("--slices", type=int, default=15, help="slices a street, four streets a condition")
    of["counting"].add_argument("--minutes", type=int, default=5, help="minutes a street")
    of["counting"].add_argument("--streets", type=int, default=1, help="streets a condition and rate")
    of["minutes"].add_argument("--truth", type=Path, required=True, help="truth.json of tools.street render")
    where = of["minutes"].add_mutually_exclusive_group(required=True)
    where.add_argument("--video", type=Path, help="the video of that truth")
    where.add_argument("--state", type=Path, help="state directory of a pole that watched it and had no broker")
    of["empty"].add_argument("--hours", type=float, default=24.0, help="simulated hours, all streets together")
    of["empty"].add_argument("--streets", type=int, default=144)
    of["attributes"].add_argument("--streets", type=int, default=12, help="crowded streets near the pole")
    of["attributes"].add_argument("--slices", type=int, default=12, help="slices a street")
    of["groups"].add_argument("--streets", type=int, default=8, help="streets by day, at dusk and at night, each")
    of["groups"].add_argument("--slices", type=int, default=25, help="slices a street")
    return whole


def main() -> None:
    """Read the command line and do it."""
    asked = parser().parse_args()
    asked.models = asked.models or [Path("models")]
    asked.work(asked)


if __name__ == "__main__":
    main()
