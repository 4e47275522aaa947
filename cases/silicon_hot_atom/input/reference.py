"""Prints how near the hot atom comes to the first one that it meets, where one potential moves all atoms; minutes."""

from pathlib import Path

from ase.io import read
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from scalespan.adapters.interface import load_file
from scalespan.adapters.stillinger_weber import StillingerWeberAdapter, StillingerWeberOptions

here = Path(__file__).parent
engines = {
    "Stillinger-Weber": StillingerWeberAdapter(StillingerWeberOptions()).as_calculator(),
    "Tersoff": load_file(here.parent / "tersoff.py").Silicon(),
}
for name, engine in engines.items():
    atoms = read(here / "crystal.extxyz")
    atoms.calc = engine
    motion, seen = VelocityVerlet(atoms, 0.25 * fs), []
    for _ in range(13):
        seen.append(atoms.get_distance(336, 337, mic=True))
        motion.run(4)
    print(f"{name}: {min(seen):.5f} Å")
