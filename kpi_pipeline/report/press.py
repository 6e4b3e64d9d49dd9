"""Typst: a template and data in, a PDF or pictures out. What is on a page is the templates' and the callers' affair.

Data goes in as JSON and comes out as text: no name is ever read as markup. The same input gives the same bytes: no date
is written, and the fonts are those of a package, unless a name needs letters that they don't have.
"""

import json
import shutil
import tempfile
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import font_source_sans_pro
import typst

STYLES = ("Regular", "It", "Semibold", "SemiboldIt", "Bold", "Light")
# Control characters can't be drawn, and would break a picture.
CONTROL = dict.fromkeys((*range(32), *range(127, 160)), " ")


class Press:
    """The templates of `report/typst`, with their fonts; a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._compilers: dict[str, typst.Compiler] = {}
        self._all_fonts = False

    def __enter__(self) -> Self:
        templates = resources.files("kpi_pipeline").joinpath("report", "typst")
        self._templates = self._stack.enter_context(resources.as_file(templates))
        self._fonts = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        # One file a style: the package has each in two formats, and which of them is found first depends on the disk.
        for style in STYLES:
            shutil.copy(Path(font_source_sans_pro.font_directory) / f"SourceSansPro-{style}.otf", self._fonts)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def pdf(self, template: str, data: object) -> bytes:
        """A PDF that a screen reader can read (PDF/UA-1), or a plain one where a letter is in no font at all."""
        try:
            return self._compile(template, data, format="pdf", pdf_standards="ua-1")
        except typst.TypstError as error:
            if "could not be displayed" not in str(error):
                raise
        self._all_fonts = True
        self._compilers.clear()
        try:
            return self._compile(template, data, format="pdf", pdf_standards="ua-1")
        except typst.TypstError as error:
            if "could not be displayed" not in str(error):
                raise
        return self._compile(template, data, format="pdf")

    def png(self, template: str, data: object, ppi: float) -> bytes:
        """A picture of a template that has one page."""
        return self._compile(template, data, format="png", ppi=ppi)

    def pages(self, template: str) -> int:
        """How many pages it had when it was last made."""
        return int(self._compiler(template).query("<pages>", field="value", one=True))

    def _compile(self, template: str, data: object, **options: Any) -> bytes:
        text = json.dumps(_drawable(data), ensure_ascii=False)
        made = self._compiler(template).compile(sys_inputs={"data": text}, **options)
        if not isinstance(made, bytes):
            raise TypeError(f"{template}: {type(made).__name__}, where one file was expected")
        return made

    def _compiler(self, template: str) -> typst.Compiler:
        if template not in self._compilers:
            self._compilers[template] = typst.Compiler(
                str(self._templates / f"{template}.typ"),
                root=str(self._templates),
                font_paths=[str(self._fonts)],
                ignore_system_fonts=not self._all_fonts,
            )
        return self._compilers[template]


def _drawable(data: Any) -> Any:
    if isinstance(data, str):
        return data.translate(CONTROL)
    if isinstance(data, dict):
        # A picture's own text is made of what was drawable.
        return {key: value if key == "svg" else _drawable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_drawable(value) for value in data]
    return data
