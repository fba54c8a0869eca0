"""The bench's own function measures whole packages: ratios are there, and what it measured is judged as unchanged."""

from __future__ import annotations

from pathlib import Path

from tests.parts.small_case import Handed, desk
from tools.benchmark.package import throughput


def test_the_figures_are_of_whole_packages(handed: Handed, tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    found = throughput(handed.bundle, handed.pole.officers.keys(), desk(handed.pole), tmp_path / "bench")
    assert found["bundle_mb"] == handed.bundle.stat().st_size / 1e6
    assert all(value > 0 for value in found.values())
    assert {"package_over_copy", "package_over_sha256", "verify_over_copy", "verify_over_sha256"} <= set(found)
