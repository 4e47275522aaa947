"""The embedded coupling gives preCICE's numbers: every value that is read, in every iteration, and their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .pair import Pair, Record, by_embedded, by_precice

pytest.importorskip(
    "precice", reason="pyprecice is not installed: there is nothing to compare the embedded coupling with"
)

LOAD = '<data name="Load" mesh="Left-Mesh"/>'
BOTH = f'<data name="Move" mesh="Left-Mesh"/>{LOAD}'
CELLS = '<mapping:linear-cell-interpolation {ends} constraint="{constraint}"/>'
COARSE = '<relative-convergence-measure data="{data}" mesh="{mesh}" limit="1e-4"/>'
ANY = (
    '<absolute-convergence-measure data="{data}" mesh="{mesh}" limit="1e-2" suffices="true"/>'
    '<absolute-or-relative-convergence-measure data="Move" mesh="Left-Mesh" abs-limit="1e-7" rel-limit="1e-9"/>'
)
DROP = '<residual-relative-convergence-measure data="{data}" mesh="{mesh}" limit="1e-4"/>'


def radial(basis: str) -> str:
    inside = f"<basis-function:{basis}/>"
    return f'<mapping:rbf-global-direct {{ends}} constraint="{{constraint}}">{inside}</mapping:rbf-global-direct>'


def quasi_newton(inside: str, attribute: str = "") -> dict[str, object]:
    """Residuals stay well above round-off, which the differences between iterations would magnify."""
    text = f'<acceleration:IQN-ILS {attribute}><initial-relaxation value="0.3"/>{inside}</acceleration:IQN-ILS>'
    return {"acceleration": text, "gain": 1.5, "windows": 4, "measure": COARSE}


CASES = {
    "serial-implicit, cubic, 5 steps": Pair(degree=3, steps=5),
    "serial-implicit, minimum of iterations": Pair(limits='<min-iterations value="4"/><max-iterations value="6"/>'),
    "serial-implicit, ends only, absolute or relative": Pair(substeps="false", steps=3, measure=ANY),
    "parallel-implicit, initial data, quadratic": Pair(
        scheme="parallel-implicit", initialize="true", steps=3, degree=2
    ),
    "serial-explicit, cells": Pair(scheme="serial-explicit", mapping=CELLS, counts=(12, 9)),
    "parallel-explicit, ends only": Pair(scheme="parallel-explicit", substeps="false", windows=5),
    "thin plates": Pair(mapping=radial("thin-plate-splines"), measure=DROP),
    "Wendland": Pair(mapping=radial('compact-polynomial-c6 support-radius="0.7"'), measure=DROP),
    "Gaussian": Pair(mapping=radial('gaussian support-radius="1.5"'), measure=DROP),
    "constant": Pair(
        scheme="parallel-implicit",
        steps=3,
        acceleration='<acceleration:constant><relaxation value="0.6"/></acceleration:constant>',
    ),
    "Aitken": Pair(
        scheme="parallel-implicit",
        steps=2,
        acceleration=f'<acceleration:aitken><initial-relaxation value="0.4"/>{BOTH}</acceleration:aitken>',
    ),
    "quasi-Newton, serial, 3 steps": Pair(steps=3, degree=3, **quasi_newton(LOAD)),
    "quasi-Newton, parallel": Pair(scheme="parallel-implicit", steps=2, **quasi_newton(BOTH)),
    "quasi-Newton, all times": Pair(steps=2, **quasi_newton(LOAD, 'reduced-time-grid="false"')),
    "quasi-Newton, QR1, one window reused": Pair(
        **quasi_newton(f'<time-windows-reused value="1"/>{LOAD}<filter type="QR1" limit="1e-3"/>')
    ),
    "quasi-Newton, QR2, few columns": Pair(
        **quasi_newton(f'<max-used-iterations value="6"/>{LOAD}<filter type="QR2" limit="1e-2"/>')
    ),
    "quasi-Newton, nothing reused": Pair(**quasi_newton(f'<time-windows-reused value="0"/>{LOAD}')),
    "direct access": Pair(bridges="direct", steps=2),
    "just-in-time": Pair(bridges="moving", steps=2, degree=2),
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Record]]:
    return by_precice(CASES, tmp_path_factory.mktemp("precice"))


@pytest.mark.parametrize("name", CASES)
def test_every_value_read_is_precices(name: str, theirs, tmp_path: Path) -> None:
    mine = by_embedded(CASES[name], tmp_path)
    for side, record in theirs[name].items():
        assert mine[side]["iterations"].tolist() == record["iterations"].tolist()
        scale = np.abs(record["seen"]).max()
        assert mine[side]["seen"] / scale == pytest.approx(record["seen"] / scale, abs=1e-10)
