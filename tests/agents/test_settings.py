"""Is what a person writes into file, environment and flags what is in force, and is a mistake named?"""

import dataclasses
import pickle
import re
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.settings import Settings, load, variables
from agents.settings.file import Sections, masked_url
from agents.settings.shown import describe, reference
from schemas.errors import SettingsError
from schemas.metrics import WINDOW_LABELS
from streams.site import AlertLimits, Limits, Site


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
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path / 'queuelight.toml'}: ")


def test_without_any_settings_the_defaults_of_the_definitions_are_in_force() -> None:
    settings = load()
    assert settings.site == Site()
    assert settings.site.policy("anything", "chat").answer_within_s == 60.0
    assert settings.kafka.partitions == 4
    assert settings.redis.url is None
    assert settings.worker.metrics_port == 9108
    assert not settings.sources


def test_the_environment_wins_over_the_file_and_a_flag_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[kafka]\nbroker = "file:1"\npartitions = 8\napp_id = "mine"\n')
    monkeypatch.setenv("QUEUELIGHT_KAFKA_BROKER", "environment:1")
    monkeypatch.setenv("QUEUELIGHT_KAFKA_PARTITIONS", "16")
    settings = load(file, {"kafka.broker": "flag:1", "worker.name": None})
    assert (settings.kafka.broker, settings.kafka.partitions, settings.kafka.app_id) == ("flag:1", 16, "mine")
    assert settings.sources == {
        "kafka.broker": "flag",
        "kafka.partitions": "environment",
        "kafka.app_id": "file",
    }


def test_the_environment_can_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_CONFIG", str(written(tmp_path, '[site]\nname = "Osaka"\n')))
    assert load().site.name == "Osaka"


def test_queues_can_be_given_in_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_QUEUES", '{"Sales": {"target": 0.9}}')
    assert load().site.queues["Sales"].target == 0.9


def test_a_queue_inherits_what_it_does_not_say_from_its_channel(tmp_path: Path) -> None:
    text = """
        [queue_defaults.chat]
        answer_within_s = 45
        [queues."注文・配送"]
        [queues."Sales.EU"]
        channel = "chat"
        target = 0.9
        zone = "Europe/Madrid"
    """
    queues = load(written(tmp_path, text)).site.queues
    assert queues["注文・配送"].answer_within_s == 20.0
    sales = queues["Sales.EU"]
    assert (sales.channel, sales.answer_within_s, sales.target) == ("chat", 45.0, 0.9)
    assert (sales.reap_after_s, sales.zone) == (24 * 3600.0, "Europe/Madrid")


def test_opening_hours_are_said_by_weekday_and_a_queue_inherits_what_it_does_not_say(tmp_path: Path) -> None:
    text = """
        [site]
        zone = "Asia/Tokyo"
        [site.hours]
        mon-fri = "09:00-18:00"
        sat = ["09:00-12:00", "13:00-15:00"]
        holidays = ["2026-01-01", 2026-01-02]
        special = { "2026-12-24" = "09:00-13:00" }
        [queues."Night"]
        [queues."Night".hours]
        fri-mon = "22:00-06:00"
        [queues."Claims"]
        [queues."Claims".hours]
        holidays = []
        [queues."Sales"]
    """
    site = load(written(tmp_path, text)).site
    open_at = {
        queue: [
            site.is_open(int(datetime.fromisoformat(f"{at}+09:00").timestamp() * 1000), queue)
            for at in (
                "2026-10-05T10:00",
                "2026-10-03T12:30",
                "2026-01-01T10:00",
                "2026-10-06T05:59",
                "2026-12-24T14:00",
            )
        ]
        for queue in ("", "Sales", "Night", "Claims")
    }
    assert open_at[""] == open_at["Sales"] == [True, False, False, False, False]
    assert open_at["Night"] == [False, False, False, True, False]
    assert open_at["Claims"] == [True, False, True, False, False]


def test_without_opening_hours_it_is_always_open() -> None:
    assert load().site.is_open(0)
    assert load().site.is_open(1_790_000_000_000, "any")


def test_opening_hours_can_be_given_in_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_SITE_HOURS", '{"sat-sun": "10:00-24:00"}')
    assert load().site.hours.week == ((),) * 5 + (((600, 1440),),) * 2


def test_limits_for_alerts_follow_x_unless_they_are_said(tmp_path: Path) -> None:
    text = """
        [queue_defaults.chat]
        alert_abandonment = 0.2
        [queues."Sales"]
        answer_within_s = 30
        alert_expected_wait_s = 45
        [queues."Talk"]
        channel = "chat"
        team = "Osaka"
    """
    site = load(written(tmp_path, text)).site
    assert site.queues["Sales"].alert_limits() == AlertLimits(90.0, 45.0, 0.1, 3600.0, None, None)
    assert site.queues["Talk"].alert_limits() == AlertLimits(180.0, 180.0, 0.2, 3600.0, 120.0, 0.1)


def test_the_windows_of_the_metrics_can_be_fewer(tmp_path: Path) -> None:
    assert load().worker.metrics_windows == WINDOW_LABELS
    assert load(written(tmp_path, '[worker]\nmetrics_windows = ["30m", "day"]')).worker.metrics_windows == (
        "30m",
        "day",
    )


def test_limits_are_written_in_hours_and_seconds_and_counted_in_milliseconds(tmp_path: Path) -> None:
    limits = load(written(tmp_path, "[limits]\nkeep_h = 48\nagent_lost_s = 60\nmax_queues = 5\n")).site.limits
    assert limits == Limits(keep_ms=48 * 3_600_000, agent_lost_ms=60_000, max_queues=5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[queues."Sales"]\nanswer_withn_s = 3',
            'unknown key `answer_withn_s` in [queues."Sales"]: did you mean `answer_within_s`?',
        ),
        ("[sites]\n", "unknown section `sites`: did you mean `site`?"),
        ("[queue_defaults.vice]\n", "unknown key `vice` in [queue_defaults]: did you mean `voice`?"),
        (
            "[queue_defaults.chat]\ntraget = 1",
            "unknown key `traget` in [queue_defaults.chat]: did you mean `target`?",
        ),
        (
            "[redis]\nqqq = 1",
            "unknown key `qqq` in [redis]: expected one of url, url_file, password, password_file, ca_file, cert_file, key_file",
        ),
        ("site = 3", "expected a table [site], saw 3"),
        (
            '[site.hours]\nmonday = "09:00-18:00"',
            "unknown key `monday` in [site.hours]: did you mean `mon`?",
        ),
        (
            "[queues.Sales.hours]\nholydays = []",
            'unknown key `holydays` in [queues."Sales".hours]: did you mean `holidays`?',
        ),
        ("[site]\nhours = 3", "expected a table [site.hours], saw 3"),
        ("[queues]\nSales = 3", 'expected a table [queues."Sales"], saw 3'),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert refusal(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[site]\nzone = "Asia/Tokio"', "`zone` in [site]: expected a time zone such as Asia/Tokyo or UTC"),
        ('[site]\nzone = "/etc"', "`zone` in [site]: expected a time zone"),
        (
            '[site]\nday_starts_at = "24:00"',
            "`day_starts_at` in [site]: expected a clock time HH:MM, saw '24:00'",
        ),
        (
            "[queues.Sales]\ntarget = 1.5",
            '`target` in [queues."Sales"]: expected a value less than or equal to 1',
        ),
        (
            "[queues.Sales]\ntarget = 0",
            '`target` in [queues."Sales"]: expected a value greater than 0, saw 0',
        ),
        ("[queues.Sales]\nanswer_within_s = nan", '`answer_within_s` in [queues."Sales"]: expected a'),
        ('[queues.Sales]\nchannel = "fax"', "`channel` in [queues.\"Sales\"]: expected 'voice', 'chat'"),
        ('[queues."(other queues)"]', "'(other queues)' is the row of the queues beyond the limit"),
        ('[queues."a\\u0007b"]', '[queues."a\\x07b"]: expected a name of 1 to 200 characters'),
        ('[site.hours]\nmon = "9-18"', "`mon` in [site.hours]: expected hours such as 09:00-18:00"),
        ('[site.hours]\nmon = "10:00-10:00"', "saw '10:00-10:00'"),
        ('[site.hours]\nmon = "10:00-24:30"', "saw '10:00-24:30'"),
        ('[queues.Sales.hours]\nsun = "25:00-26:00"', '`sun` in [queues."Sales".hours]: expected hours'),
        ('[site.hours]\nmon-fri = "09:00-18:00"\nwed = []', "`wed` is said twice in [site.hours]"),
        ('[site.hours]\nholidays = ["2026-02-30"]', "in [site.hours.holidays]: expected a valid date"),
        (
            '[site.hours]\nholidays = ["2026-02-03"]\nspecial = { "2026-02-03" = [] }',
            "`hours` in [site]: 2026-02-03 is in holidays and in special",
        ),
        (
            '[site.hours.special]\n"2026-12-24" = "nine"',
            "`2026-12-24` in [site.hours.special]: expected hours",
        ),
        ("[worker]\nmetrics_windows = []", "`metrics_windows` in [worker]: "),
        ('[worker]\nmetrics_windows = ["1m", "1m"]', "expected each once, saw '1m' twice"),
        ('[worker]\nmetrics_windows = ["2m"]', "expected '1m', '5m', '15m'"),
        ('[kafka]\nbroker = "localhost"', "`broker` in [kafka]: expected HOST:PORT"),
        (
            '[kafka]\nsecurity_protocol = "SASL_SSL"',
            "[kafka]: security_protocol SASL_SSL needs sasl_mechanism and",
        ),
        ('[kafka]\nsasl_username = "u"', "[kafka]: security_protocol PLAINTEXT does not use sasl_*"),
        ('[kafka]\nca_file = "/there/is/none"', "`ca_file` in [kafka]: expected a file"),
        ("[limits]\nkeep_h = 1", "`keep_h` in [limits]: expected a value greater than or equal to 25, saw 1"),
        (
            "[worker]\nmetrics_port = 70000",
            "`metrics_port` in [worker]: expected a value less than or equal to 65535",
        ),
        ("nonsense", "no valid TOML"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


def test_a_variable_with_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_KAFKA_BROKR", "h:1")
    with pytest.raises(SettingsError, match="QUEUELIGHT_KAFKA_BROKR: did you mean `QUEUELIGHT_KAFKA_BROKER`"):
        load()


def test_a_refused_variable_is_said_to_be_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_KAFKA_PARTITIONS", "many")
    with pytest.raises(
        SettingsError, match=r"environment: `partitions` in .kafka.: expected a valid integer"
    ):
        load()


def test_a_missing_file_and_a_folder_are_no_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(SettingsError, match="this is a folder"):
        load(tmp_path)


def test_secrets_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUELIGHT_KAFKA_SASL_PASSWORD", "swordfish")
    text = """
        [redis]
        url = "rediss://user:swordfish@cache:6380/1?password=swordfish"
        [kafka]
        security_protocol = "sasl_ssl"
        sasl_mechanism = "scram-sha-512"
        sasl_username = "user"
    """
    settings = load(written(tmp_path, text))
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "swordfish"
    assert "swordfish" not in describe(settings) + repr(settings) + str(settings)
    assert 'url = "rediss://user:***@cache:6380/1?password=***"' in describe(settings)


@pytest.mark.parametrize(
    "text",
    [
        '[redis]\nurl = "http://:swordfish@cache"',
        "[kafka]\nsasl_password = 5007",
        '[redis]\nurl = "redis://x:swordfish"',
    ],
)
def test_a_refused_secret_is_not_in_the_message(tmp_path: Path, text: str) -> None:
    message = refusal(tmp_path, text)
    assert "swordfish" not in message
    assert "5007" not in message


def test_a_url_keeps_everything_but_its_password() -> None:
    assert masked_url("redis://:secret@h:6379/0") == "redis://:***@h:6379/0"
    assert masked_url("redis://h:6379/0") == "redis://h:6379/0"
    assert masked_url("redis://user@h:6379/0") == "redis://user@h:6379/0"


def test_what_is_described_can_be_read_back_and_says_the_same(tmp_path: Path) -> None:
    text = """
        [site]
        name = "大阪 \\"1\\""
        zone = "Asia/Tokyo"
        [queues."Sales.EU"]
        channel = "chat"
        team = "Madrid"
        short_abandon_s = 2.5
        owner = "夜勤"
        alert_longest_wait_s = 90
        [queues."Sales.EU".hours]
        mon-thu = "22:00-06:00"
        holidays = ["2026-01-01"]
        [site.hours]
        mon-fri = ["09:00-12:00", "13:00-18:00"]
        special = { "2026-12-24" = "09:00-13:00" }
        [limits]
        keep_h = 30.5
    """
    first = load(written(tmp_path, text))
    assert 'zone = "Asia/Tokyo"  # file' in describe(first)
    assert 'wed = ["22:00-06:00"]  # file' in describe(first)
    again = load(written(tmp_path, describe(first)))
    assert again.site == first.site
    assert (again.kafka, again.redis, again.worker) == (first.kafka, first.redis, first.worker)


def test_settings_cannot_be_changed_but_travel_to_other_processes() -> None:
    settings = Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.site = Site()  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.kafka.partitions = 5  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_the_table_of_settings_names_every_key_once() -> None:
    rows = reference().splitlines()[2:]
    named = [row.split("|")[1].strip() for row in rows]
    assert len(named) == len(set(named))
    for section, info in Sections.model_fields.items():
        if section not in ("queues", "queue_defaults"):
            keys = getattr(info.annotation, "model_fields")  # noqa: B009
            assert {f"`[{section}] {key}`" for key in keys} <= set(named)
    assert tomllib.loads(describe(Settings()))["kafka"]["broker"] == "127.0.0.1:9092"


def test_the_example_of_the_settings_page_is_in_force_as_it_says(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs/settings.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    site = load(written(tmp_path, example)).site
    night = site.queues["夜間窓口"]
    assert night.hours is not None
    assert night.hours.week == (((1320, 1800),),) * 7
    assert night.hours.special == site.hours.special
    assert (night.team, night.owner, night.alert_limits().longest_wait_s) == ("大阪", "night desk", 90.0)


def test_the_documented_settings_are_those_there_are() -> None:
    page = Path(__file__).resolve().parents[2] / "docs/settings.md"
    assert page.read_text().endswith(reference().rstrip() + "\n"), (
        "run: .venv/bin/queuelight config --table, and put it there"
    )


def test_the_lists_of_the_collector_are_read_shown_and_their_mistakes_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of sixteen characters")
    text = f"""
        [collector]
        tenant_keys = "k1 0123456789abcdef"
        [[collector.sites]]
        key = "shop"
        origins = ["HTTPS://Shop.example.com/"]
        identify_secret_file = "{secret}"
        page_rules = [{{ match = "/p/*", page = "/p/{{name}}" }}]
        [[collector.sources]]
        name = "crm"
        secret_file = "{secret}"
    """
    settings = load(written(tmp_path, text))
    (site,) = settings.collector.sites
    assert site.origins == ("https://shop.example.com",)
    assert site.identify_secret is not None
    assert site.identify_secret.get_secret_value() == secret.read_text()
    shown = describe(settings)
    assert secret.read_text() not in shown
    assert "0123456789abcdef" not in shown
    assert tomllib.loads(shown)["collector"]["sites"][0]["page_rules"] == [
        {"match": "/p/*", "page": "/p/{name}"}
    ]
    assert tomllib.loads(shown)["collector"]["sources"] == [{"name": "crm", "secret": "***"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[collector.sites]]\nkey = "s"\norigin = []', "unknown key `origin` in [collector.sites]: did you mean"),
        ('[[collector.sites]]\nkey = "s"\norigins = ["shop"]', "expected an origin such as https://"),
        ('[[collector.sites]]\nkey = "a b"\norigins = ["http://x"]', "expected 1 to 64 letters"),
        ('[[collector.sites]]\nkey = "s"\norigins = ["http://x"]\npage_rules = [{ match = "x" }]', "expected a path"),
        ('[[collector.sources]]\nname = "crm"', "expected secret_file"),
        ('[[collector.sources]]\nname = "crm"\nsecret = "swordfish"', "expected a secret of at least 16"),
        ('[collector]\ntenant_keys = "swordfish"', "expected a secret of at least 16"),
        ('[collector]\ntenant_keys = "swordfish of mine"', "line 1: expected a key id and a secret"),
        ('[collector]\nsites = 5', "`sites` in [collector]"),
        ('[collector]\ntrusted_proxies = ["everybody"]', "expected an address or network"),
    ],
)  # fmt: skip
def test_what_a_collector_cannot_use_is_refused_without_its_secret(
    text: str, said: str, tmp_path: Path
) -> None:
    message = refusal(tmp_path, text)
    assert said in message
    assert "swordfish" not in message
