"""A vacancy in copper: what a handshake misses of all atoms' answer, and what both take, LAMMPS as the engine of both.

The same rhombohedron, at rest on its surface; L-BFGS to 1e-4 eV/Å. All atoms are relaxed without the handshake's kind
of first stiffness, too, whose factors grow faster than the crystal; the faster of the two counts.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.bridges import copper
from tests.bridges.copper import Vacancy

from .table import write_table

# Half the body's edge, in atoms: how all atoms are relaxed; radius and fine mesh of handshakes, Å; and smaller bodies
# of all atoms, whose surface is at rest nearer.
BODIES = {
    16: (("lbfgs", "precon-lbfgs"), ((4.7, 4.7), (5.8, 5.1), (5.8, 5.8), (5.8, 7.2)), ()),
    24: (("lbfgs",), ((5.8, 5.1), (5.8, 5.8), (5.8, 7.2), (7.3, 7.6)), (5, 8, 12)),
}


def row(name: str, found: Vacancy, full: Vacancy) -> tuple[str, ...]:
    """Return what ``found`` misses of ``full``; atoms beyond a smaller body are at rest."""
    displacement = np.zeros_like(full.displacement)
    displacement[cKDTree(full.places).query(found.places)[1]] = found.displacement
    missed, whole = (np.linalg.norm(each, axis=1) for each in (displacement - full.displacement, full.displacement))
    error = found.energy - full.energy
    errors = [
        f"{error:.5f}",
        f"{error / (full.unrelaxed - full.energy):.2%}",
        f"{missed.max() / whole.max():.1%}",
        f"{np.linalg.norm(missed) / np.linalg.norm(whole):.1%}",
    ]
    return (
        name,
        f"{found.unknowns} ({found.unknowns / full.unknowns:.2%})",
        f"{found.energy:.5f}",
        *(["–"] * len(errors) if found.unknowns == full.unknowns else errors),
        str(found.run.steps),
        f"{found.run.seconds:.1f}",
        f"{full.run.seconds / found.run.seconds:.0f}",
    )


@pytest.mark.benchmark
@pytest.mark.skipif(shutil.which("lmp") is None, reason="LAMMPS is not installed: apt-get install lammps")
def test_a_vacancy_in_copper_at_a_hundredth_of_the_unknowns(tmp_path: Path) -> None:
    engine, rows = copper.engine(tmp_path), []
    material = copper.law(engine)
    for cells, (optimisers, sizes, smaller) in BODIES.items():
        full = [copper.full_vacancy(engine, material, cells, optimiser) for optimiser in optimisers]
        fastest = min(full, key=lambda each: each.run.seconds)
        rows += [row(f"all atoms, {name}", each, fastest) for name, each in zip(optimisers, full, strict=True)]
        for radius, fine in sizes:
            found = copper.joined_vacancy(tmp_path, engine, material, cells, radius, fine)
            rows.append(row(f"handshake, {int((found.run.atoms.numbers > 0).sum())} atoms", found, fastest))
            assert found.unrelaxed == pytest.approx(fastest.unrelaxed, abs=1e-5)
        for less in smaller:
            rows.append(row("all atoms of a smaller body", copper.full_vacancy(engine, material, less), fastest))
    engine.close()
    header = (
        "",
        "unknowns",
        "formation energy, eV",
        "its error, eV",
        "of the relaxation energy",
        "largest error of a displacement",
        "of all displacements, root mean square",
        "steps",
        "wall time, s",
        "times faster",
    )
    write_table("copper vacancy", header, rows)
