select
    h.source,
    h.newest_data,
    $as_of::date - h.newest_data as age_days,
    h.max_age_days,
    case
        when not h.connected then 'not connected'
        when h.newest_data is null then 'no data'
        when h.max_age_days is null then 'no deadline'
        when $as_of::date - h.newest_data > h.max_age_days then 'late'
        else 'fresh'
    end as freshness,
    (select count(*) from raw.loads as l where l.source = h.source) as files,
    (select coalesce(sum(rows), 0)::bigint from raw.loads as l where l.source = h.source) as rows,
    (select count(*) from raw.quarantine as q where q.source = h.source) as quarantined,
    case
        when h.source = 'hub_activity' and h.connected
            then (select count(distinct date) from raw.hub_activity where date <= $as_of)
    end as days_covered,
    case
        when h.source = 'hub_activity' and h.connected
            then (select $as_of::date - min(date) + 1 from raw.hub_activity where date <= $as_of)
    end as days_expected,
    w.parts,
    w.parts_whole
from temp.source_health as h
left join (
    select
        source,
        count(*) as parts,
        count(*) filter (where (source, part) not in (select (source, part) from temp.missing_days)) as parts_whole
    from raw.parts
    where is_wanted
    group by source
) as w on h.source = w.source
