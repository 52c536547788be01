"""Is a visitor judged as `[journeys]` says, and is a mistake in it named?"""

from pathlib import Path

import pytest

from agents.settings import load, variables
from agents.settings.shown import describe
from schemas.errors import SettingsError
from streams.journeys.policy import JourneyPolicy, Offer
from streams.simulator import default_site

OFFERS = """
[[journeys.offers]]
pages = "/billing*"
kind = "chat invite"
queue = "Billing"

[[journeys.offers]]
pages = "*"
kind = "FAQ link"
"""


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("QUEUELIGHT_CONFIG", raising=False)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "queuelight.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as error:
        load(written(tmp_path, text))
    return str(error.value).removeprefix(f"{tmp_path / 'queuelight.toml'}: ")


def test_without_a_word_about_journeys_the_policy_of_the_folds_is_in_force() -> None:
    assert load().site.journeys == JourneyPolicy()


def test_minutes_hours_and_seconds_are_counted_in_milliseconds(tmp_path: Path) -> None:
    text = """
        [journeys]
        session_gap_min = 20
        within_min = 45
        help_within_h = 12
        left_s = 90
        cool_s = 30
        contact_pages = ["/call-us"]
    """
    assert load(written(tmp_path, text)).site.journeys == JourneyPolicy(
        session_gap_ms=1_200_000,
        within_ms=2_700_000,
        help_within_ms=43_200_000,
        left_ms=90_000,
        cool_ms=30_000,
        contact_pages=("/call-us",),
    )


def test_the_first_offer_whose_pages_fit_is_the_one_foreseen(tmp_path: Path) -> None:
    policy = load(written(tmp_path, OFFERS)).site.journeys
    assert policy.offer_for("/billing/late") == Offer(pages="/billing*", kind="chat invite", queue="Billing")
    assert policy.offer_for("/") == Offer(pages="*", kind="FAQ link")


def test_journeys_can_be_given_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_JOURNEYS_THRESHOLD", "0.4")
    monkeypatch.setenv("QUEUELIGHT_JOURNEYS_OFFERS", '[{"pages": "/x", "kind": "callback"}]')
    policy = load().site.journeys
    assert (policy.threshold, policy.offers) == (0.4, (Offer(pages="/x", kind="callback"),))


def test_another_site_is_judged_as_the_file_says_and_else_as_it_says_itself(tmp_path: Path) -> None:
    said = load(written(tmp_path, "[journeys]\nthreshold = 0.4\n"))
    assert said.with_site(default_site(2)).site.journeys.threshold == 0.4
    assert load().with_site(default_site(2)).site.journeys == JourneyPolicy()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[journeys]\ntreshold = 1", "unknown key `treshold` in [journeys]: did you mean `threshold`?"),
        (
            "[[journeys.offers]]\npages = '*'\nkind = 'x'\nqeue = 'y'",
            "unknown key `qeue` in [journeys.offers 1]: did you mean `queue`?",
        ),
        (
            "[journeys]\nwithin_min = 120\nhelp_within_h = 1",
            "[journeys]: expected within_min of at most help_within_h, saw 120 min and 1 h",
        ),
        (
            "[journeys]\nwebhook_url = 'ftp://me:secret@host'",
            "`webhook_url` in [journeys]: expected an address such as https://HOST/path, saw 'ftp://me:***@host'",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text) == expected


def test_what_is_shown_says_the_same_again_without_the_secrets(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("nobody-may-see-this\n")
    text = f"[journeys]\nthreshold = 0.4\nwebhook_secret_file = '{secret}'\n{OFFERS}"
    first = load(written(tmp_path, text))
    assert first.journeys.webhook_secret is not None
    assert first.journeys.webhook_secret.get_secret_value() == "nobody-may-see-this"
    shown = describe(first)
    assert "nobody-may-see-this" not in shown
    assert load(written(tmp_path, shown)).site == first.site
