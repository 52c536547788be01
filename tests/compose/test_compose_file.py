"""Does the compose file mean what it says, and keep to the rules of the house? What it starts: tests/system/test_compose.py."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose.compose_file import FILE, ROOT, Service, services, whole_file

SERVICES = services()
OURS = [name for name, service in SERVICES.items() if "build" in service.said]
LONG_RUNNING = [name for name, service in SERVICES.items() if service.said["restart"] == "unless-stopped"]
each = pytest.mark.parametrize("service", SERVICES.values(), ids=lambda service: service.name)


def test_the_file_is_valid_by_the_schema_of_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_docker_compose_itself_takes_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("there is no docker compose on this machine")
    subprocess.run(
        [docker, "compose", "--file", FILE, "--profile", "demo", "config", "--quiet"], check=True, cwd=ROOT
    )


@each
def test_a_service_runs_with_no_more_rights_than_it_needs(service: Service) -> None:
    said = service.said
    assert said["user"].split(":")[0] not in ("0", "root")
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert said["read_only"] is (service.name != "kafka")
    assert said["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert "privileged" not in said
    assert "network_mode" not in said


@each
def test_a_service_comes_back_after_a_crash_and_says_how_it_is(service: Service) -> None:
    assert service.said["restart"] in ("unless-stopped", "on-failure")
    asks = service.name in LONG_RUNNING and service.name != "simulator"
    assert bool(service.health) == asks


@each
def test_an_image_is_pinned_to_a_version(service: Service) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+", service.said["image"]), service.said["image"]


@each
def test_ports_are_published_on_this_machine_only(service: Service) -> None:
    for port in service.said.get("ports", []):
        assert port.startswith("127.0.0.1:")
    # Only by another network than the inner one does a port, or an alert, get out.
    outside = service.name in ("kafka", "wallboard", "collector", "alertmanager", "prometheus", "grafana")
    assert service.said["networks"] == (["inside", "outside"] if outside else ["inside"])


@each
def test_what_is_mounted_is_there_and_read_only_if_it_is_of_the_checkout(service: Service) -> None:
    for volume in service.said.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert volume.endswith(":ro")
        else:
            assert source in whole_file()["volumes"]


def test_secrets_are_files_that_make_secrets_makes(tmp_path: Path) -> None:
    subprocess.run(["make", "secrets", f"SECRETS={tmp_path}"], cwd=ROOT, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    declared = whole_file()["secrets"]
    assert {name: f"./secrets/{name}" for name in made} == {n: said["file"] for n, said in declared.items()}
    assert all(
        len(made[name]) >= 48
        for name in ("redis-password", "pseudonym-key", "tenant-keys", "grafana-password")
    )
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in tmp_path.iterdir())
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    subprocess.run(["make", "secrets", f"SECRETS={tmp_path}"], cwd=ROOT, check=True, capture_output=True)
    assert made == {path.name: path.read_text() for path in tmp_path.iterdir()}, "an old secret was lost"


@each
def test_secrets_are_in_no_argument_and_no_variable(service: Service) -> None:
    used = set(
        re.findall(r"/run/secrets/([\w-]+)", " ".join([*service.words, *service.environment.values()]))
    )
    configured = {"alertmanager": {"slack-url", "pagerduty-key"}}.get(service.name, set())
    assert set(service.said.get("secrets", [])) == used | configured
    for name, value in service.environment.items():
        if re.search("PASSWORD|SECRET|TOKEN", name):
            assert value.startswith("/run/secrets/")


def test_the_files_of_secrets_that_alertmanager_names_are_those_it_is_given() -> None:
    text = (ROOT / "dashboards/prometheus/alertmanager.yml").read_text()
    named = {name for line in text.splitlines() if not line.strip().startswith("#")
             for name in re.findall(r"_file: /run/secrets/([\w-]+)", line)}  # fmt: skip
    assert named == set(SERVICES["alertmanager"].said["secrets"])


def _without_addresses(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    for manager in config["alerting"]["alertmanagers"]:
        manager.pop("static_configs")
    for job in config["scrape_configs"]:
        job.pop("static_configs", None)
        job.pop("dns_sd_configs", None)
    return config


def test_prometheus_is_configured_as_everywhere_but_for_addresses() -> None:
    here = _without_addresses(ROOT / "dashboards/compose/prometheus.yml")
    assert here == _without_addresses(ROOT / "dashboards/prometheus/prometheus.yml")


def test_the_image_is_built_of_what_docker_is_shown() -> None:
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source.rstrip("/")
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert set(copied) == shown
    assert all((ROOT / source).exists() for source in copied)


def test_the_user_of_the_image_is_the_user_of_our_services() -> None:
    user = re.search(r"^USER (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert {SERVICES[name].said["user"] for name in OURS} == {user[1]}


def test_the_image_of_python_is_pinned() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"python:${PYTHON}"}
