"""Checks of nbgitpuller clicks."""

from kpi_pipeline.contracts.clicks import TABLES
from kpi_pipeline.stages.checks.model import Check, key_check, null_check

CHECKS: tuple[Check, ...] = (
    *(check(contract) for contract in TABLES for check in (key_check, null_check)),
    Check(
        "every_log_line_is_accounted_for",
        "facts.nbgitpuller_hits",
        "ERROR",
        "Lines of a log = landings in raw + lines in quarantine + other lines, of every file.",
        """select l.file, l.lines, l.others, coalesce(r.n, 0) as landings, coalesce(q.n, 0) as rejected
        from (select * from raw.log_files where source = 'access_logs') l
        full join (select _file as file, count(*) as n from raw.access_logs group by all) r on l.file = r.file
        left join (select file, count(*) as n from raw.quarantine
            where source = 'access_logs' and stage = 'raw' and row is not null group by all) q on l.file = q.file
        where l.others < 0 or l.lines is distinct from coalesce(l.others, 0) + coalesce(r.n, 0) + coalesce(q.n, 0)""",
        of_shared=True,
    ),
    Check(
        "every_landing_is_accounted_for",
        "facts.nbgitpuller_hits",
        "ERROR",
        "Landings in raw = hits in facts + on staging hubs + on hubs unknown or not in service, on every day.",
        """select r.date, r.n, coalesce(f.n, 0) as counted from (
            select date, count(*) as n from raw.access_logs l
            where exists (select 1 from staged.hubs h where h.cluster = l.cluster and h.hub = l.hub
                and h.environment = 'production' and l.date >= h.from_day and l.date < h.to_day)
            group by date) r
        full join (select date, sum(hits) as n from facts.nbgitpuller_hits group by date) f on r.date = f.date
        where r.n is distinct from f.n""",
    ),
    Check(
        "clicks_begin_with_the_first_landing",
        "facts.nbgitpuller_hits",
        "ERROR",
        "The first landing of a person on a repository of a hub is a click.",
        """select hub_id, min(hit_at) as first_hit from facts.nbgitpuller_hits group by hub_id, person_key, repo
        having not arg_min(is_click, hit_at)""",
    ),
)
