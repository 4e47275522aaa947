"""Files and functions stay small. Their docstrings and annotations are ruff's and mypy's business (test_lint)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

FOLDERS = ("adapters", "bridges", "tests", "cases", "containers", "docs")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its lines, without decorators and docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield f"{path.name}:{node.lineno} {node.name}", lines


def test_no_file_is_over_400_lines(root: Path) -> None:
    files = [path for folder in FOLDERS for path in (root / folder).rglob("*.py")]
    lengths = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in files}
    assert not {path: n for path, n in lengths.items() if n > 400}


def test_functions_are_short(sources: list[Path], record_property: Callable[[str, object], None]) -> None:
    lengths = dict(each for path in sources for each in functions(path))
    lines = np.array(list(lengths.values()))
    record_property("median_function_lines", float(np.median(lines)))
    assert not {name: n for name, n in lengths.items() if n > 60}
    assert np.mean(lines < 40) > 0.9
    assert np.median(lines) <= 12, f"the median is {np.median(lines)} lines"
