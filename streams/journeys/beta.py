"""Where does a share lie, given counts that need not be whole? The Beta distribution: its integral and its quantiles.

Plain Python, no tables; shape parameters from 1e-3 to 1e7. Refuses to know what is counted.
"""

from math import exp, inf, isfinite, lgamma, log, log1p, sqrt

_TINY = 1e-300
_PRECISION = 1e-15
_MAX_TERMS = 10_000


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) of Beta(a, b), a and b > 0: the regularised incomplete beta function I_x(a, b).

    By its continued fraction (DLMF 8.17.22, evaluated after Lentz), on the side where it converges fast.

    Raises:
        ValueError: a or b is not a positive, finite number.

    >>> round(beta_cdf(0.3, 1.0, 1.0), 12)
    0.3
    """
    if not (0 < a < inf and 0 < b < inf):
        raise ValueError(f"a Beta distribution has two positive parameters, not {a} and {b}")
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1 - front * _fraction(1 - x, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), without its front factor; x <= (a + 1) / (a + b + 2)."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 + even * d
        c = 1 + even / c
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 + odd * d
        c = 1 + odd / c
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        value *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return value


def beta_quantile(q: float, a: float, b: float) -> float:
    """The x with P(X <= x) = q (0-1) of Beta(a, b), within 1e-12 or so.

    Newton's method from the normal approximation, kept within a bracket that halves when a step leaves it.
    """
    if q <= 0:
        return 0.0
    if q >= 1:
        return 1.0
    log_scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    low, high = 0.0, 1.0
    x = a / (a + b)
    spread = sqrt(x * (1 - x) / (a + b + 1))
    x = min(max(x + _normal_quantile(q) * spread, x * 1e-3), 1 - (1 - x) * 1e-3)
    for _ in range(200):
        error = beta_cdf(x, a, b) - q
        if error > 0:
            high = x
        else:
            low = x
        slope = exp(log_scale + (a - 1) * log(x) + (b - 1) * log1p(-x)) if 0 < x < 1 else 0.0
        new = x - error / slope if slope > 0 else inf
        if not (isfinite(new) and low < new < high):
            new = (low + high) / 2
        if abs(new - x) <= 1e-13 * max(x, 1e-12) or high - low <= 1e-15 * high:
            return new
        x = new
    return x


def _normal_quantile(q: float) -> float:
    """Roughly (within 5e-4; a starting point): Abramowitz and Stegun 26.2.23."""
    t = sqrt(-2 * log(min(q, 1 - q)))
    value = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (
        1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    )
    return value if q > 0.5 else -value
