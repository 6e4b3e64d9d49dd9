"""The metrics domain: what Prometheus has measured of APIs and systems. No SQL that moves data."""

from kpi_pipeline.contracts.columns import DAY, VALUE, count, raw_table
from kpi_pipeline.contracts.model import Column, Record, Table

# What every sample says of itself, whatever is measured.
SAMPLE = (
    Column("date", "DATE", "UTC day in which the sample's interval ends; midnight belongs to the day before"),
    Column("sampled_at", "TIMESTAMPTZ", "the sample's timestamp: it stands for the step that ends then"),
    Column("labels", "VARCHAR", "md5 of the series' labels but le: tells series apart"),
)
SERVICE = Column("service", "VARCHAR", "the service that was called")
AUDIENCE = Column("audience", "VARCHAR", "whose calls: b2b or b2c", nullable=True)
CUSTOMER = Column("customer", "VARCHAR", "the business customer that called; of b2b only", nullable=True)
SYSTEM = Column("system", "VARCHAR", "the system that is probed")

API_METRICS = Record(
    "api_metrics",
    "Samples of API calls, their durations and the buckets of their durations: increases over a step.",
    "log",
    (
        Column("series", "VARCHAR", "the folder that the file lies in: which series it is"),
        SERVICE,
        AUDIENCE,
        CUSTOMER,
        Column("le", "VARCHAR", "upper bound of a bucket, in seconds, or +Inf", nullable=True),
        Column("value", VALUE, "the increase over the step that ends at sampled_at"),
        *SAMPLE,
    ),
    day="date",
    rules=(
        ("negative:value", "value < 0"),
        ("customer_not_b2b", "customer <> '' and lower(audience) is distinct from 'b2b'"),
    ),
)

UPTIME = Record(
    "uptime",
    "Samples of probes: whether a system was up over a step.",
    "log",
    (
        SYSTEM,
        Column("value", VALUE, "1 up, 0 down, or the share of the step that it was up"),
        *SAMPLE,
    ),
    day="date",
    rules=(("negative:value", "value < 0"), ("above_one:value", "value > 1")),
)

RECORDS = (API_METRICS, UPTIME)

WAREHOUSE: tuple[Table, ...] = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "facts.api_calls",
        "Calls of APIs.",
        "day, service, audience and customer",
        ("date", "service", "audience", "customer"),
        (
            DAY,
            SERVICE,
            AUDIENCE,
            CUSTOMER,
            Column("calls", VALUE, "calls; Prometheus extrapolates, so there may be fractions", unit="calls"),
        ),
    ),
    Table(
        "facts.api_times",
        "How long API calls took together, of steps in which both calls and durations were measured.",
        "day, service and audience",
        ("date", "service", "audience"),
        (
            DAY,
            SERVICE,
            AUDIENCE,
            Column("calls", VALUE, "calls of which the durations were measured", unit="calls"),
            Column("seconds", VALUE, "their durations, summed", unit="seconds"),
            Column("untimed_calls", VALUE, "calls of steps without durations", unit="calls"),
            Column("uncounted_seconds", VALUE, "durations of steps without calls", unit="seconds"),
        ),
    ),
    Table(
        "facts.api_buckets",
        "Calls that took at most so long, as Prometheus' histograms count them: each bucket holds the smaller ones.",
        "day, service, audience and bound",
        ("date", "service", "audience", "le"),
        (
            DAY,
            SERVICE,
            AUDIENCE,
            Column("le", VALUE, "upper bound of the bucket; empty: none (+Inf)", unit="seconds", nullable=True),
            count("histograms", "how many histograms have this bound", "histograms"),
            Column("calls", VALUE, "calls that took at most so long", unit="calls"),
        ),
    ),
    Table(
        "facts.uptime",
        "How long systems were up, of the time that they were observed; from a system's first sample on.",
        "day and system",
        ("date", "system"),
        (
            DAY,
            SYSTEM,
            Column("up_seconds", VALUE, "time up: all of the system's probes succeeded", unit="seconds"),
            count("observed_seconds", "time with a sample", "seconds"),
            count("unobserved_seconds", "time without one: neither up nor down", "seconds"),
            count("samples", "steps with a sample", "steps"),
        ),
    ),
)
