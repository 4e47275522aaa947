"""Print the requirements in pyproject.toml, one a line: those of the build, of scalespan itself and of its extra "dev".

Scalespan itself is left out: the environment is shared by all checkouts, and each brings its own code.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path


def expand(extra: str, extras: dict[str, list[str]]) -> Iterator[str]:
    """Yield the requirements of one extra, with references such as ``scalespan[openmm,pyscf]`` followed."""
    for requirement in extras[extra]:
        reference = re.fullmatch(r"scalespan\[(.+)\]", requirement)
        if reference is None:
            yield requirement
            continue
        for name in reference[1].split(","):
            yield from expand(name.strip(), extras)


def requirements(pyproject: Path, extra: str = "dev") -> list[str]:
    """Return every requirement once, in the order of the file."""
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    project = content["project"]
    wanted = [*content["build-system"]["requires"], *project["dependencies"]]
    return list(dict.fromkeys([*wanted, *expand(extra, project["optional-dependencies"])]))


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in requirements(Path(sys.argv[1])))
