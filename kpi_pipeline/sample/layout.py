"""Which files the activity source consists of: their days, format and columns, and the damage done to them.

Never here: valid rows (simulate.py) and bytes (write.py). The truth counts the damage from here.
"""

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from random import Random
from typing import Final

from kpi_pipeline.sample.dice import code, dice, pick
from kpi_pipeline.sample.hubs import Hub
from kpi_pipeline.sample.period import Period

COLUMNS: Final = ("date", "cluster", "hub", "username")
WITH_SESSIONS: Final = (*COLUMNS, "sessions")
OTHER_ORDER: Final = ("username", "hub", "cluster", "date")
# Months, counted from the first, that are not .csv.gz; the last month is daily .csv files.
FORMATS: Final = {0: "ndjson", 1: "csv", 3: "parquet", 5: "json.gz", 8: "parquet"}
# Late rows arrive when so much of the period is over.
ARRIVALS: Final = (0.40, 0.75, 1.0)

NOT_UTF8: Final = "not_utf8"
WRONG_COLUMN_COUNT: Final = "wrong_column_count"
NOT_JSON: Final = "not_json"
INVALID_DATE: Final = "invalid:date"
MISSING_USERNAME: Final = "missing:username"
UNKNOWN_HUB: Final = "unknown_hub"
HUB_NOT_IN_SERVICE: Final = "hub_not_in_service"
REASONS: Final = (
    *(
        NOT_UTF8,
        WRONG_COLUMN_COUNT,
        NOT_JSON,
        INVALID_DATE,
        MISSING_USERNAME,
        UNKNOWN_HUB,
        HUB_NOT_IN_SERVICE,
    ),
)
_OF_TEXT: Final = (INVALID_DATE, MISSING_USERNAME, UNKNOWN_HUB, HUB_NOT_IN_SERVICE)
DAMAGE_OF: Final[dict[str, tuple[str, ...]]] = {
    "csv": (NOT_UTF8, WRONG_COLUMN_COUNT, *_OF_TEXT),
    "csv.gz": (NOT_UTF8, WRONG_COLUMN_COUNT, *_OF_TEXT),
    "ndjson": (NOT_JSON, NOT_JSON, NOT_JSON, *_OF_TEXT),
    "parquet": (),
    "json.gz": (),
}


@dataclass(frozen=True)
class SourceFile:
    """One file below hub_activity/; days are indexes, both included; a late file has late rows only."""

    path: str
    first: int
    last: int
    format: str
    columns: tuple[str, ...]
    late: bool = False


@dataclass(frozen=True)
class Damage:
    """One line that cannot be used, for exactly one reason. Where that is its bytes or columns, the fields
    are good and the writer spoils them; `extra` is how many columns too many."""

    reason: str
    date: str
    cluster: str
    hub: str
    username: str
    extra: int = 0


def activity_files(period: Period) -> tuple[SourceFile, ...]:
    days = range(period.days)
    months = [list(group) for _, group in groupby(days, key=lambda day: period.date_of(day).replace(day=1))]
    monthly = [_monthly(number, month, period) for number, month in enumerate(months[:-1])]
    daily = [_daily(day, period) for day in months[-1]]
    return (*monthly, *daily, *_late(period))


def _monthly(number: int, month: list[int], period: Period) -> SourceFile:
    form = FORMATS.get(number, "csv.gz")
    columns = OTHER_ORDER if number == 2 else COLUMNS if number % 3 == 2 else WITH_SESSIONS
    return SourceFile(f"{period.date_of(month[0]):%Y-%m}.{form}", month[0], month[-1], form, columns)


def _daily(day: int, period: Period) -> SourceFile:
    when = period.date_of(day)
    return SourceFile(f"{when:%Y-%m}/{when:%Y-%m-%d}.csv", day, day, "csv", WITH_SESSIONS)


def _late(period: Period) -> list[SourceFile]:
    """Each named by the day it arrived on; it has rows of the days before."""
    ends = [period.at(fraction) for fraction in ARRIVALS]
    begins = [0, *ends[:-1]]
    return [
        SourceFile(f"late/{period.date_of(end):%Y-%m-%d}.csv.gz", begin, end - 1, "csv.gz", COLUMNS, late=True)
        for begin, end in zip(begins, ends, strict=True)
    ]


def make_damage(
    seed: int, files: tuple[SourceFile, ...], hubs: tuple[Hub, ...], period: Period
) -> dict[str, tuple[Damage, ...]]:
    """The damaged lines of each file. The first file of a format has every kind, so that none is missing
    however small the organisation is."""
    damage: dict[str, tuple[Damage, ...]] = {}
    met: set[str] = set()
    for file in files:
        rng = dice(seed, "damage", file.path)
        share = 1.0 if file.format not in met else 0.04 if "/" in file.path and not file.late else 0.4
        met.add(file.format)
        wanted = [reason for reason in DAMAGE_OF[file.format] if rng.random() < share]
        made = [_damage(reason, rng, file, hubs, period) for reason in wanted]
        damage[file.path] = tuple(line for line in made if line is not None)
    return damage


def _damage(reason: str, rng: Random, file: SourceFile, hubs: tuple[Hub, ...], period: Period) -> Damage | None:
    """None where the file's days allow no such damage: all hubs were in service on all of them."""
    wants_service = reason != HUB_NOT_IN_SERVICE
    days = [period.date_of(day) for day in range(file.first, file.last + 1)]
    places = [(when, hub) for when in days for hub in hubs if (hub.on(when) is not None) is wants_service]
    if not places:
        return None
    when, hub = pick(rng, places)
    cluster, name = (hub.cluster, hub.name) if reason != UNKNOWN_HUB else _nowhere(hub, rng)
    return Damage(
        reason=reason,
        date=_no_date(when, rng) if reason == INVALID_DATE else when.isoformat(),
        cluster=cluster,
        hub=name,
        username=" " * int(rng.random() * 4) if reason == MISSING_USERNAME else f"ghost-{code(rng, 6)}",
        extra=pick(rng, (-2, -1, 1, 2)) if reason == WRONG_COLUMN_COUNT else 0,
    )


def _nowhere(hub: Hub, rng: Random) -> tuple[str, str]:
    return (hub.cluster, "atlantis") if rng.random() < 0.5 else ("atlantis", hub.name)


def _no_date(when: date, rng: Random) -> str:
    wrong = (f"{when:%Y}-13-40", "yesterday", f"{when:%Y}-02-30", f"{when:%d/%m/%Y}")
    return pick(rng, wrong)
