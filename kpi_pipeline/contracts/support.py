"""Support: what Freshdesk says of tickets, messages and ratings, and the tables made of it. Never a ticket's text."""

from dataclasses import replace

from kpi_pipeline.contracts.columns import FILE, PERSON, RAW_TYPES, ROW, count
from kpi_pipeline.contracts.model import Column, Record, Table

TICKET_ID = Column("ticket_id", "BIGINT", "the ticket")
COMMUNITY = Column("community", "VARCHAR", "by company, then by tag, as kpi.toml maps them; else 'unassigned'")
PRODUCT = Column("product", "VARCHAR", "as kpi.toml names the product, else its id; 'unassigned' without one")


def _moment(name: str, description: str, *, nullable: bool = True) -> Column:
    return Column(name, "TIMESTAMPTZ", description, nullable=nullable)


TICKETS = Record(
    "tickets",
    "Support tickets, each version that was landed; their texts are left in the landing zone.",
    "log",
    (
        Column("id", "BIGINT", "the ticket"),
        _moment("created_at", "when it was created", nullable=False),
        _moment("updated_at", "when this version was made", nullable=False),
        Column("status", "BIGINT", "2 open, 3 pending, 4 resolved, 5 closed; others are the account's own"),
        Column("priority", "BIGINT", "1 low to 4 urgent", nullable=True),
        Column("source", "BIGINT", "how it came in: 1 email, 2 portal, 3 phone, ...", nullable=True),
        Column("spam", "BOOLEAN", "marked as spam", nullable=True),
        Column("deleted", "BOOLEAN", "in the trash", nullable=True),
        Column("requester_id", "BIGINT", "who asked", personal=True),
        Column("company_id", "BIGINT", "the requester's company", nullable=True),
        Column("product_id", "BIGINT", "the product", nullable=True),
        Column("type", "VARCHAR", "the kind of ticket", nullable=True),
        Column("tags", "VARCHAR[]", "its tags", nullable=True),
        _moment("first_responded_at", "first answer by an agent"),
        _moment("agent_responded_at", "latest answer by an agent"),
        _moment("requester_responded_at", "latest answer by the requester"),
        _moment("status_updated_at", "latest change of status"),
        _moment("reopened_at", "latest reopening"),
        _moment("resolved_at", "latest resolution"),
        _moment("closed_at", "latest closing"),
        _moment("pending_since", "latest begin of waiting for the requester"),
    ),
    day="updated_at::date",
    rules=(
        ("updated_before_created", "updated_at < created_at"),
        ("responded_before_created", "first_responded_at < created_at"),
        ("resolved_before_created", "least(resolved_at, closed_at) < created_at"),
    ),
    may_be_empty=True,
)
# Streams of the same source: they have no source of their own in kpi.toml.
MESSAGES = Record(
    "ticket_messages",
    "Replies and notes on tickets, each version that was landed, without their texts.",
    "log",
    (
        Column("id", "BIGINT", "the message"),
        _moment("created_at", "when it was written", nullable=False),
        _moment("updated_at", "when this version was made"),
        Column("incoming", "BOOLEAN", "from the requester's side"),
        Column("private", "BOOLEAN", "seen by agents only"),
        Column("source", "BIGINT", "0 reply, 2 note, 6 survey, 8 forwarded, ...", nullable=True),
        Column("user_id", "BIGINT", "who wrote it; empty: the system", nullable=True, personal=True),
    ),
    day="created_at::date",
)
RATINGS = Record(
    "ticket_ratings",
    "Answers to the satisfaction survey, each version that was landed, without their texts.",
    "log",
    (
        Column("id", "BIGINT", "the answer"),
        Column("ticket_id", "BIGINT", "the ticket"),
        _moment("created_at", "when it was given", nullable=False),
        _moment("updated_at", "when this version was made"),
        Column("user_id", "BIGINT", "who gave it", nullable=True, personal=True),
        Column("rating", "BIGINT", "of the default question: 103 to 101 happy, 100 neutral, -101 to -103 unhappy"),
    ),
    day="created_at::date",
    rules=(("invalid:rating", "rating not in (103, 102, 101, 100, -101, -102, -103)"),),
)


def _raw(record: Record, *more: Column) -> Table:
    """The raw table of a stream, as of any, but a person may be unknown."""
    columns = (
        replace(PERSON, nullable=c.nullable) if c.personal else replace(c, type=RAW_TYPES.get(c.type, c.type))
        for c in record.columns
    )
    return Table(f"raw.{record.source}", record.description, "record", (), (*columns, *more, FILE, ROW))


def _utc(name: str, description: str, *, nullable: bool = True) -> Column:
    return Column(name, "TIMESTAMP", f"{description}, UTC", nullable=nullable)


RAW_TABLES = (
    _raw(TICKETS),
    _raw(MESSAGES, TICKET_ID, Column("is_merge_note", "BOOLEAN", "a note that says that the ticket was merged")),
    _raw(RATINGS),
    Table(
        "raw.tickets_gone",
        "Tickets that were listed no more, asked for, and not found: deleted for good.",
        "record",
        (),
        (TICKET_ID, _utc("noticed_at", "when Freshdesk said so", nullable=False), FILE, ROW),
    ),
)
EXCLUDED_FROM = Column(
    "excluded_from",
    "DATE",
    "from this day on an excluded ticket doesn't count, in periods that end then or later; empty: it never did",
    nullable=True,
)
STAGED_TABLES = (
    Table(
        "staged.tickets",
        "Tickets in their newest version, with what keeps them out of the figures.",
        "ticket",
        ("ticket_id",),
        (
            TICKET_ID,
            _utc("created_at", "created", nullable=False),
            _utc("updated_at", "newest version", nullable=False),
            Column("status", "BIGINT", "as in raw.tickets"),
            Column("priority", "BIGINT", "1 low to 4 urgent", nullable=True),
            COMMUNITY,
            PRODUCT,
            Column(
                "exclusion",
                "VARCHAR",
                "why it isn't counted; empty: it is",
                nullable=True,
                values=("spam", "deleted", "merged"),
            ),
            EXCLUDED_FROM,
            _utc("first_responded_at", "first answer by an agent, as Freshdesk has it"),
            _utc("reopened_at", "latest reopening"),
            _utc("resolved_at", "latest resolution"),
            _utc("closed_at", "latest closing"),
            Column("has_messages", "BOOLEAN", "a page of its conversation was landed"),
        ),
    ),
    Table(
        "staged.ticket_messages",
        "Messages on known tickets in their newest version.",
        "message",
        ("message_id",),
        (
            Column("message_id", "BIGINT", "the message"),
            TICKET_ID,
            _utc("created_at", "written", nullable=False),
            Column("is_incoming", "BOOLEAN", "from the requester's side"),
            Column("is_reply", "BOOLEAN", "public, from our side, by a person, and for the requester"),
        ),
    ),
)
FACTS_TABLES = (
    Table(
        "facts.ticket_waits",
        "Spells of waiting for the customer, where the landed versions of a ticket record them. They don't overlap.",
        "ticket and spell",
        ("ticket_id", "from_at"),
        (
            TICKET_ID,
            _utc("from_at", "begin", nullable=False),
            _utc("to_at", "end; empty: still waiting"),
        ),
    ),
    Table(
        "facts.tickets",
        "Tickets with their first public human reply and final resolution; waiting for the customer is subtracted.",
        "ticket",
        ("ticket_id",),
        (
            TICKET_ID,
            _utc("created_at", "created", nullable=False),
            COMMUNITY,
            PRODUCT,
            Column("priority", "BIGINT", "1 low to 4 urgent", nullable=True),
            Column("exclusion", "VARCHAR", "spam, deleted or merged; empty: it counts", nullable=True),
            EXCLUDED_FROM,
            _utc("replied_at", "first public human reply"),
            _utc("resolved_at", "final resolution; empty: open, or reopened"),
            *(
                Column(f"{event}_{kind}seconds", "BIGINT", f"created to {what}, {how}", unit="s", nullable=True)
                for event, what in (("reply", "first reply"), ("resolution", "final resolution"))
                for kind, how in (("", "elapsed"), ("business_", "within business hours"))
            ),
        ),
    ),
    Table(
        "facts.ticket_ratings",
        "Answers to the satisfaction survey on tickets that count.",
        "answer",
        ("rating_id",),
        (
            Column("rating_id", "BIGINT", "the answer"),
            TICKET_ID,
            _utc("created_at", "given", nullable=False),
            COMMUNITY,
            PRODUCT,
            count("rating", "103 to 101 happy, 100 neutral, -101 to -103 unhappy", "points"),
        ),
    ),
)
TABLES = (*RAW_TABLES, *STAGED_TABLES, *FACTS_TABLES)
