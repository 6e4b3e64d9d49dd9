-- First public human reply and final resolution of each ticket; elapsed, and within business hours.
with reply as (
    select ticket_id, min(created_at) as replied_at from staged.ticket_messages where is_reply group by ticket_id
),

ticket as (
    select
        t.ticket_id,
        t.created_at,
        t.community,
        t.product,
        t.priority,
        t.exclusion,
        t.excluded_from,
        -- Freshdesk's own stamp, where no page of the conversation was landed.
        case when t.has_messages then r.replied_at else t.first_responded_at end as replied_at,
        -- 4 resolved, 5 closed: the stamps of an open ticket are of a resolution that didn't last.
        case when t.status in (4, 5) then
            least(
                case when t.resolved_at >= coalesce(t.reopened_at, t.created_at) then t.resolved_at end,
                case when t.closed_at >= coalesce(t.reopened_at, t.created_at) then t.closed_at end
            )
        end as resolved_at
    from staged.tickets as t
    left join reply as r on t.ticket_id = r.ticket_id
),

event as (
    select ticket_id, created_at, 'reply' as kind, replied_at as happened_at from ticket where replied_at is not null
    union all
    select ticket_id, created_at, 'resolution', resolved_at from ticket where resolved_at is not null
),

-- What is measured: from creation to the event, less the spells of waiting within.
stretch as (
    select ticket_id, kind, 1 as sign, created_at as from_at, happened_at as to_at from event
    union all
    select
        e.ticket_id, e.kind, -1, greatest(w.from_at, e.created_at), least(coalesce(w.to_at, e.happened_at), e.happened_at)
    from event as e
    inner join facts.ticket_waits as w
        on e.ticket_id = w.ticket_id and w.from_at < e.happened_at and coalesce(w.to_at, e.happened_at) > e.created_at
),

working_day as (
    select
        opens_at,
        closes_at,
        coalesce(
            sum(epoch_us(closes_at) - epoch_us(opens_at))
                over (order by opens_at rows between unbounded preceding and 1 preceding),
            0
        ) as worked_before
    from facts.business_hours
),

moment as (
    select from_at as happened_at from stretch
    union
    select to_at from stretch
),

-- Business time since the calendar began: a stretch's share of it is a difference.
clock as (
    select
        m.happened_at,
        coalesce(d.worked_before + least(epoch_us(m.happened_at), epoch_us(d.closes_at)) - epoch_us(d.opens_at), 0) as worked
    from moment as m
    asof left join working_day as d on m.happened_at >= d.opens_at
),

measured as (
    select
        s.ticket_id,
        s.kind,
        sum(s.sign * (epoch_us(s.to_at) - epoch_us(s.from_at))) // 1000000 as elapsed,
        sum(s.sign * (t.worked - f.worked)) // 1000000 as business
    from stretch as s
    inner join clock as f on s.from_at = f.happened_at
    inner join clock as t on s.to_at = t.happened_at
    group by s.ticket_id, s.kind
)

select
    t.*,
    r.elapsed::bigint as reply_seconds,
    r.business::bigint as reply_business_seconds,
    s.elapsed::bigint as resolution_seconds,
    s.business::bigint as resolution_business_seconds
from ticket as t
left join measured as r on t.ticket_id = r.ticket_id and r.kind = 'reply'
left join measured as s on t.ticket_id = s.ticket_id and s.kind = 'resolution'
order by t.ticket_id
