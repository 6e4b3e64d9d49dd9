"""Cloud costs: the billing record (FOCUS) and the tables made of it. Declarations only: no SQL of a stage, no I/O."""

from dataclasses import replace

from kpi_pipeline.contracts.columns import DAY, HUB_ID, count, raw_table
from kpi_pipeline.contracts.model import Column, Record, Table

# Providers bill down to 1e-11 and write floats with 17 digits; 14 digits are left before the point.
MONEY = "DECIMAL(38, 24)"
CENTS = "DECIMAL(38, 2)"

CLOUD_COSTS = Record(
    "cloud_costs",
    "The lines of the cloud bill, as FOCUS 1.0 to 1.2 has them.",
    "log",
    (
        Column("BilledCost", MONEY, "what the line costs on the bill", unit="BillingCurrency"),
        Column("BillingAccountId", "VARCHAR", "the account that is billed"),
        Column("BillingAccountName", "VARCHAR", "its name", nullable=True),
        Column("BillingCurrency", "VARCHAR", "currency of the bill"),
        Column("BillingPeriodStart", "TIMESTAMPTZ", "first moment of the billing period"),
        Column("BillingPeriodEnd", "TIMESTAMPTZ", "its end, not included"),
        Column(
            "ChargeCategory",
            "VARCHAR",
            "what kind of line it is",
            values=("usage", "purchase", "tax", "credit", "adjustment"),
        ),
        Column("ChargeClass", "VARCHAR", "correction, or nothing", nullable=True, values=("correction",)),
        Column("ChargeDescription", "VARCHAR", "what was charged for", nullable=True),
        Column("ChargePeriodStart", "TIMESTAMPTZ", "first moment that the charge is for, which says its month"),
        Column("ChargePeriodEnd", "TIMESTAMPTZ", "its end, not included"),
        Column("ContractedCost", MONEY, "cost at contracted prices", unit="BillingCurrency", nullable=True),
        Column("EffectiveCost", MONEY, "amortised cost", unit="BillingCurrency", nullable=True),
        Column("InvoiceIssuerName", "VARCHAR", "who sends the invoice", nullable=True),
        Column("ListCost", MONEY, "cost at list prices", unit="BillingCurrency", nullable=True),
        Column("PricingQuantity", MONEY, "how much was priced", unit="PricingUnit", nullable=True),
        Column("PricingUnit", "VARCHAR", "in what unit", nullable=True),
        Column("ProviderName", "VARCHAR", "whose cloud it is", nullable=True),
        Column("PublisherName", "VARCHAR", "whose service it is", nullable=True),
        Column("ServiceCategory", "VARCHAR", "compute, storage, ...", nullable=True),
        Column("ServiceName", "VARCHAR", "the service", nullable=True),
        Column("SubAccountId", "VARCHAR", "project, subscription or member account", nullable=True, optional=True),
        Column(
            "Tags",
            "VARCHAR",
            "value of the tag that names the hub; other tags stay in the landing zone, since they can name people",
            nullable=True,
            optional=True,
            json_key="",
        ),
    ),
    day="ChargePeriodStart::date",
    rules=(("ends_before_it_begins", "ChargePeriodEnd < ChargePeriodStart or BillingPeriodEnd < BillingPeriodStart"),),
    null_words=("NULL",),
    is_open=True,
)
RECORDS = (CLOUD_COSTS,)


def record_with_hub_tag(hub_tag: str | None) -> Record:
    """The record of an organisation whose hubs are named by this tag. Another tag: another version, loaded anew."""
    columns = (replace(c, json_key=hub_tag or "") if c.name == "Tags" else c for c in CLOUD_COSTS.columns)
    return replace(CLOUD_COSTS, columns=tuple(columns))


MONTH = Column("month", "DATE", "first day of the calendar month (UTC) that the charge is for")
BASIS = ("tag", "account", "shared", "unallocated")

STAGED_COSTS = Table(
    "staged.cloud_costs",
    "The bill that counts, summed: redelivered periods replaced, up to the as-of day, in the reporting currency.",
    "day, account, tag, kind of line and currency",
    (
        *("date", "provider", "billing_account_id", "sub_account_id", "hub_tag"),
        *("charge_category", "is_correction", "currency"),
    ),
    (
        DAY,
        Column("provider", "VARCHAR", "whose cloud it is", nullable=True),
        Column("billing_account_id", "VARCHAR", "the account that is billed"),
        Column("sub_account_id", "VARCHAR", "project, subscription or member account", nullable=True),
        Column("hub_tag", "VARCHAR", "value of the tag that names the hub", nullable=True),
        Column("charge_category", "VARCHAR", "usage, purchase, tax, credit or adjustment"),
        Column("is_correction", "BOOLEAN", "corrects an invoice that was sent before"),
        Column("currency", "VARCHAR", "currency of the bill"),
        count("lines", "billing lines", "lines"),
        Column("billed", MONEY, "sum of BilledCost, credits negative", unit="currency"),
        Column("amount", MONEY, "the same, unrounded", unit="reporting currency"),
        Column("basis", "VARCHAR", "how the hub is known: tag, account, shared or unallocated", values=BASIS),
        Column("hub_id", "VARCHAR", "the hub, where tag or account names one", nullable=True),
        Column("detail", "VARCHAR", "shared: within what; unallocated: why", nullable=True),
    ),
)
COST_ACCOUNTING = Table(
    "staged.cloud_cost_accounting",
    "What became of every billing line; the parts add up to lines.",
    "file",
    ("file",),
    (
        Column("file", "VARCHAR", "the landed file"),
        count("lines", "lines in raw", "lines"),
        count("replaced", "lines of a period and account that a newer delivery has", "lines"),
        count("after_as_of", "lines for days after the as-of day", "lines"),
        count("no_rate", "lines in a currency without a rate", "lines"),
        count("counted", "lines that count", "lines"),
        count("days_lost", "days (by account) that were replaced and that the newer delivery has no line of", "days"),
    ),
)
MONTHLY_COSTS = Table(
    "facts.cloud_costs",
    "The bill, to the cent, by who caused it: hubs (direct and shared) and the rest; a month's rows sum to its bill.",
    "month, basis, hub and detail",
    ("month", "basis", "hub_id", "detail"),
    (
        MONTH,
        Column("basis", "VARCHAR", "tag, account, shared or unallocated", values=BASIS),
        Column("hub_id", "VARCHAR", "the hub; empty: unallocated", nullable=True),
        Column("detail", "VARCHAR", "shared: within what; unallocated: why", nullable=True),
        Column("amount", CENTS, "cost", unit="reporting currency"),
    ),
)
MONTHLY_USERS = Table(
    "facts.monthly_users",
    "Distinct people of calendar months, by plain counting. A hub's type is the one that it has at the month's end.",
    "month, grain and member",
    ("month", "grain", "member"),
    (
        MONTH,
        Column("grain", "VARCHAR", "organisation, hub_type or hub"),
        Column("member", "VARCHAR", "which one of the grain; 'organisation' for the whole"),
        count("users", "distinct people", "people"),
        count("user_days", "qualifying user-days", "user-days"),
    ),
)
HUB_MONTHS = Table(
    "facts.hub_months",
    "What the registry says of each hub at the end of each month (before its first entry: what the first one says).",
    "month and hub",
    ("month", "hub_id"),
    (
        MONTH,
        HUB_ID,
        Column("cluster", "VARCHAR", "the cluster"),
        Column("hub_type", "VARCHAR", "education, research or other"),
    ),
)

WAREHOUSE = (raw_table(CLOUD_COSTS), STAGED_COSTS, COST_ACCOUNTING, HUB_MONTHS, MONTHLY_USERS, MONTHLY_COSTS)
