"""Which tables a query reads, by DuckDB's own reading of it. No test is here."""

import json

import duckdb


def tables_read(query: str) -> set[str]:
    """As schema.table; names without a schema are a query's own."""
    with duckdb.connect() as con:
        ((tree,),) = con.execute("select json_serialize_sql(?)", [query]).fetchall()
    return _tables(json.loads(tree))


def _tables(node: object) -> set[str]:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = set().union(*map(_tables, inner))
    if isinstance(node, dict) and node.get("type") == "BASE_TABLE" and node["schema_name"]:
        found.add(f"{node['schema_name']}.{node['table_name']}")
    return found
