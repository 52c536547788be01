"""Does a container's health check say what the process says of itself?"""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from agents.cli import app
from agents.metrics_server import MetricsServer
from tests.system.server_process import free_port


@pytest.fixture
def reasons() -> list[str]:
    """Why the process is not ready."""
    return []


@pytest.fixture
def url(reasons: list[str]) -> Iterator[str]:
    server = MetricsServer(lambda accept: (b"", "text/plain"), list, lambda: reasons)
    host, port = server.start()
    yield f"http://{host}:{port}"
    server.stop()


def healthcheck(url: str) -> Result:
    return CliRunner().invoke(app, ["healthcheck", url], prog_name="queuelight")


def test_a_process_that_is_well_passes_in_silence(url: str) -> None:
    for path in ("/livez", "/readyz"):
        passed = healthcheck(url + path)
        assert (passed.exit_code, passed.output) == (0, "")


def test_a_process_that_is_not_ready_fails_with_its_reasons(url: str, reasons: list[str]) -> None:
    reasons.append("not restored yet")
    failed = healthcheck(url + "/readyz")
    assert failed.exit_code == 1
    assert "503" in failed.stderr
    assert "not restored yet" in failed.stderr
    assert healthcheck(url + "/livez").exit_code == 0


def test_where_nobody_answers_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    failed = healthcheck(f"http://127.0.0.1:{free_port()}/readyz")
    assert failed.exit_code == 1
    assert "does not answer: " in failed.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:9108", "https://127.0.0.1:9108/readyz", "http:///readyz"])
def test_what_is_no_address_is_misuse(url: str) -> None:
    refused = healthcheck(url)
    assert refused.exit_code == 2
    assert "expected an address such as http://" in refused.stderr
