"""Which PromQL reads a number? Names come from `schemas.metrics`, what the variables select from the dashboard.

Gauges are read as the recording rules keep them: where two workers show a queue for a moment, they took one. Ratios are
sums divided by sums, and absent where the denominator is 0. Refuses to know panels.
"""

from schemas.metrics import METRICS, PREFIX

SITE = 'site=~"$site"'
SELECTED = f'{SITE}, channel=~"$channel", queue=~"$queue"'
"""What the variables select. A site's name is a label only where several sites share one Prometheus."""
BY_QUEUE = "by (site, queue, channel)"
WINDOW = "$window"


def labels_of(name: str) -> tuple[str, ...]:
    """The labels of a declared metric, or of the buckets of a histogram.

    Raises:
        KeyError: no such metric is declared.
    """
    if name in METRICS:
        return METRICS[name].labels
    return (*METRICS[name.removesuffix("_bucket")].labels, "le")


def level_of(name: str) -> str:
    """The level in the name of a metric's recording rule: its labels."""
    return "_".join(labels_of(name)) or "site"


def recorded(base: str) -> str:
    """The recording rule that keeps a gauge, from its name without the prefix.

    Raises:
        KeyError: no such metric is declared.
    """
    return f"{level_of(PREFIX + base)}:{PREFIX}{base}:last"


def now(base: str, more: str = "") -> str:
    """A gauge of the selected queues; `more` are further matchers."""
    return f"{recorded(base)}{{{SELECTED}{more and ', '}{more}}}"


def window(base: str, length: str = WINDOW) -> str:
    """A number over one window of the selected queues, such as `offered_contacts`."""
    return now(f"window_{base}", f'window="{length}"')


def level(part: str, variant: str = "${variant}", length: str = WINDOW) -> str:
    """Numerator or denominator of a service level; by default of the variant that the dashboard shows."""
    any_variant = recorded(f"window_sl_offered_{part}_contacts")
    name = any_variant.replace("sl_offered", variant)
    return f'{name}{{{SELECTED}, window="{length}"}}'


def per_queue(expr: str) -> str:
    """One series a queue, without name and window; the numbers stay as they are."""
    return f"max {BY_QUEUE} ({expr})"


def total(expr: str) -> str:
    """The selected queues together: for counts and sums of seconds."""
    return f"sum({expr})"


def ratio(numerator: str, denominator: str) -> str:
    """A quotient of sums; absent, not 0, where there is nothing to divide by."""
    return f"{numerator} / ({denominator} > 0)"


def service_level(variant: str = "${variant}", length: str = WINDOW) -> str:
    """The service level of each selected queue."""
    return per_queue(ratio(level("numerator", variant, length), level("denominator", variant, length)))


def total_service_level(variant: str = "${variant}", length: str = WINDOW) -> str:
    """The service level of the selected queues together."""
    return ratio(total(level("numerator", variant, length)), total(level("denominator", variant, length)))


def wilson(numerator: str, n: str, side: str) -> str:
    """A bound of the 95 % interval of a ratio (`side` is `+` or `-`), as `Proportion` has it: z = 1.96."""
    root = f"sqrt({numerator} * ({n} - {numerator}) / ({n} > 0) + 0.9604)"
    return f"({numerator} + 1.9208 {side} 1.96 * {root}) / ({n} + 3.8416)"


def quotient(*sums: str, by: str, length: str = WINDOW) -> str:
    """Seconds of the selected queues divided by a count of theirs: a mean, from sums."""
    numerator = " + ".join(total(window(each, length)) for each in sums)
    return ratio(f"({numerator})" if len(sums) > 1 else numerator, total(window(by, length)))


def age(base: str, more: str = "") -> str:
    """Seconds since the instant that a gauge holds; 0 where it holds none."""
    instant = now(base, more)
    return f"(time() - {instant}) * ({instant} > bool 0)"


def before(expr: str, ago: str) -> str:
    """The same expression of selectors as it was some time ago (`1d`, `1w`: 24 h and 168 h)."""
    # Every selector ends with a matcher in quotes; the brace of a variable in a name does not.
    return expr.replace('"}', f'"}} offset {ago}') if ago else expr


def waits(outcome: str, more: str = "") -> str:
    """How many contacts of the business day ended so in the selected queues, by the edge that their wait was within."""
    outcomes = f'window="day", outcome="{outcome}"{more and ", "}{more}'
    return f"sum by (le) ({now('window_wait_seconds_bucket', outcomes)})"


def grown(expr: str, by: str, ago: str = "") -> str:
    """What a count of the business day grew by in this time; where a day began meanwhile, what it has since.

    To the scrape exact, and added up over steps the whole: a rolling window is only as sharp as its panes of 10 s.
    A fall to less than half is a new day; a smaller one a correction, which shows as 0.
    """
    then, earlier = before(expr, ago), before(expr, f"{ago}{by}")
    return f"clamp_min({then} - {earlier} * ({then} >= bool 0.5 * {earlier}), 0)"


def raw(base: str) -> str:
    """A metric of a worker as it is scraped; a process's own truth, never a number of a queue.

    Raises:
        KeyError: no such metric is declared.
    """
    assert "queue" not in labels_of(PREFIX + base), base
    return f"{PREFIX}{base}{{{SITE}}}"


def rate(base: str, by: str) -> str:
    """Per second, over all workers, by these labels."""
    return f"sum by ({by}) (rate({raw(base)}[$__rate_interval]))"


def percentile(q: float, base: str, by: str) -> str:
    """A percentile of a histogram of this process and its kin, by these labels."""
    within = f"sum by (le{by and ', '}{by}) (rate({raw(base + '_bucket')}[$__rate_interval]))"
    return f"histogram_quantile({q:g}, {within})"
