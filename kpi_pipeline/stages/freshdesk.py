"""Freshdesk's pages from landing to raw: tickets, messages, ratings. Pages are JSON lists, read set-wise by DuckDB.

What belongs here: the shapes of Freshdesk's API v2. What never does: a subject, a body, or other words of people.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import polars as pl
from pydantic import SecretStr

from kpi_pipeline import identity
from kpi_pipeline.contracts import Column, Record, table
from kpi_pipeline.contracts.support import MESSAGES, RATINGS, TICKETS
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import LandedFile, Landing, unpacked
from kpi_pipeline.stages.raw import WHOLE_FILE, Loaded, Reject
from kpi_pipeline.stages.reading import whole_file
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, transaction

SOURCE = TICKETS.source
ISSUER = "freshdesk"
STREAMS = {"tickets": TICKETS, "conversations": MESSAGES, "satisfaction_ratings": RATINGS}
# The place says what a page holds; that of a conversation also which ticket it belongs to. `ticket`: one that was asked
# for by itself.
PLACE = re.compile(
    r"(tickets|ticket/[0-9]{1,18}|conversations/(?P<ticket>[0-9]{1,18})|satisfaction_ratings)/.*\.json(\.gz)?",
    re.IGNORECASE,
)
# Where an answer that there is no such ticket lies. Only its status says so: a dropped file has none.
GONE, NOT_FOUND = re.compile(r"gone/[0-9]{1,18}\.json"), 404
ABSENCES = "raw.tickets_gone"
# Pages are handed to DuckDB in batches of about so many characters.
BATCH = 1 << 25
STATS = (
    "first_responded_at agent_responded_at requester_responded_at status_updated_at reopened_at resolved_at closed_at"
)
PATHS = {name: f"$.stats.{name}" for name in (*STATS.split(), "pending_since")}
# The default question's answer: {"default_question": 103}, or a list of such, or of {"question": ..., "rating": 103}.
DEFAULT_RATING = """case json_type(document, '$.ratings')
    when 'OBJECT' then document -> '$.ratings.default_question'
    when 'ARRAY' then list_filter(
        list_transform(
            from_json(document -> '$.ratings', '["json"]'),
            lambda answer: coalesce(
                answer -> '$.default_question',
                case when answer ->> '$.question' = 'default_question' then answer -> '$.rating' end
            )
        ),
        lambda answer: answer is not null
    )[1]
end"""
MERGE_NOTE = (
    "coalesce((document ->> '$.private')::varchar = 'true' "
    "and contains(lower(document ->> '$.body_text'), 'merged into ticket'), false)"
)
JSON_TYPES = {"BIGINT": "'UBIGINT', 'BIGINT'", "BOOLEAN": "'BOOLEAN'", "VARCHAR[]": "'ARRAY'"}


def load(con: Connection, landing: Landing, secret: SecretStr | None) -> Loaded:
    """Brings the raw tables of tickets up to date with the landing zone, in one transaction.

    Args:
        secret: None where the source isn't connected, which then holds nothing.
    """
    files = _files_that_count(landing) if secret else []
    keying = _keying(secret)
    before = dict(run(con, "select file, (sha256, keying) from raw.loads where source = $s", {"s": SOURCE}))
    wanted = {f.name: (f.sha256, keying) for f in files}
    gone = sorted(set(before) - set(wanted))
    changed = [f for f in files if before.get(f.name) != wanted[f.name]]
    result = Loaded(files=len(changed), removed=len(gone))
    if changed or gone:
        rejects = _read_pages(con, landing, [f for f in changed if not _is_gone(f)], secret)
        with transaction(con):
            _forget(con, [*(f.name for f in changed), *gone])
            _store(con, changed, keying, rejects, result)
        for record in STREAMS.values():
            run(con, f"drop table if exists temp.incoming_{record.source}")
    result.rows = scalar(con, "select count(*) from raw.tickets")
    return result


def _files_that_count(landing: Landing) -> list[LandedFile]:
    """The newest version of every page; a stray file counts only as long as it is there."""
    newest = landing.newest(SOURCE)
    present = {file.name for file in newest.files} if newest else set()
    files = landing.files(SOURCE, TICKETS.delivery)
    return [f for f in files if f.name in present or _is_gone(f) or PLACE.fullmatch(f.name)]


def _is_gone(file: LandedFile) -> bool:
    return file.status == NOT_FOUND and GONE.fullmatch(file.name) is not None


def _keying(secret: SecretStr | None) -> str:
    versions = [record.version for record in STREAMS.values()]
    return fingerprint(*versions, identity.secret_fingerprint(secret) if secret else "")


def _read_pages(
    con: Connection, landing: Landing, files: Sequence[LandedFile], secret: SecretStr | None
) -> list[Reject]:
    """Fills temp.incoming_<stream>, and returns the pages that can't be read."""
    for record in STREAMS.values():
        target = table("raw." + record.source)
        columns = ", ".join(f"{quote(c.name)} {c.type}" for c in target.columns)
        run(con, f"create or replace temp table incoming_{record.source} ({columns}, _reason varchar)")
    rejects: list[Reject] = []
    for batch in _batches(landing, files, rejects):
        con.register("batch", pl.DataFrame(batch, schema=PAGE_SCHEMA, orient="row").to_arrow())
        if secret is not None:
            rejects += _unpack(con, secret)
        con.unregister("batch")
    return rejects


PAGE_SCHEMA = {"file": pl.String, "fetched": pl.Date, "stream": pl.String, "ticket_id": pl.Int64, "text": pl.String}
Page = tuple[str, object, str, int | None, str]


def _batches(landing: Landing, files: Sequence[LandedFile], rejects: list[Reject]) -> Iterator[list[Page]]:
    batch: list[Page] = []
    size = 0
    for file in files:
        try:
            page = _page(landing, file)
        except UnreadableFileError as error:
            rejects.append((file.name, WHOLE_FILE, error.reason))
            continue
        batch.append(page)
        size += len(page[-1])
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _page(landing: Landing, file: LandedFile) -> Page:
    place = PLACE.fullmatch(file.name)
    if place is None:
        raise _unreadable(file, "unsupported_format", "another place or suffix")
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes")
    packed = file.encoding == "gzip" or file.name.lower().endswith(".gz")
    with whole_file(file), unpacked(landing.path(SOURCE, file), packed) as content:
        text = content.read().decode("utf-8-sig")
    stream, ticket = file.name.split("/")[0].lower(), place["ticket"]
    if stream == "ticket":
        # It is no page, and becomes one.
        stream, text = "tickets", f"[{text}]"
    return file.name, file.fetched_date, stream, int(ticket) if ticket else None, text


def _unreadable(file: LandedFile, reason: str, got: str) -> UnreadableFileError:
    expected = "tickets/*.json, conversations/<ticket>/*.json or satisfaction_ratings/*.json"
    return UnreadableFileError(file.name, reason=reason, got=got, expected=expected, fix="Deliver the page again.")


def _unpack(con: Connection, secret: SecretStr) -> list[Reject]:
    """The batch's records into temp.incoming_*; returns pages that aren't a whole JSON list."""
    run(
        con,
        "create or replace temp table pages as select * exclude (text), "
        "case when json_valid(text) then text::json end as document from batch",
    )
    for stream, record in STREAMS.items():
        statement, parameters = _records_statement(record, secret)
        run(con, statement, {"stream": stream, **parameters})
    reasons = [
        ("not_json", "document is null"),
        ("not_a_list", "json_type(document) <> 'ARRAY'"),
    ]
    found: list[Reject] = run(
        con,
        f"from (select file, null::bigint, {_case(reasons)} as reason from temp.pages) where reason is not null",
    )
    run(con, "drop table temp.pages")
    return found


def _records_statement(record: Record, secret: SecretStr) -> tuple[str, dict[str, object]]:
    """JSON to types; the first thing that is wrong with a record becomes its reason."""
    key, pads = identity.key_expression(secret)
    typed, reasons = [], [("not_an_object", "json_type(document) is distinct from 'OBJECT'")]
    person = next(c for c in record.columns if c.personal)
    for column in record.columns:
        value, kind = _field(column), f"coalesce({_json_type(column)}, 'NULL')"
        if not column.nullable:
            reasons.append((f"missing:{column.name}", f"{kind} = 'NULL'"))
        reasons.append((f"wrong_type:{column.name}", f"{kind} not in ({_allowed(column)}, 'NULL')"))
        if column.personal:
            continue
        reasons.append((f"invalid:{column.name}", f"{kind} <> 'NULL' and {value} is null"))
        typed.append(f"{value} as {quote(column.name)}")
    reasons.append(("future:created_at", f"{_field(_column(record, 'created_at'))}::date > fetched"))
    more = f", ticket_id, {MERGE_NOTE} as is_merge_note" if record is MESSAGES else ""
    rules = " ".join(f"when {condition} then '{reason}'" for reason, condition in record.rules)
    final = f"coalesce(_reason, case {rules} end)" if rules else "_reason"
    return (
        f"insert into temp.incoming_{record.source} by name "
        f"select * exclude (issuer, normalised) replace ({final} as _reason), "
        f"case when normalised is not null then {key} end as person_key "
        f"from (select {', '.join(typed)}{more}, '{ISSUER}' as issuer, document ->> '$.{person.name}' as normalised, "
        f"file as _file, _row, {_case(reasons)} as _reason from "
        "(select file, fetched, ticket_id, generate_subscripts(records, 1) as _row, unnest(records) as document "
        "from (select * exclude (document), from_json(document, '[\"json\"]') as records from temp.pages "
        "where stream = $stream and json_type(document) = 'ARRAY')))",
        {**pads},
    )


def _column(record: Record, name: str) -> Column:
    return next(column for column in record.columns if column.name == name)


def _json(column: Column) -> str:
    if column.name == "rating":
        return f"({DEFAULT_RATING})"
    return f"(document -> '{PATHS.get(column.name, '$.' + column.name)}')"


def _json_type(column: Column) -> str:
    if column.type == "VARCHAR[]":
        # A list that holds something else than text is no list of tags.
        path = f"{_json(column)}"
        wrong = "lambda tag: json_type(tag) <> 'VARCHAR'"
        return (
            f"case when json_type({path}) = 'ARRAY' and len(list_filter(from_json({path}, '[\"json\"]'), {wrong})) > 0 "
            f"then 'MIXED' else json_type({path}) end"
        )
    return f"json_type({_json(column)})"


def _allowed(column: Column) -> str:
    return JSON_TYPES.get(column.type, "'VARCHAR'")


def _field(column: Column) -> str:
    text = f"({_json(column)} ->> '$')"
    match column.type:
        case "VARCHAR":
            return f"nullif(trim({text}), '')" if not column.nullable else text
        case "TIMESTAMPTZ":
            return f"(try_cast({text} as timestamptz) at time zone 'UTC')"
        case "VARCHAR[]":
            return f"try_cast({_json(column)} as varchar[])"
        case other:
            return f"try_cast({text} as {other})"


def _case(reasons: Sequence[tuple[str, str]]) -> str:
    return "case " + " ".join(f"when {condition} then '{reason}'" for reason, condition in reasons) + " end"


def _forget(con: Connection, files: Sequence[str]) -> None:
    chosen = {"files": list(files), "source": SOURCE}
    for target in (*(f"raw.{record.source}" for record in STREAMS.values()), ABSENCES):
        run(con, f"delete from {quote(target)} where list_contains($files, _file)", chosen)
    for name in ("raw.quarantine", "raw.loads"):
        run(con, f"delete from {quote(name)} where source = $source and list_contains($files, file)", chosen)


def _store(
    con: Connection, files: Sequence[LandedFile], keying: str, rejects: Sequence[Reject], result: Loaded
) -> None:
    rows: Counter[str] = Counter()
    for record in STREAMS.values():
        incoming, target = f"temp.incoming_{record.source}", table("raw." + record.source)
        fill(con, target, f"select * exclude (_reason) from {incoming} where _reason is null order by _file, _row")
        fill(
            con,
            table("raw.quarantine"),
            f"select $source as source, _file as file, _row as row, _reason as reason, 'raw' as stage, "
            f"{record.day} as date from {incoming} where _reason is not null",
            {"source": SOURCE},
        )
        rows.update(dict(run(con, f"select _file, count(*) from {incoming} where _reason is null group by all")))
        rejected = run(con, f"select _reason, count(*) from {incoming} where _reason is not null group by all")
        result.rejected.update(dict(rejected))
    _store_absences(con, [file for file in files if _is_gone(file)])
    if rejects:
        con.executemany(
            "insert into raw.quarantine values (?, ?, ?, ?, 'raw', null)", [(SOURCE, *reject) for reject in rejects]
        )
        result.rejected.update(reason for *_, reason in rejects)
    if files:
        loads = [(SOURCE, f.name, f.sha256, keying, rows.get(f.name, 0)) for f in files]
        frame = pl.DataFrame(loads, schema=["source", "file", "sha256", "keying", "rows"], orient="row")
        con.register("loads", frame.to_arrow())
        fill(con, table("raw.loads"), "select * from loads")
        con.unregister("loads")


def _store_absences(con: Connection, files: Sequence[LandedFile]) -> None:
    if files:
        con.executemany(
            f"insert into {quote(ABSENCES)} by name select ? as ticket_id, ? as noticed_at, ? as _file, 1 as _row",
            [(file.name.split("/")[1].split(".")[0], _utc(file.fetched_at), file.name) for file in files],
        )


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
