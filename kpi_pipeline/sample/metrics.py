"""What Prometheus measured: API calls, how long they took, uptime; and the truth of their KPIs.

Never here: the pipeline's way of counting.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from kpi_pipeline.sample.dice import dice, whole
from kpi_pipeline.sample.period import SATURDAY, Period
from kpi_pipeline.sample.scores import Formula, Result, Scoped, Seen, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import write_file

STEP: Final = 43200
PROBE_STEP: Final = 21600
DAY: Final = 86400
# Service and audience: calls in a step on the first working day, the bounds of the histogram, and its customers.
APIS: Final[dict[tuple[str, str], tuple[int, tuple[str, ...], tuple[str, ...]]]] = {
    ("hubs-api", "b2b"): (560, ("0.1", "0.5", "1", "2.5"), ("northern-lab", "lake-college")),
    ("hubs-api", "b2c"): (900, ("0.1", "0.5", "1", "2.5"), ("",)),
    ("billing-api", "b2b"): (90, ("0.25", "1", "2.5"), ("",)),
}
# How long a call takes in milliseconds, at most, by chance in percent; the last is what is beyond the last bound.
PACE: Final = ((40, 90), (75, 420), (90, 950), (97, 2300), (100, 6000))
# Systems, and from which part of the period on they are probed.
SYSTEMS: Final = {"hubs": 0.0, "website": 0.0, "billing": 0.3, "old-portal": 0.0}
RETIRED: Final = {"old-portal": date(2026, 5, 31)}
CALLS_KPI: Final = Scoped("product_manager.api_calls", ("audience=b2b",))
TIME_KPIS: Final = (Scoped("tech_team.api_response_time"), Scoped("software_architect.api_response_time"))
UPTIME_KPI: Final = Scoped("devops_engineer.uptime_rate")

README: Final = """\
- `api_metrics/`, `uptime/`: answers of Prometheus' `query_range`, a file per quarter: API calls, their durations and
  histograms in steps of 12 hours, and probes of systems in steps of 6. Two days and some probes are missing, a week
  came again with other values, and a few samples are broken: not a number, without a label, impossible histograms.
"""
_CONFIG: Final = """\
# API calls, their durations and the buckets of these: answers of Prometheus' query_range, for example to
# sum by (service, audience, customer) (increase(http_requests_total[12h])) with a step of 12 hours.
[sources.api_metrics]
kind = "prometheus_json"
path = "api_metrics"
step_seconds = {step}              # of the query, and of its increases

[sources.api_metrics.series]      # the folder of each
requests = "requests"
duration_sum = "duration_sum"
duration_buckets = "duration_buckets"

[sources.api_metrics.labels]      # what the labels are called
service = "service"
audience = "audience"
customer = "customer"

# Whether systems are up: probe_success of the blackbox exporter, or the share of the step that it was 1.
[sources.uptime]
kind = "prometheus_json"
path = "uptime"
step_seconds = {probe_step}
system_label = "system"
retired = {{ {retired} }}  # no longer probed, after this day
"""

Labels = tuple[tuple[str, str], ...]
# Of each series, its samples by timestamp, as text.
Answer = dict[Labels, dict[int, str]]


@dataclass
class Measured:
    """What was measured of an API on a day, as far as it can be used."""

    calls: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    timed_calls: Fraction = Fraction(0)
    seconds: Fraction = Fraction(0)
    histograms: list[dict[str, int]] = field(default_factory=list)


def config() -> str:
    """The blocks of kpi.toml."""
    retired = ", ".join(f"{system} = {last}" for system, last in RETIRED.items())
    return _CONFIG.format(step=STEP, probe_step=PROBE_STEP, retired=retired)


def write(folder: Path, world: World) -> None:
    """api_metrics/, uptime/, and truth/roles/metrics.csv."""
    requests, sums, buckets, measured = _api(world)
    again = _once_more(requests, measured, world)
    for name, answer in (("requests", requests), ("duration_sum", sums), ("duration_buckets", buckets)):
        _write(folder / "api_metrics" / name, answer)
    write_file(folder / "api_metrics" / "requests" / "week.v2.json", _json(again))
    probes, seen_up = _uptime(world)
    _write(folder / "uptime", probes)
    write_roles(
        folder / "truth" / "roles" / "metrics.csv",
        [
            *_calls_truth(measured, world.period),
            *_times_truth(measured, world.period),
            *rows([UPTIME_KPI], seen_up, _up, world.period, rolling=True),
        ],
    )


def _api(world: World) -> tuple[Answer, Answer, Answer, dict[tuple[date, str, str], Measured]]:
    requests: Answer = defaultdict(dict)
    sums: Answer = defaultdict(dict)
    buckets: Answer = defaultdict(dict)
    measured: dict[tuple[date, str, str], Measured] = defaultdict(Measured)
    period = world.period
    missing = {period.at(0.55), period.at(0.55) + 1} if period.days > 60 else set()
    not_a_number, no_infinity, decreasing = period.at(0.2), period.at(0.4), period.at(0.8)
    for number in range(period.days):
        day = period.date_of(number)
        for part in range(DAY // STEP) if number not in missing else ():
            at = _timestamp(day) + (part + 1) * STEP
            for (service, audience), (usual, bounds, customers) in APIS.items():
                own = measured[day, service, audience]
                labels = (("audience", audience), ("service", service))
                rng = dice(world.seed, "api", at, service, audience)
                grown = usual + number // 10
                calls = [whole(rng, grown * 3 // 4, grown * 5 // 4) // len(customers) for _ in customers]
                if day.weekday() >= SATURDAY:
                    calls = [count // 3 for count in calls]
                is_broken = number == not_a_number and audience == "b2c" and part == 0
                texts = [_extrapolated(count, whole(rng, 0, 399)) for count in calls]
                for customer, text in zip(customers, texts, strict=True):
                    named = (labels[0], ("customer", customer), labels[1]) if customer else labels
                    requests[named][at] = "NaN" if is_broken else text
                    if not is_broken:
                        own.calls[customer] += nine(text)
                milliseconds = [_pace(rng.random(), rng.random()) for _ in range(20)]
                total = sum(calls)
                seconds = f"{total * sum(milliseconds) // 20 / 1000:.3f}"
                sums[labels][at] = seconds
                if not is_broken:
                    own.timed_calls += sum(map(nine, texts))
                    own.seconds += nine(seconds)
                histogram = _histogram(bounds, milliseconds, total)
                wrong = part == 1 and audience == "b2b"
                if wrong and number == no_infinity:
                    del histogram["+Inf"]
                elif wrong and number == decreasing:
                    histogram[bounds[0]] = total + 1
                else:
                    own.histograms.append(histogram)
                for bound, count in histogram.items():
                    buckets[(labels[0], ("le", bound), labels[1])][at] = str(count)
    # One sample that doesn't say of which service it is.
    requests[(("audience", "b2b"),)][_timestamp(period.last)] = "7"
    return requests, sums, buckets, measured


def _pace(kind: float, within: float) -> int:
    slowest, low = 0, 0
    for percent, slowest in PACE:
        if kind * 100 < percent:
            break
        low = slowest
    return low + int(within * (slowest - low))


def _extrapolated(count: int, chance: int) -> str:
    """Now and then Prometheus extrapolates, and a count has digits behind the point."""
    return f"{count}.{chance:03}3333333335" if chance < 12 else str(count)


def _histogram(bounds: Iterable[str], milliseconds: list[int], total: int) -> dict[str, int]:
    share = {b: sum(m <= Decimal(b) * 1000 for m in milliseconds) for b in bounds}
    return {**{b: total * n // len(milliseconds) for b, n in share.items()}, "+Inf": total}


def _once_more(requests: Answer, measured: dict[tuple[date, str, str], Measured], world: World) -> Answer:
    """A week of the small API, fetched again later: two calls more in every step."""
    last = _timestamp(world.period.date_of(world.period.at(0.9)))
    [(labels, samples)] = [(labels, s) for labels, s in requests.items() if ("service", "billing-api") in labels]
    again = {at: str(Decimal(text) + 2) for at, text in samples.items() if last - 7 * DAY < at <= last}
    for at in again:
        own = measured[_day(at), "billing-api", "b2b"]
        own.calls[""] += 2
        own.timed_calls += 2
    return {labels: again}


def _uptime(world: World) -> tuple[Answer, list[Seen]]:
    answer: Answer = defaultdict(dict)
    seen = []
    for system in SYSTEMS:
        for place, day in enumerate(_days(world.period, system)):
            up, observed = Fraction(0), 0
            for part in range(DAY // PROBE_STEP):
                at = _timestamp(day) + (part + 1) * PROBE_STEP
                text = _probe(dice(world.seed, "probe", at, system).random() if place else 1.0)
                if text is None:
                    continue
                answer[("system", system),][at] = text
                if text not in ("NaN", "2"):
                    up += nine(text) * PROBE_STEP
                    observed += 1
            unobserved = DAY - observed * PROBE_STEP
            bottom = Fraction(observed * PROBE_STEP)
            seen.append(Seen(day, frozenset({f"system={system}"}), up, bottom, observed, key=str(unobserved)))
    return answer, seen


def _probe(chance: float) -> str | None:
    """None: no sample. NaN and 2 are none either: no probe says so."""
    for below, text in ((0.004, "0"), (0.01, "0.9166666666666666"), (0.012, "0.25"), (0.0123, "NaN"), (0.0126, "2")):
        if chance < below:
            return text
    return None if chance < 0.03 else "1"


def _days(period: Period, system: str) -> list[date]:
    days = (period.date_of(number) for number in range(period.at(SYSTEMS[system]), period.days))
    return [day for day in days if day <= RETIRED.get(system, date.max)]


def _calls_truth(measured: dict[tuple[date, str, str], Measured], period: Period) -> list[tuple[str, ...]]:
    seen = [
        Seen(day, frozenset({f"audience={audience}"}), top=calls)
        for (day, _, audience), own in measured.items()
        for calls in own.calls.values()
    ]
    return rows([CALLS_KPI], seen, _sum, period, rolling=False)


def _sum(seen: list[Seen]) -> Result:
    total = sum((one.top for one in seen), Fraction(0))
    return {"": (total, _to_whole(total))}


def _times_truth(measured: dict[tuple[date, str, str], Measured], period: Period) -> list[tuple[str, ...]]:
    histograms = {str(number): own.histograms for number, own in enumerate(measured.values())}
    seen = [
        Seen(day, frozenset(), own.seconds, own.timed_calls, key=str(number))
        for number, ((day, _, _), own) in enumerate(measured.items())
    ]
    return rows(TIME_KPIS, seen, _response_time(histograms), period, rolling=True)


def _response_time(histograms: dict[str, list[dict[str, int]]]) -> Formula:
    def work_out(seen: list[Seen]) -> Result:
        seconds = sum((one.top for one in seen), Fraction(0))
        calls = sum((one.bottom for one in seen), Fraction(0))
        result: Result = {"": (seconds / calls if calls else None, _to_whole(calls))}
        mine = [histogram for one in seen for histogram in histograms[one.key]]
        if n := sum(histogram["+Inf"] for histogram in mine):
            result["p95"] = (percentile_95(mine), n)
        return result

    return work_out


def percentile_95(histograms: list[dict[str, int]]) -> Fraction:
    """Of histograms together, at the bounds that all of them have; a straight line within a bucket."""
    shared = set.intersection(*(set(histogram) for histogram in histograms)) - {"+Inf"}
    wanted = Fraction(95 * sum(histogram["+Inf"] for histogram in histograms), 100)
    low, below = Fraction(0), 0
    for bound in sorted(shared, key=Fraction):
        high, upto = Fraction(bound), sum(histogram[bound] for histogram in histograms)
        if upto >= wanted:
            return low + (high - low) * (wanted - below) / (upto - below)
        low, below = high, upto
    return low


def _up(seen: list[Seen]) -> Result:
    up = sum((one.top for one in seen), Fraction(0))
    observed = sum((one.bottom for one in seen), Fraction(0))
    unobserved = sum(int(one.key) for one in seen)
    n = sum(one.n for one in seen)
    result: Result = {"": (100 * up / observed if observed else None, n)}
    if observed + unobserved:
        result["unobserved"] = (100 * unobserved / (observed + unobserved), n)
    return result


def nine(text: str) -> Fraction:
    """A number at nine digits behind the point, half up."""
    return Fraction(Decimal(text).quantize(Decimal("1e-9"), ROUND_HALF_UP))


def _to_whole(number: Fraction) -> int:
    return int(number + Fraction(1, 2))


def _timestamp(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _day(at: int) -> date:
    """The day that a step ends in; midnight ends the day before."""
    return (datetime.fromtimestamp(at, UTC) - timedelta(seconds=1)).date()


def _write(folder: Path, answer: Answer) -> None:
    """A file per quarter."""
    quarters: dict[str, Answer] = defaultdict(lambda: defaultdict(dict))
    for labels, samples in answer.items():
        for at, text in samples.items():
            day = _day(at)
            quarters[f"{day.year}-q{(day.month + 2) // 3}"][labels][at] = text
    for name, part in quarters.items():
        write_file(folder / f"{name}.json.gz", _json(part))


def _json(answer: Answer) -> bytes:
    result = [
        {"metric": dict(labels), "values": [list(s) for s in samples.items()]} for labels, samples in answer.items()
    ]
    content = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
