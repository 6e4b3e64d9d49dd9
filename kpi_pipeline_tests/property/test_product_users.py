"""Registered and active users against brute force: every user, every day of the 30, for any history."""

from datetime import date, timedelta
from uuid import UUID

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.stages.product import make_facts
from kpi_pipeline.warehouse import create_tables

FIRST, LAST = date(2023, 12, 1), date(2024, 5, 31)
# Gaps at and around the edges of the window, over a leap day and a year's end; before and after the calendar too.
OFFSETS = [-400, -31, -30, -1, 0, 1, 28, 29, 30, 31, 32, 58, 59, 60, 61, 62, 90, 91, 120, 181, 182, 183, 300]
days = st.sampled_from([FIRST + timedelta(days=n) for n in OFFSETS])
people = st.integers(1, 4)
registrations = st.dictionaries(
    st.tuples(people, st.sampled_from(["b2c", "b2b"]), days), st.none() | st.integers(0, 200), max_size=8
)
activity = st.lists(st.tuples(days | st.dates(FIRST, LAST), people), max_size=40)
Registrations = dict[tuple[int, str, date], int | None]  # user, audience, registered on: days until closed
Activity = list[tuple[date, int]]
Users = dict[tuple[date, tuple[str, ...]], tuple[int, int]]


def found(given_registrations: Registrations, given_activity: Activity) -> Users:
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        con.execute(
            "insert into facts.periods select 'rolling_30_days', d::date - 29, d::date, true "
            "from generate_series(?::date, ?::date, interval 1 day) t (d)",
            [FIRST, LAST],
        )
        for (user, audience, on), closed in given_registrations.items():
            end = None if closed is None else on + timedelta(days=closed)
            con.execute(
                "insert into raw.registrations by name select ? as person_key, ? as audience, ? as registered_on, "
                "?::date as closed_on, 'r.csv' as _file, 1 as _row",
                [UUID(int=user), audience, on, end],
            )
        for day, user in given_activity:
            con.execute(
                "insert into raw.product_activity by name select ?::date as date, ? as person_key, 'a.csv' as _file, "
                "1 as _row",
                [day, UUID(int=user)],
            )
        make_facts(con)
        rows = con.execute("select date, audiences, registered, active from facts.product_users").fetchall()
    assert len({(day, tuple(audiences)) for day, audiences, *_ in rows}) == len(rows)
    return {(day, tuple(audiences)): (registered, active) for day, audiences, registered, active in rows}


def brute_force(given_registrations: Registrations, given_activity: Activity) -> Users:
    """Only where anybody is registered."""

    def audiences(user: int, day: date) -> tuple[str, ...]:
        return tuple(
            sorted(
                {
                    audience
                    for (one, audience, on), closed in given_registrations.items()
                    if one == user and on <= day and (closed is None or day < on + timedelta(days=closed))
                }
            )
        )

    expected: Users = {}
    delivered = [day for day, _ in given_activity if FIRST <= day <= LAST]
    day = min(delivered, default=LAST) + timedelta(days=29)
    while day <= max(delivered, default=FIRST):
        for user in range(1, 5):
            if cell := audiences(user, day):
                window = {day - timedelta(days=n) for n in range(30)}
                active = any(one == user and at in window and audiences(user, at) for at, one in given_activity)
                registered, before = expected.get((day, cell), (0, 0))
                expected[day, cell] = registered + 1, before + active
        day += timedelta(days=1)
    return expected


@settings(max_examples=60, deadline=None)
@given(registrations, activity)
@example({(1, "b2c", FIRST): None}, [(FIRST, 1), (FIRST + timedelta(days=30), 1), (FIRST + timedelta(days=90), 1)])
@example({(1, "b2c", FIRST): None}, [(FIRST, 1), (FIRST + timedelta(days=31), 1), (FIRST + timedelta(days=90), 1)])
@example({(1, "b2c", FIRST): 40, (1, "b2b", FIRST + timedelta(days=45)): None}, [(FIRST, 1), (LAST, 1)])
@example(  # active on the day of closing only, and registered again the day after
    {(1, "b2c", FIRST): 30, (1, "b2c", FIRST + timedelta(days=31)): None},
    [(FIRST, 2), (FIRST + timedelta(days=30), 1), (LAST, 2)],
)
def test_running_sums_are_what_counting_gives(given_registrations: Registrations, given_activity: Activity) -> None:
    sums = found(given_registrations, given_activity)
    assert {place: users for place, users in sums.items() if users[0]} == brute_force(
        given_registrations, given_activity
    )
    assert {users for users in sums.values() if not users[0]} <= {(0, 0)}


states = st.tuples(
    st.none() | st.sampled_from(["a", "b"]),
    st.integers(0, 2),
    st.sampled_from(["attempted", "pending", "succeeded", "failed", "refunded"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(states, max_size=14), st.randoms(use_true_random=False))
def test_a_transaction_counts_once_in_its_newest_state_in_any_order(
    delivered: list[tuple[str | None, int, str]], random: object
) -> None:
    random.shuffle(delivered)  # type: ignore[attr-defined]
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        for row, (name, hour, status) in enumerate(delivered):
            con.execute(
                "insert into raw.transactions by name select timestamp '2024-02-28' as attempted_at, 'P' as product, "
                "'payment' as kind, ? as status, ? as transaction_id, "
                "timestamp '2024-02-28' + to_hours(?) as updated_at, 't.csv' as _file, ? as _row",
                [status, name, hour, row],
            )
        make_facts(con)
        facts = con.execute("select attempted, succeeded, refunded, failed from facts.transactions").fetchall()
        [(rejected,)] = con.execute("select count(*) from raw.quarantine").fetchall()
    counted = [status for name, _, status in delivered if name is None]
    contradictions = 0
    for name in ("a", "b"):
        by_hour = {hour: {status for one, at, status in delivered if (one, at) == (name, hour)} for hour in range(3)}
        contradictions += sum(one == name and len(by_hour[hour]) > 1 for one, hour, _ in delivered)
        agreed = [said.pop() for said in by_hour.values() if len(said) == 1]
        counted += agreed[-1:]
    expected = (
        len(counted),
        sum(status in ("succeeded", "refunded") for status in counted),
        counted.count("refunded"),
        counted.count("failed"),
    )
    assert facts == ([expected] if counted else [])
    assert rejected == contradictions
