-- Mean answer per month and fiscal quarter; beside it the share of 4 and 5, the response rate and the themes. What rests
-- on fewer than $min_people people is not shown but for the organisation.
with period as (
    -- A month and a quarter to date can be the same days: one row.
    select period_start, period_end, bool_or(is_closed) as is_closed
    from facts.periods
    where kind in ('month', 'quarter')
    group by period_start, period_end
),

answer as (
    select *, coalesce(person_key::varchar, _file || '/' || _row) as person
    from facts.survey_answers
    where date <= $as_of and kind = 'satisfaction' and subject is null
),

membership as (
    select 'organisation' as grain, 'organisation' as member, * from answer
    union all
    select 'community', community, * from answer where community is not null
    union all
    select 'theme', unnest(themes), * from answer
),

counted as (
    select
        m.grain,
        m.member,
        p.period_start,
        p.period_end,
        p.is_closed,
        count(*) as answers,
        count(distinct m.person) as people,
        sum(m.score)::hugeint as total,
        count(*) filter (where m.score >= 4) as best
    from membership as m
    inner join period as p on m.date between p.period_start and p.period_end
    group by all
),

invited as (
    select grain, member, p.period_start, p.period_end, p.is_closed, sum(i.invited)::bigint as invited
    from (
        select 'organisation' as grain, 'organisation' as member, date, invited, kind, subject
        from staged.survey_invitations
        union all
        select 'community', community, date, invited, kind, subject from staged.survey_invitations where community is not null
    ) as i
    inner join period as p on i.date between p.period_start and p.period_end
    where i.date <= $as_of and i.kind = 'satisfaction' and i.subject is null
    group by all
),

-- Answers by the period of the invitation that they go back to.
answered as (
    select m.grain, m.member, p.period_start, p.period_end, count(*) as answers, count(distinct m.person) as people
    from membership as m
    inner join period as p on m.invited_on between p.period_start and p.period_end
    where m.grain = 'organisation' or (m.grain = 'community' and m.invited_community is not null)
    group by all
),

-- Every figure as a ratio; `people` decides whether it is shown.
ratio as (
    select
        grain, member, period_start, period_end, is_closed, people, answers,
        total as numerator, answers as denominator, 1 as factor, answers as n
    from counted
    where grain <> 'theme'
    union all
    select
        grain || ':share_of_best', member, period_start, period_end, is_closed, people, answers,
        best, answers, 100, answers
    from counted
    where grain <> 'theme'
    union all
    select
        i.grain || ':response_rate', i.member, i.period_start, i.period_end, i.is_closed, coalesce(a.people, 0),
        coalesce(a.answers, 0), coalesce(a.answers, 0), i.invited, 100, i.invited
    from invited as i
    left join answered as a
        on i.grain = a.grain and i.member = a.member
        and i.period_start = a.period_start and i.period_end = a.period_end
),

judged as (
    select
        *,
        not starts_with(grain, 'organisation') and least(people, n) < $min_people as is_hidden,
        case
            when answers < $minimum_answers or (not starts_with(grain, 'organisation') and people < $min_people)
                then 'insufficient'
            when is_closed then 'ok'
            else 'to date'
        end as status
    from ratio
),

reach as (
    select min(date) as first_date from answer
)

-- Rounded half up at the ninth decimal, in integers: a float would be off.
select
    grain,
    member,
    period_start,
    period_end,
    case
        when not is_hidden and denominator > 0 then
            ((2 * factor * numerator * 1000000000 + denominator) // (2 * denominator))::decimal(28, 0)
            * 0.000000001::decimal(10, 9)
    end as value,
    case when not is_hidden then numerator end as numerator,
    case when not is_hidden then denominator end as denominator,
    n,
    status
from judged
union all
select
    grain,
    member,
    period_start,
    period_end,
    case when people >= $min_people then answers end,
    null,
    null,
    answers,
    case
        when answers < $minimum_answers or people < $min_people then 'insufficient'
        when is_closed then 'ok'
        else 'to date'
    end as status
from counted
where grain = 'theme'
union all
select 'organisation', 'organisation', period_start, period_end, null, null, null, 0, 'no data' as status
from period, reach
where period_end >= first_date
    and (period_start, period_end) not in (
        select (period_start, period_end) from counted where grain = 'organisation'
    )
