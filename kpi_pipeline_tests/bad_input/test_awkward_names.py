"""Names that would break whatever isn't quoted or bound: all are data, and counts stay right."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .organisation import AS_OF, HEADER, REGISTRY_HEADER, Organisation, key_of

AWKWARD = [
    "'); DROP TABLE raw.loads;--",
    '"); DROP TABLE "raw"."loads";--',
    "o'neill",
    'say "hi"',
    "semi;colon",
    "com,ma",
    "new\nline",
    "tab\tbed",
    "*",
    "?",
    "[a-z]",
    "**/*.csv",
    "../../etc/passwd",
    "%s%d{0}$1$path",
    "$as_of",
    "percent%like_",
    "back\\slash",
    "ünïcödé",
    "日本語",
    "😀🤷‍♀️",
    "e\u0301",
    "x" * 5_000,
    "null",
    "NaN",
    "-1",
    "1e5",
    "true",
    "#comment",
    "=cmd()",
    "a.b.c",
    "raw.loads",
    "select",
]
# What the database keeps of them when they name a hub: text is trimmed, nothing else.
HUBS = [name for name in AWKWARD if name == name.strip()]


def written(header: str, rows: list[list[str]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(header.split(","))
    table.writerows(rows)
    return out.getvalue()


def registry(clusters: list[str], hubs: list[str]) -> str:
    return written(
        REGISTRY_HEADER,
        [["2025-01-01", "", cluster, "gcp", hub, f"Hub {hub}", "", "", ""] for cluster in clusters for hub in hubs],
    )


def as_file(kind: str, rows: list[list[str]]) -> tuple[str, bytes]:
    records = [dict(zip(HEADER.split(","), row, strict=True)) for row in rows]
    match kind:
        case "csv":
            return "a.csv", written(HEADER, rows).encode()
        case "json":
            return "a.json", json.dumps(records).encode()
        case "ndjson":
            return "a.ndjson", "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()
        case _:
            out = io.BytesIO()
            pl.DataFrame(records).write_parquet(out)
            return "a.parquet", out.getvalue()


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "parquet"])
def test_awkward_hubs_and_clusters(org: Organisation, kind: str) -> None:
    org.drop("hub_registry", "hubs.csv", registry(["reef"], HUBS))
    rows = [["2025-06-01", "reef", hub, f"zz-{n % 3}"] for n, hub in enumerate(HUBS)]
    org.drop("hub_activity", *as_file(kind, rows))
    org.run()
    assert org.quarantine() == []
    expected = [("2025-06-01", f"reef/{hub}", key_of(f"zz-{n % 3}")) for n, hub in enumerate(HUBS)]
    assert org.user_days() == sorted(expected)
    assert org.counts() == [("2025-06-01", 3, 3)]
    for hub in HUBS:
        assert org.counts("hub", f"reef/{hub}") == [("2025-06-01", 1, 1)]
    # The table that was to be dropped.
    assert org.query("select count(*) from raw.loads") == [(2,)]


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "parquet"])
def test_awkward_usernames(org: Organisation, kind: str) -> None:
    names = [*AWKWARD, *(name.upper() for name in AWKWARD)]
    org.drop("hub_registry", "hubs.csv", registry(["reef"], ["coral"]))
    org.drop("hub_activity", *as_file(kind, [["2025-06-01", "reef", "coral", name] for name in names]))
    org.run()
    assert org.quarantine() == []
    # Lower-case ASCII is its own normal form; the three others are written out.
    normal = {"e\u0301": "é"}
    expected = {key_of(normal.get(name, name).casefold()) for name in AWKWARD}
    assert len(expected) == len(AWKWARD)
    assert {key for *_, key in org.user_days()} == expected
    assert org.counts() == [("2025-06-01", len(AWKWARD), len(AWKWARD))]
    org.assert_no_names([name for name in AWKWARD if len(name) > 6 and "raw.loads" not in name])


def test_awkward_clusters(org: Organisation) -> None:
    clusters = [name for name in HUBS if "/" not in name]
    org.drop("hub_registry", "hubs.csv", registry(clusters, ["lab"]))
    org.drop("hub_activity", *as_file("csv", [["2025-06-01", cluster, "lab", "zz-alice"] for cluster in clusters]))
    org.run()
    assert org.quarantine() == []
    expected = [("2025-06-01", f"{cluster}/lab", key_of("zz-alice", cluster)) for cluster in clusters]
    assert org.user_days() == sorted(expected)
    assert org.counts() == [("2025-06-01", len(clusters), len(clusters))]


def test_slash_in_a_cluster_merges_no_hubs(org: Organisation) -> None:
    """a/b + c and a + b/c would have one hub_id; the second is refused, and so is its activity."""
    rows = [["2025-01-01", "", c, "gcp", h, "Lab", "", "", ""] for c, h in (("a", "b/c"), ("a/b", "c"), ("a", "lab"))]
    org.drop("hub_registry", "hubs.csv", written(REGISTRY_HEADER, rows))
    days = [["2025-06-01", c, h, "zz-alice"] for c, h in (("a", "b/c"), ("a/b", "c"), ("a", "lab"))]
    org.drop("hub_activity", "a.csv", written(HEADER, days))
    org.run()
    assert [(file, row) for file, row, _ in org.quarantine()] == [("a.csv", 2), ("hubs.csv", 2)]
    assert org.user_days() == [
        ("2025-06-01", "a/b/c", key_of("zz-alice", "a")),
        ("2025-06-01", "a/lab", key_of("zz-alice", "a")),
    ]


def test_exclusion_takes_names_literally_and_globs_only_hubs(org: Organisation) -> None:
    org.drop("hub_registry", "hubs.csv", registry(["reef"], ["lab-1", "lab-2", "o'neill"]))
    rows = [["2025-06-01", "reef", hub, name] for hub in ("lab-1", "lab-2", "o'neill") for name in ("*", "zz-alice")]
    org.drop("hub_activity", "a.csv", written(HEADER, rows))
    rule = "\n[[exclusions]]\nsource = 'hub_activity'\nreason = 'test'\napproved_by = 'us'\n"
    org.config.write_text(
        org.config.read_text()
        + rule
        + "match = { hub = 'lab-*', username = '*' }\n"
        + rule
        + 'match = { hub = "o\'*" }\n'
    )
    org.run()
    assert org.user_days() == [
        ("2025-06-01", "reef/lab-1", key_of("zz-alice")),
        ("2025-06-01", "reef/lab-2", key_of("zz-alice")),
    ]
    effects = org.query("select rule_id, user_days from staged.exclusion_effects order by rule_id")
    assert effects == [("rule-1", 2), ("rule-2", 2)]


def test_awkward_file_names(org: Organisation) -> None:
    names = ["*.csv", "[ab].csv", "?.csv", "a'b.csv", 'a"b.csv', "ü ñ.csv", "$file.csv", "a\nb.csv", "x';--.csv"]
    org.drop("hub_activity", "a.csv", f"{HEADER}\n2025-06-01,reef,coral,zz-alice\n")
    for n, name in enumerate(names):
        org.drop("hub_activity", f"sub/{name}", f"{HEADER}\n2025-06-01,reef,coral,zz-{n}\nx\n")
    org.run()
    assert org.quarantine() == sorted((f"sub/{name}", 2, "wrong_column_count") for name in names)
    assert org.counts() == [("2025-06-01", 1 + len(names), 1 + len(names))]


@pytest.mark.parametrize("folder", ["da*ta", "[data]", "it's data", 'da"ta'])
def test_awkward_data_folders(tmp_path: Path, folder: str) -> None:
    org = Organisation(tmp_path, folder)
    org.drop("hub_activity", "a.csv", f"{HEADER}\n2025-06-01,reef,coral,zz-alice\n")
    for kind in ("json", "ndjson", "parquet"):
        name, content = as_file(kind, [["2025-06-01", "reef", "coral", f"zz-{kind}"]])
        org.drop("hub_activity", name, content)
    org.run()
    assert org.quarantine() == []
    assert org.counts() == [("2025-06-01", 4, 4)]
    org.close()


# Anything but what can't be written to UTF-8; a NUL is refused elsewhere.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)
# No glob or separator matters here, but blanks at the ends are trimmed and a lone blank is missing.
NAMES = TEXT.filter(lambda name: name == name.strip() and "/" not in name and "\r" not in name)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["csv", "ndjson", "parquet"]),
    hubs=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    days=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=12),
)
def test_any_hub_name(
    tmp_path_factory: pytest.TempPathFactory, kind: str, hubs: list[str], days: list[tuple[int, int, int]]
) -> None:
    org = Organisation(tmp_path_factory.mktemp("any"))
    org.drop("hub_registry", "hubs.csv", registry(["reef"], hubs))
    rows = [[f"2025-06-{day:02d}", "reef", hubs[hub % len(hubs)], f"zz-{who}"] for hub, who, day in days]
    org.drop("hub_activity", *as_file(kind, rows))
    org.run()
    assert org.quarantine() == []
    expected = {(day, f"reef/{hub}", key_of(name)) for day, _, hub, name in rows}
    assert set(org.user_days()) == expected
    per_day = Counter({day: len({row[3] for row in rows if row[0] == day}) for day in {row[0] for row in rows}})
    assert {day: dau for day, dau, _ in org.counts()} == dict(per_day)
    assert max(mau for *_, mau in org.counts()) == len({row[3] for row in rows})
    assert AS_OF.isoformat() > max(per_day)
    org.close()
