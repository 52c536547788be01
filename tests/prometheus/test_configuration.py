"""Are Prometheus and Alertmanager configured as they themselves demand, and does every alert find its people and words?"""

import json
import re
from pathlib import Path

import pytest

from schemas.metrics import METRICS
from tests.prometheus.shipped import ALERTS, PROMETHEUS, RECORDED, RULES, run
from tests.system.prometheus_programs import Programs

ROUTES = PROMETHEUS / "alertmanager.yml"
RUNBOOK = PROMETHEUS.parents[1] / "docs" / "runbook.md"
PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def test_prometheus_accepts_its_configuration_and_its_rules(programs: Programs) -> None:
    run(programs.promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    run(programs.promtool, "check", "rules", *RULES)


def test_alertmanager_accepts_its_configuration(programs: Programs) -> None:
    assert "SUCCESS" in run(programs.amtool, "check-config", ROUTES)


def told(programs: Programs, **labels: str) -> set[str]:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return set(
        run(programs.amtool, "config", "routes", "test", f"--config.file={ROUTES}", *pairs).strip().split(",")
    )


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"site": "default", "about": "floor", "severity": "critical", "owner": "sales"}, "floor"),
        ({"site": "default", "about": "service", "severity": "warning"}, "floor"),
        ({"site": "default", "about": "floor", "severity": "critical", "owner": "support"}, "support"),
        ({"site": "default", "about": "service", "severity": "info", "owner": "support"}, "managers"),
        ({"site": "default", "about": "pipeline", "severity": "critical"}, "engineers-on-call"),
        ({"site": "default", "about": "pipeline", "severity": "warning"}, "engineers"),
        ({"site": "default", "about": "web", "severity": "warning"}, "floor"),
        ({"site": "default", "about": "watchdog", "severity": "none"}, "watchdog"),
        ({"site": "大阪", "about": "floor", "severity": "critical", "owner": "support"}, "webhook"),
        ({"site": "大阪", "about": "watchdog", "severity": "none"}, "watchdog"),
    ],
)
def test_site_owner_and_severity_decide_who_is_told(
    labels: dict[str, str], receiver: str, programs: Programs
) -> None:
    assert told(programs, alertname="Some", **labels) == {receiver}


def test_every_alert_says_how_urgent_it_is_what_about_and_where_to_look_in_both_languages() -> None:
    for rule in ALERTS.values():
        assert rule.labels.keys() == {"severity", "about"}
        assert rule.labels["severity"] in {"critical", "warning", "info", "none"}
        assert rule.labels["about"] in {"floor", "service", "pipeline", "web", "watchdog"}
        assert re.search(r"[ぁ-ゖァ-ヺ一-鿿]", rule.annotations["summary_ja"])
        assert rule.annotations["summary"].endswith(".")
        assert "{{" not in rule.annotations["summary"] + rule.annotations["summary_ja"], (
            "true of a whole group"
        )
        assert rule.annotations["runbook_url"] == f"runbook.md#{rule.name.lower()}"
        assert rule.annotations["dashboard_url"].startswith("/d/queuelight-")
        assert rule.name.startswith("Queuelight")


def test_no_symptom_of_the_floor_outlives_its_cause() -> None:
    assert {rule.stays for rule in ALERTS.values() if rule.labels["about"] == "floor"} == {"1m"}


def test_what_rules_read_is_exported_or_recorded_once() -> None:
    recorded = [rule.name for rule in RECORDED]
    assert len(recorded) == len(set(recorded))
    texts = [
        text for rule in (*RECORDED, *ALERTS.values()) for text in (rule.expr, *rule.annotations.values())
    ]
    read = {name for text in texts for name in re.findall(r"\b(?:[a-z_]+:)?queuelight_\w+(?::\w+)?", text)}
    assert len(read) > 50
    assert {name.removesuffix("_bucket") for name in read} <= {*recorded, *METRICS}


def test_the_last_value_of_a_metric_is_the_greatest_of_three_scrapes_and_keeps_its_labels() -> None:
    plain = [r for r in RECORDED if r.name.endswith(":last") and r.name.split(":")[1] in METRICS]
    assert len(plain) > 30
    for rule in plain:
        level, metric, _ = rule.name.split(":")
        labels = METRICS[metric].labels
        if metric == "queuelight_queue_info":
            labels = labels[:2]  # owner and team are what it says, not of what
        assert level == ("_".join(labels) or "site")
        by = f" by ({', '.join(METRICS[metric].labels)})" if labels else ""
        assert f"max{by} (last_over_time({metric}[15s]))" in rule.expr


# --- words ------------------------------------------------------------------------------------------------------------

WORDS = {
    "summary": "Customers wait far longer than promised.",
    "summary_ja": "お客様の待ち時間が約束を大きく超えています。",
    "dashboard_url": "/d/queuelight-queue?var-queue=x",
}
NUMBERS = {"value": "1m 16s", "limit": "1m 0s", "n": "4", "runbook_url": "runbook.md#queuelightlongestwait"}
GROUP = {"alertname": "QueuelightLongestWait", "channel": "voice", "site": "東京"}
LABELS = {**GROUP, "severity": "critical", "queue": "注文・配送"}


def said(programs: Programs, folder: Path, template: str, status: str = "firing") -> str:
    times = {"startsAt": "2026-11-02T01:00:05Z", "endsAt": "2026-11-02T01:09:00Z"}
    alert = {"status": status, "labels": LABELS, "annotations": {**WORDS, **NUMBERS}, **times}
    group = {"groupLabels": GROUP, "commonLabels": LABELS, "commonAnnotations": WORDS}
    data = folder / "incident.json"
    data.write_text(json.dumps({"receiver": "floor", "status": status, "alerts": [alert], **group}))
    command = (programs.amtool, "template", "render", f"--template.glob={PROMETHEUS / 'templates'}/*.tmpl")
    return run(
        *command,
        f'--template.text={{{{ template "{template}" . }}}}',
        f"--template.data={data}",
        zone="Asia/Tokyo",
    ).strip()


def test_a_message_says_what_where_since_when_the_numbers_and_where_to_look(
    programs: Programs, tmp_path: Path
) -> None:
    assert (
        said(programs, tmp_path, "queuelight.title.en")
        == "▲ Act now: Customers wait far longer than promised. · voice · 東京"
    )
    assert said(programs, tmp_path, "queuelight.text.en").splitlines() == [
        "東京 · 注文・配送 (voice) · 1m 16s (limit 1m 0s) · n = 4",
        "since 2026-11-02 10:00:05 JST",
        "Dashboard: http://127.0.0.1:3000/d/queuelight-queue?var-queue=x",
        "What to do: http://127.0.0.1:3000/public/queuelight/runbook.md#queuelightlongestwait",
    ]


def test_a_message_in_japanese_says_the_same(programs: Programs, tmp_path: Path) -> None:
    assert (
        said(programs, tmp_path, "queuelight.title.ja")
        == "▲ 至急: お客様の待ち時間が約束を大きく超えています。 · voice · 東京"
    )
    assert said(programs, tmp_path, "queuelight.text.ja").splitlines()[:2] == [
        "東京 · 注文・配送 (voice) · 1m 16s(基準 1m 0s) · n = 4",
        "2026-11-02 10:00:05 JST から",
    ]


def test_what_is_over_is_said_to_be_over(programs: Programs, tmp_path: Path) -> None:
    assert said(programs, tmp_path, "queuelight.title.en", "resolved").startswith("✓ Resolved: ")
    assert "from 2026-11-02 10:00:05 JST to 2026-11-02 10:09:00 JST" in said(
        programs, tmp_path, "queuelight.text.en", "resolved"
    )
    assert "10:00:05 JST から 2026-11-02 10:09:00 JST まで" in said(
        programs, tmp_path, "queuelight.text.ja", "resolved"
    )


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_mail_says_what_the_text_says(programs: Programs, tmp_path: Path, lang: str) -> None:
    html = said(programs, tmp_path, f"queuelight.html.{lang}")
    for part in (
        "1m 16s",
        "n = 4",
        "注文・配送",
        "10:00:05 JST",
        'href="http://127.0.0.1:3000/d/queuelight-queue',
    ):
        assert part in html
    assert html.count("<p>") == html.count("</p>") == 1


def test_every_template_that_the_routes_use_is_defined() -> None:
    used = set(re.findall(r'template "([\w.]+)"', ROUTES.read_text()))
    defined = {
        n
        for path in (PROMETHEUS / "templates").iterdir()
        for n in re.findall(r'define "([\w.]+)"', path.read_text())
    }
    assert used
    assert used <= defined


# --- the runbook ------------------------------------------------------------------------------------------------------


def test_every_alert_has_a_page_in_the_runbook_and_every_page_an_alert() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)


def test_every_page_says_meaning_impact_diagnosis_and_mitigation() -> None:
    pages = re.split(r"^## ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for page in pages:
        assert re.findall(r"^\*\*(\w+)\.\*\* \S", page, flags=re.MULTILINE) == PARTS, page[:60]


def test_the_runbook_names_only_what_there_is() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    names = set(re.findall(r"\bqueuelight_\w+", text))
    assert names
    assert names <= METRICS.keys()
    assert set(re.findall(r"\bQueuelight[A-Z]\w+", text)) <= ALERTS.keys()
