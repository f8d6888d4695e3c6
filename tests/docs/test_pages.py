"""What the pages say exists, and what exists is in the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from configs.loading import load_use_cases, parse_use_case
from configs.schema import UseCase
from configs.variables import TOLD_TO_CHILDREN, variables
from flows.cli import app
from flows.reference.page import configuration_page, estimators, keys
from flows.retrain.tracking import _calibration_metrics, _cost_metrics, _record_metrics
from models.gate.limits.calibration import Calibration
from models.gate.limits.costs import Costs
from models.shadows.evidence import RecordGain
from service.openapi.document import write_openapi
from tests.docs.pages import PAGES, ROOT, blocks, commands, read

COMMAND = typer.main.get_command(app)
NAMES = sorted(COMMAND.commands)  # type: ignore[attr-defined]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def options(name: str) -> list[str]:
    command = COMMAND.commands[name]  # type: ignore[attr-defined]
    alone = getattr(command, "commands", {"": command}).values()  # a group has commands of its own
    return [
        option
        for command in alone
        for one in command.params
        for option in one.opts
        if option.startswith("--") and option != "--help"
    ]


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=page_id)
def test_no_page_names_a_file_that_is_gone(path: Path) -> None:
    rooms = "configs|features|store|models|flows|service|tests|benchmarks"
    named = set(re.findall(rf"`((?:{rooms})/[\w/.]+\.\w+)`", path.read_text(encoding="utf-8")))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_configuration_page_is_what_the_schema_says() -> None:
    assert read("docs/configuration.md") == configuration_page(), "run `make docs`"


def test_the_configuration_page_has_every_key_parameter_and_variable() -> None:
    page = read("docs/configuration.md")
    names = [*keys(UseCase), *estimators(), *(name for name, _, _ in variables())]
    fields = [item for params in estimators().values() for item in params.model_fields.items()]
    names += [info.alias or key for key, info in fields]
    assert len(names) > 60
    assert [name for name in names if f"| `{name}` |" not in page and f"### `{name}`" not in page] == []


def test_every_variable_that_is_read_is_described() -> None:
    source = read("configs/settings.py")
    read_there = set(re.findall(r'"((?:RATCHET|MLFLOW|PREFECT)_[A-Z_]+)"', source))
    assert read_there == {name for name, _, _ in variables()}


def test_no_other_module_reads_a_variable_of_ours() -> None:
    rooms = ("configs", "features", "store", "models", "flows", "service")
    known = {name for name, _, _ in variables()} | set(TOLD_TO_CHILDREN)
    found = {
        name
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"\bRATCHET_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert found <= known


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_is_on_the_page(name: str) -> None:
    rows = [line for line in read("docs/commands.md").splitlines() if f"`ratchet {name}" in line]
    assert rows, f"`ratchet {name}` is missing"
    assert [option for option in options(name) if not any(option in row for row in rows)] == []


def test_every_task_is_on_the_page() -> None:
    declared = re.search(r"^\.PHONY: (.+)$", read("Makefile"), flags=re.MULTILINE)
    assert declared is not None
    page = read("docs/commands.md")
    assert [task for task in declared[1].split() if f"`make {task}`" not in page] == []


def test_every_endpoint_is_on_the_page(configs: Path) -> None:
    use_cases = load_use_cases([configs])
    document = yaml.safe_load(write_openapi(use_cases))
    name = next(iter(use_cases))
    paths = {
        (method.upper(), path.replace(f"/v1/{name}/", "/v1/{use_case}/"))
        for path, methods in document["paths"].items()
        for method in methods
        if path.split("/")[2:3] == [name] or path.split("/")[2:3] not in [[other] for other in use_cases]
    }
    page = read("docs/http.md")
    assert len(paths) >= 9
    assert [f"{method} {path}" for method, path in sorted(paths) if f"`{method} {path}`" not in page] == []


def test_every_status_of_a_refusal_is_on_the_page(configs: Path) -> None:
    document = yaml.safe_load(write_openapi(load_use_cases([configs])))
    operations = [one for path in document["paths"].values() for one in path.values()]
    refusals = {status for one in operations for status in one["responses"] if status >= "400"}
    rows = re.findall(r"^\| (\d{3}) \| .+ \|$", read("docs/http.md"), flags=re.MULTILINE)
    assert refusals <= set(rows)


def test_every_error_code_is_on_the_page() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "service" / "errors").glob("*.py"))
    codes = set(re.findall(r'^    code(?:: ClassVar\[str\])? = "(\w+)"', source, re.MULTILINE))
    assert len(codes) > 10
    page = read("docs/http.md")
    assert [code for code in sorted(codes - {"failed"}) if f"`{code}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_in_the_pages_are_there(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        while words[:1] == ["--configs"]:
            words = words[2:]
        if not words or not words[0].isidentifier() or words[0] == "COMMAND":
            continue
        assert words[0] in NAMES, words
        known = [*options(words[0]), "--help"]
        used = [word.strip("[]").split("=")[0] for word in words[1:] if word.strip("[]").startswith("--")]
        assert [option for option in used if option not in known] == [], words


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_tasks_in_the_pages_are_there(page: Path) -> None:
    makefile = read("Makefile")
    text = page.read_text(encoding="utf-8")
    for task in re.findall(r"(?:^|`)make ([a-z]+(?:-[a-z]+)*)(?!-)\b", text, flags=re.MULTILINE):
        benchmark = ROOT / "benchmarks" / f"{task.replace('-', '_')}.py"
        assert re.search(rf"^{task}:", makefile, flags=re.MULTILINE) or benchmark.is_file(), task


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path = (page.parent / target).resolve()
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor[1:] in [
                re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads
            ]


def test_every_page_is_reached_from_the_index() -> None:
    index = read("docs/index.md")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "index.md"]
    assert [name for name in pages if f"]({name})" not in index] == []


@pytest.mark.parametrize("page", ["README.md", "docs/add-a-use-case.md"])
def test_use_cases_in_the_pages_are_valid(page: str, tmp_path: Path) -> None:
    found = [yaml.safe_load(block) for block in blocks(read(page), "yaml")]
    assert found
    for raw in found:
        use_case = parse_use_case(raw, source=tmp_path / f"{raw['name']}.yaml")
        assert use_case.model.estimator in estimators()


def test_the_two_commands_come_first() -> None:
    first = blocks(read("README.md"))[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_every_tag_and_figure_of_record_and_limits_in_mlflow_is_on_the_page() -> None:
    page = read("docs/operate.md")
    names = re.findall(r'^\w+_TAG = f"\{PREFIX\}(\w+)"', read("models/production/tags.py"), re.MULTILINE)
    assert len(names) > 10
    record = RecordGain(rows=1, periods=1, gain=0, error=0, lower=0, lost=0, line=0, age=1)
    told = [*(f"ratchet.{name}" for name in names), *_record_metrics(record)]
    told += [*_cost_metrics(Costs(1, 1.0, 1)), *_calibration_metrics(Calibration(1, 0.1, 0.1, None))]
    assert [name for name in told if f"`{name}`" not in page] == []
