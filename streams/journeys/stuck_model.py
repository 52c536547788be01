"""How likely does this visitor contact us within T, and why? A logistic model, and how it learns from outcomes.

log-odds = base + effect of the subject page + weights of the bits of the pattern. Until there are outcomes the defaults
rule; then data move each number as far as they carry. Every contribution has a name, and they add up. Refuses to know
what a visitor did: it is given a page and a pattern (`schemas.journeys.FEATURES`).
"""

from collections.abc import Mapping
from math import exp, log1p

from schemas.journeys import FEATURE_BIT, FEATURES, Reason, StuckModel
from streams.journeys.policy import JourneyPolicy

DEFAULT_MODEL = StuckModel(
    version=0,
    valid_from_ms=0,
    base=-4.2,
    weights={
        "loop": 0.9,
        "quick_back": 0.4,
        "rage_click": 0.7,
        "dead_click": 0.3,
        "error": 0.8,
        "form_error": 0.6,
        "zero_hits": 0.9,
        "help_viewed": 0.8,
        "contact_page": 1.8,
        "returning": 0.4,
        "contacted_before": 0.8,
        "engaged_30": 0.1,
        "engaged_60": 0.2,
        "engaged_120": 0.3,
        "engaged_300": 0.3,
    },
)
"""Day one. Base: 1.5 % of calm moments. A contact page multiplies the odds by 6; a loop, a search without result or an
error by 2.2 to 2.5, rage by 2 and dead clicks by 1.3 (three-click rules are noisy, so these say less); five minutes on
a page by 2.5. One sign alone raises no flag at the default threshold of 0.3; see docs/journeys.md for which do.
"""

SESSION_SHARE = 0.25
"""A moment counts a quarter of an independent trial: the moments of one session share one outcome."""
BASE_SD = 2.0
"""Prior standard deviation of the base: a site is known within hours, wherever it lies between 0.03 and 50 %."""
WEIGHT_SD = 0.7
"""Of a weight about its default: about 8 trials' worth of contacts are needed to move it half-way."""
PAGE_SD = 0.7
"""Of pages' effects, before any are known; counts as much as `_PAGE_SD_PAGES` pages when it is learned."""
_PAGE_SD_PAGES = 10.0
_SD_STEPS = 6
_MOST_STEPS = 60
_CONVERGED = 1e-4
_SHOWN = 5
_ENGAGED_BITS = sum(bit for name, bit in FEATURE_BIT.items() if name.startswith("engaged_"))
_ENGAGED_S = {FEATURE_BIT[name]: name.partition("_")[2] for name in FEATURES if name.startswith("engaged_")}
_F = len(FEATURES)


def log_odds(model: StuckModel, page: str, pattern: int) -> float:
    """The log-odds of a contact within T; `page` is the subject page, "" where there is none."""
    total = model.base + model.pages.get(page, 0.0)
    for index in range(_F):
        if pattern >> index & 1:
            total += model.weights.get(FEATURES[index], 0.0)
    return total


def probability(model: StuckModel, page: str, pattern: int) -> float:
    """The probability (0-1) of a contact within T."""
    return _sigmoid(log_odds(model, page, pattern))


def reasons(
    model: StuckModel,
    page: str,
    pattern: int,
    *,
    engaged_s: int | None = None,
) -> tuple[Reason, ...]:
    """Why the log-odds are what they are: every contribution that is not zero, the greatest first; they add up to it.

    The steps of engaged time are one reason, "engaged".

    Args:
        engaged_s: engaged time on the subject page, where known more exactly than by the pattern; its detail.
    """
    out = [
        Reason(code="base", log_odds=model.base),
        Reason(code="page", log_odds=model.pages.get(page, 0.0), detail=page),
    ]
    engaged, longest = 0.0, "0"
    for index in range(_F):
        bit = 1 << index
        if not pattern & bit:
            continue
        name = FEATURES[index]
        if bit & _ENGAGED_BITS:
            engaged += model.weights.get(name, 0.0)
            longest = _ENGAGED_S[bit]
            continue
        out.append(Reason(code=name, log_odds=model.weights.get(name, 0.0)))
    detail = longest if engaged_s is None else str(engaged_s)
    out.append(Reason(code="engaged", log_odds=engaged, detail=detail))
    return tuple(sorted((each for each in out if each.log_odds), key=_greatest_first))


def _greatest_first(reason: Reason) -> tuple[float, str]:
    return -reason.log_odds, reason.code


def fit(
    cells: Mapping[str, Mapping[int, tuple[float, float]]],
    *,
    version: int,
    valid_from_ms: int,
    policy: JourneyPolicy,
    prior: StuckModel = DEFAULT_MODEL,
) -> StuckModel:
    """The model that moments and their outcomes make most probable, given what was thought before.

    Maximum a posteriori of a logistic regression with Gaussian priors: weights about those of `prior`, the effects of
    pages about 0 with a spread that is learned from them (empirical Bayes). Deterministic: the order of cells does not
    matter. Newton's method with halved steps where one goes too far; the function is strictly concave.

    Args:
        cells: subject page -> pattern -> (moments, those that a contact followed within T), decayed.
        version, valid_from_ms: of the model made.
        policy: `most_pages` of it: so many pages, those with the most moments, have an effect of their own.
        prior: what is thought without data; its base, and its weights.
    """
    return _Fit(cells, prior).run(version, valid_from_ms, policy.most_pages)


class _Fit:
    """One run of the regression. Parameter 0 is the base, 1 + i the weight of feature i; pages have their own list."""

    def __init__(self, cells: Mapping[str, Mapping[int, tuple[float, float]]], prior: StuckModel) -> None:
        self.prior = [prior.base] + [prior.weights.get(name, 0.0) for name in FEATURES]
        self.precision = [1 / BASE_SD**2] + [1 / WEIGHT_SD**2] * _F
        self.page_precision = 1 / PAGE_SD**2
        self.pages: list[str] = []
        self.patterns: list[int] = []
        self.page_of: list[int] = []
        self.pattern_of: list[int] = []
        self.n: list[float] = []
        self.k: list[float] = []
        self._take(cells)
        self.bits: list[list[int]] = [
            [0] + [1 + index for index in range(_F) if pattern >> index & 1] for pattern in self.patterns
        ]
        self.theta = list(self.prior)
        self.effects = [0.0] * len(self.pages)
        self.gradient: list[float] = []
        self.page_gradient: list[float] = []
        self.curvature: list[list[float]] = []
        self.page_curvature: list[float] = []
        self.crossed: list[list[float]] = []
        self.likelihood = 0.0

    def _take(self, cells: Mapping[str, Mapping[int, tuple[float, float]]]) -> None:
        numbers: dict[int, int] = {}
        for page in sorted(cells):
            first = True
            for pattern in sorted(cells[page]):
                n, k = cells[page][pattern]
                if n <= 0:
                    continue
                if first:
                    self.pages.append(page)
                    first = False
                if pattern not in numbers:
                    numbers[pattern] = len(self.patterns)
                    self.patterns.append(pattern)
                self.page_of.append(len(self.pages) - 1)
                self.pattern_of.append(numbers[pattern])
                self.n.append(n)
                self.k.append(min(max(k, 0.0), n))

    def run(self, version: int, valid_from_ms: int, most_pages: int) -> StuckModel:
        """Fit, and say what was found."""
        if self.n:
            self._climb()
        evidence = [0.0] * _F
        moments = [0.0] * len(self.pages)
        for cell in range(len(self.n)):
            moments[self.page_of[cell]] += self.n[cell]
            for index in self.bits[self.pattern_of[cell]][1:]:
                evidence[index - 1] += self.n[cell]
        told = sorted(range(len(self.pages)), key=lambda page: (-moments[page], page))[:most_pages]
        return StuckModel(
            version=version,
            valid_from_ms=valid_from_ms,
            base=round(self.theta[0], _SHOWN),
            pages={
                self.pages[page]: round(self.effects[page], _SHOWN)
                for page in sorted(told)
                if round(self.effects[page], _SHOWN)
            },
            weights={name: round(self.theta[1 + i], _SHOWN) for i, name in enumerate(FEATURES)},
            evidence={name: round(evidence[i], 3) for i, name in enumerate(FEATURES)},
            moments=round(sum(self.n), 3),
            contacts=round(sum(self.k), 3),
        )

    def _climb(self) -> None:
        self._measure()
        for step in range(_MOST_STEPS):
            moved = self._step()
            if step < _SD_STEPS:
                self._learn_page_spread()
            elif moved < _CONVERGED:
                return

    def _step(self) -> float:
        """One step of Newton's method that does not make it worse; returns the greatest change of a parameter."""
        move, page_move = self._direction()
        theta, effects, before = self.theta, self.effects, self._objective()
        scale = 1.0
        for _ in range(40):
            self.theta = [value + scale * each for value, each in zip(theta, move, strict=True)]
            self.effects = [value + scale * each for value, each in zip(effects, page_move, strict=True)]
            self._measure()
            if self._objective() >= before - 1e-10 * (1 + abs(before)):
                break
            scale /= 2
        greatest = 0.0
        for each in move:
            greatest = max(greatest, abs(each))
        for each in page_move:
            greatest = max(greatest, abs(each))
        return scale * greatest

    def _objective(self) -> float:
        """The log posterior, up to a constant."""
        total = self.likelihood
        for i in range(1 + _F):
            total -= self.precision[i] * (self.theta[i] - self.prior[i]) ** 2 / 2
        squares = 0.0
        for effect in self.effects:
            squares += effect * effect
        return total - self.page_precision * squares / 2

    def _measure(self) -> None:
        """The log likelihood of the cells at the current parameters, its slope and its curvature."""
        size, pages, patterns = 1 + _F, len(self.pages), len(self.patterns)
        theta, effects, page_of, pattern_of, n, k = (
            self.theta, self.effects, self.page_of, self.pattern_of, self.n, self.k,
        )  # fmt: skip
        fixed = [0.0] * patterns
        for j in range(patterns):
            value = 0.0
            for index in self.bits[j]:
                value += theta[index]
            fixed[j] = value
        slope, bend = [0.0] * patterns, [0.0] * patterns
        page_slope, page_bend = [0.0] * pages, [0.0] * pages
        crossed = [[0.0] * size for _ in range(pages)]
        likelihood = 0.0
        for cell in range(len(n)):
            page, j = page_of[cell], pattern_of[cell]
            eta = fixed[j] + effects[page]
            if eta > 0:
                tail = exp(-eta)
                p, soft = 1 / (1 + tail), eta + log1p(tail)
            else:
                tail = exp(eta)
                p, soft = tail / (1 + tail), log1p(tail)
            trials = n[cell] * SESSION_SHARE
            hits = k[cell] * SESSION_SHARE
            likelihood += hits * eta - trials * soft
            residual = hits - trials * p
            weight = trials * p * (1 - p)
            slope[j] += residual
            bend[j] += weight
            page_slope[page] += residual
            page_bend[page] += weight
            row = crossed[page]
            for index in self.bits[j]:
                row[index] += weight
        gradient = [0.0] * size
        curvature = [[0.0] * size for _ in range(size)]
        for j in range(patterns):
            bits, residual, weight = self.bits[j], slope[j], bend[j]
            for index in bits:
                gradient[index] += residual
                line = curvature[index]
                for other in bits:
                    if other > index:
                        break
                    line[other] += weight
        self.likelihood, self.gradient, self.curvature = likelihood, gradient, curvature
        self.page_gradient, self.page_curvature, self.crossed = page_slope, page_bend, crossed

    def _direction(self) -> tuple[list[float], list[float]]:
        """Newton's step: pages are eliminated first, since no two of them share a cell (Schur complement)."""
        size = 1 + _F
        matrix = [list(line) for line in self.curvature]
        right = [self.gradient[i] - self.precision[i] * (self.theta[i] - self.prior[i]) for i in range(size)]
        for i in range(size):
            matrix[i][i] += self.precision[i]
        page_right = [0.0] * len(self.pages)
        for page in range(len(self.pages)):
            own = self.page_curvature[page] + self.page_precision
            pull = self.page_gradient[page] - self.page_precision * self.effects[page]
            page_right[page] = pull
            row = self.crossed[page]
            used = [index for index in range(size) if row[index]]
            for index in used:
                share = row[index] / own
                right[index] -= share * pull
                line = matrix[index]
                for other in used:
                    if other > index:
                        break
                    line[other] -= share * row[other]
        move = _solve(matrix, right)
        page_move = [0.0] * len(self.pages)
        for page in range(len(self.pages)):
            row, pull = self.crossed[page], page_right[page]
            for index in range(size):
                pull -= row[index] * move[index]
            page_move[page] = pull / (self.page_curvature[page] + self.page_precision)
        return move, page_move

    def _learn_page_spread(self) -> None:
        """One step of expectation maximisation for the variance of pages' effects, about its own prior guess."""
        total = _PAGE_SD_PAGES * PAGE_SD**2
        for page in range(len(self.pages)):
            total += self.effects[page] ** 2 + 1 / (self.page_curvature[page] + self.page_precision)
        self.page_precision = (_PAGE_SD_PAGES + len(self.pages)) / total


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric, positive definite system, given its lower half, after Cholesky. Uses up its arguments."""
    size = len(right)
    for i in range(size):
        line = matrix[i]
        for j in range(i + 1):
            value = line[j]
            other = matrix[j]
            for m in range(j):
                value -= line[m] * other[m]
            if i == j:
                line[i] = max(value, 1e-12) ** 0.5
            else:
                line[j] = value / other[j]
    for i in range(size):
        line = matrix[i]
        for m in range(i):
            right[i] -= line[m] * right[m]
        right[i] /= line[i]
    for i in range(size - 1, -1, -1):
        for m in range(i + 1, size):
            right[i] -= matrix[m][i] * right[m]
        right[i] /= matrix[i][i]
    return right


def _sigmoid(value: float) -> float:
    if value >= 0:
        return 1 / (1 + exp(-value))
    return exp(value) / (1 + exp(value))
