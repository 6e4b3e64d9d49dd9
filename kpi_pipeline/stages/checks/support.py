"""Checks of support tickets."""

from kpi_pipeline.contracts.support import FACTS_TABLES, STAGED_TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CHECKS: tuple[Check, ...] = (
    *(check(contract) for contract in (*STAGED_TABLES, *FACTS_TABLES) for check in (key_check, null_check)),
    Check(
        "every_ticket_is_staged",
        "staged.tickets",
        "ERROR",
        "Every ticket that was landed is staged, unless all of its versions are in quarantine.",
        """select distinct id from raw.tickets r where id not in (select ticket_id from staged.tickets)
        and not exists (select 1 from raw.quarantine q where q.source = 'tickets' and q.stage = 'staged'
            and q.file = r._file and q.row = r._row)""",
        of_shared=True,
    ),
    Check(
        "staged_tickets_are_in_facts",
        "facts.tickets",
        "ERROR",
        "Facts hold every staged ticket, and nothing else.",
        """select coalesce(s.ticket_id, f.ticket_id) as ticket_id from staged.tickets s
        full join facts.tickets f on s.ticket_id = f.ticket_id where s.ticket_id is null or f.ticket_id is null""",
    ),
    Check(
        "ticket_times_are_possible",
        "facts.tickets",
        "ERROR",
        "0 <= business time <= elapsed time <= time from creation to the event, for reply and resolution.",
        """select ticket_id from facts.tickets
        where not (0 <= reply_business_seconds and reply_business_seconds <= reply_seconds
            and reply_seconds <= epoch(replied_at) - epoch(created_at))
        or not (0 <= resolution_business_seconds and resolution_business_seconds <= resolution_seconds
            and resolution_seconds <= epoch(resolved_at) - epoch(created_at))
        or (replied_at is null) <> (reply_seconds is null) or (resolved_at is null) <> (resolution_seconds is null)""",
    ),
    Check(
        "waits_do_not_overlap",
        "facts.ticket_waits",
        "ERROR",
        "Spells of waiting of a ticket are disjoint, and none ends before it begins.",
        """select ticket_id, from_at
        from (select *, lead(from_at) over (partition by ticket_id order by from_at) as next_at from facts.ticket_waits)
        where to_at <= from_at or coalesce(to_at, 'infinity'::timestamp) > next_at""",
    ),
)
