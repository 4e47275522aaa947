"""Accelerations of the embedded coupling on fixed points x = G(x) that are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scalespan.bridges.run.embedded.acceleration import Coupled, accelerate, dependent
from scalespan.bridges.run.embedded.waveform import Waveform
from scalespan.bridges.run.precice_config import Acceleration, parse
from scalespan.bridges.run.precice_config.read import _acceleration

KEY = ("Load", "Mesh")
DATA = "<data name='Load' mesh='Mesh'/>"


def options(kind: str, inside: str) -> Acceleration:
    return _acceleration(parse(f"<acceleration:{kind}>{inside}</acceleration:{kind}>".encode(), "test.xml"))


def iterate(method, function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the first ``count`` iterates x of one window, the first that is given included."""
    before = Waveform(1, 0.0, x)
    found = [x]
    while len(found) < count:
        now = Waveform(1, 0.0, x)
        now.add(1.0, function(found[-1]))
        field = Coupled(now, before)
        method.improve({KEY: field})
        before = field.now
        found.append(field.now.last)
    return found


def linear(size: int, seed: int = 0) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Return x → A x + b, which does not contract, and its fixed point."""
    rng = np.random.default_rng(seed)
    matrix, source = 2.0 * rng.standard_normal((size, size)), rng.standard_normal((size, 1))
    return lambda x: matrix @ x + source, np.linalg.solve(np.eye(size) - matrix, source)


@pytest.mark.parametrize("name", ["QR1", "QR1-absolute", "QR2", "QR3"])
def test_quasi_newton_solves_n_linear_equations_in_n_plus_one_iterations(name: str) -> None:
    # A relaxed step, and one more with each column, until n of them are the Jacobian: Walker, Ni 2011,
    # doi:10.1137/10078356X, for the equivalent Anderson iteration.
    size = 6
    function, solution = linear(size)
    method = accelerate(
        options("IQN-ILS", f"<initial-relaxation value='0.5'/>{DATA}<filter type='{name}' limit='1e-12'/>")
    )
    iterates = iterate(method, function, np.zeros((size, 1)), size + 2)
    assert iterates[-1] == pytest.approx(solution, abs=1e-8)
    assert np.abs(iterates[-2] - solution).max() > 1e-3


def test_the_next_window_reuses_the_columns() -> None:
    size = 5
    function, _ = linear(size)
    method = accelerate(options("IQN-ILS", f"{DATA}<filter type='QR2' limit='1e-10'/>"))
    last = iterate(method, function, np.zeros((size, 1)), size + 2)[-1]
    now = Waveform(1, 0.0, last)
    now.add(1.0, function(last))
    method.converged({KEY: Coupled(now, Waveform(1, 0.0, last))})
    shifted = lambda x: function(x) + 1.0  # noqa: E731  the same matrix, another load
    solution = np.linalg.solve(
        np.eye(size) - (function(np.eye(size)) - function(np.zeros((size, 1)))), shifted(0 * last)
    )
    second = iterate(method, shifted, last, 2)[-1]
    assert second == pytest.approx(solution, abs=1e-7)


def test_aitken_solves_one_linear_equation_by_its_second_step() -> None:
    # The secant through two residuals of a line is the line: x = b / (1 - a).
    method = accelerate(options("aitken", f"<initial-relaxation value='0.3'/>{DATA}"))
    iterates = iterate(method, lambda x: -4.0 * x + 2.0, np.array([[7.0]]), 3)
    assert iterates[1] == pytest.approx(0.3 * (-26.0) + 0.7 * 7.0)
    assert iterates[2] == pytest.approx(2.0 / 5.0, abs=1e-13)


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.0])
def test_constant_relaxation_multiplies_the_error_of_a_line_by_the_same_number(factor: float) -> None:
    method = accelerate(options("constant", f"<relaxation value='{factor}'/>"))
    errors = np.array(iterate(method, lambda x: -0.5 * x + 3.0, np.array([[7.0]]), 5)).ravel() - 2.0
    assert errors[1:] / errors[:-1] == pytest.approx(1.0 - 1.5 * factor)


@pytest.mark.parametrize(("name", "dropped"), [("QR1", [1]), ("QR1-absolute", [1]), ("QR2", [1]), ("QR3", [1])])
def test_the_filter_drops_the_older_of_two_columns_that_are_nearly_the_same(name: str, dropped: list[int]) -> None:
    columns = np.array([[1.0, 1.0, 0.0], [0.0, 1e-5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    tag = f"{DATA}<filter type='{name}' limit='1e-3'/>"
    assert dependent(columns, options("IQN-ILS", tag)) == dropped


def test_no_more_columns_than_rows_are_kept() -> None:
    columns = np.random.default_rng(0).random((3, 5))
    assert len(dependent(columns, options("IQN-ILS", f"{DATA}<filter type='QR2' limit='1e-16'/>"))) == 2
