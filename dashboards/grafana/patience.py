"""How patient are people? Kaplan and Meier's estimate of who still waits after so many seconds, in PromQL.

S(t) = product over the steps up to t of (1 - d/r): d hang up in the step, r waited when it began; whoever is answered
in a step was patient through it. From the wait histograms of the business day; refuses to know how it is drawn.
"""

from itertools import pairwise

from dashboards.grafana.promql import waits
from schemas.counts import DEFAULT_EDGES_S

STEPS_S = DEFAULT_EDGES_S
"""Edges that every wait histogram has, however its queues are promised."""


def ended(outcome: str) -> str:
    """How many of the day's contacts ended so."""
    return waits(outcome, 'le="+Inf"')


def still_patient(step_s: int) -> str:
    """The share of 1 that would still wait after so many seconds, one of `STEPS_S`."""
    count = STEPS_S.index(step_s) + 1
    edges, before = STEPS_S[:count], STEPS_S[: count - 1]
    hung_up_before = _moved_on("abandoned", before)
    hung_up = f"({_within('abandoned', edges)} - {hung_up_before})"
    all_of_them = f"scalar({ended('answered')} + {ended('abandoned')})"
    waited = f"({all_of_them} - {hung_up_before} - {_moved_on('answered', before)})"
    return f"exp(sum(ln(1 - {hung_up} / ({waited} > 0))))"


def _within(outcome: str, edges: tuple[int, ...]) -> str:
    """How many ended so within each edge, by `le`."""
    les = "|".join(f"{edge}[.]0" for edge in edges)
    return waits(outcome, f'le=~"{les}"')


def _moved_on(outcome: str, edges: tuple[int, ...]) -> str:
    """Each edge's number under the name of the next edge, and 0 for the first: what was over before each step."""
    nothing = f"0 * {_within(outcome, STEPS_S[:1])}"
    if not edges:
        return nothing
    moved = _within(outcome, edges)
    # The last edge moves first, so that none meets another.
    for edge, following in reversed(list(pairwise(STEPS_S[: len(edges) + 1]))):
        moved = f'label_replace({moved}, "le", "{following}.0", "le", "{edge}[.]0")'
    return f"({moved} or {nothing})"
