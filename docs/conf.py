"""How Sphinx builds the site: ``make docs``, offline; every warning, such as a broken link, is an error.

The source folder is the repository, so a link means the same on the site, on a code host and in an editor.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from recbole_diffusion.storage.versions import __version__  # noqa: E402

project = "recbole_diffusion"
author = "recbole_diffusion contributors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "option_tables"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    "docs/*/*.md",
    "dataset/README.md",
    "benchmarks/results/*.md",
    "findings/README.md",
]
# Folders that Sphinx need not walk through.
exclude_patterns = [".*", "**/.*", "build", "dist", "runs", "site", "**/*_runs", "tests", "recbole_diffusion"]

myst_heading_anchors = 4
default_role = "code"
nitpick_ignore_regex = [("py:.*", r".*")]

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"recbole_diffusion {release}"
html_copy_source = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_extra_path = ["extra"]
pygments_style = "friendly"

# What a docstring of plain English means literally, and reStructuredText would read as markup.
CODE = re.compile(r"(``.+?``|`.+?`)")
MARKUP = re.compile(r"(?<!\\)([*|]|(?<=\w)_(?=\W|$))")
LIST_ITEM = re.compile(r"^\s*[*-] ")


def escaped(line: str) -> str:
    """Return a line of a docstring with markup escaped outside of code; a list keeps its bullet."""
    bullet = LIST_ITEM.match(line)
    start = bullet.end() if bullet else 0
    parts = CODE.split(line[start:])
    return line[:start] + "".join(
        part if number % 2 else MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def plain_docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escape a docstring before napoleon reads its sections; RecBole's own docstrings are left out."""
    lines[:] = [escaped(line) for line in lines]


def setup(app: Any) -> None:
    """Connect what is above."""
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
