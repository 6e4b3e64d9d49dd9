"""Identities of the opinion domain: months sum to the charge, and works don't depend on how often they are reported."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.warehouse import Connection, create_tables, run, sql

PRICES = st.integers(0, 10**12).map(lambda cents: Decimal(cents) / 100)
CHARGES = st.tuples(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 3660), PRICES, PRICES)
TITLES = st.sampled_from(["Tides", "TIDES!", " tides", "Sand & soil", "Sand, soil", "データ", "?!", "Été", "ete"])
DOIS = st.sampled_from(
    [
        None,
        "10.1234/a",
        "https://doi.org/10.1234/A",
        "doi:10.1234/a.",
        "http://dx.doi.org/10.1234/a..",
        "10.1234/b",
        "10.99999/B.",
    ]
)
REPORTS = st.tuples(
    st.sampled_from([date(2024, 12, 31), date(2025, 1, 1), date(2025, 5, 5)]),
    *(DOIS, TITLES, st.sampled_from(["publication", "presentation"]), st.sampled_from([None, "a", "B; a"])),
)
Report = tuple[date, str | None, str, str, str | None]


@settings(max_examples=60, deadline=None)
@given(st.lists(CHARGES, min_size=1, max_size=20))
def test_months_sum_to_the_charge_and_are_within_a_cent_of_their_share(
    charges: list[tuple[date, int, Decimal, Decimal]],
) -> None:
    with duckdb.connect() as con:
        create_tables(con, [TABLES["staged.charges"]])
        for number, (first, days, listed, charged) in enumerate(charges):
            last = first + timedelta(days=days - 1)
            con.execute(
                "insert into staged.charges values (null, 'c', ?, ?, ?, ?, 'f', ?)",
                [first, last, listed, charged, number],
            )
        rows = run(con, sql("stages", "cost_reductions"))
    for number, (first, days, listed, charged) in enumerate(charges):
        mine = [row for row in rows if row[1] == number]
        assert sum(row[5] for row in mine) == listed - charged
        assert sum((row[4] - row[3]).days + 1 for row in mine) == days
        assert mine[0][3] == first
        for _, _, _, start, end, part in mine:
            share = Fraction(listed - charged) * ((end - start).days + 1) / days
            assert abs(Fraction(part) - share) < Fraction(1, 100)


def works(con: Connection, reports: Sequence[Report]) -> list[tuple[object, ...]]:
    """Everything about the works but how often they were reported, and in whose words."""
    con.execute("delete from raw.publications")
    for number, (day, doi, title, kind, community) in enumerate(reports):
        con.execute(
            "insert into raw.publications (date, doi, title, kind, community, _file, _row) "
            "values (?, ?, ?, ?, ?, 'f', ?)",
            [day, doi, title, kind, community, number],
        )
    return run(con, f"select work, date, doi, communities, contents from ({sql('stages', 'works')}) order by work")


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORTS, max_size=12), st.randoms(use_true_random=False))
def test_reporting_again_and_in_another_order_changes_nothing(reports: list[Report], random: object) -> None:
    with duckdb.connect() as con:
        create_tables(con, [TABLES["raw.publications"], TABLES["staged.hubs"]])
        once = works(con, reports)
        again = [*reports, *reports]
        random.shuffle(again)  # type: ignore[attr-defined]
        assert works(con, again) == once
        assert len(once) <= len(reports)
        assert len({row[2] for row in once if row[2]}) == len([row for row in once if row[2]])
