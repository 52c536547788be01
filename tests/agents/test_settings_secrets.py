"""Secrets in files of their own, and what Kafka and Redis are told of passwords and certificates."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from redis.connection import parse_url

from agents.settings import Settings, load
from agents.settings.shown import describe
from schemas.errors import SettingsError

SASL = '[kafka]\nsecurity_protocol = "SASL_SSL"\nsasl_mechanism = "SCRAM-SHA-512"\nsasl_username = "queuelight"\n'


def loaded(folder: Path, text: str, **files: str) -> Settings:
    """Settings from a text in which {name} stands for the path of a file with that content."""
    for name, content in files.items():
        (folder / name).write_text(content)
    path = folder / "queuelight.toml"
    path.write_text(text.format(**{name: folder / name for name in files}))
    return load(path)


def test_a_secret_is_read_from_the_file_that_is_named_and_shown_only_with_its_place(tmp_path: Path) -> None:
    text = SASL + 'sasl_password_file = "{secret}"\n'
    settings = loaded(tmp_path, text, secret="sword fish\n")
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "sword fish"
    shown = describe(settings)
    assert f'sasl_password = "***"  # {tmp_path}/queuelight.toml, {tmp_path}/secret' in shown
    assert "sword fish" not in shown + repr(settings)


@pytest.mark.parametrize(
    ("variable", "seen"),
    [
        ("QUEUELIGHT_KAFKA_SASL_PASSWORD_FILE", lambda s: s.kafka.sasl_password),
        ("QUEUELIGHT_REDIS_URL_FILE", lambda s: s.redis.url),
        ("QUEUELIGHT_REDIS_PASSWORD_FILE", lambda s: s.redis.password),
    ],
)
def test_the_environment_names_files_of_secrets_too(
    variable: str, seen: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("redis://held:1")
    monkeypatch.setenv(variable, str(secret))
    assert callable(seen)
    text = SASL + ('sasl_password = "x"\n' if "KAFKA" not in variable else "")
    settings = loaded(tmp_path, text + ('[redis]\nurl = "redis://h:1"\n' if "URL" not in variable else ""))
    assert seen(settings).get_secret_value() == "redis://held:1"


def test_the_pseudonym_key_may_stand_in_a_file(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[wallboard.access]\npseudonym_key_file = "{key}"\n', key="of the site")
    assert settings.wallboard.access.pseudonym_key is not None
    assert settings.wallboard.access.pseudonym_key.get_secret_value() == "of the site"


def test_a_later_source_overrides_a_secret_from_a_file_and_the_other_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said, variable in (
        ('sasl_password_file = "{secret}"', "QUEUELIGHT_KAFKA_SASL_PASSWORD"),
        ('sasl_password = "of the file"', "QUEUELIGHT_KAFKA_SASL_PASSWORD_FILE"),
    ):
        newer = tmp_path / "newer"
        newer.write_text("newer")
        with monkeypatch.context() as environment:
            environment.setenv(variable, str(newer) if variable.endswith("FILE") else "newer")
            settings = loaded(tmp_path, SASL + said, secret="of the file")
        assert settings.kafka.sasl_password is not None
        assert settings.kafka.sasl_password.get_secret_value() == "newer"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'sasl_password = "x"\nsasl_password_file = "{secret}"',
            "`sasl_password` is given as well: expected one of the two",
        ),
        ('sasl_password_file = "/there/is/none"', "/there/is/none cannot be read: No such file or directory"),
        ('sasl_password_file = "/"', "/ cannot be read: Is a directory"),
        ('sasl_password_file = "{empty}"', "expected 1 to 65536 bytes in {empty}, saw 1"),
        ("sasl_password_file = 5", "expected the path of a file"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_with_its_place(
    text: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, SASL + text, secret="swordfish", empty="\n")
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}/queuelight.toml: `sasl_password_file` in [kafka]: ")
    assert message.endswith(expected.replace("{empty}", str(tmp_path / "empty")))
    assert "swordfish" not in message


def test_a_refused_url_from_a_file_names_the_file_and_not_the_url(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, '[redis]\nurl_file = "{url}"\n', url="http://:swordfish@cache")
    assert f"{tmp_path}/url: `url` in [redis]: expected a URL such as redis://" in str(refused.value)
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache:6379/2", {"host": "cache", "port": 6379, "db": 2, "password": "p@ss/w:rd %"}),
        (
            "redis://user@cache:6379",
            {"host": "cache", "port": 6379, "username": "user", "password": "p@ss/w:rd %"},
        ),
        ("redis://user:@[::1]:6379", {"host": "::1", "port": 6379, "username": "user"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock", "password": "p@ss/w:rd %"}),
    ],
)
def test_redis_is_told_the_password_that_stands_apart(
    url: str, expected: dict[str, object], tmp_path: Path
) -> None:
    text = f'[redis]\nurl = "{url}"\npassword_file = "{{secret}}"\n'
    settings = loaded(tmp_path, text, secret="p@ss/w:rd %")
    told = parse_url(settings.redis.address)  # type: ignore[no-untyped-call]
    assert {key: told.get(key) for key in expected} == expected
    assert told["password"] == "p@ss/w:rd %"


def test_redis_is_told_the_files_of_tls_beside_what_the_url_says(tmp_path: Path) -> None:
    text = """
        [redis]
        url = "rediss://cache:6380/1?protocol=3"
        ca_file = "{ca}"
        cert_file = "{cert}"
        key_file = "{key}"
    """
    address = loaded(tmp_path, text, ca="", cert="", key="").redis.address
    assert parse_qs(urlsplit(address).query) == {
        "protocol": ["3"],
        "ssl_ca_certs": [f"{tmp_path}/ca"],
        "ssl_certfile": [f"{tmp_path}/cert"],
        "ssl_keyfile": [f"{tmp_path}/key"],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[kafka]\nca_file = "{pem}"',
            "[kafka]: ca_file for TLS, but security_protocol PLAINTEXT: expected SSL",
        ),
        (
            '[kafka]\nsecurity_protocol = "SSL"\ncert_file = "{pem}"',
            "[kafka]: cert_file and key_file belong together",
        ),
        (
            '[redis]\nurl = "redis://h:1"\nca_file = "{pem}"',
            "[redis]: ca_file for TLS, but a redis:// URL: expected rediss://",
        ),
        (
            '[redis]\nca_file = "{pem}"',
            "[redis]: ca_file for TLS, but no url: expected a rediss:// URL as well",
        ),
        (
            '[redis]\nurl = "rediss://h:1"\nkey_file = "{pem}"',
            "[redis]: cert_file and key_file belong together",
        ),
        ('[redis]\npassword = "swordfish"', "[redis]: password without url"),
        (
            '[redis]\nurl = "redis://:swordfish@h:1"\npassword = "b"',
            "[redis]: there is a password in url and another",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, text, pem="")
    assert expected in str(refused.value)
    assert "swordfish" not in str(refused.value)
