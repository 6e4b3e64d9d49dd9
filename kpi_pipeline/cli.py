"""The command line: `kpi run`, `kpi report`, and others. It asks and shows; what is done is elsewhere."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress

from kpi_pipeline import clock, settings
from kpi_pipeline.errors import KpiError

app = typer.Typer(
    help="Key performance indicators from an organisation's own systems.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ConfigOption = Annotated[Path | None, typer.Option("--config", help="kpi.toml; default: data/sample/kpi.toml.")]
DataOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where landing, warehouse, published live; default: data/.")
]
AsOfOption = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last day that counts.")]
SelectOption = Annotated[str | None, typer.Option("--select", help="A Dagster asset selection, e.g. 'group:impact'.")]
ReplayOption = Annotated[bool, typer.Option("--replay", help="Leave the sources alone; work from what was landed.")]


def _console() -> Console:
    """A terminal as wide as it is; a log file wide enough for tables."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


@contextmanager
def _telling(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar, and what moves it; nothing where nobody looks."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("looking at what is published")
        yield lambda done, total, what: progress.update(task, total=total, completed=done, description=what)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


@app.command()
def run(
    config: ConfigOption = None,
    data_dir: DataOption = None,
    as_of: AsOfOption = None,
    select: SelectOption = None,
    replay: ReplayOption = False,
) -> None:
    """Materialize the asset graph, publish, and show the headline KPIs."""
    from kpi_pipeline import running, summary

    console = _console()
    configured = settings.load(config, data_dir, _day(as_of))
    finished = running.execute(configured, select, replay=replay, console=console)
    if not finished.success:
        for problem in finished.problems:
            console.print(f"[red]failed[/red]  {_plain(problem)}", soft_wrap=True)
        console.print("Not published: the last snapshot stays.")
        if finished.run_id:
            console.print(f"Run {finished.run_id}; look at it with: kpi ui")
        raise typer.Exit(1)
    summary.show(configured, console, finished.materialized, published=finished.published)


@app.command()
def scorecard(
    config: ConfigOption = None,
    data_dir: DataOption = None,
    role: Annotated[str | None, typer.Option("--role", help="One role, such as 'Tech Team'; default: all.")] = None,
    quarter: Annotated[
        str | None, typer.Option("--quarter", help="Such as 2026Q3; default: the running one and the last closed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every digit.")] = False,
) -> None:
    """Show the published values of the roles' KPIs against their targets."""
    from kpi_pipeline import scoreboard

    scores = scoreboard.read(settings.load(config, data_dir).published_dir, role, quarter)
    if as_json:
        sys.stdout.write(scoreboard.as_json(scores) + "\n")
    else:
        scoreboard.show(scores, _console())


@app.command()
def report(
    config: ConfigOption = None,
    data_dir: DataOption = None,
    quarter: Annotated[
        str | None, typer.Option("--quarter", help="Such as 2026Q3: its pack for stakeholders outside.")
    ] = None,
) -> None:
    """Write what stakeholders look at, from what is published: the web report, or the pack of a quarter."""
    from kpi_pipeline.report import pack, site

    console = _console()
    folder = settings.load(config, data_dir).published_dir
    with _telling(console) as tell:
        target = pack.build(folder, quarter, tell=tell) if quarter else site.write(folder, tell)
    hint = "" if quarter else ": open internal/index.html or external/index.html"
    console.print(f"Wrote {target}{hint}", soft_wrap=True)


@app.command()
def export(config: ConfigOption = None, data_dir: DataOption = None) -> None:
    """Write every published table as CSV and Parquet, with a datapackage.json that explains them."""
    from kpi_pipeline.report import exports

    console = _console()
    folder = settings.load(config, data_dir).published_dir
    with _telling(console) as tell:
        target = exports.write(folder, tell=tell)
    console.print(f"Wrote {target}", soft_wrap=True)


@app.command()
def doctor(config: ConfigOption = None, data_dir: DataOption = None, as_of: AsOfOption = None) -> None:
    """Say what is configured, what is reachable and what is missing, and what to do about it."""
    from kpi_pipeline import checkup

    console = _console()
    if not checkup.show(config, data_dir, _day(as_of), console):
        raise typer.Exit(1)


@app.command()
def refetch(
    source: Annotated[str, typer.Argument(help="A live source of kpi.toml, such as github.")],
    parts: Annotated[list[str] | None, typer.Argument(help="Its clusters, hubs, repositories; none: all.")] = None,
    config: ConfigOption = None,
    data_dir: DataOption = None,
) -> None:
    """Have the next run ask a live source for everything again, from `since` on; what is landed stays."""
    from kpi_pipeline import fetching
    from kpi_pipeline.contracts import RECORDS
    from kpi_pipeline.landing import Landing

    configured = settings.load(config, data_dir)
    live = configured.live_source(source)
    delivery = RECORDS[source].delivery
    count = fetching.refetch(
        Landing(configured.landing_dir), source, live.kind, parts or (), carries=delivery == "state", at=clock.now()
    )
    _console().print(f"{source}: the next run fetches {count} part(s) from the beginning. Next: kpi run")


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write it; a new or empty folder.")],
    hubs: Annotated[int, typer.Option(min=1)] = 60,
    users: Annotated[int, typer.Option(min=1)] = 3000,
    days: Annotated[int, typer.Option(min=7)] = 457,
    seed: Annotated[int, typer.Option()] = 2026,
    last_day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])] = datetime(2026, 9, 30),
) -> None:
    """Write a simulated organisation in the sources' own formats, with its ground truth beside it."""
    from kpi_pipeline.sample import write_sample

    console = _console()
    with console.status(f"simulating {users} people on {hubs} hubs for {days} days"):
        write_sample(folder, seed=seed, hubs=hubs, users=users, days=days, last_day=last_day.date())
    console.print(
        f"Wrote {folder}. Next: kpi run --config {folder}/kpi.toml --data-dir <another folder>", soft_wrap=True
    )


@app.command()
def ui(
    config: ConfigOption = None,
    data_dir: DataOption = None,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 3000,
) -> None:
    """Start the Dagster UI and daemon on the instance that `kpi run` uses."""
    from kpi_pipeline import running

    running.open_ui(settings.load(config, data_dir), host, port)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def main() -> None:
    """Entry point: errors that a person can mend are shown as a line, not as a traceback."""
    try:
        app()
    except KpiError as error:
        Console(stderr=True, highlight=False).print(
            f"[red]{type(error).__name__}[/red]  {_plain(str(error))}", soft_wrap=True
        )
        _leave(2)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            _leave(end.code or 0)
        raise


def _leave(code: int) -> NoReturn:
    """Ends the process at once: all is written, and to take down what Dagster has loaded takes most of a second."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may have gone.
        with suppress(OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
