"""A study: a table of numbers, row by row, and what follows from it."""

from __future__ import annotations

from typing import ClassVar

from scalespan.adapters.interface import Study

from ..results import Value
from .task import BareRun, BareTask, Findings


class Rows(BareTask):
    """All rows of a study, such as a ladder of cell sizes, and what follows from them."""

    kind: ClassVar[str] = "study"
    family: ClassVar[str] = "a study"
    values: ClassVar[tuple[str, ...]] = ("{}",)  # the study's own

    def run(self, run: BareRun) -> Findings:
        """Compute the rows that are not there yet."""
        study, done = run.model, run.record.position
        assert isinstance(study, Study), "the family"
        series = run.record.series("rows", list(study.columns))
        run.progress.start("study", study.rows, done)
        for number in range(done, study.rows):
            with run.record.timed("model"):
                row = study.row(number)
            series.row(row)
            run.record.save(number + 1, study.save())
            run.progress.show(number + 1, study.title(number))
        with run.record.timed("model"):
            found = study.conclude(run.record.table("rows"))
        study.frame(run.record.folder)
        values = {name: Value(number, unit) for name, (number, unit) in found.values.items()}
        return Findings(values, tables=found.tables)
