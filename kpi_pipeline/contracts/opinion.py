"""The opinion domain: surveys, publications, declarations of communities, and prices. No SQL that moves data."""

from dataclasses import replace

from kpi_pipeline.contracts.columns import DAY, FILE, PERSON, ROW, VALUE, count, raw_table
from kpi_pipeline.contracts.delivery import TEAM, TEAMS
from kpi_pipeline.contracts.model import Column, Record, Table

# A tag is a word or two; what is longer is a sentence that somebody wrote, and free text is not loaded.
LONGEST_TAG = 40
# Of ratings of internships, whose best score anybody may choose.
HIGHEST_SCALE = 1000
LONGEST_SERVICE_DAYS = 3660

COMMUNITY = Column("community", "VARCHAR", "the community, in lower case", nullable=True)
SURVEY = Column("survey", "VARCHAR", "the survey")
ANSWER_KINDS = ("satisfaction", "recommend", "acceptance", "progress")
KIND = Column("kind", "VARCHAR", "what was asked", values=ANSWER_KINDS)
SUBJECT = Column(
    "subject", "VARCHAR", "what the question was about, in lower case; empty: us as a whole", nullable=True
)
# What the question of an answer or an invitation is, in a source's words.
QUESTION = (
    Column("subject", "VARCHAR", "what the question is about, such as documentation", nullable=True, optional=True),
    Column("team", "VARCHAR", "the team whose work the question is about", nullable=True, optional=True),
)
# Satisfaction without a subject is that of communities with us as a whole, so not with a team.
QUESTION_RULES = (
    (
        "missing:subject",
        "subject is null and (kind = 'recommend' or coalesce(kind, 'satisfaction') = 'satisfaction' "
        "and team is not null)",
    ),
    ("missing:team", "kind = 'acceptance' and team is null"),
    ("free_text:subject", f"len(subject) > {LONGEST_TAG}"),
)

SURVEYS = Record(
    "surveys",
    "Answers to surveys: scores and tags, never what somebody wrote.",
    "log",
    (
        Column("date", "DATE", "UTC day of the answer"),
        Column("survey", "VARCHAR", "which survey, such as community-2026-q1"),
        KIND,
        Column("scale", "BIGINT", "the best score: 5, 10, or of progress what the rating goes up to", unit="points"),
        Column("community", "VARCHAR", "the community that the respondent belongs to", nullable=True),
        Column("respondent", "VARCHAR", "who answered; empty: anonymous", nullable=True, personal=True, optional=True),
        Column("score", "BIGINT", "the answer, from 0 (satisfaction: 1) to the scale", unit="points"),
        Column("themes", "VARCHAR", "tags of the answer, separated by ;", nullable=True, optional=True),
        *QUESTION,
    ),
    day="date",
    rules=(
        (
            "wrong_scale",
            "case kind when 'satisfaction' then scale <> 5 when 'progress' then "
            f"scale not between 1 and {HIGHEST_SCALE} else scale <> 10 end",
        ),
        ("out_of_scale:score", "score < if(kind = 'satisfaction', 1, 0) or score > scale"),
        *QUESTION_RULES,
        (
            "free_text:themes",
            f"len(list_filter(string_split(themes, ';'), lambda tag: len(trim(tag)) > {LONGEST_TAG})) > 0",
        ),
    ),
)

SURVEY_INVITATIONS = Record(
    "survey_invitations",
    "How many people were asked to answer a survey.",
    "log",
    (
        Column("date", "DATE", "UTC day on which the invitations were sent"),
        Column("survey", "VARCHAR", "which survey"),
        Column("community", "VARCHAR", "the community that was asked; empty: not by community", nullable=True),
        Column("invited", "BIGINT", "how many were asked", unit="invitations"),
        replace(KIND, description="the kind of the question; empty: satisfaction", nullable=True, optional=True),
        *QUESTION,
    ),
    day="date",
    rules=(("negative:invited", "invited < 0"), *QUESTION_RULES),
)

PUBLICATIONS = Record(
    "publications",
    "Publications and presentations that came of the use of the hubs.",
    "state",
    (
        Column("date", "DATE", "day of publication or presentation"),
        Column("doi", "VARCHAR", "its DOI, as a URL or bare", nullable=True),
        Column("title", "VARCHAR", "its title"),
        Column("kind", "VARCHAR", "publication or presentation", values=("publication", "presentation")),
        Column("community", "VARCHAR", "the communities that it came of, separated by ;", nullable=True),
        Column("hub", "VARCHAR", "the hub, cluster/hub, where no community is given", nullable=True, optional=True),
        Column("url", "VARCHAR", "where it is found", nullable=True, optional=True),
    ),
    day="date",
    rules=(("invalid:doi", r"doi is not null and not regexp_matches(doi, '10\.[0-9]{4,9}/\S')"),),
)

COMMUNITIES = Record(
    "communities",
    "What communities have declared of themselves. Of communities, never of a person.",
    "state",
    (
        Column("community", "VARCHAR", "the community, as in the registry"),
        Column("historically_marginalised", "VARCHAR", "what it declared", values=("yes", "no")),
        Column("valid_from", "DATE", "first day for which it holds"),
        Column(
            "valid_to",
            "DATE",
            "first day for which it no longer holds; empty: still",
            nullable=True,
            may_be_future=True,
        ),
        Column("declared_by", "VARCHAR", "community: by itself; other: by anybody else", values=("community", "other")),
        Column("self_declared", "DATE", "day on which the community declared it"),
    ),
    day="self_declared",
    rules=(("ends_before_it_begins", "valid_to < valid_from"), ("not_self_declared", "declared_by <> 'community'")),
)

CHARGES = Record(
    "charges",
    "What was charged for a service, and what the price list says.",
    "state",
    (
        Column(
            "charge_id", "VARCHAR", "its id where it is from; the same id counts once", nullable=True, optional=True
        ),
        Column("community", "VARCHAR", "who is charged", nullable=True, optional=True),
        Column("contract", "VARCHAR", "the contract", nullable=True, optional=True),
        Column("month", "VARCHAR", "the month of service, 2026-03", nullable=True, optional=True),
        Column("service_start", "DATE", "first day of service", nullable=True, optional=True, may_be_future=True),
        Column("service_end", "DATE", "last day of service", nullable=True, optional=True, may_be_future=True),
        Column("list_price", VALUE, "the price by the list", unit="currency"),
        Column("charged_price", VALUE, "the price that was charged", unit="currency"),
        Column("currency", "VARCHAR", "currency of both, three letters"),
    ),
    day="coalesce(service_start, try_cast(left(month, 7) || '-01' as date))",
    rules=(
        ("invalid:month", r"month is not null and not regexp_full_match(month, '[0-9]{4}-(0[1-9]|1[0-2])(-01)?')"),
        ("no_service_dates", "month is null and (service_start is null or service_end is null)"),
        ("month_and_service_dates", "month is not null and (service_start is not null or service_end is not null)"),
        ("ends_before_it_begins", "service_end < service_start"),
        ("service_too_long", f"service_end - service_start >= {LONGEST_SERVICE_DAYS}"),
        ("no_community_or_contract", "community is null and contract is null"),
        ("negative:list_price", "list_price < 0"),
        ("negative:charged_price", "charged_price < 0"),
        ("fraction_of_a_cent", "list_price <> round(list_price, 2) or charged_price <> round(charged_price, 2)"),
    ),
)

RECORDS = (SURVEYS, SURVEY_INVITATIONS, PUBLICATIONS, COMMUNITIES, CHARGES)

RESPONDENT = Column(PERSON.name, PERSON.type, f"who answered; empty: anonymous. {PERSON.description}", nullable=True)
QUESTION_COLUMNS = (
    KIND,
    SUBJECT,
    replace(TEAM, nullable=True),
    replace(TEAMS, nullable=True),
)
ANSWER_COLUMNS = (
    DAY,
    SURVEY,
    *QUESTION_COLUMNS,
    COMMUNITY,
    RESPONDENT,
    Column("score", "BIGINT", "the answer", unit="points"),
    Column("scale", "BIGINT", "the best score", unit="points"),
    Column("themes", "VARCHAR[]", "tags"),
    FILE,
    ROW,
)

WAREHOUSE: tuple[Table, ...] = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "staged.survey_answers",
        "Answers to surveys, each once.",
        "answer",
        ("_file", "_row"),
        ANSWER_COLUMNS,
    ),
    Table(
        "staged.survey_invitations",
        "How many were invited.",
        "day, survey, question and community",
        (),
        (DAY, SURVEY, *QUESTION_COLUMNS, COMMUNITY, count("invited", "people asked", "invitations")),
    ),
    Table(
        "staged.community_declarations",
        "What a community says of itself, by day; of declarations that overlap, the one declared last holds.",
        "community and first day",
        ("community", "from_day"),
        (
            Column("community", "VARCHAR", "the community"),
            Column("from_day", "DATE", "first day"),
            Column("to_day", "DATE", "first day that it no longer holds; 9999-12-31: still"),
            Column("is_marginalised", "BOOLEAN", "declared itself historically marginalised"),
        ),
    ),
    Table(
        "staged.charges",
        "Charges in the reporting currency, each once, with their days of service.",
        "charge",
        ("_file", "_row"),
        (
            COMMUNITY,
            Column("contract", "VARCHAR", "the contract", nullable=True),
            Column("first_day", "DATE", "first day of service"),
            Column("last_day", "DATE", "last day of service, included"),
            Column("list_price", VALUE, "by the price list", unit="reporting currency"),
            Column("charged_price", VALUE, "what was charged", unit="reporting currency"),
            FILE,
            ROW,
        ),
    ),
    Table(
        "facts.survey_answers",
        "Answers, with the invitation that each goes back to.",
        "answer",
        ("_file", "_row"),
        (
            *ANSWER_COLUMNS,
            Column("invited_on", "DATE", "day of the invitation; empty: not invited", nullable=True),
            Column("invited_community", "VARCHAR", "the community that was invited", nullable=True),
        ),
    ),
    Table(
        "facts.works",
        "Publications and presentations, each once however often it was reported.",
        "work",
        ("work",),
        (
            Column("work", "VARCHAR", "its id: the DOI, or year, kind and title"),
            Column("date", "DATE", "earliest day that was reported for it"),
            Column("doi", "VARCHAR", "the DOI, normalised", nullable=True),
            Column("title", "VARCHAR", "the title as first reported"),
            Column("kind", "VARCHAR", "publication or presentation", values=("publication", "presentation")),
            Column("communities", "VARCHAR[]", "the communities that it came of"),
            count("reports", "records that speak of it", "records"),
            count("contents", "different titles and kinds among them", "contents"),
        ),
    ),
    Table(
        "facts.cost_reductions",
        "List price less charged price by month of service, to the cent; the months of a charge sum to it exactly.",
        "charge and month",
        ("_file", "_row", "month"),
        (
            FILE,
            ROW,
            Column("month", "DATE", "first day of the month"),
            Column("first_day", "DATE", "first day of service in the month"),
            Column("last_day", "DATE", "last day of service in the month"),
            Column("reduction", VALUE, "list price less charged price", unit="reporting currency"),
        ),
    ),
)
