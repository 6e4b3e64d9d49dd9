"""Thin Dagster assets: path = asset key = table. No SQL and no arithmetic: they call stages and report."""
