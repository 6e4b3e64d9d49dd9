"""What the numbers of a quarter say, as sentences. Nothing that a number doesn't support, and no number of its own.

`Up` and `down` are arithmetic; `better` and `worse` are said only where the catalogue says which way is better, and
only of values that are final.
"""

from kpi_pipeline.report import words
from kpi_pipeline.report.edition import Compared, Kpi, Quarterly
from kpi_pipeline.report.quarter import Quarter

# Of these a percentage of a percentage, or of a grade, would say nothing.
WITHOUT_PERCENT = ("percent", "points")


def about(kpi: Kpi, found: Quarterly | None, quarter: Quarter, currency: str) -> str:
    """What a KPI was in a quarter, how it changed, and what to mind."""
    if found is None or found.value is None:
        why = f": {words.status(found.status)}" if found is not None and found.status != "ok" else " that can be shown"
        return f"There is no value for {quarter.name}{why}."
    value = f"{words.with_unit(found.value, kpi.unit, currency)} {_covering(found, quarter)}"
    before, earlier = quarter.back(1), quarter.back(4)
    compared = [(when, was) for when, was in ((before, found.before), (earlier, found.year_ago)) if was is not None]
    sentences = [_compared(value, [_change(kpi, found, when, was) for when, was in compared])]
    sentences += _judged(kpi, found, compared)
    if found.status != "ok":
        sentences.append(f"The value is {words.status(found.status)}.")
    sentences += [
        f"The value of {when.name} is {words.status(was.status)}." for when, was in compared if was.status != "ok"
    ]
    sentences += _not_compared(found, quarter, [when.name for when, _ in compared])
    return " ".join(sentences)


def change(kpi: Kpi, compared: Compared | None) -> str:
    """How a value differs from an earlier one, for a table."""
    if compared is None or compared.change is None:
        return "–"
    return words.change(compared.change, compared.percent if has_percent(kpi, compared) else None)


def has_percent(kpi: Kpi, compared: Compared) -> bool:
    """Whether a change in percent says something."""
    return bool(compared.percent) and not kpi.unit.startswith(WITHOUT_PERCENT)


def covering(found: Quarterly) -> str:
    """The days that a value covers, for a heading."""
    return words.period(found.period, found.start, found.end)


def _covering(found: Quarterly, quarter: Quarter) -> str:
    if found.period == "quarter":
        return f"in {quarter.name}" if found.is_closed else f"so far in {quarter.name}"
    if found.period == "month":
        return f"in {covering(found)}"
    if found.start == found.end:
        return f"on {words.day(found.end)}"
    shown = covering(found)
    return f"in {shown}" if shown.startswith("the ") else f"from {shown}"


def _compared(value: str, changes: list[str]) -> str:
    return f"{value}: {', and '.join(changes)}." if changes else f"{value}."


def _change(kpi: Kpi, found: Quarterly, when: Quarter, was: Compared) -> str:
    if not was.change:
        return f"the same as {_at(found, when)}"
    unit = {"percent": " percentage points"}.get(kpi.unit, " points" if kpi.unit.startswith("points") else "")
    way = "up" if was.change > 0 else "down"
    percent = ""
    if was.percent is not None and has_percent(kpi, was):
        percent = f" ({'+' if was.change > 0 else words.MINUS}{words.number(abs(was.percent))} %)"
    return f"{way} {words.number(abs(was.change))}{unit}{percent} from {_at(found, when).split(' ', 1)[1]}"


def _at(found: Quarterly, when: Quarter) -> str:
    return f"at the end of {when.name}" if found.period == "day" else f"in {when.name}"


def _judged(kpi: Kpi, found: Quarterly, compared: list[tuple[Quarter, Compared]]) -> list[str]:
    if kpi.direction not in ("higher", "lower") or found.status != "ok":
        return []
    better: list[str] = []
    worse: list[str] = []
    for when, was in compared:
        if was.status == "ok" and was.change:
            (better if (was.change > 0) == (kpi.direction == "higher") else worse).append(_at(found, when))
    parts = [f"{word} than {_both(whens)}" for word, whens in (("better", better), ("worse", worse)) if whens]
    return [f"That is {', but '.join(parts)}."] if parts else []


def _both(whens: list[str]) -> str:
    return "both" if len(whens) == 2 else whens[0]


def _not_compared(found: Quarterly, quarter: Quarter, compared: list[str]) -> list[str]:
    if not found.is_closed and found.period != "day":
        return ["The quarter still runs, so it isn't compared yet."]
    missing = [when.name for when in (quarter.back(1), quarter.back(4)) if when.name not in compared]
    if len(missing) == 2:
        return [f"Neither {missing[0]} nor {missing[1]} has a value to compare with."]
    return [f"{name} has no value to compare with." for name in missing]
