"""What the landing zone writes down of a fetch. No I/O."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kpi_pipeline.days import Days


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LandedFile(_Written):
    """One file of a fetch, or one answer of a live source.

    Args:
        name: its name in the source, with `/` between folders.
        sha256: hash of the bytes that the source gave.
        object: where they lie, relative to the source's folder.
        encoding: `gzip` where we compressed them; `identity` where they lie as delivered.
        fetched_at: of a file: when this content was first seen; of an answer: when it came.
        part: of an answer: the part of its source that it is of.
        url, status, headers: of an answer, without anything secret.
        kind: that of the source when it was landed; known from the manifest.
    """

    name: str
    sha256: str
    bytes: int
    object: str
    encoding: Literal["gzip", "identity"]
    fetched_at: datetime
    part: str | None = None
    url: str | None = None
    status: int | None = None
    headers: dict[str, str] | None = None
    kind: str = Field(default="", exclude=True)

    @property
    def fetched_date(self) -> date:
        return self.fetched_at.date()

    @property
    def is_packed(self) -> bool:
        """Whether the bytes on disk are gzip, ours or the source's."""
        return self.encoding == "gzip" or self.name.lower().endswith(".gz")


class PartState(_Written):
    """How far one part of a live source (a cluster, a repository, ...) has been fetched.

    Args:
        started_at: when the last fetch that got through began; None: none ever did.
        cursor: what the next one continues from; its meaning is the connector's.
        covered: the days of which all is landed.
        first_day: the first day that anything is landed of, where that isn't all of it.
        lag_days: how many of the last days are normally not there yet.
        is_wanted: the configuration names it.
        problem: why the last fetch didn't get through, in words without anything secret; None: it did.
        problem_since: when that began.
    """

    started_at: datetime | None = None
    cursor: dict[str, JsonValue] = {}
    covered: Days = ()
    first_day: date | None = None
    lag_days: int = 0
    is_wanted: bool = True
    problem: str | None = None
    problem_since: datetime | None = None


class Manifest(_Written):
    """One fetch: every file that the source held then, those that had not changed included; of a live source, what
    it answered then, and how far each of its parts has come.

    Pruning takes superseded files out of it; of the newest fetch, none.
    """

    source: str
    kind: str
    fetched_at: datetime
    files: tuple[LandedFile, ...]
    parts: dict[str, PartState] = {}
