"""What docs/deploy says is so: variables, commands, files, ports, paths and metrics that the code has."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.settings import read_settings
from configs.variables import variables
from service.hosting.serving import GRACE_SECONDS
from service.http.access import OPEN
from service.worker import STOP_SECONDS
from tests.docs.pages import ROOT, read
from tests.docs.test_grafana import described

DEPLOY = ROOT / "docs" / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
OF_OTHERS = {
    "HOME",
    "PATH",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PGPASSFILE",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD_FILE",
}
"""Variables of Python, libpq, Prefect and the image of PostgreSQL."""


def documents() -> Iterator[tuple[str, Any]]:
    """Every YAML document, with the name of its file."""
    for path in (*MANIFESTS, DEPLOY / "compose.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield path.name, document


def walk(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    parts = content.items() if isinstance(content, dict) else ()
    for key, value in parts:
        yield key, value
        yield from walk(value)
    for value in content if isinstance(content, list) else ():
        yield from walk(value)


def kinds() -> dict[str, Any]:
    """The manifests by kind; of the service where there are several of one."""
    found: dict[str, Any] = {}
    for name, document in documents():
        if name == "service.yaml":
            found[document["kind"]] = document
    return found


def instructions(path: Path) -> list[tuple[str, str]]:
    """Of a Dockerfile: each with what follows it, on one line."""
    text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def image_variables(path: Path) -> dict[str, str]:
    """Those that an image sets."""
    text = " ".join(rest for word, rest in instructions(path) if word == "ENV")
    return dict(pair.split("=", 1) for pair in text.split())


def all_variables() -> set[str]:
    named = {name for path in DOCKERFILES for name in image_variables(path)}
    for _, document in documents():
        for key, value in walk(document):
            if key == "environment":
                named |= set(value)
            elif key == "env":
                named |= {one["name"] for one in value}
        if document.get("kind") == "ConfigMap":
            named |= set(document["data"])
    return named


def test_each_variable_is_one_that_is_read() -> None:
    known = {name for name, _, _ in variables()}
    named = all_variables()
    assert len(named & known) > 8
    assert sorted(named - known - OF_OTHERS) == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_copies_what_is_there_and_starts_what_is_in_it(path: Path) -> None:
    copied = [rest.split() for word, rest in instructions(path) if word == "COPY" and "--from" not in rest]
    sources = {source for *many, _ in copied for source in many}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    (command,) = (json.loads(rest) for word, rest in instructions(path) if word == "CMD")
    assert command[:2] == ["python", "-m"]
    assert command[2].split(".")[0] in sources
    assert importlib.util.find_spec(command[2]) is not None
    assert [rest for word, rest in instructions(path) if word == "USER"] == ["65534:65534"]
    assert ("ENTRYPOINT", '["tini", "--"]') in instructions(path)


def test_the_image_of_the_service_has_the_rooms_of_the_bento_and_no_tensorflow() -> None:
    bento = yaml.safe_load(read("bentofile.yaml"))
    rooms = {one.removesuffix("/**") for one in bento["include"] if one.endswith("/**")}
    copied = {
        rest.split()[0]
        for word, rest in instructions(DEPLOY / "service.Dockerfile")
        if word == "COPY" and "--from" not in rest
    }
    assert copied == rooms | {"requirements-serve.lock"}
    assert not re.search(
        r"^(tensorflow|keras|torch|prefect)==", read("requirements-serve.lock"), re.MULTILINE
    )


def test_what_an_image_sets_can_be_read() -> None:
    settings = read_settings(image_variables(DEPLOY / "service.Dockerfile"))
    assert (settings.host, settings.port, settings.log_format) == ("0.0.0.0", 3000, "json")
    assert ("EXPOSE", "3000") in instructions(DEPLOY / "service.Dockerfile")


def test_commands_are_modules_or_programs_that_are_there() -> None:
    modules: set[str] = set()
    programs: set[str] = set()
    for _, document in documents():
        for key, value in walk(document):
            if key in ("command", "args") and isinstance(value, list):
                target = modules if value[:2] == ["python", "-m"] else programs
                target.add(value[2] if target is modules else value[0])
    assert modules == {"store.database.prepare", "flows.scheduling.worker"}
    assert {name for name in modules if importlib.util.find_spec(name) is None} == set()
    assert programs == {"mlflow", "prefect", "sleep"}


def test_probes_ask_what_is_open_to_all() -> None:
    asked = {
        value["path"] for _, document in documents() for key, value in walk(document) if key == "httpGet"
    }
    assert asked == {"/readyz", "/livez"}
    assert asked <= OPEN
    assert "uri /readyz" in read("docs/deploy/haproxy.cfg")
    assert "/livez" in read("docs/deploy/service.Dockerfile")


def test_there_is_time_to_drain() -> None:
    after = GRACE_SECONDS + 3 * STOP_SECONDS
    pod = kinds()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drains = int(kinds()["ConfigMap"]["data"]["RATCHET_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= waits + drains + after
    compose = yaml.safe_load(read("docs/deploy/compose.yaml"))
    drains = int(image_variables(DEPLOY / "service.Dockerfile")["RATCHET_DRAIN_SECONDS"])
    for replica in ("replica1", "replica2"):
        assert int(compose["services"][replica]["stop_grace_period"].rstrip("s")) >= drains + after


def test_ports_labels_and_secrets_fit_each_other() -> None:
    found = kinds()
    pod = found["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    ports = {one["name"]: one["containerPort"] for one in pod["spec"]["containers"][0]["ports"]}
    assert ports == {"http": 3000}
    for kind, selector in (
        ("Deployment", found["Deployment"]["spec"]["selector"]["matchLabels"]),
        ("Service", found["Service"]["spec"]["selector"]),
        ("PodDisruptionBudget", found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
        ("NetworkPolicy", found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]),
    ):
        assert selector.items() <= labels.items(), kind
    assert found["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == 3000
    compose = yaml.safe_load(read("docs/deploy/compose.yaml"))
    used = {name for one in compose["services"].values() for name in one.get("secrets", ())}
    assert used == compose["secrets"].keys()


def test_no_pod_is_given_addresses_of_services_as_settings() -> None:
    """Kubernetes sets `RATCHET_PORT=tcp://...` for a Service called `ratchet`, over what the image says."""
    specs = {
        f"{name}: {document['kind']}": document["spec"]["template"]["spec"].get("enableServiceLinks")
        for name, document in documents()
        if name != "compose.yaml" and "template" in document.get("spec", {})
    }
    assert len(specs) == 3
    assert set(specs.values()) == {False}


def test_the_autoscaler_asks_for_what_the_adapter_makes_of_metrics_that_are_there() -> None:
    (rules,) = (document["rules"]["custom"] for _, document in documents() if "rules" in document)
    named = {rule["name"]["as"] for rule in rules}
    asked = {one["pods"]["metric"]["name"] for one in kinds()["HorizontalPodAutoscaler"]["spec"]["metrics"]}
    assert asked == named
    series = {rule["seriesQuery"].partition("{")[0] for rule in rules}
    assert series <= described().keys()


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="there is no docker-compose")
def test_compose_itself_reads_its_file() -> None:
    done = subprocess.run(
        ["docker-compose", "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        env={"PATH": "/usr/bin:/bin", "PREFECT_AUTH": "a:b", "POSTGRES_PASSWORD": "x"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
