"""Sphinx writes formulas as MathML, which browsers draw by themselves: no script, no network."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator


def mathml(tex: str, *, block: bool) -> str:
    """Return the MathML of a formula in TeX.

    Raises:
        ExtensionError: TeX that docutils' own translator does not know.
    """
    try:
        found: str = tex2mathml(tex, as_block=block)
    except MathError as error:
        raise ExtensionError(f"the formula '{tex}' cannot be written as MathML: {error}") from error
    return found


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(sphinx: Sphinx) -> dict[str, object]:
    """Make the writer known to Sphinx."""
    sphinx.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
