"""The documents say what the program has: commands, targets, keys, reasons; links resolve; no path of any machine."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from kpi_pipeline import cli, settings
from kpi_pipeline.contracts import RECORDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kpi_pipeline"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data" / "sample").glob("*.md")])
USER_PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
ids = [str(page.relative_to(ROOT)) for page in PAGES]


def _text(*pages: Path) -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def _commands() -> Iterator[tuple[str, list[str]]]:
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        yield name, [option for p in command.params for option in p.opts if option.startswith("--")]


def test_every_command_and_option_is_documented() -> None:
    text = _text(*USER_PAGES)
    for name, options in _commands():
        assert re.search(rf"\bkpi {name}\b", text), f"kpi {name}"
        for option in options:
            assert option == "--help" or re.search(rf"(?<![\w-]){option}(?![\w-])", text), f"kpi {name} {option}"


def test_every_command_that_is_shown_exists() -> None:
    """In code: what comes after `kpi` is a command, and its options are options of it."""
    known = dict(_commands())
    fenced = re.findall(r"^```(?:\w*)\n(.*?)^```", _text(*PAGES), re.DOTALL | re.MULTILINE)
    lines = [line.split("#")[0] for block in fenced for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`(kpi [^`]*)`(?!`)", _text(*PAGES))
    for line in (*lines, *inline):
        for found in re.finditer(r"(?:^|[\s/])kpi +([a-z]+)\b([^|]*)", line):
            name, rest = found.groups()
            assert name in known, line
            for option in re.findall(r"--[a-z-]+", rest):
                assert option in known[name], line


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z_-]*):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", _text(*PAGES), re.MULTILINE))
    assert named
    assert named <= targets
    documented = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert documented <= named, "every target that `make help` lists is in a document"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_relative_links_and_images_resolve(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in _anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_no_path_of_a_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:work|root|home|Users|tmp|mnt|usr)/", text)
    assert str(ROOT) not in text


def _models() -> set[type[BaseModel]]:
    everything = [value for module in (settings, settings.base, settings.sources) for value in vars(module).values()]
    classes = {value for value in everything if isinstance(value, type) and issubclass(value, BaseModel)}
    return {c for c in classes if c.__module__.startswith(settings.__name__)}


def test_every_key_of_the_configuration_is_documented() -> None:
    text = _text(ROOT / "docs" / "configuration.md")
    for model in _models():
        for name, field in model.model_fields.items():
            for key in {name, field.alias or name}:
                assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", text), f"{model.__name__}.{key}"
    for source in RECORDS:
        assert f"## `[sources.{source}]`" in text


REASON_CALLS = {"_unreadable": 1}
REASON_TABLES = {"REJECT_REASONS"}


def _reason_codes() -> set[str]:
    """Every literal that becomes a reason of raw.quarantine, without the column's name."""
    found = {reason for record in RECORDS.values() for reason, _ in record.rules}
    for path in (PACKAGE / "stages").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REASON_CALLS:
                argument = node.args[REASON_CALLS[node.func.id]]
                if isinstance(argument, ast.Constant):
                    found.add(argument.value)
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Dict)
                and {target.id for target in node.targets if isinstance(target, ast.Name)} & REASON_TABLES
            ):
                found |= {value.value for value in node.value.values if isinstance(value, ast.Constant)}
        found |= _paired_with_a_condition(source)
        # Those that are counted, assigned in SQL, or selected as a constant.
        found |= set(re.findall(r'rejected\[f?"([a-z_0-9]+)', source))
        found |= set(re.findall(r"_reason = '([^']+)'", source))
        found |= set(re.findall(r"'([a-z_0-9]+)' as reason", source))
    # In SQL: the branches of the last CASE before `as reason`.
    for path in (PACKAGE / "stages" / "sql").glob("*.sql"):
        before, named, _ = path.read_text(encoding="utf-8").partition(" as reason")
        if named and "case" in before:
            found |= set(re.findall(r"(?:then|else) '([a-z_:]+)'", before[before.rindex("case") :]))
    for path in (PACKAGE / "stages" / "sql").glob("*.sql"):
        found |= set(re.findall(r"'([a-z_]+):' \|\| \S+ as reason", path.read_text(encoding="utf-8")))
    for path in (PACKAGE / "stages" / "sql").glob("ticket_*_versions.sql"):
        found |= set(re.findall(r"then '([a-z_]+)'", path.read_text(encoding="utf-8")))
    for name in ("activity", "github_pages", "issue_events", "github_to_sqlite"):
        statement = (PACKAGE / "stages" / "sql" / f"{name}.sql").read_text(encoding="utf-8")
        found |= set(re.findall(r"(?:then|else) '([a-z_]+)'", statement))
    statement = (PACKAGE / "stages" / "sql" / "issues_that_end_early.sql").read_text(encoding="utf-8")
    found |= set(re.findall(r"'([a-z_]+)' as reason", statement))
    return {reason.split(":")[0] for reason in found}


def _paired_with_a_condition(source: str) -> set[str]:
    """First members of pairs inside `reasons = [...]` and `reasons.append(...)`."""
    blocks = re.findall(r"reasons = \[(.*?)\n    \]|reasons\.append\((.*?)\)\n", source, re.DOTALL)
    return {code for block in blocks for code in re.findall(r'\(f?"([a-z_0-9]+(?::[^"]*)?)", ', "".join(block))}


def test_every_reason_for_quarantine_is_documented() -> None:
    codes = _reason_codes()
    assert len(codes) >= 20, sorted(codes)
    text = _text(ROOT / "docs" / "sources.md")
    explained = {code.split(":")[0] for code in re.findall(r"^\| `([a-z_0-9:<>]+)` \|", text, re.MULTILINE)}
    assert codes <= explained, sorted(codes - explained)


def test_reasons_that_are_documented_exist() -> None:
    text = _text(ROOT / "docs" / "sources.md").split("## Quarantine")[1]
    explained = {code.split(":")[0] for code in re.findall(r"^\| `([a-z_0-9:<>]+)` \|", text, re.MULTILINE)}
    assert explained <= _reason_codes(), sorted(explained - _reason_codes())


def test_every_column_of_a_record_is_documented() -> None:
    text = _text(ROOT / "docs" / "sources.md")
    for record in RECORDS.values():
        section = text.split(f"\n## `{record.source}`\n")[1].split("\n## ")[0]
        for column in record.columns:
            row = re.search(rf"^\| `{column.name}` \| [^|]+ \| ([^|]+) \|", section, re.MULTILINE)
            assert row, f"{record.source}.{column.name}"
            expected = "optional" if column.optional else "may be empty" if column.nullable else "yes"
            assert row.group(1) == expected, f"{record.source}.{column.name}"


def test_every_check_is_documented() -> None:
    from kpi_pipeline.stages.checks import CHECKS, freshness_check, parts_check

    text = _text(ROOT / "docs" / "operations.md")
    for check in (*CHECKS, freshness_check("hub_activity"), parts_check("hub_activity")):
        assert f"`{check.name}`" in text
