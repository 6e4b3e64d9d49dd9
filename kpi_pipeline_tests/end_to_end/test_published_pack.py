"""The quarterly pack: its numbers are the organisation's own, all is for outside, and no name is read as markup."""

import csv
import gzip
import locale
import re
import shutil
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pypdf import PdfReader

from kpi_pipeline_tests.end_to_end.commands import SAMPLE, kpi
from kpi_pipeline_tests.end_to_end.test_published import usernames

TRUTH = SAMPLE / "truth"
A4 = (595.2756, 841.8898)
HOSTILE = (
    '#read("/etc/passwd") $x$ @ref <label> *bold* _it_ `code` // \\',
    "[a](http://example.org) | <img src=x> **b** # & ~~c~~",
    '=HYPERLINK("x","y")',
    "\"double\", 'single'\nand two lines",
    "-2+3+cmd|' /C calc'!A0",
    "Ünïversität 大学 🪸",
)
SECRET_NOTE = "A note for ourselves alone"
NOTE = "Noted <b>for</b> *all* #panic() | readers"
# Digits that are found nowhere else.
CANARY = Decimal("8675309.125")
WITHHELD = Decimal("7412963.625")


@dataclass(frozen=True)
class Made:
    """A published folder, and the pack that was made of it."""

    published: Path
    quarter: str = "2026Q3"

    @property
    def folder(self) -> Path:
        return self.published / "packs" / self.quarter

    @cached_property
    def pages(self) -> list[str]:
        """The text of the PDF's pages, with blanks where lines end."""
        pages = PdfReader(self.folder / f"kpis-{self.quarter}.pdf").pages
        return [" ".join(page.extract_text().split()) for page in pages]

    @cached_property
    def text(self) -> str:
        return " ".join(self.pages)

    @cached_property
    def markdown(self) -> str:
        return (self.folder / f"kpis-{self.quarter}.md").read_text(encoding="utf-8")

    def csv(self, name: str) -> list[dict[str, str]]:
        with (self.folder / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))

    def rows(self, query: str, *values: object) -> list[Any]:
        with duckdb.connect(str(self.published / "kpis.duckdb"), read_only=True) as con:
            return con.execute(query, list(values)).fetchall()


def copied(sample_data: Path, data: Path, *statements: str) -> Path:
    """A copy of the sample's published database, changed."""
    (data / "published").mkdir()
    database = data / "published" / "kpis.duckdb"
    shutil.copyfile(sample_data / "published" / "kpis.duckdb", database)
    with duckdb.connect(str(database)) as con:
        for statement in statements:
            con.execute(statement)
    return data


def made(data: Path, quarter: str = "2026Q3", **variables: str) -> Made:
    done = kpi("report", "--data-dir", data, "--quarter", quarter, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return Made(data / "published", quarter)


@pytest.fixture(scope="session")
def pack(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The sample's pack of its last quarter."""
    return made(copied(sample_data, tmp_path_factory.mktemp("pack")))


@pytest.fixture(scope="session")
def hostile(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same with names that would break out of a page or a cell, and with more that isn't for outside."""
    data = copied(sample_data, tmp_path_factory.mktemp("hostile_pack"))
    with duckdb.connect(str(data / "published" / "kpis.duckdb")) as con:
        members = con.execute(
            "select member from kpi_values where kpi_id = 'impact.monthly_active_users' and grain = 'community' "
            "and period_end = date '2026-09-30' order by value desc, member limit ?",
            [len(HOSTILE)],
        ).fetchall()
        for (old,), new in zip(members, HOSTILE, strict=True):
            con.execute("update kpi_values set member = ? where member = ?", [new, old])
        con.execute("update organisation set name = ?", [HOSTILE[0]])
        con.execute("insert into annotations values (date '2026-08-01', ?, [], 'external')", [NOTE])
        con.execute("insert into annotations values (date '2026-08-02', ?, [], 'internal')", [SECRET_NOTE])
        # One KPI isn't for outside any more; of another a value, and of a third the one that it is compared with.
        con.execute(
            "update kpi_definitions set audience = 'internal' where kpi_id = 'technical_support.satisfaction_score'"
        )
        con.execute("update kpi_values set value = ? where kpi_id = 'technical_support.satisfaction_score'", [CANARY])
        for kpi_id, end in (
            ("technical_writer.documentation_resources_published", "2026-09-30"),
            ("developer_relations.developer_events_organised", "2026-06-30"),
        ):
            con.execute(
                "update kpi_values set value = ? where kpi_id = ? and grain = 'organisation' and period_end = ?::date",
                [WITHHELD, kpi_id, end],
            )
            con.execute(
                "insert into withheld_values select kpi_id, grain, member, period_start, period_end from kpi_values "
                "where kpi_id = ? and value = ?",
                [kpi_id, WITHHELD],
            )
    return made(data)


def shown(value: object) -> str:
    """How a value is written for reading: two decimals where there is a whole part, else three digits."""
    number = Decimal(str(value))
    if number == 0:
        return "0"
    if abs(number) >= 1:
        text = f"{number.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,f}"
        return text.rstrip("0").rstrip(".")
    return f"{float(number):.3g}"


def truth(file: str, **wanted: str) -> dict[str, str]:
    """The one row of a file of right answers, which were worked out of the simulated world."""
    path = TRUTH / file
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else path.open(newline="") as lines
    ):
        found = [row for row in csv.DictReader(lines) if wanted.items() <= row.items()]
    assert len(found) == 1, (file, wanted)
    return found[0]


def quarters(read: Callable[[str], str]) -> tuple[str, str, str]:
    """Of 2026Q3, 2026Q2 and 2025Q3."""
    return read("2026-09-30"), read("2026-06-30"), read("2025-09-30")


def test_the_headlines_are_those_of_the_simulated_world(pack: Made) -> None:
    people = quarters(lambda day: truth("active_users.csv.gz", date=day, grain="organisation")["mau"])
    typical = quarters(lambda day: truth("mau_percentiles.csv", date=day)["p50"])
    communities = quarters(lambda day: truth("communities_served.csv", date=day)["served"])
    first = pack.pages[0]
    assert people == ("1102", "526", "733")
    for title, unit, (now, before, year_ago) in (
        ("Monthly active users", "people", people),
        ("MAU of a typical hub (median)", "people", typical),
        ("Communities served", "communities", communities),
    ):
        up = Decimal(now) - Decimal(before)
        sign = "+" if up > 0 else "−"
        card = rf"{re.escape(title)} {shown(now)} {unit} .*?2026Q2 {shown(before)} {re.escape(sign)}{shown(abs(up))} "
        assert re.search(card, first), card
        assert re.search(rf"{re.escape(title)} {shown(now)} .*?2025Q3 {shown(year_ago)} ", first)
        way = "up" if up > 0 else "down"
        assert re.search(
            rf"{shown(now)} {unit} (in|from) [^:]*: {way} {shown(abs(up))} \([^)]*\) from the end of 2026Q2", first
        )
        assert re.search(
            rf"^\| {re.escape(title).replace('_', '.')} \| {shown(now)} \| {unit} \| {shown(before)} \|",
            unescaped(pack.markdown),
            re.M,
        )


def unescaped(markdown: str) -> str:
    return re.sub(r"\\([\\`*_\[\]<>|~$#&])", r"\1", markdown)


ROLES = {
    "devops_engineer.uptime_rate": ("metrics", "Uptime"),
    "developer_relations.community_channels_created": ("outreach", "New community channels"),
    "developer_relations.open_source_collaborations_established": ("outreach", "New open source collaborations"),
    "developer_relations.onboarded_partners_building_rate": ("outreach", "Onboarded partners that build"),
    "tech_team.api_response_time": ("metrics", "API response time"),
    "tech_team.sample_integrations_created": ("outreach", "New sample integrations"),
    "technical_support.inquiries_resolved_rate": ("support", "Inquiries resolved"),
    "technical_support.ticket_resolution_time": ("support", "Time to resolve tickets"),
    "technical_writer.documentation_resources_published": ("outreach", "Documentation published"),
}


@pytest.mark.parametrize("kpi_id", ROLES)
def test_values_of_roles_are_those_of_the_simulated_world(pack: Made, kpi_id: str) -> None:
    file, title = ROLES[kpi_id]
    wanted = {"kpi_id": kpi_id, "figure": "", "period_start": "2026-07-01", "period_end": "2026-09-30"}
    value = truth(f"roles/{file}.csv", **wanted)["value"]
    (row,) = (row for row in pack.csv("values") if row["kpi_id"] == kpi_id)
    assert Decimal(row["value"]) == Decimal(value)
    (page,) = (page for page in pack.pages if page.startswith("Example Hubs") and "All values of 2026Q3" in page)
    assert re.search(rf"{title} (?:[a-z%]+ (?:of 5 )?)?{re.escape(shown(value))} ", page), (title, shown(value))


def test_it_is_four_to_six_pages_of_a4_for_everybody(pack: Made) -> None:
    reader = PdfReader(pack.folder / "kpis-2026Q3.pdf")
    assert 4 <= len(reader.pages) <= 6
    for page in reader.pages:
        assert tuple(map(float, page.mediabox[2:])) == pytest.approx(A4, abs=0.01)
    # Tagged, in a language, with a title: what a screen reader needs.
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).lower().startswith("en")
    assert reader.metadata is not None
    assert reader.metadata.title == "Example Hubs: key performance indicators, 2026Q3"
    # No page holds a line or two alone.
    assert min(map(len, pack.pages)) > 800
    for part in (
        "The quarter in charts",
        "Communities",
        "All values of 2026Q3",
        "Noted in 2026Q3",
        "Method",
        "Definitions",
    ):
        assert part in pack.text


def size(png: Path) -> tuple[int, int]:
    header = png.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", header[16:])  # type: ignore[return-value]


def test_the_slide_and_the_charts_are_pictures(pack: Made) -> None:
    assert size(pack.folder / "kpis-2026Q3-slide.png") == (1920, 1080)
    charts = list((pack.folder / "charts").iterdir())
    assert len(charts) >= 8
    for chart in charts:
        width, height = size(chart)
        assert width == 1036
        assert height > 400


def test_the_markdown_says_the_same_and_its_links_resolve(pack: Made) -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", pack.markdown)
    assert {pack.folder / picture for picture in pictures} == set((pack.folder / "charts").iterdir())
    assert len(pictures) == len(set(pictures))
    plain = " ".join(unescaped(pack.markdown).replace("*", "").split())
    # Every sentence of the first page stands in it as well.
    for found in re.findall(r"[\d,.]+ (?:people|communities) (?:in the|from) [^:]+: [^.]+ %\)[^.]*\.", pack.pages[0]):
        assert found in plain
    for row in pack.csv("communities"):
        if row["kpi_id"] == "impact.monthly_active_users":
            assert f"| {row['community']} | {shown(row['value'])} |" in plain


def test_the_data_is_that_of_the_database(pack: Made) -> None:
    """Every digit of every value, by a query of this test's own on the table of values."""
    wanted = {
        row[0]: row[1:]
        for row in pack.rows(
            "select v.kpi_id, v.member, v.period_start::varchar, v.period_end::varchar, v.value, v.n, v.status "
            "from external_values v where v.period_end = date '2026-09-30' and strpos(v.grain, ':') = 0 "
            "and v.grain <> 'community' and v.kpi_id not in ('impact_centric.publications_from_hubs') "
            "and (v.period_start = date '2026-07-01' or v.kpi_id like 'impact%' or v.kpi_id like 'running%') "
            "and v.member in ('organisation', 'customer_support', 'documentation', 'developer_support', 'all')"
        )
    }
    values = {row["kpi_id"]: row for row in pack.csv("values")}
    external = pack.rows("select kpi_id from kpi_definitions where audience = 'external'")
    assert sorted(values) == sorted(row[0] for row in external)
    compared = 0
    for kpi_id, (_, start, end, value, n, status) in wanted.items():
        found = values[kpi_id]
        assert (found["period_start"], found["period_end"], found["status"]) == (start, end, status)
        assert Decimal(found["value"]) == value
        assert found["n"] == ("" if n is None else str(n))
        compared += 1
    assert compared >= 19
    people = pack.rows(
        "select member, value from kpi_values where kpi_id = 'impact.monthly_active_users' and grain = 'community' "
        "and period_end = date '2026-09-30' order by member"
    )
    rows = [row for row in pack.csv("communities") if row["kpi_id"] == "impact.monthly_active_users"]
    assert sorted((row["community"], Decimal(row["value"])) for row in rows) == people
    # What is drawn, over the five quarters.
    drawn = [
        (row["period_end"], Decimal(row["value"])) for row in pack.csv("impact.monthly_active_users") if row["value"]
    ]
    assert drawn == pack.rows(
        "select period_end::varchar, value from kpi_values where kpi_id = 'impact.monthly_active_users' "
        "and grain = 'organisation' and period_end between date '2025-07-01' and date '2026-09-30' order by period_end"
    )
    for row in pack.csv("definitions"):
        ((title, fingerprint),) = pack.rows(
            "select title, definition_hash from kpi_definitions where kpi_id = ?", row["kpi_id"]
        )
        assert (row["title"], row["definition_hash"]) == (title, fingerprint)


def contents(folder: Path) -> dict[str, bytes]:
    version = folder.resolve()
    return {p.relative_to(version).as_posix(): p.read_bytes() for p in version.rglob("*") if p.is_file()}


def test_the_same_database_gives_the_same_bytes(sample_data: Path, pack: Made, tmp_path: Path) -> None:
    """In another process, folder, time zone, language, and order of hashes."""
    languages = [name for name in locale.locale_alias.values() if name.startswith("de_DE.")]
    variables = {"TZ": "Pacific/Auckland", "LC_ALL": languages[0], "LANG": languages[0], "PYTHONHASHSEED": "4711"}
    again = made(copied(sample_data, tmp_path), **variables)
    first, second = contents(pack.folder), contents(again.folder)
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert len(first) > 20


def every_text(folder: Path) -> Iterable[tuple[str, str]]:
    """What is readable in any file, also within the PDF."""
    for name, content in contents(folder).items():
        if name.endswith(".pdf"):
            reader = PdfReader(folder / name)
            pages = " ".join(page.extract_text() for page in reader.pages)
            yield name, f"{' '.join(pages.split())} {' '.join(map(str, (reader.metadata or {}).values()))}"
        elif not name.endswith(".png"):
            yield name, unescaped(content.decode("utf-8"))


def test_nothing_internal_is_in_any_file(hostile: Made) -> None:
    hidden = hostile.rows("select kpi_id, title, definition_hash from kpi_definitions where audience = 'internal'")
    assert len(hidden) > 70
    reasons = [row[0] for row in hostile.rows("select reason from exclusions")]
    withheld = {
        tuple(row)
        for row in hostile.rows(
            "select kpi_id, member, period_start::varchar, period_end::varchar from withheld_values"
        )
    }
    titles = {title for _, title, _ in hidden}
    people = usernames()
    count = 0
    for name, text in every_text(hostile.folder):
        assert SECRET_NOTE not in text, name
        assert not any(digits in text for digits in ("8675309", "8,675,309", "7412963", "7,412,963")), name
        for kpi_id, title, _ in hidden:
            assert kpi_id not in text, (name, kpi_id)
            assert title not in text, (name, title)
        assert not any(reason in text for reason in reasons), name
        words = set(re.findall(r"[\w.@+-]{8,}", text.lower()))
        assert not words & people, name
        count += 1
    assert count > 10
    assert "Satisfaction: Technical Support" in titles
    files = {name for name in contents(hostile.folder) if name.startswith("data/")}
    for name in files - {"data/definitions.csv", "data/values.csv"}:
        kpi_id = Path(name).stem.split("-by-")[0]
        for row in hostile.csv(Path(name).stem):
            member = row.get("member", row.get("community", ""))
            assert (row.get("kpi_id", kpi_id), member, row["period_start"], row["period_end"]) not in withheld, name


def test_a_value_is_not_told_by_what_it_is_compared_with(hostile: Made) -> None:
    values = {row["kpi_id"]: row for row in hostile.csv("values")}
    own = values["technical_writer.documentation_resources_published"]
    assert (own["value"], own["change"], own["before_value"], own["verdict"], own["target"]) == ("", "", "", "", "")
    other = values["developer_relations.developer_events_organised"]
    assert other["value"] == "1"
    assert (other["before_value"], other["change"], other["change_percent"]) == ("", "", "")


def test_hostile_names_are_text(hostile: Made) -> None:
    for name in HOSTILE:
        # A letter that no font of the machine has is drawn as a box.
        name = re.sub(r"[\u4e00-\U0010ffff]", "\0", name)
        drawn = re.sub(r"[\s\u200b]+", "", name)
        # What is longer than a column breaks anywhere.
        assert drawn in re.sub(r"[\s\u200b]+", "", hostile.text), name
    assert "Noted<b>for</b>*all*#panic()|readers" in hostile.text.replace(" ", "")
    cells = {row["community"] for row in hostile.csv("communities")}
    formula, command = HOSTILE[2], HOSTILE[4]
    assert {*HOSTILE, "'" + formula, "'" + command} - cells == {formula, command}
    for path in (hostile.folder / "data").iterdir():
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                assert not any(
                    re.match(r"[-=+@\t\r]", cell) and not re.fullmatch(r"-\d+(\.\d+)?", cell) for cell in row
                ), path


def test_markdown_shows_hostile_names_as_they_are(hostile: Made) -> None:
    """Nothing that has a meaning in Markdown is left bare in a cell of a community, and no row is broken."""
    lines = hostile.markdown.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| community |"))
    table = lines[start + 2 :][: lines[start:].index("") - 2]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table]
    assert {len(row) for row in cells} == {len(re.split(r"(?<!\\)\|", lines[start])) - 2}
    names = {row[0].strip() for row in cells}
    for name in HOSTILE:
        plain = name.replace("\n", " ")
        (cell,) = (cell for cell in names if unescaped(cell).strip() == plain.strip())
        assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|~$#&]", cell), cell
    assert hostile.markdown.startswith("# " + re.sub(r"([\\`*_\[\]<>|~$#&])", r"\\\1", HOSTILE[0]))


@pytest.mark.parametrize(
    ("quarter", "said"),
    [
        ("2026Q5", "a calendar quarter, such as 2026Q3"),
        ("2026Q4", "a quarter that hasn't begun (1 October to 31 December 2026)"),
        ("2019Q1", "a quarter without any value"),
    ],
)
def test_a_quarter_that_isnt_there_is_refused(pack: Made, quarter: str, said: str) -> None:
    done = kpi("report", "--data-dir", pack.published.parent, "--quarter", quarter)
    assert done.returncode == 2
    told = " ".join(done.stderr.split())
    assert f"--quarter {quarter}" in told or "--quarter" in told
    assert said in told
    assert "Traceback" not in told
    assert sorted(path.name for path in (pack.published / "packs").glob("[0-9]*")) == ["2026Q3"]


def test_without_any_value_for_outside_it_says_so(sample_data: Path, tmp_path: Path) -> None:
    data = copied(sample_data, tmp_path, "update kpi_definitions set audience = 'internal'")
    done = kpi("report", "--data-dir", data, "--quarter", "2026Q3")
    assert done.returncode == 2
    assert "no KPI that is published outside has a value" in " ".join(done.stderr.split())
    assert not (data / "published" / "packs" / "2026Q3").exists()


def test_without_anything_published_it_says_so(tmp_path: Path) -> None:
    done = kpi("report", "--data-dir", tmp_path, "--quarter", "2026Q3")
    assert done.returncode == 2
    assert "kpi run" in done.stderr


def test_a_running_quarter_is_to_date(sample_data: Path, tmp_path: Path) -> None:
    """As it would have been in the middle of August: nothing of it is told as if it were whole."""
    data = copied(
        sample_data,
        tmp_path,
        "update organisation set as_of = date '2026-08-14'",
        "delete from kpi_values where period_end > date '2026-08-14'",
        "insert into kpi_values select kpi_id, grain, member, date '2026-07-01', date '2026-08-14', 5, numerator, "
        "denominator, 5, 'to date', definition_hash, run_id, computed_at from kpi_values "
        "where kpi_id = 'technical_writer.documentation_resources_published' and grain = 'organisation' "
        "and period_end = date '2026-07-31'",
    )
    pack = made(data)
    ((people,),) = pack.rows(
        "select value from kpi_values where kpi_id = 'impact.monthly_active_users' and grain = 'organisation' "
        "and period_end = date '2026-08-14'"
    )
    first = pack.pages[0]
    assert "2026Q3 1 July to 30 September 2026, to 14 August 2026" in first
    assert f"Monthly active users {shown(people)} people the 30 days to 14 Aug 2026" in first
    assert "September 2026." not in pack.text.replace("30 September 2026.", "")
    assert re.search(r"Documentation published 5† – – ", pack.text)
    assert "to date: the period still runs" in pack.text
    assert "2026Q3 still runs: values are to date, up to 14 August 2026." in pack.text
    (row,) = (
        row for row in pack.csv("values") if row["kpi_id"] == "technical_writer.documentation_resources_published"
    )
    assert (row["value"], row["status"], row["change"]) == ("5", "to date", "")
    assert "to 14 August 2026" in pack.markdown.splitlines()[2]


def test_another_pack_leaves_the_first(pack: Made) -> None:
    before = contents(pack.folder)
    other = made(pack.published.parent, "2026Q2")
    ((people,),) = other.rows(
        "select value from kpi_values where kpi_id = 'impact.monthly_active_users' and grain = 'organisation' "
        "and period_end = date '2026-06-30'"
    )
    assert f"Monthly active users {shown(people)} people the 30 days to 30 Jun 2026" in other.pages[0]
    assert 4 <= len(other.pages) <= 6
    # Nothing after the quarter is in its data.
    for path in (other.folder / "data").glob("*[a-z].*[a-z]*.csv"):
        for row in other.csv(path.stem):
            assert row["period_end"] <= "2026-06-30", path
    assert contents(pack.folder) == before
