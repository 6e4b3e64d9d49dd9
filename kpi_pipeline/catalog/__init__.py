"""KPI definitions: one TOML file per measure, and one per theme or role. No Dagster; nothing that reads data."""

from kpi_pipeline.catalog.spec import Catalog, Example, Kpi, Measure, Target, load

__all__ = ["Catalog", "Example", "Kpi", "Measure", "Target", "load"]
