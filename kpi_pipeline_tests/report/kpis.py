"""KPIs and values of a quarter, made by hand. No test is here."""

from datetime import date
from decimal import Decimal

from kpi_pipeline.report.edition import Compared, Kpi, Quarterly
from kpi_pipeline.report.quarter import Quarter

Q3 = Quarter(date(2026, 7, 1))


def kpi(unit: str = "people", direction: str = "higher", **more: object) -> Kpi:
    """A KPI of the organisation."""
    words = dict.fromkeys(("question", "owner", "as_written", "document", "meaning", "caveats", "formula"), "words")
    return Kpi(
        kpi_id="impact.users",
        title="Users",
        unit=unit,
        direction=direction,
        audience="external",
        theme="impact",
        role=None,
        status="active",
        headline=True,
        definition_hash="0123456789abcdef",
        reads=(),
        sources=("hub_activity",),
        dimensions=("organisation",),
        own_grain="organisation",
        own_member="organisation",
        no_target="none yet",
        **{**words, **more},  # type: ignore[arg-type]
    )


def compared(value: object, change: object, percent: object = None, status: str = "ok") -> Compared:
    """An earlier value."""
    return Compared(
        Decimal(str(value)),
        status,
        Decimal(str(change)),
        None if percent is None else Decimal(str(percent)),
    )


def quarterly(
    value: object,
    before: Compared | None = None,
    year_ago: Compared | None = None,
    *,
    period: str = "quarter",
    start: date = Q3.start,
    end: date = Q3.end,
    status: str = "ok",
    is_closed: bool = True,
) -> Quarterly:
    """A value of the third quarter of 2026."""
    shown = None if value is None else Decimal(str(value))
    return Quarterly("organisation", is_closed, period, start, end, shown, None, status, before, year_ago)
