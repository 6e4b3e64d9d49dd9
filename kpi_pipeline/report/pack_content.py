"""What is in a quarterly pack: numbers in words, sentences, tables and charts, as the templates take them.

What belongs here: which KPIs stand where. What never does: how a page looks, and any number that isn't published.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kpi_pipeline.report import pack_charts, sentences, words
from kpi_pipeline.report.charts import Chart
from kpi_pipeline.report.edition import Compared, Edition, Kpi, Note, Quarterly, Score
from kpi_pipeline.report.quarter import Quarter

COMMUNITY = "community"
MOST_COLUMNS = 3
NO = "\N{EN DASH}"
# Themes of the organisation's document, as headings; others go by their own name.
THEMES = {"impact": "Impact", "impact_centric": "What came of the hubs", "running_infrastructure": "Infrastructure"}


@dataclass
class Drawn:
    """A KPI with its chart and what there is to say of it."""

    kpi: Kpi
    sentence: str
    chart: Chart | None
    by: Chart | None = None


@dataclass
class Pack:
    """An edition's quarter."""

    edition: Edition
    quarter: Quarter
    found: dict[str, dict[str, dict[str, Quarterly]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.found = self.edition.quarter(self.quarter.start)

    @property
    def currency(self) -> str:
        return self.edition.organisation.currency

    @property
    def before(self) -> Quarter:
        return self.quarter.back(1)

    @property
    def year_ago(self) -> Quarter:
        return self.quarter.back(4)

    @property
    def is_closed(self) -> bool:
        return self.quarter.end <= self.edition.organisation.as_of

    def value(self, kpi: Kpi) -> Quarterly | None:
        """A KPI's own value of the quarter."""
        return self.found.get(kpi.kpi_id, {}).get(kpi.own_grain, {}).get(kpi.own_member)

    def has_values(self) -> bool:
        """Whether there is anything to report."""
        return any(
            found is not None and found.value is not None for found in map(self.value, self.edition.kpis.values())
        )

    @cached_property
    def themed(self) -> list[Kpi]:
        """The organisation's KPIs, headlines first."""
        kpis = [kpi for kpi in self.edition.kpis.values() if kpi.role is None]
        return sorted(kpis, key=lambda kpi: (not kpi.headline, kpi.kpi_id))

    @cached_property
    def drawn(self) -> list[Drawn]:
        """The organisation's KPIs with their charts."""
        found = []
        for kpi in self.themed:
            notes = [note for note in self.edition.notes_on(kpi.kpi_id) if note.date <= self.quarter.end]
            chart = pack_charts.own(kpi, self.quarter, self.currency, notes)
            dimensions = [d for d in kpi.dimensions if d not in (kpi.own_grain, COMMUNITY)]
            splits = [pack_charts.by_dimension(kpi, self.quarter, d, self.currency) for d in dimensions]
            split = next((split for split in splits if split is not None), None) if chart else None
            found.append(Drawn(kpi, self.sentence(kpi), chart, split))
        # First what can be drawn in parts as well: it has the width of a page.
        return sorted(found, key=lambda drawn: drawn.by is None or not drawn.kpi.headline)

    def sentence(self, kpi: Kpi) -> str:
        return sentences.about(kpi, self.value(kpi), self.quarter, self.currency)

    @cached_property
    def communities(self) -> list[tuple[str, list[Quarterly | None]]]:
        """The communities, those with most people first, with the values of `community_kpis`."""
        kpis = self.community_kpis
        members = {member for kpi in kpis for member in self.found[kpi.kpi_id][COMMUNITY]}
        rows = [(m, [self.found[kpi.kpi_id][COMMUNITY].get(m) for kpi in kpis]) for m in members]
        return sorted(rows, key=lambda row: (-_amount(row[1][0]), row[0]))

    @cached_property
    def community_kpis(self) -> list[Kpi]:
        """The organisation's KPIs that are published by community."""
        return [kpi for kpi in self.themed if COMMUNITY in self.found.get(kpi.kpi_id, {})][:MOST_COLUMNS]

    @cached_property
    def groups(self) -> list[tuple[str, list[Kpi]]]:
        """All KPIs: the organisation's by theme, then those of its roles."""
        groups: dict[str, list[Kpi]] = {}
        for kpi in sorted(self.edition.kpis.values(), key=lambda kpi: (kpi.role is not None, kpi.role or "")):
            groups.setdefault(kpi.role or THEMES.get(kpi.theme or "", words.capital(kpi.theme or "other")), []).append(
                kpi
            )
        return list(groups.items())

    def score(self, kpi: Kpi) -> Score | None:
        """How the quarter stands against its target."""
        scores = [score for score in self.edition.scores if score.kpi_id == kpi.kpi_id and score.target is not None]
        return next((score for score in scores if score.start == self.quarter.start and self._is_quarter(score)), None)

    def _is_quarter(self, score: Score) -> bool:
        return score.end == min(self.quarter.end, self.edition.organisation.as_of)

    @cached_property
    def notes(self) -> list[Note]:
        """What was noted in the quarter, of all KPIs or of one that may be shown."""
        return [note for note in self.edition.notes if self.quarter.start <= note.date <= self.quarter.end]

    @cached_property
    def sources(self) -> dict[str, list[Kpi]]:
        """The sources that the KPIs rest on."""
        found: dict[str, list[Kpi]] = {}
        for kpi in self.edition.kpis.values():
            for source in kpi.sources:
                found.setdefault(source, []).append(kpi)
        return dict(sorted(found.items()))

    @cached_property
    def definitions(self) -> list[tuple[Kpi, list[Kpi]]]:
        """Each definition once, with all KPIs that it defines; the organisation's first."""
        found: dict[tuple[str, str], list[Kpi]] = {}
        for kpi in (*self.themed, *(kpi for kpi in self.edition.kpis.values() if kpi.role is not None)):
            found.setdefault((kpi.meaning, kpi.caveats), []).append(kpi)
        return [(kpis[0], kpis) for kpis in found.values()]


def _amount(found: Quarterly | None) -> Any:
    return -1 if found is None or found.value is None else found.value


@dataclass(frozen=True)
class Room:
    """How much of what can grow is printed; all of it is in the Markdown and the data files.

    Args:
        communities: rows of their table.
        charts: KPIs that are drawn.
        caveats: of all definitions; otherwise only of the organisation's own KPIs.
        definitions: of all KPIs; otherwise only of the organisation's own.
    """

    communities: int
    charts: int = 99
    caveats: bool = True
    definitions: bool = True


def fitted(data: dict[str, Any], room: Room) -> dict[str, Any]:
    """What the template takes, cut to the room that there is."""
    communities, definitions = data["communities"], data["definitions"]
    kept = [d for d in definitions if room.definitions or not d["of_a_role"]]
    shown = [d | {"caveats": d["caveats"] if room.caveats or not d["of_a_role"] else ""} for d in kept]
    rows = communities["rows"][: room.communities]
    return data | {
        "charts": data["charts"][: room.charts],
        "communities": communities | {"rows": rows, "left_out": len(communities["rows"]) - len(rows)},
        "definitions": shown,
        "definitions_left_out": len(definitions) - len(kept),
    }


def as_data(pack: Pack) -> dict[str, Any]:
    """The whole pack: what stands in its Markdown, and what the template prints as far as there is room."""
    organisation = pack.edition.organisation
    values: list[dict[str, Any]] = [
        {"name": name, "rows": [_row(pack, kpi) for kpi in kpis]} for name, kpis in pack.groups
    ]
    return {
        **_head(pack),
        "headlines": [
            _card(pack, drawn) for kpi in pack.themed for drawn in pack.drawn if drawn.kpi is kpi and kpi.headline
        ],
        "charts": [_figure(pack, drawn) for drawn in pack.drawn if drawn.chart or _is_told(pack, drawn.kpi)],
        "communities": _communities(pack),
        "values": values,
        "unfinished": _unfinished([row for group in values for row in group["rows"]]),
        "notes": _notes(pack),
        "health": list(_health(pack)),
        "state": state(pack),
        "method": method(pack),
        "definitions": [_definition(pack, *found) for found in pack.definitions],
        "title": f"{organisation.name}: key performance indicators, {pack.quarter.name}",
    }


def _head(pack: Pack) -> dict[str, Any]:
    organisation, quarter = pack.edition.organisation, pack.quarter
    return {
        "organisation": organisation.name,
        "demo": organisation.demo,
        "quarter": quarter.name,
        "before": pack.before.name,
        "year_ago": pack.year_ago.name,
        "covers": covers(quarter),
        "to_date": "" if pack.is_closed else f"to {words.day(organisation.as_of)}",
        "as_of": words.day(organisation.as_of),
    }


def covers(quarter: Quarter) -> str:
    """The days of a quarter: 1 July to 30 September 2026."""
    first = words.day(quarter.start)
    if quarter.start.year == quarter.end.year:
        first = first.rsplit(" ", 1)[0]
    return f"{first} to {words.day(quarter.end)}"


def _card(pack: Pack, drawn: Drawn) -> dict[str, Any]:
    kpi, found = drawn.kpi, pack.value(drawn.kpi)
    return {
        "title": kpi.title,
        "value": words.number(found.value) if found else words.NO_VALUE,
        "unit": words.unit(kpi.unit, pack.currency) if found and found.value is not None else "",
        "period": sentences.covering(found) if found else "",
        "state": _cell(found)["state"],
        "compared": [
            _compared(kpi, pack.before, found.before if found else None),
            _compared(kpi, pack.year_ago, found.year_ago if found else None),
        ],
        "sentence": drawn.sentence,
        "svg": pack_charts.spark(drawn.chart, pack.quarter) if drawn.chart else "",
        "alt": _described(drawn.chart) if drawn.chart else "",
    }


def _compared(kpi: Kpi, when: Quarter, was: Compared | None) -> dict[str, str]:
    return {
        "when": when.name,
        "value": words.number(was.value) if was else words.NO_VALUE,
        "change": sentences.change(kpi, was) if was else "",
        "state": was.status if was and was.status != "ok" else "",
    }


def _is_told(pack: Pack, kpi: Kpi) -> bool:
    """Whether there is a value to speak of beside the charts; the headlines stand on the first page."""
    found = pack.value(kpi)
    return not kpi.headline and found is not None and found.value is not None


def _figure(pack: Pack, drawn: Drawn) -> dict[str, Any]:
    return {
        "title": drawn.kpi.title,
        # The headlines' sentences stand on the first page.
        "sentence": "" if drawn.kpi.headline else drawn.sentence,
        "charts": [
            {
                "name": pack_charts.name(chart),
                "title": chart.title,
                "about": about(chart),
                "alt": _described(chart),
                # The first has the width of the page.
                "svg": pack_charts.svg(chart, pack.quarter, half=chart is not pack.drawn[0].chart),
                "notes": [{"when": words.short_day_of(when), "text": text} for when, text in chart.notes],
            }
            for chart in (drawn.chart, drawn.by)
            if chart is not None
        ],
    }


def about(chart: Chart) -> str:
    """What a chart's axes would say."""
    over = {"day": "by day", "month": "by month", "quarter": "by quarter"}[chart.period]
    if chart.kind == "lines":
        over = "at the end of each month" if chart.period == "day" else over
    open_values = ", ".join(sorted({row[5] for row in chart.rows if row[3] and row[5] != "ok"}))
    text = words.capital(", ".join(part for part in (chart.unit, over) if part))
    if not open_values:
        return text
    return f"{text}; " + {"line": "pale: ", "bars": "outlined: "}.get(chart.kind, "some are ") + open_values


def _described(chart: Chart) -> str:
    """A chart for who doesn't see it."""
    known = [row for row in chart.rows if row[3]]
    text = f"Chart: {chart.title}, {about(chart)}; {len(known)} values up to {words.short_day_of(known[-1][2])}."
    return text.translate(dict.fromkeys(range(32), " "))


def _communities(pack: Pack) -> dict[str, Any]:
    first = pack.community_kpis[:1]
    rows = []
    for name, values in pack.communities:
        found = values[0]
        rows.append(
            {
                "name": name,
                "value": _cell(found),
                "before": _cell(found.before if found else None),
                "year_ago": _cell(found.year_ago if found else None),
                "more": [_cell(value) for value in values[1:]],
            }
        )
    return {
        "title": first[0].title if first else "",
        "unit": words.unit(first[0].unit, pack.currency) if first else "",
        "more": [kpi.title for kpi in pack.community_kpis[1:]],
        "rows": rows,
        "unfinished": _unfinished(rows),
    }


def _unfinished(rows: Sequence[dict[str, Any]]) -> str:
    """Why values of a table aren't final, where one isn't."""
    cells = [cell for row in rows for cell in (row["value"], row["before"], row["year_ago"], *row.get("more", ()))]
    return "; ".join(words.status(name) for name in sorted({cell["state"] for cell in cells} - {""}))


def _cell(found: Quarterly | Compared | None) -> dict[str, str]:
    """A value in a table, and in a word why it isn't final."""
    if found is None or found.value is None:
        return {"value": NO, "state": ""}
    return {"value": words.number(found.value), "state": "" if found.status == "ok" else found.status}


def _row(pack: Pack, kpi: Kpi) -> dict[str, Any]:
    found, score = pack.value(kpi), pack.score(kpi)
    before, year_ago = (found.before, found.year_ago) if found else (None, None)
    return {
        "title": kpi.title.removesuffix(f": {kpi.role}"),
        "unit": words.unit(kpi.unit, pack.currency),
        "value": _cell(found),
        "before": _cell(before),
        "change": sentences.change(kpi, before),
        "year_ago": _cell(year_ago),
        "target": f"{COMPARATORS.get(score.comparator or '', '')} {words.number(score.target)}" if score else "",
        "verdict": score.status if score else "",
    }


COMPARATORS = {">=": "\N{GREATER-THAN OR EQUAL TO}", "<=": "\N{LESS-THAN OR EQUAL TO}", ">": ">", "<": "<", "=": "="}


def _notes(pack: Pack) -> list[dict[str, str]]:
    return [
        {
            "when": words.short_day(note.date),
            "text": note.text,
            "kpis": ", ".join(pack.edition.kpis[kpi].title for kpi in note.kpis if kpi in pack.edition.kpis),
        }
        for note in pack.notes
    ]


def _health(pack: Pack) -> Iterator[dict[str, str]]:
    for source, kpis in pack.sources.items():
        newest = pack.edition.newest_data.get(source)
        connected = source in pack.edition.newest_data
        until = words.short_day(newest) if newest else ("no data" if connected else "not connected")
        yield {"source": words.capital(source), "until": until, "kpis": str(len(kpis))}


def state(pack: Pack) -> str:
    """How whole the quarter's values are, in a sentence or two."""
    found = [pack.value(kpi) for kpi in pack.edition.kpis.values()]
    valued = [value for value in found if value is not None and value.value is not None]
    have = "has" if len(valued) == 1 else "have"
    text = f"{len(valued)} of {len(found)} KPIs that are published outside {have} a value for {pack.quarter.name}."
    counts = Counter(value.status for value in valued if value.status != "ok")
    parts = [f"{count} {'is' if count == 1 else 'are'} {words.status(name)}" for name, count in sorted(counts.items())]
    return f"{text} Of these {'; '.join(parts)}." if parts else f"{text} Every value is final."


def method(pack: Pack) -> list[dict[str, str]]:
    """How the numbers are to be read."""
    organisation = pack.edition.organisation
    quarter, before, year_ago = pack.quarter, pack.before.name, pack.year_ago.name
    notes = {
        "Days": "Days are calendar days in UTC, and only days that are over are counted.",
        "The quarter": f"{quarter.name} is {covers(quarter)}. A KPI that is known by day has the value of the "
        "quarter's last day; others have the value of the whole quarter.",
        "Change": f"Values are compared with those of {before} and {year_ago}, unrounded. A change in percent is left "
        "out where the value is itself a percentage or a grade.",
        "Better and worse": "This is said only where the definition says which way is better, and only of values that "
        "are final.",
        "No value": "Where there is no data there is no value: never 0. A gap in a chart is a gap in the data.",
        "What isn't shown": f"Values on the work or the opinion of fewer than {organisation.min_people} people or on "
        "too few observations, and what would give them away, stay inside the organisation. Counts of users are shown, "
        "however small. No KPI is about a person.",
        "As of": f"Everything here is as it was known for {words.day(organisation.as_of)}. Data that comes later can "
        "change values of earlier days; a pack that is made again then says so by its date.",
        "Fingerprint": "The sixteen characters beside a definition change whenever the definition or its formula does.",
    }
    if not pack.is_closed:
        running = f"{quarter.name} still runs: values are to date, up to {words.day(organisation.as_of)}."
        notes = {"To date": running, **notes}
    return [{"name": name, "text": text} for name, text in notes.items()]


def _definition(pack: Pack, kpi: Kpi, kpis: list[Kpi]) -> dict[str, Any]:
    return {
        "title": "; ".join(other.title for other in kpis),
        "unit": words.unit(kpi.unit, pack.currency) or "number",
        "meaning": kpi.meaning.replace("`", ""),
        "caveats": kpi.caveats.replace("`", ""),
        "of_a_role": kpi.role is not None,
        "sources": ", ".join(source.replace("_", " ") for source in kpi.sources),
        "hashes": [other.definition_hash for other in kpis],
    }
