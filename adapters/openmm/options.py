"""The options of the OpenMM adapter: input files, how the system is built, where it runs, restraints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from ..interface import CaseFile, Options
from ..interface.units import Angle, Length, Mass, Spring, Torsion

NonbondedMethod = Literal["no-cutoff", "cutoff-nonperiodic", "cutoff-periodic", "ewald", "pme", "lj-pme"]


class PositionRestraint(Options):
    """½ k |r − r₀|² on each atom."""

    kind: Literal["position"]
    name: str | None = None
    atoms: list[int] = Field(min_length=1)
    centres: list[tuple[Length, Length, Length]] | None = None  # None: where the input has them
    force_constant: Spring


class DistanceRestraint(Options):
    """½ k (r − r₀)², r the distance of two atoms (minimum image in a box)."""

    kind: Literal["distance"]
    name: str | None = None
    atoms: tuple[int, int]
    centre: Length
    force_constant: Spring


class AngleRestraint(Options):
    """½ k (θ − θ₀)² at the middle one of three atoms."""

    kind: Literal["angle"]
    name: str | None = None
    atoms: tuple[int, int, int]
    centre: Angle
    force_constant: Torsion


class DihedralRestraint(Options):
    """½ k δ², δ the difference of the dihedral and its centre in (−π, π]."""

    kind: Literal["dihedral"]
    name: str | None = None
    atoms: tuple[int, int, int, int]
    centre: Angle
    force_constant: Torsion


Restraint = Annotated[
    PositionRestraint | DistanceRestraint | AngleRestraint | DihedralRestraint, Field(discriminator="kind")
]


class OpenMMSettings(Options):
    """What does not depend on where the system comes from."""

    platform: str | None = None  # None: the fastest that works here and has the wanted precision
    precision: Literal["single", "mixed", "double"] | None = None  # the CPU platform is single, Reference double
    threads: int | None = Field(default=None, gt=0)  # of the CPU platform
    split_nonbonded: bool = False  # Coulomb and dispersion as two components; costs one more nonbonded sum
    restraints: list[Restraint] = Field(default_factory=list, max_length=16)  # harmonic, each a component of its own


def _beside(name: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get("folder")
    path = Path(name) if folder is None else Path(folder) / name
    return str(path) if path.is_file() else name


# A file of the case, or else the name of one that OpenMM ships: "tip3p.xml".
ForceFieldFile = Annotated[str, AfterValidator(_beside)]

# The key that names a route, what it needs beside it, what it may have.
_ROUTES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "force_field": (("pdb",), ("bonds", "extra_particles")),
    "prmtop": (("inpcrd",), ()),
    "psf": (("parameters",), ("crd", "pdb")),
    "top": (("gro",), ("include", "define")),
    "system": (("pdb",), ("bonds",)),
}
_FILES = {"force_field", "prmtop", "psf", "top", "system", "pdb", "inpcrd", "crd", "parameters", "gro"}
_RECIPE = (
    "nonbonded",
    "cutoff",
    "switch_distance",
    "dispersion_correction",
    "ewald_tolerance",
    "constraints",
    "rigid_water",
    "hydrogen_mass",
)


class OpenMMOptions(OpenMMSettings):
    """One of five kinds of input, and how to make a system of it.

    Water is flexible unless ``rigid_water`` says otherwise, and nothing is constrained: the
    energy is then all there is, and OpenMM's integrators and ASE's follow one trajectory. With
    constraints the terms they hold still are kept, so an energy never changes with them.
    """

    pdb: CaseFile | None = None  # .pdb, or .cif
    force_field: list[ForceFieldFile] | None = Field(default=None, min_length=1)  # OpenMM's own names, or files
    prmtop: CaseFile | None = None  # Amber
    inpcrd: CaseFile | None = None  # Amber's positions and box
    psf: CaseFile | None = None  # CHARMM
    crd: CaseFile | None = None  # CHARMM's positions
    parameters: list[CaseFile] | None = Field(default=None, min_length=1)  # rtf, par, prm, str
    top: CaseFile | None = None  # GROMACS
    gro: CaseFile | None = None  # GROMACS' positions and box
    include: CaseFile | None = None  # the folder of GROMACS' own force fields
    define: dict[str, str] | None = None  # GROMACS' -D macros
    system: CaseFile | None = None  # XML of a serialised System

    cell: tuple[Length, Length, Length] | None = None  # edges, in place of the input's
    cell_angles: tuple[Angle, Angle, Angle] | None = None  # between b c, a c, a b; None: right angles
    bonds: list[tuple[int, int]] = Field(default_factory=list)  # beside those of the input; atoms from 0
    extra_particles: bool = False  # add the sites that the force field has and the PDB has not

    nonbonded: NonbondedMethod | None = None  # None: pme in a box, else no-cutoff
    cutoff: Length = 10.0  # of the direct sums
    switch_distance: Length | None = None  # None: no switching
    dispersion_correction: bool | None = None  # None: as the input's format has it
    ewald_tolerance: float = Field(default=5e-4, gt=0.0, lt=0.5)  # 1e-5 for a steady energy in NVE
    constraints: Literal["none", "h-bonds", "all-bonds", "h-angles"] = "none"  # lengths that the motion holds
    rigid_water: bool = False  # hold the three distances of each water
    hydrogen_mass: Mass | None = None  # moved from the heavy neighbour; None: as the force field has it

    @property
    def route(self) -> str:
        """The key that names the kind of input."""
        return next(key for key in _ROUTES if getattr(self, key) is not None)

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        routes = [key for key in _ROUTES if key in given]
        if len(routes) != 1:
            ways = "pdb + force_field, prmtop + inpcrd, psf + parameters + crd or pdb, top + gro, system + pdb"
            found = "none" if not routes else " and ".join(routes)
            raise ValueError(f"exactly one kind of input is needed ({ways}), and there is {found}")
        needs, may = _ROUTES[routes[0]]
        for key in needs:
            if key not in given:
                raise ValueError(f"'{routes[0]}' needs the key '{key}'")
        if routes[0] == "psf" and len(given & {"crd", "pdb"}) != 1:
            raise ValueError("'psf' needs the positions of one of 'crd' and 'pdb'")
        special = _FILES | {"include", "define", "bonds", "extra_particles"}
        for key in sorted((given & special) - {routes[0], *needs, *may}):
            raise ValueError(f"'{routes[0]}' has no use for the key '{key}'")
        return self

    @model_validator(mode="after")
    def _recipe(self) -> Self:
        given = self.model_fields_set
        if self.system is not None and (idle := [key for key in _RECIPE if key in given]):
            raise ValueError(f"a serialised system has no use for the key '{idle[0]}'")
        if self.nonbonded == "no-cutoff" and (idle := [key for key in ("cutoff", "switch_distance") if key in given]):
            raise ValueError(f"nonbonded 'no-cutoff' has no use for the key '{idle[0]}'")
        if not self.cutoff > 0.0:
            raise ValueError("cutoff must be above zero")
        if self.switch_distance is not None and not 0.0 < self.switch_distance < self.cutoff:
            raise ValueError("switch_distance must lie between zero and cutoff")
        if self.cell_angles is not None and self.cell is None:
            raise ValueError("cell_angles needs the key 'cell'")
        return self
