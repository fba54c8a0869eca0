"""How much memory a model takes: measured in a process of its own, which is what a counter is.

Knows:  one TFLite file, LiteRT, ``/proc``.
Never:  another model's memory in the same figure.
Leaves: kibibytes on standard output.
Clauses: none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

CALLS = 3


def resident_kib() -> int:
    """Return what this process has in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def megabytes(file: Path) -> float:
    """Return how much a process grows by loading ``file`` and calling it (MiB)."""
    command = [sys.executable, "-m", "tools.evaluate.footprint", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def main() -> None:
    """Load, call, print the growth."""
    before = resident_kib()
    interpreter = Interpreter(sys.argv[1], num_threads=1)
    interpreter.allocate_tensors()
    for _ in range(CALLS):
        interpreter.invoke()
    print(resident_kib() - before)


if __name__ == "__main__":
    main()
