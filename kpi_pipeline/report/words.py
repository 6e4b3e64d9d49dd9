"""How values, days and periods are written for reading. No value is worked out here."""

import re
from datetime import date
from decimal import Decimal
from functools import cache
from hashlib import sha256

NO_VALUE = "no value"
MINUS = "\N{MINUS SIGN}"
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
# Units that stand before a number, or mean nothing beside one.
PLAIN_UNITS = ("count",)
STATUS_WORDS = {
    "ok": "final",
    "to date": "to date: the period still runs",
    "incomplete": "incomplete: a day it rests on has no data",
    "stale": "stale: newer than the data",
    "insufficient": "rests on few observations",
    "provisioned": "provisioned, not used: no activity is connected",
    "idle": "cost without users",
    "no data": "no data",
    "no data: not connected": "no data: not connected",
}


def number(value: Decimal | None) -> str:
    """A number for reading, 183,780.73 or 0.00453: at most two decimals, or three digits that say something."""
    if value is None:
        return NO_VALUE
    if value == 0:
        return "0"
    if abs(value) >= 1:
        shown = value.quantize(Decimal("0.01")).normalize()
    else:
        places = min(9, 2 - value.adjusted())
        shown = value.quantize(Decimal(1).scaleb(-places)).normalize()
    return f"{shown:,f}"


def exact(value: Decimal | int | None) -> str:
    """Every digit, for tables that are downloaded; nothing where there is none."""
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


@cache
def unit(name: str, currency: str) -> str:
    """A unit, with the currency that it speaks of."""
    if name in PLAIN_UNITS:
        return ""
    if name == "percent":
        return "%"
    return re.sub(r"^(reporting )?currency", currency, name)


def with_unit(value: Decimal | None, name: str, currency: str) -> str:
    """A number and its unit."""
    if value is None:
        return NO_VALUE
    shown = unit(name, currency)
    return f"{number(value)}{'' if shown in ('', '%') else ' '}{shown}"


def day(when: date) -> str:
    """A day that nobody can misread: 3 September 2026."""
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def short_day(when: date) -> str:
    """The same, where there is little room: 3 Sep 2026."""
    return f"{when.day} {MONTHS[when.month - 1][:3]} {when.year}"


def short_day_of(text: str) -> str:
    """The same of a day in ISO 8601."""
    return short_day(date.fromisoformat(text))


def capital(name: str) -> str:
    """A name of the database, or a phrase, as a heading: Hub activity."""
    shown = name.replace("_", " ")
    return shown[:1].upper() + shown[1:]


def period(kind: str, start: date, end: date) -> str:
    """What a value covers: September 2026, Q3 2026, the 30 days to 30 Sep 2026."""
    if start == end:
        return short_day(end)
    if kind == "month":
        return f"{MONTHS[start.month - 1]} {start.year}"
    if kind == "quarter":
        return quarter(start)
    days = (end - start).days + 1
    return f"the {days} days to {short_day(end)}" if days <= 31 else f"{short_day(start)} to {short_day(end)}"


def month(start: date) -> str:
    """A month, where there is little room: Sep 2026."""
    return f"{MONTHS[start.month - 1][:3]} {start.year}"


def quarter(start: date) -> str:
    """The name of a quarter, by the calendar quarter that it begins in: 2026Q3."""
    return f"{start.year}Q{(start.month + 2) // 3}"


def change(amount: Decimal | None, percent: Decimal | None) -> str:
    """How a value changed, with its sign: +447 (+68.2 %)."""
    if amount is None:
        return "nothing to compare with"
    if amount == 0:
        return "unchanged"
    sign = "+" if amount > 0 else MINUS
    shown = f"{sign}{number(abs(amount))}"
    if percent is not None:
        shown += f" ({sign}{number(abs(percent))} %)"
    return shown


def status(name: str) -> str:
    """A status in words."""
    return STATUS_WORDS.get(name, name)


def slug(name: str) -> str:
    """A name as part of a file's name; what had to be changed for it is told apart by a hash, so that two never meet.

    `coral-reef` stays as it is, and `Coral Reef` is `coral-reef-8e87f531`.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}".lstrip("-")
