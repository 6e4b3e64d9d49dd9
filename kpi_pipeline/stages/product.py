"""Raw to facts of the product domain. Each table is built anew, whole.

Never here: what a KPI is (catalog/measures), and a user beyond their key.
"""

from kpi_pipeline.contracts import table
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

# Sources whose records can contradict each other, and the SELECT that tells which do.
VERSIONS = {"transactions": "transaction_versions", "registrations": "registration_versions"}
# What contradicts goes to quarantine.
REJECTED = (
    "select 'transactions' as source, _file as file, _row as row, 'contradicting_versions' as reason, "
    "'staged' as stage, attempted_at::date as date from temp.transaction_versions where is_contradicted",
    "select 'registrations' as source, _file as file, _row as row, 'conflicting_duplicate' as reason, "
    "'staged' as stage, registered_on as date from temp.registration_versions where is_contradicted",
)
# Tables of the domain in the order of making, and the SELECT that makes each.
TABLES = {
    "facts.transactions": "transactions",
    "staged.registration_spells": "registration_spells",
    "facts.product_users": "product_users",
}


def make_facts(con: Connection) -> None:
    """Makes the tables of the domain, and quarantines what contradicts itself, in one transaction."""
    with transaction(con):
        for source, select in VERSIONS.items():
            run(con, f"create or replace temp table {select} as {sql('stages', select)}")
            run(con, "delete from raw.quarantine where source = $source and stage = 'staged'", {"source": source})
        for rejected in REJECTED:
            fill(con, table("raw.quarantine"), rejected)
        for name, select in TABLES.items():
            run(con, f"truncate {quote(name)}")
            fill(con, table(name), sql("stages", select))
    for select in VERSIONS.values():
        run(con, f"drop table temp.{select}")
