"""Checks of the outreach domain."""

from kpi_pipeline.contracts import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CONTRACT_CHECKED = (
    "facts.integrations",
    "facts.partnerships",
    "facts.collaborations",
    "facts.community_channels",
    "facts.developer_events",
    "facts.document_changes",
)

CHECKS: tuple[Check, ...] = (
    *(check(TABLES[name]) for name in CONTRACT_CHECKED for check in (key_check, null_check)),
    Check(
        "partnerships_follow_each_other",
        "facts.partnerships",
        "WARN",
        "A partner's partnership has ended when its next one begins. Otherwise one may be there twice, with two days.",
        """select partner, established_on, next_on from (
            select *, lead(established_on) over (partition by partner order by established_on) as next_on
            from facts.partnerships
        ) where next_on < coalesce(ended_on, date 'infinity')""",
    ),
    Check(
        "resources_are_created_once",
        "facts.document_changes",
        "WARN",
        "A documentation resource is created once, and updated after that.",
        """select resource, date, first_date from (
            select *, min(date) over (partition by resource) as first_date from facts.document_changes
        ) where action = 'created' and date > first_date""",
    ),
)
