"""PySCF: the guess along a path, the way back to it, and the ladder when the SCF does not converge."""

import logging
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule

from scalespan.adapters.interface import ExternalCharges, Motion, NotConverged, Quantity

pytest.importorskip("pyscf")

from scalespan.adapters.pyscf import PySCFAdapter, PySCFOptions

ENERGY = {Quantity.ENERGY}


def adapter(**options: Any) -> PySCFAdapter:
    return PySCFAdapter(PySCFOptions.read({"method": "rhf", "basis": "sto-3g"} | options))


def methanol() -> Atoms:
    """Methanol with the momenta of 300 K."""
    atoms = molecule("CH3OH")
    thermal = np.sqrt(units.kB * 300.0 * atoms.get_masses())[:, None]
    atoms.set_momenta(np.random.default_rng(1).normal(size=(6, 3)) * thermal)
    return atoms


def cycles(mine: PySCFAdapter, steps: int) -> tuple[list[int], list[float]]:
    """Return the SCF cycles and the energy (eV) of each step of 0.5 fs."""
    mine.start(methanol(), Motion.read({"timestep": "0.5 fs"}))
    counted, energies = [], []
    for _ in range(steps):
        mine.advance(0.5 * units.fs)
        energies.append(mine.observe().potential)
        counted.append(int(mine._mf.cycles))
    return counted, energies


@pytest.mark.parametrize("more", [{}, {"method": "uhf", "charge": 1, "spin": 1}], ids=["closed", "open"])
def test_a_path_takes_fewer_cycles_to_the_same_energy(more: dict[str, Any]) -> None:
    cold, energies = cycles(adapter(guess="cold", **more), 10)
    warm, same = cycles(adapter(**more), 10)
    assert np.mean(warm[6:]) < 0.6 * np.mean(cold[6:]), f"{warm} against {cold}"
    assert np.abs(np.array(energies) - same).max() < 1e-6


def test_open_shells_in_one_set_of_orbitals_have_a_guess_too() -> None:
    warm, _ = cycles(adapter(method="rohf", charge=1, spin=1), 6)
    assert warm[-1] < warm[0]


def test_other_molecules_and_far_jumps_start_cold() -> None:
    """What came before does not change an answer, bit for bit, where it says nothing of it."""
    fresh = adapter().compute(molecule("H2O"), ENERGY).energy
    mine = adapter()
    mine.compute(molecule("CH3OH"), ENERGY)
    assert mine.compute(molecule("H2O"), ENERGY).energy == fresh
    far = molecule("H2O")
    far.positions[:, 0] += 3.0
    mine.compute(far, ENERGY)
    assert mine.compute(molecule("H2O"), ENERGY).energy == fresh


def test_unrelated_points_do_not_spoil_a_path() -> None:
    """Another geometry in between costs cycles, and nothing else."""
    mine, plain = adapter(), adapter()
    path = [methanol() for _ in range(8)]
    for i, atoms in enumerate(path):
        atoms.positions[:, 0] += 0.01 * i * np.arange(6)
    stretched = methanol()
    stretched.positions *= 1.1
    for atoms in path:
        expected = plain.compute(atoms, ENERGY).energy
        mine.compute(stretched, ENERGY)
        assert mine.compute(atoms, ENERGY).energy == pytest.approx(expected, abs=1e-7)


def test_a_saved_history_goes_on_bit_for_bit() -> None:
    """Also where the last point is asked for again, and in another adapter."""
    path = [methanol() for _ in range(12)]
    for i, atoms in enumerate(path):
        atoms.positions[:, 0] += 0.01 * np.sin(0.3 * i) * np.arange(6)
    wanted = {Quantity.ENERGY, Quantity.FORCES}
    first = adapter()
    for atoms in path[:9]:
        first.compute(atoms, wanted)
    state = {key: value.copy() for key, value in first._save_engine().items()}
    expected = [first.compute(atoms, wanted) for atoms in path[8:]]
    second = adapter()
    second._restore_engine(state)
    for atoms, before in zip(path[8:], expected, strict=True):
        found = second.compute(atoms, wanted)
        assert found.energy == before.energy and np.array_equal(
            found.need(Quantity.FORCES), before.need(Quantity.FORCES)
        )


def test_the_ladder_ends_in_a_sentence() -> None:
    """The error names what was tried, the last change of energy, and the closest contacts."""
    charges = ExternalCharges(np.array([[0.0, 0.0, 3.0]]), np.array([0.5]))
    with pytest.raises(NotConverged) as raised:
        adapter(max_cycles=1).compute(molecule("H2O"), ENERGY, charges)
    said = str(raised.value)
    for part in (
        "a cold start, level shift and damping, a second-order solver",
        "hartree",
        "the closest atoms are",
        "Å",
    ):
        assert part in said
    assert "the closest charge is 0" in said and raised.value.status == 4


def test_the_ladder_is_climbed_no_further_than_needed(caplog: pytest.LogCaptureFixture) -> None:
    """Four cycles are too few for a cold start; a later attempt goes on from there, and the log says which."""
    expected = adapter().compute(molecule("H2O"), ENERGY).energy
    with caplog.at_level(logging.WARNING):
        found = adapter(max_cycles=5).compute(molecule("H2O"), ENERGY).energy
    assert found == pytest.approx(expected, abs=1e-7)
    assert "after a cold start" in caplog.text


def test_a_bad_guess_falls_back_to_a_cold_start(caplog: pytest.LogCaptureFixture) -> None:
    """A history that leads nowhere is tried first, and given up."""
    mine = adapter(basis="6-31g", max_cycles=9)
    atoms = molecule("H2O")
    mine.compute(atoms, ENERGY)
    state = mine._save_engine()
    nonsense = np.random.default_rng(0).normal(size=state["0/orbitals/0"].shape)
    mine._restore_engine(state | {"0/orbitals/0": nonsense})
    atoms.positions[0, 0] += 0.01
    with caplog.at_level(logging.WARNING):
        found = mine.compute(atoms, ENERGY).energy
    assert found == pytest.approx(adapter(basis="6-31g").compute(atoms, ENERGY).energy, abs=1e-7)
    assert "after the extrapolated guess" in caplog.text


def test_threads_and_log(tmp_path: Any) -> None:
    log = tmp_path / "pyscf.log"
    found = adapter(threads=1, log=str(log)).compute(molecule("H2O"), ENERGY)
    assert found.energy == pytest.approx(adapter().compute(molecule("H2O"), ENERGY).energy, abs=1e-8)
    assert "converged SCF energy" in log.read_text()


@pytest.mark.parametrize(("basis", "functional"), [("def2-svp", "pbe"), ("6-31g*", "b3lyp")])
def test_density_fitting_takes_the_auxiliary_basis_that_pyscf_would(basis: str, functional: str) -> None:
    from pyscf import dft, gto

    from scalespan.adapters.interface.units import BOHR, HARTREE

    atoms = molecule("H2CO")
    mine = adapter(method="rks", functional=functional, basis=basis, density_fitting=True)
    body = list(zip(atoms.symbols, atoms.positions / BOHR, strict=True))
    bare = dft.RKS(gto.M(atom=body, unit="Bohr", basis=basis, verbose=0), xc=functional).density_fit().run()
    assert mine.compute(atoms, ENERGY).energy == pytest.approx(bare.e_tot * HARTREE, abs=1e-7)
