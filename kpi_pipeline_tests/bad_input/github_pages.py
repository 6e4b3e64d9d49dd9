"""Pages of GitHub on disk, landed, loaded and staged as a run would. No test is here."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import SecretStr

from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import GitHub
from kpi_pipeline.sources.files import list_files
from kpi_pipeline.stages import github
from kpi_pipeline.stages.checks.github import CHECKS
from kpi_pipeline.stages.checks.model import evaluate
from kpi_pipeline.warehouse import create_tables

SECRET = SecretStr("a-secret-for-tests-only")
RULES = GitHub(own=("Own/*",), bots=("Helper",))
PEOPLE = ("zz-alice", "zz-bobby")


def account(login: str, kind: str = "User") -> dict[str, str]:
    return {"login": login, "type": kind}


def issue(number: int, /, opened: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    """An issue as the API lists it: open, unless told otherwise."""
    times = {"created_at": opened, "updated_at": more.get("closed_at") or opened, "closed_at": None}
    return {"id": 1000 + number, "number": number, "user": account("zz-alice"), "state": "open", **times, **more}


def event(identity: int, number: int, kind: str, at: str, /, **more: Any) -> dict[str, Any]:
    about = {"event": kind, "created_at": at, "issue": {"number": number}, "actor": account("zz-bobby")}
    return {"id": identity, **about} | more


class Pages:
    """A folder of pages and the warehouse that is made from it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.landing = folder / "github", Landing(folder / "landing")
        self.con = duckdb.connect()
        create_tables(self.con, WAREHOUSE)

    def drop(self, name: str, content: object) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    def run(self, pages: Mapping[str, object]) -> None:
        for name, content in pages.items():
            self.drop(name, content)
        self.landing.land("github", "json_pages", list_files("github", self.folder), datetime(2026, 3, 1, tzinfo=UTC))
        self.stage()

    def stage(self) -> None:
        github.load(self.con, self.landing, SECRET)
        github.stage(self.con, self.landing, RULES, SECRET)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.con.execute(statement).fetchall()

    def quarantine(self) -> list[tuple[Any, ...]]:
        return self.rows('select file, "row", reason from raw.quarantine order by all')

    def failing(self) -> set[str]:
        return {c.name for c in CHECKS if c.severity == "ERROR" and not evaluate(self.con, c, {}).passed}

    def warning(self, name: str) -> tuple[str, ...]:
        """The rows that a check finds wrong."""
        check = next(c for c in CHECKS if c.name == name)
        return evaluate(self.con, check, {}).rows
