"""One module per kind of external system: files or records out. No Dagster, no DuckDB."""
