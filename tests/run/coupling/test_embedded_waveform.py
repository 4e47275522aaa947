"""Waveforms of the embedded coupling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from scalespan.bridges.run.embedded.waveform import Waveform


def through(function, degree: int, times) -> Waveform:
    waveform = Waveform(degree, times[0], np.array([[function(times[0])]]))
    for time in times[1:]:
        waveform.add(time, np.array([[function(time)]]))
    return waveform


@pytest.mark.parametrize(("degree", "samples"), [(1, 2), (1, 5), (2, 3), (2, 6), (3, 4), (3, 5), (3, 9)])
def test_a_polynomial_of_the_degree_is_reproduced(degree: int, samples: int) -> None:
    times = np.sort(np.concatenate([[2.0, 3.0], 2.0 + np.random.default_rng(0).random(samples - 2)])).tolist()
    waveform = through(lambda t: t**degree - t, degree, times)
    for time in np.linspace(2.0, 3.0, 13):
        assert waveform.at(time) == pytest.approx(time**degree - time, abs=1e-12)


@pytest.mark.parametrize(("samples", "degree"), [(1, 0), (2, 1), (3, 2)])
def test_fewer_samples_than_the_degree_needs_lower_it(samples: int, degree: int) -> None:
    times = np.linspace(0.0, 1.0, samples).tolist() if samples > 1 else [0.0]
    waveform = through(lambda t: (1.0 + t) ** degree, 3, times)
    assert waveform.at(0.3) == pytest.approx(1.3**degree)


def test_cubic_is_fourth_order_in_the_distance_of_the_samples() -> None:
    inside = np.linspace(0.0, 1.0, 201)
    worst = []
    for count in (17, 33, 65):
        waveform = through(np.sin, 3, np.linspace(0.0, 1.0, count).tolist())
        worst.append(max(abs(waveform.at(time)[0, 0] - np.sin(time)) for time in inside))
    assert np.log2(np.array(worst[:-1]) / worst[1:]) == pytest.approx([4.0, 4.0], abs=0.1)


def test_four_samples_are_one_cubic_whatever_the_knots() -> None:
    times, values = [0.0, 0.2, 0.5, 1.0], np.array([1.0, -2.0, 0.5, 3.0])
    waveform = through(dict(zip(times, values, strict=True)).get, 3, times)
    assert waveform.at(0.77)[0, 0] == pytest.approx(make_interp_spline(times, values, k=3)(0.77), abs=1e-13)


def test_beyond_the_samples_the_nearest_counts() -> None:
    waveform = through(lambda t: t, 1, [1.0, 2.0])
    assert (waveform.at(0.5), waveform.at(9.0)) == (1.0, 2.0)


def test_a_window_starts_again_from_its_first_sample_and_the_next_from_the_last() -> None:
    waveform = through(lambda t: 10.0 * t, 1, [0.0, 0.5, 1.0])
    again = waveform.copy()
    again.cut()
    waveform.move()
    assert (again.times, again.at(0.7), waveform.times, waveform.at(1.7)) == ([0.0], 0.0, [1.0], 10.0)
