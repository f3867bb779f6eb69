"""Reads a table of families from YAML and says everything that is wrong with it."""

from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from imagetron_chassis.errors import Permanent
from imagetron_chassis.logs import log
from imagetron_contracts.families import Derivative, Family, FamilyTable
from imagetron_contracts.media import Dimensions
from imagetron_gateway.domain.catalogue import Catalogue
from imagetron_gateway.domain.families import (
    MAX_DERIVATIVES,
    MAX_FAMILIES,
    objection_to_amount,
    objection_to_name,
    objection_to_ratio,
    objections_to_serving,
    ratio_of,
    remarks,
    size_of,
)

_SAID: Final = {
    "extra_forbidden": "unknown key; remove it",
    "missing": "is missing",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of keys and values",
}


class WrongFamilies(Permanent):
    """The file cannot be used; the message lists where and why."""


def _text(value: object) -> object:
    # YAML reads 16:9 as a number of minutes, `no` as false and 0x20 as 32.
    if not isinstance(value, str):
        raise ValueError(f"YAML reads it as {value!r}; write it in quotes")  # noqa: TRY004 - pydantic's way to be told
    return value


def _name(value: str) -> str:
    if objection := objection_to_name(value):
        raise ValueError(objection)
    return value


def _size(value: object) -> object:
    return size_of(value) if isinstance(value, str) else _text(value)


_Text = Annotated[str, BeforeValidator(_text)]
_Name = Annotated[_Text, AfterValidator(_name)]
_Size = Annotated[Dimensions, BeforeValidator(_size)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Derivative(_Entry):
    name: _Name
    size: _Size


class _Family(_Entry):
    name: _Name
    master: _Size
    ratio: _Text | None = None
    aliases: tuple[_Name, ...] = ()
    derivatives: tuple[_Derivative, ...] = Field(default=(), max_length=MAX_DERIVATIVES)

    @model_validator(mode="after")
    def _is_of_its_ratio(self) -> "_Family":
        if self.ratio is not None and (objection := objection_to_ratio(self.ratio, self.master)):
            raise ValueError(f"ratio {objection}")
        return self


class _File(_Entry):
    families: tuple[_Family, ...] = Field(max_length=MAX_FAMILIES)


def load_families(path: Path, catalogue: Catalogue) -> FamilyTable:
    """The table in the file, in the file's order, for the models of the catalogue. Raises WrongFamilies.

    What is allowed and perhaps not meant is logged.
    """
    where = f"the table of families {path}"
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongFamilies(f"{where} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongFamilies(f"{where} is not YAML: {error}") from error
    try:
        table = FamilyTable(families=tuple(_row(family) for family in _File.model_validate(said).families))
    except ValidationError as error:
        problems = [_problem(item["loc"], item["type"], item["msg"], said) for item in error.errors()]
        raise WrongFamilies(f"{where} has problems: {' | '.join(problems)}") from error
    amount = objection_to_amount(table)
    if problems := [*([amount] if amount else []), *objections_to_serving(table, catalogue)]:
        raise WrongFamilies(f"{where} has problems: {' | '.join(problems)}")
    for remark in remarks(table, catalogue):
        log().warning("family_shows_little", file=str(path), remark=remark)
    return table


def _row(family: _Family) -> Family:
    return Family(
        name=family.name,
        ratio=family.ratio or ratio_of(family.master),
        master=family.master,
        derivatives=tuple(Derivative(name=item.name, size=item.size) for item in family.derivatives),
        aliases=family.aliases,
    )


def _problem(place: tuple[int | str, ...], kind: str, message: str, said: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """A sentence with the place in the file; entries of a list are counted from 1 and called by their names."""
    path, inside = "", said
    for step in place:
        try:
            inside = inside[step]
        except (LookupError, TypeError):
            inside = None
        if isinstance(step, int):
            name = inside.get("name") if isinstance(inside, dict) else None
            path += f"[{step + 1}]" + (f" ({name})" if isinstance(name, str) else "")
        else:
            path += f"{'.' if path else ''}{step}"
    said_so = _SAID.get(
        kind, message.removeprefix("Value error, ").removeprefix("Tuple ").replace(" after validation", "")
    )
    return f"{path}: {said_so}" if path else said_so
