"""Money: what ledger, deals and exchange rates must look like, and the tables that are made of them.

What never belongs here: how amounts are spread or converted, which is the stages' affair.
"""

from kpi_pipeline.contracts.columns import DAY, FILE, ROW, VALUE, raw_table
from kpi_pipeline.contracts.model import Column, Record, Table

KINDS = ("revenue", "cost")
UNCATEGORISED = "uncategorised"
CATEGORIES = {
    "revenue": ("grants", "development contracts", "cloud service contracts"),
    "cost": ("engineering", "partnerships and community", "executive", "fiscal fee", "services"),
}
# So that no product of an amount, a rate and days leaves the numbers that the warehouse can hold.
_AMOUNT_RULES = (
    ("fraction_of_a_cent:amount", "amount <> round(amount, 2)"),
    ("out_of_range:amount", "abs(amount) > 1000000000000"),
)
_LONGEST = "interval 30 years"

LEDGER = Record(
    "ledger",
    "The organisation's books: revenue and costs, line by line.",
    "log",
    (
        Column("date", "DATE", "day on which the line was booked (the invoice's day)"),
        Column("kind", "VARCHAR", "revenue or cost", values=KINDS),
        Column("category", "VARCHAR", "what the books call it; empty: uncategorised", nullable=True),
        Column("amount", VALUE, "the amount, at most 2 decimals; less than 0: a credit"),
        Column("currency", "VARCHAR", "its currency, ISO 4217: three capitals"),
        Column("description", "VARCHAR", "free text; it stays in raw", nullable=True),
        Column("service_start", "DATE", "first day of the service", nullable=True, optional=True, may_be_future=True),
        Column(
            "service_end", "DATE", "last day of the service, included", nullable=True, optional=True, may_be_future=True
        ),
        Column(
            "contract_id", "VARCHAR", "the contract: the deal's id, where a deal made it", nullable=True, optional=True
        ),
    ),
    day="date",
    rules=(
        ("invalid:currency", "not regexp_full_match(currency, '[A-Z]{3}')"),
        *_AMOUNT_RULES,
        ("incomplete_service_period", "(service_start is null) <> (service_end is null)"),
        ("ends_before_it_begins", "service_end < service_start"),
        ("service_too_long", f"service_end >= service_start + {_LONGEST}"),
    ),
)

DEALS = Record(
    "deals",
    "Deals of the sales pipeline, as HubSpot exports them.",
    "state",
    (
        Column("hs_object_id", "VARCHAR", "the deal's id"),
        Column("dealname", "VARCHAR", "free text; it stays in raw", nullable=True),
        Column("amount", VALUE, "the contract's amount, at most 2 decimals"),
        Column("deal_currency_code", "VARCHAR", "its currency, ISO 4217", nullable=True, optional=True),
        Column("closedate", "TIMESTAMPTZ", "when the deal was closed, or is expected to be"),
        Column("dealstage", "VARCHAR", "the stage, by its id or label"),
        Column("dealtype", "VARCHAR", "the category, as HubSpot has it", nullable=True, optional=True),
        *(
            Column(f"{what}_{end}_date", "DATE", text, nullable=True, optional=True, may_be_future=True)
            for what, end, text in (
                ("contract", "start", "first day of the contract"),
                ("contract", "end", "last day of the contract, included"),
                ("target", "start", "first day, as planned"),
                ("target", "end", "last day, as planned"),
            )
        ),
        Column("hs_forecast_probability", VALUE, "how likely the deal is", unit="0 to 1", nullable=True, optional=True),
    ),
    day="closedate::date",
    rules=(
        ("invalid:deal_currency_code", "not regexp_full_match(deal_currency_code, '[A-Z]{3}')"),
        *_AMOUNT_RULES,
        ("out_of_range:hs_forecast_probability", "hs_forecast_probability not between 0 and 1"),
        (
            "incomplete_service_period",
            "(contract_start_date is null) <> (contract_end_date is null) "
            "or (target_start_date is null) <> (target_end_date is null)",
        ),
        (
            "ends_before_it_begins",
            "contract_end_date < contract_start_date or target_end_date < target_start_date",
        ),
        ("service_too_long", f"contract_end_date >= contract_start_date + {_LONGEST}"),
    ),
    labels=(
        ("Record ID", "hs_object_id"),
        ("Deal ID", "hs_object_id"),
        ("Deal Name", "dealname"),
        ("Amount", "amount"),
        ("Currency", "deal_currency_code"),
        ("Close Date", "closedate"),
        ("Deal Stage", "dealstage"),
        ("Deal Type", "dealtype"),
        ("Contract Start Date", "contract_start_date"),
        ("Contract End Date", "contract_end_date"),
        ("Target Start Date", "target_start_date"),
        ("Target End Date", "target_end_date"),
        ("Forecast Probability", "hs_forecast_probability"),
    ),
    is_open=True,
)

RATES = Record(
    "rates",
    "Exchange rates to the reporting currency.",
    "log",
    (
        Column("date", "DATE", "first day on which the rate holds"),
        Column("currency", "VARCHAR", "ISO 4217: three capitals"),
        Column("rate", VALUE, "what one unit of it is worth in the reporting currency"),
    ),
    day="date",
    rules=(
        ("invalid:currency", "not regexp_full_match(currency, '[A-Z]{3}')"),
        ("out_of_range:rate", "rate <= 0 or rate > 1000000"),
    ),
)

RECORDS = (LEDGER, DEALS, RATES)

_CATEGORY = Column("category", "VARCHAR", "category of the organisation's document, or uncategorised")
_REPORTED = Column("reported_amount", VALUE, "the amount in the reporting currency, to the cent", unit="currency")
_MONEY_COLUMNS = (
    Column("amount", VALUE, "the amount in its own currency"),
    Column("currency", "VARCHAR", "its currency"),
    Column("rate", VALUE, "what it was converted by; 1 for the reporting currency itself"),
    _REPORTED,
)
_SERVICE_COLUMNS = (
    Column("first_day", "DATE", "first service day"),
    Column("last_day", "DATE", "last service day, included"),
)
_ITEM_COLUMNS = (
    Column("source", "VARCHAR", "ledger or deals", values=("ledger", "deals")),
    Column("item", "VARCHAR", "the line of the ledger (file:row), or the deal's id"),
)

WAREHOUSE = (
    *(raw_table(record) for record in RECORDS),
    Table(
        "staged.rates",
        "Exchange rates: the newest not after a day holds on it.",
        "currency and day",
        ("currency", "date"),
        (
            Column("currency", "VARCHAR", "the currency"),
            DAY,
            Column("rate", VALUE, "to the reporting currency; empty: the files contradict each other", nullable=True),
        ),
    ),
    Table(
        "staged.ledger",
        "Lines of the ledger, converted and categorised.",
        "line",
        (FILE.name, ROW.name),
        (
            Column("date", "DATE", "day on which the line was booked"),
            Column("kind", "VARCHAR", "revenue or cost", values=KINDS),
            _CATEGORY,
            Column("contract_id", "VARCHAR", "the contract", nullable=True),
            *_SERVICE_COLUMNS,
            *_MONEY_COLUMNS,
            FILE,
            ROW,
        ),
    ),
    Table(
        "staged.deals",
        "Deals, converted and categorised.",
        "deal",
        ("deal_id",),
        (
            Column("deal_id", "VARCHAR", "the deal"),
            Column("state", "VARCHAR", "won, lost or open", values=("won", "lost", "open")),
            _CATEGORY,
            Column("close_date", "DATE", "day on which it was closed, or is expected to be"),
            *_SERVICE_COLUMNS,
            *_MONEY_COLUMNS,
            Column("probability", VALUE, "how likely it is", unit="0 to 1", nullable=True),
            Column("in_ledger", "BOOLEAN", "a revenue line of the ledger names it, and counts in its place"),
            FILE,
            ROW,
        ),
    ),
    Table(
        "facts.recognised",
        "Recognised revenue and accrued costs: each amount over the months of its service days, future ones included.",
        "item and month",
        ("source", "item", "month"),
        (
            *_ITEM_COLUMNS,
            Column("kind", "VARCHAR", "revenue or cost", values=KINDS),
            _CATEGORY,
            Column("month", "DATE", "first day of the month"),
            Column("amount", VALUE, "the month's share; the months of an item sum to its amount", unit="currency"),
            Column("days_to_date", "BIGINT", "service days of the month up to the as-of day", unit="days"),
            Column("amount_to_date", VALUE, "the part of the share that falls on them", unit="currency"),
        ),
    ),
    Table(
        "facts.recognised_periods",
        "Recognised revenue and accrued costs per month and fiscal quarter to date, by category and as a whole.",
        "kind, period and member",
        ("kind", "period", "grain", "member", "period_start"),
        (
            Column("kind", "VARCHAR", "revenue or cost", values=KINDS),
            Column("period", "VARCHAR", "month or fiscal quarter", values=("month", "quarter")),
            Column("grain", "VARCHAR", "organisation or category", values=("organisation", "category")),
            Column("member", "VARCHAR", "the category; organisation for all"),
            Column("period_start", "DATE", "first day"),
            Column("period_end", "DATE", "last day, or the as-of day where that is earlier"),
            Column("is_closed", "BOOLEAN", "the whole period has passed"),
            Column("amount", VALUE, "the sum, credits included; empty: no data", unit="currency", nullable=True),
            Column("credits", VALUE, "the sum of what is below 0; empty: no data", unit="currency", nullable=True),
            Column("items", "BIGINT", "ledger lines and deals that are in it", unit="items"),
            Column("status", "VARCHAR", "ok, to date, incomplete (the books end before) or no data"),
        ),
    ),
    Table(
        "facts.bookings",
        "Amounts as a whole on one day: billed (the ledger's revenue lines) and booked (deals won). Never recognised.",
        "basis and item",
        ("basis", "source", "item"),
        (
            Column("basis", "VARCHAR", "billed or booked", values=("billed", "booked")),
            *_ITEM_COLUMNS,
            Column("date", "DATE", "the invoice's day, or the day that the deal was won"),
            _CATEGORY,
            Column("amount", VALUE, "the amount in the reporting currency", unit="currency"),
        ),
    ),
    Table(
        "facts.pipeline",
        "Deals that are open: what may come. Never revenue.",
        "deal",
        ("deal_id",),
        (
            Column("deal_id", "VARCHAR", "the deal"),
            _CATEGORY,
            Column("close_date", "DATE", "when it is expected to be closed"),
            Column("amount", VALUE, "the amount in the reporting currency", unit="currency"),
            Column("probability", VALUE, "how likely it is", unit="0 to 1", nullable=True),
            Column("weighted_amount", VALUE, "amount x probability, to the cent", unit="currency", nullable=True),
        ),
    ),
)
