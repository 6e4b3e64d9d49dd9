"""staged.teams: the teams of kpi.toml and what their work counts for. Never here: who is in a team."""

from collections.abc import Mapping, Sequence

from kpi_pipeline.contracts import table
from kpi_pipeline.settings import ancestry
from kpi_pipeline.warehouse import Connection, fill, run, transaction


def fill_teams(con: Connection, teams: Mapping[str, Sequence[str]]) -> None:
    """Makes staged.teams, anew."""
    parents = {part: team for team, parts in teams.items() for part in parts}
    names = sorted({*teams, *parents})
    with transaction(con):
        run(con, "truncate staged.teams")
        fill(
            con,
            table("staged.teams"),
            "select unnest($names::varchar[]) as team, unnest($parents::varchar[]) as parent, "
            "unnest($lines::varchar[][]) as teams",
            {
                "names": names,
                "parents": [parents.get(team) for team in names],
                "lines": [ancestry(parents, team) for team in names],
            },
        )
