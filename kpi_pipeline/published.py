"""The published database for notebooks: opens the newest snapshot, and gives frames.

    from kpi_pipeline import published

    kpis = published.connect()
    kpis.tables()
    kpis.sql("from headlines")
    kpis.values("impact.monthly_active_users", grain="community")

Dates are dates, and times are UTC without saying so (Polars, pandas: a naive datetime). Values are decimals in the
database; frames have floats, which every chart and every library takes, or decimals with `exact=True`. `rows` and
`records` are exact always.

What belongs here: reading. What never does: arithmetic, which is done before anything is published. No Dagster is
imported, and no run is disturbed: whoever has a snapshot open goes on reading it while the next one is published.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import duckdb
import polars as pl

from kpi_pipeline import settings
from kpi_pipeline.contracts import PUBLISHED
from kpi_pipeline.errors import ConfigError, KpiError
from kpi_pipeline.warehouse import quote, run, set_up

DATABASE = "kpis.duckdb"
Frames = Literal["polars", "pandas"]


class NotPublishedError(KpiError):
    """There is nothing to read yet, or not what was asked for."""


class NotInstalledError(KpiError):
    """A package is missing that only notebooks need."""


class Published:
    """One snapshot, open for reading.

    Args:
        path: the database file; its snapshot stays the same for as long as it is open.
        frames: whether results are frames of Polars or of pandas (which must be installed then).
        exact: whether frames have decimals as they are; without, they have floats.
    """

    def __init__(self, path: Path, frames: Frames = "polars", exact: bool = False) -> None:
        self.path, self.frames, self.exact = path, frames, exact
        self._con = set_up(duckdb.connect(str(path), read_only=True))
        # So that a query can join a frame of the notebook by the name of its variable.
        self._con.execute("set python_scan_all_frames = true")

    def __repr__(self) -> str:
        # Without the path: it is shown in notebooks, which are passed on.
        try:
            ((name, as_of),) = self.rows("select name, as_of from organisation")
            ((count,),) = self.rows(f"select count(*) from ({KNOWN})")
        except duckdb.ConnectionException:
            return "<published KPIs: closed>"
        return f"<published KPIs of {name}, as of {as_of}: {count} tables and views; frames of {self.frames}>"

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
        if self.frames == "pandas":
            return relation.pl().to_pandas() if self.exact else relation.df()
        frame = relation.pl()
        return frame if self.exact else _with_floats(frame)

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

    def columns(self, name: str) -> Any:
        """The columns of a table or view: name, type, and description, which only tables have.

        Raises:
            NotPublishedError: there is none of that name.
        """
        return self.sql(
            "select column_name as name, data_type as type, comment as description from duckdb_columns() "
            "where table_name = $name order by column_index",
            {"name": self._known(name)},
        )

    def table(self, name: str) -> Any:
        """A whole table or view.

        Raises:
            NotPublishedError: there is none of that name.
        """
        return self.sql(f"select * from {quote(self._known(name))}")

    def values(
        self, kpi_id: str, grain: str | None = None, member: str | None = None, since: date | None = None
    ) -> Any:
        """The values of a KPI, oldest first, as `kpi_series` has them.

        Args:
            grain: organisation, community, hub, ...; default: where the KPI's own value stands.
            member: one member of the grain; default: all.
            since: values whose period ends on this day or later; default: all.

        Raises:
            NotPublishedError: there is no such KPI, or it has no such grain or member.
        """
        own = self.rows("select own_grain, own_member from kpi_details where kpi_id = $kpi", {"kpi": kpi_id})
        if not own:
            known = self._names("select kpi_id from kpi_details")
            raise self._missing("KPI", kpi_id, known, "kpi_definitions explains every KPI.")
        if grain is None:
            grain, member = own[0][0], member or own[0][1]
        chosen = {"kpi": kpi_id, "grain": grain, "member": member, "since": since}
        its = "from kpi_values where kpi_id = $kpi"
        if grain not in (grains := self._names(f"select distinct grain {its}", chosen)):
            raise self._missing(f"grain of {kpi_id}", grain, grains, "kpi_details has the dimensions of every KPI.")
        members = self._names(f"select distinct member {its} and grain = $grain", chosen)
        if member is not None and member not in members:
            raise self._missing(f"{grain} of {kpi_id}", member, members, "Leave member out for all of them.")
        return self.sql(
            "select * from kpi_series where kpi_id = $kpi and grain = $grain and ($member is null or member = $member) "
            "and ($since is null or period_end >= $since) order by member, period, period_end",
            chosen,
        )

    def _known(self, name: str) -> str:
        """A name that is there."""
        if name in (known := self._names(KNOWN)):
            return name
        fix = "tables() lists what there is."
        if name in {*(table.short_name for table in PUBLISHED)}:
            fix = "Another version of this program published it: kpi run publishes this one's."
        raise self._missing("table", name, known, fix)

    def _names(self, query: str, parameters: Mapping[str, object] | None = None) -> list[str]:
        return sorted(row[0] for row in self.rows(query, parameters))

    def _missing(self, what: str, name: str, known: list[str], fix: str) -> NotPublishedError:
        near = list(dict.fromkeys([*(other for other in known if name in other), *_similar(name, known)]))[:MOST_NAMES]
        named = near or known[:MOST_NAMES]
        others = len(known) - len(named)
        return NotPublishedError(
            f"{self.path.name}: {what} {name!r}",
            got="no such name",
            expected=", ".join(named) + (f", or one of {others} others" if others else "") if named else "none yet",
            fix=fix,
        )


KNOWN = (
    "select table_name from duckdb_tables() union all select view_name from duckdb_views() where not internal "
    "order by 1"
)
# So many names are in an error.
MOST_NAMES = 8


def _similar(name: str, known: Iterable[str]) -> list[str]:
    return get_close_matches(name, list(known), n=3, cutoff=0.6)


def _with_floats(frame: pl.DataFrame) -> pl.DataFrame:
    """Decimals as floats; and as whole numbers those that can't be anything else, which is what a sum of them is."""
    types = {
        name: pl.Float64() if kind.scale else pl.Int64()
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Decimal)
    }
    return frame.cast(types)  # type: ignore[arg-type]


def connect(folder: Path | str | None = None, frames: Frames = "polars", exact: bool = False) -> Published:
    """Opens the newest published snapshot. It stays as it is for as long as it is open, whatever runs meanwhile.

    Args:
        folder: the published folder, a data folder that holds it, or the database file; default: the data folder that
            KPI_DATA_DIR names, or the first `data/` with something published, here or in a folder above.
        frames: whether results are frames of Polars or of pandas.
        exact: whether frames have decimals as they are; without, they have floats.

    Raises:
        NotPublishedError: nothing has been published there.
        NotInstalledError: frames of pandas are asked for, and there is no pandas.
    """
    if frames not in get_args(Frames):
        raise ConfigError("frames", got=repr(frames), expected="polars or pandas", fix="Name one of the two.")
    if frames == "pandas" and find_spec("pandas") is None:
        raise NotInstalledError(
            "frames of pandas",
            got="no pandas in this environment",
            expected="pandas 2.3 or newer",
            fix="pip install pandas, or this project with its extra notebooks; or take frames of Polars.",
        )
    roots = [Path(folder).expanduser()] if folder is not None else settings.data_dirs()
    for place in (place for root in roots for place in (root, root / DATABASE, root / "published" / DATABASE)):
        if place.is_file():
            # By the name of its own snapshot: the name in `published` is another file tomorrow.
            return Published(place.resolve(), frames, exact)
    raise NotPublishedError(
        roots[0],
        got=f"no {DATABASE}, there or in published/",
        expected="a folder that kpi run has published to",
        fix="Name the folder, or set KPI_DATA_DIR; kpi run publishes.",
    )
