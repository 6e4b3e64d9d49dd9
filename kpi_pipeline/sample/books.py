"""The books of the simulated organisation: ledger, deals and exchange rates, and what they amount to, day by day.

Never here: an import from the rest of the pipeline, and floats: money is whole cents and fractions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

from kpi_pipeline.sample.dice import dice, pick, whole
from kpi_pipeline.sample.write import csv_line, write_file

LEDGER_COLUMNS: Final = (
    *("date", "kind", "category", "amount", "currency", "description"),
    *("service_start", "service_end", "contract_id"),
)
# As HubSpot writes them; the owner is not for us.
DEAL_COLUMNS: Final = (
    *("Record ID", "Deal Name", "Deal Stage", "Close Date", "Deal owner", "Amount", "Currency", "Deal Type"),
    *("Contract Start Date", "Contract End Date", "Target Start Date", "Target End Date", "Forecast Probability"),
)
REPORTING: Final = "USD"
UNCATEGORISED: Final = "uncategorised"
YEARS: Final = 3
# The account's name in the books, and the category of the organisation's document that kpi.toml maps it to.
REVENUE: Final = {
    "4100 Federal grants": "grants",
    "4110 Foundation grants": "grants",
    "Development contracts": "development contracts",
    "4300 Hub service": "cloud service contracts",
    "4900 Interest": UNCATEGORISED,
}
COSTS: Final = {
    "6100 Salaries engineering": "engineering",
    "6110 Contractors engineering": "engineering",
    "6200 Community": "partnerships and community",
    "6300 Leadership": "executive",
    "Fiscal fee": "fiscal fee",
    "6500 Software": "services",
    "6510 Cloud": "services",
    "": UNCATEGORISED,
}
DEAL_TYPES: Final = {
    "Grant": "grants",
    "Development": "development contracts",
    "Hub service": "cloud service contracts",
}
BROKEN: Final = {
    "invalid:amount": {"amount": "1,000.00"},
    "invalid:currency": {"currency": "Euro"},
    "ends_before_it_begins": {"service_start": "{date}", "service_end": "2020-01-01"},
    "no_rate:XXQ": {"currency": "XXQ"},
    "missing:amount": {"amount": ""},
}


@dataclass(frozen=True)
class Line:
    """Money of the ledger, or of a deal: `cents` of `currency`, earned or spent from first to last day."""

    booked: date
    kind: str
    account: str
    category: str
    cents: int
    currency: str
    first: date
    last: date
    contract: str = ""
    has_dates: bool = True

    @property
    def amount(self) -> str:
        return f"{'-' if self.cents < 0 else ''}{abs(self.cents) // 100}.{abs(self.cents) % 100:02}"


@dataclass(frozen=True)
class Deal:
    """`billed`: the ledger has its contract, so that the deal itself doesn't count."""

    line: Line
    id: str
    stage: str
    percent: int
    billed: bool


@dataclass(frozen=True)
class Books:
    lines: tuple[Line, ...]
    deals: tuple[Deal, ...]
    rates: tuple[tuple[date, str, Fraction, str], ...]

    def rate(self, currency: str, day: date) -> Fraction:
        """The newest not after the day."""
        if currency == REPORTING:
            return Fraction(1)
        return max((when, rate) for when, code, rate, _ in self.rates if code == currency and when <= day)[1]

    def reported(self, line: Line) -> int:
        """Cents of the reporting currency; half a cent is rounded away from zero."""
        exact = abs(line.cents) * self.rate(line.currency, line.booked)
        cents = int(exact + Fraction(1, 2))
        return -cents if line.cents < 0 else cents


def make_books(seed: int, last_day: date) -> Books:
    first = date(last_day.year - YEARS + 1, 1, 1)
    deals = tuple(_deals(dice(seed, "deals"), first, last_day))
    lines = sorted(
        (
            *_contract_lines(dice(seed, "contracts"), deals),
            *_grants(dice(seed, "grants"), first, last_day),
            *_costs(dice(seed, "costs"), first, last_day),
        ),
        key=lambda line: (line.booked, line.kind, line.account, line.cents),
    )
    return Books(tuple(line for line in lines if line.booked <= last_day), deals, tuple(_rates(seed, first, last_day)))


def write_books(folder: Path, seed: int, last_day: date) -> None:
    """ledger/, deals/ and rates/, and their truth."""
    books = make_books(seed, last_day)
    _write_ledger(folder / "ledger", seed, books)
    deals = [csv_line(DEAL_COLUMNS), *(csv_line(_deal_row(deal)) for deal in books.deals)]
    deals.append(csv_line(_without_amount(books.deals[0])))
    write_file(folder / "deals" / "hubspot-crm-exports-all-deals.csv", b"".join(deals))
    rates = [csv_line(("date", "currency", "rate"))]
    rates += [csv_line((when.isoformat(), code, text)) for when, code, _, text in books.rates]
    write_file(folder / "rates" / "rates.csv", b"".join(rates))
    write_truth_of(folder / "truth", books, last_day)


# -- what happened ---------------------------------------------------------------------------------


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=31)).replace(day=1)


def _cents(rng: Random, low: int, high: int) -> int:
    return whole(rng, low * 100, high * 100)


def _deals(rng: Random, first: date, last: date) -> Iterator[Deal]:
    days = (last - first).days
    for number in range(130):
        closed = first + timedelta(days=whole(rng, 0, days + 120))
        begins = closed + timedelta(days=whole(rng, 0, 60))
        ends = begins + timedelta(days=pick(rng, (0, 29, 181, 364, 364, 365, 729)))
        kind = pick(rng, tuple(DEAL_TYPES))
        has_dates = rng.random() < 0.9
        won, lost = rng.random() < 0.7, rng.random() < 0.3
        stage = (
            "contractsent" if closed > last else "Closed Won (Sales)" if won else "closedlost" if lost else "qualified"
        )
        wins = stage.startswith("Closed Won")
        line = Line(
            *(closed, "revenue", kind, DEAL_TYPES[kind], _cents(rng, 2000, 90000)),
            pick(rng, ("USD", "USD", "EUR")),
            begins if has_dates else closed,
            ends if has_dates else closed,
            contract=str(9000001 + number),
            has_dates=has_dates,
        )
        percent = whole(rng, 1, 9) * 10
        yield Deal(line, line.contract, stage, percent, wins and rng.random() < 0.6)


def _contract_lines(rng: Random, deals: Iterable[Deal]) -> Iterator[Line]:
    """Invoices of the deals that the ledger has: in one or two instalments, now and then with a credit note."""
    accounts = {category: account for account, category in REVENUE.items()}
    for deal in deals:
        if not deal.billed:
            continue
        won = deal.line
        parts = 2 if rng.random() < 0.3 else 1
        for part in range(parts):
            cents = won.cents // parts + (won.cents % parts if part == 0 else 0)
            yield _like(won, accounts[won.category], cents, won.booked + timedelta(days=part * 90))
        if rng.random() < 0.15:
            yield _like(won, accounts[won.category], -_cents(rng, 100, 900), won.booked + timedelta(days=30))


def _like(won: Line, account: str, cents: int, when: date) -> Line:
    first, last = (won.first, won.last) if won.has_dates else (when, when)
    category = won.category
    return Line(when, "revenue", account, category, cents, won.currency, first, last, won.contract, won.has_dates)


def _grants(rng: Random, first: date, last: date) -> Iterator[Line]:
    """A calendar year each: 12 months and not 13; and interest, which nothing maps."""
    for year in range(first.year, last.year + 1):
        for account, currency in (("4100 Federal grants", "USD"), ("4110 Foundation grants", "EUR")):
            days = (date(year, 1, 1), date(year, 12, 31))
            cents = _cents(rng, 90000, 400000)
            yield Line(days[0], "revenue", account, "grants", cents, currency, *days, contract=f"grant-{year}")
    for month in _months(first, last):
        when = month + timedelta(days=27)
        cents = _cents(rng, 5, 80)
        yield Line(when, "revenue", "4900 Interest", UNCATEGORISED, cents, "USD", when, when, has_dates=False)


def _costs(rng: Random, first: date, last: date) -> Iterator[Line]:
    for month in _months(first, last):
        for account, category in COSTS.items():
            for _ in range(whole(rng, 2, 4)):
                when = month + timedelta(days=whole(rng, 0, 27))
                cents = _cents(rng, 50, 9000)
                currency = "EUR" if rng.random() < 0.2 else "USD"
                yield Line(when, "cost", account, category, cents, currency, when, when, has_dates=False)
        if rng.random() < 0.3:
            when = month + timedelta(days=whole(rng, 0, 27))
            cents = -_cents(rng, 10, 400)
            yield Line(when, "cost", "6510 Cloud", "services", cents, "USD", when, when, has_dates=False)
        if month.month in (2, 7):
            # A yearly licence, and one of 90 days.
            for days in (365, 90):
                start = month + timedelta(days=14)
                end = start + timedelta(days=days - 1)
                yield Line(month, "cost", "6500 Software", "services", _cents(rng, 500, 9000), "EUR", start, end)


def _rates(seed: int, first: date, last: date) -> Iterator[tuple[date, str, Fraction, str]]:
    rng = dice(seed, "rates")
    day = first - timedelta(days=3)
    while day <= last:
        value = whole(rng, 103000, 119000)
        yield day, "EUR", Fraction(value, 100000), f"{value // 100000}.{value % 100000:05}"
        day += timedelta(days=7)


# -- files -----------------------------------------------------------------------------------------


def _ledger_row(line: Line) -> dict[str, str]:
    return {
        "date": line.booked.isoformat(),
        "kind": line.kind,
        "category": line.account,
        "amount": line.amount,
        "currency": line.currency,
        "description": f"{line.account.lower()}, {line.booked:%Y-%m}".lstrip(", "),
        "service_start": line.first.isoformat() if line.has_dates else "",
        "service_end": line.last.isoformat() if line.has_dates else "",
        "contract_id": line.contract,
    }


def _write_ledger(folder: Path, seed: int, books: Books) -> None:
    """A file a year; the newest has the lines that are broken, each in one way."""
    years = sorted({line.booked.year for line in books.lines})
    for year in years:
        rows = [_ledger_row(line) for line in books.lines if line.booked.year == year]
        if year == years[-1]:
            rng = dice(seed, "broken lines")
            good = next(row for row in rows if row["kind"] == "cost" and not row["service_start"])
            for change in BROKEN.values():
                bad = {**good, **{name: text.format(date=good["date"]) for name, text in change.items()}}
                rows.insert(whole(rng, 0, len(rows)), bad)
        lines = [csv_line(LEDGER_COLUMNS), *(csv_line([row[name] for name in LEDGER_COLUMNS]) for row in rows)]
        write_file(folder / f"{year}.csv", b"".join(lines))


def _deal_row(deal: Deal) -> tuple[str, ...]:
    line = deal.line
    dates = (line.first.isoformat(), line.last.isoformat()) if line.has_dates else ("", "")
    contract, target = (dates, ("", "")) if deal.stage.startswith("Closed Won") else (("", ""), dates)
    closed = f"{line.booked.isoformat()} 10:{int(deal.id) % 60:02}"
    text = (deal.id, f"{line.account} {deal.id}", deal.stage, closed, "an owner", line.amount, line.currency)
    return (*text, line.account, *contract, *target, f"0.{deal.percent}")


def _without_amount(deal: Deal) -> tuple[str, ...]:
    row = list(_deal_row(deal))
    row[DEAL_COLUMNS.index("Record ID")] = "9999999"
    row[DEAL_COLUMNS.index("Amount")] = ""
    return tuple(row)


# -- truth -----------------------------------------------------------------------------------------


def by_month(cents: int, first: date, last: date) -> dict[date, int]:
    """Cents by month, counted day by day: an equal fraction for each, then whole cents by largest remainder."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    exact: dict[date, Fraction] = defaultdict(Fraction)
    for day in days:
        exact[day.replace(day=1)] += Fraction(abs(cents), len(days))
    shares = {month: int(share) for month, share in exact.items()}
    left = abs(cents) - sum(shares.values())
    for month in sorted(exact, key=lambda m: (shares[m] - exact[m], m))[:left]:
        shares[month] += 1
    return {month: -share if cents < 0 else share for month, share in shares.items()}


def write_truth_of(folder: Path, books: Books, last_day: date) -> None:
    """Revenue and costs by month and category, up to the month of the last day, which is that month's last."""
    counted = [*books.lines, *(d.line for d in books.deals if d.stage.startswith("Closed Won") and not d.billed)]
    for kind, name, accounts in (("revenue", "revenue", REVENUE), ("cost", "costs", COSTS)):
        total: dict[tuple[date, str], int] = defaultdict(int)
        taken_back: dict[tuple[date, str], int] = defaultdict(int)
        for line in counted:
            if line.kind != kind:
                continue
            for month, cents in by_month(books.reported(line), line.first, line.last).items():
                for category in (line.category, "total"):
                    total[month, category] += cents
                    taken_back[month, category] += min(0, cents)
        categories = (
            "total",
            *dict.fromkeys((*accounts.values(), *(DEAL_TYPES.values() if kind == "revenue" else ()))),
        )
        rows = [csv_line(("month", "category", "amount", "credits"))]
        for month in _months(min(month for month, _ in total), last_day):
            for category in categories:
                figures = (_text(figure.get((month, category), 0)) for figure in (total, taken_back))
                rows.append(csv_line((month.isoformat(), category, *figures)))
        write_file(folder / f"monthly_{name}.csv", b"".join(rows))
    _write_beside(folder, books, last_day)


def _write_beside(folder: Path, books: Books, last_day: date) -> None:
    """Billed, booked and the weighted pipeline: apart from what is recognised."""
    figures: dict[tuple[str, str], int] = defaultdict(int)
    for line in books.lines:
        if line.kind == "revenue":
            figures["billed", f"{line.booked:%Y-%m}-01"] += books.reported(line)
    for deal in books.deals:
        line = deal.line
        if deal.stage.startswith("Closed Won"):
            figures["booked", f"{line.booked:%Y-%m}-01"] += books.reported(line)
        elif deal.stage != "closedlost":
            now = Line(min(line.booked, last_day), "", "", "", line.cents, line.currency, line.first, line.last)
            weighted = Fraction(books.reported(now) * deal.percent, 100)
            figures["pipeline", last_day.isoformat()] += int(weighted + Fraction(1, 2))
    rows = [csv_line(("basis", "date", "amount"))]
    rows += [csv_line((basis, day, _text(cents))) for (basis, day), cents in sorted(figures.items())]
    write_file(folder / "bookings.csv", b"".join(rows))


def _text(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
