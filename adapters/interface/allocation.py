r"""How many samples where: the cheapest ones that make a sum of independent errors small.

With a variance $g_q / f_q$ of point q after f_q times as many samples, each of cost $c_q$, the cheapest way to
$\sum_q g_q / f_q \le \tau^2$ is

$$f_q = \frac{1}{\tau^2} \sqrt{\frac{g_q}{c_q}} \sum_p \sqrt{g_p c_p}$$

(J. Neyman 1934, doi:10.2307/2342192; W. G. Cochran, Sampling Techniques, 1977, sect. 5.5), and where that is below 1,
the samples that are there stay and the others share what is left.
"""

from __future__ import annotations

import numpy as np

from .data import Array


def neyman(variances: Array, wanted: float, costs: Array | None = None) -> Array:
    """Return how many times as many samples (n,) each point takes, at least 1.

    Args:
        variances: (n,) what each point adds to the variance now.
        wanted: the standard error of the sum, above zero.
        costs: (n,) of a sample at each point; all the same by default.
    """
    price = np.ones_like(variances) if costs is None else costs
    factors = np.ones_like(variances)
    more = variances > 0.0
    while variances.sum() > wanted**2 and more.any():
        left = wanted**2 - variances[~more].sum()  # above zero: fewer samples than there are would do at those
        total = np.sqrt(variances * price)[more].sum()
        found = np.sqrt(variances[more] / price[more]) * total / left
        factors = np.ones_like(variances)
        factors[more] = found
        if (found >= 1.0).all():
            break
        more = more & (factors > 1.0)
    return np.maximum(factors, 1.0)
