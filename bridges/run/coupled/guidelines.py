"""The files that preCICE's application-case guidelines want of a case, made from the case itself.

`clean.sh`, and for each participant a folder with `run.sh` (R.2, R.8, R.9 of the guidelines of
https://github.com/preeco-orga/guidelines, version 0.4) and `precice-adapter-config.json` after
the adapter schema (R.10 of the adapter guidelines).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..files import write_whole
from .case import XML, CoupledCase, read

_SHELL = "#!/usr/bin/env bash\nset -e -u\n"
# What preCICE and scalespan leave behind, in the case and in the participants' folders.
_CLEAN = (
    'cd "$(dirname "$0")"\n'
    "rm -rf results precice-run precice-profiling precice-exports profiling.json trace.json\n"
    "rm -rf */precice-profiling */precice-exports */precice-*.log */precice-run precice-*.log\n"
)


def case_files(case: CoupledCase) -> dict[Path, str]:
    """Return path -> content of each file, relative to the case's folder; foreign participants keep their own."""
    files = {Path("clean.sh"): _SHELL + _CLEAN}
    for name in case.parts:
        files[Path(name) / "run.sh"] = _run(case, name)
        files[Path(name) / "precice-adapter-config.json"] = json.dumps(_adapter_config(case, name), indent=2) + "\n"
    return files


def write_case_files(case: CoupledCase) -> list[Path]:
    """Write them into the case's folder; return their paths.

    Raises:
        CaseError: one cannot be written.
    """
    paths = []
    for relative, text in case_files(case).items():
        path = case.folder / relative
        path.parent.mkdir(exist_ok=True)
        write_whole(path, text.encode(), sync=False)
        if path.suffix == ".sh":
            path.chmod(0o755)
        paths.append(path)
    return paths


def _run(case: CoupledCase, name: str) -> str:
    ranks = case.parts[name].ranks
    start = f"mpirun -n {ranks} " if ranks > 1 else ""
    return f'{_SHELL}cd "$(dirname "$0")" && {start}scalespan run .. --participant {name} "$@"\n'


def _adapter_config(case: CoupledCase, name: str) -> dict[str, Any]:
    own = case.config.participant(name)
    meshes = dict.fromkeys([*own.provides, *(use.mesh for use in (*own.writes, *own.reads))])
    interfaces = []
    for mesh in meshes:
        interface: dict[str, Any] = {"mesh_name": mesh, "is_received": mesh not in own.provides}
        for key, uses in (("write_data", own.writes), ("read_data", own.reads)):
            names = [{"name": use.data} for use in uses if use.mesh == mesh]
            if names:
                interface[key] = names
        interfaces.append(interface)
    return {
        "participant_name": name,
        "precice_config_file_path": f"../{XML}",
        "interfaces": interfaces,
        "scalespan": {"case": "../case.toml", "bridge": str(case.parts[name].table.get("use", "task"))},
    }


if __name__ == "__main__":
    for _place in sys.argv[1:]:
        _case = read(Path(_place))
        assert isinstance(_case, CoupledCase), "only a case with participants has such files"
        write_case_files(_case)
