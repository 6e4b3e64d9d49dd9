-- Which rows of a CSV file are blank, the header not counted. The CSV reader skips them and doesn't count them.
-- A line begins a record where all quotes before it are closed; doubled ones close and open again.
-- Latin-1, since every byte is a character of it: a line in another encoding is still a line.
with lines as (
    select coalesce(line, '') as line, row_number() over () as place
    from read_csv(
        $path, columns = {'line': 'VARCHAR'}, header = false, auto_detect = false, delim = chr(1), quote = '',
        escape = '', encoding = 'latin-1', compression = $compression
    )
),
quoted as (
    select
        line,
        place,
        coalesce(
            sum(length(line) - length(replace(line, '"', ''))) over (
                order by place rows between unbounded preceding and 1 preceding
            ),
            0
        ) % 2 = 1 as is_within_quotes
    from lines
),
records as (
    select line, row_number() over (order by place) as place from quoted where not is_within_quotes
)
select
    -- The header is the first record.
    count(*) filter (where line <> '') - 1 as rows_with_content,
    coalesce(list(place - 1 order by place) filter (where line = ''), []) as blank_rows
from records
