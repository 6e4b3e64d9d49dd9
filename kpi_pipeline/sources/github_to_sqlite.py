"""The database that github-to-sqlite writes: its rows as objects of the streams they come from. No meaning of a column.

It holds no events, so it can't say when an issue was assigned, reopened or transferred.
"""

import sqlite3
from collections.abc import Iterator

SUFFIXES = (".db", ".sqlite", ".sqlite3")
# Per stream: the table, its column with the person, and which of its columns is what.
TABLES: dict[str, tuple[str, str, dict[str, str]]] = {
    "issues": (
        "issues",
        "user",
        {
            "number": "number",
            "state": "state",
            "reason": "state_reason",
            "happened_at": "created_at",
            "updated_at": "updated_at",
            "ended_at": "closed_at",
        },
    ),
    "pulls": (
        "pull_requests",
        "user",
        {
            "number": "number",
            "state": "state",
            "happened_at": "created_at",
            "updated_at": "updated_at",
            "ended_at": "merged_at",
        },
    ),
    "releases": ("releases", "author", {"happened_at": "published_at"}),
    "timeline": ("issue_comments", "user", {"happened_at": "created_at", "updated_at": "updated_at"}),
}
TEXTS = ("number", "state", "reason", "happened_at", "updated_at", "ended_at")
FIELDS = ("repository", "stream", "id", *TEXTS, "event", "is_pull_request", "actor", "actor_type", "_row")


def read(content: bytes) -> list[dict[str, object]]:
    """Every object of a database, with FIELDS; all values but `_row` and `is_pull_request` are text.

    Raises:
        ValueError: it isn't a database of github-to-sqlite.
    """
    con = sqlite3.connect(":memory:")
    try:
        con.deserialize(content)
        tables = {row[0] for row in con.execute("select name from sqlite_master where type = 'table'")}
        if missing := sorted({"users", "repos", "issues"} - tables):
            raise ValueError(f"no table {missing[0]}")
        return [row for stream in TABLES if TABLES[stream][0] in tables for row in _objects(con, stream)]
    except sqlite3.Error as error:
        raise ValueError("not a database") from error
    finally:
        con.close()


def _objects(con: sqlite3.Connection, stream: str) -> Iterator[dict[str, object]]:
    table, person, columns = TABLES[stream]
    there = {row[1] for row in con.execute(f"pragma table_info({table})")}
    users = {row[1] for row in con.execute("pragma table_info(users)")}
    chosen = [f"cast(t.{columns[f]} as text)" if columns.get(f) in there else "null" for f in TEXTS]
    through = "join issues i on i.id = t.issue" if table == "issue_comments" else ""
    pull = "t.pull_request is not null" if stream == "issues" and "pull_request" in there else "null"
    kind = "u.type" if "type" in users else "null"
    if through:
        chosen[0] = "cast(i.number as text)"
    found = con.execute(
        f"select lower(r.full_name), cast(t.id as text), {', '.join(chosen)}, {pull}, u.login, {kind} "
        f"from {table} t {through} join repos r on r.id = {'i' if through else 't'}.repo "
        f"left join users u on u.id = t.{person} order by t.id"
    )
    event = "commented" if through else None
    for place, (repository, identity, *texts, is_pull, login, account) in enumerate(found, 1):
        yield {
            "repository": repository,
            "stream": stream,
            "id": identity,
            **dict(zip(TEXTS, texts, strict=True)),
            "event": event,
            "is_pull_request": bool(is_pull) if stream == "issues" else None,
            "actor": login,
            "actor_type": account,
            "_row": place,
        }
