"""How a column, a source's record and a table are declared. No declarations themselves."""

from dataclasses import dataclass, field
from typing import Literal

from kpi_pipeline.fingerprint import fingerprint


@dataclass(frozen=True)
class Column:
    """A column, defined once: type (DuckDB's name), meaning, unit, whether it may be null.

    `personal`: it names a person. `optional`: a source's file may lack the column altogether. `may_be_future`: a day
    after the fetch is right, such as the end of a contract. `json_key`: the source gives a JSON object, and the value
    of this key in it is all that is taken.
    """

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = False
    personal: bool = False
    optional: bool = False
    may_be_future: bool = False
    values: tuple[str, ...] = ()
    json_key: str | None = None

    @property
    def comment(self) -> str:
        return f"{self.description} [{self.unit}]" if self.unit else self.description


@dataclass(frozen=True)
class Record:
    """What one record of a source's stream must look like.

    Args:
        source: the name in kpi.toml.
        delivery: `state`: the newest listing of files is all there is. `log`: a file adds rows, and replaces only
            its own earlier version.
        day: SQL for the day that a record speaks of.
        rules: reason and SQL condition that no good record meets.
        issuer: who vouches for the names of people; default: the cluster that the record names.
        marks_days: whether a changed record makes its day one that the hub stages must bring up to date.
        labels: what a CSV's header may call a column instead (label, column), capitals or not; and which label of
            Prometheus is which column.
        is_open: columns that the contract doesn't know are left unread; otherwise they reject the file.
        null_words: words that mean null.
        may_be_empty: a file without any record is nothing to wonder at, such as an API's last page.
    """

    source: str
    description: str
    delivery: Literal["state", "log"]
    columns: tuple[Column, ...]
    day: str
    rules: tuple[tuple[str, str], ...] = ()
    marks_days: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    is_open: bool = False
    null_words: tuple[str, ...] = ()
    issuer: str = ""
    # No part of the version: nothing is loaded otherwise for it.
    may_be_empty: bool = field(default=False, repr=False)

    @property
    def personal(self) -> bool:
        return any(column.personal for column in self.columns)

    @property
    def version(self) -> str:
        """Changes when the contract does, so that what was loaded by an older contract is loaded again."""
        return fingerprint(repr(self))


@dataclass(frozen=True)
class Table:
    """A table of the warehouse or of the published database. `name` is schema.table, and the asset's path."""

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> str:
        return self.name.split(".")[0]

    @property
    def short_name(self) -> str:
        return self.name.split(".")[1]

    @property
    def comment(self) -> str:
        key = f" Key: {', '.join(self.key)}." if self.key else ""
        return f"{self.description} One row per {self.grain}.{key}"
