"""The published database for notebooks: opens the newest snapshot, and gives frames.

    from kpi_pipeline import published

    with published.connect() as kpis:
        kpis.values("impact.monthly_active_users", grain="community")

What belongs here: reading. What never does: arithmetic, which is done before anything is published. No Dagster is
imported, and no run is disturbed: whoever has a snapshot open goes on reading it while the next one is published.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import duckdb

from kpi_pipeline import settings
from kpi_pipeline.errors import KpiError
from kpi_pipeline.warehouse import run, set_up

DATABASE = "kpis.duckdb"
Frames = Literal["polars", "pandas"]


class NotPublishedError(KpiError):
    """There is nothing to read yet, or not what was asked for."""


class Published:
    """One snapshot, open for reading.

    Args:
        path: the database file; its snapshot stays the same for as long as it is open.
        frames: whether results are frames of Polars or of pandas (which must be installed then).
    """

    def __init__(self, path: Path, frames: Frames = "polars") -> None:
        self.path, self.frames = path, frames
        self._con = set_up(duckdb.connect(str(path), read_only=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes it; without that, its file stays on disk until the process ends."""
        self._con.close()

    @property
    def as_of(self) -> date:
        """The last day that counts."""
        return self._con.execute("select as_of from organisation").fetchall()[0][0]  # type: ignore[no-any-return]

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> Any:
        """What a query gives, as a frame. Values go into `parameters`, as `$name` in the query."""
        relation = self._con.sql(query, params=dict(parameters)) if parameters else self._con.sql(query)
        return relation.pl() if self.frames == "polars" else relation.df()

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """What a query gives, as tuples."""
        return run(self._con, query, parameters)

    def records(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """What a query gives, as dictionaries by column."""
        bound = dict(parameters or {})
        result = self._con.execute(query, bound) if bound else self._con.execute(query)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def tables(self) -> Any:
        """The tables and views, with what each is: columns name, kind (table, view), description."""
        return self.sql(
            "select table_name as name, 'table' as kind, comment as description from duckdb_tables() union all "
            "select view_name, 'view', comment from duckdb_views() where not internal order by kind, name"
        )

    def table(self, name: str) -> Any:
        """A whole table or view.

        Raises:
            NotPublishedError: there is none of that name.
        """
        known = [row[0] for row in self._con.execute(KNOWN).fetchall()]
        if name not in known:
            raise self._missing("table", name, known)
        return self.sql(f'select * from "{name}"')

    def values(
        self, kpi_id: str, grain: str | None = None, member: str | None = None, since: date | None = None
    ) -> Any:
        """The values of a KPI, oldest first, as `kpi_series` has them.

        Args:
            grain: organisation, community, hub, ...; default: where the KPI's own value stands.
            member: one member of the grain; default: all.
            since: values whose period ends on this day or later; default: all.

        Raises:
            NotPublishedError: there is no such KPI, or it has no such grain.
        """
        own = self._con.execute("select own_grain, own_member from kpi_details where kpi_id = ?", [kpi_id])
        found = own.fetchall()
        if not found:
            known = self._con.execute("select kpi_id from kpi_definitions order by 1").fetchall()
            raise self._missing("KPI", kpi_id, [row[0] for row in known])
        own_grain, own_member = found[0]
        if grain is None:
            grain, member = own_grain, member or own_member
        grains = self._con.execute("select distinct grain from kpi_values where kpi_id = ? order by 1", [kpi_id])
        if grain not in (names := [row[0] for row in grains.fetchall()]):
            raise self._missing(f"grain of {kpi_id}", grain, names)
        return self.sql(
            "select * from kpi_series where kpi_id = $kpi and grain = $grain and ($member is null or member = $member) "
            "and ($since is null or period_end >= $since) order by member, period, period_end",
            {"kpi": kpi_id, "grain": grain, "member": member, "since": since},
        )

    def _missing(self, what: str, name: str, known: list[str]) -> NotPublishedError:
        return NotPublishedError(
            f"{self.path.name}: {what} {name!r}",
            got="no such name",
            expected=", ".join(known[:12]) + (", ..." if len(known) > 12 else ""),
            fix="tables() lists what there is; kpi_definitions explains every KPI.",
        )


KNOWN = (
    "select table_name from duckdb_tables() union all select view_name from duckdb_views() where not internal "
    "order by 1"
)


def connect(folder: Path | str | None = None, frames: Frames = "polars") -> Published:
    """Opens the newest published snapshot.

    Args:
        folder: the published folder, or a data folder that holds it; default: that of KPI_DATA_DIR, or data/.
        frames: whether results are frames of Polars or of pandas.

    Raises:
        NotPublishedError: nothing has been published there.
    """
    root = Path(folder) if folder is not None else settings.data_dir()
    for place in (root, root / "published"):
        if (place / DATABASE).exists():
            # By the name of its own snapshot: the name in `published` is another file tomorrow.
            return Published((place / DATABASE).resolve(), frames)
    raise NotPublishedError(
        root,
        got=f"no {DATABASE}, there or in published/",
        expected="a folder that kpi run has published to",
        fix="Name the folder, or set KPI_DATA_DIR; kpi run publishes.",
    )
