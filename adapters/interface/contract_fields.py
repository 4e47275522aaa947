"""The tests that every field adapter must pass, shipped so that yours can be held to them too.

    from scalespan.adapters.interface.contract_fields import FieldContract

    class TestMine(FieldContract):
        def make_adapter(self):
            return MineAdapter(MineOptions())

The adapter takes at least one input and has at least one place. This needs pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from .data import Array, State
from .errors import CaseError, NotOffered
from .fields import FieldAdapter


class FieldContract:
    """What every `FieldAdapter` keeps. A subclass gives `make_adapter`."""

    dt: ClassVar[float] = 0.1  # of a step, in the adapter's unit
    loads: ClassVar[bool] = True  # takes point loads
    reciprocal: ClassVar[bool] = True  # its operator is linear and symmetric
    reciprocity_tolerance: ClassVar[float] = 1e-11  # relative; a direct solver's round-off

    def make_adapter(self) -> FieldAdapter:
        """Return a new adapter, with the same numbers each time."""
        raise NotImplementedError("give make_adapter()")

    def make_points(self, adapter: FieldAdapter) -> Array:
        """Return points (m, dimension) inside: middles of the places' points, pulled to their centre."""
        points = np.concatenate([adapter.points(each.place).points for each in adapter.outputs.values()])
        middle = 0.5 * (points.min(0) + points.max(0))
        return np.asarray(middle + 0.7 * (points[:7] - middle))

    def make_input(self, adapter: FieldAdapter, name: str) -> Array:
        """Return values (n, components) for an input: smooth, and small."""
        port = adapter.inputs[name]
        points = adapter.points(port.place).points
        values: Array = 0.01 * np.sin(points.sum(axis=1)[:, None] + np.arange(port.components))
        return values

    @pytest.fixture
    def adapter(self) -> Iterator[FieldAdapter]:
        """An adapter whose inputs are set."""
        adapter = self.make_adapter()
        self.set_all(adapter)
        yield adapter
        adapter.close()
        adapter.close()

    def set_all(self, adapter: FieldAdapter) -> None:
        """Set every input."""
        for name in adapter.inputs:
            adapter.set_input(name, self.make_input(adapter, name))

    def outputs_after_two_steps(self, adapter: FieldAdapter) -> dict[str, Array]:
        """Advance twice, with other inputs in the second step, and return every output."""
        adapter.advance(self.dt)
        for name in adapter.inputs:
            adapter.set_input(name, 2.0 * self.make_input(adapter, name))
        adapter.advance(0.5 * self.dt)
        return {name: adapter.output(name) for name in adapter.outputs}

    def test_points_have_the_dimension_and_connectivity_names_them(self, adapter: FieldAdapter) -> None:
        """Every index of an edge, triangle or tetrahedron is a point."""
        for port in [*adapter.inputs.values(), *adapter.outputs.values()]:
            mesh = adapter.points(port.place)
            assert mesh.points.shape[1] == adapter.dimension
            for cells in (mesh.edges, mesh.triangles, mesh.tetrahedra):
                assert cells.size == 0 or (cells.min() >= 0 and cells.max() < len(mesh.points))

    def test_outputs_have_the_shape_of_their_ports(self, adapter: FieldAdapter) -> None:
        """Before the first step and after it."""
        for _ in range(2):
            for name, port in adapter.outputs.items():
                assert adapter.output(name).shape == (len(adapter.points(port.place).points), port.components)
            adapter.advance(self.dt)

    def test_what_follows_a_restore_is_the_same_bit_for_bit(self, adapter: FieldAdapter) -> None:
        """Save at the beginning and in the middle; go on, go back, go on again."""
        for _ in range(2):
            saved: State = adapter.save()
            kept = {key: value.copy() for key, value in saved.items()}
            first = self.outputs_after_two_steps(adapter)
            adapter.restore(saved)
            self.set_all(adapter)
            second = self.outputs_after_two_steps(adapter)
            assert all(np.array_equal(first[name], second[name]) for name in first)
            assert all(np.array_equal(kept[key], saved[key]) for key in saved), "the saved state is the caller's"
            adapter.restore(saved)
            self.set_all(adapter)
            adapter.advance(self.dt)

    def test_a_new_adapter_takes_over_a_saved_state(self, adapter: FieldAdapter) -> None:
        """As a restart from disk does."""
        adapter.advance(self.dt)
        other = self.make_adapter()
        other.restore(adapter.save())
        self.set_all(other)
        self.set_all(adapter)
        first, second = self.outputs_after_two_steps(adapter), self.outputs_after_two_steps(other)
        other.close()
        assert all(np.array_equal(first[name], second[name]) for name in first)

    def test_an_input_acts(self, adapter: FieldAdapter) -> None:
        """Each input changes some output."""
        for name in adapter.inputs:
            saved = adapter.save()
            found = []
            for scale in (1.0, 3.0):
                adapter.restore(saved)
                adapter.set_input(name, scale * self.make_input(adapter, name))
                adapter.advance(self.dt)
                found.append(np.concatenate([adapter.output(each).ravel() for each in adapter.outputs]))
            assert not np.array_equal(found[0], found[1]), name

    def test_point_loads_are_reciprocal(self, adapter: FieldAdapter) -> None:
        """⟨Πu(f), g⟩ = ⟨Πu(g), f⟩ (Betti's theorem): it holds only if a load is the adjoint of evaluation, Πᵀ."""
        name, components = next(iter(adapter.fields.items()))
        points = self.make_points(adapter)
        one, other = (
            np.cos(np.arange(1.0, 1.0 + len(points) * components) * k).reshape(-1, components) for k in (1, 2)
        )
        if not self.loads:
            with pytest.raises(NotOffered):
                adapter.load(points, one)
            return
        saved, found = adapter.save(), []
        for load in (0.0 * one, one, other):
            adapter.restore(saved)
            self.set_all(adapter)
            adapter.load(points, load)
            adapter.advance(self.dt)
            found.append(adapter.evaluate(name, points))
        there, back = ((found[1] - found[0]) * other).sum(), ((found[2] - found[0]) * one).sum()
        size = (np.abs(found[1]) * np.abs(other)).sum() + (np.abs(found[2]) * np.abs(one)).sum()
        assert there != 0.0
        assert abs(there - back) <= self.reciprocity_tolerance * size or not self.reciprocal

    def test_wrong_names_are_refused(self, adapter: FieldAdapter) -> None:
        """With the nearest known one."""
        point = self.make_points(adapter)[:1]
        for call in (
            lambda: adapter.set_input("nowhere.nothing", np.zeros((1, 1))),
            lambda: adapter.output("nowhere.nothing"),
            lambda: adapter.evaluate("nothing", point),
        ):
            with pytest.raises(NotOffered):
                call()

    def test_wrong_shapes_and_values_are_refused(self, adapter: FieldAdapter) -> None:
        """An input with a row too many, a column too many, a NaN."""
        for name in adapter.inputs:
            good = self.make_input(adapter, name)
            for bad in (np.vstack([good, good[:1]]), np.hstack([good, good]), np.full_like(good, np.nan)):
                with pytest.raises(CaseError):
                    adapter.set_input(name, bad)
        with pytest.raises(CaseError):
            adapter.evaluate(next(iter(adapter.fields)), np.zeros((1, adapter.dimension + 1)))
        with pytest.raises(CaseError):
            adapter.evaluate(next(iter(adapter.fields)), np.full((1, adapter.dimension), 1e9))

    def test_values_that_come_out_are_the_callers(self, adapter: FieldAdapter) -> None:
        """Changing them changes nothing inside."""
        for name in adapter.outputs:
            values = adapter.output(name)
            before = values.copy()
            values += 1.0
            assert np.array_equal(adapter.output(name), before)
