"""Wrong and awkward surveys, publications, declarations and charges: quarantined, or counted as documented."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from kpi_pipeline import catalog
from kpi_pipeline.contracts import RECORDS, opinion
from kpi_pipeline.identity import person_key
from kpi_pipeline.landing import Landing
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import opinion as stage
from kpi_pipeline.stages import raw
from kpi_pipeline.warehouse import Connection, run

from .organisation import FETCHED, SECRET, empty_warehouse

SURVEYS = "date,survey,kind,scale,community,respondent,score,themes"
CHARGES = "charge_id,community,contract,month,service_start,service_end,list_price,charged_price,currency"
PUBLICATIONS = "date,doi,title,kind,community,hub"
COMMUNITIES = "community,historically_marginalised,valid_from,valid_to,declared_by,self_declared"


class Drop:
    """Files are dropped, landed, loaded and staged, through the library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "warehouse.duckdb"
        path.write_bytes(empty_warehouse())
        self.con: Connection = duckdb.connect(str(path))
        self.landing = Landing(root / "landing")

    def put(self, source: str, header: str, *rows: str, name: str = "a.csv", at: datetime = FETCHED) -> None:
        self.put_text(source, "\n".join([header, *rows]) + "\n", name, at)

    def put_text(self, source: str, text: str, name: str, at: datetime = FETCHED) -> None:
        folder = self.root / source
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        self.landing.land(source, "table", list_files(source, folder), at)

    def run(self) -> None:
        for record in opinion.RECORDS:
            secret = SecretStr(SECRET) if record.personal else None
            raw.load(self.con, self.landing, RECORDS[record.source], secret, (self.root / record.source).exists())
        stage.stage_surveys(self.con)
        stage.stage_declarations(self.con)
        stage.count_works(self.con)
        stage.stage_charges(self.con, "USD")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[int | None, str]]:
        return self.query("select row, reason from raw.quarantine order by all")


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    made = Drop(tmp_path)
    yield made
    made.con.close()


GOOD_ANSWER = "2025-06-01,s,satisfaction,5,Reef,zz-alice,4,speed;gpu"
BAD_ANSWERS = {
    "2025-06-01,s,satisfaction,5,reef,zz-bobby,6,": "out_of_scale:score",
    "2025-06-01,s,satisfaction,5,reef,zz-bobby,0,": "out_of_scale:score",
    "2025-06-01,s,satisfaction,5,reef,zz-bobby,-1,": "out_of_scale:score",
    '2025-06-01,s,satisfaction,5,reef,zz-bobby,"4,5",': "invalid:score",
    "2025-06-01,s,satisfaction,5,reef,zz-bobby,4.5,": "invalid:score",
    "2025-06-01,s,satisfaction,5,reef,zz-bobby,good,": "invalid:score",
    "2025-06-01,s,satisfaction,5,reef,zz-bobby,,": "missing:score",
    "2025-06-01,s,satisfaction,10,reef,zz-bobby,9,": "wrong_scale",
    "2025-06-01,s,joy,5,reef,zz-bobby,4,": "invalid:kind",
    "2025-07-11,s,satisfaction,5,reef,zz-bobby,4,": "future:date",
    "01/06/2025,s,satisfaction,5,reef,zz-bobby,4,": "invalid:date",
    "2025-06-01,,satisfaction,5,reef,zz-bobby,4,": "missing:survey",
    f"2025-06-01,s,satisfaction,5,reef,zz-bobby,4,zz-bobby finds it {'very ' * 9}slow": "free_text:themes",
}


@pytest.mark.parametrize("row", BAD_ANSWERS)
def test_bad_answer(drop: Drop, row: str) -> None:
    drop.put("surveys", SURVEYS, GOOD_ANSWER, row)
    drop.run()
    assert drop.quarantine() == [(2, BAD_ANSWERS[row])]
    assert drop.query("select community, score, themes from facts.survey_answers") == [("reef", 4, ["gpu", "speed"])]
    assert "zz-bobby" not in str(drop.query("from raw.quarantine"))


QUESTIONS = "date,survey,kind,scale,community,respondent,score,subject,team"
GOOD_QUESTION = "2025-06-01,s,recommend,10,,zz-alice,10,product,"
BAD_QUESTIONS = {
    "2025-06-01,s,recommend,5,,zz-bobby,4,product,": "wrong_scale",
    "2025-06-01,s,acceptance,5,,zz-bobby,4,,mobile": "wrong_scale",
    "2025-06-01,s,satisfaction,10,,zz-bobby,4,product,": "wrong_scale",
    "2025-06-01,s,progress,0,,zz-bobby,0,,": "wrong_scale",
    "2025-06-01,s,progress,1001,,zz-bobby,0,,": "wrong_scale",
    "2025-06-01,s,recommend,10,,zz-bobby,11,product,": "out_of_scale:score",
    "2025-06-01,s,recommend,10,,zz-bobby,-1,product,": "out_of_scale:score",
    "2025-06-01,s,acceptance,10,,zz-bobby,11,,mobile": "out_of_scale:score",
    "2025-06-01,s,satisfaction,5,,zz-bobby,0,product,": "out_of_scale:score",
    "2025-06-01,s,progress,5,,zz-bobby,6,,": "out_of_scale:score",
    "2025-06-01,s,progress,5,,zz-bobby,-1,,": "out_of_scale:score",
    "2025-06-01,s,recommend,10,,zz-bobby,9,,": "missing:subject",
    "2025-06-01,s,recommend,10,,zz-bobby,9, ,mobile": "missing:subject",
    "2025-06-01,s,satisfaction,5,,zz-bobby,4,,mobile": "missing:subject",
    "2025-06-01,s,acceptance,10,,zz-bobby,9,product,": "missing:team",
    f"2025-06-01,s,recommend,10,,zz-bobby,9,zz-bobby finds it {'very ' * 9}slow,": "free_text:subject",
}


@pytest.mark.parametrize("row", BAD_QUESTIONS)
def test_bad_answer_to_a_question(drop: Drop, row: str) -> None:
    drop.put("surveys", QUESTIONS, GOOD_QUESTION, row)
    drop.run()
    assert drop.quarantine() == [(2, BAD_QUESTIONS[row])]
    assert drop.query("select kind, subject, score from facts.survey_answers") == [("recommend", "product", 10)]
    assert "zz-bobby" not in str(drop.query("from raw.quarantine"))


def test_the_ends_of_every_scale_are_answers(drop: Drop) -> None:
    ends = [
        *(f"2025-06-01,s,satisfaction,5,,,{score},product," for score in (1, 5)),
        *(f"2025-06-01,s,recommend,10,,,{score},product," for score in (0, 10)),
        *(f"2025-06-01,s,acceptance,10,,,{score},,mobile" for score in (0, 10)),
        *(f"2025-06-01,s,progress,7,,,{score},," for score in (0, 7)),
    ]
    drop.put("surveys", QUESTIONS, *ends)
    drop.run()
    assert drop.quarantine() == []
    assert drop.query("select count(*) from facts.survey_answers") == [(8,)]


def test_subjects_and_teams_in_any_spelling_are_one_and_a_part_counts_for_its_team(drop: Drop) -> None:
    drop.con.execute("insert into staged.teams values ('frontend design', 'frontend', ['frontend design', 'frontend'])")
    drop.put(
        "surveys",
        QUESTIONS,
        "2025-06-01,s,recommend,10,,,9,The  PRODUCT ,",
        "2025-06-01,s,acceptance,10,,,9,,Frontend  Design",
        "2025-06-01,s,acceptance,10,,,9,,elsewhere",
    )
    drop.run()
    assert drop.query("select subject, team, teams from facts.survey_answers order by _row") == [
        ("the product", None, None),
        (None, "frontend design", ["frontend design", "frontend"]),
        (None, "elsewhere", ["elsewhere"]),
    ]


def test_a_respondent_answers_each_question_once_but_a_team_lead_rates_every_internship(drop: Drop) -> None:
    drop.put(
        "surveys",
        QUESTIONS,
        GOOD_QUESTION,
        GOOD_QUESTION.replace(",10,product", ",3,Product"),
        GOOD_QUESTION.replace("product", "documentation"),
        GOOD_QUESTION.replace("recommend,10", "satisfaction,5").replace(",10,product", ",2,product"),
        "2025-06-01,s,progress,5,,zz-alice,4,,interns",
        "2025-06-01,s,progress,5,,zz-alice,4,,interns",
    )
    drop.run()
    assert drop.query("select kind, subject, score from facts.survey_answers order by all") == [
        ("progress", None, 4),
        ("progress", None, 4),
        ("recommend", "documentation", 10),
        ("recommend", "product", 3),
        ("satisfaction", "product", 2),
    ]


def test_an_answer_goes_back_to_the_invitation_to_its_question(drop: Drop) -> None:
    drop.put(
        "survey_invitations",
        "date,survey,community,invited,kind,subject,team",
        "2025-05-01,s,,5,recommend,Product,",
        "2025-05-02,s,,6,,product,",
        "2025-05-03,s,,7,,,",
        "2025-05-04,s,,8,acceptance,,mobile",
        "2025-05-05,s,,8,joy,,",
        "2025-05-05,s,,8,recommend,,",
        "2025-05-05,s,,8,,,mobile",
        "2025-05-05,s,,8,acceptance,,",
    )
    drop.put(
        "surveys",
        QUESTIONS,
        GOOD_QUESTION,
        "2025-06-01,s,satisfaction,5,,,4,product,",
        "2025-06-01,s,satisfaction,5,reef,,4,,",
        "2025-06-01,s,acceptance,10,,,4,,Mobile",
        "2025-06-01,s,acceptance,10,,,4,,backend",
    )
    drop.run()
    reasons = ["invalid:kind", "missing:subject", "missing:subject", "missing:team"]
    assert drop.quarantine() == list(enumerate(reasons, 5))
    days = drop.query("select invited_on::varchar from facts.survey_answers order by _row")
    assert days == [("2025-05-01",), ("2025-05-02",), ("2025-05-03",), ("2025-05-04",), (None,)]


SATISFACTION = "qualitative.community_satisfaction"


def test_only_satisfaction_without_a_subject_is_that_of_communities(drop: Drop) -> None:
    others = [
        GOOD_QUESTION,
        "2025-06-01,s,satisfaction,5,reef,,1,product,",
        "2025-06-01,s,acceptance,10,reef,,1,,mobile",
        "2025-06-01,s,progress,5,reef,,1,,",
    ]
    drop.put("surveys", QUESTIONS, *others, "2025-06-01,s,satisfaction,5,,,5,,")
    header = "date,survey,community,invited,kind,subject"
    drop.put("survey_invitations", header, "2025-05-01,s,,50,,product", "2025-06-01,s,,4,,")
    drop.run()
    drop.con.execute("insert into facts.periods values ('month', '2025-06-01', '2025-06-30', true)")
    drop.con.execute("insert into facts.periods values ('month', '2025-05-01', '2025-05-31', true)")
    measure = catalog.load().kpi(SATISFACTION).measure
    bound = {**measure.bound, "as_of": date(2025, 6, 30), "min_people": 3}
    found = run(drop.con, f"select grain, value, n from ({measure.formula}) order by all", bound)
    assert found == [
        ("organisation", 5, 1),
        ("organisation:response_rate", 25, 4),
        ("organisation:share_of_best", 100, 1),
    ]


def test_a_column_of_free_text_rejects_the_file(drop: Drop) -> None:
    drop.put("surveys", f"{SURVEYS},comment", f"{GOOD_ANSWER},zz-alice is happy")
    drop.run()
    assert drop.quarantine() == [(None, "wrong_columns")]


def test_a_respondent_becomes_a_key_and_may_be_missing(drop: Drop) -> None:
    drop.put(
        "surveys", SURVEYS, GOOD_ANSWER, "2025-06-01,s,satisfaction,5,reef,,4,", "2025-06-01,s,satisfaction,5,, ,2,"
    )
    drop.run()
    assert drop.quarantine() == []
    keys = [row[0] for row in drop.query("select person_key from facts.survey_answers order by _row")]
    assert keys == [person_key(SecretStr(SECRET), "surveys", "zz-alice"), None, None]
    drop.con.execute("checkpoint")
    assert b"zz-alice" not in (drop.root / "warehouse.duckdb").read_bytes()


def test_the_last_answer_of_a_respondent_counts_and_anonymous_ones_all_do(drop: Drop) -> None:
    anonymous = "2025-06-01,s,satisfaction,5,reef,,3,"
    drop.put("surveys", SURVEYS, GOOD_ANSWER, anonymous, anonymous, name="a.csv")
    drop.put("surveys", SURVEYS, GOOD_ANSWER.replace("zz-alice,4", "ZZ-Alice ,1"), name="b.csv")
    drop.run()
    assert drop.query("select score from facts.survey_answers order by score") == [(1,), (3,), (3,)]


def test_an_answer_goes_back_to_one_invitation(drop: Drop) -> None:
    drop.put(
        "survey_invitations",
        "date,survey,community,invited",
        *(
            "2025-05-01,s,reef,5",
            "2025-05-20,S, Reef,5",
            "2025-05-25,s,,90",
            "2025-06-02,s,reef,5",
            "2025-05-01,t,reef,-1",
        ),
    )
    drop.put(
        "surveys", SURVEYS, GOOD_ANSWER, "2025-06-01,s,satisfaction,5,kelp,,4,", "2025-04-01,s,satisfaction,5,kelp,,4,"
    )
    drop.run()
    assert drop.quarantine() == [(5, "negative:invited")]
    found = drop.query(
        "select community, invited_on::varchar, invited_community from facts.survey_answers order by all"
    )
    assert found == [("kelp", "2025-05-25", None), ("kelp", None, None), ("reef", "2025-05-20", "reef")]


SAME_WORK = (
    '2025-03-01,10.1234/ABC.d,"Tides, & Tables",publication,Reef,',
    "2025-03-02,https://doi.org/10.1234/abc.D,Tides & tables,publication,kelp; reef,",
    "2025-03-03,doi:10.1234/abc.d.,TIDES  TABLES,publication,,",
    "2025-03-04,http://dx.doi.org/10.1234/abc.d..,Tides: tables!,publication,,",
    "2025-04-04,,Tides tables,publication,,",
)


def test_one_work_in_many_spellings_is_one(drop: Drop) -> None:
    drop.put("publications", PUBLICATIONS, *SAME_WORK)
    drop.run()
    found = drop.query("select doi, date::varchar, title, communities, reports, contents from facts.works")
    assert found == [("10.1234/abc.d", "2025-03-01", "Tides, & Tables", ["kelp", "reef"], 5, 1)]


def test_other_works_stay_apart(drop: Drop) -> None:
    """Another DOI, another kind without one, another year."""
    drop.put(
        "publications",
        PUBLICATIONS,
        *("2025-03-01,10.1234/a,Tides,publication,,", "2025-03-01,10.1234/b,Tides,publication,,"),
        *("2025-03-01,,Tides,presentation,,", "2024-03-01,,Tides,publication,,", "2024-03-01,,データ,publication,,"),
    )
    drop.run()
    assert len(drop.query("from facts.works")) == 5


def test_one_doi_with_different_content_counts_once_and_is_noticed(drop: Drop) -> None:
    drop.put(
        "publications",
        PUBLICATIONS,
        "2025-03-02,10.1234/a,Sand,presentation,,",
        "2025-03-01,10.1234/A,Tides,publication,,",
    )
    drop.run()
    assert drop.query("select title, kind, reports, contents from facts.works") == [("Tides", "publication", 2, 2)]


BAD_PUBLICATIONS = {
    "2025-03-01,to follow,Tides,publication,,": "invalid:doi",
    "2025-03-01,10.12/x,Tides,publication,,": "invalid:doi",
    "2025-03-01,,,publication,,": "missing:title",
    "2025-03-01,,Tides,rumour,,": "invalid:kind",
    "2025-08-01,,Tides,publication,,": "future:date",
}


@pytest.mark.parametrize("row", BAD_PUBLICATIONS)
def test_bad_publication(drop: Drop, row: str) -> None:
    drop.put("publications", PUBLICATIONS, row)
    drop.run()
    assert (drop.quarantine(), drop.query("from facts.works")) == ([(1, BAD_PUBLICATIONS[row])], [])


def test_a_hub_stands_for_its_communities(drop: Drop) -> None:
    """On the day of the work, or before it where the hub is gone."""
    drop.con.execute(
        "insert into staged.hubs (hub_id, from_day, to_day, cluster, hub, display_name, environment, kind, hub_type, "
        "communities, identity_issuer, _file, _row) values ('c/h', '2024-01-01', '2025-01-01', 'c', 'h', 'H', "
        "'production', 'hub', 'other', ['old'], 'c', 'f', 1), ('c/h', '2025-01-01', '2025-02-01', 'c', 'h', 'H', "
        "'production', 'hub', 'other', ['new', 'old'], 'c', 'f', 2)"
    )
    drop.put(
        "publications",
        PUBLICATIONS,
        "2024-05-01,,A,publication,,c/h",
        "2025-05-01,,B,publication,,c/h",
        "2025-05-01,,C,publication,,c/x",
    )
    drop.run()
    assert drop.query("select communities from facts.works order by title") == [(["old"],), (["new", "old"],), ([],)]


GOOD_CHARGE = "1,reef,,2025-03,,,100.00,80.00,USD"
BAD_CHARGES = {
    "2,reef,,2025-03,,,-1,0,USD": "negative:list_price",
    "2,reef,,2025-03,,,1,-0.01,USD": "negative:charged_price",
    '2,reef,,2025-03,,,"1,50",0,USD': "invalid:list_price",
    "2,reef,,2025-03,,,1e3,0,USD": "invalid:list_price",
    "2,reef,,2025-03,,,$5,0,USD": "invalid:list_price",
    "2,reef,,2025-03,,,1.00000000001,0,USD": "invalid:list_price",
    "2,reef,,2025-03,,,1.005,0,USD": "fraction_of_a_cent",
    "2,reef,,2025-03,,,,0,USD": "missing:list_price",
    "2,reef,,2025-13,,,1,0,USD": "invalid:month",
    "2,reef,,,2025-03-01,,1,0,USD": "no_service_dates",
    "2,reef,,2025-03,2025-03-01,2025-03-02,1,0,USD": "month_and_service_dates",
    "2,reef,,,2025-03-02,2025-03-01,1,0,USD": "ends_before_it_begins",
    "2,reef,,,2025-03-02,2125-03-01,1,0,USD": "service_too_long",
    "2,,,2025-03,,,1,0,USD": "no_community_or_contract",
    "2,reef,,2025-03,,,1,0,EUR": "other_currency",
    "2,reef,,2025-03,,,1,0,": "missing:currency",
    "1,reef,,2025-03,,,100.00,70.00,USD": "contradicts_earlier",
}


@pytest.mark.parametrize("row", BAD_CHARGES)
def test_bad_charge(drop: Drop, row: str) -> None:
    drop.put("charges", CHARGES, GOOD_CHARGE, row)
    drop.run()
    stage.stage_charges(drop.con, "USD")
    assert drop.quarantine() == [(2, BAD_CHARGES[row])]
    assert drop.query("select reduction from facts.cost_reductions") == [(Decimal(20),)]


def test_a_charge_that_is_repeated_counts_once(drop: Drop) -> None:
    drop.put("charges", CHARGES, GOOD_CHARGE, GOOD_CHARGE.replace("100.00", "100"))
    drop.run()
    assert drop.quarantine() == []
    assert drop.query("select sum(reduction) from facts.cost_reductions") == [(Decimal(20),)]


def test_a_charge_above_the_list_price_is_a_negative_reduction(drop: Drop) -> None:
    drop.put("charges", CHARGES, ",reef,,,2025-03-30,2025-04-01,10.00,11.00,usd")
    drop.run()
    found = drop.query("select month::varchar, reduction from facts.cost_reductions order by month")
    assert found == [("2025-03-01", Decimal("-0.67")), ("2025-04-01", Decimal("-0.33"))]


def test_a_contract_may_end_in_the_future(drop: Drop) -> None:
    drop.put("charges", CHARGES, ",,C-1,,2025-07-01,2026-06-30,365.00,0.00,USD")
    drop.run()
    assert drop.quarantine() == []
    assert drop.query("select count(*), sum(reduction) from facts.cost_reductions") == [(12, Decimal(365))]


def test_prices_in_json_are_text(drop: Drop) -> None:
    good = {"community": "reef", "month": "2025-03", "list_price": "10.10", "charged_price": 10, "currency": "USD"}
    drop.put_text("charges", json.dumps([good, {**good, "list_price": 10.1}]), "a.json")
    drop.run()
    assert drop.quarantine() == [(2, "wrong_type:list_price")]
    assert drop.query("select reduction from facts.cost_reductions") == [(Decimal("0.1"),)]


BAD_DECLARATIONS = {
    "reef,maybe,2025-01-01,,community,2025-01-01": "invalid:historically_marginalised",
    "reef,yes,2025-01-01,,other,2025-01-01": "not_self_declared",
    "reef,yes,2025-01-01,,zz-alice,2025-01-01": "invalid:declared_by",
    "reef,yes,2025-01-01,,community,": "missing:self_declared",
    "reef,yes,2025-01-02,2025-01-01,community,2025-01-01": "ends_before_it_begins",
    ",yes,2025-01-01,,community,2025-01-01": "missing:community",
}


@pytest.mark.parametrize("row", BAD_DECLARATIONS)
def test_bad_declaration(drop: Drop, row: str) -> None:
    drop.put("communities", COMMUNITIES, row)
    drop.run()
    assert (drop.quarantine(), drop.query("from staged.community_declarations")) == ([(1, BAD_DECLARATIONS[row])], [])


def test_of_overlapping_declarations_the_last_one_holds(drop: Drop) -> None:
    """Yes from January; in March they say no for April to June."""
    drop.put(
        "communities",
        COMMUNITIES,
        "Reef,no,2025-04-01,2025-07-01,community,2025-03-01",
        "reef,yes,2025-01-01,,community,2025-01-01",
    )
    drop.run()
    assert drop.query("select from_day, to_day, is_marginalised from staged.community_declarations order by all") == [
        (date(2025, 1, 1), date(2025, 4, 1), True),
        (date(2025, 4, 1), date(2025, 7, 1), False),
        (date(2025, 7, 1), date(9999, 12, 31), True),
    ]
