-- The deals of a page of HubSpot's CRM API: their properties, and their places in the page.
select generate_subscripts(results, 1) as place, unnest(results) -> '$.properties' as properties
from (select from_json(document -> '$.results', '["json"]') as results from temp.answer)
