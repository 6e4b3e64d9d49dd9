"""What every record and table holds: the only list of columns. No SQL that reads or writes data, no I/O."""

from kpi_pipeline.contracts.model import Column, Record, Table
from kpi_pipeline.contracts.records import HUB_ACTIVITY, HUB_REGISTRY, RECORDS
from kpi_pipeline.contracts.tables import PUBLISHED, TABLES, WAREHOUSE, table

__all__ = [
    "HUB_ACTIVITY",
    "HUB_REGISTRY",
    "PUBLISHED",
    "RECORDS",
    "TABLES",
    "WAREHOUSE",
    "Column",
    "Record",
    "Table",
    "table",
]
