"""A simulated organisation, deterministic by seed: files in the sources' own formats, and their ground truth.

Never here: an import from the rest of the pipeline. What checks the pipeline must not share its mistakes.
"""

from datetime import date
from pathlib import Path

from kpi_pipeline.sample.books import write_books
from kpi_pipeline.sample.clicks import write_clicks
from kpi_pipeline.sample.costs import cost_files, write_costs
from kpi_pipeline.sample.deployments import SPOILT, make_rollouts, rollout_pages, rollout_truth, write_deployment_truth
from kpi_pipeline.sample.github import github_files, github_truth, make_github
from kpi_pipeline.sample.layout import activity_files, make_damage
from kpi_pipeline.sample.opinion import write_opinion
from kpi_pipeline.sample.simulate import make_world
from kpi_pipeline.sample.support import write_support
from kpi_pipeline.sample.technical import technical_issues, write_technical_truth
from kpi_pipeline.sample.texts import ROLE_DOMAINS, config, readme
from kpi_pipeline.sample.truth import qualifying, write_truth
from kpi_pipeline.sample.write import write_activity, write_file, write_registry

__all__ = ["write_sample"]

SHORTEST_DAYS = 7  # below that, the late files would arrive on the same day


def write_sample(
    folder: Path,
    *,
    seed: int = 2026,
    hubs: int = 60,
    users: int = 3000,
    days: int = 457,
    last_day: date = date(2026, 9, 30),
) -> None:
    """Write the organisation into a folder; the same arguments give the same bytes on any machine."""
    if hubs < 1 or users < 1 or days < SHORTEST_DAYS:
        raise ValueError(
            f"hubs={hubs}, users={users}, days={days}: a sample has at least 1 hub, 1 user and {SHORTEST_DAYS} days"
        )
    world = make_world(seed, hubs, users, days, last_day)
    files = activity_files(world.period)
    _refuse_strangers(folder / "hub_activity", {folder / "hub_activity" / file.path for file in files})
    _refuse_strangers(folder / "cloud_costs", {folder / "cloud_costs" / name for name in cost_files(world)})
    damage = make_damage(seed, files, world.hubs, world.period)
    write_registry(folder / "hub_registry", world.hubs)
    write_activity(folder / "hub_activity", world, files, damage)
    write_truth(folder / "truth", world, damage)
    write_books(folder, seed, last_day)
    write_opinion(folder, world, qualifying(world))
    write_costs(folder, world)
    write_support(folder / "tickets", folder / "truth", world)
    write_clicks(folder / "access_logs", folder / "truth", world)
    for domain in ROLE_DOMAINS:
        domain.write(folder, world)
    rollouts = make_rollouts(world)
    github = make_github(seed, world.period, rollouts.issues, technical_issues(seed, world.period))
    pages = github_files(github, rollout_pages(rollouts))
    for part in ("github", "affiliations", "upstream_work"):
        _refuse_strangers(folder / part, {folder / path for path in pages})
    write_technical_truth(folder / "truth" / "roles", github, world.period)
    write_deployment_truth(folder / "truth" / "roles", rollouts, world)
    truth = {**github_truth(github, SPOILT), **rollout_truth(rollouts, world, qualifying(world))}
    for path, content in {**pages, **truth}.items():
        write_file(folder / path, content)
    write_file(folder / "kpi.toml", config(world).encode())
    write_file(folder / "README.md", readme(world).encode())


def _refuse_strangers(activity: Path, ours: set[Path]) -> None:
    """A file of another sample, or somebody's own, would be read as part of this one. Not ours to delete."""
    strangers = sorted(path for path in activity.rglob("*") if path.is_file() and path not in ours)
    if strangers:
        raise FileExistsError(
            f"{strangers[0]} is not part of the sample to be written ({len(strangers)} such files) and would "
            "be read as if it were: write to an empty folder, or remove them first"
        )
