"""Formulas in text, such as "1 + x**2": of names that the caller gives, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .data import Array
from .errors import OptionError, nearest

FUNCTIONS = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "sqrt", "pi")


def evaluated(text: str | float, names: Mapping[str, object]) -> Any:
    """Return what a formula gives with these names; a number is itself.

    Raises:
        OptionError: an unknown name, or what is no formula.
    """
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


def numeric(text: str | float, points: Array, time: float) -> Array:
    """Return a formula's values (n,), or truth values, at points (d, n): of x, y, z as far as they go, and t."""
    names: dict[str, object] = dict(zip("xyz", points, strict=False)) | {"t": time}
    names |= {name: getattr(np, name) for name in FUNCTIONS} | {"log": np.log, "abs": abs, "where": np.where}
    return np.broadcast_to(evaluated(text, names), points.shape[1:])
