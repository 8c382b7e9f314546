"""What has been learnt from logs, in a table on disk (SQLite).

    source   one log directory: what was pending when it was read last, as lines for the next matcher
    log      how far each of its logs has been read; see `reading`
    result   what matchup would have written, many lines in a row, compressed (Zstandard)
    minute   sums of each minute

All that follows from a stretch of log is committed together with how far it was read, so a stretch counts once and
in full, or is read again.
"""

from __future__ import annotations

import os

from supervise.errors import Permanent, Temporary
from supervise.files import lock
from tools.analog.matching import Matcher
from tools.analog.series import Minute, Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from tools.analog.reading import Read

    Kept = tuple[bytes, int, int, int, int, int]  # pending, now, peak, since, queue, running

VERSION = 1
OTHER = b" is no store of this zstore"
PATIENCE = 60  # seconds to wait for somebody who writes
SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE source (
    id INTEGER PRIMARY KEY, folder BLOB NOT NULL UNIQUE, pending BLOB NOT NULL DEFAULT x'',
    now INTEGER NOT NULL DEFAULT 0, peak INTEGER NOT NULL DEFAULT 0, since INTEGER NOT NULL DEFAULT 0,
    queue INTEGER NOT NULL DEFAULT 0, running INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE log (
    source INTEGER NOT NULL, name BLOB NOT NULL, offset INTEGER NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (source, name)
) WITHOUT ROWID;
CREATE TABLE result (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, lines BLOB NOT NULL
);
CREATE TABLE minute (
    number INTEGER NOT NULL, source INTEGER NOT NULL, left INTEGER NOT NULL, size INTEGER NOT NULL,
    successes INTEGER NOT NULL, failures INTEGER NOT NULL, deferrals INTEGER NOT NULL,
    queue INTEGER NOT NULL, peak INTEGER NOT NULL, busy INTEGER NOT NULL, PRIMARY KEY (number, source)
) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""
ADD_MINUTE = """
INSERT INTO minute VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET left = left + excluded.left, size = size + excluded.size,
    successes = successes + excluded.successes, failures = failures + excluded.failures,
    deferrals = deferrals + excluded.deferrals, queue = max(queue, excluded.queue), peak = max(peak, excluded.peak),
    busy = busy + excluded.busy
"""
MINUTES = """
SELECT number, sum(left), sum(size), sum(successes), sum(failures), sum(deferrals), sum(queue), sum(peak), sum(busy)
FROM minute WHERE number >= ? AND number < ? GROUP BY number ORDER BY number
"""


class told:
    """What SQLite says of what is done in the block becomes a Temporary that names the store, or a Permanent."""

    def __init__(self, path: bytes) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        import sqlite3

        if isinstance(error, sqlite3.Error):
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise Permanent(self.path + OTHER) from None
            raise Temporary(b"unable to use %b: %b" % (self.path, str(error).encode())) from None


class Store:
    """The store in the file *path*.  All of its methods raise Temporary when it cannot be read or written.

    Args:
        writing: it is made if there is none, and nobody else may write.

    Raises:
        Permanent: it is none, or none that we know.
    """

    def __init__(self, path: bytes, writing: bool = False) -> None:
        self.path = path
        if writing:
            try:
                self.lock = lock(path + b".lock", 0o644, wait=False)
            except BlockingIOError:
                raise Temporary(b"somebody else writes to " + path) from None
            except OSError as error:
                raise Temporary(b"unable to lock " + path, error) from None
        elif not os.path.exists(path):
            raise Temporary(b"there is no store %s: zstore makes it" % path)
        with told(self.path):
            self.database = self.connect()
            version = self.database.execute("PRAGMA user_version").fetchone()[0]
            if writing and not version and not self.database.execute("SELECT * FROM sqlite_master").fetchone():
                self.database.executescript(SCHEMA)
            elif version != VERSION:
                raise Permanent(path + OTHER)

    def connect(self) -> sqlite3.Connection:
        import sqlite3  # 10 ms

        return sqlite3.connect(os.fsdecode(self.path), timeout=PATIENCE, isolation_level=None)

    # -- writing ---------------------------------------------------------------------------
    def sources(self) -> dict[bytes, int]:
        """The numbers of all log directories, by their paths."""
        with told(self.path):
            return dict(self.database.execute("SELECT folder, id FROM source").fetchall())

    def rename(self, source: int, folder: bytes) -> None:
        """The source is the log directory *folder* from now on."""
        with told(self.path):
            self.database.execute("UPDATE source SET folder = ? WHERE id = ?", (folder, source))

    def source(self, folder: bytes) -> int:
        """The number of the log directory *folder*."""
        with told(self.path):
            self.database.execute("INSERT OR IGNORE INTO source (folder) VALUES (?)", (folder,))
            number: int = self.database.execute("SELECT id FROM source WHERE folder = ?", (folder,)).fetchone()[0]
            return number

    def kept(self, source: int) -> Kept:
        """What was kept of the source when it was read last."""
        with told(self.path):
            query = "SELECT pending, now, peak, since, queue, running FROM source WHERE id = ?"
            kept: Kept = self.database.execute(query, (source,)).fetchone()
            return kept

    def read(self, source: int) -> Read:
        """How far the logs of the source have been read."""
        with told(self.path):
            query = "SELECT name, offset, last FROM log WHERE source = ?"
            return {name: (offset, last) for name, offset, last in self.database.execute(query, (source,))}

    def add(self, source: int, kept: Kept, read: Read, series: Series, first: int, text: bytes) -> None:
        """Add what follows from another stretch of log, in one step.

        Args:
            source: of the log.
            kept: what is to be kept of the source.
            read: how far its logs have been read.
            series: the minutes of the stretch.
            first: the second since 1970 with which the stretch begins.
            text: what matchup would have written.
        """
        with told(self.path), self.database as database:
            database.execute("BEGIN IMMEDIATE")
            if text:
                import zstandard

                lines = zstandard.ZstdCompressor(level=1).compress(text)
                row = source, min(first, kept[1]), max(first, kept[1]), lines
                database.execute("INSERT INTO result (source, first, last, lines) VALUES (?, ?, ?, ?)", row)
            minutes = [(number, source, *minute.values()) for number, minute in series.minutes.items()]
            database.executemany(ADD_MINUTE, minutes)
            database.execute("DELETE FROM log WHERE source = ?", (source,))
            database.executemany(
                "INSERT INTO log VALUES (?, ?, ?, ?)", [(source, name, *place) for name, place in read.items()]
            )
            columns = "pending = ?, now = ?, peak = ?, since = ?, queue = ?, running = ?"
            database.execute(f"UPDATE source SET {columns} WHERE id = ?", (*kept, source))

    def forget(self, before: int) -> None:
        """Forget results and minutes of the time *before* this second since 1970, and messages that came then."""
        with told(self.path), self.database as database:
            database.execute("BEGIN IMMEDIATE")
            for source, pending in database.execute("SELECT id, pending FROM source").fetchall():
                matcher = Matcher()
                matcher.take(pending.splitlines())
                if gone := matcher.drop(before):
                    row = matcher.pending(), gone, source
                    database.execute("UPDATE source SET pending = ?, queue = max(0, queue - ?) WHERE id = ?", row)
            database.execute("DELETE FROM result WHERE last < ?", (before,))
            database.execute("DELETE FROM minute WHERE number < ?", (before // 60,))

    # -- reading ---------------------------------------------------------------------------
    def results(self, since: int, until: int) -> Iterator[bytes]:
        """What matchup would have written, in pieces of whole lines.

        Args:
            since, until: seconds since 1970; of what ended from one to the other, all is in the pieces.
        """
        import zstandard

        query = "SELECT id FROM result WHERE last >= ? AND first <= ? ORDER BY id"
        with told(self.path):
            numbers = self.database.execute(query, (since, until)).fetchall()
        for number in numbers:  # one by one: who takes them slowly keeps nobody from writing
            with told(self.path):
                row = self.database.execute("SELECT lines FROM result WHERE id = ?", number).fetchone()
            if row:
                yield zstandard.ZstdDecompressor().decompress(row[0])

    def minutes(self, since: int, until: int) -> dict[int, Minute]:
        """The minutes from the one *since* to before the one *until* in which there was anything, of all sources."""
        with told(self.path):
            rows = self.database.execute(MINUTES, (since, until)).fetchall()
        return {number: Minute(*values) for number, *values in rows}

    def waiting(self, until: int) -> list[Series]:
        """What was pending in each source at its last line and so is up to the second *until*."""
        with told(self.path):
            rows = self.database.execute("SELECT since, queue, running FROM source").fetchall()
        found = [Series(*row) for row in rows]
        for series in found:
            series.spread(until)
        return found
