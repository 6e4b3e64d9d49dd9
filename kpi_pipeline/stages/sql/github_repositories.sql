-- Every repository that was delivered: is it the organisation's own, and which team answers for it (the first that matches).
select
    repository,
    len(list_filter($own::varchar[], lambda rule: repository glob rule)) > 0 as is_own,
    list_filter(
        list_zip($team_globs::varchar[], $team_names::varchar[]), lambda rule: repository glob rule[1]
    )[1][2] as team
from (select distinct repository from temp.github_current)
