from pydantic import Field

from configs.schema import UseCase
from configs.schema.base import Frozen
from flows.reference.docstrings import DocumentedSchema, key_docstrings


class Oven(Frozen):
    heat: int = 180
    """Degrees,
    of the upper half."""
    door: bool = False
    as_: str = Field("bread", alias="as")
    """What it bakes."""


class BiggerOven(Oven):
    heat: int = 220
    """Degrees of both halves."""
    rack: Oven = Oven()
    """One more inside."""


def test_docstrings_of_a_base_count_where_there_are_none_of_its_own() -> None:
    assert key_docstrings(BiggerOven) == {
        "heat": "Degrees of both halves.",
        "as_": "What it bakes.",
        "rack": "One more inside.",
    }
    assert key_docstrings(Oven)["heat"] == "Degrees,\nof the upper half."


def test_a_property_is_described_by_its_docstring_also_where_it_has_an_alias_or_refers_to_a_model() -> None:
    schema = BiggerOven.model_json_schema(schema_generator=DocumentedSchema)
    properties = schema["properties"]
    assert properties["as"]["description"] == "What it bakes."
    assert properties["rack"]["description"] == "One more inside."
    assert "description" not in properties["door"]
    assert schema["$defs"]["Oven"]["properties"]["heat"]["description"] == "Degrees,\nof the upper half."


def test_each_section_and_key_of_a_use_case_is_described() -> None:
    schema = UseCase.model_json_schema(schema_generator=DocumentedSchema)
    models = {"use case": schema, **schema["$defs"]}
    silent = [
        f"{model}.{key}"
        for model, content in models.items()
        for key, told in content.get("properties", {}).items()
        if "description" not in told and not _refers(told)
    ]
    assert silent == []


def _refers(told: dict[str, object]) -> bool:
    """Whether it is a section, whose model says what it is for."""
    return "$ref" in told or any("$ref" in str(one) for one in (told.get("anyOf"), told.get("items")))
