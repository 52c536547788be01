"""How are Kafka and Redis reached, and as whom? Addresses, names, passwords and files of TLS, checked together.

Refuses to know the clients: each takes what it needs in its own words. Secrets in files of their own are read by
`agents.settings.secrets`.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from agents.settings.secrets import SecretFile
from agents.settings.values import KafkaName, Section, brokers, existing_file, redis_url, upper

GivenFile = Annotated[Path, AfterValidator(existing_file)] | None


class KafkaSettings(Section):
    """`[kafka]`."""

    broker: Annotated[str, AfterValidator(brokers)] = Field(
        "127.0.0.1:9092", description="HOST:PORT of the broker, or several with commas between."
    )
    partitions: int = Field(
        4, ge=1, le=1000, description="Partitions of every topic; fixed once the topics exist."
    )
    topic_prefix: KafkaName = Field("", description="Put before every topic name.")
    app_id: Annotated[KafkaName, Field(min_length=1)] = Field(
        "queuelight", description="Consumer group and name of the checkpoints."
    )
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(upper)
    ] = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None, BeforeValidator(upper)
    ] = Field(None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    sasl_username: str | None = Field(None, description="User name for SASL.")
    sasl_password: SecretStr | None = Field(None, description="Password for SASL.")
    sasl_password_file: SecretFile = Field(None, description="File with nothing but that password.")
    ca_file: GivenFile = Field(
        None,
        description="PEM file with the authorities that sign the broker's certificate. Default: the system's.",
    )
    cert_file: GivenFile = Field(
        None, description="PEM file with our certificate, where the broker asks for one."
    )
    key_file: GivenFile = Field(None, description="PEM file with its key, without a passphrase.")

    @property
    def is_encrypted(self) -> bool:
        """True when the connection is TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSettings":
        names = ("sasl_mechanism", "sasl_username", "sasl_password")
        missing = [name for name in names if getattr(self, name) is None]
        if self.security_protocol.startswith("SASL") and missing:
            raise ValueError(
                f"security_protocol {self.security_protocol} needs {' and '.join(missing)} as well"
            )
        if not self.security_protocol.startswith("SASL") and len(missing) < len(names):
            raise ValueError(
                f"security_protocol {self.security_protocol} does not use sasl_*: expected SASL_SSL or SASL_PLAINTEXT"
            )
        if not self.is_encrypted:
            _refuse_files(self, f"security_protocol {self.security_protocol}", "SSL or SASL_SSL")
        _refuse_half_a_certificate(self)
        return self


class RedisSettings(Section):
    """`[redis]`."""

    url: Annotated[SecretStr, AfterValidator(redis_url)] | None = Field(
        None,
        description="redis://[[USER]:PASSWORD@]HOST:PORT/DB, or rediss:// for TLS; "
        "without it nothing is published there.",
    )
    url_file: SecretFile = Field(None, description="File with nothing but that URL.")
    password: SecretStr | None = Field(None, description="Password, where it is not in the URL.")
    password_file: SecretFile = Field(None, description="File with nothing but that password.")
    ca_file: GivenFile = Field(
        None,
        description="PEM file with the authorities that sign Redis' certificate. Default: the system's.",
    )
    cert_file: GivenFile = Field(None, description="PEM file with our certificate, where Redis asks for one.")
    key_file: GivenFile = Field(None, description="PEM file with its key, without a passphrase.")

    @property
    def address(self) -> str:
        """Everything that redis-py has to know, as a URL; contains the password. Only where a URL was given."""
        assert self.url is not None, "whoever needs Redis says so where there is no URL"
        parts = urlsplit(self.url.get_secret_value())
        place = parts.netloc
        if self.password is not None:
            user, at, host = place.rpartition("@")
            user = user.removesuffix(":") if at else ""
            place = f"{user}:{quote(self.password.get_secret_value(), safe='')}@{host}"
        files = {"ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}
        said = [parts.query, urlencode({name: path for name, path in files.items() if path is not None})]
        return urlunsplit((parts.scheme, place, parts.path, "&".join(filter(None, said)), ""))

    @model_validator(mode="after")
    def _fit(self) -> "RedisSettings":
        if self.url is None:
            _refuse_files(self, "no url", "a rediss:// URL as well")
            if self.password is not None:
                raise ValueError("password without url: expected url as well")
            return self
        parts = urlsplit(self.url.get_secret_value())
        if self.password is not None and (parts.password or "password=" in parts.query.lower()):
            raise ValueError("there is a password in url and another in password: expected one")
        if parts.scheme != "rediss":
            _refuse_files(self, f"a {parts.scheme}:// URL", "rediss://")
        _refuse_half_a_certificate(self)
        return self


def _refuse_files(section: KafkaSettings | RedisSettings, seen: str, expected: str) -> None:
    given = [name for name in ("ca_file", "cert_file", "key_file") if getattr(section, name) is not None]
    if given:
        raise ValueError(f"{' and '.join(given)} for TLS, but {seen}: expected {expected}")


def _refuse_half_a_certificate(section: KafkaSettings | RedisSettings) -> None:
    if (section.cert_file is None) != (section.key_file is None):
        raise ValueError("cert_file and key_file belong together: expected both or neither")
