"""LAMMPS in a process of its own: the contract, the numbers of other codes, and what happens when it dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.units import kcal, mol

from scalespan.adapters.interface import (
    ADAPTERS,
    AtomsError,
    EngineFailed,
    EngineMissing,
    OptionError,
    Quantity,
    ScalespanError,
)
from scalespan.adapters.interface.contract import ParticleContract
from scalespan.adapters.lammps import LAMMPSAdapter, LAMMPSOptions

pytestmark = pytest.mark.skipif(shutil.which("lmp") is None, reason="LAMMPS is not installed: apt-get install lammps")

ALL = {Quantity.ENERGY, Quantity.FORCES, Quantity.STRESS}
EPSILON, SIGMA, CUTOFF = 0.0104, 3.4, 8.5


def adapter(*interaction: str, **more: object) -> LAMMPSAdapter:
    table = {"elements": ["Ar", "Kr"], "interaction": interaction or smooth(), **more}
    return LAMMPSAdapter(LAMMPSOptions.read(table))


def smooth() -> tuple[str, ...]:
    return (
        "pair_style lj/smooth 7.0 8.5",
        f"pair_coeff 1 1 {EPSILON} {SIGMA}",
        "pair_coeff 2 2 0.0143 3.65",
        "pair_coeff 1 2 0.0122 3.52",
        "pair_modify shift yes",  # or its energy jumps at the inner radius
    )


def shaken(atoms: Atoms) -> Atoms:
    atoms.symbols[1] = "Kr"
    atoms.rattle(0.1, seed=3)
    return atoms


class TestCluster(ParticleContract):
    def make_adapter(self) -> LAMMPSAdapter:
        return adapter()

    def make_atoms(self) -> Atoms:
        atoms = shaken(bulk("Ar", "fcc", 5.3, cubic=True).repeat((2, 1, 1)))
        return Atoms(atoms.numbers, atoms.positions - 4.0)


class TestTriclinic(ParticleContract):
    def make_adapter(self) -> LAMMPSAdapter:
        return adapter()

    def make_atoms(self) -> Atoms:
        atoms = shaken(bulk("Ar", "fcc", 5.3).repeat((2, 1, 1)))
        atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, -0.2], [0.05, 0.9, 0.1], [0.0, 0.2, 1.1]], scale_atoms=True)
        return atoms


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0), (1, 1, 1)])
def test_the_numbers_are_those_of_ase(pbc: tuple[int, ...]) -> None:
    """Boxes that are periodic along any directions, right- or left-handed, with atoms in any image."""
    handed = (-1.0) ** pbc[0]
    cell = np.array([[11.0, 1.0, -2.0], [-3.0, 10.0, 1.5], [handed * 2.0, -1.0, handed * 12.0]])
    atoms = Atoms("Ar20", np.random.default_rng(4).uniform(-14.0, 22.0, (20, 3)), cell=cell, pbc=pbc)
    ours = adapter("pair_style lj/cut 8.5", f"pair_coeff * * {EPSILON} {SIGMA}", "pair_modify shift yes")
    atoms.calc = LennardJones(epsilon=EPSILON, sigma=SIGMA, rc=CUTOFF)
    wanted = ALL if all(pbc) else ALL - {Quantity.STRESS}
    found = ours.compute(atoms, wanted)
    ours.close()
    scale = np.abs(atoms.get_forces()).max()
    assert found.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(found.forces, atoms.get_forces(), rtol=0.0, atol=1e-12 * scale)
    if all(pbc):
        np.testing.assert_allclose(found.stress, atoms.get_stress(), rtol=1e-10, atol=1e-12 * scale)


def test_real_units() -> None:
    atoms = TestTriclinic().make_atoms()
    lines = ("pair_style lj/cut 8.5", f"pair_coeff * * {EPSILON / (kcal / mol)!r} {SIGMA}")
    real, metal = adapter(*lines, units="real"), adapter(lines[0], f"pair_coeff * * {EPSILON} {SIGMA}")
    found, expected = real.compute(atoms, ALL), metal.compute(atoms, ALL)
    real.close(), metal.close()
    for quantity in ALL:  # 3e-10 between two definitions of the calorie in eV
        np.testing.assert_allclose(found.need(quantity), expected.need(quantity), rtol=1e-8, atol=1e-12)


def test_two_clusters_in_turns_start_two_processes_and_no_more() -> None:
    ours, large = adapter(), TestCluster().make_atoms()
    small = large[1:]
    first = [ours.compute(each, ALL - {Quantity.STRESS}) for each in (large, small)]
    processes = list(ours._processes.values())
    for _ in range(3):
        again = [ours.compute(each, ALL - {Quantity.STRESS}) for each in (large, small)]
    assert set(ours._processes.values()) == set(processes)
    ours.close()
    for one, other in zip(first, again, strict=True):
        assert one.energy == other.energy
        np.testing.assert_array_equal(one.forces, other.forces)


def test_many_compositions_keep_few_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ours, atoms = adapter(), TestCluster().make_atoms()
    for count in range(2, 8):
        ours.compute(atoms[:count], {Quantity.ENERGY})
    assert len(list(tmp_path.iterdir())) == 4
    ours.close()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_an_adapter_that_nobody_closed(tmp_path: Path) -> None:
    code = f"""
import tempfile
from ase import Atoms
from scalespan.adapters.interface import Quantity
from scalespan.adapters.lammps import LAMMPSAdapter, LAMMPSOptions
tempfile.tempdir = {str(tmp_path)!r}
lines = ["pair_style lj/cut 8.5", "pair_coeff * * 0.01 3.4"]
lj = LAMMPSAdapter(LAMMPSOptions(elements=["Ar"], interaction=lines))
energy = lj.compute(Atoms("Ar2", [[0, 0, 0], [0, 0, 4]]), [Quantity.ENERGY]).energy
print(energy, *(process._program.pid for process in lj._processes.values()))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    energy, process = done.stdout.split()
    assert float(energy) == pytest.approx(0.04 * ((3.4 / 4) ** 12 - (3.4 / 4) ** 6), rel=1e-12)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


PROGRAM = """
import numpy as np
from ase import Atoms
from mpi4py import MPI
from scalespan.adapters.interface import Quantity
from scalespan.adapters.lammps import LAMMPSAdapter, LAMMPSOptions
lines = ["pair_style lj/cut 8.5", "pair_coeff * * 0.01 3.4"]
atoms = Atoms("Ar2", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 3.8 + MPI.COMM_WORLD.rank]])
for launcher in ([], ["mpirun", "-n", "2"]):
    adapter = LAMMPSAdapter(LAMMPSOptions(elements=["Ar"], interaction=lines, launcher=launcher))
    found = MPI.COMM_WORLD.gather((atoms.positions[1, 2], adapter.compute(atoms, [Quantity.ENERGY]).energy))
    for distance, energy in found or ():
        print("distance", distance, energy)
    adapter.close()
"""


def test_ranks_of_a_program_ask_each_their_own_and_that_may_have_ranks() -> None:
    """An ``lmp`` that took itself for a rank of the program would end at once."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    # Open MPI's session folder is named by the process's number, which another container may have too.
    with tempfile.TemporaryDirectory(prefix="mpi") as folder:
        done = subprocess.run(
            ["mpirun", "-n", "2", sys.executable, "-c", PROGRAM],
            env=os.environ | {"TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("distance")]
    assert len(found) == 4
    for distance, energy in found:
        assert float(energy) == pytest.approx(0.04 * ((3.4 / float(distance)) ** 12 - (3.4 / float(distance)) ** 6))


def test_a_killed_lammps_is_one_sentence_and_the_next_question_starts_another() -> None:
    ours, atoms = adapter(), TestCluster().make_atoms()
    before = ours.compute(atoms, {Quantity.ENERGY}).energy
    (process,) = ours._processes.values()
    os.kill(process._program.pid, signal.SIGKILL)
    process._program.wait()
    with pytest.raises(EngineFailed, match="LAMMPS ended with status -9"):
        ours.compute(atoms, {Quantity.ENERGY})
    assert not process._folder.exists()
    assert ours.compute(atoms, {Quantity.ENERGY}).energy == before
    ours.close()


@pytest.mark.parametrize(
    ("interaction", "more", "error", "sentence"),
    [
        (("pair_style lj/kut 8.5",), {}, EngineFailed, "ERROR: Unrecognized pair style 'lj/kut'"),
        (("pair_style lj/cut 8.5", "pair_coeff 1 1 0.01 3.4"), {}, EngineFailed, "ERROR: All pair coeffs are not set"),
        (("pair_style eam/alloy", "pair_coeff * * no.eam Ar Kr"), {}, EngineFailed, "no.eam"),
        ((), {"files": ["no.eam"]}, OptionError, "the file no.eam does not exist"),
        ((), {"elements": ["Ar", "Kx"]}, OptionError, "elements: there is no element 'Kx'; did you mean"),
        ((), {"units": "lj"}, OptionError, "'units'"),
        ((), {"elements": ["Ar"]}, AtomsError, "lammps does not know the element number 36"),
        ((), {"launcher": ["no-such-mpirun"]}, EngineMissing, "LAMMPS cannot be started"),
    ],
)
def test_every_mistake_has_its_sentence(
    interaction: tuple[str, ...], more: dict[str, object], error: type[ScalespanError], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        adapter(*interaction, **more).compute(TestCluster().make_atoms(), {Quantity.ENERGY})
    assert sentence in str(caught.value)


def test_a_periodic_direction_without_a_vector_is_refused() -> None:
    with pytest.raises(AtomsError, match="no cell vector of its own"):
        adapter().compute(Atoms("Ar", cell=[5.0, 5.0, 0.0], pbc=True), {Quantity.ENERGY})


def test_without_lmp_the_hint_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineMissing, match="no program 'lmp' on the PATH; type: apt-get install lammps"):
        adapter()
    (entry,) = [each for each in ADAPTERS.listing() if each.name == "lammps"]
    assert entry.status == "missing"


def test_the_audit_shows_what_lammps_is_told() -> None:
    (table,) = adapter().audit(TestCluster().make_atoms())
    assert table.rows[0] == ("pair_style lj/smooth 7.0 8.5",)


def test_lammps_is_never_imported() -> None:
    code = "import sys, scalespan.adapters.lammps; assert 'lammps' not in sys.modules, 'GPL code was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)
