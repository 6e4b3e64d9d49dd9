"""The pack as Markdown (GitHub's), to paste elsewhere. What it says is the content's affair.

Text is escaped: a name with a star, a bar or a tag is shown as it is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kpi_pipeline.report.press import CONTROL

SPECIAL = re.compile(r"([\\`*_\[\]<>|~$#&])")


def text(data: dict[str, Any], pictures: dict[str, str]) -> str:
    """The whole document.

    Args:
        data: the pack's content, uncut.
        pictures: titles of charts, with the files that they are in.
    """
    return "\n".join(_lines(data, pictures)) + "\n"


def escaped(value: str) -> str:
    """A text that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", value.translate(CONTROL))


def _lines(data: dict[str, Any], pictures: dict[str, str]) -> Iterator[str]:
    e = escaped
    to_date = f", {data['to_date']}" if data["to_date"] else ""
    yield from (f"# {e(data['organisation'])}: key performance indicators, {data['quarter']}", "")
    yield from (f"{data['covers']}{to_date}. As of {data['as_of']}. External edition.", "")
    if data["demo"]:
        yield from ("*An invented organisation.*", "")
    yield from ("## Headlines", "")
    for card in data["headlines"]:
        yield from (f"**{e(card['title'])}**: {e(card['sentence'])}", "")
    before, year_ago = data["before"], data["year_ago"]
    yield from _table(
        ("KPI", data["quarter"], "unit", before, "change", year_ago, "change"),
        [
            (
                e(card["title"]), _cell(card), e(card["unit"]),
                *(cell for was in card["compared"] for cell in (_cell(was), was["change"])),
            )
            for card in data["headlines"]
        ],
        "lrlrrrr",
    )  # fmt: skip
    yield from (
        "## Charts",
        "",
        f"The shaded days are those of {data['quarter']}. A line that breaks has no data there.",
        "",
    )
    for kpi in data["charts"]:
        for chart in kpi["charts"]:
            yield from (f"### {e(chart['title'])}", "")
            if kpi["sentence"] and chart is kpi["charts"][0]:
                yield from (e(kpi["sentence"]), "")
            yield from (f"![{e(chart['alt'])}]({pictures[chart['name']]})", "", e(chart["about"]), "")
            for number, note in enumerate(chart["notes"], 1):
                yield from (f"{number}. {note['when']}: {e(note['text'])}", "")
    yield from _communities(data)
    yield from (f"## All values of {data['quarter']}", "")
    for group in data["values"]:
        yield from (f"### {e(group['name'])}", "")
        yield from _table(
            ("KPI", "unit", data["quarter"], before, "change", year_ago, "target", ""),
            [
                (
                    e(row["title"]), e(row["unit"]), _cell(row["value"]), _cell(row["before"]), row["change"],
                    _cell(row["year_ago"]), e(row["target"]), row["verdict"],
                )
                for row in group["rows"]
            ],
            "llrrrrrl",
        )  # fmt: skip
    yield from (f"## Noted in {data['quarter']}", "")
    if not data["notes"]:
        yield from ("Nothing was noted for readers of this quarter; no change of a definition is recorded.", "")
    for note in data["notes"]:
        about = f" ({e(note['kpis'])})" if note["kpis"] else ""
        yield f"- {note['when']}: {e(note['text'])}{about}"
    if data["notes"]:
        yield ""
    yield from ("## Method", "", *(f"- **{note['name']}.** {e(note['text'])}" for note in data["method"]), "")
    yield from ("## How fresh the data is", "", e(data["state"]), "")
    rows = [(e(row["source"]), row["until"], row["kpis"]) for row in data["health"]]
    yield from _table(("source", "newest data", "KPIs"), rows, "llr")
    yield from ("## Definitions", "")
    for d in data["definitions"]:
        yield from (f"### {e(d['title'])}", "", e(d["meaning"]), "", f"*To be kept in mind:* {e(d['caveats'])}", "")
        hashes = ", ".join(f"`{h}`" for h in d["hashes"])
        yield from (f"Unit: {e(d['unit'])}. Sources: {e(d['sources'])}. Fingerprint: {hashes}.", "")


def _communities(data: dict[str, Any]) -> Iterator[str]:
    found = data["communities"]
    if not found["rows"]:
        return
    yield from ("## Communities", "", f"{escaped(found['title'])} ({escaped(found['unit'])}), the largest first.", "")
    more = [escaped(title) for title in found["more"]]
    yield from _table(
        ("community", data["quarter"], data["before"], data["year_ago"], *(f"{m}, {data['quarter']}" for m in more)),
        [
            (escaped(r["name"]), *map(_cell, (r["value"], r["before"], r["year_ago"], *r["more"])))
            for r in found["rows"]
        ],
        "lrrr" + "r" * len(more),
    )


def _cell(found: dict[str, Any]) -> str:
    return f"{found['value']} ({found['state']})" if found["state"] else str(found["value"])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join({'l': '---', 'r': '---:'}[side] for side in sides)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
