"""What people answer about products, services and teams, and how team leads rate interns; with the truth of these KPIs.

The truth is counted from what is simulated here, never from the files. Never here: what communities say of us as a
whole, which is in opinion.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Final

from kpi_pipeline.sample.delivery import TEAMS, places
from kpi_pipeline.sample.dice import code, dice, pick, weighted, whole
from kpi_pipeline.sample.scores import Formula, Result, Scoped, Seen, ratio, rows, write_roles
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.write import csv_line, write_file

SATISFACTION, RECOMMEND, ACCEPTANCE, PROGRESS = "satisfaction", "recommend", "acceptance", "progress"
SCALE: Final = {SATISFACTION: 5, RECOMMEND: 10, ACCEPTANCE: 10}
# How likely the scores are: of satisfaction from 1 on, of the others from 0 on.
WEIGHTS: Final = {
    SATISFACTION: (4, 6, 16, 40, 34),
    RECOMMEND: (2, 1, 2, 2, 4, 7, 9, 15, 25, 20, 13),
    ACCEPTANCE: (1, 0, 1, 2, 4, 8, 14, 24, 24, 14, 8),
}
HEADER: Final = ("date", "survey", "kind", "scale", "subject", "team", "community", "respondent", "score")
ENOUGH_TO_SPOIL: Final = 300
INTERNS: Final = 6
LEADS: Final = 4
LEAD_THAT_RATES_TO_10: Final = 3

SUBJECT_KPIS: Final = {
    "product_manager.recommend_score": (RECOMMEND, "product"),
    "engineering_manager.satisfaction_score": (SATISFACTION, "product"),
    "developer_relations.satisfaction_score": (SATISFACTION, "developer support"),
    "technical_support.satisfaction_score": (SATISFACTION, "technical support"),
    "technical_writer.satisfaction_score": (SATISFACTION, "documentation"),
    "devops_engineer.satisfaction_score": (SATISFACTION, "system and application performance"),
}
TEAM_KPIS: Final = {
    "frontend_team.acceptance_score": "frontend",
    "mobile_team.acceptance_score": "mobile",
    "backend_team.acceptance_score": "backend",
    "quality_assurance_engineer.acceptance_score": "quality assurance",
}
INTERNS_KPI: Final = "interns.internship_progress_score"


@dataclass(frozen=True)
class Question:
    """`often`: how many are asked a quarter, or how many answer where nobody is asked."""

    survey: str
    kind: str
    subject: str
    team: str
    often: tuple[int, int]
    is_by_invitation: bool = False

    @property
    def places(self) -> frozenset[str]:
        return _team_places(self.team) if self.team else frozenset({f"subject={self.subject}"})


@dataclass(frozen=True)
class Invitation:
    when: date
    survey: str
    question: Question
    invited: int


@dataclass(frozen=True)
class Answer:
    """`invitation` is what it goes back to; one that is replaced was given differently later that day."""

    when: date
    survey: str
    question: Question
    respondent: str
    score: int
    scale: int
    invitation: Invitation | None = None
    is_replaced: bool = False


QUESTIONS: Final = (
    Question("product", RECOMMEND, "product", "", (70, 100), is_by_invitation=True),
    Question("product", SATISFACTION, "product", "", (70, 100), is_by_invitation=True),
    Question("documentation", SATISFACTION, "documentation", "", (60, 80), is_by_invitation=True),
    Question("operations", SATISFACTION, "system and application performance", "", (50, 70), is_by_invitation=True),
    Question("after a ticket", SATISFACTION, "technical support", "", (34, 48)),
    Question("office hours", SATISFACTION, "developer support", "", (14, 30)),
    *(
        Question("release", ACCEPTANCE, "", team, often)
        for team, often in (
            ("frontend", (9, 14)),
            ("frontend design", (4, 7)),
            ("mobile", (13, 18)),
            ("backend", (12, 18)),
            ("quality assurance", (11, 16)),
        )
    ),
)
INTERNSHIPS: Final = Question("internships", PROGRESS, "", "interns", (INTERNS, INTERNS))


def write_answers(folder: Path, world: World) -> list[str]:
    """surveys/services-<year>.csv, survey_invitations/services.csv and truth/roles/opinion.csv.

    Returns:
        The reasons for which rows of surveys/ are to be rejected, one each.
    """
    invitations, answers = _asked(world)
    header = ("date", "survey", "kind", "subject", "team", "community", "invited")
    sent = (
        (str(i.when), i.survey, i.question.kind, i.question.subject, i.question.team, "", str(i.invited))
        for i in invitations
    )
    write_file(folder / "survey_invitations" / "services.csv", b"".join(map(csv_line, (header, *sent))))
    spoilt = _spoilt(answers) if len(answers) > ENOUGH_TO_SPOIL else {}
    for year in range(world.period.first.year, world.period.last.year + 1):
        lines = [_row(world, answer) for answer in answers if answer.when.year == year]
        bad = spoilt.values() if year == world.period.first.year else ()
        write_file(folder / "surveys" / f"services-{year}.csv", b"".join(map(csv_line, (HEADER, *lines, *bad))))
    write_roles(folder / "truth" / "roles" / "opinion.csv", _truth(world, invitations, answers))
    return list(spoilt)


# -- what is asked and answered --------------------------------------------------------------------


def _asked(world: World) -> tuple[list[Invitation], list[Answer]]:
    invitations: list[Invitation] = []
    answers: list[Answer] = []
    for number, quarter in enumerate(_quarters(world)):
        name = f"{quarter.year}-q{(quarter.month + 2) // 3}"
        for question in QUESTIONS:
            rng = dice(world.seed, "question", name, question.kind, question.subject, question.team)
            survey = f"{question.survey} {name}"
            if not question.is_by_invitation:
                for _ in range(whole(rng, *question.often)):
                    answers.append(_answer(rng, quarter + timedelta(whole(rng, 0, 89)), survey, question))
                continue
            # Hardly anybody was asked about the documentation at first.
            few = number == 0 and question.subject == "documentation"
            sent = max(quarter + timedelta(days=9), world.period.first)
            invitation = Invitation(sent, survey, question, 9 if few else whole(rng, *question.often))
            invitations.append(invitation)
            answers += _replies(rng, invitation)
        answers += _ratings(world, name, quarter)
    last = world.period.last
    inside = [answer for answer in answers if world.period.first <= answer.when <= last]
    # What is replaced is delivered first: the last one counts.
    inside.sort(key=lambda a: (a.when, a.question.kind, a.respondent, not a.is_replaced))
    return [i for i in invitations if i.when <= last], inside


def _replies(rng: Random, invitation: Invitation) -> Iterator[Answer]:
    for _ in range(invitation.invited):
        if rng.random() < 0.35:
            when = invitation.when + timedelta(days=int(60 * rng.random() ** 2))
            answer = replace(_answer(rng, when, invitation.survey, invitation.question), invitation=invitation)
            yield answer
            if rng.random() < 0.03 and answer.respondent:
                yield replace(answer, score=answer.scale + 1 - max(answer.score, 1), is_replaced=True)


def _answer(rng: Random, when: date, survey: str, question: Question) -> Answer:
    lowest = 1 if question.kind == SATISFACTION else 0
    score = lowest + weighted(rng, WEIGHTS[question.kind])
    respondent = f"respondent-{code(rng, 6)}" if rng.random() < 0.9 else ""
    return Answer(when, survey, question, respondent, score, SCALE[question.kind])


def _ratings(world: World, name: str, quarter: date) -> Iterator[Answer]:
    """One or two team leads rate each internship, one of them on a longer scale; several on one day each count."""
    rng = dice(world.seed, "internships", name)
    for _ in range(INTERNS):
        for lead in {whole(rng, 1, LEADS) for _ in range(2)}:
            scale = 10 if lead == LEAD_THAT_RATES_TO_10 else 5
            score = scale * pick(rng, (2, 3, 4, 4, 4, 5, 5)) // 5
            when = quarter + timedelta(days=pick(rng, (40, 80, 80, 85)))
            yield Answer(when, f"internships {name}", INTERNSHIPS, f"respondent-lead-{lead}", score, scale)


def _quarters(world: World) -> list[date]:
    first, last = world.period.first, world.period.last
    quarters = (date(year, month, 1) for year in range(first.year, last.year + 1) for month in (1, 4, 7, 10))
    return [quarter for quarter in quarters if quarter <= last and quarter + timedelta(days=89) >= first]


def _team_places(team: str) -> frozenset[str]:
    return places(team) if team in TEAMS else frozenset({f"team={team}"})


# -- files -----------------------------------------------------------------------------------------


def _row(world: World, a: Answer) -> tuple[str, ...]:
    rng = dice(world.seed, "spelling", a.respondent, a.when, a.survey)
    subject, team = a.question.subject, a.question.team
    if rng.random() < 0.2:
        subject, team = subject.title(), team.title()
    return (str(a.when), a.survey, a.question.kind, str(a.scale), subject, team, "", a.respondent, str(a.score))


def _spoilt(answers: list[Answer]) -> dict[str, tuple[str, ...]]:
    """A row for each way of being wrong."""
    day = str(answers[0].when)
    return {
        "wrong_scale": (day, "x", RECOMMEND, "5", "product", "", "", "", "4"),
        "out_of_scale:score": (day, "x", ACCEPTANCE, "10", "", "frontend", "", "", "11"),
        "missing:subject": (day, "x", RECOMMEND, "10", "", "", "", "", "9"),
        "missing:team": (day, "x", ACCEPTANCE, "10", "product", "", "", "", "9"),
    }


# -- truth -----------------------------------------------------------------------------------------


def _truth(world: World, invitations: list[Invitation], answers: list[Answer]) -> Iterator[tuple[str, ...]]:
    given = [answer for answer in answers if not answer.is_replaced]
    seen: dict[str, list[Seen]] = {RECOMMEND: [], SATISFACTION: [], ACCEPTANCE: [], PROGRESS: []}
    for a in given:
        seen[a.question.kind].append(Seen(a.when, a.question.places, Fraction(a.score), Fraction(a.scale)))
    for i in invitations:
        came = sum(answer.invitation == i for answer in given)
        asked = Seen(i.when, i.question.places, Fraction(came), Fraction(i.invited), key="asked")
        seen[i.question.kind].append(asked)
    for kpi_id, (kind, subject) in SUBJECT_KPIS.items():
        yield from rows(
            [Scoped(kpi_id, (f"subject={subject}",))], seen[kind], _scores(kind), world.period, rolling=False
        )
    for kpi_id, team in TEAM_KPIS.items():
        scoped = Scoped(kpi_id, (f"team={team}",))
        yield from rows([scoped], seen[ACCEPTANCE], _scores(ACCEPTANCE), world.period, rolling=False)
    yield from rows([Scoped(INTERNS_KPI)], seen[PROGRESS], ratio(100), world.period, rolling=False)


def _scores(kind: str) -> Formula:
    """The mean, and what stands beside it."""

    def work_out(seen: list[Seen]) -> Result:
        scores = [int(one.top) for one in seen if one.key != "asked"]
        n = len(scores)
        found: Result = {"": (Fraction(sum(scores), n) if n else None, n)}
        if n:
            best = sum(score >= SCALE[kind] - 1 for score in scores)
            found["share_of_best"] = (Fraction(100 * best, n), n)
        if n and kind == RECOMMEND:
            detractors = sum(score <= 6 for score in scores)
            found["nps"] = (Fraction(100 * (sum(score >= 9 for score in scores) - detractors), n), n)
        invited = sum(int(one.bottom) for one in seen if one.key == "asked")
        if invited:
            came = sum(int(one.top) for one in seen if one.key == "asked")
            found["response_rate"] = (Fraction(100 * came, invited), invited)
        return found

    return work_out
