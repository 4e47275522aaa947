"""The exact law of layers normal to x, in plane strain (G. W. Milton, The Theory of Composites, ch. 9)."""

import numpy as np

parts, young, ratio = (
    np.array([0.3, 0.7]),
    np.array([1.0, 10.0]),
    np.array([0.3, 0.2]),
)  # GPa; of a metre of depth, GN/m
first, shear = young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)), young / (2.0 * (1.0 + ratio))
wave = first + 2.0 * shear


def mean(values: np.ndarray) -> float:
    return float((parts * values).sum())


c11 = 1.0 / mean(1.0 / wave)
c12 = c11 * mean(first / wave)
c22 = mean(wave - first**2 / wave) + c12**2 / c11
c66 = 1.0 / mean(1.0 / shear)
strain, angle = 1e-3, 1e-3
numbers = {"C11": c11, "C12": c12, "C22": c22, "C66": c66}
numbers |= {"P_xx_last": c11 * strain, "P_xy_last": 2.0 * c66 * angle}
numbers |= {"energy_last": 0.5 * c11 * strain**2 + 2.0 * c66 * angle**2}
for name, value in numbers.items():
    print(f'[{name}]\nvalue = {value!r}\ntolerance = {abs(value) * 1e-11:.1e}\nunit = "GN/m"')
    print('source = "exact, G. W. Milton, The Theory of Composites, 2002, ch. 9 (doi:10.1017/CBO9780511613357)"')
    print('engines = { dolfinx = "0.9" }\n')
