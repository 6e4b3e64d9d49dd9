"""The product domain: transactions, who is registered, who is active. No SQL that moves data, no name of a user."""

from dataclasses import replace

from kpi_pipeline.contracts.columns import DAY, PERSON, count, raw_table
from kpi_pipeline.contracts.model import Column, Record, Table

PRODUCT = Column("product", "VARCHAR", "the product, in lower case")
KIND = Column(
    "kind", "VARCHAR", "subscription, consultation or payment", values=("subscription", "consultation", "payment")
)
AUDIENCES = Column("audiences", "VARCHAR[]", "b2c, b2b or both: who is registered for both is in neither alone")
# Users have one name in both sources, so one key.
ISSUER = "product"

TRANSACTIONS = Record(
    "transactions",
    "Transactions, one a row or counted by day; of one with an id, each state that was delivered.",
    "log",
    (
        Column("attempted_at", "TIMESTAMPTZ", "when it was attempted; a bare date is midnight UTC"),
        Column("product", "VARCHAR", "the product"),
        KIND,
        Column(
            "status",
            "VARCHAR",
            "how it stands; refunded: it had succeeded",
            values=("attempted", "pending", "succeeded", "failed", "refunded"),
        ),
        Column("transaction_id", "VARCHAR", "its id, unique over all products", nullable=True, optional=True),
        Column(
            "updated_at", "TIMESTAMPTZ", "when that was its status; empty: attempted_at", nullable=True, optional=True
        ),
        Column(
            "count", "BIGINT", "how many the row stands for; empty: 1", "transactions", nullable=True, optional=True
        ),
    ),
    day="attempted_at::date",
    rules=(
        ("future:attempted_at", "attempted_at::date > $fetched"),
        ("updated_before_attempted", "updated_at < attempted_at"),
        ("negative:count", '"count" < 0'),
        ("several_with_one_id", 'transaction_id is not null and "count" <> 1'),
    ),
)

REGISTRATIONS = Record(
    "registrations",
    "Who is registered as a user, closed registrations included.",
    "state",
    (
        Column("user", "VARCHAR", "the user's name or id", personal=True),
        Column("audience", "VARCHAR", "b2c or b2b", values=("b2c", "b2b")),
        Column("registered_on", "DATE", "first UTC day as a registered user"),
        Column(
            "closed_on",
            "DATE",
            "first UTC day no longer; empty: still",
            nullable=True,
            optional=True,
            may_be_future=True,
        ),
    ),
    day="registered_on",
    rules=(("ends_before_it_begins", "closed_on < registered_on"),),
    issuer=ISSUER,
)

PRODUCT_ACTIVITY = Record(
    "product_activity",
    "Who used the product on which day.",
    "log",
    (
        Column("date", "DATE", "UTC day of the activity"),
        Column("user", "VARCHAR", "the name or id, as in registrations", personal=True),
    ),
    day="date",
    issuer=ISSUER,
)

RECORDS = (TRANSACTIONS, REGISTRATIONS, PRODUCT_ACTIVITY)

WAREHOUSE: tuple[Table, ...] = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "facts.transactions",
        "Transactions by the day on which they were attempted; one with an id once, in its newest state.",
        "day, product and kind",
        ("date", "product", "kind"),
        (
            DAY,
            PRODUCT,
            KIND,
            count("attempted", "all of them, those still pending included", "transactions"),
            count("succeeded", "those that succeeded, refunded later or not", "transactions"),
            count("refunded", "of these, those refunded later", "transactions"),
            count("failed", "those that failed", "transactions"),
        ),
    ),
    Table(
        "staged.registration_spells",
        "Who is registered for which audiences from which day to which. The spells of a user don't overlap.",
        "user and spell",
        ("person_key", "from_day"),
        (
            replace(PERSON, description=f"the user. {PERSON.description}"),
            Column("from_day", "DATE", "first UTC day"),
            Column("to_day", "DATE", "first UTC day no longer; 9999-12-31: still"),
            AUDIENCES,
        ),
    ),
    Table(
        "facts.product_users",
        "How many users are registered, and how many of them were active in the 30 days that end on the day. From the "
        "30th day of activity on, up to the newest.",
        "day and audiences",
        ("date", "audiences"),
        (
            DAY,
            AUDIENCES,
            count("registered", "registered on the day", "people"),
            count("active", "of these, those active, as registered users, in the 30 days", "people"),
        ),
    ),
)
