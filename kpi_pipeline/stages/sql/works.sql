-- Works, each once: by DOI whatever its spelling, else by year, kind and title whatever its capitals and punctuation.
-- A record without a DOI belongs to the work with one that has its year, kind and title.
with entry as (
    select
        date,
        kind,
        title,
        nullif(regexp_replace(
            regexp_replace(lower(doi), '^((https?://)?((dx|www)\.)?doi\.org/|doi:\s*)', ''), '[.\s]+$', ''
        ), '') as own_doi,
        coalesce(
            nullif(trim(regexp_replace(lower(strip_accents(title)), '[^\p{L}\p{N}]+', ' ', 'g')), ''), lower(title)
        ) as plain_title,
        community,
        hub,
        _file,
        _row
    from raw.publications
),

titled as (
    select year(date) as year, kind, plain_title, min(own_doi) as doi
    from entry
    group by all
),

keyed as (
    select
        e.*,
        coalesce(e.own_doi, t.doi) as doi,
        coalesce(
            'doi:' || coalesce(e.own_doi, t.doi), year(e.date) || ':' || e.kind || ':' || e.plain_title
        ) as work
    from entry as e
    inner join titled as t on t.year = year(e.date) and t.kind = e.kind and t.plain_title = e.plain_title
),

of_hub as (
    select
        k.work,
        h.communities,
        row_number() over (partition by k._file, k._row order by h.from_day desc) as place
    from keyed as k
    inner join staged.hubs as h on h.hub_id = k.hub and h.from_day <= k.date
    where k.community is null
),

place as (
    select work, lower(trim(regexp_replace(unnest(string_split(community, ';')), '\s+', ' ', 'g'))) as community
    from keyed
    where community is not null
    union
    select work, unnest(communities) from of_hub where place = 1
),

found as (
    select work, list(community order by community) as communities
    from place
    where community <> ''
    group by work
)

select
    k.work,
    min(k.date) as date,
    min(k.doi) as doi,
    arg_min(k.title, (k.date, k._file, k._row)) as title,
    arg_min(k.kind, (k.date, k._file, k._row)) as kind,
    coalesce(any_value(f.communities), []) as communities,
    count(*) as reports,
    count(distinct (k.kind, k.plain_title)) as contents
from keyed as k
left join found as f on k.work = f.work
group by k.work
order by date, work
