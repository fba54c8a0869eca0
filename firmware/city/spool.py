"""The file in which records wait: SQLite, write-ahead log, fsynced before anybody is told that a record is kept.

Knows:  topics, sequence numbers, minutes, bytes of messages.
Never:  what a message says, a loss that is not counted and told as a gap, a repaired row.
Leaves: rows in order of arrival; a damaged file beside a fresh one.
Clauses: 6.2(2) (only statistics are kept, at most seven days), 4.1 (what waits has passed the gate).

All calls block; :mod:`firmware.city.outbox` makes them off the loop, one at a time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_FORMAT: Final = 1
_SCHEMA: Final = f"""
CREATE TABLE waiting(
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL, sequence INTEGER NOT NULL,       -- together the name by which the city knows a record
  first_minute INTEGER NOT NULL, last_minute INTEGER NOT NULL,
  expires_utc_ns INTEGER NOT NULL,
  lost INTEGER NOT NULL,                                -- 1: tells of minutes that were dropped here
  payload BLOB NOT NULL, digest BLOB NOT NULL,
  UNIQUE(topic, sequence)
) STRICT;
CREATE INDEX lanes ON waiting(topic, position);
CREATE INDEX expiries ON waiting(expires_utc_ns);
CREATE TABLE newest(topic TEXT PRIMARY KEY, minute INTEGER NOT NULL) STRICT;
PRAGMA user_version = {_FORMAT};
"""
ROWS: Final = (
    "SELECT topic, sequence, first_minute, last_minute, expires_utc_ns, payload, position, digest FROM waiting"
)
_WEEK_MINUTES: Final = 7 * 24 * 60
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Damaged(Exception):  # noqa: N818  # a state of the file, not an error for a person
    """The file is not a sound database of ours."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message that waits; minutes are UTC minute numbers."""

    topic: str
    sequence: int
    first_minute: int
    last_minute: int
    expires_utc_ns: int
    payload: bytes
    position: int = 0

    def facts(self) -> tuple[str, int, int, int, int]:
        """Return all but payload and position."""
        return self.topic, self.sequence, self.first_minute, self.last_minute, self.expires_utc_ns

    def digest(self) -> bytes:
        """Return 16 bytes over all that matters of the row: a flipped bit on the card is never published."""
        head = "\n".join(map(str, self.facts())) + "\n"
        return hashlib.blake2b(head.encode() + self.payload, digest_size=16).digest()


@dataclass(slots=True)
class Swept:
    """What a sweep dropped."""

    expired: int = 0
    crowded_out: int = 0
    damaged: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)


class Spool:
    """The open file. Rows of ``minute_topic`` and ``lost_topic`` tell of minutes; lost ones are told in the latter."""

    closed = False

    def __init__(self, path: Path, *, minute_topic: str, lost_topic: str, max_bytes: int) -> None:
        """Open or make the file. Raises :class:`Damaged`, sqlite3.Error, OSError."""
        self._tells = (minute_topic, lost_topic)
        self._lost_topic = lost_topic
        self._max_bytes = max_bytes
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            with _damage_named():
                self._prepare()
                self._bytes = self._count_bytes()
        except BaseException:
            self._file.close()
            raise

    def _prepare(self) -> None:
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")  # durable before put returns
        self._file.execute("PRAGMA journal_size_limit = 1048576")
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._file.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")
        elif version != _FORMAT or self._file.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise Damaged

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self.closed = True
        self._file.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        before = self._bytes
        with _damage_named():
            try:
                self._file.execute("BEGIN IMMEDIATE")
                yield
                self._file.execute("COMMIT")
            except BaseException:
                self._bytes = before
                if self._file.in_transaction:  # a full disk may already have rolled it back
                    self._file.execute("ROLLBACK")
                raise

    def newest(self, topic: str) -> int | None:
        """Return the newest minute ever put under ``topic``; deleting rows does not change it."""
        found = self._file.execute("SELECT minute FROM newest WHERE topic = ?", (topic,)).fetchone()
        return None if found is None else int(found[0])

    def put(self, row: Row, *, series: str, now_utc_ns: int, lost: Callable[[int, int], Row]) -> Swept | None:
        """Keep ``row`` durably, then sweep. Return None, nothing kept, when ``series`` has told that minute already."""
        with self._transaction():
            newest = self.newest(series)
            if newest is not None and row.last_minute <= newest:
                return None
            self._insert(row, lost=False)
            self._mark(series, row.last_minute)
            return self._sweep(now_utc_ns, lost)

    def restore(self, rows: Iterable[Row], newest: Mapping[str, int]) -> None:
        """Take over what was saved from a damaged file, so that no minute is told twice."""
        with self._transaction():
            for row in rows:
                self._insert(row, lost=False)
            for series, minute in newest.items():
                self._mark(series, minute)

    def oldest(self, topic: str, limit: int) -> tuple[list[Row], list[Row]]:
        """Return up to ``limit`` sound rows of ``topic``, oldest first, and the damaged ones among them."""
        rows = self._select("topic = ? ORDER BY position LIMIT ?", (topic, limit))
        return [row for row, sound in rows if sound], [row for row, sound in rows if not sound]

    def remove(self, positions: Iterable[int]) -> None:
        """Forget rows durably: the broker has said that it has them."""
        with self._transaction():
            for position in positions:
                self._delete(position)

    def drop(self, rows: Iterable[Row], *, lost: Callable[[int, int], Row]) -> Swept:
        """Drop damaged ``rows``, and tell of their minutes as lost where the minutes themselves can be believed."""
        with self._transaction():
            swept = Swept()
            newest = self.newest(self._tells[0]) or 0
            for row in rows:
                self._take(row, swept)
                swept.damaged += 1
            swept.spans = [span for span in swept.spans if newest - _WEEK_MINUTES < span[0] <= span[1] <= newest]
            self._tell(swept, lost)
            return swept

    def sweep(self, now_utc_ns: int, lost: Callable[[int, int], Row]) -> Swept:
        """Drop what has expired, then the oldest beyond ``max_bytes``; ``lost`` makes the rows that tell of it."""
        with self._transaction():
            return self._sweep(now_utc_ns, lost)

    def keep_only(self, topics: Iterable[str]) -> int:
        """Drop rows of other topics (the pole was renamed); return how many."""
        marks = tuple(topics)
        with self._transaction():
            query = f"DELETE FROM waiting WHERE topic NOT IN ({','.join('?' * len(marks))})"  # noqa: S608  # only marks
            dropped = self._file.execute(query, marks).rowcount
            self._bytes = self._count_bytes()
            return dropped

    def waiting(self) -> int:
        """Return how many rows wait."""
        return int(self._file.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def _count_bytes(self) -> int:
        return int(self._file.execute("SELECT coalesce(sum(length(payload)), 0) FROM waiting").fetchone()[0])

    def _sweep(self, now_utc_ns: int, lost: Callable[[int, int], Row]) -> Swept:
        swept = Swept()
        for row, _ in self._select("expires_utc_ns <= ? AND lost = 0 ORDER BY position", (now_utc_ns,)):
            self._take(row, swept)  # 6.2(2): at most seven days
            swept.expired += 1
        while self._bytes > self._max_bytes:
            oldest = self._select("lost = 0 ORDER BY position LIMIT 1", ())
            if not oldest:
                break
            self._take(oldest[0][0], swept)
            swept.crowded_out += 1
        self._tell(swept, lost)
        return swept

    def _take(self, row: Row, swept: Swept) -> None:
        self._delete(row.position)
        if row.topic in self._tells:
            swept.spans.append((row.first_minute, row.last_minute))

    def _tell(self, swept: Swept, lost: Callable[[int, int], Row]) -> None:
        """Say which minutes were lost, joined with what was said before where they touch."""
        if not swept.spans:
            return
        said = [row for row, _ in self._select("lost = 1 ORDER BY position", ())]
        spans = joined(swept.spans + [(row.first_minute, row.last_minute) for row in said])
        kept = {(row.first_minute, row.last_minute): row for row in said}
        for row in said:
            if (row.first_minute, row.last_minute) not in spans:
                self._delete(row.position)
        for span in spans:
            if span not in kept:
                self._insert(lost(*span), lost=True)

    def _insert(self, row: Row, *, lost: bool) -> None:
        added = self._file.execute(
            "INSERT OR IGNORE INTO waiting"
            "(topic, sequence, first_minute, last_minute, expires_utc_ns, lost, payload, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row.facts(), int(lost), row.payload, row.digest()),
        )
        self._bytes += len(row.payload) * added.rowcount

    def _delete(self, position: int) -> None:
        query = "DELETE FROM waiting WHERE position = ? RETURNING length(payload)"
        for (gone_bytes,) in self._file.execute(query, (position,)).fetchall():
            self._bytes -= gone_bytes

    def _mark(self, topic: str, minute: int) -> None:
        self._file.execute(
            "INSERT INTO newest VALUES (?, ?) ON CONFLICT(topic) DO UPDATE SET minute = max(minute, excluded.minute)",
            (topic, minute),
        )

    def _select(self, where: str, arguments: tuple[object, ...]) -> list[tuple[Row, bool]]:
        with _damage_named():
            return [read(columns) for columns in self._file.execute(f"{ROWS} WHERE {where}", arguments).fetchall()]


def read(columns: Sequence[Any]) -> tuple[Row, bool]:
    """Return a row of :data:`ROWS` and whether it proves itself by its digest."""
    *fields, digest = columns
    row = Row(*fields)
    try:
        return row, row.digest() == digest
    except (TypeError, AttributeError):  # a flipped bit can change a value's type
        return row, False


@contextmanager
def _damage_named() -> Iterator[None]:
    """Turn SQLite's ways to say "damaged" into :class:`Damaged`; a full disk stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)  # text that is no UTF-8 has none
        undecodable = code is None and isinstance(error, sqlite3.OperationalError)
        if undecodable or (code is not None and code & 0xFF in _DAMAGED):
            raise Damaged from None
        raise


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``spans`` of minutes sorted, with those that touch or overlap made one."""
    whole = list[tuple[int, int]]()
    for first, last in sorted(spans):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(last, whole[-1][1]))
        else:
            whole.append((first, last))
    return whole
