"""What can be known of a case before it runs. `scalespan check` shows it; `scalespan run` asks it too."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rich.box
import rich.table
import rich.text
from ase import Atoms

from scalespan.adapters.interface import Adapter, CaseError, Table

from . import tasks
from .case import Case
from .results import Check


@dataclass(frozen=True)
class Checked:
    """A case with nothing found wrong: all that a run needs, and what a person should see of it."""

    ready: tasks.Ready
    overview: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        """All that is shown."""
        return self.overview, *self.ready.shown


def check(case: Case, model: Adapter | None = None) -> Checked:
    """Build the model, unless it is there, and look at everything without moving anything.

    Raises:
        ScalespanError: the first thing that is wrong.
    """
    _writable(case)
    ready = tasks.look(case, model or case.build())
    return Checked(ready, _overview(case, ready.atoms))


def shown(table: Table) -> rich.table.Table:
    """Return ``table`` as rich draws it, the note below."""
    drawn = rich.table.Table(
        title=table.title,
        title_justify="left",
        title_style="bold",
        caption=table.note or None,
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(table.columns),
    )
    for column in table.columns:
        drawn.add_column(column, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(rich.text.Text(cell) for cell in row))
    return drawn


def checks_table(checks: Sequence[Check]) -> Table:
    """Return the numbers that were compared, and whether each is within its tolerance."""
    rows = tuple(
        (
            check.name,
            f"{check.value:.8g}",
            f"{check.reference:.8g} ± {check.tolerance:.2g}",
            check.unit,
            "yes" if check.passed else "NO",
        )
        for check in checks
    )
    failed = sum(not check.passed for check in checks)
    met = f"{failed} of {len(checks)} are outside" if failed else f"all {len(checks)} are within"
    note = f"{met} the tolerance; sources: summary.json and the report"
    return Table("Checks", ("name", "value", "reference", "unit", "met"), rows, note)


def _writable(case: Case) -> None:
    place = case.results if case.results.exists() else case.folder
    if not place.is_dir():
        raise CaseError(f"{place} is not a folder", todo="move it away: a run writes its results there")
    if not os.access(place, os.W_OK | os.X_OK):
        raise CaseError(f"{place} cannot be written", todo="change its permissions, or copy the case elsewhere")


def _overview(case: Case, atoms: Atoms | None) -> Table:
    rows = [("case", case.title), ("folder", str(case.folder)), ("model", tree(case.model))]
    if atoms is not None:
        cell = " × ".join(f"{length:.3f}" for length in atoms.cell.lengths()) + " Å" if atoms.cell.any() else "none"
        rows += [("atoms", f"{len(atoms)}: {atoms.get_chemical_formula()}"), ("cell", cell)]
    rows += [("task", case.task.kind), ("reference numbers", str(len(case.references)))]
    return Table("The case", ("", ""), tuple(rows))


def tree(model: Mapping[str, Any]) -> str:
    """Return ``embedding (low: openmm, high: pyscf)``: the names of a model's parts."""
    parts = [f"{key}: {tree(value)}" for key, value in model.items() if isinstance(value, dict) and "use" in value]
    return str(model.get("use")) + (f" ({', '.join(parts)})" if parts else "")
