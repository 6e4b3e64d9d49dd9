"""Columns that tables of several domains share, and the raw table that every stream has."""

from dataclasses import replace

from kpi_pipeline.contracts.model import Column, Record, Table

DAY = Column("date", "DATE", "UTC calendar day")
HUB_ID = Column("hub_id", "VARCHAR", "the hub: cluster/hub, never reused")
PERSON = Column(
    "person_key",
    "UUID",
    "HMAC-SHA256 of issuer and username (first 128 bits); never leaves the warehouse",
    personal=True,
)
FILE = Column("_file", "VARCHAR", "the landed file that the row came from")
ROW = Column("_row", "BIGINT", "its place in that file; the header isn't counted")
VALUE = "DECIMAL(38, 9)"
RAW_TYPES = {"TIMESTAMPTZ": "TIMESTAMP"}  # stored in UTC


def count(name: str, description: str, unit: str) -> Column:
    return Column(name, "BIGINT", description, unit=unit)


def raw_table(record: Record) -> Table:
    """The raw table of a stream: every field kept, a person's name become a key, and where the row came from."""
    columns = (
        replace(PERSON, nullable=c.nullable) if c.personal else replace(c, type=RAW_TYPES.get(c.type, c.type))
        for c in record.columns
    )
    return Table(f"raw.{record.source}", record.description, "record", (), (*columns, FILE, ROW))
