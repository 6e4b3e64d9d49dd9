"""`kpi scorecard`: the published scorecard in a terminal, or as JSON. Reads what is published; works nothing out."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kpi_pipeline.errors import ConfigError
from kpi_pipeline.report.quarter import named
from kpi_pipeline.stages.publish import DATABASE

STYLES = {"met": "green", "near": "yellow", "missed": "red", "exempt": "cyan"}
BARS = "▁▂▃▄▅▆▇█"
TREND = 8

ROWS = """
select
    s.role, s.kpi_id, d.title, s.period_start, s.period_end, x.is_closed, s.value, d.unit, s.comparator, s.target,
    s.score, s.status, s.previous_value, x.n, x.note,
    coalesce(list(t.value order by t.period_start) filter (where t.kpi_id is not null), []) as trend
from scorecard as s
inner join scorecard_details as x on s.kpi_id = x.kpi_id and s.period_start = x.period_start
inner join kpi_definitions as d on s.kpi_id = d.kpi_id
left join (
    select c.*
    from scorecard as c
    inner join scorecard_details as y on c.kpi_id = y.kpi_id and c.period_start = y.period_start and y.is_closed
) as t on s.kpi_id = t.kpi_id and t.period_start <= s.period_start
where ($role is null or lower(s.role) = lower($role))
group by all
order by s.role, s.kpi_id, s.period_start
"""


@dataclass(frozen=True)
class Score:
    """A row of the scorecard. `trend`: the values of the closed periods up to it, the oldest first, at most eight."""

    role: str
    kpi_id: str
    title: str
    period_start: date
    period_end: date
    is_closed: bool
    value: Decimal | None
    unit: str
    comparator: str | None
    target: Decimal | None
    score: Decimal | None
    status: str
    previous_value: Decimal | None
    n: int | None
    note: str | None
    trend: list[Decimal | None]


def read(folder: Path, role: str | None, quarter: str | None) -> list[Score]:
    """The scores of a role, or of all: those of a quarter, or of the running period and the last closed one.

    Raises:
        ConfigError: nothing is published yet, or role or quarter isn't in the scorecard.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise ConfigError(path, got="no file", expected="a published database", fix="kpi run makes it.")
    with duckdb.connect(str(path), read_only=True) as con:
        scores = [Score(*row) for row in con.execute(ROWS, {"role": role}).fetchall()]
        roles = [name for (name,) in con.execute("select distinct role from scorecard order by 1").fetchall()]
    if role and not scores:
        raise ConfigError("--role", got=repr(role), expected=f"one of {', '.join(roles)}", fix="Name one of them.")
    if quarter is None:
        return [score for score in scores if _is_latest(score, scores)]
    name = "{}Q{}".format(*named(quarter))
    chosen = [score for score in scores if _name(score) == name]
    if not chosen:
        known = sorted({_name(score) for score in scores})
        raise ConfigError("--quarter", got=quarter, expected=f"one of {', '.join(known)}", fix="Name one of them.")
    return chosen


def _is_latest(score: Score, scores: list[Score]) -> bool:
    return not any(
        other.kpi_id == score.kpi_id and other.is_closed == score.is_closed and other.period_start > score.period_start
        for other in scores
    )


def _name(score: Score) -> str:
    """The calendar quarter that the period begins in: of a fiscal quarter, too."""
    return f"{score.period_start.year}Q{(score.period_start.month + 2) // 3}"


def as_json(scores: list[Score]) -> str:
    """A list of objects; numbers as text, so that none of their digits is lost."""

    def plain(value: Any) -> str:
        return str(value)

    return json.dumps([asdict(score) for score in scores], indent=2, default=plain, ensure_ascii=False)


def show(scores: list[Score], console: Console) -> None:
    """A table per role, and how many of each status there are."""
    for role in dict.fromkeys(score.role for score in scores):
        console.print(_table(role, [score for score in scores if score.role == role]))
    counts = {
        status: sum(score.status == status for score in scores) for status in dict.fromkeys(s.status for s in scores)
    }
    console.print(", ".join(f"{count} {status}" for status, count in sorted(counts.items(), key=lambda pair: -pair[1])))


def _table(role: str, scores: list[Score]) -> Table:
    table = Table(title=role, title_justify="left")
    table.add_column("KPI", max_width=44)
    table.add_column("period")
    for name in ("value", "target", "before"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    table.add_column("trend")
    table.add_column("status")
    table.add_column("score", justify="right")
    for score in scores:
        table.add_row(
            score.title.removesuffix(f": {role}"),
            _name(score) + ("" if score.is_closed else f" to {score.period_end:%d %b}"),
            short(score.value),
            f"{score.comparator} {short(score.target)}" if score.target is not None else "–",
            short(score.previous_value),
            score.unit,
            trend(score.trend),
            Text(score.status, STYLES.get(score.status, "dim")),
            short(score.score),
        )
    return table


def short(value: Decimal | None) -> str:
    """For reading: two decimals at most. The unrounded value is what was compared."""
    return "–" if value is None else f"{value.quantize(Decimal('0.01')).normalize():,f}"


def trend(values: list[Decimal | None]) -> str:
    """A bar per closed period; a gap where there is no value."""
    latest = values[-TREND:]
    known = [value for value in latest if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(BARS) - 1) if high > low else None
    return "".join(" " if v is None else BARS[int((v - low) / step)] if step else BARS[3] for v in latest)
