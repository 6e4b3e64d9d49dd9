"""Where Dagster keeps the events of runs: its own SQLite files, kept open between two events.

What belongs here: how long a connection lives. What never does: what an event is, and what of it is stored; that is
Dagster's, which can read and go on with these files without this module.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

BUSY_SECONDS = 60


class KeptOpenEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log, without opening a database, compiling SQL and closing it for every event.

    Of the databases, two are kept open: the index of all runs, and the run that was used last. What belongs together,
    such as an event's entries in the index, is one transaction.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, tuple[Path, Engine]] = {}
        self._turn = threading.RLock()
        self._begun: dict[str, Connection] = {}
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """base_dir is Dagster's home; the files are where Dagster puts them by itself."""
        return cls(str(Path(config_value["base_dir"]) / "history" / "runs"), inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        if event.dagster_event_type not in ASSET_EVENTS | ASSET_CHECK_EVENTS:
            super().store_event(event)
            return
        with self._connect(INDEX_SHARD_NAME):
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """All or none: Dagster stores them one by one after an error."""
        with self._connect(INDEX_SHARD_NAME), self._connect(events[0].run_id):
            for one in events:
                super().store_event(one)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction, or a part of the one that this thread has begun."""
        with self._turn:
            if shard in self._begun:
                yield self._begun[shard]
                return
            path, engine = self._database(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as con, con.begin():
                self._begun[shard] = con
                try:
                    yield con
                finally:
                    del self._begun[shard]
            # What was committed is in a file beside the database until that is closed; who watches the run, such as
            # the UI's page of it, waits for the database itself to be touched.
            os.utime(path)

    def _database(self, shard: str) -> tuple[Path, Engine]:
        if shard in self._engines and not self._engines[shard][0].exists():
            # `dagster run wipe`, in another process.
            self._close(shard)
            self._initialized_dbs.discard(shard)
        if shard not in self._engines:
            if shard != INDEX_SHARD_NAME:
                for other in set(self._engines) - {INDEX_SHARD_NAME}:
                    self._close(other)
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": BUSY_SECONDS},
            )
            event.listen(engine, "connect", _in_no_hurry)
            self._engines[shard] = Path(self.path_for_shard(shard)), engine
        return self._engines[shard]

    def _close(self, shard: str) -> None:
        self._engines.pop(shard)[1].dispose()

    def _close_all(self) -> None:
        for shard in list(self._engines):
            self._close(shard)

    def has_table(self, table_name: str) -> bool:
        """Asked for every check; a table that is there stays there."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def has_asset_key_col(self, column_name: str) -> bool:
        """Asked for every step; a column that is there stays there."""
        return column_name in self._columns or super().has_asset_key_col(column_name)

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def wipe(self) -> None:
        self._close_all()
        super().wipe()

    def dispose(self) -> None:
        self._close_all()
        super().dispose()


def _in_no_hurry(con: sqlite3.Connection, _: object) -> None:
    """A power failure may take the last events with it, never the database; no value rests on events."""
    con.execute("pragma synchronous = normal")
