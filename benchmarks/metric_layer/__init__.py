"""MetricFlow's SQL for `user_days.yaml`: kept in `generated.sql`, or made anew where it is installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GENERATED = HERE / "generated.sql"


def is_installed() -> bool:
    return find_spec("metricflow") is not None


def sql() -> str:
    """What MetricFlow generates here and now; without it, what it generated when `generated.sql` was written."""
    return generate() if is_installed() else GENERATED.read_text(encoding="utf-8")


def generate() -> str:
    """MetricFlow's own query for the three metrics by day and hub, in the dialect of DuckDB."""
    from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
    from metricflow_semantic_interfaces.parsing.dir_to_model import parse_directory_of_yaml_files_to_semantic_manifest
    from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

    class Client:
        """MetricFlow asks its client for the dialect alone when it only has to explain."""

        sql_engine_type = SqlEngine.DUCKDB
        sql_plan_renderer = DuckDbSqlPlanRenderer()

        def render_bind_parameter_key(self, key: str) -> str:
            return f"${key}"

    manifest = parse_directory_of_yaml_files_to_semantic_manifest(str(HERE)).semantic_manifest
    client: Any = Client()
    request = MetricFlowQueryRequest.create(
        metric_names=["dau", "wau", "mau"], group_by_names=["metric_time__day", "user_day__hub"]
    )
    text: str = MetricFlowEngine(SemanticManifestLookup(manifest), client).explain(request).sql_statement.sql
    return text.rstrip() + "\n"
