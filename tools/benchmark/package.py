"""How fast a bundle becomes a package and a package is judged, beside a plain copy and SHA-256 over the same bytes.

Knows:  one bundle with its case, both officers' keys, a desk.
Never:  a figure without the plain copy and the plain hash measured beside it in the same run.
Leaves: numbers.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware.custody.desk.opening import OfficerKeys
from firmware.custody.package.making import Desk, write_package, write_tree
from firmware.custody.package.receiver.verify import judge

ROUNDS: Final = 3


def throughput(bundle: Path, keys: OfficerKeys, desk: Desk, folder: Path) -> dict[str, float]:
    """Return MB/s of each step over the bundle's bytes, and ratios; ``folder`` has room for ten bundles.

    ``tree``: opened into plain films and papers. ``package``: that, sealed to the recipient. ``verify``: the tree
    judged by the program that goes into it.
    """
    total, made = bundle.stat().st_size, iter(range(10_000))

    def fresh(suffix: str) -> Path:
        return folder / f"{next(made)}{suffix}"

    seconds = {
        "copy": _median(lambda: shutil.copyfile(bundle, fresh(".copy"))),
        "sha256": _median(lambda: hashlib.sha256(bundle.read_bytes()).digest()),
        "tree": _median(lambda: write_tree(bundle, keys, desk, fresh(".tree"))),
        "package": _median(lambda: write_package(bundle, keys, desk, fresh(".age"))),
    }
    tree = next(folder.glob("*.tree"))
    changed, _, unjudged = judge(tree)
    if changed or unjudged:
        raise SystemExit(f"the package is not whole: {changed} {unjudged}")
    seconds["verify"] = _median(lambda: judge(tree))
    return {
        "bundle_mb": total / 1e6,
        **{f"{name}_mb_s": total / 1e6 / taken for name, taken in seconds.items()},
        **{f"{name}_over_copy": seconds["copy"] / seconds[name] for name in ("package", "verify")},
        **{f"{name}_over_sha256": seconds["sha256"] / seconds[name] for name in ("package", "verify")},
    }


def _median(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
