"""Put a measured table into docs/benchmarks.md, between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def write_table(name: str, header: Sequence[str], rows: Sequence[Sequence[object]], page: Path = PAGE) -> None:
    """Replace the section ``name`` of the page by a table, or add the section at the end."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    section = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
    text = page.read_text() if page.exists() else ""
    marks = re.compile(rf"<!-- {re.escape(name)} -->.*?<!-- /{re.escape(name)} -->", re.DOTALL)
    there = marks.search(text) is not None
    page.write_text(marks.sub(lambda _: section, text) if there else f"{text.rstrip()}\n\n{section}\n")
