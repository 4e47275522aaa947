"""Pictures of a force mixing in motion."""

from __future__ import annotations

import numpy as np

from scalespan.bridges.run.mixing import mixing_plots

TIME = np.arange(4.0)
TABLE = {
    "time/fs": TIME,
    "total/eV": -5.0 + 0.3 * TIME,
    "given_mixing/eV": 0.5 * TIME,
    "region/1": np.array([5.0, 5.0, 6.0, 6.0]),
    "prediction_error/(eV/angstrom)": 0.01 * TIME,
}


def test_what_is_given_is_the_mixings_and_the_thermostats() -> None:
    plots = mixing_plots(TABLE)
    assert [plot.title for plot in plots] == ["What is given", "The region", "Prediction"]
    mixing, thermostat, both = (line.get_ydata() for line in plots[0].figure.axes[0].get_lines())
    np.testing.assert_allclose(mixing, 0.5 * TIME)
    np.testing.assert_allclose(thermostat, -0.2 * TIME)
    np.testing.assert_allclose(both, 0.3 * TIME)


def test_no_other_motion_has_them() -> None:
    assert mixing_plots({"time/fs": TIME, "total/eV": TIME}) == []
