"""How do clients come into a test's Kafka? Through an open door, or through two that are locked.

Refuses to know how the broker is run: it says the properties of its listeners, the users it must know, and what its
own admin client has to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.system.authority import Authority
from tests.system.server_process import free_port


class Doors(Protocol):
    """What the broker asks."""

    def properties(self, port: int, controller: int) -> str:
        """The listeners, the first of them on the port."""

    def users(self) -> Mapping[str, str]:
        """Names and passwords that the broker must know from the beginning."""

    def client(self) -> Mapping[str, str]:
        """What an admin client says in librdkafka's words."""


class OpenDoor:
    """One listener for everybody, unencrypted."""

    def properties(self, port: int, controller: int) -> str:
        """One listener."""
        return (
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n"
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
        )

    def users(self) -> Mapping[str, str]:
        """Nobody needs a name."""
        return {}

    def client(self) -> Mapping[str, str]:
        """Nothing to say."""
        return {}


_LOCKED = """\
listeners=SASL_SSL://127.0.0.1:{port},SSL://127.0.0.1:{mutual},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login} required;
listener.name.ssl.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:CN=kafka;User:CN={admin};User:ANONYMOUS
"""
# Anonymous is only who comes by the controller's listener, which is the broker itself.
_ADMIN = "admin"
_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class LockedDoors:
    """TLS with SCRAM-SHA-512 on the broker's port, TLS with a certificate of the client's on another, `mutual`.

    Whoever is let in may do nothing that was not allowed (`allow`).

    Attributes:
        authority: signs for the broker; the clients with a certificate of its are let in by `mutual`.
        user: the one the broker knows.
        password: the user's.
        folder: where the broker's key is put.
        mutual: the port of the second door.
    """

    authority: Authority
    user: str
    password: str
    folder: Path
    mutual: int

    @classmethod
    def made(cls, authority: Authority, user: str, password: str, folder: Path) -> LockedDoors:
        """Doors with the second on a free port."""
        return cls(authority, user, password, folder, free_port())

    def properties(self, port: int, controller: int) -> str:
        """Two listeners, and the files with the broker's certificate and key."""
        own = self.authority.issue("kafka")
        keystore = self.folder / "kafka.keystore.pem"
        keystore.write_text(own.key.read_text() + own.shown.read_text())
        return _LOCKED.format(
            port=port, mutual=self.mutual, controller=controller, keystore=keystore, ca=self.authority.ca, login=_LOGIN, admin=_ADMIN
        )  # fmt: skip

    def users(self) -> Mapping[str, str]:
        """The one."""
        return {self.user: self.password}

    def client(self) -> Mapping[str, str]:
        """By SCRAM."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority.ca),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.user,
            "sasl.password": self.password,
        }

    def allow(self, principal: str, kind: ResourceType, prefix: str, *operations: AclOperation) -> None:
        """Let a user do something to all topics, or groups, whose name begins so; the broker must be running."""
        own = self.authority.issue(_ADMIN)
        admin = AdminClient(
            {
                "bootstrap.servers": f"127.0.0.1:{self.mutual}",
                "security.protocol": "SSL",
                "ssl.ca.location": str(self.authority.ca),
                "ssl.certificate.location": str(own.shown),
                "ssl.key.location": str(own.key),
            }
        )
        pattern, always = ResourcePatternType.PREFIXED, AclPermissionType.ALLOW
        wishes = [AclBinding(kind, prefix, pattern, f"User:{principal}", "*", operation, always)
                  for operation in operations]  # fmt: skip
        for done in admin.create_acls(wishes).values():
            done.result()
