"""Answers of Prometheus that are wrong or awkward: quarantined with a reason, or counted as documented."""

import gzip
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import ApiMetrics, MetricLabels, MetricSeries, Uptime
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import metrics, prometheus
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.warehouse import Connection

from .organisation import AS_OF, FETCHED, empty_warehouse

API = ApiMetrics(
    step_seconds=3600,
    series=MetricSeries(requests="requests", duration_sum="sums", duration_buckets="buckets"),
    labels=MetricLabels(service="app", audience="tier", customer="tenant"),
)
PROBES = Uptime(step_seconds=21600, system_label="system", retired={"old": date(2025, 6, 29)})
NOON = 1751198400  # 2025-06-29 12:00 UTC
HUBS = {"app": "hubs", "tier": "b2b"}
Series = dict[str, Any]


def series(labels: Any, *values: Any) -> Series:
    return {"metric": labels, "values": list(values)}


def answer(*result: Any, **other: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(result)}, **other}


class Drop:
    """Answers are dropped, landed, loaded and counted, through the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con: Connection = duckdb.connect(str(path))
        self.con.execute("set timezone = 'UTC'")
        self.landing = Landing(root / "landing")

    def put(self, source: str, name: str, content: Any, at: datetime = FETCHED) -> None:
        path = self.root / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.landing.land(source, "prometheus_json", list_files(source, self.root / source), at)

    def run(self, api: ApiMetrics | None = API, probes: Uptime | None = PROBES) -> None:
        metrics.load_api_metrics(self.con, self.landing, api)
        metrics.load_uptime(self.con, self.landing, probes)
        metrics.count_api_calls(self.con, self.landing, api)
        metrics.count_uptime(self.con, self.landing, probes, AS_OF)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[int | None, str]]:
        return self.query("select row, reason from raw.quarantine order by all")

    def calls(self) -> list[tuple[Any, ...]]:
        return self.query("select date::varchar, service, audience, customer, calls from facts.api_calls order by all")


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    made = Drop(tmp_path)
    yield made
    made.con.close()


BAD_SAMPLES = {
    "not a number": ([NOON, "NaN"], "not_finite"),
    "infinite": ([NOON, "+Inf"], "not_finite"),
    "minus infinite": ([NOON, "-Inf"], "not_finite"),
    "negative": ([NOON, "-0.5"], "negative:value"),
    "words": ([NOON, "many"], "invalid:value"),
    "too large": ([NOON, "1e40"], "invalid:value"),
    "underscore": ([NOON, "1_000"], "invalid:value"),
    "no value": ([NOON, None], "invalid:value"),
    "a list as value": ([NOON, ["1"]], "invalid:value"),
    "off the step": ([NOON + 1, "1"], "off_step:sampled_at"),
    "a fraction of a second off": ([NOON + 0.5, "1"], "off_step:sampled_at"),
    "in the future": ([NOON + 86400 * 365, "1"], "future:date"),
    "one thing": ([NOON], "not_a_sample"),
    "three things": ([NOON, "1", "2"], "not_a_sample"),
    "null": (None, "not_a_sample"),
    "an object": ({"a": 1}, "not_a_sample"),
    "time in words": (["noon", "1"], "not_a_sample"),
    "a time far away": ([1e15, "1"], "not_a_sample"),
    "a time long ago": ([-3600, "1"], "not_a_sample"),
}


@pytest.mark.parametrize("case", BAD_SAMPLES)
def test_bad_sample(drop: Drop, case: str) -> None:
    sample, reason = BAD_SAMPLES[case]
    drop.put("api_metrics", "requests/a.json", answer(series(HUBS, [NOON - 3600, "2"], sample, [NOON + 3600, "3"])))
    drop.run()
    assert drop.quarantine() == [(2, reason)]
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 5)]


BAD_SERIES = {
    "no labels": ({"values": [[NOON, "9"]]}, "not_a_series"),
    "no values": ({"metric": HUBS, "histograms": []}, "not_a_series"),
    "labels that are none": (series(5, [NOON, "9"]), "not_a_series"),
    "no object": ("words", "not_a_series"),
    "null": (None, "not_a_series"),
    "no service": (series({"tier": "b2b"}, [NOON, "9"]), "missing:service"),
    "an empty service": (series({"app": " ", "tier": "b2b"}, [NOON, "9"]), "missing:service"),
    "no audience": (series({"app": "hubs"}, [NOON, "9"]), "missing:audience"),
    "a person": (series({"app": "hubs", "tier": "b2c", "tenant": "zz-alice"}, [NOON, "9"]), "customer_not_b2b"),
}


@pytest.mark.parametrize("case", BAD_SERIES)
def test_bad_series(drop: Drop, case: str) -> None:
    bad, reason = BAD_SERIES[case]
    drop.put("api_metrics", "requests/a.json", answer(series(HUBS, [NOON, "2"]), bad, series(HUBS, [NOON + 3600, "3"])))
    drop.run()
    assert drop.quarantine() == [(2, reason)]
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 5)]
    assert "zz-alice" not in str(drop.query("from raw.api_metrics"))


GOOD = json.dumps(answer(series(HUBS, [NOON, "2"])))
BAD_FILES = {
    "an error": ("requests/b.json", {"status": "error", "errorType": "timeout", "error": "too long"}, "not_success"),
    "no status": ("requests/b.json", {"data": []}, "not_success"),
    "a list": ("requests/b.json", [1], "not_success"),
    "a vector": (
        "requests/b.json",
        {"status": "success", "data": {"resultType": "vector", "result": [{"metric": HUBS, "value": [NOON, "2"]}]}},
        "not_a_matrix",
    ),
    "no result": ("requests/b.json", {"status": "success", "data": {"resultType": "matrix"}}, "not_a_matrix"),
    "cut off": ("requests/b.json", GOOD[:-9], "not_json"),
    "two answers": ("requests/b.json", GOOD + GOOD, "not_json"),
    "white space": ("requests/b.json", " \n", "not_json"),
    "empty": ("requests/b.json", "", "empty_file"),
    "another series": ("latency/b.json", GOOD, "unknown_series"),
    "no series": ("b.json", GOOD, "unknown_series"),
    "another suffix": ("requests/b.txt", GOOD, "unsupported_format"),
    "torn": ("requests/b.json.gz", gzip.compress(GOOD.encode())[:-9], "truncated"),
    "not UTF-8": ("requests/b.json", GOOD.encode().replace(b"hubs", b"h\xfcbs"), "not_utf8"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file(drop: Drop, case: str) -> None:
    name, content, reason = BAD_FILES[case]
    drop.put("api_metrics", name, content)
    drop.put("api_metrics", "requests/a.json", GOOD)
    drop.run()
    assert drop.query("select file, row, reason from raw.quarantine") == [(name, None, reason)]
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 2)]


def test_an_answer_that_is_too_large_is_left_unread(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "LARGEST", len(GOOD))
    drop.put("api_metrics", "requests/a.json", GOOD)
    drop.put("api_metrics", "requests/b.json.gz", gzip.compress(GOOD.encode() + b" "))
    drop.run()
    assert drop.query("select file, row, reason from raw.quarantine") == [("requests/b.json.gz", None, "too_large")]
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 2)]


def test_gzip_and_a_byte_order_mark_are_read(drop: Drop) -> None:
    drop.put("api_metrics", "requests/a.json.gz", gzip.compress(GOOD.encode("utf-8-sig")))
    drop.run()
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 2)]


def test_an_answer_without_series_holds_nothing(drop: Drop) -> None:
    drop.put("api_metrics", "requests/a.json", answer(warnings=["x"], series=None))
    drop.run()
    assert (drop.quarantine(), drop.calls()) == ([], [])


def test_midnight_belongs_to_the_day_before(drop: Drop) -> None:
    midnight = NOON + 12 * 3600
    samples = [[midnight - 3600, "1"], [midnight, "10"], [midnight + 3600, "100"]]
    drop.put("api_metrics", "requests/a.json", answer(series(HUBS, *samples)))
    drop.run()
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 11), ("2025-06-30", "hubs", "b2b", None, 100)]


def test_of_fetches_that_overlap_the_newest_file_counts(drop: Drop) -> None:
    """The older file has the later name; a sample that only it has still counts."""
    drop.put("api_metrics", "requests/b.json", answer(series(HUBS, [NOON, "1"], [NOON + 3600, "10"])))
    drop.put(
        "api_metrics",
        "requests/a.json",
        answer(series(dict(reversed(HUBS.items())), [NOON + 3600, "20"], [NOON + 7200, "300"])),
        FETCHED + timedelta(hours=1),
    )
    drop.run()
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 321)]


def test_a_file_that_comes_back_is_landed_anew(drop: Drop) -> None:
    """It was loaded before and isn't loaded again, but it is the newest now: as it would be in a new warehouse."""
    drop.put("api_metrics", "requests/a.json", answer(series(HUBS, [NOON, "1"])))
    drop.put("api_metrics", "requests/b.json", answer(series(HUBS, [NOON, "20"])), FETCHED + timedelta(hours=1))
    drop.run()
    (drop.root / "api_metrics" / "requests" / "a.json").unlink()
    drop.put("api_metrics", "requests/c.json", answer(), FETCHED + timedelta(hours=2))
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 20)]
    drop.put("api_metrics", "requests/a.json", answer(series(HUBS, [NOON, "1"])), FETCHED + timedelta(hours=3))
    drop.run()
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 1)]


def test_series_that_differ_in_another_label_are_added(drop: Drop) -> None:
    pods = [series({**HUBS, "pod": pod}, [NOON, "4"]) for pod in ("a", "b")]
    drop.put("api_metrics", "requests/a.json", answer(*pods))
    drop.run()
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", None, 8)]


def test_sums_are_exact(drop: Drop) -> None:
    """Ten tenths are one; digits beyond the ninth are rounded, sample by sample; exponents are read."""
    tenths = [[NOON - 36000 + 3600 * k, "0.1"] for k in range(10)]
    drop.put(
        "api_metrics",
        "requests/a.json",
        answer(
            series(HUBS, *tenths),
            series({"app": "x", "tier": "B2B "}, [NOON, "3599.98765432149"], [NOON + 3600, "1e-07"]),
        ),
    )
    drop.run()
    assert drop.calls() == [
        ("2025-06-29", "hubs", "b2b", None, Decimal(1)),
        ("2025-06-29", "x", "b2b", None, Decimal("3599.987654421")),
    ]


def test_customers_are_those_of_b2b(drop: Drop) -> None:
    drop.put("api_metrics", "requests/a.json", answer(series({**HUBS, "tenant": "acme"}, [NOON, "4"])))
    drop.run()
    assert drop.calls() == [("2025-06-29", "hubs", "b2b", "acme", 4)]


def test_another_label_or_step_in_kpi_toml_loads_all_anew(drop: Drop) -> None:
    drop.put("api_metrics", "requests/a.json", answer(series({"app": "hubs", "job": "x", "tier": "b2b"}, [NOON, "4"])))
    drop.run()
    drop.run(API.model_copy(update={"labels": MetricLabels(service="job")}))
    assert drop.calls() == [("2025-06-29", "x", None, None, 4)]
    drop.run(API.model_copy(update={"step_seconds": 86400}))
    assert (drop.calls(), drop.quarantine()) == ([], [(1, "off_step:sampled_at")])
    drop.run(None)
    assert (drop.quarantine(), drop.query("from raw.api_metrics")) == ([], [])


def test_a_mean_needs_calls_and_durations_of_a_step(drop: Drop) -> None:
    drop.put("api_metrics", "requests/a.json", answer(series(HUBS, [NOON, "4"], [NOON + 3600, "6"])))
    drop.put("api_metrics", "sums/a.json", answer(series(HUBS, [NOON, "1.5"], [NOON - 3600, "8"])))
    drop.run()
    found = drop.query("select calls, seconds, untimed_calls, uncounted_seconds from facts.api_times")
    assert found == [(4, Decimal("1.5"), 6, 8)]
    check = next(c for c in CHECKS if c.name == "calls_have_durations")
    assert evaluate(drop.con, check, {"as_of": AS_OF}).wrong == 1


def buckets(at: int, counts: dict[str, str], app: str = "hubs") -> list[Series]:
    return [series({"app": app, "tier": "b2b", "le": le}, [at, value]) for le, value in counts.items()]


BAD_HISTOGRAMS: dict[str, tuple[dict[str, str], list[str]]] = {
    "a smaller bucket later": ({"0.1": "5", "1": "4", "+Inf": "6"}, ["buckets_decrease"] * 3),
    "fewer in all": ({"0.1": "5", "+Inf": "4"}, ["buckets_decrease"] * 2),
    "a decrease after a rise": ({"0.1": "1", "1": "9", "2": "8", "+Inf": "9"}, ["buckets_decrease"] * 4),
    "no +Inf": ({"0.1": "5", "1": "6"}, ["no_infinite_bucket"] * 2),
    "+Inf that isn't finite": ({"0.1": "5", "+Inf": "NaN"}, ["no_infinite_bucket", "not_finite"]),
    "a bound in words": ({"long": "5"}, ["invalid:le"]),
    "a bound that is no number": ({"NaN": "5"}, ["invalid:le"]),
}


@pytest.mark.parametrize("case", BAD_HISTOGRAMS)
def test_bad_histogram(drop: Drop, case: str) -> None:
    """Only the histogram of that step and those labels is left out."""
    counts, reasons = BAD_HISTOGRAMS[case]
    good = [*buckets(NOON + 3600, {"0.1": "1", "+Inf": "2"}), *buckets(NOON, {"0.1": "3", "+Inf": "3"}, "x")]
    drop.put("api_metrics", "buckets/a.json", answer(*buckets(NOON, counts), *good))
    drop.run()
    assert sorted(reason for _, reason in drop.quarantine()) == sorted(reasons)
    assert drop.query("select service, le, histograms, calls from facts.api_buckets order by all") == [
        ("hubs", Decimal("0.1"), 1, 1),
        ("hubs", None, 1, 2),
        ("x", Decimal("0.1"), 1, 3),
        ("x", None, 1, 3),
    ]


def test_a_bucket_says_its_bound(drop: Drop) -> None:
    drop.put("api_metrics", "buckets/a.json", answer(series(HUBS, [NOON, "1"])))
    drop.run()
    assert drop.quarantine() == [(1, "missing:le")]


def test_rounding_of_floats_is_no_decrease_and_bounds_are_numbers(drop: Drop) -> None:
    drop.put("api_metrics", "buckets/a.json", answer(*buckets(NOON, {"1": "5.0000001", "2": "5", "+Inf": "5"})))
    later = answer(*buckets(NOON, {"1.0": "4"}))
    drop.put("api_metrics", "buckets/b.json", later, FETCHED + timedelta(hours=1))
    drop.run()
    assert drop.quarantine() == []
    assert drop.query("select le, calls from facts.api_buckets order by le nulls last") == [(1, 4), (2, 5), (None, 5)]


def test_steps_without_a_sample_are_unobserved(drop: Drop) -> None:
    """Steps of six hours: on the 29th 18:00 (up) and midnight (down); on the 30th, the last day, only 12:00 (half)."""
    samples = [[NOON + 21600, "1"], [NOON + 43200, "0"], [NOON + 86400, "0.5"]]
    old = [[NOON, "1"], [NOON + 86400, "1"]]
    drop.put("uptime", "a.json", answer(series({"system": "web"}, *samples), series({"system": "old"}, *old)))
    drop.run()
    found = drop.query(
        "select date::varchar, system, up_seconds, observed_seconds, unobserved_seconds, samples "
        "from facts.uptime order by all"
    )
    assert found == [
        ("2025-06-29", "old", 21600, 21600, 64800, 1),
        ("2025-06-29", "web", 21600, 43200, 43200, 2),
        ("2025-06-30", "web", 10800, 21600, 64800, 1),
    ]


def test_a_system_is_up_as_far_as_all_of_its_probes_say_so(drop: Drop) -> None:
    probes = [series({"system": "web", "probe": name}, [NOON, value]) for name, value in (("a", "1"), ("b", "0.25"))]
    drop.put("uptime", "a.json", answer(*probes))
    drop.run()
    found = drop.query("select up_seconds, observed_seconds from facts.uptime where date = '2025-06-29'")
    assert found == [(5400, 21600)]


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        ([NOON, "1.1"], "above_one:value"),
        ([NOON, "-1"], "negative:value"),
        ([NOON, "NaN"], "not_finite"),
        ([NOON + 3600, "1"], "off_step:sampled_at"),
    ],
)
def test_a_bad_probe_is_unobserved(drop: Drop, sample: list[Any], reason: str) -> None:
    drop.put("uptime", "a.json", answer(series({"system": "web"}, [NOON - 21600, "1"], sample)))
    drop.put("uptime", "b.json", answer(series({"instance": "web"}, [NOON, "1"])))
    drop.run()
    assert drop.quarantine() == [(1, "missing:system"), (2, reason)]
    found = drop.query("select up_seconds, observed_seconds from facts.uptime where date = '2025-06-29'")
    assert found == [(21600, 21600)]


def test_days_without_calls_measured_are_named(drop: Drop) -> None:
    drop.put("api_metrics", "requests/a.json", answer(series({**HUBS, "tier": "partner"}, [NOON - 86400, "1"])))
    drop.run()
    wrong = {c.name: evaluate(drop.con, c, {"as_of": AS_OF}).wrong for c in CHECKS if c.table == "facts.api_calls"}
    assert (wrong["api_calls_have_no_gap"], wrong["audiences_are_known"]) == (2, 1)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("step_seconds", 25200, "a day isn't a whole number of such steps"),
        ("step_seconds", 0, "a day isn't a whole number of such steps"),
        ("series", {"requests": "a", "duration_sum": "a"}, "two series share a folder"),
        ("series", {"requests": "a/b"}, "should match pattern"),
        ("series", {"duration_sum": "a"}, "Field required"),
        ("labels", {"service": "a", "customer": "b"}, "'customer' needs 'audience'"),
        ("labels", {"service": "a b"}, "should match pattern"),
    ],
)
def test_a_wrong_configuration_is_refused(key: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ApiMetrics.model_validate({**API.model_dump(), key: value})
