"""The DuckDB warehouse: one writer at a time, tables made from their contracts, transactions. No SQL of any domain."""

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import duckdb
from filelock import FileLock, Timeout

from kpi_pipeline.contracts import WAREHOUSE, Table
from kpi_pipeline.errors import WarehouseError

Connection = duckdb.DuckDBPyConnection
Given = TypeVar("Given")
Made = TypeVar("Made")
LOCK_SECONDS = 3600.0
OPEN_SECONDS = 5.0
# With what Python holds beside it, a run stays below 2 GiB.
MEMORY_LIMIT = "1792MiB"

# DuckDB 2.0.0: after a left join whose right side is empty it takes the left columns for empty too, and drops rows of
# what is joined and filtered next (ADR 21). Until a release mends it; a test says when.
WRONG_OPTIMIZER = "statistics_propagation"
# Files whose columns this process has compared with the contracts: a run opens the warehouse at each of its steps.
_UP_TO_DATE: set[tuple[int, int]] = set()


class _Kept(ExitStack):
    """A database that stays open between the steps of this process, once one of them has opened it."""

    is_open = False
    con: Connection

    def __init__(self) -> None:
        super().__init__()
        self.noted: set[object] = set()


_KEPT: dict[Path, _Kept] = {}


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


class Warehouse:
    """The warehouse below a data folder.

    Args:
        path: the database file.
        spill_dir: where DuckDB may put what doesn't fit into memory; it can hold usernames while raw is loaded, so
            it must be as private as the landing zone.
    """

    def __init__(self, path: Path, spill_dir: Path) -> None:
        self.path = path
        self.spill_dir = spill_dir

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """The one connection; waits for other processes. Never nest it: it would wait for itself.

        Raises:
            WarehouseError: another process keeps the database, or the file is no DuckDB database.
        """
        kept = _KEPT.get(self.path)
        if kept is None:
            with self._opened() as con:
                yield con
            return
        if not kept.is_open:
            kept.con = kept.enter_context(self._opened())
            kept.is_open = True
        # One of its own: what a step leaves behind, temporary tables and settings, goes with it.
        con = another(kept.con)
        try:
            yield con
        finally:
            con.close()

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Until the end, open() leaves the database open for the next: opening it takes longer than most steps.

        Other processes wait for the end, or for let_go.
        """
        _KEPT[self.path] = _Kept()
        try:
            yield
        finally:
            self.let_go()
            del _KEPT[self.path]

    def let_go(self) -> None:
        """Lets other processes have the database until this one needs it again; for steps that take long without it."""
        kept = _KEPT.get(self.path)
        if kept is not None:
            kept.noted.clear()
            kept.is_open = False
            kept.close()

    def noted(self) -> set[object]:
        """What steps have noted here since this process has had the database without a break.

        Nobody else can have changed it since. Of a database that isn't kept open nothing is remembered.
        """
        kept = _KEPT.get(self.path)
        return kept.noted if kept is not None and kept.is_open else set()

    @contextmanager
    def _opened(self) -> Iterator[Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.spill_dir.parent, self.spill_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(self.path.with_suffix(".lock"), timeout=LOCK_SECONDS)
        try:
            with lock:
                con = self._connect()
                try:
                    if _identity(self.path) not in _UP_TO_DATE and outdated(con, WAREHOUSE):
                        # Of another version of this program: all of it can be had again from the landing zone.
                        con.close()
                        for file in self.path.parent.glob(f"{self.path.name}*"):
                            file.unlink()
                        con = self._connect()
                    create_tables(con, WAREHOUSE)
                    _UP_TO_DATE.add(_identity(self.path))
                    yield con
                finally:
                    con.close()
        except Timeout as error:
            raise WarehouseError(
                self.path,
                got=f"another run that held it for {LOCK_SECONDS:.0f} seconds",
                expected="one writer at a time",
                fix="Look in the Dagster UI for a run that hangs, and end it.",
            ) from error

    def _connect(self) -> Connection:
        config: dict[str, Any] = {"temp_directory": str(self.spill_dir), "memory_limit": MEMORY_LIMIT}
        until = time.monotonic() + OPEN_SECONDS
        while True:
            try:
                con = duckdb.connect(str(self.path), config=config)
                return set_up(con)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower() or time.monotonic() > until:
                    raise WarehouseError(
                        self.path,
                        got=" ".join(str(error).split())[:300],
                        expected="a DuckDB database that no other program has open",
                        fix="Close the program that it names (notebooks should open data/published/kpis.duckdb), or, "
                        "if the file is damaged, delete it: kpi run rebuilds it from the landing zone.",
                    ) from error
                time.sleep(0.05)


def another(con: Connection) -> Connection:
    """A connection beside this one, to the same databases, for another thread. It sees no temporary tables."""
    return con.cursor()


def side_by_side(
    con: Connection, work: Callable[[Connection, Given], Made], items: Iterable[Given], at_once: int
) -> Generator[Made, None, None]:
    """Does work on items, so many at a time, each on a connection beside this one that sees what is committed.

    Results come in the order of the items. The first error ends it, once what is under way has ended.
    """
    connections: SimpleQueue[Connection] = SimpleQueue()
    for _ in range(at_once):
        connections.put(another(con))

    def on_one(item: Given) -> Made:
        own = connections.get()
        try:
            return work(own, item)
        finally:
            connections.put(own)

    try:
        with ThreadPoolExecutor(at_once) as pool:
            yield from pool.map(on_one, items)
    finally:
        for _ in range(at_once):
            connections.get().close()


@contextmanager
def one_thread_each(con: Connection) -> Iterator[int]:
    """Statements run on one thread each, whoever's they are: for many small ones, which take longest to share out.

    Yields:
        How many of them to do at once to keep all threads busy: one more, as one is usually not in the database.
    """
    threads = scalar(con, "select current_setting('threads')")
    con.execute("set threads = 1")
    try:
        yield threads + 1
    finally:
        con.execute(f"set threads = {threads}")


def set_up(con: Connection) -> Connection:
    """Makes a database one of ours: UTC, quiet, and right; for this connection, and others to it."""
    con.execute("set global timezone = 'UTC'")
    # In a notebook without ipywidgets there is no bar, and DuckDB refuses to have it turned off.
    if con.execute("select current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        con.execute("set enable_progress_bar = false")
    con.execute(f"set global disabled_optimizers = '{WRONG_OPTIMIZER}'")
    return con


@contextmanager
def transaction(con: Connection) -> Iterator[None]:
    """All of it, or nothing."""
    con.execute("begin")
    try:
        yield
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")


def quote(*identifiers: str) -> str:
    """An identifier for SQL, safe whatever it holds; several are joined by dots. The only place that quotes."""
    return ".".join('"' + part.replace('"', '""') + '"' for name in identifiers for part in name.split("."))


def create_tables(con: Connection, tables: Sequence[Table]) -> None:
    """Makes tables that aren't there yet, by their contracts."""
    existing = {f"{s}.{t}" for s, t in con.execute("select schema_name, table_name from duckdb_tables()").fetchall()}
    missing = [table for table in tables if table.name not in existing]
    for schema in sorted({table.schema for table in missing}):
        con.execute(f"create schema if not exists {quote(schema)}")
    for table in missing:
        con.execute(create_statement(table, table.name))


def outdated(con: Connection, tables: Sequence[Table]) -> bool:
    """Whether a table that is there has other columns than its contract says."""
    rows = con.execute(
        "select schema_name || '.' || table_name, list(column_name order by column_index) from duckdb_columns() "
        "where not internal group by all"
    ).fetchall()
    found = dict(rows)
    return any(found.get(t.name, names) != names for t in tables for names in [[c.name for c in t.columns]])


def create_statement(table: Table, name: str, *, temporary: bool = False) -> str:
    """CREATE TABLE by the contract, under a name of the caller's."""
    columns = ", ".join(f"{quote(c.name)} {c.type}{'' if c.nullable else ' not null'}" for c in table.columns)
    return f"create {'temp ' if temporary else ''}table {quote(name)} ({columns})"


@cache
def sql(package: str, name: str) -> str:
    """The text of `kpi_pipeline/<package>/sql/<name>.sql`."""
    file = resources.files("kpi_pipeline").joinpath(package, "sql", f"{name}.sql")
    return file.read_text(encoding="utf-8").strip().rstrip(";")


def run(con: Connection, statement: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    """Runs one statement with those of the parameters that it names, and returns its rows."""
    wanted = set(re.findall(r"\$(\w+)", statement))
    bound = {name: value for name, value in (parameters or {}).items() if name in wanted}
    return con.execute(statement, bound).fetchall() if bound else con.execute(statement).fetchall()


def fill(con: Connection, table: Table, select: str, parameters: Mapping[str, object] | None = None) -> None:
    """Inserts what a SELECT gives, by column name."""
    run(con, f"insert into {quote(table.name)} by name ({select})", parameters)


def put_rows(con: Connection, name: str, rows: Iterable[Sequence[object]]) -> None:
    """Inserts a few rows from Python, of what is configured, in one statement: each takes longer than many rows."""
    if cells := [list(row) for row in rows]:
        marks = ", ".join(f"({', '.join('?' for _ in row)})" for row in cells)
        con.execute(f"insert into {quote(name)} values {marks}", [cell for row in cells for cell in row])


def scalar(con: Connection, statement: str, parameters: Mapping[str, object] | None = None) -> Any:
    """The one value of a query."""
    return run(con, statement, parameters)[0][0]
