"""Who signs the certificates of a test's servers? An authority of its own, made by openssl in a folder.

Refuses to know which servers and clients show them.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.system.server_process import ServerError, program

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """PEM files of one holder: what it shows, and the key (PKCS#8, without a passphrase) with which it proves it."""

    shown: Path
    key: Path


class Authority:
    """An authority whose certificate is `ca`; `issue` signs for servers on 127.0.0.1 and for clients."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = folder / "ca.pem"
        """What those who trust it are given."""
        self._key = folder / "ca.key"
        _openssl("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-days", "2",
                 "-keyout", self._key, "-out", self.ca)  # fmt: skip

    def issue(self, name: str) -> Certificate:
        """A certificate for a name, which is also a host name, and for 127.0.0.1 and localhost."""
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        _openssl("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-days", "1",
                 "-CA", self.ca, "-CAkey", self._key,
                 "-addext", "basicConstraints=CA:FALSE",
                 "-addext", f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1",
                 "-keyout", made.key, "-out", made.shown)  # fmt: skip
        return made


def _openssl(*words: object) -> None:
    command = [program("openssl", "openssl"), *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"openssl {words[0]} failed:\n{done.stderr}")
