"""Single records that are wrong: quarantined with file, row and reason, and every other record arrives."""

import gzip
import io
import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from .organisation import FETCHED, FIRST, GOOD_DAYS, HEADER, LATER, Organisation, with_second

BAD_RECORDS = {
    "no date": ("2025-13-01,reef,coral,zz-carol", "invalid:date"),
    "not that month": ("2025-02-30,reef,coral,zz-carol", "invalid:date"),
    "another order": ("03/06/2025,reef,coral,zz-carol", "invalid:date"),
    "a moment": ("2025-06-03T10:00:00,reef,coral,zz-carol", "invalid:date"),
    "no date at all": (",reef,coral,zz-carol", "missing:date"),
    "blank date": ("   ,reef,coral,zz-carol", "missing:date"),
    "future": ("2025-07-11,reef,coral,zz-carol", "future:date"),
    "far future": ("9999-12-31,reef,coral,zz-carol", "future:date"),
    "no cluster": ("2025-06-03,,coral,zz-carol", "missing:cluster"),
    "no hub": ("2025-06-03,reef, ,zz-carol", "missing:hub"),
    "unknown hub": ("2025-06-03,reef,atoll,zz-carol", "unknown_hub"),
    "unknown cluster": ("2025-06-03,riff,coral,zz-carol", "unknown_hub"),
    "other case": ("2025-06-03,Reef,coral,zz-carol", "unknown_hub"),
    "before service": ("2024-12-31,reef,coral,zz-carol", "hub_not_in_service"),
    "empty name": ("2025-06-03,reef,coral,", "missing:username"),
    "empty quoted name": ('2025-06-03,reef,coral,""', "missing:username"),
    "spaces": ("2025-06-03,reef,coral,   ", "missing:username"),
    "tabs": ("2025-06-03,reef,coral,\t \t", "missing:username"),
    "no-break space": ("2025-06-03,reef,coral,\u00a0", "missing:username"),
    "ideographic space": ("2025-06-03,reef,coral,\u3000\u3000", "missing:username"),
    "mixed spaces": ("2025-06-03,reef,coral, \u00a0\u3000\u2003 ", "missing:username"),
    "too many": ("2025-06-03,reef,coral,zz-carol,5", "wrong_column_count"),
    "too few": ("2025-06-03,reef,zz-carol", "wrong_column_count"),
    "one": ("zz-carol", "wrong_column_count"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
def test_bad_record_in_csv(org: Organisation, bad: str, reason: str) -> None:
    org.drop("hub_activity", "2025/june.csv", with_second(bad))
    org.run()
    assert org.quarantine() == [("2025/june.csv", 2, reason)]
    good = org.query("select date::varchar, hub, _row from raw.hub_activity where _row <> 2 order by all")
    assert good == [("2025-06-01", "coral", 1), ("2025-06-01", "coral", 3), ("2025-06-02", "kelp", 4)]
    assert org.user_days() == GOOD_DAYS
    assert org.counts() == [("2025-06-01", 2, 2), ("2025-06-02", 1, 2)]
    org.assert_no_names(["zz-alice", "zz-bobby", "zz-carol"])


@pytest.mark.parametrize("packed", [False, True], ids=["csv", "csv.gz"])
def test_encoding_error_in_csv(org: Organisation, packed: bool) -> None:
    content = with_second("2025-06-03,reef,coral,zz-jürgen").encode("latin-1")
    name = "june.csv.gz" if packed else "june.csv"
    org.drop("hub_activity", name, gzip.compress(content) if packed else content)
    org.run()
    assert org.quarantine() == [(name, 2, "not_utf8")]
    org.assert_good_rows_arrived()
    org.assert_no_names(["zz-j"])


def test_rows_are_right_among_many_faults(org: Organisation) -> None:
    lines = [
        b"2025-06-03",  # 1
        FIRST.encode(),  # 2
        b"2025-06-03,reef,coral,zz-\xff",  # 3
        b"2025-06-03,reef,coral,zz-\xfe,and,more",  # 4: two faults, one record
        b"2025-06-31,reef,coral,zz-carol",  # 5
        LATER[0].encode(),  # 6
        b'2025-06-03,reef,coral,"zz-\nnewline"',  # 7: a record over two lines
        b"2025-06-03,reef",  # 8
        LATER[1].encode(),  # 9
        b"2025-06-03,reef,nowhere,zz-carol",  # 10
    ]
    org.drop("hub_activity", "june.csv", b"\n".join([HEADER.encode(), *lines]))
    org.run()
    found = org.quarantine()
    assert [(row, reason) for _, row, reason in found] == [
        (1, "wrong_column_count"),
        (3, "not_utf8"),
        (4, "not_utf8"),
        (5, "invalid:date"),
        (8, "wrong_column_count"),
        (10, "unknown_hub"),
    ]
    assert org.places() == [
        ("2025-06-01", "coral", 2),
        ("2025-06-01", "coral", 6),
        ("2025-06-02", "kelp", 9),
        ("2025-06-03", "coral", 7),
        ("2025-06-03", "nowhere", 10),
    ]
    assert org.counts() == [("2025-06-01", 2, 2), ("2025-06-02", 1, 2), ("2025-06-03", 1, 3)]
    org.assert_no_names(["zz-"])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_line_ends_and_byte_order_mark(org: Organisation, end: str, mark: str) -> None:
    org.drop("hub_activity", "june.csv", mark + with_second("x", end=end))
    org.run()
    assert org.quarantine() == [("june.csv", 2, "wrong_column_count")]
    org.assert_good_rows_arrived()


def test_columns_in_another_order(org: Organisation) -> None:
    org.drop(
        "hub_activity",
        "june.csv",
        "username, hub ,sessions,date,cluster\nzz-alice,coral,,2025-06-01,reef\nzz-carol,coral,1,x,reef\n"
        "zz-bobby,coral,3,2025-06-01,reef\nzz-alice,kelp,2,2025-06-02,reef\n",
    )
    org.run()
    assert org.quarantine() == [("june.csv", 2, "invalid:date")]
    org.assert_good_rows_arrived()
    sessions = org.query("select _row, sessions from raw.hub_activity order by _row")
    assert sessions == [(1, None), (3, 3), (4, 2)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("-1", "negative:sessions"),
        ("2.5", "invalid:sessions"),
        ("two", "invalid:sessions"),
        ("1e3", "invalid:sessions"),
        ("99999999999999999999", "invalid:sessions"),
        ("1_000", "invalid:sessions"),
    ],
)
def test_bad_sessions_in_csv(org: Organisation, value: str, reason: str) -> None:
    lines = [f"{HEADER},sessions", f"{FIRST},1", f"2025-06-03,reef,coral,zz-carol,{value}", *(f"{x},0" for x in LATER)]
    org.drop("hub_activity", "june.csv", "\n".join(lines))
    org.run()
    assert org.quarantine() == [("june.csv", 2, reason)]
    org.assert_good_rows_arrived()


RECORDS: list[dict[str, object]] = [
    {"date": "2025-06-01", "cluster": "reef", "hub": "coral", "username": "zz-alice"},
    {"date": "2025-06-03", "cluster": "reef", "hub": "coral", "username": "zz-carol"},
    {"date": "2025-06-01", "cluster": "reef", "hub": "coral", "username": "zz-bobby"},
    {"date": "2025-06-02", "cluster": "reef", "hub": "kelp", "username": "zz-alice"},
]
BAD_VALUES = {
    "number for a date": ({"date": 20250603}, "wrong_type:date"),
    "number for a name": ({"username": 4711}, "wrong_type:username"),
    "true for a hub": ({"hub": True}, "wrong_type:hub"),
    "list for a name": ({"username": ["zz-carol"]}, "wrong_type:username"),
    "object for a cluster": ({"cluster": {"zz-carol": 1}}, "wrong_type:cluster"),
    "fraction": ({"sessions": 2.5}, "wrong_type:sessions"),
    "fraction as text": ({"sessions": "2.5"}, "invalid:sessions"),
    "negative": ({"sessions": -3}, "negative:sessions"),
    "null name": ({"username": None}, "missing:username"),
    "blank name": ({"username": " \u3000"}, "missing:username"),
    "null date": ({"date": None}, "missing:date"),
    "no such day": ({"date": "2025-06-31"}, "invalid:date"),
    "future": ({"date": "2025-07-11"}, "future:date"),
    "unknown key": ({"zz-carol": "1"}, "unknown_key"),
    "unknown hub": ({"hub": "zz-atoll"}, "unknown_hub"),
}


@pytest.mark.parametrize(("changed", "reason"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_bad_record_in_json(org: Organisation, changed: dict[str, object], reason: str) -> None:
    records = [RECORDS[0], {**RECORDS[1], **changed}, *RECORDS[2:]]
    org.drop("hub_activity", "a.json", json.dumps(records))
    org.drop("hub_activity", "b.ndjson", "\n".join(json.dumps(record) for record in records))
    org.run()
    assert org.quarantine() == [("a.json", 2, reason), ("b.ndjson", 2, reason)]
    for file in ("a.json", "b.ndjson"):
        good = org.query(f"select hub, _row from raw.hub_activity where _row <> 2 and _file = '{file}' order by _row")
        assert good == [("coral", 1), ("coral", 3), ("kelp", 4)]
    assert org.user_days() == GOOD_DAYS
    org.assert_no_names(["zz-alice", "zz-bobby", "zz-carol"])


BAD_LINES = {
    "cut off": (b'{"date": "2025-06-03", "cluster": "reef", "username": "zz-carol"', "not_json"),
    "no json": (b"zz-carol", "not_json"),
    "a number": (b"4711", "not_an_object"),
    "a list": (b'["zz-carol"]', "not_an_object"),
    "null": (b"null", "not_an_object"),
    "encoding": (b'{"date": "2025-06-03", "username": "zz-carol\xff"}', "not_utf8"),
    "control character": (b'{"date": "2025-06-03", "username": "zz-\x01carol"}', "wrong_column_count"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_broken_line_in_ndjson(org: Organisation, bad: bytes, reason: str) -> None:
    lines = [json.dumps(record).encode() for record in RECORDS]
    content = b"\n".join([lines[0], bad, *lines[2:]]) + b"\n"
    org.drop("hub_activity", "a.ndjson", content)
    org.drop("hub_activity", "b.jsonl.gz", gzip.compress(content))
    org.run()
    assert org.quarantine() == [("a.ndjson", 2, reason), ("b.jsonl.gz", 2, reason)]
    assert org.query("select _file, list(_row order by _row) from raw.hub_activity group by all order by all") == [
        ("a.ndjson", [1, 3, 4]),
        ("b.jsonl.gz", [1, 3, 4]),
    ]
    assert org.user_days() == GOOD_DAYS
    org.assert_no_names(["zz-alice", "zz-bobby", "carol"])


def test_blank_lines_in_ndjson_are_no_records(org: Organisation) -> None:
    lines = [json.dumps(record) for record in RECORDS]
    org.drop("hub_activity", "june.ndjson", "\n".join([lines[0], "", lines[2], lines[3], "", "  ", ""]))
    org.run()
    assert org.quarantine() == []
    org.assert_good_rows_arrived()


def parquet(**changed: object) -> bytes:
    columns: dict[str, object] = {name: [record[name] for record in RECORDS] for name in RECORDS[0]}
    out = io.BytesIO()
    pl.DataFrame({**columns, **changed}, strict=False).write_parquet(out)
    return out.getvalue()


BAD_COLUMNS = {
    "date as text": ({"date": ["2025-06-01", "2025-06-31", "2025-06-01", "2025-06-02"]}, "invalid:date"),
    "null date": ({"date": [date(2025, 6, 1), None, date(2025, 6, 1), date(2025, 6, 2)]}, "missing:date"),
    "future": ({"date": [date(2025, 6, 1), date(2025, 7, 11), date(2025, 6, 1), date(2025, 6, 2)]}, "future:date"),
    "null name": ({"username": ["zz-alice", None, "zz-bobby", "zz-alice"]}, "missing:username"),
    "blank name": ({"username": ["zz-alice", " \u00a0", "zz-bobby", "ZZ-Alice "]}, "missing:username"),
    "negative": ({"sessions": [1, -1, 1, 1]}, "negative:sessions"),
    "fraction": ({"sessions": [1.0, 2.5, 1.0, 1.0]}, "invalid:sessions"),
    "fraction as text": ({"sessions": ["1", "2.5", "1", "1"]}, "invalid:sessions"),
    "not a number": ({"sessions": [1.0, float("nan"), 1.0, 1.0]}, "invalid:sessions"),
    "null hub": ({"hub": ["coral", None, "coral", "kelp"]}, "missing:hub"),
}


@pytest.mark.parametrize(("changed", "reason"), BAD_COLUMNS.values(), ids=BAD_COLUMNS.keys())
def test_bad_record_in_parquet(org: Organisation, changed: dict[str, object], reason: str) -> None:
    org.drop("hub_activity", "june.parquet", parquet(**changed))
    org.run()
    assert org.quarantine() == [("june.parquet", 2, reason)]
    org.assert_good_rows_arrived()
    org.assert_no_names(["zz-carol"])


def test_today_is_not_the_future(org: Organisation) -> None:
    org.drop("hub_activity", "june.csv", with_second(f"{FETCHED.date()},reef,coral,zz-carol"))
    org.run()
    assert org.quarantine() == []
    assert len(org.user_days()) == 4


def test_future_is_judged_by_the_day_of_the_fetch(org: Organisation) -> None:
    """Content that didn't change keeps its day, so that a replay gives what the first load gave."""
    org.drop("hub_activity", "june.csv", with_second("2025-07-11,reef,coral,zz-carol"))
    org.run()
    org.drop("hub_activity", "other.csv", HEADER + "\n")
    org.run(datetime(2025, 7, 12, tzinfo=UTC))
    assert org.quarantine() == [("june.csv", 2, "future:date")]


def test_hub_that_is_retired_on_that_day(org: Organisation) -> None:
    header = org.root.joinpath("hub_registry/hubs.csv").read_text()
    org.drop("hub_registry", "hubs.csv", header + "2025-01-01,2025-06-03,reef,gcp,atoll,Atoll,,,\n")
    org.drop("hub_activity", "june.csv", with_second("2025-06-03,reef,atoll,zz-carol"))
    org.run()
    assert org.quarantine() == [("june.csv", 2, "hub_not_in_service")]
    assert org.user_days() == GOOD_DAYS


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_blank_lines_in_csv_are_counted_but_no_records(org: Organisation, end: str, suffix: str) -> None:
    lines = [
        HEADER,
        "2025-06-01,reef,coral,zz-alice",  # 1
        "",  # 2
        '2025-06-01,reef,coral,"zz',  # 3, to the next quote
        "",
        'bobby"',
        "",  # 4
        "",  # 5
        "2025-06-99,reef,coral,zz-carol",  # 6
        "2025-06-02,reef",  # 7
        "2025-06-02,reef,kelp,zz-alice",  # 8
        "",  # 9
        "2025-06-02,reef,kelp,zz-dave,more",  # 10
        "2025-06-03,reef,coral,zz-alice",  # 11
        "",  # 12
        "2025-06-77,reef,coral,zz-alice",  # 13
        "",
    ]
    content = (end.join(lines) + end).encode()
    org.drop("hub_activity", f"june{suffix}", gzip.compress(content) if suffix.endswith(".gz") else content)
    org.run()
    file = f"june{suffix}"
    assert org.query("select _row from raw.hub_activity order by all") == [(1,), (3,), (8,), (11,)]
    assert org.quarantine() == [
        (file, 6, "invalid:date"),
        (file, 7, "wrong_column_count"),
        (file, 10, "wrong_column_count"),
        (file, 13, "invalid:date"),
    ]


def test_many_blank_lines_and_rejected_rows(org: Organisation) -> None:
    good, short = "2025-06-01,reef,coral,zz-alice", "2025-06-01,reef"
    lines = [good if n % 3 == 0 else "" if n % 7 else short for n in range(1, 30_001)]
    org.drop("hub_activity", "june.csv", "\n".join([HEADER, *lines]) + "\n")
    org.run()
    assert org.query("select _row from raw.hub_activity order by all") == [(n,) for n in range(3, 30_001, 3)]
    rejected = [("june.csv", n, "wrong_column_count") for n in range(7, 30_001, 7) if n % 3]
    assert org.quarantine() == rejected


def test_blank_lines_beside_a_bare_quote_are_left_out_of_the_count(org: Organisation) -> None:
    lines = [HEADER, '2025-06-01,reef,coral,zz"alice', "", "2025-06-99,reef,coral,zz-bobby"]
    org.drop("hub_activity", "june.csv", "\n".join(lines) + "\n")
    org.run()
    assert org.quarantine() == [("june.csv", 2, "invalid:date")]
