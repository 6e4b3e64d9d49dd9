-- A log's successful landings, and the lines that are of no format that we know (format is null).
with line as (
    select line, row_number() over () as line_number
    from read_csv(
        $path, columns = {'line': 'VARCHAR'}, header = false, auto_detect = false, delim = $delimiter, quote = '',
        escape = '', compression = $compression, store_rejects = true
    )
),

-- Nearly all lines are other requests, and leave here: nothing dear may stand before this filter.
candidate as (
    select line, line_number
    from line
    where contains(line, '/git-pull?')
        or (
            (not starts_with(line, '[') or not regexp_matches(line, $jupyterhub))
            and not regexp_matches(line, $nginx)
            and trim(line) <> ''
        )
),

known as (
    select
        line,
        line_number,
        case
            when regexp_matches(line, $nginx) then 'nginx'
            when regexp_matches(line, $jupyterhub) then 'jupyterhub'
        end as format
    from candidate
),

request as (
    select
        line_number,
        format,
        case format
            when 'nginx' then regexp_extract(
                line, '^[^\[]*\[([^\]]+)\] "GET (/user/[^/ ]+)(/[^/? ]+)?/git-pull\?([^" ]*) HTTP/[0-9.]+" 200 ',
                ['time', 'person', 'server', 'query']
            )
            when 'jupyterhub' then regexp_extract(
                line, '^\[[A-Z] (\S+ [\d:]{8})[^\]]*\] 200 GET (/user/[^/ ]+)(/[^/? ]+)?/git-pull\?(\S*)(?: |$)',
                ['time', 'person', 'server', 'query']
            )
        end as found
    from known
),

landing as (
    select
        line_number,
        format,
        case format
            when 'nginx' then try_strptime(found.time, '%d/%b/%Y:%H:%M:%S %z')
            when 'jupyterhub' then try_cast(found.time || '+00' as timestamptz)
        end as hit_at,
        url_decode(found.person[7:]) as username,
        trim(url_decode(replace(regexp_extract(found.query, '(?:^|&)repo=([^&#]*)', 1), '+', ' '))) as repo
    from request
)

select
    line_number,
    format,
    hit_at,
    (hit_at at time zone 'UTC')::date as date,
    $cluster as cluster,
    $hub as hub,
    username,
    -- Without the slash and .git at the end, and with the host in lower case, as the web takes it.
    lower(regexp_extract(repo, '^[A-Za-z]+://[^/]*'))
    || regexp_replace(regexp_replace(repo, '^[A-Za-z]+://[^/]*', ''), '/*(\.git)?/*$', '') as repo
from landing
where format is null or repo <> ''
