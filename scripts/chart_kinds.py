"""Writes the kinds of chart of the web report, kpi_pipeline/report/static/kinds.json, as the installed Altair has them.

.venv/bin/python scripts/chart_kinds.py
"""

from pathlib import Path

from kpi_pipeline.report import charts, kinds

REPORT = Path(__file__).resolve().parents[1] / "kpi_pipeline" / "report"

if __name__ == "__main__":
    (REPORT / "static" / charts.FILE).write_text(kinds.written(), encoding="utf-8")
