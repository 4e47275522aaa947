"""Sphinx: the pages beside this file, the docstrings, and the tables that `keys.py` reads from the code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # where `formulas` and `keys` are

project = "scalespan"
author = "The scalespan developers"
project_copyright = "2026, the scalespan developers"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "formulas",
    "keys",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "tables"]
html_theme = "furo"
html_title = "scalespan"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["page.css"]
html_copy_source = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("Array", "Indices", "State", "Parts", "Part")}
autodoc_default_options = {"members": True, "show-inheritance": True}
smartquotes_action = "De"  # dashes and dots; what is quoted here is to be typed
default_role = "code"  # one pair of backquotes in a docstring
nitpicky = True
# Names of other packages have no page here; options are tables on the pages of their adapters.
nitpick_ignore_regex = [
    ("py:.*", r"(?!scalespan\.).*"),
    ("py:class", r".*\._\w+"),  # type variables
    ("py:class", r".*(Options|Settings|Layout|Links|Model|Motion)"),
]
