"""Options: typed, complete, and no key that nobody knows.

An adapter's options are a subclass of `Options`; a quantity field is one of the types of
`units` (``timestep: Time``), a file is a `CaseFile`. `Options.read` turns a table of
``case.toml`` into an instance, or into one sentence that names the key and the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from .errors import OptionError, ScalespanError, nearest


class Options(BaseModel):
    """The base of every options class. Instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def read(cls, table: Mapping[str, Any], *, where: str = "options", folder: Path | None = None) -> Self:
        """Return the options that ``table`` spells out.

        Args:
            table: keys and values as TOML gives them.
            where: the place to name in an error, such as ``case.toml [model.high]``.
            folder: relative paths start here.

        Raises:
            OptionError, UnitError: the first thing that is wrong, with what to do.
        """
        try:
            return cls.model_validate(dict(table), context={"folder": folder})
        except ScalespanError as error:
            raise error.at(where) from error
        except ValidationError as error:
            raise _sentence(cls, error, where) from error


def held(error: ScalespanError) -> PydanticCustomError:
    """Return what a field's validator raises so that pydantic adds the field's place to our own error."""
    return PydanticCustomError("scalespan", "{sentence}", {"sentence": str(error), "error": error})


def _sentence(options: type[BaseModel], error: ValidationError, where: str) -> ScalespanError:
    found = error.errors()
    # A misspelt key is also a missing one; the key that was typed says more.
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(options, first["loc"][:-1])
        return OptionError(f"unknown key '{key}'", where=where, todo=nearest(str(first["loc"][-1]), known))
    if first["type"] == "missing":
        return OptionError(f"the key '{key}' is missing", where=where, todo=f"add {key} = …")
    if first["type"] == "scalespan":
        ours: ScalespanError = first["ctx"]["error"]
        return ours.at(key).at(where)
    message = first["msg"].removeprefix("Value error, ")
    place = f"'{key}' " if key else ""
    given = "" if first["type"] == "value_error" else f" (given: {first['input']!r})"
    return OptionError(f"{place}{message[0].lower()}{message[1:]}{given}", where=where)


def _fields_at(options: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    for part in place:
        field = options.model_fields.get(str(part))
        options = options if field is None else _model_in(field.annotation) or options
    return [field.alias or name for name, field in options.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``list[Model]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for each in get_args(annotation) if (model := _model_in(each))), None)


def _existing(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    full = path if path.is_absolute() or folder is None else Path(folder) / path
    if not full.exists():
        raise held(OptionError(f"the file {full} does not exist", todo="correct the path"))
    return full


# A file that must exist; a relative path starts at the case's folder.
CaseFile = Annotated[Path, AfterValidator(_existing)]
