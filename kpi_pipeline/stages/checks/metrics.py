"""Checks of the metrics domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = ("facts.api_calls", "facts.api_times", "facts.api_buckets", "facts.uptime")

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "api_calls_have_no_gap",
        "facts.api_calls",
        "WARN",
        "Calls were measured on every day from the first one on; a day without a sample is no day without calls.",
        "select date from (select unnest(generate_series(min(date), $as_of::date, interval 1 day))::date as date "
        "from facts.api_calls) where date not in (select date from facts.api_calls)",
    ),
    Check(
        "audiences_are_known",
        "facts.api_calls",
        "WARN",
        "Every audience is b2b or b2c; another one may be misspelt, and counts for neither.",
        "select audience, sum(calls) as calls from facts.api_calls "
        "where audience not in ('b2b', 'b2c') group by audience",
    ),
    Check(
        "calls_have_durations",
        "facts.api_times",
        "WARN",
        "Calls and their durations were measured in the same steps; a step with only one of them isn't in the mean.",
        "select date, service, audience, untimed_calls, uncounted_seconds from facts.api_times "
        "where untimed_calls > 0 or uncounted_seconds > 0",
    ),
    Check(
        "observed_time_is_within_the_day",
        "facts.uptime",
        "ERROR",
        "Observed and unobserved time are the day, and time up is within the observed.",
        "select date, system, up_seconds, observed_seconds, unobserved_seconds from facts.uptime "
        "where unobserved_seconds < 0 or observed_seconds + unobserved_seconds <> 86400 "
        "or up_seconds > observed_seconds",
    ),
)
