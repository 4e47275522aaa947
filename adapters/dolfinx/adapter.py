"""DOLFINx as an adapter. https://fenicsproject.org, tested with 0.9 (doi:10.5281/zenodo.10447666)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from ..interface import (
    Array,
    CaseError,
    EngineImport,
    FieldAdapter,
    Indices,
    Material,
    Mesh,
    Microstructure,
    NotOffered,
    OptionError,
    Port,
    Solid,
    State,
    Table,
    check_law,
    load_file,
    under,
)
from ..interface.units import convert, simplified
from .boxes import Boxes
from .cell import DolfinxCell
from .domain import Domain, compiled
from .elasticity import density_to_count, elasticity
from .frames import add_frame
from .heat import heat
from .law import Law
from .leapfrog import Leapfrog
from .options import DolfinxOptions, ElasticityOptions, OwnOptions
from .overlap import Counted, Extension
from .poisson import poisson
from .ports import Ports
from .probes import Probes
from .problem import Problem
from .realisations import Realisations
from .solid import DolfinxSolid
from .solve import Step
from .steepness import Steepness
from .versions import INSTALL

with EngineImport("dolfinx", install=INSTALL) as engine:
    import ufl
    from dolfinx import fem


class DolfinxAdapter(FieldAdapter):
    """Finite elements by DOLFINx: heat, solids, electrostatics, and any problem of one's own in UFL."""

    name = "dolfinx"
    Options = DolfinxOptions
    parts = ("law",)

    def __init__(self, options: DolfinxOptions, law: Material | None = None) -> None:
        engine.need()
        _check_law(options.elasticity, law)
        self._options, self._time, self._raw_known, self._closed = options, 0.0, False, False
        self.domain = Domain(options.mesh, options.degree)
        self._law = None if law is None else Law(law, self.domain, self._units)
        self.problem = self._problem_of(self.domain)
        self._ports = Ports(options.places, self.problem, self.domain)
        self._entering = self._ports.entering()
        self._step: Step | Leapfrog = (
            Step(self.problem, self._entering, options.solver)
            if self.problem.lumped is None
            else Leapfrog(self.problem, self._entering)
        )
        self._begun = self.problem.begin is None and self.problem.lumped is None
        self._loads = fem.Function(self.problem.unknown.function_space)
        self._probes: Probes | None = None
        self._boxes: Boxes | None = None
        self._realisations: Realisations | None = None
        self._point_loads: Array | None = None
        self._measured = self._forms_to_observe()
        self._steepness = Steepness(self.problem, self.domain)
        self.problem.refresh(False)

    @property
    def _units(self) -> tuple[str, str, str]:
        return self._options.mass, self._options.length, self._options.time

    @property
    def dimension(self) -> int:
        """The dimension of the mesh."""
        return self.domain.dimension

    @property
    def length_unit(self) -> str:
        """As the options say."""
        return self._options.length

    @property
    def time_unit(self) -> str:
        """As the options say."""
        return self._options.time

    @property
    def inputs(self) -> Mapping[str, Port]:
        """What the places take."""
        return self._ports.inputs

    @property
    def outputs(self) -> Mapping[str, Port]:
        """What the places give: fields, what leaves through a boundary, nodal reactions."""
        return self._ports.outputs

    @property
    def fields(self) -> Mapping[str, int]:
        """The unknown and the problem's other fields."""
        return self._ports.fields

    def points(self, place: str) -> Mesh:
        """Return the nodes of a place that this rank owns, and with connectivity those that its cells share."""
        return self._ports.nodes[place].mesh

    def _set_input(self, name: str, values: Array) -> None:
        self._ports.set(name, values)

    def _output(self, name: str) -> Array:
        return self._ports.get(name, self._step.raw if self._raw_known else None)

    def _evaluate(self, name: str, points: Array) -> Array:
        return self._probe(points).evaluate(self._ports.field(name))

    def _load(self, points: Array, values: Array) -> None:
        if values.shape[1] != self._ports.components:
            raise CaseError(f"a load has {values.shape[1]} components, and must have {self._ports.components}")
        self._point_loads = values.copy()
        self._loaded = self._probe(points)

    @property
    def longest_step(self) -> float:
        """The timestep of the options, or the law's longest if that is shorter."""
        return min(self._options.timestep or inf, inf if self._law is None else self._law.longest_step)

    def begin(self) -> None:
        """Find the acceleration that the first loads make."""
        if self._begun:
            return
        self.domain.time.value = self._time
        fixed = self._ports.fix()
        if isinstance(self._step, Leapfrog):
            self._step.fix(fixed)
            self._step.begin(self.nodal_loads())
        else:
            self._accelerate(fixed)
        self._begun = True

    def _accelerate(self, fixed: Indices) -> None:
        assert self.problem.begin is not None
        unknown, residual = self.problem.begin
        first = replace(self.problem, unknown=unknown, residual=residual, linear=True, tangent=None, exactly=None)
        step = Step(first, self._entering, {})
        step.fix(fixed)
        unknown.x.array[:] = 0.0
        step.solve(self.nodal_loads(), 0.0)
        step.close()

    def advance(self, dt: float) -> None:
        """Solve one step of length ``dt``."""
        self.begin()
        self.domain.dt.value, self.domain.time.value = dt, self._time + dt
        self._step.fix(self._ports.fix())
        self._step.solve(self.nodal_loads(), dt)
        self._steepness.check()
        self.problem.after()
        if self._law is not None:
            self._law.advance(dt)
        self._time += dt
        self._raw_known = True

    def save(self) -> State:
        """Return the time, the unknown, its history, the last residual, and what partners gave."""
        state: State = {"time": np.array([self._time, self._raw_known, self._begun, self._step.last])}
        state |= {key: function.x.array.copy() for key, function in self._functions().items()}
        if isinstance(self._step, Leapfrog):
            state["work"] = np.array(self._step.work)
        if self._law is not None:
            state |= {f"law/{key}": value for key, value in self._law.material.save().items()}
        if self._point_loads is not None:
            state |= {"load/points": self._loaded.points.copy(), "load/values": self._point_loads.copy()}
        return state

    def restore(self, state: State) -> None:
        """Return to a saved state."""
        self._time = float(state["time"][0])
        self._raw_known, self._begun = (bool(each) for each in state["time"][1:3])
        self._step.last = float(state["time"][3])
        if isinstance(self._step, Leapfrog):
            self._step.work = float(state["work"])
        self.domain.time.value = self._time
        if self._law is not None:
            self._law.restore(under("law", state))
        for key, function in self._functions().items():
            function.x.array[:] = state[key]
        load = under("load", state)
        self._point_loads = None
        if load:
            self._load(load["points"], load["values"])

    def observe(self) -> Mapping[str, float]:
        """Return the energies of a solid, and the distance to the exact solution where the options give one.

        Energies are in the options' units, and in eV where lengths are in Å: beside atoms one unit serves both.
        """
        self.domain.time.value = self._time
        found = {key: factor * self._value(form) for key, (form, factor) in self._measured.items()}
        if "error" in found:
            found["error/1"] = sqrt(found.pop("error") / found.pop("size"))
        return found if self._law is None else found | self._law.observe()

    def frame(self, folder: Path, time: float) -> None:
        """Add the unknown to ``fields.pvd``, for ParaView."""
        self.problem.unknown.name = self.problem.name
        add_frame(self.problem.unknown, folder, time)

    def solid(self) -> Solid:
        """Return the solid as an energy of its nodes."""
        solid = self._options.elasticity
        if solid is None or self.domain.comm.size > 1:
            raise NotOffered(
                "only a solid on one rank is an energy of its nodes", todo="take elasticity, and ranks = 1"
            )
        if solid.material == "j2":
            raise NotOffered("a plastic solid has a history, and no energy of its nodes", todo="take another material")
        law = None if self._law is None else Law(self._law.material, self.domain, self._units)
        return DolfinxSolid(solid, self.domain, law, self._units)

    def microstructure(self) -> Microstructure:
        """Return the problem without its boundary values; on several ranks, each has a whole one of its own."""
        if self._law is not None and self._law.dissipates:
            raise NotOffered(
                f"a cell answers for many points, and its law '{self._law.material.name}' keeps the history of one",
                todo='take phases of material = "j2" in the cell itself',
            )
        if self.domain.comm.size == 1:
            return DolfinxCell(self.problem, self.domain, self._flux_unit)
        if self._law is not None:
            raise NotOffered("a cell with a law is on one rank", todo="take ranks = 1, or phases of DOLFINx's own")
        alone = Domain(self._options.mesh, self._options.degree, alone=True)
        return DolfinxCell(self._problem_of(alone), alone, self._flux_unit)

    def microstructure_of(self, low: Array, high: Array) -> Microstructure:
        """Return the cell of another box, by the same formulas; those of one shape share a mesh."""
        solid = self._options.elasticity
        if self._law is not None or (solid is not None and solid.overlap is not None):
            raise NotOffered("a continuum with a law or beside atoms is no microstructure of other boxes")
        if self._boxes is None:
            self._boxes = Boxes(self._options, self._problem_of, self._flux_unit)
        return self._boxes.over(low, high)

    def realisation(self, size: int, seed: int) -> Microstructure:
        """Return a cell of the random medium that the mesh is of."""
        if self._law is not None:
            raise NotOffered("a continuum with a law has no realisations", todo="take phases of DOLFINx's own")
        if self._realisations is None:
            self._realisations = Realisations(self._options, self._problem_of, self._flux_unit)
        return self._realisations.cell(size, seed)

    @property
    def _flux_unit(self) -> str:
        mass, length, time = (f"({each})" for each in self._units)
        force = f"{mass}*{length}/{time}**2"
        return "1" if self._options.heat is not None else simplified(f"{force}/{length}**{self.dimension - 1}")

    def audit(self) -> list[Table]:
        """Return the leapfrog's step, who carries the mass beside atoms, and what the law shows."""
        found = [self.problem.slaved.audit()] if self.problem.slaved is not None else []
        if isinstance(self._step, Leapfrog) and self.longest_step < inf:
            self._step.fix(self._ports.fix())
            found.append(self._step.audit(self.longest_step))
        if self.domain.phases is not None:
            parts = tuple((str(i), f"{each:.6g}") for i, each in enumerate(self.domain.fractions()))
            found.append(Table("The phases of the mesh", ("phase", "fraction"), parts))
        return found + ([] if self._law is None else self._law.material.audit())

    def close(self) -> None:
        """Give PETSc's objects back, and what the law holds."""
        if not self._closed:
            self._step.close()
            if self._law is not None:
                self._law.material.close()
        self._closed = True

    def nodal_loads(self) -> Array:
        """Return the loads of partners and points on this rank's degrees of freedom, complete on the owned ones."""
        self._loads.x.array[:] = 0.0
        self._ports.loads(self._loads)
        if self._point_loads is not None:
            self._loaded.load(self._point_loads, self._loads)
        loads: Array = self._loads.x.array.copy()
        return loads

    def _probe(self, points: Array) -> Probes:
        """Return the points found in the mesh; the last ones are remembered."""
        same = self._probes is not None and np.array_equal(self._probes.points, points)
        if not self.domain.agreed(same):
            self._probes = Probes(points, self.domain)
        assert self._probes is not None
        return self._probes

    def _functions(self) -> dict[str, Any]:
        found = {"unknown": self.problem.unknown, "residual": self._step.raw}
        found |= {f"history/{key}": function for key, function in self.problem.history.items()}
        if self._law is not None:  # for who looks at them before the law is asked again
            found |= {"law energy": self._law.energy, "law stress": self._law.mean}
        return found | {f"given/{key}": function for key, function in self._ports.given.items()}

    def _forms_to_observe(self) -> dict[str, tuple[Any, float]]:
        """Return what to measure, named with its unit, and the factor that brings it there."""
        measures, step = dict(self.problem.measures), self._step
        if isinstance(step, Leapfrog):
            measures |= {"kinetic": step.kinetic, "work": lambda: step.work}
        unit, factor = self._energy_shown()
        forms = {
            key if "/" in key else f"{key}/{unit}": (form, 1.0 if "/" in key else factor)
            for key, form in measures.items()
        }
        if self._options.exact is not None:
            u = self.problem.unknown
            exact = self.domain.formula(self._options.exact, self._ports.components)
            forms["error"] = ufl.inner(u - exact, u - exact) * self.domain.dx, 1.0
            forms["size"] = ufl.inner(exact, exact) * self.domain.dx, 1.0
        return {
            key: (compiled(form) if isinstance(form, ufl.Form) else form, factor)
            for key, (form, factor) in forms.items()
        }

    def _energy_shown(self) -> tuple[str, float]:
        """Return the unit in which energies are shown, and what one of the options' system is in it."""
        energy = f"{self._options.mass}*{self._options.length}**2/{self._options.time}**2"
        return ("eV", convert(1.0, energy, "eV")) if self._options.length == "angstrom" else (f"({energy})", 1.0)

    def _value(self, measure: Any) -> float:
        return self.domain.integral(measure) if isinstance(measure, fem.Form) else float(measure())

    def _problem_of(self, domain: Domain) -> Problem:
        options = self._options
        if options.heat is not None:
            return heat(options.heat, domain)
        if options.elasticity is not None:
            return elasticity(options.elasticity, domain, self._law, self._extension(options.elasticity))
        if options.poisson is not None:
            return poisson(options.poisson, domain)
        assert options.own is not None
        return _own(options.own, domain)

    def _extension(self, solid: ElasticityOptions) -> Extension | None:
        if solid.overlap is None:
            return None
        check_law(None if self._law is None else self._law.material)
        units = self._options.mass, self._options.length
        counted = Counted(solid.overlap, self.domain, units, density_to_count(solid, self._law))
        return Extension(self.domain, counted, solid.overlap.slaved_below, solid.fixed)


def _check_law(solid: ElasticityOptions | None, law: Material | None) -> None:
    wanted = solid is not None and solid.material == "law"
    if wanted and not isinstance(law, Material):
        raise CaseError('material = "law" needs a law', todo='add the table law, with use = "cauchy_born"')
    if law is not None and not wanted:
        raise CaseError("the table law is not used", todo='say material = "law" in elasticity, or take it out')


def _own(options: OwnOptions, domain: Domain) -> Problem:
    function = vars(load_file(options.file)).get(options.function)
    if not callable(function):
        raise OptionError(f"{options.file} has no function '{options.function}'")
    problem = function(domain)
    if not isinstance(problem, Problem):
        raise CaseError(f"'{options.function}' of {options.file} returned {type(problem).__name__}, not a Problem")
    return problem
