-- Rows of a file were counted without those that are missing: moves each behind all that are missing before it.
with gaps as (
    select place - row_number() over (order by place) as rows_before, row_number() over (order by place) as missing
    from (select unnest($missing) as place)
),
last_of_gap as (
    select rows_before, max(missing) as missing from gaps group by rows_before
),
shifted as (
    select i._row as row_before, i._row + g.missing as row_after
    from (select _row from incoming.rows where _file = $file) i
    asof join last_of_gap g on i._row > g.rows_before
)
update incoming.rows i
set _row = s.row_after
from shifted s
where i._file = $file and i._row = s.row_before
