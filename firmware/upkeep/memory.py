"""How much memory a process has needed at most.

Knows:  a process id.
Never:  what is in that memory.
Leaves: KiB.
Clauses: 6.2(1) (memory that does not grow cannot keep pictures).
"""

from __future__ import annotations

from pathlib import Path


def peak_rss_kib(pid: int) -> int:
    """Return the largest resident size so far of process ``pid`` (VmHWM of proc(5)), KiB; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:")), 0)
