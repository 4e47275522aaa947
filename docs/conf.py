"""Sphinx: the pages beside this file, and the docstrings."""

project = "scalespan"
author = "The scalespan developers"
project_copyright = "2026, the scalespan developers"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "tables"]
html_theme = "furo"
html_title = "scalespan"
html_static_path = ["pictures"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_mock_imports: list[str] = []
autodoc_default_options = {"members": True, "show-inheritance": True}
default_role = "code"
# A formula in a page is TeX and read by MathJax from the reader's own copy where there is one.
suppress_warnings = ["myst.xref_missing"]
nitpicky = False
