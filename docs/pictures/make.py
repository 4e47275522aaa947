"""The pictures of the cases, and of the front page, from the results of runs.

Run by hand: scalespan run cases/NAME, then python docs/pictures/make.py NAME; or `overview`; or `handshake_errors`,
from docs/tables.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from ase.io import read
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from scalespan.adapters.interface.units import KJ_PER_MOL
from scalespan.bridges.run.plots import BLUE, GREEN, INK, ORANGE, PURPLE, RULE, SKY, SOFT, VERMILION, axes
from scalespan.bridges.run.record import read_series

Array = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
KCAL = 4.184 * KJ_PER_MOL  # eV
DASHES = (0, (4, 2))


def series(case: str, name: str) -> dict[str, Array]:
    """Return a series of the run of a case."""
    return read_series(ROOT / "cases" / case / "results" / f"{name}.csv")


def curves(case: str) -> dict[str, Array]:
    """Return what the case's input/reference.py computed for comparison."""
    table = np.genfromtxt(ROOT / "cases" / case / "input" / "curves.csv", delimiter=",", names=True, deletechars="")
    return {name: table[name] for name in table.dtype.names}


def panel(ax: Axes, x: str, y: str) -> Axes:
    """Give ``ax`` the looks of the report's plots."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(SOFT)
    ax.tick_params(colors=SOFT, labelcolor=INK, labelsize=9)
    ax.grid(axis="y", color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, color=INK, fontsize=10)
    ax.set_ylabel(y, color=INK, fontsize=10)
    return ax


def say(ax: Axes, text: str, at: tuple[float, float], colour: str, **place: str) -> None:
    """Write a curve's name beside it."""
    ax.text(*at, text, color=colour, fontsize=9, **place)


def two_springs() -> Figure:
    """Draw both bonds: the stretch wanders from one to the other."""
    table = series("two_springs", "energies")
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    rows = figure.subplots(2, sharex=True, sharey=True)
    for ax, name, colour in zip(rows, ("left", "right"), (BLUE, VERMILION), strict=True):
        last = name == "right"
        panel(ax, "time (fs)" if last else "", f"{name} bond (Å)")
        ax.plot(table["time/fs"], table[f"{name}/angstrom"], color=colour, linewidth=1.2)
        ax.margins(x=0.0)
    return figure


def water_dimer() -> Figure:
    """Draw the interaction by embedding, by quantum chemistry and by the force field alone."""
    run, other = series("water_dimer", "scan"), curves("water_dimer")
    energy = (run["energy/eV"] - run["energy/eV"][-1])[:-1] / KCAL
    at = run["distance/angstrom"][:-1]
    ax = axes("O–O distance (Å)", "interaction (kcal/mol)", height=3.5)
    ax.axhline(0.0, color=SOFT, linewidth=0.8)
    ax.plot(at, other["quantum"], color=INK, linewidth=1.3, linestyle=DASHES, label="both RHF/6-31G*")
    ax.plot(at, other["tip3p_ase"], color=ORANGE, linewidth=1.5, label="both TIP3P (ASE)")
    ax.plot(at, energy, color=BLUE, linewidth=1.6, marker="o", markersize=4, label="RHF/6-31G* in TIP3P (this run)")
    ax.plot(2.910419, -5.02, "D", color=VERMILION, markersize=6, label="CCSD(T) at the basis set limit (S22)")
    ax.set_xlim(2.4, 7.1)
    ax.set_ylim(-7.8, 1.0)
    ax.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1.0, 0.04))
    return ax.figure


def solvated_formaldehyde() -> Figure:
    """Draw the energies of the run, and the bond that vibrates."""
    table, vacuum = series("solvated_formaldehyde", "energies"), 1.2080  # Å: reference.toml
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(1.5, 1.0))
    energies(above, table, "")
    panel(below, "time (fs)", "C=O (Å)")
    below.axhline(vacuum, color=SOFT, linewidth=1.2, linestyle=DASHES)
    below.plot(table["time/fs"], table["CO/angstrom"], color=VERMILION, linewidth=1.5)
    say(below, "minimum\nin a vacuum", (38.4, vacuum - 0.002), SOFT, ha="center", va="top")
    return figure


def energies(ax: Axes, table: dict[str, Array], x: str) -> None:
    """Draw potential, kinetic and total energy, each from its start."""
    panel(ax, x, "energy − start (kJ/mol)")
    time = table["time/fs"]
    for name, colour, width in (("potential", BLUE, 1.5), ("kinetic", ORANGE, 1.5), ("total", INK, 2.2)):
        height = (table[f"{name}/eV"] - table[f"{name}/eV"][0]) / KJ_PER_MOL
        ax.plot(time, height, color=colour, linewidth=width)
        peak = int(np.abs(height).argmax()) if name != "total" else len(time) // 2
        sign = np.sign(height[peak]) if name != "total" else 1.0
        alignment = "bottom" if sign > 0 else "top"
        say(ax, name, (time[peak], height[peak] + 6.0 * sign), colour, ha="center", va=alignment)
    ax.margins(x=0.0, y=0.14)


def ethanol_cut() -> Figure:
    """Draw by how much each scheme misses the energy of the whole quantum molecule."""
    values = json.loads((ROOT / "cases/ethanol_cut/results/summary.json").read_text(encoding="utf-8"))["values"]
    names = ["none", "Z1", "Z2", "Z3", "RC", "RCD", "CS"]
    errors = [values[f"difference_{name}"]["value"] / KCAL - 412.538 for name in names]
    ax = axes("error of the deprotonation energy (kcal/mol)", "", height=2.9)
    ax.barh(names, errors, color=[VERMILION if name == "Z1" else BLUE for name in names], height=0.62)
    ax.axvline(0.0, color=INK, linewidth=1.0)
    for row, error in enumerate(errors):
        text, away = f"{error:+.2f}".replace("-", "−"), 5 if error > 0 else -5
        side = "left" if error > 0 else "right"
        ax.annotate(text, (error, row), (away, 0), textcoords="offset points", va="center", ha=side, fontsize=9)
    say(ax, "leaves +0.18 e\nbeside the anion", (1.0, 1.0), VERMILION, va="center")
    ax.set_xlim(-23.0, 16.0)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=RULE, linewidth=0.8)
    ax.invert_yaxis()
    return ax.figure


def alanine_dipeptide() -> Figure:
    """Draw the torsion by embedding, by the whole quantum molecule and by the force field alone."""
    run, other = series("alanine_dipeptide", "scan"), curves("alanine_dipeptide")
    energy, at = run["energy/eV"] / KCAL, run["dihedral/degree"]
    ax = axes("φ (°)", "energy − energy at 200° (kcal/mol)", height=3.5)
    zero = int(np.abs(at - 200.0).argmin())
    ax.plot(at, other["force_field"], color=ORANGE, linewidth=1.5, label="Amber ff14SB")
    ax.plot(
        at,
        other["quantum"],
        color=INK,
        linewidth=1.3,
        linestyle=DASHES,
        marker="D",
        markersize=4,
        label="RHF/6-31G*, whole",
    )
    ax.plot(
        at,
        energy - energy[zero],
        color=BLUE,
        linewidth=1.6,
        marker="o",
        markersize=4,
        label="RHF/6-31G* in Amber (this run)",
    )
    ax.set_xticks(range(60, 301, 40))
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    return ax.figure


def overview() -> Figure:
    """Draw the region in its surroundings, and that energy is conserved."""
    case = "solvated_formaldehyde"
    figure = Figure(figsize=(9.0, 4.2))
    box(figure.add_axes((0.0, 0.0, 0.5, 1.0)), read(ROOT / "cases" / case / "results" / "trajectory.extxyz", index=0))
    right = figure.add_axes((0.585, 0.15, 0.395, 0.72))
    energies(right, series(case, "energies"), "time (fs)")
    summary = json.loads((ROOT / "cases" / case / "results/summary.json").read_text(encoding="utf-8"))["values"]
    drift, error = (f"{summary[key]['value']:.1f}".replace("-", "−") for key in ("drift", "drift_error"))
    figure.text(0.585, 0.925, f"100 steps, drift {drift} ± {error} kJ/mol/ps", color=INK, fontsize=10.5, weight="bold")
    return figure


def box(ax: Axes, atoms: Atoms) -> None:
    """Draw the box in perspective, and formaldehyde with the nearest waters under a lens."""
    ax.set_axis_off()
    ax.set_xlim(-18.0, 25.0)
    ax.set_ylim(-22.5, 17.6)
    ax.set_aspect("equal")
    edge, region = atoms.cell.lengths(), atoms.positions[:4]
    middle = region.mean(axis=0)
    water = atoms.positions[4:].reshape(-1, 3, 3)
    water += edge * np.round((middle - water.mean(axis=1)) / edge)[:, None]
    seen = Perspective(middle, 4.2 * edge[0], 1.0)
    frame(ax, seen, middle + (np.array(np.meshgrid(*[[-0.5, 0.5]] * 3, indexing="ij")).reshape(3, 8).T * edge))
    waters(ax, seen, water, region)
    balls(ax, seen.of(region), atoms.numbers[:4], 1.0, order=45.0)
    lens(ax, atoms, water, edge[0])
    for x, text, colour, side in (
        (-17.8, "classical: OpenMM", BLUE, "left"),
        (10.9, "quantum: PySCF", VERMILION, "right"),
    ):
        ax.text(x, -21.6, text, color=colour, fontsize=9.8, weight="bold", ha=side)


class Perspective:
    """A view of the box from a little above and beside."""

    def __init__(self, middle: Array, away: float, zoom: float, place: tuple[float, float] = (0.0, 0.0)) -> None:
        self.middle, self.away, self.zoom, self.place = middle, away, zoom, place
        turn, tilt = np.radians(116.0), np.radians(15.0)  # formaldehyde is nearly flat on the paper
        about = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
        lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
        self.rotation = lean @ about

    def of(self, positions: Array) -> Array:
        """Return (…, 3): x and y on the paper, z towards the eye."""
        turned = (positions - self.middle) @ self.rotation.T
        turned[..., :2] *= self.zoom * (self.away / (self.away - turned[..., 2]))[..., None]
        turned[..., :2] += self.place
        return turned


def frame(ax: Axes, seen: Perspective, corners: Array) -> None:
    """Draw the edges of the box; those at the back are pale."""
    places = seen.of(corners)
    hidden = int(places[:, 2].argmin())
    for i, j in [(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1]:
        back = hidden in (i, j)
        ax.plot(*places[[i, j], :2].T, color=RULE if back else "#9aa5b0", linewidth=1.0, zorder=0 if back else 40)


def waters(ax: Axes, seen: Perspective, water: Array, region: Array) -> None:
    """Draw the waters (n, 3, 3) as sticks, darker in front, and darker where the region feels their charges."""
    near = np.linalg.norm(water.mean(axis=1)[:, None] - region, axis=2).min(axis=1)
    felt = 2 - np.digitize(near, [8.0, 9.0])  # the charges fade from 7 to 9 Å
    places = seen.of(water)
    hides = (places[:, 0, 2] > 0.0) & (np.linalg.norm(places[:, 0, :2], axis=1) < 2.6)
    depth = np.clip((places[:, 0, 2] + 18.0) / 36.0, 0.0, 0.999)
    layer = (12 * depth).astype(int)
    for k, kind in ((k, kind) for k in range(12) for kind in range(3)):
        chosen = places[(layer == k) & (felt == kind) & ~hides]
        strength = (0.30 + 0.06 * k) * (0.42, 0.7, 1.0)[kind]
        colour = tuple(1.0 - strength * (1.0 - np.array([0.0, 0.447, 0.698])))
        lines = np.full((len(chosen), 4, 2), np.nan)
        lines[:, :3] = chosen[:, [1, 0, 2], :2]
        ax.plot(*lines.reshape(-1, 2).T, color=colour, linewidth=1.2, solid_joinstyle="round", zorder=2.0 + k)
        ax.plot(*chosen[:, 0, :2].T, "o", color=colour, markersize=2.5, markeredgewidth=0, zorder=2.0 + k)


def lens(ax: Axes, atoms: Atoms, water: Array, size: float) -> None:
    """Draw the region and the waters behind and beside it larger, under a lens."""
    centre, radius, small = np.array([16.2, -13.4]), 8.6, 2.6
    middle = atoms.positions[:4].mean(axis=0)
    for turned in (1.0, -1.0):  # the lines that touch both circles
        along = centre / np.linalg.norm(centre)
        across = turned * np.array([-along[1], along[0]])
        tilt = (small - radius) / np.linalg.norm(centre)
        normal = along * tilt + across * np.sqrt(1.0 - tilt**2)
        ax.plot(*np.array([small * normal, centre + radius * normal]).T, color=VERMILION, linewidth=1.0, zorder=46)
    ax.add_patch(Circle((0.0, 0.0), small, fill=False, edgecolor=VERMILION, linewidth=1.4, zorder=46))
    glass = Circle(centre, radius, facecolor="white", edgecolor=VERMILION, linewidth=1.8, zorder=50)
    ax.add_patch(glass)
    seen = Perspective(middle, 4.2 * size, 2.3, tuple(centre))
    places = seen.of(water)
    inside = np.linalg.norm(places[:, 0, :2] - centre, axis=1) < radius + 2.0
    shown = places[inside & (places[:, 0, 2] < 0.5) & (places[:, 0, 2] > -5.5)]
    for place in shown[np.argsort(shown[:, 0, 2])]:
        pale = float(np.clip(-place[0, 2] / 6.5, 0.25, 0.8))
        for artist in balls(ax, place, np.array([8, 1, 1]), 2.3, 51.0, pale):
            artist.set_clip_path(glass)
    balls(ax, seen.of(atoms.positions[:4]), atoms.numbers[:4], 2.3, order=53.0)


def balls(ax: Axes, places: Array, numbers: Array, zoom: float, order: float, pale: float = 0.0) -> list[Artist]:
    """Draw a molecule whose first atom is bonded to all others."""
    stick, edge = (1.0 - (1.0 - pale) * (1.0 - np.array(rgb)) for rgb in ((0.365, 0.408, 0.459), (0.11, 0.14, 0.19)))
    bonds = LineCollection([places[[0, k], :2] for k in range(1, len(places))], colors=[stick], zorder=order)
    bonds.set_linewidth(1.8 * zoom)
    back = np.argsort(places[:, 2])
    size = 1.1 * zoom * covalent_radii[numbers[back]]
    circles = EllipseCollection(size, size, np.zeros(len(back)), units="xy", zorder=order + 0.5)
    circles.set(offsets=places[back, :2], offset_transform=ax.transData)
    circles.set(facecolors=1.0 - (1.0 - pale) * (1.0 - jmol_colors[numbers[back]]), edgecolors=[edge], linewidths=0.8)
    return [ax.add_collection(bonds), ax.add_collection(circles)]


SLOPES = {  # method: colour, marker, dashed where it keeps ghost forces
    "handshake": (BLUE, "o", "-"),
    "blended forces (BQCF)": (GREEN, "s", "-"),
    "corrected blended energy (BGFC)": (SKY, "^", "-"),
    "Schwarz": (PURPLE, "v", "-"),
    "clamped atoms only": (INK, "D", ":"),
    "cubic blended energy (BQCE)": (ORANGE, "o", DASHES),
    "linear blended energy (BQCE)": (ORANGE, "s", DASHES),
    "bridging domain": (SOFT, "v", DASHES),
    "sharp joint (QCE)": (VERMILION, "X", DASHES),
}


def atoms_under_strain() -> Figure:
    """Draw what boxes of atoms answer, with three standard errors, on the tabulated law; and the law without motion."""
    table = curves("atoms_under_strain")
    stretch = 100.0 * (table["stretch"] - 1.0)
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    ax = panel(figure.subplots(), "strain along the bar (%)", "stress along the bar (MPa)")
    ax.plot(stretch, table["quasi-harmonic"], color=BLUE, linewidth=1.5)
    ax.plot(stretch, table["at_rest"], color=SOFT, linewidth=1.5, linestyle=DASHES)
    look = {"color": VERMILION, "fmt": "o", "markersize": 4, "capsize": 3, "linewidth": 1.2}
    ax.errorbar(stretch, table["box"], yerr=3.0 * table["error"], **look)
    at = stretch[3]
    say(ax, "at rest", (at, table["at_rest"][3] + 2.0), SOFT, ha="right")
    say(ax, "at 5 K, quasi-harmonic law", (at + 0.03, table["quasi-harmonic"][3] - 4.0), BLUE)
    say(ax, "at 5 K, boxes of 108 atoms, three standard errors", (stretch[0], table["at_rest"][-1]), VERMILION)
    return figure


def oscillating_coefficient() -> Figure:
    """Draw the errors over H/ε on what was expected, and the fields on the middle mesh along a line."""
    results = ROOT / "cases/oscillating_coefficient/results"
    tables = json.loads((results / "summary.json").read_text(encoding="utf-8"))["review"]
    known = next(each["chart"]["curves"] for each in tables if each["title"].startswith("Errors"))
    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    errors, line = figure.subplots(1, 2)
    panel(errors, "H/ε", "relative error in L2")
    for name, colour in (("mean", PURPLE), ("msfem", VERMILION), ("oversampled", GREEN), ("hmm", BLUE)):
        errors.loglog(*np.array(known[name]).T, "o", color=colour, markersize=5)
        if f"{name}, expected" in known:
            errors.loglog(*np.array(known[f"{name}, expected"]).T, color=colour, linewidth=1.2)
    errors.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    errors.set_xticks([], minor=True)
    say(errors, "arithmetic mean", (1.0, 0.23), PURPLE)
    say(errors, "MsFEM, and expected", (1.6, 0.055), VERMILION)
    say(errors, "oversampled", (1.0, 7e-3), GREEN)
    say(errors, "HMM, and expected", (4.4, 6e-3), BLUE)
    panel(line, "x, at y = 1/2, H = 4 ε", "u")
    arrays = ElementTree.parse(results / "fields_16.vti").getroot().iter("DataArray")
    rows = {each.attrib["Name"]: np.array(str(each.text).split(), dtype=float).reshape(256, 256) for each in arrays}
    x, part = (np.arange(256) + 0.5) / 256, slice(40, 216)
    looks = {"mean_coarse": PURPLE, "msfem_fine": VERMILION, "hmm_fine": BLUE, "resolved": INK}
    for name, colour in looks.items():
        line.plot(x[part], rows[name][128, part], color=colour, linewidth=0.8 if name == "resolved" else 1.5)
        say(line, name.split("_")[0], (0.5, 0.0125 - 0.0008 * list(looks).index(name)), colour, ha="center")
    return figure


def handshake_errors() -> Figure:
    """Draw the error of every way to join atoms and a continuum against its unknowns, with slopes to compare."""
    file = ROOT / "docs/tables/handshake_errors.csv"
    table = np.genfromtxt(file, delimiter=",", names=True, dtype=None, encoding="utf-8")
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    both = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, defect, title in zip(both, ("vacancy", "crack"), ("a vacancy", "three vacancies in a row"), strict=True):
        panel(ax, "unknowns", "error of the strain (%)" if defect == "vacancy" else "")
        ax.set_title(title, color=INK, fontsize=10, loc="left")
        for method, (colour, marker, style) in SLOPES.items():
            here = table[(table["defect"] == defect) & (table["method"] == method)]
            look = {"color": colour, "marker": marker, "linestyle": style, "linewidth": 1.5, "markersize": 5}
            ax.loglog(here["unknowns"], 100.0 * here["error"], label=method, **look)
        at = np.array([1500.0, 6000.0])
        for power, height, text in ((-1.0, 0.5, "$N^{-1}$"), (-0.5, 30.0, "$N^{-1/2}$")):
            ax.loglog(at, height * (at / at[0]) ** power, color=SOFT, linewidth=0.9)
            say(ax, text, (at[1] * 1.08, height * 4.0**power), SOFT, va="center")
        ax.grid(axis="both", color=RULE, linewidth=0.8)
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    each.__name__: each
    for each in (
        two_springs,
        water_dimer,
        solvated_formaldehyde,
        ethanol_cut,
        alanine_dipeptide,
        atoms_under_strain,
        oscillating_coefficient,
        overview,
        handshake_errors,
    )
}


def main(names: list[str]) -> None:
    """Write the pictures of the cases named, or all."""
    for name in names or PICTURES:
        folder = ROOT / "cases" / name / "picture" if (ROOT / "cases" / name).exists() else Path(__file__).parent / name
        with rc_context({"svg.hashsalt": name, "savefig.facecolor": "white"}):
            PICTURES[name]().savefig(folder.with_suffix(".svg"), metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(sys.argv[1:])
