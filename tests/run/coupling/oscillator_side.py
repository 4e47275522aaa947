"""One mass of cases/oscillator through a list of runs: what a process of the tests executes.

python oscillator_side.py COUPLING SIDE RUN…, where a RUN is FILE.xml:INTEGRATOR:STEP; writes SIDE.json: for each run
the largest error and the displacement at each window's end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scalespan.bridges.interface import Bridge, Coupling, build
from scalespan.bridges.run.loop import drive
from scalespan.bridges.run.precice_config import read_config

CASE = Path(__file__).parents[3] / "cases" / "oscillator"


def coupling(kind: str, config: Path, participant: str) -> Coupling:
    if kind == "precice":
        from scalespan.bridges.run.precice import Precice

        return Precice(config, participant)
    from scalespan.bridges.run.embedded import Embedded

    return Embedded(read_config(config), participant, config.parent)


def run(kind: str, side: str, config: Path, integrator: str, step: float) -> dict[str, object]:
    table = {"use": "mass", "side": side, "integrator": integrator, "step": step}
    bridge = build(table, where="test", folder=CASE)
    assert isinstance(bridge, Bridge)
    places: list[float] = []
    bridge.accept = lambda time: places.append(bridge.observe()["displacement/m"])  # type: ignore[method-assign]
    drive(bridge, coupling(kind, config, f"Mass-{side}"))
    return {"error": bridge.observe()["largest_error/m"], "places": places}


def main(kind: str, side: str, *runs: str) -> None:
    found = []
    for each in runs:
        file, integrator, step = each.split(":")
        found.append(run(kind, side, Path(file).resolve(), integrator, float(step)))
    Path(f"{side}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
