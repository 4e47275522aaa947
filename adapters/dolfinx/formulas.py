"""Formulas in text, of the place x, y, z and the time t, as UFL; `numeric`, of the interface, gives their values."""

from __future__ import annotations

from typing import Any

from ..interface import FUNCTIONS, EngineImport, evaluated, numeric

with EngineImport("dolfinx", install="conda install -c conda-forge fenics-dolfinx") as engine:
    import ufl

__all__ = ["numeric", "symbolic"]


def symbolic(text: str | float, place: Any, time: Any) -> Any:
    """Return a formula as an expression of UFL, of a spatial coordinate and a constant for the time."""
    names = {"xyz"[i]: place[i] for i in range(place.ufl_shape[0])} | {"t": time}
    names |= {name: getattr(ufl, name) for name in FUNCTIONS} | {"log": ufl.ln, "abs": abs, "where": ufl.conditional}
    return ufl.as_ufl(evaluated(text, names))
