"""PySCF: Hartree-Fock, density functionals, MP2 and CCSD of molecules in external charges.

Tested with PySCF 2.14; https://pyscf.org, Q. Sun et al., J. Chem. Phys. 153 (2020) 024109,
doi:10.1063/5.0006074. PySCF computes in hartree and bohr; the conversion is here.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

import numpy as np
from ase import Atoms

from ..interface import (
    Array,
    AtomsError,
    EngineFailed,
    EngineImport,
    ExternalCharges,
    NotOffered,
    ParticleAdapter,
    Quantity,
    Results,
    ScalespanError,
    State,
    Table,
)
from ..interface.units import BOHR, HARTREE
from .options import CORRELATED, PySCFOptions

with EngineImport("pyscf", install="pip install 'scalespan[pyscf]'") as engine:
    import pyscf

    from . import gradient, method
    from .charges import ChargeField
    from .guess import History
    from .molecule import check, closest, molecule, moved
    from .solve import Attempts

__all__ = ["PySCFAdapter", "PySCFOptions"]

_log = logging.getLogger(__name__)
_ON_CHARGES = {Quantity.CHARGE_FORCES, Quantity.CHARGE_POTENTIAL}
_CLOSE = 1.0  # Å; a point charge nearer than this to a nucleus pulls density out of the molecule
_COINCIDENT = 0.01  # Å


class PySCFAdapter(ParticleAdapter):
    """Quantum chemistry of a molecule by PySCF, with the field of external charges.

    Every quantity is the derivative of one energy: forces on atoms and on charges, and the
    potential at the charges, come from the total density, for MP2 and CCSD from the relaxed
    one. The last densities are remembered as the guess of the next, see `guess.py`.
    """

    name = "pyscf"
    Options = PySCFOptions
    offers = frozenset(
        {
            Quantity.ENERGY,
            Quantity.FORCES,
            Quantity.CHARGES,
            Quantity.DIPOLE,
            Quantity.CHARGE_FORCES,
            Quantity.CHARGE_POTENTIAL,
        }
    )

    def __init__(self, options: PySCFOptions) -> None:
        engine.need()
        method.check_functional(options)
        self.options = options
        self.total_charge = options.charge
        self._history = History()
        self._mf: Any = None
        self._warned: set[int] = set()
        self._told = False

    def _compute(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        self._check_charges(atoms, wanted, charges)
        threads = self.options.threads
        try:
            with nullcontext() if threads is None else pyscf.lib.with_omp_threads(threads):
                return self._answer(atoms, wanted, charges)
        except (ScalespanError, KeyboardInterrupt, MemoryError):
            raise
        except Exception as error:  # PySCF raises errors of many unrelated classes
            raise EngineFailed(f"PySCF failed: {type(error).__name__}: {error}", where=self.name) from error

    def audit(self, atoms: Atoms) -> list[Table]:
        """Return the size of the problem; raise where charge, spin or basis do not fit ``atoms``."""
        check(atoms, self.options)
        mol = molecule(atoms, self.options)
        rows = (
            ("method", " ".join(filter(None, (self.options.method, self.options.functional)))),
            ("electrons", f"{mol.nelectron}, of them {mol.spin} unpaired"),
            ("basis functions", str(mol.nao)),
        )
        return [Table("PySCF", ("what", "value"), rows)]

    def _answer(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> Results:
        mf = self._prepared(atoms)
        field = None if charges is None else ChargeField(mf.mol, charges, self.options.far_field)
        self._converge(mf, atoms, field, charges)
        post = gradient.correlated(mf, self.options) if self.options.method in CORRELATED else None
        energy = (mf if post is None else post).e_tot + (0.0 if field is None else field.nuclear_energy())
        found: dict[str, Any] = {"energy": float(energy) * HARTREE}
        found["components"] = self._components(mf, post, found["energy"])
        if wanted <= {Quantity.ENERGY}:
            return Results(**found)
        slope, density = self._derivative(mf, post, wanted)
        if field is not None and field.far is not None and not self._told:
            self._told = True
            _log.info(
                "far charges act by multipoles, which leaves out less than %.1e eV",
                field.far.estimate(density) * HARTREE,
            )
        if field is not None and wanted & {Quantity.FORCES, Quantity.CHARGE_FORCES}:
            on_atoms, on_charges = field.gradient(density)
            slope = slope + on_atoms
            found["charge_forces"] = -on_charges * HARTREE / BOHR
        if Quantity.FORCES in wanted:
            found["forces"] = -slope * HARTREE / BOHR
        if field is not None and Quantity.CHARGE_POTENTIAL in wanted:
            found["charge_potential"] = field.potential(density) * HARTREE
        if Quantity.CHARGES in wanted:
            found["charges"] = _populations(mf, density)
        if Quantity.DIPOLE in wanted:
            found["dipole"] = _dipole(mf.mol, density)
        return Results(**found)

    def _prepared(self, atoms: Atoms) -> Any:
        """Return the method at the new geometry: built once, reset afterwards."""
        check(atoms, self.options)
        if self._mf is None or self._mf.mol.elements != list(atoms.symbols):
            self._mf = method.build(molecule(atoms, self.options), self.options)
            return self._mf
        mf = self._mf
        mf.__dict__.pop("get_hcore", None)
        mf.reset(moved(mf.mol, atoms.positions))
        mf.mo_coeff = mf.mo_occ = mf.mo_energy = None
        return mf

    def _converge(self, mf: Any, atoms: Atoms, field: ChargeField | None, charges: ExternalCharges | None) -> None:
        overlap = mf.get_ovlp()
        if field is not None:
            core = mf.get_hcore() + field.hcore()
            mf.get_hcore = lambda mol=None: core
        remembers = self.options.guess == "extrapolated"
        guess = self._history.guess(atoms, overlap) if remembers else None
        Attempts(mf).run(guess, lambda: _contact(atoms, charges))
        if remembers:
            self._history.record(atoms, overlap, mf)

    def _derivative(self, mf: Any, post: Any, wanted: frozenset[Quantity]) -> tuple[Array, Array]:
        """Return dE/dR without the charges' own part (zeros where no forces are wanted), and dE/dh."""
        if post is not None:
            return gradient.relaxed_gradient(post)
        density = gradient.total_density(mf)
        if Quantity.FORCES not in wanted:
            return np.zeros((mf.mol.natm, 3)), density
        return gradient.scf_gradient(mf, self.options.grid_response), density

    def _components(self, mf: Any, post: Any, energy: float) -> dict[str, float]:
        parts = {"dispersion": mf.scf_summary.get("dispersion", 0.0) * HARTREE}
        parts["correlation"] = 0.0 if post is None else float(post.e_corr) * HARTREE
        parts = {name: float(value) for name, value in parts.items() if value}
        return {self._mean_field: energy - sum(parts.values())} | parts

    @property
    def _mean_field(self) -> str:
        return self.options.functional or "Hartree-Fock"

    def _check_charges(self, atoms: Atoms, wanted: frozenset[Quantity], charges: ExternalCharges | None) -> None:
        if charges is None:
            if asked := sorted(q.value for q in wanted & _ON_CHARGES):
                raise NotOffered(f"{asked[0]} without external charges", where=self.name, todo="give charges")
            return
        if self.options.solvent is not None:
            raise NotOffered(
                "a continuum with external charges: the cavity encloses the atoms alone, so it would screen charges"
                " that stand inside the solvent it stands for",
                where=self.name,
                todo="remove the solvent, or use mechanical embedding",
            )
        points = np.arange(len(charges)) if charges.radii is None else np.flatnonzero(charges.radii == 0.0)
        points = points[charges.charges[points] != 0.0]
        if len(points) == 0:
            return
        distance, atom, k = closest(atoms.positions, charges.positions[points])
        where = f"external charge {points[k]} and atom {atom} ({atoms.symbols[atom]})"
        if distance < _COINCIDENT:
            raise AtomsError(
                f"{where} are {distance:.2g} Å apart", where=self.name, todo="move the charge, or give it a radius"
            )
        if distance < _CLOSE and int(points[k]) not in self._warned:
            self._warned.add(int(points[k]))
            _log.warning("%s are %.2f Å apart: a point so near overpolarises; a radius would help", where, distance)

    def _save_engine(self) -> State:
        return self._history.save()

    def _restore_engine(self, state: State) -> None:
        self._history.restore(state)

    def close(self) -> None:
        """Let go of the molecule and the history."""
        self._mf = None
        self._history = History()


def _populations(mf: Any, density: Array) -> Array:
    """Return Mulliken charges (n,) e in meta-Löwdin orbitals.

    Q. Sun, G. K.-L. Chan, J. Chem. Theory Comput. 10 (2014) 3784, doi:10.1021/ct500512f.
    """
    charges: Array = pyscf.scf.hf.mulliken_meta(mf.mol, density, verbose=0, s=mf.get_ovlp())[1]
    return charges


def _dipole(mol: Any, density: Array) -> Array:
    """Return the dipole about the origin, (3,) e·Å."""
    nuclei = mol.atom_charges() @ mol.atom_coords()
    with mol.with_common_orig((0.0, 0.0, 0.0)):
        electrons = np.einsum("xpq,pq->x", mol.intor_symmetric("int1e_r", comp=3), density)
    dipole: Array = (nuclei - electrons) * BOHR
    return dipole


def _contact(atoms: Atoms, charges: ExternalCharges | None) -> str:
    """Say which particles are closest."""
    said = []
    if len(atoms) > 1:
        distance = atoms.get_all_distances()
        distance[np.diag_indices(len(atoms))] = np.inf
        i, j = (int(k) for k in np.unravel_index(np.argmin(distance), distance.shape))
        said.append(f"the closest atoms are {i} and {j} at {distance.min():.3f} Å")
    if charges is not None and len(charges):
        distance_k, atom, k = closest(atoms.positions, charges.positions)
        said.append(f"the closest charge is {k} at {distance_k:.3f} Å of atom {atom}")
    return ", ".join(said) or "it is a single atom"
