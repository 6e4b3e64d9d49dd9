"""The program that draws the site's charts: Vega, Vega-Lite and Vega-Embed as one script.

What belongs here: making it, and keeping it. What never does: what it draws.
"""

from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import vl_convert

from kpi_pipeline.landing.disk import sync, written_aside
from kpi_pipeline.report import charts

# Of exactly the version that the charts are written for.
VERSION = charts.vega_lite()
BUNDLER = version("vl-convert-python")


def script(kept: Path) -> bytes:
    """The script, ready to stand in a page's folder.

    Args:
        kept: a folder that stays between runs. Bundling takes longer than all pages and depends on two versions only,
            so the bundle is kept there, under a name that says of which versions it is and what its bytes hash to.
            One that isn't there, is of others or is damaged is made anew.
    """
    return b"(() => {\n" + _bundle(kept) + b"\n})();\n"


def _bundle(kept: Path) -> bytes:
    name = f"vega-{VERSION}-by-{BUNDLER}"
    for path in kept.glob(f"{name}-*.js"):
        bundle = path.read_bytes()
        if path.name == _named(name, bundle):
            return bundle
    bundle = vl_convert.javascript_bundle(vl_version=VERSION).encode()  # type: ignore[call-arg]  # its stub wants a snippet
    for path in kept.glob("vega-*.js"):
        path.unlink()
    with written_aside(kept / _named(name, bundle)) as out:
        out.write(bundle)
    sync(kept)
    return bundle


def _named(name: str, bundle: bytes) -> str:
    return f"{name}-{sha256(bundle).hexdigest()}.js"
