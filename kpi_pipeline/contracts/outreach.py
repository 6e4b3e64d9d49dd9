"""The outreach domain: what is made for, and done with, developers and partners. No SQL that moves data.

Partners and projects are organisations, never people; their names stay in the warehouse.
"""

from kpi_pipeline.contracts.columns import DAY, raw_table
from kpi_pipeline.contracts.model import Column, Record, Table

INTEGRATION_KINDS = ("sdk", "library", "plugin")
PARTNER_KINDS = ("adopter", "open source collaborator", "sponsor", "other")
COLLABORATION_KINDS = ("code", "documentation", "infrastructure", "community", "other")
EVENT_KINDS = ("meetup", "workshop", "hackathon", "webinar", "conference", "other")
DOCUMENT_KINDS = ("documentation", "knowledgebase")
ACTIONS = ("created", "updated")
PLAIN = "in lower case, white space reduced"

URL = Column("url", "VARCHAR", "where it is found", nullable=True, optional=True)

INTEGRATIONS = Record(
    "integrations",
    "Sample integrations that were made: SDKs, libraries and plugins.",
    "state",
    (
        Column("date", "DATE", "UTC day on which it was made public"),
        Column("kind", "VARCHAR", "what it is", values=INTEGRATION_KINDS),
        Column("name", "VARCHAR", "its name"),
        URL,
    ),
    day="date",
)

PARTNERS = Record(
    "partners",
    "Partnerships: since when, when the partner was fully onboarded, and while it builds with us. Of organisations.",
    "state",
    (
        Column("partner", "VARCHAR", "the organisation, never a person"),
        Column("kind", "VARCHAR", "what it is to us", values=PARTNER_KINDS),
        Column("established_on", "DATE", "day on which the partnership was agreed on"),
        Column("onboarded_on", "DATE", "day on which it was fully onboarded; empty: not yet", nullable=True),
        Column("building_from", "DATE", "first day on which it builds with our products", nullable=True, optional=True),
        Column(
            "building_to",
            "DATE",
            "first day on which it no longer does; empty: still",
            nullable=True,
            optional=True,
            may_be_future=True,
        ),
        Column(
            "ended_on",
            "DATE",
            "first day on which it is no partner any more; empty: still",
            nullable=True,
            optional=True,
            may_be_future=True,
        ),
    ),
    # Ends may lie ahead, and say nothing of how new a record is.
    day="greatest(established_on, onboarded_on, building_from)",
    rules=(
        ("ends_before_it_begins", "ended_on < established_on or building_to < building_from"),
        ("incomplete_building_period", "building_to is not null and building_from is null"),
        ("onboarded_outside_partnership", "onboarded_on < established_on or onboarded_on > ended_on"),
    ),
)

COLLABORATIONS = Record(
    "collaborations",
    "Collaborations with open source projects.",
    "state",
    (
        Column("project", "VARCHAR", "the project, best as owner/name"),
        Column("kind", "VARCHAR", "what is done together", values=COLLABORATION_KINDS),
        Column("began_on", "DATE", "day on which it began"),
        Column(
            "ended_on",
            "DATE",
            "first day on which it is over; empty: it goes on",
            nullable=True,
            optional=True,
            may_be_future=True,
        ),
        URL,
    ),
    day="began_on",
    rules=(("ends_before_it_begins", "ended_on < began_on"),),
)

CHANNELS = Record(
    "channels",
    "Channels in which developers meet: forums, chat rooms, mailing lists.",
    "state",
    (
        Column("channel", "VARCHAR", "its name on the platform"),
        Column("platform", "VARCHAR", "where it is, such as discourse"),
        Column("created_on", "DATE", "day on which it was opened"),
        Column("closed_on", "DATE", "day on which it was closed; empty: open", nullable=True, optional=True),
    ),
    day="created_on",
    rules=(("ends_before_it_begins", "closed_on < created_on"),),
)

EVENTS = Record(
    "events",
    "Events and meetups for developers that were organised.",
    "state",
    (
        Column("event", "VARCHAR", "its name"),
        Column("kind", "VARCHAR", "what it was", values=EVENT_KINDS),
        Column("date", "DATE", "its first UTC day"),
        Column("attendees", "BIGINT", "how many came", unit="people", nullable=True, optional=True),
    ),
    day="date",
    rules=(("negative:attendees", "attendees < 0"),),
)

DOCUMENTS = Record(
    "documents",
    "What was written: documentation and knowledgebase resources that were created or updated.",
    "log",
    (
        Column("resource", "VARCHAR", "the page, by its address or path"),
        Column("title", "VARCHAR", "its title", nullable=True, optional=True),
        Column("kind", "VARCHAR", "where it belongs", values=DOCUMENT_KINDS),
        Column("date", "DATE", "UTC day on which the change was published"),
        Column("action", "VARCHAR", "what was done", values=ACTIONS),
    ),
    day="date",
)

RECORDS = (INTEGRATIONS, PARTNERS, COLLABORATIONS, CHANNELS, EVENTS, DOCUMENTS)

WAREHOUSE: tuple[Table, ...] = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "facts.integrations",
        "Sample integrations, each once, on the earliest day that is given.",
        "kind and name",
        ("kind", "name"),
        (
            DAY,
            Column("kind", "VARCHAR", "what it is", values=INTEGRATION_KINDS),
            Column("name", "VARCHAR", f"its name, {PLAIN}"),
        ),
    ),
    Table(
        "facts.partnerships",
        "Partnerships; a partner whose partnership ended may have another. From its day on, a later one holds.",
        "partner and day on which it was established",
        ("partner", "established_on"),
        (
            Column("partner", "VARCHAR", f"the organisation, {PLAIN}; never published"),
            Column("kind", "VARCHAR", "what it is to us", values=PARTNER_KINDS),
            Column("established_on", "DATE", "day on which it was agreed on"),
            Column("onboarded_on", "DATE", "day on which the partner was fully onboarded", nullable=True),
            Column("building_from", "DATE", "first day on which it builds with our products", nullable=True),
            Column("building_to", "DATE", "first day on which it no longer does", nullable=True),
            Column("ended_on", "DATE", "first day on which it is no partner any more", nullable=True),
        ),
    ),
    Table(
        "facts.collaborations",
        "Collaborations with open source projects, each project once, from when it first began.",
        "project",
        ("project",),
        (
            DAY,
            Column("project", "VARCHAR", f"the project, {PLAIN}; never published"),
            Column("kind", "VARCHAR", "what was done together first", values=COLLABORATION_KINDS),
        ),
    ),
    Table(
        "facts.community_channels",
        "Channels for developers, each once, on the earliest day that is given.",
        "platform and channel",
        ("platform", "channel"),
        (
            DAY,
            Column("platform", "VARCHAR", f"where it is, {PLAIN}"),
            Column("channel", "VARCHAR", f"its name, {PLAIN}"),
        ),
    ),
    Table(
        "facts.developer_events",
        "Events for developers. One of a name on a day.",
        "day and event",
        ("date", "event"),
        (
            DAY,
            Column("event", "VARCHAR", f"its name, {PLAIN}"),
            Column("kind", "VARCHAR", "what it was", values=EVENT_KINDS),
        ),
    ),
    Table(
        "facts.document_changes",
        "What was done to which documentation resource on a day.",
        "day, resource and action",
        ("date", "resource", "action"),
        (
            DAY,
            Column("resource", "VARCHAR", f"its address or path, {PLAIN}, without slashes at the end"),
            Column("kind", "VARCHAR", "where it belongs", values=DOCUMENT_KINDS),
            Column("action", "VARCHAR", "what was done", values=ACTIONS),
        ),
    ),
)
