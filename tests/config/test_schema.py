"""The schema and the example that are shipped say what the models say."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from rotator.config.kinds import CLASSES, tag_of
from rotator.config.load import load
from rotator.config.models import Config
from rotator.config.satisfiable import warnings
from rotator.config.schema import schema
from rotator.model import UNMANAGED
from rotator.providers.registry import BUILT_IN
from rotator.settings.secret import SecretRef

SHIPPED = Path(__file__).parents[2] / "config"
EXAMPLE = SHIPPED / "rotator.example.yaml"


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def fields(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    for name, field in model.model_fields.items():
        yield model, field.alias or name
        for inner in models_in(field.annotation):
            yield from fields(inner)


def keys(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from keys(value)
    if isinstance(data, list):
        for item in data:
            yield from keys(item)


def test_every_provider_takes_unmanaged_for_the_key_in_use() -> None:
    """What Northflank holds may be none of the listed keys in any cloud."""
    of_clouds = [model for model in CLASSES.values() if "current_key" in model.model_fields]
    assert len(of_clouds) > len(BUILT_IN)
    for model in of_clouds:
        patterns = [re.compile(m.pattern) for m in model.model_fields["current_key"].metadata if hasattr(m, "pattern")]
        assert all(pattern.search(UNMANAGED) for pattern in patterns), model


def test_the_schema_is_current() -> None:
    shipped = (SHIPPED / "rotator.schema.json").read_text(encoding="utf-8")

    assert shipped == schema(), "make schema"


def test_the_example_loads_without_a_warning() -> None:
    config = load(EXAMPLE, {})

    assert {tag_of(credential) for credential in config.credentials} == CLASSES.keys()
    assert warnings(config) == ()


def test_the_example_has_every_key_in_its_place() -> None:
    data = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    written = set(keys(data))
    every: list[type[BaseModel]] = [Config, *CLASSES.values()]
    names = {name for whole in every for model, name in fields(whole) if model is not SecretRef}

    assert names <= written
    assert set(data["policy"]) == set(Config.model_fields["policy"].annotation.model_fields)  # type: ignore[union-attr]  # it is a model
    assert all(f"{{{name}: " in EXAMPLE.read_text(encoding="utf-8") for name in SecretRef.model_fields)


def test_what_the_example_calls_a_default_is_one() -> None:
    config = load(EXAMPLE, {})
    said, fresh = config.policy, type(config.policy)()

    assert said.model_copy(update={"window": None}) == fresh
    assert config.audit == type(config.audit)()
    assert config.log == type(config.log)()
    default = config.northflank["default"]
    assert default == type(default)(token=default.token)


def test_the_example_fits_the_schema() -> None:
    validator = Draft202012Validator(Config.model_json_schema())
    data = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))

    assert list(validator.iter_errors(data)) == []
    data["policy"]["every"] = "30 days"
    data["credentials"][0]["integrations"] = [{"id": "x", "conection": "y"}]
    assert len(list(validator.iter_errors(data))) == 2
