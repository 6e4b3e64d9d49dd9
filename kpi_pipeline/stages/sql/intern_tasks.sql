-- Every row of raw.intern_tasks. Rows that say different things of one task contradict each other; of equal ones the
-- first (copy 1) counts.
with task as (
    select
        lower(trim(regexp_replace(task, '\s+', ' ', 'g'))) as task,
        given_on,
        due_on,
        completed_on,
        withdrawn_on,
        interns,
        _file,
        _row
    from raw.intern_tasks
),

compared as (
    select
        *,
        dense_rank() over (partition by task order by given_on, due_on, completed_on, withdrawn_on, interns) as version,
        row_number() over (partition by task order by _file, _row) as copy
    from task
)

select * exclude (version), max(version) over (partition by task) > 1 as is_contradicted
from compared
order by task
