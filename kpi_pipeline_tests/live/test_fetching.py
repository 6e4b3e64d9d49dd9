"""The rules of a fetch, one by one, on a source in memory: no vendor's pages, and no HTTP."""

import errno
import json
import re
import resource
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from kpi_pipeline import fetching
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.errors import BudgetSpentError, LandingError, RefusedError, SourceError, UnreachableError
from kpi_pipeline.fetching import NOT_LISTED, PARTS
from kpi_pipeline.landing import Landing, PartState, content_of, journal, zone
from kpi_pipeline.sources.transport import BadAnswerError, Budget
from kpi_pipeline.stages import parts
from kpi_pipeline.warehouse import create_tables, sql
from kpi_pipeline_tests.live.fetched import TOKEN, Killed, TurnedClock, failing_after, full_after, killed_after, utc
from kpi_pipeline_tests.live.in_memory import KIND, SINCE, SOURCE, Begun, InMemory, Runs, holding

NIGHT = utc(2026, 3, 10, 2, 30)
YESTERDAY = date(2026, 3, 9)
DAY = timedelta(days=1)
FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

DOWN = UnreachableError("source github: /x", got="status 502", expected="an answer", fix="Look whether it is well.")
REFUSED = RefusedError("source github: /x", got="status 404", expected="an answer", fix="Mend its name.")
FULL = OSError(errno.ENOSPC, "No space left on device")
SPENT = BudgetSpentError("budget", got="9 requests", expected="what kpi.toml allows a run", fix="The next run goes on.")
WRONG = SourceError("source github: /x", got="a next page that loops", expected="an end", fix="Look.")


def dies() -> None:
    raise Killed


def raising(error: BaseException) -> Callable[..., Any]:
    """Whatever it is called with."""

    def call(*_: object, **__: object) -> None:
        raise error

    return call


def runs(folder: Path, **counts: int) -> tuple[Runs, InMemory]:
    """Runs of a source whose parts have so many pages; the first of them at night."""
    source = holding(TurnedClock(NIGHT), **counts)
    return Runs(folder, source), source


def near(moment: object) -> object:
    """The moment itself, or the seconds that a test takes later."""
    return pytest.approx(moment, abs=timedelta(minutes=2))


# --- What a fetch is


def test_what_is_new_of_each_part_is_landed_as_one_fetch(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=2, kelp=1)
    source.list_pages = 1
    outcome = fetched.fetch()
    assert source.asked == [
        (PARTS, "list 0"), ("coral", "count"), ("coral", "page 0"), ("coral", "page 1"), ("kelp", "count"),
        ("kelp", "page 0"),
    ]  # fmt: skip
    assert fetched.landed() == {"coral/0": "coral 0", "coral/1": "coral 1", "kelp/0": "kelp 0"}
    assert (outcome.parts, outcome.finished) == (("coral", "kelp"), ("coral", "kelp"))
    assert (outcome.problems, outcome.unfinished, outcome.notes) == ({}, (), {})
    assert (outcome.requests, outcome.pages, outcome.rows, outcome.bytes) == (6, 3, 30, 7 + 7 + 6)
    state = fetched.states()["coral"]
    assert state == PartState(started_at=state.started_at, cursor={"pages": 2}, covered=((SINCE, YESTERDAY),))
    assert state.started_at == near(NIGHT)

    fetched.clock.turn(days=1)
    source.asked.clear()
    source.pages["kelp"].append("kelp, and more")
    assert fetched.fetch().pages == 1
    assert source.asked == [(PARTS, "list 0"), ("coral", "count"), ("kelp", "count"), ("kelp", "page 1")]
    assert fetched.landed() == source.all_pages()
    begun = source.begun[-1]
    assert begun == Begun("kelp", begun.started_at, {"pages": 1}, ((SINCE, YESTERDAY),))
    assert begun.started_at == near(NIGHT + DAY)


def test_of_two_answers_of_one_name_the_second_counts(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=3)
    source.name = lambda part, n: f"{part}/{min(n, 1)}"
    assert fetched.fetch().pages == 2
    assert fetched.landed() == {"coral/0": "coral 0", "coral/1": "coral 2"}


def test_how_far_parts_are_is_in_the_newest_manifest_only(tmp_path: Path) -> None:
    """Hundreds of parts, night after night, would be megabytes that nobody reads."""
    fetched, _ = runs(tmp_path, coral=1)
    for _ in range(3):
        fetched.fetch()
        fetched.clock.turn(days=1)
    assert [list(manifest.parts) for manifest in fetched.landing.manifests(SOURCE)] == [[], [], ["coral"]]


def test_a_glance_keeps_nothing() -> None:
    """What `kpi doctor` asks is asked again by the next run."""
    source = holding(TurnedClock(NIGHT), coral=1)
    source.list_pages = 2
    glance = fetching.Glance(NIGHT, Budget(TurnedClock(NIGHT), 3))
    (seen,) = source.examine(glance)
    assert (seen.words, glance.budget.spent) == ("1 parts", 2)
    with pytest.raises(BudgetSpentError):
        [*source.examine(glance)]
    assert source.of(PARTS) == ["list 0", "list 1", "list 0"]
    with glance.aside(".csv") as path:
        path.write_bytes(b"large")
    assert not path.exists()


# --- A first fetch of which nothing comes


@pytest.mark.parametrize("wrong", [WRONG, BadAnswerError("no number"), KeyError("pages")], ids=["ours", "shape", "bug"])
def test_a_first_fetch_in_vain_is_an_error_and_the_next_one_asks_everything_anew(
    wrong: Exception, tmp_path: Path
) -> None:
    """What was answered may be what is wrong: of that nothing is kept, or it would be wrong for ever."""
    fetched, source = runs(tmp_path, coral=2, kelp=1)
    source.list_pages = 1
    source.after = {("coral", "page 1"): wrong, ("kelp", "page 0"): wrong}
    with pytest.raises(SourceError, match=r"got 2 problem\(s\), and nothing else: coral: .* kelp: "):
        fetched.fetch()
    assert fetched.landing.newest(SOURCE) is None
    first, source.asked, source.after = source.asked, [], {}
    source.pages = {"coral": ["mended", "as well"], "kelp": ["and here"]}
    fetched.fetch()
    assert source.asked == first
    assert fetched.landed() == {"coral/0": "mended", "coral/1": "as well", "kelp/0": "and here"}


def test_a_first_fetch_of_what_is_down_goes_on_with_what_came(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=3)
    source.list_pages = 1
    source.instead = {("coral", "page 2"): DOWN}
    with pytest.raises(SourceError, match=r"got 1 problem\(s\), and nothing else: coral: .*status 502"):
        fetched.fetch()
    source.instead, source.asked = {}, []
    fetched.clock.turn(hours=1)
    fetched.fetch()
    assert source.asked == [(PARTS, "list 0"), ("coral", "page 2")]
    assert fetched.landed() == source.all_pages()
    assert fetched.states()["coral"].started_at == near(NIGHT)


def test_of_many_problems_some_are_shown(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, a=1, b=1, c=1, d=1)
    source.instead = {(part, "count"): REFUSED for part in "abcd"}
    with pytest.raises(SourceError) as caught:
        fetched.fetch()
    assert caught.value.got.startswith("4 problem(s), and nothing else: a: ")
    assert caught.value.got.count("status 404") == 3


@pytest.mark.parametrize("wrong", [DOWN, WRONG, OSError("no such folder")], ids=["down", "wrong", "bug"])
def test_a_list_that_never_came(wrong: Exception, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1)
    source.list_pages = 2
    source.instead = {(PARTS, "list 1"): wrong}
    with pytest.raises(SourceError, match=r"got 1 problem\(s\), and nothing else: \(parts\): "):
        fetched.fetch()
    source.instead, source.asked = {}, []
    fetched.fetch()
    assert source.of(PARTS) == ["list 0", "list 1"]
    assert fetched.landed() == source.all_pages()


def test_a_list_of_nothing(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path)
    source.list_pages = 1
    with pytest.raises(SourceError, match="the source lists nothing"):
        fetched.fetch()


def test_one_that_is_refused_while_another_is_under_way_is_no_fetch_in_vain(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=3, kelp=1)
    source.instead = {("coral", "count"): REFUSED}
    fetched.requests = 2
    outcome = fetched.fetch()
    assert (outcome.finished, outcome.unfinished, sorted(outcome.problems)) == ((), ("kelp",), ["coral"])
    assert "status 404" in fetched.problems()["coral"]
    assert fetched.fetch().finished == ("kelp",)
    assert source.of("kelp") == ["count", "page 0"]


# --- Parts that fail


def test_a_part_that_fails_stays_as_it_was_and_holds_nobody_up(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    fetched.fetch()
    before = fetched.states()["coral"]
    for pages in source.pages.values():
        pages.append(f"{pages[0]}, and more")
    source.instead = {("coral", "page 1"): REFUSED}
    fetched.clock.turn(days=1)
    outcome = fetched.fetch()
    assert (outcome.finished, outcome.unfinished, list(outcome.problems)) == (("kelp",), (), ["coral"])
    state = fetched.states()["coral"]
    assert state.problem == str(REFUSED) == outcome.problems["coral"]
    assert (state.started_at, state.cursor, state.covered) == (before.started_at, before.cursor, before.covered)
    assert fetched.landed() == {"coral/0": "coral 0", "kelp/0": "kelp 0", "kelp/1": "kelp 0, and more"}


@pytest.mark.parametrize(("wrong", "goes_on"), [(DOWN, True), (REFUSED, False), (WRONG, False), (KeyError("x"), False)])
def test_answers_are_of_use_only_where_nothing_was_wrong_with_them(
    wrong: Exception, goes_on: bool, tmp_path: Path
) -> None:
    fetched, source = runs(tmp_path, coral=0, kelp=0)
    fetched.fetch()
    source.pages["coral"] = ["0", "1"]
    source.instead = {("coral", "page 1"): wrong}
    fetched.fetch()
    source.instead, source.asked = {}, []
    fetched.fetch()
    assert source.of("coral") == (["page 1"] if goes_on else ["count", "page 0", "page 1"])
    assert fetched.landed() == {"coral/0": "0", "coral/1": "1"}


def test_everything_fails_and_what_was_there_stays(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    fetched.fetch()
    landed = fetched.landed()
    source.instead = {("coral", "count"): DOWN, ("kelp", "count"): REFUSED}
    fetched.clock.turn(days=1)
    assert fetched.fetch().finished == ()
    assert sorted(fetched.problems()) == ["coral", "kelp"]
    source.list_pages, source.instead = 1, {(PARTS, "list 0"): WRONG}
    fetched.clock.turn(days=1)
    outcome = fetched.fetch()
    assert outcome.problems == fetched.problems() == {"coral": str(WRONG), "kelp": str(WRONG)}
    assert outcome.parts == ("coral", "kelp")
    assert fetched.landed() == landed


def test_since_when_something_is_wrong(tmp_path: Path) -> None:
    """The first of its failures in a row, whatever they are; one that gets through ends that."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    since = []
    for happening in (DOWN, REFUSED, None, WRONG):
        source.instead = {("coral", "count"): happening} if happening else {}
        fetched.fetch()
        state = fetched.states()["coral"]
        assert state.problem == (str(happening) if happening else None)
        since.append(state.problem_since)
        fetched.clock.turn(days=1)
    assert since == [near(NIGHT), since[0], None, near(NIGHT + 3 * DAY)]


def test_a_part_that_answers_again_has_no_problem_though_it_is_not_through(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    fetched.fetch()
    source.instead = {("coral", "count"): DOWN, ("kelp", "count"): DOWN}
    fetched.fetch()
    source.instead, fetched.requests = {}, 2
    source.pages["coral"] += ["new", "and more"]
    assert fetched.fetch().unfinished == ("coral", "kelp")
    # The one got answers; of the other nobody has asked anything yet.
    assert list(fetched.problems()) == ["kelp"]
    assert fetched.states()["coral"].problem_since is None


def test_an_error_that_is_not_ours_names_its_place_and_nothing_else(tmp_path: Path) -> None:
    """Its words may hold anything: a token, a name, a page."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)

    def slips() -> None:
        raise ValueError(f"Bearer {TOKEN}")

    source.after = {("coral", "count"): slips}
    outcome = fetched.fetch()
    line = slips.__code__.co_firstlineno + 1
    assert outcome.problems == {"coral": f"ValueError in test_fetching.py, line {line}: please report it"}
    assert fetched.problems() == outcome.problems
    assert TOKEN not in f"{fetched.told} {outcome}"


def test_nothing_secret_is_written_down(tmp_path: Path) -> None:
    """Of addresses and headers that a client of somebody else's was answered with, too."""
    fetched, _ = runs(tmp_path, coral=1)
    fetched.requests = 1
    fetched.fetch()
    written = (tmp_path / SOURCE / "open.jsonl").read_text()
    fetched.requests = None
    fetched.fetch()
    (file,) = fetched.files()
    assert (file.url, file.headers) == (
        "memory://github/page/0?access_token=REDACTED",
        {"content-type": "text/plain"},
    )
    assert "access_token" in written
    assert TOKEN not in written + "".join(path.read_text() for path in (tmp_path / SOURCE / "manifests").iterdir())


# --- What goes on, and what is too old for that


@pytest.mark.parametrize(("hours", "goes_on"), [(35, True), (37, False)])
def test_how_old_a_list_may_be_that_a_killed_run_left(hours: int, goes_on: bool, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.list_pages, source.instead = 2, {(PARTS, "list 1"): dies}
    with pytest.raises(Killed):
        fetched.fetch()
    source.pages = {"atoll": ["atoll 0"], **source.pages}
    fetched.clock.turn(hours=hours)
    source.instead, source.asked = {}, []
    outcome = fetched.fetch()
    assert source.of(PARTS) == (["list 1"] if goes_on else ["list 0", "list 1"])
    # Of the first question the old answer, of the second the new one: atoll, kelp are 0 and 2, and coral is 1.
    assert outcome.parts == (("coral",) if goes_on else ("atoll", "coral", "kelp"))


def test_a_list_is_asked_anew_by_every_run(tmp_path: Path) -> None:
    """Also where the one before was out of requests among the parts, or nothing came of them."""
    fetched, source = runs(tmp_path, coral=2)
    source.list_pages = 1
    fetched.requests = 2
    for _ in range(2):
        assert fetched.fetch().unfinished == ("coral",)
    fetched.requests = None
    fetched.fetch()
    source.instead = {("coral", "count"): DOWN}
    fetched.fetch()
    fetched.fetch()
    assert source.of(PARTS) == ["list 0"] * 5


@pytest.mark.parametrize(("hours", "goes_on"), [(71, True), (73, False)])
def test_how_old_answers_may_be_that_a_run_goes_on_with(hours: int, goes_on: bool, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=2)
    fetched.requests = 2
    assert fetched.fetch().unfinished == ("coral",)
    fetched.clock.turn(hours=hours)
    fetched.requests, source.asked = 3, []
    source.pages = {"coral": ["newer 0", "newer 1"]}
    fetched.fetch()
    assert source.begun[1].started_at == near(NIGHT if goes_on else NIGHT + timedelta(hours=hours))
    assert source.of("coral")[:1] == (["page 1"] if goes_on else ["count"])
    assert fetched.landed() == {"coral/0": "coral 0" if goes_on else "newer 0", "coral/1": "newer 1"}


def test_a_part_that_was_asked_in_vain_begins_anew(tmp_path: Path) -> None:
    """Else it would be told, and land, only what was so when it was down."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.instead = {("coral", "count"): DOWN}
    fetched.fetch()
    source.instead = {}
    fetched.clock.turn(hours=5)
    fetched.fetch()
    assert fetched.states()["coral"].started_at == near(NIGHT + timedelta(hours=5))


def test_an_answer_that_was_lost_takes_those_with_it_that_came_after(tmp_path: Path) -> None:
    """In a power cut: what was asked later may rest on it."""
    fetched, source = runs(tmp_path, coral=4, kelp=2)
    fetched.requests = 4
    fetched.fetch()
    lines = [json.loads(line) for line in (tmp_path / SOURCE / "open.jsonl").read_text().splitlines()]
    (lost,) = [line["answer"] for line in lines if line.get("answer", {}).get("question") == "page 1"]
    (tmp_path / SOURCE / lost["object"]).unlink()
    source.asked, fetched.requests = [], None
    fetched.fetch()
    assert source.of("coral") == ["page 1", "page 2", "page 3"]
    assert fetched.landed() == source.all_pages()


@pytest.mark.parametrize("cut", [1, 20])
def test_a_journal_whose_last_line_is_torn(cut: int, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=3)
    fetched.requests = 3
    fetched.fetch()
    kept = tmp_path / SOURCE / "open.jsonl"
    kept.write_bytes(kept.read_bytes()[:-cut])
    source.asked = []
    # A line that lacks its end only is whole.
    again = [] if cut == 1 else ["page 1"]
    fetched.requests = len(again)
    fetched.fetch()
    fetched.requests = None
    fetched.fetch()
    assert source.of("coral") == [*again, "page 2"]
    assert fetched.landed() == source.all_pages()


def test_one_question_that_is_asked_twice_gets_both_answers_in_their_order(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    with landing.fetch(SOURCE, KIND) as first:
        first.begin("coral", NIGHT)
        for said in (b"a", b"b"):
            first.keep("coral", "who?", said, url="", status=200, headers={}, received_at=NIGHT)
        assert first.answered("coral", "who?") is None
    with landing.fetch(SOURCE, KIND) as second:
        second.begin("coral", NIGHT)
        answers = [second.answered("coral", "who?") for _ in range(3)]
        said = [content_of(second.place(answer), compressed=True) if answer else None for answer in answers]
    assert said == [b"a", b"b", None]


def test_a_source_of_another_kind_begins_anew(tmp_path: Path) -> None:
    fetched, _ = runs(tmp_path, coral=2)
    fetched.requests = 2
    fetched.fetch()
    with fetched.landing.fetch(SOURCE, "another") as other:
        assert other.begin("coral", NIGHT)[1] is False
        assert other.previous is None


def test_what_an_open_fetch_needs_is_not_pruned(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=3)
    fetched.requests = 3
    fetched.fetch()
    orphan = tmp_path / SOURCE / "objects" / "ab" / "abc.gz"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody names it")
    assert fetched.landing.prune(SOURCE, "log", date(2027, 1, 1)).contents == 1
    fetched.requests = None
    fetched.fetch()
    assert source.of("coral") == ["count", "page 0", "page 1", "page 2"]
    assert fetched.landed() == source.all_pages()


# --- Once more round


@pytest.mark.parametrize("is_state", [False, True])
@pytest.mark.parametrize(("hours", "again"), [(11, False), (13, True)])
def test_a_part_that_was_begun_on_an_earlier_night_goes_round_once_more(
    hours: int, again: bool, is_state: bool, tmp_path: Path
) -> None:
    """So that what is new since is there in one night; not where the run before was minutes ago."""
    fetched, source = runs(tmp_path, coral=2, kelp=1)
    source.is_state = is_state
    fetched.requests = 2
    assert fetched.fetch().unfinished == ("coral", "kelp")
    fetched.clock.turn(hours=hours)
    now = NIGHT + timedelta(hours=hours)
    source.pages["coral"].append("newer")
    source.asked, fetched.requests = [], None
    outcome = fetched.fetch()
    once = [("coral", "page 1"), ("kelp", "count"), ("kelp", "page 0")]
    pages = ["page 0", "page 1", "page 2"] if is_state else ["page 2"]
    assert source.asked == once + [("coral", question) for question in ["count", *pages] if again]
    assert outcome.finished == ("coral", "kelp")
    landed = {"coral/0": "coral 0", "coral/1": "coral 1", "kelp/0": "kelp 0"}
    assert fetched.landed() == (landed | {"coral/2": "newer"} if again else landed)
    state = fetched.states()["coral"]
    assert state.started_at == near(now if again else NIGHT)
    assert state.covered == ((SINCE, (now if again else NIGHT).date() - DAY),)
    assert state.cursor == {"pages": 3 if again else 2}


@pytest.mark.parametrize("is_state", [False, True])
@pytest.mark.parametrize("how", ["down", "out of requests"])
def test_what_came_at_first_stays_where_once_more_is_in_vain(how: str, is_state: bool, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=2)
    source.is_state = is_state
    fetched.requests = 2
    fetched.fetch()
    fetched.clock.turn(days=1)
    source.pages["coral"].append("newer")
    if how == "down":
        source.instead, fetched.requests = {("coral", "count"): DOWN}, None
    else:
        fetched.requests = 2
    outcome = fetched.fetch()
    assert outcome.finished == ("coral",)
    assert fetched.landed() == {"coral/0": "coral 0", "coral/1": "coral 1"}
    state = fetched.states()["coral"]
    assert (state.cursor, state.covered) == ({"pages": 2}, ((SINCE, YESTERDAY),))
    assert state.problem == (str(DOWN) if how == "down" else None)
    source.instead, fetched.requests = {}, None
    fetched.fetch()
    assert fetched.landed() == source.all_pages()
    assert fetched.states()["coral"].covered == ((SINCE, YESTERDAY + DAY),)


def test_once_more_is_gone_on_with_like_everything_else(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1)
    fetched.requests = 1
    fetched.fetch()
    fetched.clock.turn(days=1)
    source.pages["coral"] += ["new", "newer"]
    # The last of what it was before, and the first of what is new.
    fetched.requests = 3
    fetched.fetch()
    assert fetched.states()["coral"].cursor == {"pages": 1}
    fetched.clock.turn(hours=1)
    fetched.fetch()
    assert source.of("coral") == ["count", "page 0", "count", "page 1", "page 2"]
    assert fetched.states()["coral"].started_at == near(NIGHT + DAY)
    assert fetched.landed() == source.all_pages()


# --- Parts that come and go


@pytest.mark.parametrize("is_state", [False, True])
def test_a_part_that_vanished_though_kpi_toml_names_it_stays_with_a_problem(is_state: bool, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.list_pages, source.in_pattern, source.is_state = 1, True, is_state
    fetched.fetch()
    before, gone = fetched.states()["coral"], source.pages.pop("coral")
    for _ in range(2):
        fetched.clock.turn(days=1)
        source.asked = []
        outcome = fetched.fetch()
        assert source.of("coral") == []
        assert outcome.parts == ("coral", "kelp")
        assert outcome.problems == {"coral": NOT_LISTED}
        assert "doesn't list it any more" in NOT_LISTED
        state = fetched.states()["coral"]
        assert (state.is_wanted, state.problem, state.problem_since) == (True, NOT_LISTED, near(NIGHT + DAY))
        assert (state.cursor, state.covered) == (before.cursor, before.covered)
        assert fetched.landed() == {"coral/0": "coral 0", "kelp/0": "kelp 0"}
    source.pages["coral"] = [*gone, "back"]
    fetched.fetch()
    assert fetched.problems() == {}
    assert fetched.landed() == source.all_pages()


def test_all_parts_vanish(tmp_path: Path) -> None:
    """A token that sees nothing any more is answered with an empty list."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.list_pages, source.in_pattern = 1, True
    fetched.fetch()
    source.pages = {}
    fetched.clock.turn(days=1)
    assert fetched.fetch().problems == fetched.problems() == {"coral": NOT_LISTED, "kelp": NOT_LISTED}
    assert fetched.landed() == {"coral/0": "coral 0", "kelp/0": "kelp 0"}


def test_a_part_that_kpi_toml_names_no_more_is_no_longer_wanted(tmp_path: Path) -> None:
    """Of a log, what was landed of it stays, and so does how far it was, should it come back."""
    fetched, source = runs(tmp_path, coral=2, kelp=1)
    fetched.fetch()
    taken_out = source.pages.pop("coral")
    fetched.clock.turn(days=1)
    assert fetched.fetch().parts == ("kelp",)
    state = fetched.states()["coral"]
    assert (state.is_wanted, state.problem, state.cursor) == (False, None, {"pages": 2})
    assert fetched.landed() == {"coral/0": "coral 0", "coral/1": "coral 1", "kelp/0": "kelp 0"}
    source.pages["coral"], source.asked = [*taken_out, "new"], []
    fetched.fetch()
    assert source.of("coral") == ["count", "page 2"]
    assert fetched.states()["coral"].is_wanted


def test_a_renamed_part_leaves_with_the_first_new_one_that_gets_through(tmp_path: Path) -> None:
    """Of a state: never two of them side by side, and never nothing at all."""
    fetched, source = runs(tmp_path, coral=1)
    source.is_state = True
    source.name = lambda _, n: f"page {n}"
    fetched.fetch()
    source.pages, source.instead = {"reef": ["renamed"]}, {("reef", "count"): DOWN}
    fetched.clock.turn(days=1)
    assert list(fetched.fetch().problems) == ["reef"]
    assert fetched.landed() == {"page 0": "coral 0"}
    source.instead = {}
    fetched.clock.turn(days=1)
    fetched.fetch()
    assert fetched.landed() == {"page 0": "renamed"}
    assert {part: state.is_wanted for part, state in fetched.states().items()} == {"coral": False, "reef": True}


def test_a_part_that_is_taken_out_beside_others_leaves_at_once(tmp_path: Path) -> None:
    """Of a state, even while the others fail: they were there before, so something stays."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.is_state = True
    fetched.fetch()
    del source.pages["coral"]
    source.instead = {("kelp", "count"): DOWN}
    fetched.fetch()
    assert fetched.landed() == {"kelp/0": "kelp 0"}


def test_of_a_state_failed_parts_are_carried_and_others_are_as_they_are_now(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=2, kelp=2)
    source.is_state = True
    fetched.fetch()
    source.pages = {"coral": ["other"], "kelp": ["other"]}
    source.instead = {("coral", "count"): DOWN}
    fetched.clock.turn(days=1)
    fetched.fetch()
    assert fetched.landed() == {"coral/0": "coral 0", "coral/1": "coral 1", "kelp/0": "other"}


@pytest.mark.parametrize("is_state", [False, True])
def test_two_parts_that_land_one_name_are_refused(is_state: bool, tmp_path: Path) -> None:
    """One of them would count, and the rows of the other be lost."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.is_state = is_state
    fetched.fetch()
    landed, source.name = fetched.landed(), lambda _, n: f"page {n}"
    for pages in source.pages.values():
        pages.append("new")
    first = 0 if is_state else 1
    with pytest.raises(LandingError, match=f"the name 'page {first}' from the parts coral, kelp"):
        fetched.fetch()
    assert fetched.landed() == landed
    source.name = "{}/{}".format
    fetched.fetch()
    assert fetched.landed() == source.all_pages()


def test_a_name_that_is_carried_is_not_taken_by_another_part(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.is_state = True
    fetched.fetch()
    source.name = lambda _, n: f"coral/{n}"
    source.instead = {("coral", "count"): DOWN}
    with pytest.raises(LandingError, match="the name 'coral/0' from the parts coral, kelp"):
        fetched.fetch()


# --- Budgets


def test_a_list_that_the_budget_does_not_suffice_for_is_gone_on_with(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=0)
    source.list_pages, fetched.requests = 3, 2
    first = fetched.fetch()
    assert (first.parts, first.problems, first.requests) == ((), {}, 2)
    fetched.clock.turn(hours=6)
    assert fetched.fetch().unfinished == ("coral", "kelp")
    fetched.clock.turn(hours=6)
    fetched.requests = None
    fetched.fetch()
    assert source.asked == [
        (PARTS, "list 0"), (PARTS, "list 1"), (PARTS, "list 2"), ("coral", "count"),
        (PARTS, "list 0"), (PARTS, "list 1"), (PARTS, "list 2"), ("coral", "page 0"), ("kelp", "count"),
    ]  # fmt: skip
    assert fetched.landed() == source.all_pages()


def test_a_list_that_takes_the_whole_budget_is_there_for_the_next_run(tmp_path: Path) -> None:
    """Else every run would ask for the list, and none for a part."""
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.list_pages = fetched.requests = 2
    for _ in range(2):
        fetched.fetch()
        fetched.clock.turn(days=1)
    assert source.asked == [(PARTS, "list 0"), (PARTS, "list 1"), ("coral", "count"), ("coral", "page 0")]
    assert fetched.states()["coral"].cursor == {"pages": 1}


def test_a_list_that_the_budget_does_not_suffice_for_is_no_problem_of_the_parts(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    fetched.fetch()
    before = fetched.states()
    source.list_pages, fetched.requests = 2, 1
    outcome = fetched.fetch()
    assert (outcome.problems, outcome.unfinished) == ({}, ("coral", "kelp"))
    assert fetched.states() == before
    assert fetched.landed() == source.all_pages()


def test_a_vendor_that_allows_no_more_today_is_asked_no_more(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    fetched.fetch()
    source.list_pages, source.instead, source.asked = 1, {(PARTS, "list 0"): SPENT}, []
    outcome = fetched.fetch()
    assert (outcome.problems, outcome.unfinished) == ({}, ("coral", "kelp"))
    assert source.asked == [(PARTS, "list 0")]


def test_those_come_first_that_have_waited_longest(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, a=1, b=1, c=1, d=1)
    source.instead = {("c", "count"): DOWN}
    fetched.fetch()
    source.instead = {("b", "count"): DOWN}
    fetched.clock.turn(days=1)
    fetched.fetch()
    source.pages["e"], source.instead, source.asked = [], {}, []
    fetched.clock.turn(days=1)
    fetched.fetch()
    # Never; two nights ago; last night, in the order of their turns.
    assert [part for part, question in source.asked if question == "count"] == ["e", "b", "c", "a", "d"]


@FEW
@given(
    counts=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5), min_size=1),
    budget=st.integers(1, 7),
    list_pages=st.integers(0, 3),
    hours=st.integers(1, 24),
)
def test_no_budget_starves_a_part(
    counts: dict[str, int], budget: int, list_pages: int, hours: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After enough runs all are through, in order, and nothing was asked twice on the way."""
    # A list that takes several nights is an old one when it is there.
    assume(list_pages <= budget or hours <= 8)
    fetched, source = runs(tmp_path_factory.mktemp("budget"), **counts)
    source.list_pages, fetched.requests = list_pages, budget
    through: set[str] = set()
    needed = 0
    while through != set(counts):
        needed += 1
        # A list, and then one question of a part, is the least that is got: of so many parts and pages.
        assert needed <= 4 * (len(counts) + sum(counts.values()) + 1)
        assert fetched.fetch().requests <= budget
        for part, state in fetched.states().items():
            if state.started_at is not None and part not in through:
                through.add(part)
                once = ["count", *(f"page {n}" for n in range(counts[part]))]
                # And perhaps once more, for what is new since.
                assert source.of(part)[: len(once)] == once
                assert set(source.of(part)[len(once) :]) <= {"count"}
        fetched.clock.turn(hours=hours)
    event(f"{needed // 5 * 5} runs or more")
    assert fetched.landed() == source.all_pages()


def test_a_part_that_takes_many_nights_gets_through(tmp_path: Path) -> None:
    """And nobody waits for ever behind it, as one does that is begun anew again and again."""
    fetched, source = runs(tmp_path, coral=9, kelp=1)
    fetched.requests = 2
    for _ in range(6):
        fetched.fetch()
        fetched.clock.turn(days=1)
    assert source.of("coral") == ["count", *(f"page {n}" for n in range(9))]
    assert source.of("kelp") == ["count", "page 0"]
    assert fetched.landed() == source.all_pages()
    # It covers no more than when it was begun; what is new since is the next night's.
    assert fetched.states()["coral"].covered == ((SINCE, YESTERDAY),)


# --- A run that ends before its time


WAYS: dict[str, tuple[Callable[[int], AbstractContextManager[list[int]]], type[BaseException]]] = {
    "killed": (killed_after, Killed),
    "disk full": (full_after, LandingError),
}


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("is_state", [False, True], ids=["log", "state"])
@pytest.mark.parametrize("way", WAYS)
def test_it_ends_between_any_two_writes(way: str, is_state: bool, at_once: int, tmp_path: Path) -> None:
    """What counted counts until all is there; the next run goes on, and in the end all is as if nothing had been."""
    ends, error = WAYS[way]

    def night(folder: Path) -> tuple[Runs, InMemory]:
        """The second: of three parts something is there already, and all have something new."""
        fetched, source = runs(folder, coral=2, kelp=1, weed=1)
        source.is_state, source.at_once = is_state, at_once
        source.pages["reef"] = []
        fetched.clock.turn(days=1)
        for part, pages in source.pages.items():
            pages.append(f"new of {part}")
        source.list_pages = 1
        return fetched, source

    fetched, source = runs(tmp_path / "first", coral=2, kelp=1, weed=1)
    source.is_state = is_state
    fetched.fetch()
    before = fetched.landed()
    shutil.copytree(tmp_path / "first", tmp_path / "undisturbed")
    fetched, source = night(tmp_path / "undisturbed")
    with failing_after(-1, Killed) as writes:
        fetched.fetch()
    landed, asked = fetched.landed(), source.asked
    assert landed == source.all_pages()
    assert writes[0] > 20
    for number in range(writes[0]):
        shutil.copytree(tmp_path / "first", tmp_path / str(number))
        fetched, source = night(tmp_path / str(number))
        with ends(number), pytest.raises(error):
            fetched.fetch()
        counted = fetched.landed() == landed
        assert counted or fetched.landed() == before
        fetched.clock.turn(minutes=10)
        outcome = fetched.fetch()
        assert (outcome.problems, outcome.unfinished) == ({}, ())
        assert fetched.landed() == landed
        assert {part: state.cursor for part, state in fetched.states().items()} == {
            part: {"pages": len(pages)} for part, pages in source.pages.items()
        }
        if not counted:
            # At most what was under way is asked again, and the list, as by every run.
            again = Counter(source.asked) - Counter(asked)
            assert len([part for part, _ in again.elements() if part != PARTS]) <= at_once
        assert not any((tmp_path / str(number)).rglob(".tmp-*"))


FOUR = ("coral", "kelp", "sand", "weed")
QUESTIONS = [(PARTS, "list 0"), *((part, question) for part in FOUR for question in ("count", "page 0", "page 2"))]
disturbed_nights = st.fixed_dictionaries(
    {
        "hours": st.integers(1, 40),
        "requests": st.none() | st.integers(1, 12),
        "instead": st.dictionaries(
            st.sampled_from(QUESTIONS), st.sampled_from([DOWN, REFUSED, ValueError("?")]), max_size=3
        ),
        "ends": st.none() | st.tuples(st.sampled_from(sorted(WAYS)), st.integers(0, 60)),
        "new": st.lists(st.sampled_from(FOUR), max_size=3),
        "listed": st.just(set(FOUR)) | st.sets(st.sampled_from(FOUR)),
    }
)


@FEW
@given(nights=st.lists(disturbed_nights, max_size=6), is_state=st.booleans(), at_once=st.sampled_from([1, 3]))
def test_whatever_happens_in_some_nights_the_next_one_mends(
    nights: list[dict[str, Any]], is_state: bool, at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And in each of them files, cursor and days of a part are of one walk that got through."""
    fetched, source = runs(tmp_path_factory.mktemp("nights"), **dict.fromkeys(FOUR, 1))
    source.list_pages, source.in_pattern, source.is_state, source.at_once = 1, True, is_state, at_once
    pages = source.pages

    def assert_sound() -> None:
        landed = fetched.landed()
        for part, state in fetched.states().items():
            count = state.cursor.get("pages", 0)
            assert isinstance(count, int)
            assert {name: landed.pop(name, None) for name in [f"{part}/{n}" for n in range(count)]} == {
                f"{part}/{n}": f"{part} {n}" for n in range(count)
            }
            assert state.covered == (((SINCE, state.started_at.date() - DAY),) if state.started_at else ())
            assert (state.problem is None) == (state.problem_since is None)
        assert landed == {}

    for night in nights:
        for part in night["new"]:
            pages[part].append(f"{part} {len(pages[part])}")
        source.pages = {part: pages[part] for part in FOUR if part in night["listed"]}
        source.instead, fetched.requests = night["instead"], night["requests"]
        ends, error = WAYS[night["ends"][0] if night["ends"] else "killed"]
        has_come = any(state.started_at for state in fetched.states().values())
        # A first fetch in vain is an error, and no later one.
        expected = [error] if has_come else [error, SourceError]
        with ends(night["ends"][1] if night["ends"] else -1), suppress(*expected):
            fetched.fetch()
        assert_sound()
        fetched.clock.turn(hours=night["hours"])
    # A list that a killed run left is too old by then.
    fetched.clock.turn(hours=37)
    source.pages, source.instead, fetched.requests = pages, {}, None
    outcome = fetched.fetch()
    assert (outcome.parts, outcome.finished, outcome.problems, outcome.unfinished) == (FOUR, FOUR, {}, ())
    assert fetched.landed() == source.all_pages()
    assert_sound()
    assert fetched.problems() == {}
    # What is new since a walk was begun on an earlier night came in this one, too.
    assert all(state.started_at == near(fetched.clock.now()) for state in fetched.states().values())


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """No file grows beyond a size, as on a disk that is full: what is written is cut off there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_of_the_journal_for_which_there_is_no_room(tmp_path: Path) -> None:
    """The disk really takes half of it; what was kept before is there for the next run."""
    fetched, source = runs(tmp_path, coral=5, kelp=1)
    fetched.requests = 2
    fetched.fetch()
    fetched.requests = None
    size = (tmp_path / SOURCE / "open.jsonl").stat().st_size
    line = size // 3
    with no_file_beyond(size + line + line // 2), pytest.raises(LandingError, match="room to keep"):
        fetched.fetch()
    asked, source.asked = source.asked, []
    fetched.fetch()
    assert asked[2:] == [("coral", "page 1"), ("coral", "page 2")]
    assert source.of("coral") == ["page 2", "page 3", "page 4"]
    assert fetched.landed() == source.all_pages()


def test_a_full_disk_ends_the_run_at_once(tmp_path: Path) -> None:
    """Nobody else is asked what can't be kept, and no part is said to be the culprit."""
    fetched, source = runs(tmp_path, a=1, b=1, c=1, d=1, e=1)
    fetched.fetch()
    landed, source.asked = fetched.landed(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "write_packed", raising(FULL))
        source.pages["a"].append("new")
        with pytest.raises(LandingError, match="got No space left on device; expected room to keep") as caught:
            fetched.fetch()
    assert caught.value.culprit == str(tmp_path / SOURCE)
    assert source.asked == [("a", "count")]
    assert (fetched.landed(), fetched.problems()) == (landed, {})


@pytest.mark.parametrize("when", ["made", "written"])
def test_no_room_for_a_large_answer(when: str, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1, kelp=1)
    source.aside = True
    with pytest.MonkeyPatch.context() as patch:
        if when == "made":
            patch.setattr(tempfile, "mkstemp", raising(FULL))
        else:
            source.instead["coral", "page 0"] = FULL
        with pytest.raises(LandingError, match="got No space left on device"):
            fetched.fetch()
    assert not list(tmp_path.rglob(".tmp-*"))
    source.instead, source.asked = {}, []
    fetched.fetch()
    assert source.of("coral") == ["page 0"]
    assert fetched.landed() == source.all_pages()


def test_what_a_killed_run_left_aside_goes(tmp_path: Path) -> None:
    fetched, _ = runs(tmp_path, coral=1)
    (tmp_path / SOURCE).mkdir()
    (tmp_path / SOURCE / ".tmp-abc.parquet").write_bytes(b"half of it")
    fetched.fetch()
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("number", range(12))
def test_a_refetch_ends_between_any_two_writes(number: int, tmp_path: Path) -> None:
    """It was asked for or it wasn't: never is a part fetched from the beginning only half."""
    fetched, source = runs(tmp_path, coral=2)
    fetched.fetch()
    fetched.clock.turn(days=1)
    source.pages["coral"] += ["new", "newer"]
    fetched.requests = 2
    assert fetched.fetch().unfinished == ("coral",)
    fetched.clock.turn(hours=1)
    with killed_after(number), suppress(Killed):
        fetching.refetch(fetched.landing, SOURCE, KIND, [], carries=False, at=fetched.clock.now())
    is_anew = fetched.states()["coral"].covered == ()
    fetched.requests, source.asked = None, []
    fetched.fetch()
    state = fetched.states()["coral"]
    assert (state.cursor, state.covered) == ({"pages": 4}, ((SINCE, YESTERDAY + DAY),))
    assert ("page 0" in source.of("coral")) == is_anew
    assert fetched.landed() == source.all_pages()


def test_whoever_ends_a_run_waits_for_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A vendor wants us to wait for long, and somebody presses Ctrl-C."""
    monkeypatch.setattr(fetching, "TELL_SECONDS", 0.02)
    fetched, source = runs(tmp_path, coral=2, kelp=1)
    budget = Budget()
    source.instead = {("coral", "page 0"): lambda: budget.sleep(60)}
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(
            fetched.landing, SOURCE, KIND, source, carries=False, budget=budget, tell=raising(KeyboardInterrupt())
        )
    assert time.monotonic() - began < 10
    asked, source.asked = source.asked, []
    assert asked == [("coral", "count"), ("coral", "page 0")]
    fetched.fetch()
    assert source.asked == [("coral", "page 1"), ("kelp", "count"), ("kelp", "page 0")]


# --- Several at a time


def test_another_run_waits_and_then_goes_on_from_there(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, coral=1)
    second, other = runs(tmp_path, coral=2)
    entered, go_on = threading.Event(), threading.Event()
    source.instead = {("coral", "count"): lambda: (entered.set(), go_on.wait(10))}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetched.fetch)
        assert entered.wait(10)
        waiting = pool.submit(second.fetch)
        assert not wait([waiting], 0.15).done
        assert other.asked == []
        go_on.set()
        first.result(10)
        waiting.result(10)
    assert other.asked == [("coral", "count"), ("coral", "page 1")]
    assert second.landed() == other.all_pages()


@pytest.mark.parametrize("does", ["fetch", "prune"])
def test_another_run_that_waits_in_vain_says_for_whom(
    does: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(zone, "LOCK_SECONDS", 0.1)
    fetched, source = runs(tmp_path, coral=1)
    fetched.fetch()
    source.asked.clear()

    def waits() -> None:
        fetched.fetch() if does == "fetch" else fetched.landing.prune(SOURCE, "log", date(2026, 1, 1))

    with (
        fetched.landing.fetch(SOURCE, KIND),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(LandingError, match=f"another run that has fetched {SOURCE} for more than"),
    ):
        pool.submit(waits).result(10)
    assert source.asked == []
    waits()


def test_parts_that_are_fetched_at_a_time_lose_nothing(tmp_path: Path) -> None:
    counts = {f"part {n:02}": n for n in range(12)}
    fetched, source = runs(tmp_path, **counts)
    # Nobody goes on before four are there.
    source.at_once, together = 4, threading.Barrier(4)
    source.instead = {(part, "count"): lambda: together.wait(10) for part in counts}
    outcome = fetched.fetch()
    assert (len(outcome.finished), outcome.pages, outcome.rows, outcome.requests) == (12, 66, 660, 66 + 12)
    assert fetched.landed() == source.all_pages()
    assert {part: state.cursor["pages"] for part, state in fetched.states().items()} == counts


def test_no_more_parts_at_a_time_than_the_vendor_bears(tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, a=1, b=1, c=1, d=1)
    source.at_once = 2
    active, most, lock = [0], [0], threading.Lock()

    def enters() -> None:
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        time.sleep(0.02)

    def leaves() -> None:
        with lock:
            active[0] -= 1

    source.instead = {(part, "count"): enters for part in "abcd"}
    source.after = {(part, "page 0"): leaves for part in "abcd"}
    fetched.fetch()
    assert most == [2]


def test_how_far_it_is_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetching, "TELL_SECONDS", 0.02)
    fetched, source = runs(tmp_path, coral=1, kelp=2, sand=1, weed=1)
    said = threading.Event()

    def tell(words: str) -> None:
        fetched.told.append(words)
        said.set()

    def waits() -> None:
        fetched.clock.sleep(125)
        said.clear()
        assert said.wait(10)
        # One that was under way may have been begun before.
        said.clear()
        assert said.wait(10)

    fetched.tell, source.left = tell, 4321
    source.instead = {("kelp", "page 1"): waits, ("weed", "count"): DOWN}
    source.more = {"sand": {"notes": ("Of the last days", "something lacks.")}}
    fetched.fetch()
    told = [re.sub(r"\b2:0\d$", "2:05", words) for words in fetched.told]
    assert "github: 1 of 4 parts, 2 pages, 20 rows, 4,321 requests left, 2:05" in told
    assert told[-2:] == [
        "github: 3 of 4 parts, 4 pages, 40 rows, 4,321 requests left, 2:05",
        "github: sand: Of the last days something lacks.",
    ]
    source.left = None
    fetched.fetch()
    assert re.fullmatch(r"github: 3 of 4 parts, 0 pages, 0 rows, 0:0\d", fetched.told[-2])


# --- Which days are there


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        yield con


def loaded(con: duckdb.DuckDBPyConnection, fetched: Runs, as_of: date, query: str) -> list[tuple[object, ...]]:
    """What SQL says of the days up to the as-of day."""
    parts.load(con, fetched.landing, SOURCE, KIND)
    missing = f"select * from ({sql('stages', 'missing_days')}) where not is_lag"
    con.execute(f"create or replace temp table missing_days as {missing}", {"as_of": as_of})
    return con.execute(f"select * from ({query}) order by all", {"as_of": as_of}).fetchall()


def day(month: int, number: int) -> date:
    return date(2026, month, number)


def test_which_days_are_missing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, gap=0, gone=0, lag=0, never=0, touched=0, whole=0)
    source.more = {
        "gap": {"covered": ((day(2, 1), day(2, 10)), (day(2, 15), day(3, 9)))},
        "lag": {"covered": ((day(2, 1), day(3, 6)),), "lag_days": 3},
        "touched": {"first_day": day(1, 20)},
    }
    source.instead = {("never", "count"): DOWN}
    fetched.fetch()
    del source.pages["gone"]
    fetched.fetch()
    missing = sql("stages", "missing_days")
    always = [
        (SOURCE, "gap", day(2, 11), day(2, 14), False),
        (SOURCE, "touched", day(1, 20), day(1, 31), False),
    ]
    assert loaded(con, fetched, day(3, 9), missing) == sorted(
        [*always, (SOURCE, "lag", day(3, 7), day(3, 9), True), (SOURCE, "never", day(2, 1), day(3, 9), False)]
    )
    # A day later, and nothing has come: of the lag, too, that is more than normal.
    assert loaded(con, fetched, day(3, 10), missing) == sorted(
        [*always, (SOURCE, "lag", day(3, 7), day(3, 10), False), (SOURCE, "never", day(2, 1), day(3, 10), False)]
        + [(SOURCE, part, day(3, 10), day(3, 10), False) for part in ("gap", "touched", "whole")]
    )
    # As of a day in the middle of the gap; what came later isn't known by then.
    assert loaded(con, fetched, day(2, 12), missing) == sorted(
        [(SOURCE, "gap", day(2, 11), day(2, 12), False), always[1], (SOURCE, "never", day(2, 1), day(2, 12), False)]
    )
    assert loaded(con, fetched, day(3, 9), sql("stages", "parts_covered")) == [
        (SOURCE, "gap", day(3, 9)),
        (SOURCE, "lag", day(3, 6)),
        (SOURCE, "never", day(1, 31)),
        (SOURCE, "touched", day(3, 9)),
        (SOURCE, "whole", day(3, 9)),
    ]


def test_how_whole_parts_are(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    fetched, source = runs(tmp_path, failing=0, gap=0, lag=0, never=1, touched=0, whole=0)
    source.more = {
        "gap": {"covered": ((day(2, 1), day(2, 10)), (day(2, 15), day(3, 9)))},
        "lag": {"covered": ((day(2, 1), day(3, 6)),), "lag_days": 3},
        "touched": {"first_day": day(1, 20)},
    }
    # Of the one nothing comes; the other doesn't have its turn.
    source.instead = {("failing", "count"): DOWN, ("never", "count"): SPENT}
    fetched.fetch()
    query = f"select part, state, covered_until, days_missing, failing_since from ({sql('stages', 'source_parts')})"
    since = fetched.states()["failing"].problem_since
    assert since == near(NIGHT)
    assert loaded(con, fetched, day(3, 9), query) == [
        ("failing", "failing", None, 37, since.replace(tzinfo=None)),
        ("gap", "gaps", day(3, 9), 4, None),
        ("lag", "whole", day(3, 6), 0, None),
        ("never", "never fetched", None, 37, None),
        ("touched", "gaps", day(3, 9), 12, None),
        ("whole", "whole", day(3, 9), 0, None),
    ]
    fetched.clock.turn(days=1)
    source.instead = {("failing", "count"): REFUSED}
    fetched.fetch()
    assert loaded(con, fetched, day(3, 10), f"{query} where part in ('failing', 'lag', 'never')") == [
        ("failing", "failing", None, 38, since.replace(tzinfo=None)),
        ("lag", "behind", day(3, 6), 4, None),
        ("never", "whole", day(3, 10), 0, None),
    ]
    # As of an earlier day it is as whole as it is now, up to there.
    assert loaded(con, fetched, day(2, 20), f"{query} where part in ('gap', 'lag')") == [
        ("gap", "gaps", day(2, 20), 4, None),
        ("lag", "whole", day(2, 20), 0, None),
    ]
    source.instead = {}
    fetched.fetch()
    assert loaded(con, fetched, day(3, 10), f"{query} where part = 'failing'") == [
        ("failing", "whole", day(3, 10), 0, None)
    ]


def test_a_source_that_is_not_asked_any_more_has_no_parts(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    fetched, _ = runs(tmp_path, coral=0)
    fetched.fetch()
    for kind, rows in ((KIND, 1), (None, 0), ("another", 0)):
        parts.load(con, fetched.landing, SOURCE, kind)
        for table in ("raw.parts", "raw.covered_days"):
            assert con.execute(f"select count(*) from {table}").fetchone() == (rows,)
