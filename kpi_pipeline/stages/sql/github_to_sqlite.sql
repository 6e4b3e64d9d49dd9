-- Rows of a github-to-sqlite database to columns; the first thing that is wrong with one becomes its reason.
with typed as (
    select
        * replace (
            try_cast(id as bigint) as id,
            try_cast(number as bigint) as number,
            (try_cast(happened_at as timestamptz) at time zone 'UTC') as happened_at,
            (try_cast(updated_at as timestamptz) at time zone 'UTC') as updated_at,
            (try_cast(ended_at as timestamptz) at time zone 'UTC') as ended_at
        ),
        happened_at as happened_text,
        updated_at as updated_text,
        ended_at as ended_text,
        number as number_text
    from github_rows
)

select
    repository,
    stream,
    id,
    number,
    event,
    state,
    reason,
    happened_at,
    updated_at,
    ended_at,
    is_pull_request,
    actor,
    coalesce(actor_type = 'Bot', actor like '%[bot]') as actor_is_bot,
    $file as _file,
    _row,
    case
        when happened_text is null then 'missing:happened_at'
        when happened_at is null then 'invalid:happened_at'
        when updated_text is not null and updated_at is null then 'invalid:updated_at'
        when ended_text is not null and ended_at is null then 'invalid:ended_at'
        when number is null and number_text is not null then 'invalid:number'
        when stream = 'issues' and number is null then 'missing:number'
        when stream = 'issues' and state not in ('open', 'closed') then 'invalid:state'
    end as _reason
from typed
