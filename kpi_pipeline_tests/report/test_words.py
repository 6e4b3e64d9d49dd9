"""Values, days and names as they are written for reading."""

from datetime import date
from decimal import Decimal

import pytest

from kpi_pipeline.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "no value"),
        ("0", "0"),
        ("0E-9", "0"),
        ("26.000000000", "26"),
        ("1102", "1,102"),
        ("183780.730000000", "183,780.73"),
        ("1000000", "1,000,000"),
        ("57.713888889", "57.71"),
        ("99.995", "100"),
        ("0.452614448", "0.453"),
        ("0.004526", "0.00453"),
        ("0.000000001", "0.000000001"),
        ("-0.138", "-0.138"),
        ("-1234.5", "-1,234.5"),
    ],
)
def test_number(value: str | None, shown: str) -> None:
    assert words.number(None if value is None else Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (Decimal("1102.000000000"), "1102"), (Decimal("0E-9"), "0"), (Decimal("0.000000001"), "0.000000001")],
)
def test_exact_has_every_digit(value: Decimal | None, shown: str) -> None:
    assert words.exact(value) == shown
    assert words.exact(12) == "12"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("people", "3 people"),
        ("percent", "3%"),
        ("count", "3"),
        ("currency", "3 EUR"),
        ("currency per user", "3 EUR per user"),
        ("reporting currency", "3 EUR"),
    ],
)
def test_units(name: str, shown: str) -> None:
    assert words.with_unit(Decimal(3), name, "EUR") == shown
    assert words.with_unit(None, name, "EUR") == "no value"


def test_days() -> None:
    assert words.day(date(2026, 9, 3)) == "3 September 2026"
    assert words.short_day(date(2026, 9, 3)) == words.short_day_of("2026-09-03") == "3 Sep 2026"


@pytest.mark.parametrize(
    ("kind", "start", "end", "shown"),
    [
        ("day", date(2026, 9, 30), date(2026, 9, 30), "30 Sep 2026"),
        ("day", date(2026, 9, 1), date(2026, 9, 30), "the 30 days to 30 Sep 2026"),
        ("day", date(2026, 4, 1), date(2026, 9, 30), "1 Apr 2026 to 30 Sep 2026"),
        ("month", date(2026, 9, 1), date(2026, 9, 30), "September 2026"),
        ("quarter", date(2026, 7, 1), date(2026, 9, 30), "2026Q3"),
        ("quarter", date(2026, 12, 1), date(2027, 2, 28), "2026Q4"),
    ],
)
def test_period(kind: str, start: date, end: date, shown: str) -> None:
    assert words.period(kind, start, end) == shown


def test_change() -> None:
    assert words.change(Decimal(447), Decimal("68.2")) == "+447 (+68.2 %)"
    assert words.change(Decimal("-0.5"), None) == "−0.5"
    assert words.change(Decimal(0), Decimal(0)) == "unchanged"
    assert words.change(None, None) == "nothing to compare with"


def test_slugs_of_different_names_differ() -> None:
    assert words.slug("coral-reef") == "coral-reef"
    names = ["coral-reef", "Coral Reef", "coral reef", "珊瑚", "🪸", "../.."]
    slugs = [words.slug(name) for name in names]
    assert slugs[1] == "coral-reef-8e87f531"
    assert len(set(slugs)) == len(names)
    assert all(set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for slug in slugs)
