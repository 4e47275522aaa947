"""A crystal's handshake in one process, and as two participants with the XML between them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from scalespan.adapters.interface import Array, Motion
from scalespan.adapters.simplex import SimplexAdapter, SimplexOptions
from scalespan.bridges.continuum import ContinuumBridge, ContinuumOptions
from scalespan.bridges.handshake import CrystalRegion, Handshake, HandshakeOptions, find_sites, free_atoms, write_sites
from scalespan.bridges.handshake_atoms import HandshakeAtoms, HandshakeAtomsOptions
from scalespan.bridges.run.embedded import Embedded
from scalespan.bridges.run.loop import drive
from scalespan.bridges.run.precice_config import read_config

from .crystals import LennardJones, PairEngine, PairLaw, ball, box, fcc, fs, spacing, triangle

LJ = LennardJones()
STEP = 0.005  # ASE's time
CRYSTALS, RADII, SIZES = {2: triangle, 3: fcc}, {2: 4.1, 3: 2.0}, {2: 12.0, 3: 7.0}  # by dimension; Å
CONTINUUM = {
    "reads": [{"data": "Force", "mesh": "Continuum-Mesh", "input": "volume.force", "unit": "eV/angstrom"}],
    "writes": [{"data": "Displacement", "mesh": "Continuum-Mesh", "output": "volume.displacement", "unit": "angstrom"}],
}
XML = """<?xml version="1.0"?>
<precice-configuration>
  <log><sink filter="%Severity% > warning"/></log>
  <data:vector name="Displacement" waveform-degree="1"/>
  <data:vector name="Force"/>
  <mesh name="Continuum-Mesh" dimensions="DIM"><use-data name="Displacement"/><use-data name="Force"/></mesh>
  <mesh name="Atoms-Mesh" dimensions="DIM"><use-data name="Displacement"/><use-data name="Force"/></mesh>
  <participant name="Continuum">
    <provide-mesh name="Continuum-Mesh"/>
    <write-data name="Displacement" mesh="Continuum-Mesh"/>
    <read-data name="Force" mesh="Continuum-Mesh"/>
  </participant>
  <participant name="Atoms">
    <provide-mesh name="Atoms-Mesh"/>
    <receive-mesh name="Continuum-Mesh" from="Continuum"/>
    <write-data name="Force" mesh="Atoms-Mesh"/>
    <read-data name="Displacement" mesh="Atoms-Mesh"/>
    <mapping:linear-cell-interpolation direction="read" from="Continuum-Mesh" to="Atoms-Mesh" constraint="consistent" />
    <mapping:linear-cell-interpolation
      direction="write" from="Atoms-Mesh" to="Continuum-Mesh" constraint="conservative" />
  </participant>
  <m2n:sockets acceptor="Continuum" connector="Atoms"/>
  <coupling-scheme:SCHEME>
    <participants first="FIRST" second="SECOND"/>
    <max-time-windows value="WINDOWS"/>
    <time-window-size value="SIZE"/>
    <exchange data="Displacement" mesh="Continuum-Mesh" from="Continuum" to="Atoms" initialize="true" substeps="false"/>
    <exchange data="Force" mesh="Continuum-Mesh" from="Atoms" to="Continuum" initialize="true" substeps="false"/>
  </coupling-scheme:SCHEME>
</precice-configuration>
"""


def xml(window: float, windows: int, *, scheme: str = "serial-explicit", first: str = "Continuum", dim: int = 2) -> str:
    """Return the XML; ``window`` in ASE's time."""
    second = {"Continuum": "Atoms", "Atoms": "Continuum"}[first]
    words = {"SCHEME": scheme, "FIRST": first, "SECOND": second, "WINDOWS": str(windows), "DIM": str(dim)}
    found = XML.replace("SIZE", fs(window).removesuffix(" fs"))
    for key, value in words.items():
        found = found.replace(key, value)
    return found


def region(dimension: int = 2) -> dict:
    """Return the table of a disc or a ball of atoms, whose files `write_files` writes."""
    return {
        "crystal": "crystal.traj",
        "region": ball(RADII[dimension], dimension),
        "pad": f"{LJ.cutoff + 0.3} angstrom",
        "atoms_file": "atoms.traj",
    }


def write_files(folder: Path, table: dict) -> None:
    """Write the crystal, the sites of its region, and its atoms with a vacancy and a pulse."""
    dimension = len(table["region"]["centre"])
    make = CRYSTALS[dimension]
    write(folder / "crystal.traj", make(spacing(LJ, make)))
    holed = {key: value for key, value in table.items() if key != "atoms_file"}
    found = CrystalRegion.read(holed | {"vacancies": [["1.0 angstrom"] * dimension]}, folder=folder)
    write_sites(found, folder / "sites.traj")
    atoms: Atoms = free_atoms(found, find_sites(found))
    shape = np.exp(-0.5 * (atoms.positions / 2.0) ** 2).prod(axis=1)
    atoms.positions[:, :2] += 0.05 * shape[:, None] * np.array([1.0, 0.4])
    write(folder / "atoms.traj", atoms)


def body(folder: Path, window: float, coarse: float = 1.9, **options: object) -> SimplexAdapter:
    """Return a body whose mesh does not match the lattice."""
    crystal = read(folder / "crystal.traj")
    dimension = int(crystal.pbc.sum())
    table = {"timestep": fs(window)} | box(np.full(dimension, SIZES[dimension]), coarse) | options
    return SimplexAdapter(SimplexOptions.read(table, folder=folder), law=PairLaw(LJ, crystal))


def together(folder: Path, table: dict, every: int, scheme: str, coarse: float = 1.9) -> Handshake:
    """Return the handshake in one process, started."""
    clocks = {"continuum_step": fs(every * STEP), "scheme": scheme}
    options = HandshakeOptions.read(table | clocks, folder=folder)
    model = Handshake(options, atoms=PairEngine(LJ), continuum=body(folder, every * STEP, coarse=coarse))
    model.start(model.initial_atoms(), Motion.read({"timestep": fs(STEP)}))
    return model


def atoms_of(folder: Path, table: dict, every: int = 1, **options: object) -> HandshakeAtoms:
    """Return the participant of the atoms."""
    clocks = {"timestep": fs(STEP), "window": fs(every * STEP), "sites": "sites.traj"}
    return HandshakeAtoms(
        HandshakeAtomsOptions.read(table | clocks | options, folder=folder),
        atoms=PairEngine(LJ),
        perfect=PairEngine(LJ),
    )


def continuum_of(model: object) -> ContinuumBridge:
    """Return the participant of a continuum."""
    return ContinuumBridge(ContinuumOptions.read(CONTINUUM), model=model)


def apart(folder: Path, table: dict, every: int, **options: object) -> dict:
    """Return the two participants."""
    strain = {"strain": options.pop("strain")} if "strain" in options else {}
    continuum = body(folder, every * STEP, overlap={"sites": "sites.traj"}, **strain)
    return {"Continuum": continuum_of(continuum), "Atoms": atoms_of(folder, table, every, **options)}


def by_embedded(folder: Path, bridges: dict, text: str) -> None:
    """Run participants in threads, tied by the embedded coupling; raise the first error."""
    (folder / "precice-config.xml").write_text(text)
    config = read_config(folder / "precice-config.xml")
    couplings = {name: Embedded(config, name, folder) for name in bridges}
    errors: list[Exception] = []

    def go(name: str) -> None:
        try:
            drive(bridges[name], couplings[name])
        except Exception as error:
            errors.append(error)
            couplings[name].finish()

    threads = [threading.Thread(target=go, args=(name,), daemon=True) for name in bridges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive(), "a participant hangs"
    if errors:
        raise errors[0]


def recorded(bridges: dict) -> dict[str, list[Array]]:
    """Return lists that grow, at each window's end, by the atoms' positions and the nodes' displacements."""
    return {
        "Atoms": _kept(bridges["Atoms"], lambda bridge: bridge.atoms.positions.copy()),
        "Continuum": _kept(bridges["Continuum"], lambda bridge: bridge.model.output("volume.displacement")),
    }


def _kept(bridge, take) -> list[Array]:
    found: list[Array] = []
    bridge.accept = lambda time: found.append(take(bridge))
    return found


def by_precice(folder: Path, every: int, text: str, dimension: int = 2) -> dict[str, Array]:
    """Return what `recorded` keeps, from two processes tied by preCICE."""
    (folder / "precice-config.xml").write_text(text)
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-m", "bridges.coupled_crystals", str(folder), str(every), str(dimension)]
    started = [subprocess.Popen([*command, name], cwd=tests, start_new_session=True) for name in ("Continuum", "Atoms")]
    try:
        statuses = [each.wait(120.0) for each in started]
    finally:
        for each in started:
            if each.poll() is None:
                each.kill()
    assert statuses == [0, 0]
    return {name: np.load(folder / f"{name}.npy") for name in ("Continuum", "Atoms")}


def main(place: str, every: str, dimension: str, name: str) -> None:
    """Be one of two participants."""
    from scalespan.bridges.run.precice import Precice

    folder = Path(place)
    os.chdir(folder)
    bridges = apart(folder, region(int(dimension)), int(every))
    kept = recorded(bridges)[name]
    drive(bridges[name], Precice(folder / "precice-config.xml", name))
    np.save(f"{name}.npy", np.array(kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
