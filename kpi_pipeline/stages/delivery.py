"""Raw to facts of the delivery domain. Each table is built anew, whole.

Never here: what a KPI is (catalog/measures).
"""

from kpi_pipeline.contracts import RECORDS, table
from kpi_pipeline.warehouse import Connection, fill, quote, run, sql, transaction

# Sources in which a thing is one row, and stands in the fact table of the same name.
ONE_ROW_EACH = ("projects", "intern_tasks")


def make_facts(con: Connection) -> None:
    """Makes the fact tables of the domain, in one transaction; rows that contradict each other go to quarantine."""
    with transaction(con):
        run(con, "truncate facts.ceremonies")
        fill(con, table("facts.ceremonies"), sql("stages", "ceremonies"))
        for source in ONE_ROW_EACH:
            _make_one_row_each(con, source)


def _make_one_row_each(con: Connection, source: str) -> None:
    facts = table(f"facts.{source}")
    run(con, f"create or replace temp table compared as {sql('stages', source)}")
    run(con, f"truncate {quote(facts.name)}")
    columns = ", ".join(quote(column.name) for column in facts.columns)
    fill(con, facts, f"select {columns} from temp.compared where copy = 1 and not is_contradicted order by 1")
    run(con, "delete from raw.quarantine where source = $source and stage = 'staged'", {"source": source})
    fill(
        con,
        table("raw.quarantine"),
        "select $source as source, _file as file, _row as row, 'conflicting_duplicate' as reason, 'staged' as stage, "
        f"{RECORDS[source].day} as date from temp.compared where is_contradicted order by _file, _row",
        {"source": source},
    )
    run(con, "drop table temp.compared")
