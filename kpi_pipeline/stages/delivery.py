"""Raw to facts of the delivery domain. Each table is built anew, whole.

Never here: what a KPI is (catalog/measures).
"""

from kpi_pipeline.contracts import table
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

# Fact tables, and the SELECT that makes each.
FACTS = {"facts.ceremonies": "ceremonies"}


def make_facts(con: Connection) -> None:
    """Makes the fact tables of the domain, in one transaction."""
    with transaction(con):
        for name, select in FACTS.items():
            run(con, f"truncate {quote(name)}")
            fill(con, table(name), sql("stages", select))
