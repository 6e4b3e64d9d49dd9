"""Wrong and awkward lists of integrations, partners, channels and so on: quarantined, or counted as documented."""

import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kpi_pipeline.contracts import RECORDS, outreach
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import outreach as stage
from kpi_pipeline.stages import raw
from kpi_pipeline.stages.checks import CHECKS, evaluate
from kpi_pipeline.stages.checks.outreach import CONTRACT_CHECKED
from kpi_pipeline.warehouse import Connection

from .organisation import AS_OF, FETCHED, empty_warehouse

HEADERS = {
    "integrations": "date,kind,name,url",
    "partners": "partner,kind,established_on,onboarded_on,building_from,building_to,ended_on",
    "collaborations": "project,kind,began_on,ended_on,url",
    "channels": "channel,platform,created_on,closed_on",
    "events": "event,kind,date,attendees",
    "documents": "resource,title,kind,date,action",
}
GOOD = {
    "integrations": "2025-06-01,sdk,Tides,",
    "partners": "Reef,adopter,2025-06-01,2025-06-02,2025-06-01,,",
    "collaborations": "reef/coral,code,2025-06-01,,",
    "channels": "Help,Zulip,2025-06-01,",
    "events": "Hub night,meetup,2025-06-01,12",
    "documents": "docs/install,,documentation,2025-06-01,created",
}
TABLES = dict(zip(HEADERS, CONTRACT_CHECKED, strict=True))


class Drop:
    """Files are dropped, landed, loaded and made facts of, through the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con: Connection = duckdb.connect(str(path))
        self.landing = Landing(root / "landing")

    def put(self, source: str, *rows: str, name: str = "a.csv", at: datetime = FETCHED, header: str = "") -> None:
        folder = self.root / source
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([header or HEADERS[source], *rows]) + "\n")
        self.land(source, at)

    def take_away(self, source: str, name: str, at: datetime) -> None:
        (self.root / source / name).unlink()
        self.land(source, at)

    def land(self, source: str, at: datetime) -> None:
        self.landing.land(source, "table", list_files(source, self.root / source), at)

    def run(self) -> None:
        for record in outreach.RECORDS:
            raw.load(self.con, self.landing, RECORDS[record.source], None, (self.root / record.source).exists())
        stage.make_facts(self.con)
        for check in CHECKS:
            if check.table in CONTRACT_CHECKED and check.severity == "ERROR":
                assert evaluate(self.con, check, {"as_of": AS_OF}).passed, check.name

    def warnings(self) -> list[str]:
        mine = [check for check in CHECKS if check.table in CONTRACT_CHECKED]
        return [check.name for check in mine if not evaluate(self.con, check, {"as_of": AS_OF}).passed]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[int | None, str]]:
        return self.query("select row, reason from raw.quarantine order by all")

    def count(self, source: str) -> int:
        return len(self.query(f"from {TABLES[source]}"))


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    made = Drop(tmp_path)
    yield made
    made.con.close()


# Files were fetched on 10 July 2025.
BAD = {
    ("integrations", "2025-06-01,app,Sand,"): "invalid:kind",
    ("integrations", "2025-06-01,sdk,,"): "missing:name",
    ("integrations", "2025-06-01,sdk,   ,"): "missing:name",
    ("integrations", ",sdk,Sand,"): "missing:date",
    ("integrations", "2025-02-30,sdk,Sand,"): "invalid:date",
    ("integrations", "2025-07-11,sdk,Sand,"): "future:date",
    ("integrations", "2025-06-01,sdk,Sand, v2,x"): "wrong_column_count",
    ("partners", "Kelp,friend,2025-06-01,,,,"): "invalid:kind",
    ("partners", ",adopter,2025-06-01,,,,"): "missing:partner",
    ("partners", "Kelp,adopter,,2025-06-01,,,"): "missing:established_on",
    ("partners", "Kelp,adopter,2025-07-11,,,,"): "future:established_on",
    ("partners", "Kelp,adopter,2025-06-01,2025-07-11,,,"): "future:onboarded_on",
    ("partners", "Kelp,adopter,2025-06-01,soon,,,"): "invalid:onboarded_on",
    ("partners", "Kelp,adopter,2025-06-01,,2025-07-11,,"): "future:building_from",
    ("partners", "Kelp,adopter,2025-06-01,,2025-06-03,2025-06-02,"): "ends_before_it_begins",
    ("partners", "Kelp,adopter,2025-06-01,,,,2025-05-31"): "ends_before_it_begins",
    ("partners", "Kelp,adopter,2025-06-01,,,2025-06-02,"): "incomplete_building_period",
    ("partners", "Kelp,adopter,2025-06-01,2025-05-31,,,"): "onboarded_outside_partnership",
    ("partners", "Kelp,adopter,2025-06-01,2025-06-03,,,2025-06-02"): "onboarded_outside_partnership",
    ("collaborations", "reef/kelp,mining,2025-06-01,,"): "invalid:kind",
    ("collaborations", ",code,2025-06-01,,"): "missing:project",
    ("collaborations", "reef/kelp,code,2025-07-11,,"): "future:began_on",
    ("collaborations", "reef/kelp,code,2025-06-01,2025-05-31,"): "ends_before_it_begins",
    ("channels", ",zulip,2025-06-01,"): "missing:channel",
    ("channels", "Kelp,,2025-06-01,"): "missing:platform",
    ("channels", "Kelp,zulip,2025-07-11,"): "future:created_on",
    ("channels", "Kelp,zulip,2025-06-01,2025-07-11"): "future:closed_on",
    ("channels", "Kelp,zulip,2025-06-01,2025-05-31"): "ends_before_it_begins",
    ("events", "Sand day,party,2025-06-01,"): "invalid:kind",
    ("events", ",meetup,2025-06-01,"): "missing:event",
    ("events", "Sand day,meetup,2025-07-11,"): "future:date",
    ("events", "Sand day,meetup,2025-06-01,-1"): "negative:attendees",
    ("events", "Sand day,meetup,2025-06-01,about 20"): "invalid:attendees",
    ("documents", ",,documentation,2025-06-01,created"): "missing:resource",
    ("documents", "docs/a,,blog,2025-06-01,created"): "invalid:kind",
    ("documents", "docs/a,,documentation,2025-06-01,deleted"): "invalid:action",
    ("documents", "docs/a,,documentation,2025-07-11,updated"): "future:date",
}


@pytest.mark.parametrize(("source", "row"), BAD, ids=[f"{s}-{n}-{r}" for n, ((s, _), r) in enumerate(BAD.items())])
def test_bad_row(drop: Drop, source: str, row: str) -> None:
    drop.put(source, GOOD[source], row)
    drop.run()
    assert drop.quarantine() == [(2, BAD[source, row])]
    assert drop.count(source) == 1


def test_ends_may_lie_ahead(drop: Drop) -> None:
    drop.put("partners", "Reef,sponsor,2025-06-01,2025-06-02,2025-06-02,2026-01-01,2026-06-01")
    drop.put("collaborations", "reef/coral,code,2025-06-01,2026-06-01,")
    drop.run()
    assert (drop.quarantine(), drop.count("partners"), drop.count("collaborations")) == ([], 1, 1)


def test_what_begins_and_ends_on_one_day_is_right(drop: Drop) -> None:
    drop.put("partners", "Reef,sponsor,2025-06-01,2025-06-01,2025-06-01,2025-06-01,2025-06-01")
    drop.put("channels", "Help,zulip,2025-06-01,2025-06-01")
    drop.run()
    assert drop.quarantine() == []


@pytest.mark.parametrize("source", HEADERS)
def test_a_list_without_optional_columns_is_right(drop: Drop, source: str) -> None:
    needed = [column.name for column in RECORDS[source].columns if not column.optional]
    values = dict(zip(HEADERS[source].split(","), GOOD[source].split(","), strict=True))
    drop.put(source, ",".join(values[name] for name in needed), header=",".join(needed))
    drop.run()
    assert (drop.quarantine(), drop.count(source)) == ([], 1)


@pytest.mark.parametrize("source", HEADERS)
def test_an_unknown_column_rejects_the_file(drop: Drop, source: str) -> None:
    drop.put(source, f"{GOOD[source]},zz-alice", header=f"{HEADERS[source]},contact")
    drop.run()
    assert (drop.quarantine(), drop.count(source)) == ([(None, "wrong_columns")], 0)


SPELLINGS = ("KÜSTE  LABS", " küste labs ", "Küste\N{NO-BREAK SPACE}Labs", unicodedata.normalize("NFD", "Küste Labs"))
# Where the name stands in a row of each source, and what else a name of its own needs to be another thing.
ROWS = {
    "integrations": "{day},sdk,{name},",
    "partners": "{name},adopter,{day},,,,",
    "collaborations": "{name},code,{day},,",
    "channels": "{name},zulip,{day},",
}


@pytest.mark.parametrize("spelling", SPELLINGS, ids=["capitals", "spaces", "no-break space", "decomposed"])
@pytest.mark.parametrize("source", [*ROWS, "events", "documents"])
def test_one_name_in_two_spellings_is_one(drop: Drop, source: str, spelling: str) -> None:
    row = (
        ROWS.get(source)
        or {"events": "{name},meetup,{day},", "documents": "{name},,documentation,{day},updated"}[source]
    )
    drop.put(source, *(row.format(name=name, day="2025-06-01") for name in ("Küste Labs", spelling)))
    drop.run()
    assert (drop.quarantine(), drop.count(source), drop.warnings()) == ([], 1, [])


@pytest.mark.parametrize("source", ["integrations", "collaborations", "channels"])
def test_the_earliest_day_counts_in_whatever_order(drop: Drop, source: str) -> None:
    for name, days in {"a.csv": ("2025-06-05", "2025-06-03"), "b.csv": ("2025-06-04",)}.items():
        drop.put(source, *(ROWS[source].format(name="Sand", day=day) for day in days), name=name)
    drop.run()
    assert drop.query(f"select date from {TABLES[source]}") == [(date(2025, 6, 3),)]


APART = {
    "integrations": ("2025-06-01,sdk,Tides,", "2025-06-01,plugin,Tides,", "2025-06-01,sdk,Tides++,"),
    "partners": ("Reef,adopter,2025-06-01,,,,", "Reef Labs,adopter,2025-06-01,,,,", "R.E.E.F.,adopter,2025-06-01,,,,"),
    "collaborations": ("a/coral,code,2025-06-01,,", "b/coral,code,2025-06-01,,", "coral,code,2025-06-01,,"),
    "channels": ("Help,zulip,2025-06-01,", "Help,matrix,2025-06-01,", "#help,zulip,2025-06-01,"),
    "events": ("Night,meetup,2025-06-01,", "Night,meetup,2025-06-02,", "Day,meetup,2025-06-01,"),
    "documents": (
        "docs/a,,documentation,2025-06-01,created",
        "docs/a,,documentation,2025-06-01,updated",
        "docs/a/b,,documentation,2025-06-01,created",
    ),
}


@pytest.mark.parametrize("source", APART)
def test_what_is_not_the_same_stays_apart(drop: Drop, source: str) -> None:
    """Another kind, platform or day; and another name, were it by punctuation alone."""
    drop.put(source, *APART[source])
    drop.run()
    assert drop.count(source) == 3


def test_the_kind_of_a_collaboration_is_what_it_began_as(drop: Drop) -> None:
    drop.put("collaborations", "reef/coral,documentation,2025-06-05,,", "Reef/Coral,code,2025-06-01,2025-06-04,")
    drop.run()
    assert drop.query("select kind from facts.collaborations") == [("code",)]


def test_of_several_rows_of_a_partner_and_a_day_the_last_counts(drop: Drop) -> None:
    drop.put("partners", "REEF,other,2025-06-01,,,,", name="b.csv")
    drop.put("partners", "Reef,adopter,2025-06-01,2025-06-02,,,", "reef,sponsor,2025-06-01,,,,", name="a.csv")
    drop.run()
    assert drop.query("select kind, onboarded_on from facts.partnerships") == [("other", None)]


def test_a_partner_that_came_back_has_two_rows_and_one_that_is_there_twice_is_noticed(drop: Drop) -> None:
    drop.put("partners", "Reef,adopter,2025-01-01,,,,2025-03-01", "Reef,sponsor,2025-03-01,,,,")
    drop.run()
    assert (drop.count("partners"), drop.warnings()) == (2, [])
    drop.put("partners", "Reef,adopter,2025-01-01,,,,", "reef,adopter,2025-01-02,,,,", at=FETCHED + timedelta(days=1))
    drop.run()
    assert (drop.count("partners"), drop.warnings()) == (2, ["partnerships_follow_each_other"])


def test_an_event_is_of_the_kind_that_its_last_row_says(drop: Drop) -> None:
    drop.put("events", "Night,meetup,2025-06-01,", "NIGHT,workshop,2025-06-01,")
    drop.run()
    assert drop.query("select date, event, kind from facts.developer_events") == [
        (date(2025, 6, 1), "night", "workshop")
    ]


RESOURCES = ("Docs/Install/", "docs/install", "docs/install// ", "DOCS/INSTALL")


def test_slashes_at_the_end_of_a_resource_do_not_matter(drop: Drop) -> None:
    drop.put("documents", *(f"{name},,documentation,2025-06-01,updated" for name in (*RESOURCES, "/", "//")))
    drop.run()
    assert drop.query("select resource from facts.document_changes order by all") == [("/",), ("docs/install",)]


def test_a_resource_that_is_created_twice_is_noticed(drop: Drop) -> None:
    drop.put("documents", GOOD["documents"], "docs/install/,,knowledgebase,2025-06-02,created")
    drop.run()
    assert drop.warnings() == ["resources_are_created_once"]


@pytest.mark.parametrize("source", HEADERS)
def test_what_is_taken_off_a_list_is_gone_but_what_was_written_stays(drop: Drop, source: str) -> None:
    drop.put(source, GOOD[source], name="a.csv")
    drop.put(source, name="b.csv")
    drop.run()
    assert drop.count(source) == 1
    drop.take_away(source, "a.csv", FETCHED + timedelta(days=1))
    drop.run()
    assert drop.count(source) == (1 if source == "documents" else 0)


@pytest.mark.parametrize("source", HEADERS)
def test_a_corrected_file_replaces_its_rows(drop: Drop, source: str) -> None:
    drop.put(source, GOOD[source])
    drop.run()
    drop.put(source, at=FETCHED + timedelta(days=1))
    drop.run()
    assert drop.count(source) == 0
