"""A bucket of FOCUS exports, kept by moto: months in several files, as AWS Data Exports writes them."""

import gzip
import io
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from itertools import count
from typing import Any
from urllib.parse import quote

import duckdb
import polars as pl
from moto.s3.models import s3_backends

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import CloudCostsS3
from kpi_pipeline_tests.bad_input.test_costs import COLUMNS, GOOD
from kpi_pipeline_tests.live.fake_cost_explorer import load, loaded
from kpi_pipeline_tests.live.fetched import utc
from kpi_pipeline_tests.live.moto_server import ACCOUNT, passed_on
from kpi_pipeline_tests.live.server import Request, Response

TAG = "2i2c:hub-name"
PREFIX = "exports/focus/data"
NUMBERS = count()
# Who owns it all; moto doesn't look at signatures.
OWNER = {
    "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260301/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0",
    "content-type": "binary/octet-stream",
}
# Day, account, value of the tag, amount.
Line = tuple[date, str, str, Decimal]


class FakeS3:
    """Exports of three months: one of them in two parts, and what else lies there."""

    source = "cloud_costs"
    night = utc(2026, 3, 5, 2, 30)

    def __init__(self) -> None:
        self.bucket = f"bills-{next(NUMBERS)}"
        # What the time is there.
        self.now = self.night - timedelta(days=2)
        self.exports: dict[str, list[Line]] = {}
        assert passed_on(Request("PUT", f"/{self.bucket}", {}, OWNER)).status == 200
        self.export(f"{_month(1)}/focus.csv", _lines(1, 3))
        for number in (1, 2):
            self.export(f"{_month(2)}/focus-0000{number}.csv.gz", _lines(2, 10 * number))
        self.put(f"{PREFIX}/{_month(2)}/_SUCCESS", b"")
        self.put("exports/focus/metadata/Manifest.json", b"{}")
        self.now += timedelta(hours=26)
        self.export(f"{_month(3)}/focus-00001.snappy.parquet", _lines(3, 1))
        self.now += timedelta(hours=1)

    def put(
        self, key: str, content: bytes, modified: datetime | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Writes an object, now."""
        target = f"/{self.bucket}/{quote(key)}"
        assert passed_on(Request("PUT", target, {}, {**OWNER, **(headers or {})}, content)).status == 200
        stored = s3_backends[ACCOUNT]["aws"].buckets[self.bucket].keys[key]
        stored.last_modified = (modified or self.now).replace(tzinfo=None)

    def delete(self, key: str) -> None:
        assert passed_on(Request("DELETE", f"/{self.bucket}/{quote(key)}", {}, OWNER)).status == 204

    def export(self, name: str, lines: list[Line]) -> None:
        """Writes a file of an export, now."""
        self.exports[name] = lines
        self.put(f"{PREFIX}/{name}", written(name, lines))

    def settings(self, url: str) -> CloudCostsS3:
        return CloudCostsS3.model_validate(
            {"kind": "focus_s3", "bucket": self.bucket, "prefix": PREFIX, "hub_tag": TAG, "endpoint": url}
        )

    def is_page(self, request: Request) -> bool:
        return request.path.startswith(f"/{self.bucket}")

    def app(self, request: Request) -> Response:
        query: Mapping[str, str] = request.query
        if "list-type" in query:
            # Listings have pages of two.
            query = {**query, "max-keys": "2"}
        answer = passed_on(Request(request.method, request.path, query, request.headers, request.body))
        return Response(answer.body, answer.status, {**answer.headers, "Date": format_datetime(self.now, usegmt=True)})

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted((*line, 1) for lines in self.exports.values() for line in lines)

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        load(con, landing, configured)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return loaded(con)

    def update_a_row(self) -> None:
        """The running month is written anew, with other costs; an hour later it is at rest."""
        self.export(f"{_month(3)}/focus-00001.snappy.parquet", _lines(3, 7))
        self.now += timedelta(hours=1)

    def delete_a_row(self) -> None:
        """A month is written anew, and is less: one file where there were two."""
        self.export(f"{_month(2)}/focus-00001.csv.gz", _lines(2, 10))
        del self.exports[f"{_month(2)}/focus-00002.csv.gz"]
        self.delete(f"{PREFIX}/{_month(2)}/focus-00002.csv.gz")
        self.now += timedelta(hours=1)


def written(name: str, lines: list[Line]) -> bytes:
    """A file in the format that its name says."""
    records = [focus(*line) for line in lines]
    if name.endswith(".parquet"):
        parquet = io.BytesIO()
        texts = pl.DataFrame(records, schema=dict.fromkeys(COLUMNS, pl.String))
        texts.with_columns(pl.col("BilledCost").cast(pl.Decimal(38, 24))).write_parquet(parquet)
        return parquet.getvalue()
    rows = [",".join(COLUMNS)]
    rows += [",".join('"' + record[column].replace('"', '""') + '"' for column in COLUMNS) for record in records]
    content = ("\n".join(rows) + "\n").encode()
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def focus(day: date, account: str, hub: str, amount: Decimal) -> dict[str, str]:
    """A line of a FOCUS export of AWS."""
    following = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    return {
        **GOOD,
        "BilledCost": f"{amount:f}",
        "BillingAccountId": ACCOUNT,
        "BillingPeriodStart": f"{day.replace(day=1)}T00:00:00Z",
        "BillingPeriodEnd": f"{following}T00:00:00Z",
        "ChargePeriodStart": f"{day}T00:00:00Z",
        "ChargePeriodEnd": f"{day + timedelta(days=1)}T00:00:00Z",
        "ProviderName": "AWS",
        "SubAccountId": account,
        "Tags": f'{{"{TAG}": "{hub}"}}' if hub else "{}",
    }


def _month(month: int) -> str:
    return f"BILLING_PERIOD=2026-{month:02}"


def _lines(month: int, first: int) -> list[Line]:
    numbers = range(first, first + 6)
    return [
        (date(2026, month, 1 + n // 2), "111111111111", ("coral", "")[n % 2], Decimal(first * 1000 + n) / 1_000_000)
        for n in numbers
    ]
