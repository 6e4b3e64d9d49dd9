"""Landing to raw: every field typed and kept, people become keys, what doesn't fit goes to quarantine with a reason.

A file is loaded once; again only when its bytes, its contract, the secret or the identity issuers have changed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from kpi_pipeline import identity
from kpi_pipeline.contracts import Column, Record, table
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import LandedFile, Landing
from kpi_pipeline.sources.files import TABLE_SUFFIXES
from kpi_pipeline.stages import dirty
from kpi_pipeline.stages.reading import Reader, blank_rows, reader, take_rejects, whole_file
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, side_by_side, sql, transaction

# In memory like a temporary table, but seen by all connections that read files.
INCOMING = "incoming.rows"
# A reason on the file as a whole: nothing of the file arrived.
WHOLE_FILE = None
# At most 9 decimals that say something.
PLAIN_DECIMAL = "[+-]?[0-9]+([.][0-9]{1,9}0*)?"
# File, row, reason.
Reject = tuple[str, int | None, str]
# Of a file.
Lines = dict[str, int]
ReadFile = Callable[[Connection, Record, LandedFile, Path], Reader]
ReadFiles = Callable[[Connection, Sequence[LandedFile]], list[Reject]]


@dataclass
class Loaded:
    """What one load did.

    Args:
        files: how many files were read.
        removed: how many files no longer count.
        rows: records in raw afterwards.
        rejected: records and files sent to quarantine by this load, by reason.
    """

    files: int = 0
    removed: int = 0
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def load(
    con: Connection,
    landing: Landing,
    record: Record,
    secret: SecretStr | None,
    connected: bool,
    read: ReadFile = reader,
    at_once: int = 1,
    read_all: ReadFiles | None = None,
    only_tables: bool | None = None,
) -> Loaded:
    """Brings raw.<source> up to date with the landing zone, in one transaction.

    Args:
        secret: for streams that name people.
        connected: whether kpi.toml names the source; one that it doesn't name holds nothing.
        read: how a file becomes rows, where it is no table.
        at_once: how many files to read at the same time; with more than one, rows come in no order.
        read_all: how many small files at once become rows of incoming.rows; returns those that can't be read.
        only_tables: whether a file is a stray one whose name isn't a table's; default: without `read` and `read_all`.
    """
    if only_tables is None:
        only_tables = read is reader and read_all is None
    files = _files_that_count(landing, record, any_suffix=not only_tables) if connected else []
    keying = _keying(con, record, secret)
    before = dict(run(con, "select file, (sha256, keying) from raw.loads where source = $s", {"s": record.source}))
    wanted = {f.name: (f.sha256, keying) for f in files}
    gone = sorted(set(before) - set(wanted))
    changed = [f for f in files if before.get(f.name) != wanted[f.name]]
    result = Loaded(files=len(changed), removed=len(gone))
    if changed or gone:
        # Files are read before the transaction: one that can't be read would abort it, with all the others.
        _make_incoming(con, record)
        rejects, lines = (
            (read_all(con, changed), Lines())
            if read_all is not None
            else read_files(con, landing, record, changed, read, at_once)
        )
        if record.personal and secret is not None:
            _add_keys(con, record, secret)
        with transaction(con):
            _forget(con, record, [f.name for f in changed] + gone)
            _store(con, record, changed, keying, rejects, lines, result)
        run(con, "detach incoming")
        run(con, "drop table if exists temp.names")
    result.rows = scalar(con, f"select count(*) from {quote('raw.' + record.source)}")
    return result


def _files_that_count(landing: Landing, record: Record, *, any_suffix: bool) -> list[LandedFile]:
    """A stray file of no format that we read held nothing; once it has left the drop, it is forgotten."""
    newest = landing.newest(record.source)
    present = {file.name for file in newest.files} if newest else set()
    files = landing.files(record.source, record.delivery)
    return [f for f in files if any_suffix or f.name in present or f.name.lower().endswith(TABLE_SUFFIXES)]


def _keying(con: Connection, record: Record, secret: SecretStr | None) -> str:
    if not record.personal or secret is None:
        return record.version
    if not _is_on_hubs(record):
        return fingerprint(record.version, identity.secret_fingerprint(secret))
    overrides = run(con, "select * from (" + ISSUER_OVERRIDES + ") order by all")
    return fingerprint(record.version, identity.secret_fingerprint(secret), overrides)


ISSUER_OVERRIDES = (
    "select cluster, hub, from_day, to_day, identity_issuer from staged.hubs where identity_issuer <> cluster"
)


def _forget(con: Connection, record: Record, files: Sequence[str]) -> None:
    target = quote("raw." + record.source)
    chosen = {"files": list(files), "source": record.source}
    if record.marks_days:
        dirty.mark(con, "staged", f"select date from {target} where list_contains($files, _file)", chosen)
    run(con, f"delete from {target} where list_contains($files, _file)", chosen)
    for name in ("raw.quarantine", "raw.loads", "raw.log_files"):
        run(con, f"delete from {quote(name)} where source = $source and list_contains($files, file)", chosen)


def _make_incoming(con: Connection, record: Record) -> None:
    """Makes incoming.rows, empty: the record's columns as they are in raw, its place, and what is wrong with it."""
    columns = ", ".join(f"{quote(c.name)} {_raw_type(c)}" for c in record.columns)
    run(con, "attach if not exists ':memory:' as incoming")
    run(con, f"create or replace table {INCOMING} ({columns}, _file varchar, _row bigint, _reason varchar)")


def read_files(
    con: Connection,
    landing: Landing,
    record: Record,
    files: Sequence[LandedFile],
    read: ReadFile,
    at_once: int,
) -> tuple[list[Reject], Lines]:
    """Fills incoming.rows.

    Returns:
        What never became a row of it, and how many lines the files have of which only some become rows.
    """
    found = list(side_by_side(con, lambda own, file: _read(own, landing, record, file, read), files, at_once))
    for file, one in zip(files, found, strict=True):
        if one.missing:
            _shift_rows(con, file.name, one.missing)
    lines = {file.name: one.lines for file, one in zip(files, found, strict=True) if one.lines is not None}
    return [reject for one in found for reject in one.rejects], lines


@dataclass(frozen=True)
class FromFile:
    """What reading a file gave beside rows: what was rejected, rows that the reader didn't count, and lines in all."""

    rejects: tuple[Reject, ...]
    missing: tuple[int, ...] = ()
    lines: int | None = None


def _read(con: Connection, landing: Landing, record: Record, file: LandedFile, read: ReadFile) -> FromFile:
    try:
        source = read(con, record, file, landing.path(record.source, file))
        with whole_file(file):
            run(con, insert_statement(record, source), {**source.parameters, "file": file.name, **_limits(file)})
        rejects = take_rejects(con, file)
        missing = [row for row, _ in rejects]
        if source.skips_blank:
            with whole_file(file):
                count = scalar(con, f"select count(*) from {INCOMING} where _file = $file", {"file": file.name})
                missing += blank_rows(con, source, int(count) + len(rejects))
    except UnreadableFileError as error:
        run(con, f"delete from {INCOMING} where _file = $file", {"file": file.name})
        return FromFile(((file.name, WHOLE_FILE, error.reason),))
    return FromFile(tuple((file.name, row, reason) for row, reason in rejects), tuple(missing), source.lines)


def _limits(file: LandedFile) -> dict[str, object]:
    return {"fetched": file.fetched_date}


def insert_statement(record: Record, source: Reader) -> str:
    """Text to types; the first thing that is wrong with a row becomes its reason."""
    typed, reasons = [], [*source.reasons]
    for column in record.columns:
        raw = source.columns.get(column.name, "null::varchar")
        value = _typed(column, raw, source.typed)
        typed.append(f"{value} as {quote(column.name)}")
        is_text = not source.typed or column.type == "VARCHAR"
        blank = f"coalesce(trim({raw}::varchar), '') = ''" if is_text else f"{raw} is null"
        if not column.nullable and not column.personal:
            reasons.append((f"missing:{column.name}", blank))
        if not column.personal:
            reasons.append((f"invalid:{column.name}", f"not ({blank}) and {value} is null"))
        if column.type == "DATE" and not column.may_be_future:
            reasons.append((f"future:{column.name}", f"{value} > {source.fetched}"))
    case = " ".join(f"when {condition} then '{reason}'" for reason, condition in reasons)
    inner = f"select {', '.join(typed)}, {source.file} as _file, {source.row} as _row, case {case} end as _reason"
    rules = " ".join(f"when {condition} then '{reason}'" for reason, condition in record.rules)
    final = f"coalesce(_reason, case {rules} end) as _reason" if rules else "_reason as _reason"
    return f"insert into {INCOMING} by name select * replace ({final}) from ({inner} from {source.relation})"


def _typed(column: Column, raw: str, typed: bool) -> str:
    if column.personal:
        return f"{raw}::varchar"
    if column.json_key is not None:
        return _value_in_json(raw, column.json_key)
    if column.values:
        allowed = ", ".join(f"'{value}'" for value in column.values)
        text = f"lower(trim({raw}::varchar))"
        return f"case when {text} in ({allowed}) then {text} end"
    match column.type:
        case "VARCHAR":
            return f"nullif(trim({raw}::varchar), '')"
        case "DATE" if not typed:
            return f"try_strptime(trim({raw}), '%Y-%m-%d')::date"
        case "TIMESTAMPTZ":
            return f"(try_cast({raw} as timestamptz) at time zone 'UTC')"
        case "BIGINT" if not typed:
            return f"case when regexp_full_match(trim({raw}), '[+-]?[0-9]+') then try_cast(trim({raw}) as bigint) end"
        case "BIGINT":
            # A cast rounds: 2.5 sessions are a fault, not 2.
            whole = f"try_cast({raw} as bigint)"
            return f"case when try_cast({raw} as decimal(38, 9)) = {whole} then {whole} end"
        case "DECIMAL(38, 9)":
            # A cast rounds, and takes 1e3; what a Parquet file holds as a float is taken as it is written.
            text = f"trim({raw}::varchar)"
            return f"case when regexp_full_match({text}, '{PLAIN_DECIMAL}') then try_cast({text} as decimal(38, 9)) end"
        case other if other.startswith("DECIMAL"):
            return _decimal(raw, other)
        case other:
            return f"try_cast({raw} as {other})"


def _decimal(raw: str, decimal: str) -> str:
    """Exact or nothing: a number with more digits than the type has is a fault, and so is '1,5'.

    A float of Parquet goes by its shortest text, which is the number that was meant.
    """
    text = f"trim({raw}::varchar)"
    scale = int(decimal.rstrip(")").split(",")[1])
    plain = f"regexp_full_match({text}, '[+-]?[0-9]+([.][0-9]{{0,{scale}}}0*)?')"
    exponent = f"regexp_full_match({text}, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{{1,3}})?')"
    decimals = f"length(regexp_extract({text}, '[.]([0-9]*)', 1))"
    power = f"coalesce(try_cast(regexp_extract({text}, '[eE]([+-]?[0-9]+)$', 1) as integer), 0)"
    return (
        f"case when {plain} or ({exponent} and {decimals} - {power} <= {scale}) then try_cast({text} as {decimal}) end"
    )


def _value_in_json(raw: str, key: str) -> str:
    """'' where there is an object without the key: null would mean that it is no object."""
    path = key.replace("'", "''").replace('"', '\\"')
    text = f"{raw}::varchar"
    wanted = f"coalesce(trim({text} ->> '$.\"{path}\"'), '')" if key else "''"
    value = f"case json_type({text}) when 'OBJECT' then {wanted} end"
    return f"case when json_valid({text}) then {value} end"


def _raw_type(column: Column) -> str:
    return "TIMESTAMP" if column.type == "TIMESTAMPTZ" else column.type


def _shift_rows(con: Connection, file: str, missing: Sequence[int]) -> None:
    """Rows were counted without those missing; count them in, so that a row is found where we say it is."""
    run(con, sql("stages", "shift_rows"), {"missing": list(missing), "file": file})


def _is_on_hubs(record: Record) -> bool:
    """Whether its people are known to a hub's identity issuer; other sources vouch for their own."""
    return any(column.name == "cluster" for column in record.columns)


def _person_column(record: Record) -> Column:
    return next(column for column in record.columns if column.personal)


def _add_keys(con: Connection, record: Record, secret: SecretStr) -> None:
    """Adds a table temp.names (issuer, username, normalised, person_key) for what came in."""
    person = _person_column(record)
    name = quote(person.name)
    run(con, f"alter table {INCOMING} add column issuer varchar")
    if _is_on_hubs(record):
        run(con, f"create or replace temp table overrides as {ISSUER_OVERRIDES}")
        run(con, f"update {INCOMING} set issuer = cluster")
        run(
            con,
            f"update {INCOMING} i set issuer = o.identity_issuer from overrides o where i.cluster = o.cluster "
            "and i.hub = o.hub and i.date >= o.from_day and i.date < o.to_day",
        )
    else:
        run(con, f"update {INCOMING} set issuer = $source", {"source": record.issuer or record.source})
    run(
        con,
        f"create or replace temp table names as select distinct issuer, {name} as username, "
        f"null::varchar as normalised, null::uuid as person_key from {INCOMING} "
        f"where _reason is null and {name} is not null",
    )
    identity.add_normalised_names(con, "temp.names")
    key, pads = identity.key_expression(secret)
    run(con, f"update temp.names set person_key = {key} where normalised <> ''", pads)
    if person.nullable:
        return
    run(
        con,
        f"update {INCOMING} i set _reason = 'missing:{person.name}' where _reason is null and ({name} is null "
        f"or {name} in (select username from temp.names where person_key is null))",
    )


def _store(
    con: Connection,
    record: Record,
    files: Sequence[LandedFile],
    keying: str,
    rejects: Sequence[Reject],
    lines: Lines,
    result: Loaded,
) -> None:
    target = table("raw." + record.source)
    parts = [c for c in target.columns if c.name not in ("person_key", "_file", "_row")]
    chosen = ", ".join(f"i.{quote(c.name)}" for c in parts)
    join = ""
    if record.personal:
        chosen += ", n.person_key"
        person = _person_column(record)
        outer = "left " if person.nullable else ""
        join = f"{outer}join temp.names n on n.issuer = i.issuer and n.username = i.{quote(person.name)}"
    fill(con, target, f"select {chosen}, i._file, i._row from {INCOMING} i {join} where i._reason is null")
    fill(
        con,
        table("raw.quarantine"),
        f"select $source as source, _file as file, _row as row, _reason as reason, 'raw' as stage, "
        f"{record.day} as date from {INCOMING} where _reason is not null",
        {"source": record.source},
    )
    result.rejected.update(
        dict(run(con, f"select _reason, count(*) from {INCOMING} where _reason is not null group by all"))
    )
    if rejects:
        con.executemany(
            "insert into raw.quarantine values (?, ?, ?, ?, 'raw', null)",
            [(record.source, *reject) for reject in rejects],
        )
        result.rejected.update(reason for *_, reason in rejects)
    rows: dict[str, int] = dict(run(con, f"select _file, count(*) from {INCOMING} where _reason is null group by all"))
    if files:
        con.executemany(
            "insert into raw.loads values (?, ?, ?, ?, ?)",
            [(record.source, f.name, f.sha256, keying, rows.get(f.name, 0)) for f in files],
        )
    if lines:
        told = {"source": record.source, "files": list(lines), "lines": list(lines.values())}
        fill(con, table("raw.log_files"), sql("stages", "log_files"), told)
    if record.marks_days:
        dirty.mark(con, "staged", f"select date from {INCOMING} where _reason is null")
