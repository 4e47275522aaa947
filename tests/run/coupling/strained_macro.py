"""A macro program of nobody's: it strains two points over preCICE and keeps what comes back in ``answer.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

POINTS = np.array([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]])
STRAINS = 1e-7 * np.array([[1.0, 2.0, -1.0, 0.5, 0.7, -0.3], [-2.0, 0.0, 1.0, 0.0, 0.0, 3.0]])
TAKES = ["Stresses1to3", "Stresses4to6", *(f"Cmat{number}" for number in range(1, 8))]

if __name__ == "__main__":
    import precice

    participant = precice.Participant("Macro", str(Path(sys.argv[1]).resolve()), 0, 1)
    vertices = participant.set_mesh_vertices("Macro-Mesh", POINTS)
    participant.initialize()
    participant.write_data("Macro-Mesh", "Strains1to3", vertices, STRAINS[:, :3])
    participant.write_data("Macro-Mesh", "Strains4to6", vertices, STRAINS[:, 3:])
    participant.advance(participant.get_max_time_step_size())
    found = {name: participant.read_data("Macro-Mesh", name, vertices, 0.0).tolist() for name in TAKES}
    participant.finalize()
    Path("answer.json").write_text(json.dumps(found), encoding="utf-8")
