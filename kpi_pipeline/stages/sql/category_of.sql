-- The document's category of every name that ledger and deals use: the first rule that matches, capitals or not.
with name as (
    select distinct kind, category as name from raw.ledger where category is not null
    union
    select distinct 'revenue', dealtype from raw.deals where dealtype is not null
)

select n.kind, n.name, arg_min(r.category, r.position) as category
from name as n
inner join temp.category_rules as r on n.kind = r.kind and lower(n.name) glob r.pattern
group by n.kind, n.name
