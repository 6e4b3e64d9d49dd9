"""The records that sources deliver, column by column, in the sources' own words."""

from kpi_pipeline.contracts import costs, delivery, github, metrics, money, opinion, outreach, product, quality
from kpi_pipeline.contracts.clicks import ACCESS_LOGS
from kpi_pipeline.contracts.model import Column, Record
from kpi_pipeline.contracts.support import TICKETS

HUB_REGISTRY = Record(
    "hub_registry",
    "The hubs that were run, with the interval in which each version of an entry was valid.",
    "state",
    (
        Column(
            "valid_from", "TIMESTAMPTZ", "when this version of the entry began, included; a bare date is midnight UTC"
        ),
        Column("valid_to", "TIMESTAMPTZ", "when it ended, not included; empty: still valid", nullable=True),
        Column("cluster", "VARCHAR", "the cluster that the hub runs on"),
        Column("provider", "VARCHAR", "who provides the cluster: gcp, aws, azure, kubeconfig, ...", nullable=True),
        Column("hub", "VARCHAR", "the hub's name on its cluster"),
        Column("display_name", "VARCHAR", "the name that people see", nullable=True),
        Column("domain", "VARCHAR", "where the hub is served", nullable=True),
        Column("helm_chart", "VARCHAR", "the chart that installs it", nullable=True),
        Column("hubspot_deal_id", "VARCHAR", "the deal that pays for it", nullable=True),
        Column(
            "community", "VARCHAR", "who the hub is run for; several are separated by ;", nullable=True, optional=True
        ),
        Column(
            "hub_type", "VARCHAR", "what for", nullable=True, optional=True, values=("education", "research", "other")
        ),
        Column(
            "environment",
            "VARCHAR",
            "production or staging",
            nullable=True,
            optional=True,
            values=("production", "staging"),
        ),
        Column(
            "kind",
            "VARCHAR",
            "hub, or binder (sessions, not people)",
            nullable=True,
            optional=True,
            values=("hub", "binder"),
        ),
        Column(
            "identity_issuer",
            "VARCHAR",
            "who vouches for the usernames; default: the cluster",
            nullable=True,
            optional=True,
        ),
    ),
    day="valid_from::date",
    rules=(("ends_before_it_begins", "valid_to <= valid_from"),),
)

HUB_ACTIVITY = Record(
    "hub_activity",
    "Who used which hub on which day.",
    "log",
    (
        Column("date", "DATE", "UTC day of the activity"),
        Column("cluster", "VARCHAR", "the cluster that the hub runs on"),
        Column("hub", "VARCHAR", "the hub's name on its cluster"),
        Column("username", "VARCHAR", "the name on the hub", personal=True),
        Column("sessions", "BIGINT", "sessions on that day", unit="sessions", nullable=True, optional=True),
    ),
    day="date",
    rules=(("negative:sessions", "sessions < 0"),),
    marks_days=True,
)

RECORDS = {
    record.source: record
    for record in (
        HUB_REGISTRY,
        HUB_ACTIVITY,
        TICKETS,
        ACCESS_LOGS,
        *costs.RECORDS,
        *github.RECORDS,
        *money.RECORDS,
        *opinion.RECORDS,
        *delivery.RECORDS,
        *quality.RECORDS,
        *metrics.RECORDS,
        *product.RECORDS,
        *outreach.RECORDS,
    )
}
