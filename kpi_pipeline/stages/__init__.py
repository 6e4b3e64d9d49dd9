"""From landing to published, one module per stage; set logic is in `sql/`, one SELECT a file. No Dagster."""
