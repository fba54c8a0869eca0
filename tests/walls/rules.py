"""The rules that import contracts cannot see, each as a function from a tree of sources to its violations.

A rule takes the folder that holds ``firmware/`` and returns lines ``path:line: what``; an empty list is a kept rule.
The mutation tests run the same functions over copies with a forbidden thing inserted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

JUNK_DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc", "const", "constants"}
TIME_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "time.sleep", "datetime.now", "datetime.utcnow", "datetime.datetime.now", "asyncio.sleep", "time.clock_gettime_ns",
}  # fmt: skip
SERVER_CALLS = {
    "asyncio.start_server", "asyncio.start_unix_server", "loop.create_server", "loop.create_unix_server",
    "socket.create_server",
}  # fmt: skip
OPENERS = {"decrypt", "decrypt_io", "decrypt_file"}
TRACKING_WORDS = re.compile(r"track|traject|embedding|reid|re_id|face_id|crop_to_file|gallery|centroid_history", re.I)
SHELL = {"os.system", "os.popen", "os.fork", "os.forkpty", "pty.fork"}
CHARTER = ("Knows:", "Never:", "Leaves:", "Clauses:")


def sources(root: Path, *below: str) -> Iterator[tuple[str, ast.Module, str]]:
    """Yield ``(path, tree, text)`` of each module under ``firmware`` (or its sub-folders ``below``)."""
    for start in below or ("",):
        folder = root / "firmware" / start
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
            text = path.read_text("utf-8")
            yield str(path.relative_to(root)), ast.parse(text), text


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for a chain of names, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield ``(line, dotted name)`` of each call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func)


def one_clock(root: Path) -> list[str]:
    """Only ground/clock.py reads a clock or waits (7.1(3): fourteen days must pass in a test)."""
    return [
        f"{path}:{line}: {name}"
        for path, tree, _ in sources(root)
        if path != "firmware/ground/clock.py"
        for line, name in calls(tree)
        if name in TIME_CALLS
    ]


def one_supervisor(root: Path) -> list[str]:
    """Only ground/supervise.py catches everything."""
    return [
        f"{path}:{node.lineno}: broad except"
        for path, tree, _ in sources(root)
        if path != "firmware/ground/supervise.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and (node.type is None or dotted(node.type) == "Exception")
    ]


def no_opener_on_the_pole(root: Path) -> list[str]:
    """Nothing decrypts but the desk (officers' keys), and the epoch table's own AEAD (7.3(1))."""
    allowed = {"firmware/custody/desk/opening.py", "firmware/custody/keys/keyfile.py", "firmware/footage/epochs.py"}
    return [
        f"{path}:{line}: {name}"
        for path, tree, _ in sources(root)
        if path not in allowed
        for line, name in calls(tree)
        if name.rpartition(".")[2] in OPENERS
    ]


def nobody_listens(root: Path) -> list[str]:
    """No program of this issue opens a listening port."""
    found = []
    for path, tree, _ in sources(root):
        found += [
            f"{path}:{line}: {name}" for line, name in calls(tree) if name in SERVER_CALLS or name.endswith(".listen")
        ]
    return found


def no_fork_no_shell(root: Path) -> list[str]:
    """Children are started by exec with an argument list, never by fork or through a shell (2, 6.3)."""
    found = []
    for path, tree, _ in sources(root):
        found += [f"{path}:{line}: {name}" for line, name in calls(tree) if name in SHELL or name.endswith("_shell")]
        found += [
            f"{path}:{node.value.lineno}: shell=True"
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg == "shell"
        ]
        found += [
            f"{path}:{node.lineno}: multiprocessing"
            for node in ast.walk(tree)
            if isinstance(node, ast.Import) and any(name.name.startswith("multiprocessing") for name in node.names)
        ]
    return found


def flow_vocabulary(root: Path) -> list[str]:
    """People flow has no word for following anybody (6.1(4), 6.2(3))."""
    found = []
    for path, tree, _ in sources(root, "flow", "counter.py", "drivers/litert.py", "drivers/counter_process.py"):
        for node in ast.walk(tree):
            names = [
                getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "arg", "") or "",
                node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else "",
            ]  # fmt: skip
            found += [
                f"{path}:{getattr(node, 'lineno', 0)}: {name}"
                for name in names
                if isinstance(name, str) and TRACKING_WORDS.search(name)
            ]
    return found


def no_junk_drawers(root: Path) -> list[str]:
    """Things live where they are used, not in a drawer."""
    return [
        str(path.relative_to(root))
        for top in ("firmware", "tools")
        for path in sorted((root / top).rglob("*.py"))
        if JUNK_DRAWERS & {path.stem, *path.relative_to(root).parts[:-1]}
    ]


def charters(root: Path) -> list[str]:
    """Each module's first lines say what it knows, what it never does, what leaves it, which clauses it serves."""
    found = []
    for path, tree, _ in sources(root):
        text = ast.get_docstring(tree) or ""
        missing = [word for word in CHARTER if word not in text]
        if missing and path != "firmware/__init__.py":
            found.append(f"{path}: charter lacks {' '.join(missing)}")
    return found


def short_modules(root: Path) -> list[str]:
    """No module past 400 lines, no function past 60."""
    found = []
    for path, tree, text in sources(root):
        lines = text.count("\n")
        if lines > 400:
            found.append(f"{path}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    found.append(f"{path}:{node.lineno}: {node.name} is {length} lines")
    return found


def no_module_state(root: Path) -> list[str]:
    """No module-level mutable state: no ``global``, no mutable container that is not a constant."""
    found = []
    for path, tree, _ in sources(root):
        found += [f"{path}:{node.lineno}: global" for node in ast.walk(tree) if isinstance(node, ast.Global)]
        for statement in tree.body:
            targets = (
                statement.targets if isinstance(statement, ast.Assign)
                else [statement.target] if isinstance(statement, ast.AnnAssign) else []
            )  # fmt: skip
            value = getattr(statement, "value", None)
            mutable = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
            for target in targets:
                name = dotted(target)
                if mutable and not re.fullmatch(r"_{0,2}[A-Z0-9_]+_{0,2}|__all__", name):
                    found.append(f"{path}:{statement.lineno}: {name}")
    return found


def reasons_for_silence(root: Path) -> list[str]:
    """Each ``noqa`` and ``type: ignore`` names its rule and says why on the line."""
    silence = re.compile(r"#\s*(?:noqa(?P<rule>: [A-Z0-9, ]+)?|type: ignore(?P<kind>\[[a-z, -]+\])?)(?P<rest>.*)$")
    found = []
    for path, _, text in sources(root):
        for number, line in enumerate(text.splitlines(), 1):
            match = silence.search(line)
            if match and not ((match["rule"] or match["kind"]) and re.search(r"[a-z]{3,}", match["rest"])):
                found.append(f"{path}:{number}: silence without a rule and a reason")
    return found


RULES: dict[str, Callable[[Path], list[str]]] = {
    rule.__name__: rule
    for rule in (
        one_clock, one_supervisor, no_opener_on_the_pole, nobody_listens, no_fork_no_shell, flow_vocabulary,
        no_junk_drawers, charters, short_modules, no_module_state, reasons_for_silence,
    )
}  # fmt: skip
