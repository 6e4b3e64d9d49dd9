"""Landed deals to raw, whatever they were landed as: CSV exports, or pages of HubSpot's CRM API v3.

What belongs here: which property of a page is which column, and how. What never does: which deals count (staged).
"""

from pathlib import Path

from kpi_pipeline.contracts import Column, Record
from kpi_pipeline.contracts.money import DEALS
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import LandedFile, Landing, unpacked
from kpi_pipeline.stages import prometheus, raw
from kpi_pipeline.stages.reading import Reader, reader, whole_file
from kpi_pipeline.warehouse import Connection, run, sql

PAGES = ("hubspot", "hubspot_pages")
SUFFIXES = (".json", ".json.gz")
# A moment as epoch milliseconds, and as midnight UTC in ISO 8601.
MILLISECONDS = "-?[0-9]{1,15}"
MIDNIGHT = "([0-9]{4}-[0-9]{2}-[0-9]{2})T00:00(:00([.]0+)?)?(Z|[+]00:?00)"


def load(con: Connection, landing: Landing, connected: bool) -> raw.Loaded:
    """Brings raw.deals up to date with the landing zone; each file is read as what it was landed as."""
    loaded = raw.load(con, landing, DEALS, None, connected, _read)
    prometheus.forget_answer(con)
    return loaded


def _read(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    return _page(con, record, file, path) if file.kind in PAGES else reader(con, record, file, path)


def _page(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    """The reader of a page: its deals, whose properties are text, or null."""
    if not file.name.lower().endswith(SUFFIXES):
        raise _unreadable(file, "unsupported_format", "another suffix")
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes")
    with whole_file(file), unpacked(path, file.is_packed) as content:
        prometheus.put_document(con, content.read().decode("utf-8-sig"))
    [(is_json, kind)] = run(con, "select document is not null, json_type(document, '$.results') from temp.answer")
    if not is_json:
        raise _unreadable(file, "not_json", "broken JSON, perhaps cut off")
    if kind != "ARRAY":
        raise _unreadable(file, "not_a_list", "no list of results")
    reasons = [
        ("not_an_object", "json_type(properties) is distinct from 'OBJECT'"),
        *(
            (f"wrong_type:{column.name}", f"coalesce({_kind(column)}, 'NULL') not in ('VARCHAR', 'NULL')")
            for column in record.columns
        ),
    ]
    columns = {column.name: _text(column) for column in record.columns}
    return Reader(f"({sql('stages', 'hubspot_deals')})", {}, columns, "place", reasons=tuple(reasons))


def _kind(column: Column) -> str:
    return f"json_type(properties, '$.{column.name}')"


def _text(column: Column) -> str:
    """A property as the text that a CSV export has for it."""
    text = f"trim(properties ->> '$.{column.name}')"
    is_number = f"regexp_full_match({text}, '{MILLISECONDS}')"
    at = f"epoch_ms({text}::bigint)"
    match column.type:
        case "TIMESTAMPTZ":
            return f"case when {is_number} then strftime({at}, '%Y-%m-%dT%H:%M:%S.%gZ') else {text} end"
        case "DATE":
            # Another moment than midnight is no date: which day is meant can't be known.
            is_midnight = f"case when {is_number} then {text}::bigint % 86400000 = 0 end"
            return (
                f"case when {is_midnight} then strftime({at}, '%Y-%m-%d') "
                f"when regexp_full_match({text}, '{MIDNIGHT}') then left({text}, 10) else {text} end"
            )
        case _:
            return text


def _unreadable(file: LandedFile, reason: str, got: str) -> UnreadableFileError:
    return UnreadableFileError(
        file.name, reason=reason, got=got, expected="a page of /crm/v3/objects/deals", fix="Fetch it again."
    )
