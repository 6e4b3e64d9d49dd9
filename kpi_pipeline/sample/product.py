"""What the products sell and who uses them: transactions, registrations, activity; and the truth of their KPIs.

Never here: anybody who exists.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

from kpi_pipeline.sample.dice import code, dice, pick, weighted, whole
from kpi_pipeline.sample.people import AS_IT_IS, CAPITALS, FIRST, LAST, SPACES, spell
from kpi_pipeline.sample.period import SATURDAY, Period
from kpi_pipeline.sample.scores import Result, Scoped, Seen, count, ratio, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file

WINDOW: Final = 30
STRANGERS_ON: Final = (9, 10)  # days of a month
AFTERWARDS: Final = timedelta(days=3)
# Products that deliver daily counts: kind, transactions on a working day, and how many of a thousand fail, are pending
# and are refunded.
COUNTED: Final = {
    ("Atlas Notebooks", "payment"): (230, 120, 10, 8),
    ("Atlas Notebooks", "subscription"): (60, 190, 20, 12),
    ("Hub as a Service", "payment"): (95, 80, 15, 4),
}
DESK: Final = "Consulting Desk"  # delivers each transaction, and each of its states
BAD_MONTH: Final = 11  # in which many payments fail
STATUSES: Final = ("failed", "pending", "refunded", "succeeded")
TRANSACTIONS_HEADER: Final = ("attempted_at", "product", "kind", "status", "transaction_id", "updated_at")
COUNTS_HEADER: Final = ("attempted_at", "product", "kind", "status", "count")
REGISTRATIONS_HEADER: Final = ("user", "audience", "registered_on", "closed_on")
ACTIVITY_HEADER: Final = ("date", "user")
USERS: Final = 360
KINDS: Final = ("subscription", "consultation", "payment")

README: Final = """\
- `transactions/`: daily counts of two products, a file per quarter, and each transaction of a third, with the states
  that it was in (`desk-*.csv`); two of these contradict each other, and a few rows are broken.
- `registrations/`, `product_activity/`: invented users of the products, and on which days they used them. Some closed
  their registration, some came back, some have two audiences; some are active without being registered.
"""
_CONFIG: Final = """\
# Transactions, one a row or counted: attempted_at (a day or a moment), product, kind (subscription, consultation,
# payment), status (attempted, pending, succeeded, failed, refunded); optional transaction_id and updated_at, or count.
[sources.transactions]
kind = "table"
path = "transactions"
max_age_days = 7

# Who is registered, the whole list: user (becomes a key, as in hub_activity), audience (b2c, b2b), registered_on,
# closed_on.
[sources.registrations]
kind = "table"
path = "registrations"
max_age_days = 60                 # of the newest registration

# Who used the product on which day: date, user.
[sources.product_activity]
kind = "table"
path = "product_activity"
max_age_days = 7
"""


@dataclass(frozen=True)
class Sold:
    """Transactions of a day, product and kind that stand alike; of a single one, `states` are those delivered."""

    day: date
    product: str
    kind: str
    status: str
    n: int
    states: tuple[tuple[str, str], ...] = ()  # status, moment


@dataclass(frozen=True)
class User:
    name: str
    spells: tuple[tuple[str, date, date | None], ...]  # audience, registered, closed
    days: frozenset[date]  # with activity, registered or not

    def audiences(self, day: date) -> frozenset[str]:
        return _audiences(self.spells, day)


def _audiences(spells: Sequence[tuple[str, date, date | None]], day: date) -> frozenset[str]:
    return frozenset(audience for audience, start, end in spells if start <= day and (end is None or day < end))


def config() -> str:
    """The blocks of kpi.toml."""
    return _CONFIG


def write(folder: Path, world: World) -> None:
    """transactions/, registrations/, product_activity/, and truth/roles/product.csv."""
    counted, desk = _counted(world), _desk(world)
    users = [_user(world, number) for number in range(USERS)]
    _write_counts(folder / "transactions", counted)
    _write_desk(folder / "transactions", desk)
    _write_registrations(folder / "registrations", users)
    _write_activity(folder / "product_activity", users, world)
    truth = [
        *_truth_of_transactions([*counted, *desk], world.period),
        *rows(
            [Scoped("product_manager.active_user_share")],
            _active_shares(users, world.period, "b2c"),
            _last_day,
            world.period,
            rolling=True,
        ),
    ]
    write_roles(folder / "truth" / "roles" / "product.csv", truth)


# -- transactions ------------------------------------------------------------------------------------------


def _counted(world: World) -> list[Sold]:
    found = []
    for day in map(world.period.date_of, range(world.period.days)):
        for (product, kind), (usual, failed, pending, refunded) in COUNTED.items():
            rng = dice(world.seed, "sold", day, product, kind)
            total = int(usual * (0.55 if day.weekday() >= SATURDAY else 1.0) * (0.9 + 0.2 * rng.random()))
            failed = 3 * failed if day.month == BAD_MONTH and kind == "payment" else failed
            parts = [total * share * whole(rng, 80, 120) // 100_000 for share in (failed, pending, refunded)]
            found += [
                Sold(day, product, kind, status, n)
                for status, n in zip(STATUSES, (*parts, total - sum(parts)), strict=True)
                if n
            ]
    return found


def _desk(world: World) -> list[Sold]:
    """Consultations on working days, and what is paid for them: pending first, and some refunded later."""
    found, last = [], world.period.last
    for day in map(world.period.date_of, range(world.period.days)):
        rng = dice(world.seed, "desk", day)
        for number in range(0 if day.weekday() >= SATURDAY else whole(rng, 0, 3)):
            at = f"{day}T{8 + number:02}:{whole(rng, 0, 58):02}:00Z"
            status = STATUSES[weighted(rng, (12, 2, 4, 82))]
            later = [f"{day + timedelta(days=n)}T{8 + number:02}:59:00Z" for n in (0, 3)]
            settled = {"pending": (), "refunded": ("succeeded", "refunded")}.get(status, (status,))
            states = tuple(s for s in (("pending", at), *zip(settled, later, strict=False)) if s[1][:10] <= str(last))
            found.append(Sold(day, DESK, pick(rng, ("consultation", "consultation", "payment")), status, 1, states))
    return found


def _quarter(day: date) -> str:
    return f"{day.year}-q{(day.month + 2) // 3}"


def _by_quarter(lines: Iterable[tuple[date, bytes]]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for day, line in lines:
        found.setdefault(_quarter(day), []).append(line)
    return found


def _write_counts(folder: Path, counted: Sequence[Sold]) -> None:
    """A file per quarter; the first has rows that can't be."""
    lines = ((one.day, csv_line((str(one.day), one.product, one.kind, one.status, str(one.n)))) for one in counted)
    for number, (quarter, content) in enumerate(_by_quarter(lines).items()):
        if number == 0:
            day = str(counted[0].day)
            content[2:2] = [
                csv_line((day, "Atlas Notebooks", "payment", "succeeded", "-4")),
                csv_line((day, "Atlas Notebooks", "gift", "succeeded", "4")),
                csv_line((day, "Atlas Notebooks", "payment", "maybe", "4")),
            ]
        write_file(folder / f"counts-{quarter}.csv.gz", csv_line(COUNTS_HEADER) + b"".join(content))


def _write_desk(folder: Path, desk: Sequence[Sold]) -> None:
    """Each state of each transaction, in the file of its day's quarter; the newest state first, now and then."""
    lines = []
    for number, one in enumerate(desk):
        rng = dice("transaction", number)
        name, at = f"D-{number:04}{code(rng, 4)}", one.states[0][1]
        states = one.states if number % 7 else one.states[::-1]
        lines += [
            (
                one.day,
                csv_line(
                    (at, one.product.upper() if number % 50 == 0 else one.product, one.kind, status, name, moment)
                ),
            )
            for status, moment in states
        ]
    for number, (quarter, content) in enumerate(_by_quarter(lines).items()):
        if number == 0:
            day = desk[0].day
            content += [
                # Two that say different things of one moment: neither counts.
                *(
                    csv_line((f"{day}T09:00:00Z", DESK, "payment", status, "D-twice", f"{day}T10:00:00Z"))
                    for status in ("succeeded", "failed")
                ),
                csv_line((f"{day}T09:00:00Z", DESK, "payment", "failed", "D-before", f"{day}T08:00:00Z")),
            ]
        write_file(folder / f"desk-{quarter}.csv", csv_line(TRANSACTIONS_HEADER) + b"".join(content))


def _truth_of_transactions(sold: Sequence[Sold], period: Period) -> list[tuple[str, ...]]:
    attempts = [
        Seen(one.day, frozenset({f"kind={one.kind}"}), Fraction(one.n * _has_succeeded(one)), Fraction(one.n), one.n)
        for one in sold
    ]
    kinds = tuple(f"kind={kind}" for kind in KINDS)
    rate = rows([Scoped("tech_team.transaction_success_rate", kinds)], attempts, ratio(100), period, rolling=True)
    generated = [Seen(one.day, frozenset(), n=one.n * _has_succeeded(one)) for one in sold]
    return rate + rows([Scoped("product_manager.transactions_generated")], generated, count, period, rolling=False)


def _has_succeeded(one: Sold) -> bool:
    return one.status in ("succeeded", "refunded")


# -- users -------------------------------------------------------------------------------------------------


def _user(world: World, number: int) -> User:
    rng = dice(world.seed, "user", number)
    period = world.period
    audience = "b2b" if rng.random() < 0.2 else "b2c"
    start = period.first + timedelta(days=int((rng.random() * 1.6 - 0.6) * period.days))
    spells: list[tuple[str, date, date | None]] = [(audience, start, None)]
    match number % 12:
        case 0:  # closes
            spells = [(audience, start, start + timedelta(days=whole(rng, 20, 300)))]
        case 1:  # closes, and comes back
            end = start + timedelta(days=whole(rng, 20, 120))
            spells = [(audience, start, end), (audience, end + timedelta(days=whole(rng, 0, 40)), None)]
        case 2:  # registers for the other audience too
            spells.append(("b2b" if audience == "b2c" else "b2c", start + timedelta(days=whole(rng, 10, 90)), None))
    known = tuple(spell for spell in spells if spell[1] <= period.last)
    name = f"{pick(rng, FIRST)}.{pick(rng, LAST)}.{number}"
    # Who closes the registration is active for three days more: that isn't counted.
    days = {day for day in _active_days(rng, period) if _audiences(known, day) or _audiences(known, day - AFTERWARDS)}
    return User(name, known, frozenset(days))


def _active_days(rng: Random, period: Period) -> list[date]:
    """Some use it every week, some in bouts with long pauses, some never."""
    habit = weighted(rng, (16, 34, 50))
    chance = (0.2, 0.12, 0.0)[habit]
    pause_every = whole(rng, 40, 130)
    found = []
    for number in range(period.days):
        is_bout = habit == 0 or number // pause_every % 2 == 0
        if rng.random() < chance and is_bout:
            found.append(period.date_of(number))
    return found


def _write_registrations(folder: Path, users: Sequence[User]) -> None:
    """One list. One user is in it twice with different ends, one registration ends before it begins."""
    lines = [
        csv_line((user.name, audience, str(start), str(end) if end else ""))
        for user in users
        for audience, start, end in user.spells
    ]
    start = users[0].spells[0][1] if users[0].spells else date(2025, 1, 1)
    lines += [
        csv_line(("in.two.minds", "b2c", str(start), "")),
        csv_line(("in.two.minds", "b2c", str(start), str(start + timedelta(days=9)))),
        csv_line(("back.to.front", "b2c", str(start), str(start - timedelta(days=9)))),
    ]
    write_file(folder / "registrations.csv", csv_line(REGISTRATIONS_HEADER) + b"".join(lines))


def _write_activity(folder: Path, users: Sequence[User], world: World) -> None:
    """A file per quarter. A name isn't always spelt alike, a day can be there twice; one user isn't registered."""
    lines = []
    for day in map(world.period.date_of, range(world.period.days)):
        for number, user in enumerate(users):
            if day in user.days:
                spelling = (CAPITALS, SPACES)[number % 2] if (number + day.day) % 40 == 0 else AS_IT_IS
                line = csv_line((str(day), spell(user.name, spelling)))
                lines += [(day, line)] * (2 if (number + day.day) % 97 == 0 else 1)
        if day.day in STRANGERS_ON:
            lines.append((day, csv_line((str(day), "nobody.knows"))))
    for number, (quarter, content) in enumerate(_by_quarter(lines).items()):
        if number == 0:
            content += [csv_line((str(world.period.first), "")), csv_line(("31/12/2025", users[0].name))]
        write_file(folder / f"{quarter}.csv.gz", csv_line(ACTIVITY_HEADER) + b"".join(content))


def _active_shares(users: Sequence[User], period: Period, audience: str) -> list[Seen]:
    """Every day looked at by itself, from the 30th day of activity to its newest."""
    delivered = {day for user in users for day in user.days}
    delivered |= {day for day in map(period.date_of, range(period.days)) if day.day in STRANGERS_ON}
    counting = [(user, {day for day in user.days if user.audiences(day)}) for user in users]
    found = []
    for number in range(WINDOW - 1, (max(delivered) - min(delivered)).days + 1 if delivered else 0):
        day = min(delivered) + timedelta(days=number)
        window = {day - timedelta(days=n) for n in range(WINDOW)}
        mine = [not window.isdisjoint(days) for user, days in counting if audience in user.audiences(day)]
        if mine:
            found.append(Seen(day, frozenset(), Fraction(sum(mine)), Fraction(len(mine)), len(mine)))
    return found


def _last_day(seen: list[Seen]) -> Result:
    """A share isn't added up over days: that of the last one."""
    return ratio(100)([max(seen, key=lambda one: one.day)] if seen else [])
