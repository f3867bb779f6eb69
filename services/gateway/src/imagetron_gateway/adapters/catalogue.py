"""Reads the model catalogue from YAML and says everything that is wrong with it."""

from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml
from pydantic import BaseModel, ValidationError

from imagetron_chassis.errors import Permanent
from imagetron_gateway.domain.catalogue import Catalogue, Model

BUILT_IN: Final = Path(__file__).with_name("catalogue.yaml")


class WrongCatalogue(Permanent):
    """The file cannot be used; the message lists where and why."""


class _File(BaseModel):
    models: list[Model]


def load_catalogue(path: Path) -> Catalogue:
    """The models by name, in the file's order. Raises WrongCatalogue."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise WrongCatalogue(f"the model catalogue {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise WrongCatalogue(f"the model catalogue {path} is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise WrongCatalogue(f"the model catalogue {path} has problems: {problems}") from error
    names = [model.name for model in file.models]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise WrongCatalogue(f"the model catalogue {path} names twice: {', '.join(sorted(repeated))}")
    return MappingProxyType({model.name: model for model in file.models})
