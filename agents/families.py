"""How does a declared metric become prometheus_client's family? Name, help and labels from `schemas.metrics`."""

from collections.abc import Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from schemas.metrics import METRICS, PREFIX, WALLBOARD_METRICS, Metric

Value = int | float
Values = Mapping[tuple[str, ...], Value]
"""By the values of the labels, in the order declared."""
_DECLARED: dict[str, Metric] = METRICS | {each.name: each for each in WALLBOARD_METRICS}


def gauge(name: str, values: Values) -> Family:
    """A gauge by its name without the prefix.

    Raises:
        KeyError: no such metric is declared.
    """
    metric = _DECLARED[PREFIX + name]
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def counter(name: str, values: Values) -> Family:
    """A counter by its name without the prefix, with its `_total`.

    Raises:
        KeyError: no such metric is declared.
    """
    metric = _DECLARED[PREFIX + name]
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
