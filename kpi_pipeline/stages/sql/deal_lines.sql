-- Deals with state, category, service days, rate, and what is wrong. The rate is that of the day on which the deal was
-- closed; of one that is still open, that of the as-of day at the latest. `copy` > 1: a repetition that does no harm.
with line as (
    select
        hs_object_id as deal_id,
        amount,
        coalesce(deal_currency_code, $deal_currency) as currency,
        closedate::date as close_date,
        dealtype,
        case
            when len(list_filter($won::varchar[], lambda stage: lower(dealstage) glob lower(stage))) > 0 then 'won'
            when len(list_filter($lost::varchar[], lambda stage: lower(dealstage) glob lower(stage))) > 0 then 'lost'
            else 'open'
        end as state,
        contract_start_date,
        contract_end_date,
        target_start_date,
        target_end_date,
        hs_forecast_probability as probability,
        concat_ws(
            '|', amount, coalesce(deal_currency_code, ''), closedate, lower(dealstage), coalesce(dealtype, ''),
            coalesce(contract_start_date::varchar, ''), coalesce(contract_end_date::varchar, ''),
            coalesce(target_start_date::varchar, ''), coalesce(target_end_date::varchar, ''),
            coalesce(hs_forecast_probability::varchar, '')
        ) as content,
        _file,
        _row
    from raw.deals
),

dated as (
    select
        *,
        least(close_date, $as_of::date) as rate_date,
        row_number() over (partition by deal_id order by _file, _row) as copy,
        min(content) over (partition by deal_id) <> max(content) over (partition by deal_id) as is_contradicted
    from line
),

deal as (
    select
        d.deal_id,
        d.state,
        coalesce(c.category, $uncategorised) as category,
        d.close_date,
        case
            when d.state = 'won' then coalesce(d.contract_start_date, d.close_date)
            else coalesce(d.contract_start_date, d.target_start_date, d.close_date)
        end as first_day,
        case
            when d.state = 'won' then coalesce(d.contract_end_date, d.close_date)
            else coalesce(d.contract_end_date, d.target_end_date, d.close_date)
        end as last_day,
        d.amount,
        d.currency,
        case when d.currency = $reporting_currency then 1::decimal(38, 9) else r.rate end as rate,
        d.probability,
        d.deal_id in (
            select contract_id from raw.ledger where kind = 'revenue' and contract_id is not null
        ) as in_ledger,
        d.copy,
        d.is_contradicted,
        d._file,
        d._row
    from dated as d
    asof left join staged.rates as r on d.currency = r.currency and d.rate_date >= r.date
    left join temp.category_of as c on c.kind = 'revenue' and d.dealtype = c.name
)

select
    * exclude (is_contradicted),
    round(amount * rate, 2)::decimal(38, 9) as reported_amount,
    case
        when is_contradicted then 'conflicting_duplicate'
        when currency is null then 'no_currency'
        when rate is null then 'no_rate:' || currency
    end as reason
from deal
