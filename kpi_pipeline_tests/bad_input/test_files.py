"""Files that are wrong as a whole: quarantined with a reason, and the other files still count."""

import gzip
import io
import json
import random
from collections.abc import Callable

import polars as pl
import pytest

from .organisation import GOOD_NAMES, HEADER, REGISTRY_HEADER, Organisation, key_of, with_second

GOOD = with_second("2025-06-03,reef,coral,zz-carol")
EXPECTED_DAYS = sorted(
    [
        ("2025-06-01", "reef/coral", key_of("zz-alice")),
        ("2025-06-01", "reef/coral", key_of("zz-bobby")),
        ("2025-06-02", "reef/kelp", key_of("zz-alice")),
        ("2025-06-03", "reef/coral", key_of("zz-carol")),
    ]
)
NAMES = (*GOOD_NAMES, "zz-carol", "zz-dave1", "zz-erika")
Rows = list[dict[str, object]]
ROWS: Rows = [
    {"date": "2025-06-04", "cluster": "reef", "hub": "coral", "username": "zz-dave1"},
    {"date": "2025-06-05", "cluster": "reef", "hub": "coral", "username": "zz-erika"},
]


def as_csv(rows: Rows) -> bytes:
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def as_parquet(rows: Rows) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows).write_parquet(out)
    return out.getvalue()


def as_json(rows: Rows) -> bytes:
    return json.dumps(rows).encode()


def as_ndjson(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


TABLES: list[tuple[str, Callable[[Rows], bytes]]] = [
    ("bad.csv", as_csv),
    ("bad.csv.gz", lambda rows: gzip.compress(as_csv(rows))),
    ("bad.parquet", as_parquet),
]
DOCUMENTS: list[tuple[str, Callable[[Rows], bytes]]] = [
    ("bad.json", as_json),
    ("bad.json.gz", lambda rows: gzip.compress(as_json(rows))),
    ("bad.ndjson", as_ndjson),
    ("bad.jsonl.gz", lambda rows: gzip.compress(as_ndjson(rows))),
]


def run_beside_good(org: Organisation, files: dict[str, bytes]) -> None:
    """Lands the files beside a good one that sorts after them, and sees that all of the good one arrives."""
    for name, content in files.items():
        org.drop("hub_activity", name, content)
    org.drop("hub_activity", "good.csv", GOOD)
    org.run()
    good_places = org.query("select count(*), min(_row), max(_row) from raw.hub_activity where _file = 'good.csv'")
    assert good_places == [(4, 1, 4)]
    org.assert_no_names(NAMES)


def assert_whole_files(org: Organisation, files: dict[str, bytes], reason: str) -> None:
    """Each is in quarantine as a whole, and nothing of any of them has arrived."""
    run_beside_good(org, files)
    assert org.quarantine() == [(name, None, reason) for name in sorted(files)]
    assert org.user_days() == EXPECTED_DAYS
    assert org.counts() == [("2025-06-01", 2, 2), ("2025-06-02", 1, 2), ("2025-06-03", 1, 3)]
    loads = org.query("select file, rows from raw.loads where source = 'hub_activity' and rows = 0 order by file")
    assert loads == [(name, 0) for name in sorted(files)]


@pytest.mark.parametrize(("name", "write"), TABLES + DOCUMENTS)
def test_good_file_of_every_format_arrives(org: Organisation, name: str, write: Callable[[Rows], bytes]) -> None:
    run_beside_good(org, {name: write(ROWS)})
    assert org.quarantine() == []
    added = [("2025-06-04", "reef/coral", key_of("zz-dave1")), ("2025-06-05", "reef/coral", key_of("zz-erika"))]
    assert org.user_days() == sorted(EXPECTED_DAYS + added)


def test_empty_file(org: Organisation) -> None:
    names = ["bad.csv", "bad.csv.gz", "bad.json", "bad.ndjson", "bad.jsonl.gz", "bad.parquet"]
    assert_whole_files(org, dict.fromkeys(names, b""), "empty_file")


def test_header_only_is_a_file_without_rows(org: Organisation) -> None:
    run_beside_good(org, {"bad.csv": f"{HEADER}\n".encode()})
    assert org.quarantine() == []
    assert org.user_days() == EXPECTED_DAYS


def test_empty_json_array_is_a_file_without_rows(org: Organisation) -> None:
    run_beside_good(org, {"a.json": b"[]", "b.json": b"[ ]\n", "c.json": b"\xef\xbb\xbf[]"})
    assert org.quarantine() == []
    assert org.user_days() == EXPECTED_DAYS


def renamed(old: str, new: str) -> Rows:
    return [{new if k == old else k: v for k, v in row.items()} for row in ROWS]


WRONG_COLUMNS = {
    "misspelt": renamed("username", "user_name"),
    "wrong case": renamed("date", "Date"),
    "missing": [{k: v for k, v in row.items() if k != "hub"} for row in ROWS],
    "unknown": [{**row, "shoe_size": "42"} for row in ROWS],
}


@pytest.mark.parametrize("rows", WRONG_COLUMNS.values(), ids=WRONG_COLUMNS.keys())
def test_wrong_columns(org: Organisation, rows: Rows) -> None:
    assert_whole_files(org, {name: write(rows) for name, write in TABLES}, "wrong_columns")


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER},username\n2025-06-01,reef,coral,zz-dave1,zz-dave1\n",
        "2025-06-04,reef,coral,zz-dave1\n2025-06-05,reef,coral,zz-erika\n",
        "\n\n",
        f"{HEADER}\n2025-06-01,reef,coral,zz-dave1\n".replace(",", ";"),
    ],
    ids=["duplicate", "no header", "blank lines only", "semicolons"],
)
def test_wrong_header_in_csv(org: Organisation, content: str) -> None:
    assert_whole_files(org, {"bad.csv": content.encode()}, "wrong_columns")


BAD_KEYS: dict[str, tuple[dict[str, object], str]] = {
    "unknown": ({**ROWS[1], "shoe_size": "42"}, "unknown_key"),
    "wrong case": (renamed("hub", "Hub")[1], "unknown_key"),
    "misspelt": (renamed("username", "user_name")[1], "unknown_key"),
    "no date": ({k: v for k, v in ROWS[1].items() if k != "date"}, "missing:date"),
    "no hub": ({k: v for k, v in ROWS[1].items() if k != "hub"}, "missing:hub"),
    "no username": ({k: v for k, v in ROWS[1].items() if k != "username"}, "missing:username"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_wrong_json_key_rejects_its_record_only(org: Organisation, bad: dict[str, object], reason: str) -> None:
    run_beside_good(org, {name: write([ROWS[0], bad]) for name, write in DOCUMENTS})
    assert org.quarantine() == [(name, 2, reason) for name in sorted(name for name, _ in DOCUMENTS)]
    assert org.user_days() == sorted([*EXPECTED_DAYS, ("2025-06-04", "reef/coral", key_of("zz-dave1"))])


def big_csv() -> bytes:
    chance = random.Random(7)
    lines = [f"2025-06-{chance.randint(1, 28):02d},reef,coral,zz-{chance.getrandbits(64):016x}" for _ in range(20_000)]
    return "\n".join([HEADER, *lines, ""]).encode()


def flipped(content: bytes) -> bytes:
    """One byte in the middle of a gzip's data is another: it may still inflate, but its checksum is wrong."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


TORN = {
    "half": lambda packed: packed[: len(packed) // 2],
    "without its checksum": lambda packed: packed[:-6],
    "wrong checksum": lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:],
    "flipped byte": flipped,
    "zeros within": lambda packed: packed[: len(packed) // 2] + bytes(200) + packed[len(packed) // 2 + 200 :],
    "garbage after": lambda packed: packed + b"garbage, and more of it",
    "header only": lambda packed: packed[:10],
    "no gzip at all": lambda _: b"date,cluster,hub,username\n2025-06-01,reef,coral,zz-dave1\n",
}


def test_torn_gzip(org: Organisation) -> None:
    packed = gzip.compress(big_csv(), 6, mtime=0)
    assert_whole_files(org, {f"{how}.csv.gz": tear(packed) for how, tear in TORN.items()}, "truncated")


def test_half_a_gzip_of_json(org: Organisation) -> None:
    chance = random.Random(8)
    rows = [{**ROWS[0], "username": f"zz-{chance.getrandbits(64):016x}"} for _ in range(10_000)]
    files = {"a.ndjson.gz": gzip.compress(as_ndjson(rows)), "b.json.gz": gzip.compress(as_json(rows))}
    assert_whole_files(org, {name: packed[: len(packed) // 2] for name, packed in files.items()}, "truncated")


def test_gzip_of_two_members_is_whole(org: Organisation) -> None:
    parts = (f"{HEADER}\n2025-06-04,reef,coral,zz-dave1\n", "2025-06-05,reef,coral,zz-erika\n")
    run_beside_good(org, {"bad.csv.gz": b"".join(gzip.compress(part.encode()) for part in parts)})
    assert org.quarantine() == []
    assert len(org.user_days()) == len(EXPECTED_DAYS) + 2


def test_parquet_that_is_none(org: Organisation) -> None:
    whole = as_parquet(ROWS)
    files = {"a.parquet": as_csv(ROWS), "b.parquet": whole[:-4], "c.parquet": whole[:-50], "d.parquet": whole[50:]}
    assert_whole_files(org, files, "not_parquet")


@pytest.mark.parametrize(
    "tear",
    [
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"}, {", b"},, {"),
        lambda text: text + b" trailing",
        lambda text: text.replace(b"zz-erika", b"zz-\xff"),
        lambda text: text.replace(b'"zz-erika"', b"zz-erika"),
    ],
    ids=["bracket", "half", "comma", "trailing", "encoding", "unquoted"],
)
def test_broken_json_array(org: Organisation, tear: Callable[[bytes], bytes]) -> None:
    content = tear(as_json(ROWS))
    assert_whole_files(org, {"bad.json": content, "bad.json.gz": gzip.compress(content)}, "not_json")


@pytest.mark.parametrize("bad", ['2025-06-04,reef,coral,"zz-dave1', '2025-06-04,reef,coral,"zz-da"ve1'])
def test_unclosed_quote(org: Organisation, bad: str) -> None:
    content = with_second(bad).encode()
    assert_whole_files(org, {"bad.csv": content, "bad.csv.gz": gzip.compress(content)}, "unclosed_quote")


def test_header_in_another_encoding(org: Organisation) -> None:
    content = f"{HEADER},sessions\n2025-06-01,reef,coral,zz-dave1,1\n".encode("utf-16")
    assert_whole_files(org, {"bad.csv": content}, "not_utf8")


def test_whole_registry_file_in_quarantine(org: Organisation) -> None:
    org.drop("hub_registry", "more.csv", f"{REGISTRY_HEADER},nonsense\n2025-01-01,,reef,,extra,,,,,1\n")
    org.drop("hub_activity", "good.csv", GOOD)
    org.run()
    assert org.quarantine() == [("more.csv", None, "wrong_columns")]
    assert org.user_days() == EXPECTED_DAYS
    assert [hub[0] for hub in org.hubs()] == ["reef/coral", "reef/kelp"]


def test_mended_file_leaves_quarantine(org: Organisation) -> None:
    assert_whole_files(org, {"bad.csv": b"date;cluster\n"}, "wrong_columns")
    run_beside_good(org, {"bad.csv": as_csv(ROWS)})
    assert org.quarantine() == []
    assert len(org.user_days()) == len(EXPECTED_DAYS) + 2
