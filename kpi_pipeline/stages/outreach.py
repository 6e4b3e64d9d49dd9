"""Raw to facts of the outreach domain: what is the same thing counts once. Each table is built anew, whole.

Never here: what a KPI is (catalog/measures).
"""

from kpi_pipeline.contracts import table
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

# Fact tables, and the SELECT that makes each.
FACTS = {
    "facts.integrations": "integrations",
    "facts.partnerships": "partnerships",
    "facts.collaborations": "collaborations",
    "facts.community_channels": "community_channels",
    "facts.developer_events": "developer_events",
    "facts.document_changes": "document_changes",
}


def make_facts(con: Connection) -> None:
    """Makes the fact tables of the domain, in one transaction."""
    with transaction(con):
        for name, select in FACTS.items():
            run(con, f"truncate {quote(name)}")
            fill(con, table(name), sql("stages", select))
