"""`new-adapter` and `new-case`: files to begin with, which work as they are."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from scalespan.adapters.interface import ADAPTERS, OptionError
from scalespan.bridges.interface import BRIDGES

from ..coupled import CoupledCase, read
from ..coupled.guidelines import write_case_files

# template of a case -> the files it is made of, and where they go
CASES = {
    "springs": {
        "springs_case.toml.tmpl": "case.toml",
        "springs_readme.md.tmpl": "README.md",
        "springs_reference.toml.tmpl": "reference.toml",
        "springs_input.xyz.tmpl": "input/molecule.xyz",
    },
    "qmmm": {
        "qmmm_case.toml.tmpl": "case.toml",
        "qmmm_readme.md.tmpl": "README.md",
        "qmmm_input.pdb.tmpl": "input/dimer.pdb",
    },
    "coupled": {
        "coupled_case.toml.tmpl": "case.toml",
        "coupled_precice_config.xml.tmpl": "precice-config.xml",
        "coupled_mass.py.tmpl": "mass.py",
        "coupled_readme.md.tmpl": "README.md",
        "coupled_reference.toml.tmpl": "reference.toml",
    },
}


def new_adapter(name: str, folder: Path) -> list[Path]:
    """Write ``name.py`` and ``test_name.py`` into ``folder``; return their paths.

    Raises:
        OptionError: a name that Python cannot take, that is taken, or a file that is there.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise OptionError(
            f"'{name}' cannot be an adapter's name", todo="use small letters, digits and _, like my_engine"
        )
    if name in {*ADAPTERS.names(), *BRIDGES.names()}:
        raise OptionError(f"the name '{name}' is taken", todo="scalespan list shows all that are")
    words = {"name": name, "camel": "".join(part.capitalize() for part in name.split("_"))}
    targets = {"adapter.py.tmpl": folder / f"{name}.py", "test_adapter.py.tmpl": folder / f"test_{name}.py"}
    return _write(targets, words)


def new_case(folder: Path, template: str) -> list[Path]:
    """Write the case ``template`` into the new ``folder``; return the paths of its files.

    Raises:
        OptionError: a name with odd characters, or something of that name is there.
    """
    if not re.fullmatch(r"[\w.-]+", folder.name):
        raise OptionError(f"'{folder.name}' cannot be a case's name", todo="use letters, digits, '_', '-' and '.'")
    if folder.exists():
        raise OptionError(f"{folder} is there already", todo="choose another name")
    targets = {source: folder / target for source, target in CASES[template].items()}
    written = _write(targets, {"name": folder.name})
    case = read(folder)
    more = write_case_files(case) if isinstance(case, CoupledCase) else []
    return [*written, *(folder / path.relative_to(case.folder) for path in more)]


def _write(targets: dict[str, Path], words: dict[str, str]) -> list[Path]:
    for path in targets.values():
        if path.exists():
            raise OptionError(f"{path} is there already", todo="choose another name, or move it away")
    for source, path in targets.items():
        text = files(__package__).joinpath(source).read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return list(targets.values())
