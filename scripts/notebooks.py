"""Executes the notebooks and writes what they give into them: text, tables and pictures.

Without --data-dir the sample organisation is run in a folder aside first, so that a notebook shows what everybody sees
after the first run, and nothing of this machine. With --into the notebooks stay as they are, and the executed ones are
written there.

    .venv/bin/python scripts/notebooks.py
"""

import argparse
import asyncio
import base64
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "notebooks"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Settings of whoever runs this must not be seen in what is committed.
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("KPI_", "DAGSTER", "POLARS_"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="a data folder in which the sample has been run")
    parser.add_argument("--into", type=Path, help="a folder for the executed notebooks; default: notebooks/ itself")
    chosen = parser.parse_args()
    into = chosen.into or NOTEBOOKS
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        data = chosen.data_dir or run_sample(Path(aside))
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            notebook = executed(path, data.resolve())
            nbformat.write(notebook, into / path.name)
            print(f"{path.name}: {(into / path.name).stat().st_size:,} bytes")


def run_sample(data: Path) -> Path:
    """Runs the sample organisation."""
    run = [sys.executable, "-m", "kpi_pipeline.cli", "run", "--data-dir", str(data)]
    subprocess.run(run, cwd=PROJECT, env=CLEAN, check=True, stdout=subprocess.DEVNULL)
    return data


def executed(path: Path, data: Path) -> NotebookNode:
    """A notebook with what it gives on a data folder. The first cell that fails ends it."""
    notebook = nbformat.read(path, as_version=4)
    # As Jupyter does it, the kernel works in the notebook's folder; the package is the one beside it.
    environment = CLEAN | {"KPI_DATA_DIR": str(data), "PYTHONPATH": str(PROJECT)}
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        # Else it warns of its port on localhost, each time.
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    asyncio.run(client.async_execute(env=environment))
    # Which Python it was is no part of the notebook.
    notebook.metadata.pop("language_info", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                output.data["image/png"] = base64.b64encode(packed(base64.b64decode(picture))).decode()
    return notebook


def packed(png: bytes) -> bytes:
    """The same picture, compressed as well as it can be: charts are written in haste, at four times the size."""
    chunks, at, pixels = [], len(SIGNATURE), b""
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12
        if kind == b"IDAT":
            pixels += data
            continue
        if kind == b"IEND":
            chunks.append((b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
        chunks.append((kind, data))
    framed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return SIGNATURE + b"".join(framed)


if __name__ == "__main__":
    main()
