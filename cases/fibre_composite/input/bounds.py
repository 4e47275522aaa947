"""Hill's and Hashin's bounds of the plane bulk modulus across fibres (doi:10.1016/0022-5096(65)90015-3)."""

import numpy as np

f = 2.0 * np.pi * 0.2**2 / np.sqrt(3.0)  # two fibres in a box of 1 × √3
parts = np.array([1.0 - f, f])
young, ratio = np.array([50e3, 210e3]), np.array([0.2, 0.3])  # MPa
shear = young / (2.0 * (1.0 + ratio))
bulk = young * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)) + shear
low, high = (1.0 / (parts / (bulk + each)).sum() - each for each in (shear.min(), shear.max()))
print(f"k between {low:.2f} and {high:.2f} MPa; swollen by 0.1 %, W = 2 k (0.001)² between")
print(f"{2e-6 * low:.6f} and {2e-6 * high:.6f} MPa: {1e-6 * (high + low):.6f} ± {1e-6 * (high - low):.6f}")
