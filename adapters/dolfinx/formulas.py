"""Formulas in text: of the place x, y, z and the time t, read by UFL for forms and by NumPy for values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..interface import Array, EngineImport, OptionError, nearest

with EngineImport("dolfinx", install="conda install -c conda-forge fenics-dolfinx") as engine:
    import ufl

_FUNCTIONS = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "sqrt", "pi")


def symbolic(text: str | float, place: Any, time: Any) -> Any:
    """Return a formula as an expression of UFL, of a spatial coordinate and a constant for the time."""
    names = {"xyz"[i]: place[i] for i in range(place.ufl_shape[0])} | {"t": time}
    names |= {name: getattr(ufl, name) for name in _FUNCTIONS} | {"log": ufl.ln, "abs": abs, "where": ufl.conditional}
    return ufl.as_ufl(_evaluated(text, names))


def numeric(text: str | float, points: Array, time: float) -> Array:
    """Return a formula's values (n,), or truth values, at points (3, n)."""
    names = dict(zip("xyz", points, strict=True)) | {"t": time}
    names |= {name: getattr(np, name) for name in _FUNCTIONS} | {"log": np.log, "abs": abs, "where": np.where}
    return np.broadcast_to(_evaluated(text, names), points.shape[1:])


def _evaluated(text: str | float, names: Mapping[str, object]) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return eval(compile(text, "formula", "eval"), {"__builtins__": {}}, dict(names))
    except NameError as error:
        raise OptionError(
            f"the formula '{text}' holds the unknown name '{error.name}'", todo=nearest(str(error.name), names)
        ) from error
    except Exception as error:  # a person's text may raise anything
        raise OptionError(f"the formula '{text}' cannot be read: {error}", todo='write it like "1 + x**2"') from error
