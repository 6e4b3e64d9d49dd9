"""What an edition may show, read from the published database: the internal one all, the external one what is external.

What belongs here: which rows, as records. What never does: how they look, and anything that isn't published.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from kpi_pipeline.published import Published

Audience = Literal["internal", "external"]
# Read once for both editions. Values of windows that end on each day are drawn by day for the whole, and by month for
# its members. The first two conditions follow from the third, but only by grain does DuckDB leave rows out before it
# compares each with an earlier one.
PREPARE = """
create temp table if not exists report_series as
select s.*, d.own_grain, d.own_member
from kpi_series as s
inner join kpi_details as d on s.kpi_id = d.kpi_id
cross join organisation as o
where
    strpos(s.grain, ':rolling_30_days') = 0
    and strpos(s.grain, ':week') = 0
    and s.period not in ('rolling_30_days', 'week')
    and (
        s.period <> 'day'
        or (split_part(s.grain, ':', 1), s.member) = (d.own_grain, d.own_member)
        or s.period_end in (last_day(s.period_end), o.as_of)
    )
"""
SERIES = """
select
    kpi_id, grain, member, period, period_start, period_end, value,
    case when is_previous_external or $internal then previous_value end,
    case when is_previous_external or $internal then change end,
    case when is_previous_external or $internal then change_percent end,
    n, status
from report_series
where (is_external or $internal) and (strpos(grain, ':') = 0 or grain = 'organisation:clusters_covered')
order by kpi_id, grain, member, period, period_end
"""
# The newest figures beside a KPI's own value.
BESIDE = """
select kpi_id, split_part(grain, ':', 2) as figure, value, period, period_start, period_end, status
from report_series
where (is_external or $internal) and grain like own_grain || ':%' and member = own_member and value is not null
qualify row_number() over (partition by kpi_id, grain order by period_end desc, period_start desc) = 1
order by kpi_id, grain
"""
# A value that is withheld from outside must not be worked out from how another one changed, either.
QUARTERS = """
select
    kpi_id, grain, member, is_closed, period, period_start, period_end, value, n, status,
    [before_value, change, change_percent], before_status, is_before_external or $internal,
    [year_ago_value, year_change, year_change_percent], year_ago_status, is_year_ago_external or $internal
from kpi_quarters
where quarter_start = $start and (is_external or $internal) and strpos(grain, ':') = 0
order by kpi_id, grain, member
"""


@dataclass(frozen=True)
class Organisation:
    name: str
    as_of: date
    currency: str
    fiscal_year_first_month: int
    min_people: int
    demo: bool


@dataclass(frozen=True)
class Point:
    """A value of a member of a grain, as `kpi_series` has it."""

    member: str
    period: str
    start: date
    end: date
    value: Decimal | None
    previous: Decimal | None
    change: Decimal | None
    percent: Decimal | None
    n: int | None
    status: str


@dataclass(frozen=True)
class Compared:
    """An earlier value, and how a later one differs from it."""

    value: Decimal
    status: str
    change: Decimal | None
    percent: Decimal | None


@dataclass(frozen=True)
class Quarterly:
    """What a member of a grain was in a quarter, as `kpi_quarters` has it; None: there is nothing to compare with."""

    member: str
    is_closed: bool
    period: str
    start: date
    end: date
    value: Decimal | None
    n: int | None
    status: str
    before: Compared | None
    year_ago: Compared | None


@dataclass(frozen=True)
class Target:
    valid_from: date
    valid_to: date | None
    comparator: str
    target: Decimal
    unit: str
    period: str


@dataclass(frozen=True)
class Score:
    """A row of the scorecard."""

    kpi_id: str
    role: str
    start: date
    end: date
    value: Decimal | None
    comparator: str | None
    target: Decimal | None
    score: Decimal | None
    status: str
    previous: Decimal | None
    is_closed: bool
    note: str | None


@dataclass(frozen=True)
class Note:
    """A dated annotation."""

    date: date
    text: str
    kpis: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A figure that stands beside a KPI."""

    name: str
    value: Decimal
    period: str
    start: date
    end: date
    status: str


@dataclass(frozen=True)
class Kpi:
    """A KPI as the catalogue has it, with what an edition may show of its values."""

    kpi_id: str
    title: str
    question: str
    unit: str
    direction: str
    owner: str
    audience: str
    theme: str | None
    role: str | None
    status: str
    headline: bool
    definition_hash: str
    as_written: str
    document: str
    meaning: str
    caveats: str
    formula: str
    reads: tuple[str, ...]
    sources: tuple[str, ...]
    dimensions: tuple[str, ...]
    own_grain: str
    own_member: str
    no_target: str | None
    points: dict[str, dict[str, list[Point]]] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    beside: tuple[Figure, ...] = ()

    @property
    def own(self) -> list[Point]:
        """Its own values, oldest first."""
        return self.points.get(self.own_grain, {}).get(self.own_member, [])

    @cached_property
    def period(self) -> str:
        """The kind of period that it is known by: the shortest there is."""
        kinds = {point.period for point in self.own}
        return next((kind for kind in ("day", "month", "quarter") if kind in kinds), "month")

    @property
    def series(self) -> list[Point]:
        """Its own values over periods of one kind."""
        return [point for point in self.own if point.period == self.period]

    @property
    def latest(self) -> Point | None:
        """The newest of them that has a value, or the newest."""
        valued = [point for point in self.series if point.value is not None]
        return (valued or self.series or [None])[-1]  # type: ignore[list-item]

    def by(self, dimension: str) -> dict[str, list[Point]]:
        """The values of each member of a dimension, over periods of the shortest kind."""
        return self._by.get(dimension, {})

    @cached_property
    def _by(self) -> dict[str, dict[str, list[Point]]]:
        return {
            dimension: {
                member: chosen
                for member, points in members.items()
                if (chosen := [point for point in points if point.period == self.period])
            }
            for dimension, members in self.points.items()
        }


class Edition:
    """What is published, as far as an audience may see it."""

    def __init__(self, published: Published, audience: Audience) -> None:
        self.audience, self.published = audience, published
        self._internal = audience == "internal"
        published.rows(PREPARE)

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self.published.rows(query, parameters)

    @cached_property
    def organisation(self) -> Organisation:
        return Organisation(
            *self._rows(
                "select name, as_of, reporting_currency, fiscal_year_first_month, min_people, demo from organisation"
            )[0]
        )

    @cached_property
    def kpis(self) -> dict[str, Kpi]:
        """The KPIs that the audience may see, by id."""
        points = self._points()
        targets, beside = self._targets(), self._beside()
        rows = self._rows(
            "select d.kpi_id, d.title, d.question, d.unit, d.direction, d.owner, d.audience, d.theme, d.role, "
            "d.status, d.headline, d.definition_hash, p.as_written, p.document, p.meaning, p.caveats, p.formula, "
            "p.reads, p.sources, p.dimensions, p.own_grain, p.own_member, p.no_target "
            "from kpi_definitions as d inner join kpi_details as p on d.kpi_id = p.kpi_id "
            "where d.audience = 'external' or $internal order by d.kpi_id",
            internal=self._internal,
        )
        return {
            row[0]: replace(
                Kpi(*_tuples(row)),
                points=points.get(row[0], {}),
                targets=targets.get(row[0], ()),
                beside=beside.get(row[0], ()),
            )
            for row in rows
        }

    def _points(self) -> dict[str, dict[str, dict[str, list[Point]]]]:
        found: dict[str, dict[str, dict[str, list[Point]]]] = {}
        for kpi_id, grain, member, *rest in self._rows(SERIES, internal=self._internal):
            members = found.setdefault(kpi_id, {}).setdefault(grain, {})
            members.setdefault(member, []).append(Point(member, *rest))
        return found

    def _targets(self) -> dict[str, tuple[Target, ...]]:
        found: dict[str, list[Target]] = defaultdict(list)
        for kpi_id, *rest in self._rows(
            "select kpi_id, valid_from, valid_to, comparator, target, unit, period from targets order by all"
        ):
            found[kpi_id].append(Target(*rest))
        return {kpi_id: tuple(targets) for kpi_id, targets in found.items()}

    def _beside(self) -> dict[str, tuple[Figure, ...]]:
        found: dict[str, list[Figure]] = defaultdict(list)
        for kpi_id, name, value, kind, start, end, status in self._rows(BESIDE, internal=self._internal):
            found[kpi_id].append(Figure(name, value, kind, start, end, status))
        return {kpi_id: tuple(figures) for kpi_id, figures in found.items()}

    @cached_property
    def headlines(self) -> list[Kpi]:
        """The at most four KPIs of the first screen."""
        return [kpi for kpi in self.kpis.values() if kpi.headline]

    def quarter(self, start: date) -> dict[str, dict[str, dict[str, Quarterly]]]:
        """What every KPI was in the quarter that begins on a day: by KPI, grain and member."""
        found: dict[str, dict[str, dict[str, Quarterly]]] = {}
        for row in self._rows(QUARTERS, start=start, internal=self._internal):
            kpi_id, grain, *own = row[:-6]
            before, year_ago = _compared(*row[-6:-3]), _compared(*row[-3:])
            value = Quarterly(*(*own, before, year_ago))
            found.setdefault(kpi_id, {}).setdefault(grain, {})[value.member] = value
        return found

    @cached_property
    def first_quarter(self) -> date | None:
        """The first day of the first quarter in which a KPI has a value."""
        rows = self._rows(
            "select min(quarter_start) from kpi_quarters where value is not null and (is_external or $internal)",
            internal=self._internal,
        )
        return rows[0][0]  # type: ignore[no-any-return]

    @cached_property
    def scores(self) -> list[Score]:
        """The scorecard, oldest period first; the external edition has that of external KPIs."""
        rows = self._rows(
            "select s.kpi_id, s.role, s.period_start, s.period_end, s.value, s.comparator, s.target, s.score, "
            "s.status, s.previous_value, d.is_closed, d.note from scorecard as s "
            "inner join scorecard_details as d using (kpi_id, role, period_start, period_end) "
            "order by s.role, s.kpi_id, s.period_start"
        )
        return [self._shown(Score(*row)) for row in rows if row[0] in self.kpis and self._may_be_shown(row)]

    def _may_be_shown(self, row: tuple[Any, ...]) -> bool:
        """A score whose value is withheld from outside is withheld with it."""
        if self._internal:
            return True
        kpi_id, start, end = row[0], row[2], row[3]
        return any((point.start, point.end) == (start, end) for point in self.kpis[kpi_id].own)

    def _shown(self, score: Score) -> Score:
        """The score, without the value before where that is withheld."""
        if self._internal or score.previous is None:
            return score
        before = (score.start - timedelta(days=1), score.previous)
        own = self.kpis[score.kpi_id].own
        return score if any((point.end, point.value) == before for point in own) else replace(score, previous=None)

    @cached_property
    def notes(self) -> list[Note]:
        """Annotations, oldest first."""
        rows = self._rows(
            "select date, text, kpis from annotations where audience = 'external' or $internal order by date, text",
            internal=self._internal,
        )
        return [Note(when, text, tuple(kpis)) for when, text, kpis in rows]

    def notes_on(self, kpi_id: str) -> list[Note]:
        """Annotations of a KPI, and those of all."""
        return [note for note in self.notes if not note.kpis or kpi_id in note.kpis]

    @cached_property
    def communities(self) -> list[dict[str, Any]]:
        """The communities, with their hubs."""
        rows = self._rows(
            "select c.community, c.first_day, c.last_day, c.hubs_now, c.hubs_ever, "
            "coalesce(list_sort(list(distinct h.display_name) filter (where h.is_current)), []) "
            "from communities as c left join hubs as h on list_contains(h.communities, c.community) "
            "and h.environment = 'production' and h.kind = 'hub' group by all order by c.community"
        )
        names = ("community", "first_day", "last_day", "hubs_now", "hubs_ever", "hubs")
        return [dict(zip(names, row, strict=True)) for row in rows]

    @cached_property
    def health(self) -> list[dict[str, Any]]:
        """How fresh and whole each source is. Internal."""
        return self._records("select * from data_health order by source") if self._internal else []

    @cached_property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of live sources. Internal."""
        return self._records("select * from source_parts order by source, part") if self._internal else []

    @cached_property
    def exclusions(self) -> list[dict[str, Any]]:
        """The exclusion register. Internal: reasons can name what isn't for outside."""
        return self._records("select * from exclusions order by rule_id") if self._internal else []

    @cached_property
    def newest_data(self) -> dict[str, date | None]:
        """Of each source that is connected the newest day; None: there is no data yet."""
        rows = self._rows("select source, newest_data from data_health where freshness <> 'not connected'")
        return dict(rows)

    @cached_property
    def freshness(self) -> dict[str, tuple[date, bool]]:
        """Of each source with a deadline the newest day, and whether it is late: others may rest and be up to date."""
        rows = self._rows(
            "select source, newest_data, freshness = 'late' from data_health where freshness in ('fresh', 'late')"
        )
        return {source: (newest, is_late) for source, newest, is_late in rows}

    def _records(self, query: str) -> list[dict[str, Any]]:
        return self.published.records(query)


def _compared(numbers: list[Decimal | None], status: str | None, may_be_shown: bool | None) -> Compared | None:
    value, change, percent = numbers
    return Compared(value, status or "", change, percent) if value is not None and may_be_shown else None


def _tuples(row: tuple[Any, ...]) -> Any:
    return tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row)
