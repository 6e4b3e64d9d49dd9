"""FOCUS exports in S3: what is new, what is at rest, what is whole, and what becomes of a name."""

import json
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest
from pydantic import ValidationError

from kpi_pipeline.errors import SourceError
from kpi_pipeline.fetching import Glance, Outcome
from kpi_pipeline.landing import content_of
from kpi_pipeline.settings.sources import CloudCostsS3
from kpi_pipeline.sources.aws import Session
from kpi_pipeline.sources.focus_s3 import FocusS3
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline.warehouse import set_up
from kpi_pipeline_tests.bad_input.organisation import empty_warehouse
from kpi_pipeline_tests.live.fake_s3 import OWNER, PREFIX, FakeS3, Line, focus
from kpi_pipeline_tests.live.fetched import LIMITS, Nights, TurnedClock
from kpi_pipeline_tests.live.moto_server import hold_to, passed_on
from kpi_pipeline_tests.live.server import Connection, Fault, Plan, Request, Response, Served, served
from kpi_pipeline_tests.live.test_faults import FAULTS

FEBRUARY = "BILLING_PERIOD=2026-02/focus-00001.csv.gz"
FEBRUARY_2 = "BILLING_PERIOD=2026-02/focus-00002.csv.gz"
MARCH = "BILLING_PERIOD=2026-03/focus-00001.snappy.parquet"
JANUARY = "BILLING_PERIOD=2026-01/focus.csv"


@contextmanager
def nights(vendor: FakeS3, folder: Path, plan: Plan | None = None) -> Iterator[tuple[Nights, Served]]:
    with served(vendor.app, plan) as server:
        yield Nights(folder, vendor, server.url, TurnedClock(vendor.night)), server


def gets(server: Served) -> list[str]:
    """The objects that were asked for, in order."""
    return [unquote(request.path).split(f"{PREFIX}/")[1] for request in server.requests if is_object(request)]


def is_object(request: Request) -> bool:
    return "list-type" not in request.query


def newly_landed(fetched: Nights) -> list[str]:
    newest = fetched.landing.newest("cloud_costs")
    assert newest is not None
    return sorted(file.name for file in newest.files)


def covered(fetched: Nights) -> Any:
    newest = fetched.landing.newest("cloud_costs")
    assert newest is not None
    (part,) = newest.parts.values()
    return part.covered


def lines(month: int, amount: str, hub: str = "coral") -> list[Line]:
    return [(date(2026, month, 2), "111111111111", hub, Decimal(amount))]


def test_the_fake_is_held_to_the_description_of_the_service() -> None:
    vendor = FakeS3()
    with served(vendor.app) as server:
        session = Session("cloud_costs", Tools(limits=LIMITS), endpoint=server.url, region=None)
        client = session.client("s3")
        page = client.list_objects_v2(Bucket=vendor.bucket, Prefix=f"{PREFIX}/")  # type: ignore[attr-defined]
        one = client.get_object(Bucket=vendor.bucket, Key=f"{PREFIX}/{MARCH}")  # type: ignore[attr-defined]
    for operation, answer in (("ListObjectsV2", page), ("GetObject", one)):
        del answer["ResponseMetadata"]
        hold_to("s3", operation, "output_shape", answer)
    assert page["IsTruncated"]
    assert [item["Key"].removeprefix(f"{PREFIX}/") for item in page["Contents"]] == [
        JANUARY,
        f"{FEBRUARY[:22]}/_SUCCESS",
    ]
    assert page["Contents"][0]["ETag"].startswith('"')
    assert one["LastModified"] == vendor.night - timedelta(hours=22)


def test_objects_are_landed_as_they_lie_by_their_keys(tmp_path: Path) -> None:
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, server):
        outcome = fetched.fetch()
        assert list(outcome.parts) == [f"{vendor.bucket}/{PREFIX}/"]
        assert newly_landed(fetched) == [JANUARY, FEBRUARY, FEBRUARY_2, MARCH]
        for file in fetched.landing.files("cloud_costs", "log"):
            stored = passed_on(Request("GET", f"/{vendor.bucket}/{PREFIX}/{file.name}", {}, OWNER)).content
            assert content_of(fetched.landing.path("cloud_costs", file), file.encoding == "gzip") == stored
            assert file.bytes == len(stored)
            assert file.url == f"s3://{vendor.bucket}/{PREFIX}/{file.name}"
            assert file.headers is not None
            assert (
                {"etag", "last-modified"}
                <= file.headers.keys()
                <= {*("etag", "last-modified", "date", "content-type", "content-length")}
            )
        assert not [*(tmp_path / "landing").rglob(".tmp-*")]
        # Of what is there already nothing is asked again.
        fetched.fetch()
        assert sorted(gets(server)) == [JANUARY, FEBRUARY, FEBRUARY_2, MARCH]
        assert newly_landed(fetched) == []


def test_days_are_covered_as_far_as_exports_were_written(tmp_path: Path) -> None:
    """Not as far as we have looked: an export that stops being written goes stale."""
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        # Written on 3 March at 02:30 and on 4 March at 04:30; what was over by then for a day had been billed.
        assert covered(fetched) == ((date(2026, 3, 1), date(2026, 3, 2)),)
        fetched.clock.turn(days=3)
        fetched.fetch()
        assert covered(fetched) == ((date(2026, 3, 1), date(2026, 3, 2)),)
        vendor.now += timedelta(days=3)
        vendor.update_a_row()
        fetched.fetch()
        assert covered(fetched) == ((date(2026, 3, 1), date(2026, 3, 5)),)


def test_a_delivery_is_landed_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        vendor.export(FEBRUARY, lines(2, "5"))
        vendor.now += timedelta(hours=1)
        fetched.fetch()
        assert newly_landed(fetched) == [FEBRUARY, FEBRUARY_2]
        assert sorted(gets(server)[4:]) == [FEBRUARY, FEBRUARY_2]
        assert fetched.loaded() == vendor.rows()


def test_an_export_with_fewer_parts_than_before(tmp_path: Path) -> None:
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        vendor.export(FEBRUARY, lines(2, "5"))
        del vendor.exports[FEBRUARY_2]
        vendor.delete(f"{PREFIX}/{FEBRUARY_2}")
        vendor.now += timedelta(hours=1)
        fetched.fetch()
        assert newly_landed(fetched) == [FEBRUARY]
        assert [name for name, _ in fetched.landed()] == [JANUARY, FEBRUARY, FEBRUARY_2, MARCH]
        assert fetched.loaded() == vendor.rows()
        assert sum(row[3] for row in vendor.rows() if row[0].month == 2) == 5


def test_what_is_tidied_away_still_counts(tmp_path: Path) -> None:
    """The lifecycle of a bucket deletes old exports, one part after the other: neither goes, and neither comes anew."""
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.fetch()
        before = fetched.loaded()
        for key in (FEBRUARY_2, JANUARY):
            vendor.delete(f"{PREFIX}/{key}")
            fetched.fetch()
        assert len(gets(server)) == 4
        assert fetched.loaded() == before


def test_a_folder_that_is_written_to_waits_with_all_that_is_in_it(tmp_path: Path) -> None:
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        before = fetched.loaded()
        # The first part is there for a while, the second has just come; a third is still to come.
        vendor.export(FEBRUARY, lines(2, "1"))
        vendor.now += timedelta(minutes=20)
        vendor.export(FEBRUARY_2, lines(2, "2", "kelp"))
        vendor.export(JANUARY, lines(1, "3"))
        vendor.now += timedelta(minutes=14)
        fetched.fetch()
        assert fetched.loaded() == before
        vendor.now += timedelta(minutes=1)
        fetched.fetch()
        assert newly_landed(fetched) == [JANUARY, FEBRUARY, FEBRUARY_2]
        assert fetched.loaded() == vendor.rows()


def test_an_object_that_is_written_anew_while_we_read(tmp_path: Path) -> None:
    """After the listing, before it is read: S3 refuses, since it isn't what was listed."""
    vendor = FakeS3()
    with nights(vendor, tmp_path, Plan(after={2: lambda: vendor.export(FEBRUARY, lines(2, "9"))})) as (fetched, server):
        fetched.fetch()
        assert server.requests[3].headers["if-match"].startswith('"')
        assert newly_landed(fetched) == [JANUARY, MARCH]
        vendor.now += timedelta(hours=1)
        fetched.fetch()
        assert newly_landed(fetched) == [FEBRUARY, FEBRUARY_2]
        assert fetched.loaded() == vendor.rows()


def test_a_store_that_does_not_heed_if_match(tmp_path: Path) -> None:
    vendor = FakeS3()

    def app(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name != "if-match"}
        return vendor.app(Request(request.method, request.path, request.query, headers, request.body))

    with served(app, Plan(after={2: lambda: vendor.export(FEBRUARY, lines(2, "9"))})) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.fetch()
        assert newly_landed(fetched) == [JANUARY, MARCH]
        vendor.now += timedelta(hours=1)
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_an_object_that_is_written_anew_after_it_was_read(tmp_path: Path) -> None:
    """Before the second listing."""
    vendor = FakeS3()
    with nights(vendor, tmp_path, Plan(after={6: lambda: vendor.export(MARCH, lines(3, "9"))})) as (fetched, _):
        fetched.fetch()
        assert newly_landed(fetched) == [JANUARY, FEBRUARY, FEBRUARY_2]
        vendor.now += timedelta(hours=1)
        fetched.fetch()
        assert newly_landed(fetched) == [MARCH]
        assert fetched.loaded() == vendor.rows()


def test_a_run_that_goes_on_a_night_later(tmp_path: Path) -> None:
    """What was listed the night before may be another object by now."""
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.requests = 4
        fetched.fetch()
        assert len(gets(server)) == 1
        vendor.export(FEBRUARY_2, lines(2, "9"))
        vendor.now += timedelta(hours=24)
        fetched.requests = None
        fetched.clock.turn(days=1)
        fetched.fetch()
        # First what was listed then, and once round again what is new since.
        assert newly_landed(fetched) == [FEBRUARY, FEBRUARY_2]
        assert fetched.loaded() == vendor.rows()


def flipped(connection: Connection, _request: Request, response: Response) -> None:
    """A byte is another one."""
    content = bytearray(response.content)
    content[len(content) // 2] ^= 1
    connection.send(Response(bytes(content), response.status, response.headers))


def ended(connection: Connection, _request: Request, response: Response) -> None:
    """The connection ends in the middle, as if all had been said."""
    connection.head(response, len(response.content))
    connection.write(response.content[: len(response.content) // 2])
    connection.end()


OBJECT_FAULTS: dict[str, Fault] = {**FAULTS, "another byte": flipped, "ended in the middle": ended}


@pytest.mark.parametrize("fault", OBJECT_FAULTS)
def test_a_fault_of_an_object(fault: str, tmp_path: Path) -> None:
    vendor = FakeS3()
    # As boto3 puts it there: with a checksum, by which the bytes are known to be right.
    content = passed_on(Request("GET", f"/{vendor.bucket}/{PREFIX}/{JANUARY}", {}, OWNER)).content
    checksum = b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
    headers = {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": checksum}
    vendor.put(f"{PREFIX}/{JANUARY}", content, vendor.now - timedelta(days=2), headers)
    with nights(vendor, tmp_path, Plan({0: OBJECT_FAULTS[fault]}, is_object)) as (fetched, server):
        if fault == "slow bytes":
            fetched.limits = type(LIMITS)(connect_seconds=5, read_seconds=5, answer_seconds=0.3)
        (outcome,) = fetched.fetch_until_through()
        assert isinstance(outcome, Outcome)
        assert gets(server)[:2] == [JANUARY, JANUARY]
        assert outcome.requests == len(server.requests)
        assert fetched.loaded() == vendor.rows()


NAMES = {
    "2026-01/a b+c=d.csv": "2026-01/a b+c=d.csv",
    "2026-01/100%.csv": "2026-01/100%25.csv",
    "2026-01/100%25.csv": "2026-01/100%2525.csv",
    "2026-01//double.csv": "2026-01/%2F/double.csv",
    "/etc/root.csv": "%2F/etc/root.csv",
    "2026-01/übersicht.CSV": "2026-01/%C3%BCbersicht.CSV",
    "2026-01/C:\\bill.csv": "2026-01/C:%5Cbill.csv",
    "2026-01/'one'\t\"two\".csv": "2026-01/%27one%27%09%22two%22.csv",
}
LEFT_OUT = ("../up.csv", "2026-01/../../up.csv", "./here.csv", ".hidden/a.csv", "2026-01/README.md", "folder/", "a.zip")


def test_keys_are_names_and_no_paths(tmp_path: Path) -> None:
    vendor = FakeS3()
    for number, key in enumerate([*NAMES, *LEFT_OUT]):
        # Each has its own month, so that none takes another's place.
        text = ",".join(columns := [*focus(date(2025, 1, 1), "1", "", Decimal(1))]) + "\n"
        record = focus(date(2020 + number // 12, 1 + number % 12, 1), "111111111111", "coral", Decimal(number))
        text += ",".join('"' + record[column].replace('"', '""') + '"' for column in columns) + "\n"
        vendor.put(f"{PREFIX}/{key}", text.encode())
    vendor.now += timedelta(hours=1)
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        expected = sorted([*NAMES.values(), JANUARY, FEBRUARY, FEBRUARY_2, MARCH])
        assert newly_landed(fetched) == expected
        amounts = [row[3] for row in fetched.loaded() if row[0].year < 2026]
        assert amounts == list(range(len(NAMES)))


def test_json_of_an_export(tmp_path: Path) -> None:
    vendor = FakeS3()
    record = focus(date(2026, 2, 28), "111111111111", "coral", Decimal("1.5"))
    vendor.put(f"{PREFIX}/{MARCH}", b"")
    vendor.exports = {"a.json": [(date(2026, 2, 28), "111111111111", "coral", Decimal("1.5"))]}
    for key in (JANUARY, FEBRUARY, FEBRUARY_2, MARCH):
        vendor.delete(f"{PREFIX}/{key}")
    vendor.put(f"{PREFIX}/a.json", json.dumps([{k: v for k, v in record.items() if v != "NULL"}]).encode())
    vendor.now += timedelta(hours=1)
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_an_object_that_is_too_large(tmp_path: Path) -> None:
    """Known from the listing: nothing of it is read."""
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, server):
        fetched.change = lambda configured: configured.model_copy(update={"max_object_bytes": 500})
        with pytest.raises(SourceError, match="at most 500 bytes"):
            fetched.fetch()
        assert gets(server) == []


def test_an_object_that_is_larger_than_listed(tmp_path: Path) -> None:
    vendor = FakeS3()
    limit = 100_000

    def grown(connection: Connection, _request: Request, response: Response) -> None:
        more = {**response.headers, "Transfer-Encoding": "chunked"}
        connection.head(Response(b"", 200, more), len(response.content))
        try:
            for _ in range(1000):
                connection.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        except OSError:
            return

    with nights(vendor, tmp_path, Plan({0: grown}, is_object)) as (fetched, _):
        fetched.change = lambda configured: configured.model_copy(update={"max_object_bytes": limit})
        with pytest.raises(SourceError, match=f"more than {limit:,} bytes"):
            fetched.fetch()
        assert not [*(tmp_path / "landing").rglob(".tmp-*")]


def test_a_large_object_is_never_in_memory(tmp_path: Path) -> None:
    """As it comes it goes to disk, and from there into the landing zone."""
    vendor, size, piece = FakeS3(), 80 << 20, b"\0" * (1 << 16)
    headers = {"ETag": '"zz"', "Last-Modified": "Sun, 01 Mar 2026 00:00:00 GMT"}
    page = listing(f"{PREFIX}/large.parquet").replace(b"&quot;0&quot;", b"&quot;zz&quot;")
    page = page.replace(b"<Size>0</Size>", f"<Size>{size}</Size>".encode())

    def in_pieces(connection: Connection, _request: Request, _response: Response) -> None:
        connection.head(Response(b"", 200, headers), size)
        for _ in range(size // len(piece)):
            connection.write(piece)

    with served(lambda _: Response(page), Plan({0: in_pieces}, is_object)) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        fetched.limits = type(LIMITS)()
        tracemalloc.start()
        try:
            outcome = fetched.fetch()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.bytes == size
    assert peak < 20 << 20


def listing(*keys: str, token: str | None = None, truncated: bool | None = None) -> bytes:
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-03-01T00:00:00.000Z</LastModified><ETag>&quot;{n}&quot;</ETag>"
        f"<Size>{n}</Size></Contents>"
        for n, key in enumerate(keys)
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    is_truncated = str(bool(token) if truncated is None else truncated).lower()
    return f"<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{contents}{more}</ListBucketResult>".encode()


def said(content: bytes) -> Fault:
    def fault(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(content, 200, {"Content-Type": "application/xml"}))

    return fault


WRONG_PAGES = {
    "empty in mid-walk": listing(),
    "empty, and more to come": listing(token="zz-on"),
    "more to come, and no token": listing(f"{PREFIX}/zz.csv", truncated=True),
    "the first page again": listing(f"{PREFIX}/{JANUARY}", token="zz-again"),
    "outside of the prefix": listing("elsewhere/zz.csv"),
    "the same twice": listing(f"{PREFIX}/zz.csv", f"{PREFIX}/zz.csv"),
    "nothing": b"",
    "another document": b"<Error><Code>InternalError</Code></Error>",
}


@pytest.mark.parametrize(("wrong", "times"), [*((wrong, 1) for wrong in WRONG_PAGES), ("empty in mid-walk", 12)])
def test_a_page_of_a_listing_that_can_not_be_one(wrong: str, times: int, tmp_path: Path) -> None:
    """In mid-walk: once, and a whole night."""
    vendor = FakeS3()
    plan = Plan(dict.fromkeys(range(1, 1 + times), said(WRONG_PAGES[wrong])), lambda request: not is_object(request))
    with nights(vendor, tmp_path, plan) as (fetched, _):
        outcomes = fetched.fetch_until_through()
        assert isinstance(outcomes[0], SourceError) == (times > 1)
        assert fetched.loaded() == vendor.rows()


def test_a_listing_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpi_pipeline.sources.focus_s3.MAX_PAGES", 20)
    vendor, numbers = FakeS3(), iter(range(10**6))
    with served(lambda _: Response(listing(f"{PREFIX}/{next(numbers)}.csv", token=f"zz-{next(numbers)}"))) as server:
        fetched = Nights(tmp_path, vendor, server.url, TurnedClock(vendor.night))
        with pytest.raises(SourceError, match="more than 20 pages"):
            fetched.fetch()
        assert len(server.requests) == 20


@pytest.mark.parametrize("prefix", ["nowhere", "exports/focus/metadata/..", "exports/focus/dat"])
def test_nothing_there_is_no_success(prefix: str, tmp_path: Path) -> None:
    vendor = FakeS3()
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.change = lambda configured: configured.model_copy(update={"prefix": prefix})
        with pytest.raises(SourceError, match="no object whose name ends with"):
            fetched.fetch()


def test_an_object_that_is_listed_and_is_not_there(tmp_path: Path) -> None:
    def missing(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(b"<Error><Code>NoSuchKey</Code><Message>zz</Message></Error>", 404))

    vendor = FakeS3()
    with nights(vendor, tmp_path, Plan({1: missing}, is_object)) as (fetched, _):
        with pytest.raises(SourceError, match="listed before and after, and yet not there"):
            fetched.fetch()
        fetched.fetch()
        assert fetched.loaded() == vendor.rows()


def test_a_stray_file_is_told(tmp_path: Path) -> None:
    """An export that isn't one is quarantined, as in a drop of files; the others count."""
    vendor = FakeS3()
    vendor.put(f"{PREFIX}/notes.csv", b"a,b\n1,2\n")
    vendor.now += timedelta(hours=1)
    with nights(vendor, tmp_path) as (fetched, _):
        fetched.fetch()
        path = tmp_path / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        with duckdb.connect(str(path)) as con:
            set_up(con)
            vendor.load(con, fetched.landing, fetched.configured)
            assert con.execute("select file, reason from raw.quarantine").fetchall() == [("notes.csv", "wrong_columns")]
            assert vendor.loaded(con) == vendor.rows()


def examined(vendor: FakeS3, plan: Plan | None = None) -> list[tuple[str, str]]:
    with served(vendor.app, plan) as server:
        clock = TurnedClock(vendor.night)
        with closing(
            FocusS3("cloud_costs", vendor.settings(server.url), Tools(clock=clock, limits=LIMITS))
        ) as connector:
            return [(seen.state, seen.words) for seen in connector.examine(Glance(clock.now(), Budget(clock)))]


def test_doctor() -> None:
    vendor = FakeS3()
    vendor.put(f"{PREFIX}/bill.xlsx", b"zz")
    place = f"{vendor.bucket}/{PREFIX}/"
    assert examined(vendor) == [
        ("ok", f"{place}: 4 export file(s), the newest written on 2026-03-04 04:30 UTC"),
        ("ok", f"{place}: the newest can be read"),
        ("note", f"{place}: 1 object(s) of other formats, which are not fetched"),
    ]


@pytest.mark.parametrize(("number", "action"), [(0, "s3:ListBucket"), (3, "s3:GetObject")])
def test_doctor_without_permission(number: int, action: str) -> None:
    def denied(connection: Connection, _request: Request, _response: Response) -> None:
        connection.send(Response(b"<Error><Code>AccessDenied</Code><Message>zz-alice</Message></Error>", 403))

    *before, (state, words) = examined(FakeS3(), Plan({number: denied}))
    assert (len(before), state) == (number // 3, "problem")
    assert f"Allow {action}" in words
    assert "alice" not in words


def test_doctor_of_a_bucket_that_is_not_there() -> None:
    vendor = FakeS3()
    vendor.bucket = "zz-nowhere"
    ((state, words),) = examined(vendor)
    assert state == "problem"
    assert "there is no such bucket" in words


@pytest.mark.parametrize("bucket", ["", "a", "a b", "a/b", "s3://bills", "-bills"])
def test_names_of_buckets(bucket: str) -> None:
    with pytest.raises(ValidationError, match="bucket"):
        CloudCostsS3.model_validate({"kind": "focus_s3", "bucket": bucket})
