"""Do the dashboards' queries keep the rules: declared names, windows matched, sums before quotients, rates that follow?"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

from schemas.metrics import METRICS, QUEUE_METRICS, VARIANTS, WORKER_METRICS, Metric
from tests.grafana.asked import CHOSEN, FOLDER, Asked, boards, filled, of_annotations, of_panels, of_variables

RULES = Path(__file__).resolve().parents[2] / "dashboards" / "prometheus" / "rules"
PROMETHEUS_OWN = {"ALERTS", "scrape_samples_scraped"}
RATES = {"rate", "irate", "increase"}
ASKED = [*of_panels(), *of_annotations()]


@cache
def parsed(expr: str, variant: str = CHOSEN["variant"]) -> promql.Expr:
    tree: promql.Expr = promql.parse(filled(expr, chosen={**CHOSEN, "variant": variant}))
    return tree


def nodes(tree: promql.Expr) -> list[Any]:
    found: list[Any] = []
    promql.walk(tree, found.append)
    return found


def selectors(tree: promql.Expr) -> list[Any]:
    """Every selector of an expression, those of ranges, too."""
    return [node for node in nodes(tree) if isinstance(node, promql.VectorSelector)]


def metric_names(expr: str, variant: str = CHOSEN["variant"]) -> set[str]:
    return {selector.name for selector in selectors(parsed(expr, variant))}


@cache
def exported() -> set[str]:
    """Every name under which a worker exports a sample."""
    names = set(METRICS)
    for metric in METRICS.values():
        if metric.kind == "histogram":
            names |= {f"{metric.name}_{part}" for part in ("bucket", "count", "sum")}
    return names


def records() -> list[str]:
    """What the recording rules keep, in the order of the files."""
    return [
        rule["record"]
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "record" in rule
    ]


@cache
def recorded() -> set[str]:
    """Every name that a recording rule keeps."""
    return set(records())


def test_there_is_something_to_check() -> None:
    assert len(of_panels()) > 100
    assert len(of_annotations()) == 14
    assert len(list(of_variables())) > 15


def test_nothing_is_recorded_twice_and_nothing_for_nobody() -> None:
    assert len(records()) == len(recorded())
    asked = " ".join(each.expr.replace("${variant}", v) for each in of_panels() for v in VARIANTS)
    for group in yaml.safe_load((RULES / "dashboards.yml").read_text(encoding="utf-8"))["groups"]:
        assert {rule["record"] for rule in group["rules"] if rule["record"] not in asked} == set()


def each_selector() -> Iterator[tuple[Asked, Any]]:
    return ((asked, each) for asked in ASKED for each in selectors(parsed(asked.expr)))


def each_node() -> Iterator[tuple[Asked, Any]]:
    return ((asked, node) for asked in ASKED for node in nodes(parsed(asked.expr)))


def metric_of(name: str) -> Metric | None:
    """What is declared of a recorded name, of a metric or of a part of a histogram."""
    plain = name.split(":")[1] if ":" in name else name
    return METRICS.get(plain) or METRICS.get(re.sub("_(bucket|count|sum)$", "", plain))


def test_every_query_is_promql() -> None:
    for asked in ASKED:
        assert nodes(parsed(asked.expr)), str(asked)


def test_every_metric_is_declared_or_recorded() -> None:
    known = exported() | recorded() | PROMETHEUS_OWN
    for asked in ASKED:
        for variant in VARIANTS if "${variant}" in asked.expr else (CHOSEN["variant"],):
            names = metric_names(asked.expr, variant)
            assert names, str(asked)
            assert names <= known, f"{asked}: {names - known}: not in schemas/metrics.py, not recorded"


def test_variables_ask_for_labels_that_the_metrics_have() -> None:
    for board, variable, selector, label in of_variables():
        (name,) = metric_names(selector)
        metric = metric_of(name)
        assert name in exported() | recorded(), f"{board}: {variable} asks for {name}"
        assert metric is not None
        # The site is a label of the target, where there are several.
        assert label in (*metric.labels, "site"), f"{board}: {variable}"


def test_every_selector_of_a_window_says_which() -> None:
    for asked, selector in each_selector():
        if "queuelight_window_" in selector.name:
            chosen = [m.op for m in selector.matchers.matchers if m.name == "window"]
            assert chosen == [promql.MatchOp.Equal], f"{asked}: {selector} adds windows up"


def test_every_selector_follows_the_variables_of_its_dashboard() -> None:
    offered = {uid: {v["name"] for v in board["templating"]["list"]} for uid, board in boards().items()}
    for asked, selector in each_selector():
        metric = metric_of(selector.name)
        labels = {"site"} | {"channel", "queue", "team"} & set(metric.labels if metric is not None else ())
        matched = {m.name for m in selector.matchers.matchers}
        # Annotations are the same everywhere: they know only what every dashboard lets one choose.
        wanted = {"site"} if asked.panel.startswith("annotation") else labels & offered[asked.board]
        assert wanted <= matched, f"{asked}: {selector}"


def test_gauges_of_queues_are_read_as_the_rules_keep_them() -> None:
    """Over a rebalance two workers may show the same queue: a sum of what comes would count it twice."""
    for asked, selector in each_selector():
        kept = metric_of(selector.name) in QUEUE_METRICS and ":" not in selector.name
        assert not kept, f"{asked}: {selector.name} has a recording rule"


def test_nothing_is_averaged_but_from_sums() -> None:
    for asked, node in each_node():
        name = str(node.op if isinstance(node, promql.AggregateExpr) else getattr(node, "func", None))
        assert "avg" not in name, str(asked)


def test_a_sum_never_goes_over_quotients() -> None:
    for asked, node in each_node():
        # The sum of logarithms is the product of the shares that stay, as the estimate of patience has it.
        if (
            isinstance(node, promql.AggregateExpr)
            and str(node.op) == "sum"
            and asked.panel != "Patience curve"
        ):
            within = [n for n in nodes(node.expr) if isinstance(n, promql.BinaryExpr)]
            assert "/" not in {str(n.op) for n in within}, f"{asked}: {node}"


def test_counters_are_only_read_as_rates() -> None:
    # Histograms of queues are state, like their gauges; those of a process count.
    counted = {metric.name for metric in WORKER_METRICS if metric.kind == "counter"}
    counted |= {f"{metric.name}_bucket" for metric in WORKER_METRICS if metric.kind == "histogram"}
    for asked in ASKED:
        rated = Counter(
            argument.vector_selector.name
            for call in nodes(parsed(asked.expr))
            if isinstance(call, promql.Call) and call.func.name in RATES
            for argument in call.args
            if isinstance(argument, promql.MatrixSelector)
        )
        read = Counter(selector.name for selector in selectors(parsed(asked.expr)))
        assert {name: read[name] - rated[name] for name in counted & set(read)} == dict.fromkeys(
            counted & set(read), 0
        ), str(asked)


def test_rates_follow_the_step() -> None:
    for asked in ASKED:
        ranges = re.findall(r"\b(?:rate|irate|increase)\([a-z_]+(?:\{[^}]*\})?\[([^\]]+)\]\)", asked.expr)
        assert set(ranges) <= {"$__rate_interval"}, str(asked)


def test_the_linter_of_others_is_told_which_rules_do_not_apply_and_why() -> None:
    told = yaml.safe_load((FOLDER / "json" / ".lint").read_text(encoding="utf-8"))["exclusions"]
    assert set(told) == {
        "template-job-rule", "template-instance-rule", "target-job-rule", "target-instance-rule",
    }  # fmt: skip
    assert all(rule["reason"] for rule in told.values())
