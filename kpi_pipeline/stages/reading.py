"""How a landed file becomes rows of text: CSV, Parquet, JSON, and what is wrong with it as a whole.

What belongs here: formats. What never does: the meaning of a column, which is the contract's.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kpi_pipeline.contracts import Record
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import CHUNK, TORN_GZIP, LandedFile, unpacked
from kpi_pipeline.sources.files import TABLE_SUFFIXES
from kpi_pipeline.warehouse import Connection, quote, sql

REJECTS = "reject_errors"
REJECT_REASONS = {
    "MISSING COLUMNS": "wrong_column_count",
    "TOO MANY COLUMNS": "wrong_column_count",
    "INVALID ENCODING": "not_utf8",
    "LINE SIZE OVER MAXIMUM": "line_too_long",
}
# No JSON text holds this character unescaped, so a line is one field.
NO_DELIMITER = "\x01"
HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Reader:
    """A relation over a file: SQL for `from`, its parameters, and SQL for each column.

    `columns` maps a contract's column to an expression; `typed` says whether the format has types of its own;
    `reasons` are further conditions that send a row to quarantine. `lines` says how many lines the file has, where the
    relation gives only those that matter. `skips_blank` says whether there are blank lines, which the reader neither
    gives nor counts. `file` and `fetched` say which file a row is of, and when that was fetched, where the relation is
    over several files.
    """

    relation: str
    parameters: dict[str, object]
    columns: dict[str, str]
    row: str
    typed: bool = False
    reasons: tuple[tuple[str, str], ...] = ()
    lines: int | None = None
    skips_blank: bool = False
    file: str = "$file"
    fetched: str = "$fetched"


def reader(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    """The reader that fits a landed file.

    Raises:
        UnreadableFileError: the file as a whole is wrong, and why.
    """
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes", "a file with content", "Deliver it again.")
    name = file.name.lower()
    if not name.endswith(TABLE_SUFFIXES):
        raise _unreadable(
            file, "unsupported_format", "another suffix", " ".join(TABLE_SUFFIXES), "Export it in one of these formats."
        )
    gz = file.encoding == "gzip" or name.endswith(".gz")
    with whole_file(file):
        if name.endswith(".parquet"):
            return _parquet(con, record, file, path)
        if file.encoding == "identity":
            _last_byte(path, gz)
        if _is_csv(name):
            return _csv(record, file, path, gz)
        return _json(record, file, path, gz)


@contextmanager
def whole_file(file: LandedFile) -> Iterator[None]:
    """Turns what a broken file raises into UnreadableFileError. Messages of readers quote rows: none is passed on."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise _unreadable(file, "not_utf8", "other bytes", "UTF-8", "Convert it and deliver it again.") from error
    except csv.Error as error:
        raise _unreadable(
            file, "unreadable", "line ends of its own", "LF or CRLF", "Convert and redeliver it."
        ) from error
    except TORN_GZIP as error:
        raise _unreadable(file, "truncated", "a torn gzip", "a whole one", "Deliver it again.") from error
    except duckdb.Error as error:
        text = str(error)
        if "GZIP" in text.upper():
            raise _unreadable(file, "truncated", "a torn gzip", "a whole one", "Deliver it again.") from None
        if file.name.lower().endswith(".parquet"):
            raise _unreadable(file, "not_parquet", "something else", "Parquet", "Write it again as Parquet.") from None
        if "json" in text.lower():
            raise _unreadable(file, "not_json", "broken JSON", "one array of objects", "Deliver it again.") from None
        raise _unreadable(
            file, "unreadable", type(error).__name__, "a readable file", "Look at it in the landing zone."
        ) from None


def _is_csv(name: str) -> bool:
    return name.lower().endswith((".csv", ".csv.gz"))


def _last_byte(path: Path, gz: bool) -> bytes:
    """The last byte that is no white space. Reads all, and so checks a gzip's checksum, which DuckDB doesn't."""
    last = b""
    with unpacked(path, gz) as content:
        while chunk := content.read(CHUNK):
            last = chunk.rstrip()[-1:] or last
    return last


def count_lines(path: Path, gz: bool) -> int:
    """How many lines a file has, the last one with or without its end. Checks a gzip's checksum as well."""
    ends, last = 0, b"\n"
    with unpacked(path, gz) as content:
        while chunk := content.read(CHUNK):
            ends += chunk.count(b"\n")
            last = chunk[-1:]
    return ends + (last != b"\n")


def _has_blank_line(path: Path, gz: bool) -> bool:
    """Whether two line ends follow each other, within quotes or not."""
    before = b""
    with unpacked(path, gz) as content:
        while chunk := content.read(CHUNK):
            text = before + chunk
            if b"\n\n" in text or b"\n\r\n" in text:
                return True
            before = text[-2:]
    return False


def _csv(record: Record, file: LandedFile, path: Path, gz: bool) -> Reader:
    with unpacked(path, gz) as content:
        head = content.read(HEAD_BYTES)
    first_line = head.split(b"\n", 1)[0].decode("utf-8-sig")
    header = [name.strip() for name in next(csv.reader(io.StringIO(first_line)), [])]
    names = [_column_of(record, name) for name in header]
    check_columns(record, file, [name for name in names if name is not None])
    # By place: two columns that nobody reads may share a name.
    types = ", ".join(f"column_{place}: 'VARCHAR'" for place, _ in enumerate(header))
    nulls = ", ".join(_literal(word) for word in ("", *record.null_words))
    relation = (
        f"read_csv($path, columns = {{{types}}}, header = true, auto_detect = false, delim = ',', quote = '\"', "
        f"escape = '\"', nullstr = [{nulls}], compression = $compression, store_rejects = true)"
    )
    return Reader(
        relation,
        {"path": str(path), "compression": "gzip" if gz else "none"},
        {name: quote(f"column_{place}") for place, name in enumerate(names) if name is not None},
        "row_number() over ()",
        # A blank line of one column is a value, though an empty one.
        skips_blank=len(header) > 1 and _has_blank_line(path, gz),
    )


def _column_of(record: Record, name: str) -> str | None:
    """The contract's column behind a name in a header; None: one that is left unread."""
    known = {column.name for column in record.columns}
    column = {label.lower(): column for label, column in record.labels}.get(name.lower(), name)
    return None if record.is_open and column not in known else column


def _parquet(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    described = con.execute("describe select * from read_parquet(?)", [str(path)]).fetchall()
    check_columns(record, file, [row[0] for row in described])
    columns = {row[0]: _parquet_column(record, *row[:2]) for row in described}
    relation = "read_parquet($path, file_row_number = true)"
    return Reader(relation, {"path": str(path)}, columns, "file_row_number + 1", typed=True)


def _parquet_column(record: Record, name: str, kind: str) -> str:
    if kind.endswith(")") and kind.startswith(("MAP", "STRUCT")):
        return f"to_json({quote(name)})::varchar"
    words = ", ".join(_literal(word) for word in record.null_words)
    if kind == "VARCHAR" and words:
        return f"case when {quote(name)} not in ({words}) then {quote(name)} end"
    return quote(name)


def _json(record: Record, file: LandedFile, path: Path, gz: bool) -> Reader:
    with unpacked(path, gz) as content:
        array = content.read(HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    parameters: dict[str, object] = {"path": str(path), "compression": "gzip" if gz else "none"}
    if array and _last_byte(path, gz) != b"]":
        # DuckDB takes an array that is cut off between two records for a whole one.
        raise _unreadable(file, "not_json", "an array that doesn't end", "one array of objects", "Deliver it again.")
    if array:
        relation = "read_json_objects($path, format = 'array', compression = $compression)"
    else:
        relation = (
            "read_csv($path, columns = {'json': 'VARCHAR'}, header = false, auto_detect = false, "
            f"delim = '{NO_DELIMITER}', quote = '', escape = '', compression = $compression, store_rejects = true)"
        )
    # A record that is no JSON would make every look into it fail, so looks go through `document`. A blank line has a
    # place, but is no record.
    relation = f"(select json, row_number() over () as place from {relation})"
    relation = (
        "(select place, case when json_valid(json) then json::json end as document "
        f"from {relation} where trim(json, ' \t\r') <> '')"
    )
    known = ", ".join(_literal(column.name) for column in record.columns)
    keys = f"list_filter(json_keys(document), lambda key: key not in ({known}))"
    reasons = [
        ("not_json", "document is null"),
        ("not_an_object", "json_type(document) <> 'OBJECT'"),
        *([] if record.is_open else [("unknown_key", f"len({keys}) > 0")]),
    ]
    for column in record.columns:
        allowed = "'VARCHAR'" if column.type in ("VARCHAR", "DATE", "TIMESTAMPTZ") else "'VARCHAR', 'UBIGINT', 'BIGINT'"
        kind = f"coalesce(json_type(document, {_literal('$.' + column.name)}), 'NULL')"
        reasons.append((f"wrong_type:{column.name}", f"{kind} not in ({allowed}, 'NULL')"))
    columns = {c.name: f"(document ->> {_literal('$.' + c.name)})" for c in record.columns}
    return Reader(relation, parameters, columns, "place", reasons=tuple(reasons))


def check_columns(record: Record, file: LandedFile, names: list[str]) -> None:
    """All that the contract needs, nothing that it doesn't know.

    Raises:
        UnreadableFileError: a column is missing, unknown or there twice.
    """
    known = {column.name for column in record.columns}
    needed = {column.name for column in record.columns if not column.optional}
    missing, unknown = sorted(needed - set(names)), sorted(set(names) - known)
    if record.is_open:
        unknown = []
    if missing or unknown or len(set(names)) < len(names):
        # A header can be a row of people where a header was forgotten: show only names of the contract.
        got = f"no column {', '.join(missing)}" if missing else f"{len(unknown) or 'doubled'} column(s) nobody knows"
        raise _unreadable(
            file,
            "wrong_columns",
            got,
            ", ".join(c.name + ("?" if c.optional else "") for c in record.columns),
            "Mend the header (or the export) and deliver the file again under the same name.",
        )


def take_rejects(con: Connection, file: LandedFile) -> list[tuple[int, str]]:
    """Line-level faults that the CSV reader met since the last call: (row, reason), the header not counted.

    Raises:
        UnreadableFileError: a quote isn't closed, so that what follows can't be told apart.
    """
    try:
        rows = con.execute(
            f"select line, min(error_type::varchar) from {REJECTS} group by all order by line"
        ).fetchall()
    except duckdb.CatalogException:
        return []  # No reader that keeps them was there yet.
    if not rows:
        return []
    con.execute(f"delete from {REJECTS}")
    con.execute("delete from reject_scans")
    header = 1 if _is_csv(file.name) else 0
    unclosed = [line - header for line, kind in rows if kind not in REJECT_REASONS]
    if unclosed:
        raise _unreadable(
            file,
            "unclosed_quote",
            f"a quote in row {unclosed[0]} that isn't closed",
            "every quote closed",
            'Double the quotes inside a value (""), and deliver the file again under the same name.',
        )
    return [(line - header, REJECT_REASONS[kind]) for line, kind in rows]


def blank_rows(con: Connection, source: Reader, records: int) -> list[int]:
    """The rows of a CSV file that are blank, the header not counted; none where the count of others isn't `records`.

    A quote in the middle of a bare value makes that out of step, and then rows are counted without the blank ones.
    """
    found: tuple[int, list[int]] = con.execute(sql("stages", "csv_blank_rows"), source.parameters).fetchall()[0]
    return found[1] if found[0] == records else []


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unreadable(file: LandedFile, reason: str, got: str, expected: str, fix: str) -> UnreadableFileError:
    return UnreadableFileError(file.name, reason=reason, got=got, expected=expected, fix=fix)
