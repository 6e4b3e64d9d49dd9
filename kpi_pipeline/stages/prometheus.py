"""Answers of Prometheus' query_range: their samples, or what is wrong with an answer as a whole.

What belongs here: the shape of an answer. What never does: what a series measures.
"""

from pathlib import Path

from kpi_pipeline.contracts import Record
from kpi_pipeline.errors import UnreadableFileError
from kpi_pipeline.landing import LandedFile, unpacked
from kpi_pipeline.stages.reading import Reader, whole_file
from kpi_pipeline.warehouse import Connection, run, sql

SUFFIXES = (".json", ".json.gz")
# An answer is taken apart in memory, which takes some 30 times its size.
LARGEST = 40_000_000


def reader(con: Connection, record: Record, file: LandedFile, path: Path) -> Reader:
    """The reader of an answer. `record.labels` says which label is which column; `series` may be some folders only.

    Raises:
        UnreadableFileError: it isn't a whole, successful matrix, or of no series that is known.
    """
    _check_place(record, file)
    packed = file.encoding == "gzip" or file.name.lower().endswith(".gz")
    with whole_file(file), unpacked(path, packed) as content:
        answer = content.read(LARGEST + 1)
        if len(answer) > LARGEST:
            raise _unreadable(file, "too_large", f"more than {LARGEST} bytes")
        text = answer.decode("utf-8-sig")
    _put_answer(con, file, text)
    reasons = [
        ("not_a_series", "not is_series"),
        ("not_a_sample", "len(sample) is distinct from 2 or sampled_at is null"),
        ("not_finite", "lower(value_text) in ('nan', 'inf', '+inf', '-inf')"),
        ("invalid:value", "value is null"),
    ]
    parameters = {f"{column}_label": label for label, column in record.labels}
    return Reader(
        f"({sql('stages', 'prometheus_samples')})",
        # Two servers may have the same series, and each is one of its own.
        {**parameters, "folder": file.name.split("/")[0], "server": file.part or ""},
        {
            "series": "$folder",
            "date": "(sampled_at - interval 1 millisecond)::date",
            "sampled_at": "sampled_at",
            "labels": "series_id",
            "value": "value",
            "le": "labels['le']",
            **{column: f"labels[${column}_label]" for _, column in record.labels},
        },
        "place",
        typed=True,
        reasons=tuple(reasons),
    )


def forget_answer(con: Connection) -> None:
    """Drops what the reader has left behind."""
    run(con, "drop table if exists temp.answer")


def _check_place(record: Record, file: LandedFile) -> None:
    if not file.name.lower().endswith(SUFFIXES):
        raise _unreadable(file, "unsupported_format", "another suffix")
    if file.bytes == 0:
        raise _unreadable(file, "empty_file", "0 bytes")
    folders = next((c.values for c in record.columns if c.name == "series"), ())
    if folders and file.name.rpartition("/")[0].split("/")[0] not in folders:
        raise _unreadable(file, "unknown_series", "a folder that kpi.toml doesn't name")


def put_document(con: Connection, text: str) -> None:
    """Makes temp.answer: a JSON document, or null where the text is none."""
    run(
        con,
        "create or replace temp table answer as select case when json_valid($text) then $text::json end as document",
        {"text": text},
    )


def _put_answer(con: Connection, file: LandedFile, text: str) -> None:
    put_document(con, text)
    [(is_json, status, kind, result)] = run(
        con,
        "select document is not null, document ->> '$.status', document ->> '$.data.resultType', "
        "json_type(document, '$.data.result') from temp.answer",
    )
    if not is_json:
        raise _unreadable(file, "not_json", "broken JSON, perhaps cut off")
    if status != "success":
        raise _unreadable(file, "not_success", "another status than success")
    if kind != "matrix" or result != "ARRAY":
        raise _unreadable(file, "not_a_matrix", "another type of result")


def _unreadable(file: LandedFile, reason: str, got: str) -> UnreadableFileError:
    return UnreadableFileError(
        file.name, reason=reason, got=got, expected="a successful answer of query_range", fix="Fetch it again."
    )
