"""Options: typed, complete, and no key that nobody knows.

An adapter's options are a subclass of `Options`; a quantity field is one of the types of
`units` (``timestep: Time``), a file is a `CaseFile`. `Options.read` turns a table of
``case.toml`` into an instance, or into one sentence that names the key and the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from .errors import CaseError, OptionError, ScalespanError, nearest


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


def _sentence(options: type[BaseModel], error: ValidationError, where: str) -> CaseError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(options, first["loc"][:-1])
        return OptionError(f"unknown key '{key}'", where=where, todo=nearest(str(first["loc"][-1]), known))
    if first["type"] == "missing":
        return OptionError(f"the key '{key}' is missing", where=where, todo=f"add {key} = …")
    message = first["msg"].removeprefix("Value error, ")
    place = f"'{key}' " if key else ""
    given = "" if first["type"] == "value_error" else f" (given: {first['input']!r})"
    return OptionError(f"{place}{message[0].lower()}{message[1:]}{given}", where=where)


def _fields_at(options: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    for part in place:
        annotation = options.model_fields[str(part)].annotation if str(part) in options.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            options = annotation
    return list(options.model_fields)


def _existing(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    full = path if path.is_absolute() or folder is None else Path(folder) / path
    if not full.exists():
        raise OptionError(f"the file {full} does not exist", where=str(info.field_name), todo="correct the path")
    return full


# A file that must exist; a relative path starts at the case's folder.
CaseFile = Annotated[Path, AfterValidator(_existing)]
