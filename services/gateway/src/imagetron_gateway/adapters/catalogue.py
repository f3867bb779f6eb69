"""Reads the model catalogue from YAML and says everything that is wrong with it."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from imagetron_chassis.errors import Permanent
from imagetron_gateway.domain.catalogue import Catalogue, Model
from imagetron_gateway.domain.prices import PriceTier

BUILT_IN: Final = Path(__file__).with_name("catalogue.yaml")


class WrongCatalogue(Permanent):
    """The file cannot be used; the message lists where and why."""


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    prices: tuple[PriceTier, ...] = ()
    """Of every model that names none of its own."""
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
    _check_fallbacks(file.models, path)
    priced = [model if model.prices else model.model_copy(update={"prices": file.prices}) for model in file.models]
    return MappingProxyType({model.name: model for model in priced})


def _check_fallbacks(models: Sequence[Model], path: Path) -> None:
    """A fallback is another model whose call returns the picture: a family that waits for two strangers is nobody's."""
    known = {model.name: model for model in models}
    for model in models:
        other = known.get(model.fallback) if model.fallback else None
        if model.fallback and (other is None or other is model or not other.delivery.is_held):
            raise WrongCatalogue(
                f"the model catalogue {path} gives {model.name} the fallback {model.fallback!r}; "
                "it must be another of its models, of a provider that answers at once"
            )
