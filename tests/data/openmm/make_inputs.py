"""Write one small system, ethanol and two flexible waters, in the formats of four programs.

All files say the same: the tests ask each route for its energy and compare. The parameters have the size of a
general force field's and were put together for these tests; they are not for science. Run it in this folder.
"""

from __future__ import annotations

from itertools import combinations
from math import radians
from pathlib import Path

import numpy as np
from ase.build import molecule

KCAL = 4.184

# name: mass, number, sigma nm, epsilon kJ/mol
TYPES = {
    "c3": (12.01, 6, 0.3399670, 0.4577296),
    "hc": (1.008, 1, 0.2649533, 0.0656888),
    "h1": (1.008, 1, 0.2471353, 0.0656888),
    "oh": (16.00, 8, 0.3066473, 0.8803136),
    "ho": (1.008, 1, 0.1000000, 0.0100000),
    "ow": (16.00, 8, 0.3150752, 0.6359680),
    "hw": (1.008, 1, 0.0500000, 0.0100000),
}
# residue: its atoms (name, type, charge), its bonds
RESIDUES = {
    "ETO": (
        [
            ("C1", "c3", -0.136),
            ("H11", "hc", 0.042),
            ("H12", "hc", 0.042),
            ("H13", "hc", 0.042),
            ("C2", "c3", 0.125),
            ("H21", "h1", 0.043),
            ("H22", "h1", 0.043),
            ("O1", "oh", -0.600),
            ("HO", "ho", 0.399),
        ],
        [(0, 1), (0, 2), (0, 3), (0, 4), (4, 5), (4, 6), (4, 7), (7, 8)],
    ),
    "HOH": ([("O", "ow", -0.834), ("H1", "hw", 0.417), ("H2", "hw", 0.417)], [(0, 1), (0, 2)]),
}
SEQUENCE = ["ETO", "HOH", "HOH"]
BONDS = {  # nm, kJ/mol/nm²
    ("c3", "c3"): (0.1535, 253634.0),
    ("c3", "hc"): (0.1092, 282253.0),
    ("c3", "h1"): (0.1093, 281080.0),
    ("c3", "oh"): (0.1426, 262839.0),
    ("ho", "oh"): (0.0974, 309281.0),
    ("hw", "ow"): (0.09572, 462750.4),
}
ANGLES = {  # degrees, kJ/mol/rad²
    ("c3", "c3", "hc"): (110.05, 388.0),
    ("hc", "c3", "hc"): (108.35, 329.9),
    ("c3", "c3", "h1"): (110.07, 387.9),
    ("c3", "c3", "oh"): (109.43, 566.9),
    ("h1", "c3", "h1"): (109.55, 327.9),
    ("h1", "c3", "oh"): (109.88, 426.7),
    ("c3", "oh", "ho"): (108.16, 394.0),
    ("hw", "ow", "hw"): (104.52, 836.8),
}
TORSIONS = {  # periodicity, degrees, kJ/mol
    ("hc", "c3", "c3", "oh"): [(3, 0.0, 0.6508), (1, 0.0, 1.046)],
    ("hc", "c3", "c3", "h1"): [(3, 0.0, 0.6508)],
    ("c3", "c3", "oh", "ho"): [(3, 0.0, 0.6694), (1, 0.0, 1.046)],
    ("h1", "c3", "oh", "ho"): [(3, 0.0, 0.6973)],
}
SCEE, SCNB = 1.2, 2.0


def along(table: dict, key: tuple[str, ...]) -> tuple[tuple[str, ...], object]:
    return (key, table[key]) if key in table else (key[::-1], table[key[::-1]])


def internal(bonds: list[tuple[int, int]]) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int, int]]]:
    near: dict[int, list[int]] = {}
    for i, j in bonds:
        near.setdefault(i, []).append(j)
        near.setdefault(j, []).append(i)
    angles = [(a, j, b) for j in sorted(near) for a, b in combinations(sorted(near[j]), 2)]
    torsions = [(a, i, j, b) for i, j in bonds for a in near[i] for b in near[j] if a != j and b not in (i, a)]
    return angles, torsions


def system() -> tuple[list[tuple[str, str, float, str, int]], list[tuple[int, int]]]:
    atoms, bonds = [], []
    for number, residue in enumerate(SEQUENCE, start=1):
        members, inner = RESIDUES[residue]
        bonds += [(len(atoms) + i, len(atoms) + j) for i, j in inner]
        atoms += [(*member, residue, number) for member in members]
    return atoms, bonds


def positions() -> np.ndarray:
    ethanol = molecule("CH3CH2OH")  # C C O H(O) H H (CH2) H H H (CH3)
    near = np.linalg.norm(ethanol.positions[:, None] - ethanol.positions[None], axis=2)
    hydroxyl = next(i for i in range(3, 9) if near[i, 2] < 1.1)
    ch3 = 0 if near[0, 2] > near[1, 2] else 1
    methyl = [i for i in range(3, 9) if near[i, ch3] < 1.2]
    methylene = [i for i in range(3, 9) if near[i, 1 - ch3] < 1.2]
    first = ethanol.positions[[ch3, *methyl, 1 - ch3, *methylene, 2, hydroxyl]]
    water = molecule("H2O").positions - molecule("H2O").positions[0]
    seconds = [water + first[7] + shift for shift in ([-0.29, -1.08, -2.62], [-2.27, -1.12, -1.32])]
    found = np.vstack([first, *seconds]) + 6.0
    return np.round(found + np.random.default_rng(3).normal(scale=0.03, size=found.shape), 2)  # a .gro has 0.01 Å


def write_pdb(atoms: list, bonds: list, x: np.ndarray) -> None:
    lines = ["CRYST1   13.000   12.500   12.000  90.00  90.00  90.00 P 1           1"]
    for i, ((name, kind, _, residue, number), r) in enumerate(zip(atoms, x, strict=True), start=1):
        element = "CHO"[[6, 1, 8].index(TYPES[kind][1])]
        label = f" {name:<3}"
        lines.append(
            f"HETATM{i:5d} {label} {residue} A{number:4d}    {r[0]:8.3f}{r[1]:8.3f}{r[2]:8.3f}"
            f"  1.00  0.00          {element:>2}"
        )
    near: dict[int, list[int]] = {}
    for i, j in bonds[:8]:
        near.setdefault(i, []).append(j)
        near.setdefault(j, []).append(i)
    lines += ["CONECT" + "".join(f"{k + 1:5d}" for k in (i, *near[i])) for i in sorted(near)] + ["END", ""]
    Path("ethanol_water.pdb").write_text("\n".join(lines))


def write_xml() -> None:
    out = ["<ForceField>", " <AtomTypes>"]
    elements = {6: "C", 1: "H", 8: "O"}
    out += [f'  <Type name="{t}" class="{t}" element="{elements[n]}" mass="{m}"/>' for t, (m, n, _, _) in TYPES.items()]
    out += [" </AtomTypes>", " <Residues>"]
    for residue, (members, inner) in RESIDUES.items():
        out.append(f'  <Residue name="{residue}">')
        out += [f'   <Atom name="{name}" type="{kind}" charge="{q}"/>' for name, kind, q in members]
        out += [f'   <Bond atomName1="{members[i][0]}" atomName2="{members[j][0]}"/>' for i, j in inner]
        out.append("  </Residue>")
    out += [" </Residues>", " <HarmonicBondForce>"]
    out += [f'  <Bond class1="{a}" class2="{b}" length="{r}" k="{k}"/>' for (a, b), (r, k) in BONDS.items()]
    out += [" </HarmonicBondForce>", " <HarmonicAngleForce>"]
    for (a, b, c), (t, k) in ANGLES.items():
        out.append(f'  <Angle class1="{a}" class2="{b}" class3="{c}" angle="{radians(t)!r}" k="{k}"/>')
    out += [" </HarmonicAngleForce>", " <PeriodicTorsionForce>"]
    for (a, b, c, d), terms in TORSIONS.items():
        values = " ".join(
            f'periodicity{i}="{n}" phase{i}="{radians(p)!r}" k{i}="{k}"' for i, (n, p, k) in enumerate(terms, 1)
        )
        out.append(f'  <Proper class1="{a}" class2="{b}" class3="{c}" class4="{d}" {values}/>')
    out += [" </PeriodicTorsionForce>"]
    out.append(f' <NonbondedForce coulomb14scale="{1 / SCEE!r}" lj14scale="{1 / SCNB!r}">')
    out.append('  <UseAttributeFromResidue name="charge"/>')
    out += [f'  <Atom type="{t}" sigma="{s}" epsilon="{e}"/>' for t, (_, _, s, e) in TYPES.items()]
    out += [" </NonbondedForce>", "</ForceField>", ""]
    Path("ethanol_water.xml").write_text("\n".join(out))


def write_amber(atoms: list, bonds: list, x: np.ndarray) -> None:
    angles, torsions = internal(bonds)
    kinds = list(TYPES)
    excluded = exclusions(len(atoms), bonds, angles, torsions)
    terms = [(t, term) for t in torsions for term in along(TORSIONS, tuple(atoms[i][1] for i in t))[1]]
    tables: dict[str, list] = {"bond": [], "angle": [], "torsion": []}

    def index(table: str, value: tuple) -> int:
        if value not in tables[table]:
            tables[table].append(value)
        return tables[table].index(value) + 1

    light = [TYPES[a[1]][1] == 1 for a in atoms]
    listed: dict[str, list[int]] = {key: [] for key in ("bh", "b", "ah", "a", "th", "t")}
    for i, j in bonds:
        key = "bh" if light[i] or light[j] else "b"
        listed[key] += [3 * i, 3 * j, index("bond", along(BONDS, (atoms[i][1], atoms[j][1]))[1])]
    for each in angles:
        key = "ah" if any(light[i] for i in each) else "a"
        listed[key] += [*(3 * i for i in each), index("angle", along(ANGLES, tuple(atoms[i][1] for i in each))[1])]
    seen: set[frozenset[int]] = set()
    for each, term in terms:
        a, b, c, d = each if each[3] != 0 and each[2] != 0 else each[::-1]  # a zero cannot carry the sign below
        again = frozenset((a, d)) in seen
        seen.add(frozenset((a, d)))
        key = "th" if any(light[i] for i in each) else "t"
        listed[key] += [3 * a, 3 * b, -3 * c if again else 3 * c, 3 * d, index("torsion", term)]
    sigma = np.array([TYPES[k][2] for k in kinds]) * 10
    epsilon = np.array([TYPES[k][3] for k in kinds]) / KCAL
    pair = [(i, j) for i in range(len(kinds)) for j in range(i + 1)]
    a_coef = [4 * np.sqrt(epsilon[i] * epsilon[j]) * ((sigma[i] + sigma[j]) / 2) ** 12 for i, j in pair]
    b_coef = [4 * np.sqrt(epsilon[i] * epsilon[j]) * ((sigma[i] + sigma[j]) / 2) ** 6 for i, j in pair]
    matrix = [pair.index((max(i, j), min(i, j))) + 1 for i in range(len(kinds)) for j in range(len(kinds))]
    starts = [next(i for i, a in enumerate(atoms) if a[4] == n) + 1 for n in range(1, len(SEQUENCE) + 1)]
    pointers = [
        len(atoms), len(kinds), len(listed["bh"]) // 3, len(listed["b"]) // 3, len(listed["ah"]) // 4,
        len(listed["a"]) // 4, len(listed["th"]) // 5, len(listed["t"]) // 5, 0, 0, sum(map(len, excluded)),
        len(SEQUENCE), len(listed["b"]) // 3, len(listed["a"]) // 4, len(listed["t"]) // 5, len(tables["bond"]),
        len(tables["angle"]), len(tables["torsion"]), len(kinds), 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 0, 0,
    ]  # fmt: skip
    sections: list[tuple[str, str, list]] = [
        ("TITLE", "20a4", ["ethanol and two waters"]),
        ("POINTERS", "10I8", pointers),
        ("ATOM_NAME", "20a4", [a[0] for a in atoms]),
        ("CHARGE", "5E16.8", [a[2] * 18.2223 for a in atoms]),
        ("ATOMIC_NUMBER", "10I8", [TYPES[a[1]][1] for a in atoms]),
        ("MASS", "5E16.8", [TYPES[a[1]][0] for a in atoms]),
        ("ATOM_TYPE_INDEX", "10I8", [kinds.index(a[1]) + 1 for a in atoms]),
        ("NUMBER_EXCLUDED_ATOMS", "10I8", [len(each) for each in excluded]),
        ("NONBONDED_PARM_INDEX", "10I8", matrix),
        ("RESIDUE_LABEL", "20a4", ["ETO", "WAT", "WAT"]),
        ("RESIDUE_POINTER", "10I8", starts),
        ("BOND_FORCE_CONSTANT", "5E16.8", [k / (2 * 100 * KCAL) for _, k in tables["bond"]]),
        ("BOND_EQUIL_VALUE", "5E16.8", [10 * r for r, _ in tables["bond"]]),
        ("ANGLE_FORCE_CONSTANT", "5E16.8", [k / (2 * KCAL) for _, k in tables["angle"]]),
        ("ANGLE_EQUIL_VALUE", "5E16.8", [radians(t) for t, _ in tables["angle"]]),
        ("DIHEDRAL_FORCE_CONSTANT", "5E16.8", [k / KCAL for _, _, k in tables["torsion"]]),
        ("DIHEDRAL_PERIODICITY", "5E16.8", [float(n) for n, _, _ in tables["torsion"]]),
        ("DIHEDRAL_PHASE", "5E16.8", [radians(p) for _, p, _ in tables["torsion"]]),
        ("SCEE_SCALE_FACTOR", "5E16.8", [SCEE] * len(tables["torsion"])),
        ("SCNB_SCALE_FACTOR", "5E16.8", [SCNB] * len(tables["torsion"])),
        ("SOLTY", "5E16.8", [0.0] * len(kinds)),
        ("LENNARD_JONES_ACOEF", "5E16.8", a_coef),
        ("LENNARD_JONES_BCOEF", "5E16.8", b_coef),
        ("BONDS_INC_HYDROGEN", "10I8", listed["bh"]),
        ("BONDS_WITHOUT_HYDROGEN", "10I8", listed["b"]),
        ("ANGLES_INC_HYDROGEN", "10I8", listed["ah"]),
        ("ANGLES_WITHOUT_HYDROGEN", "10I8", listed["a"]),
        ("DIHEDRALS_INC_HYDROGEN", "10I8", listed["th"]),
        ("DIHEDRALS_WITHOUT_HYDROGEN", "10I8", listed["t"]),
        ("EXCLUDED_ATOMS_LIST", "10I8", [j for each in excluded for j in each]),
        ("HBOND_ACOEF", "5E16.8", []),
        ("HBOND_BCOEF", "5E16.8", []),
        ("HBCUT", "5E16.8", []),
        ("AMBER_ATOM_TYPE", "20a4", [a[1] for a in atoms]),
        ("TREE_CHAIN_CLASSIFICATION", "20a4", ["M"] * len(atoms)),
        ("JOIN_ARRAY", "10I8", [0] * len(atoms)),
        ("IROTAT", "10I8", [0] * len(atoms)),
        ("SOLVENT_POINTERS", "3I8", [1, 3, 2]),
        ("ATOMS_PER_MOLECULE", "10I8", [9, 3, 3]),
        ("BOX_DIMENSIONS", "5E16.8", [90.0, 13.0, 12.5, 12.0]),
    ]
    text = "%VERSION  VERSION_STAMP = V0001.000  DATE = 01/01/26  00:00:00\n"
    text += "".join(amber_section(*each) for each in sections)
    Path("ethanol_water.prmtop").write_text(text)
    values = [*x.ravel().tolist()]
    body = "".join(f"{v:12.7f}" + ("\n" if i % 6 == 5 else "") for i, v in enumerate(values))
    box = "".join(f"{v:12.7f}" for v in (13.0, 12.5, 12.0, 90.0, 90.0, 90.0))
    Path("ethanol_water.inpcrd").write_text(f"ethanol and two waters\n{len(atoms):5d}\n{body.rstrip()}\n{box}\n")


def amber_section(name: str, form: str, values: list) -> str:
    per, style = {"20a4": (20, "{:<4}"), "10I8": (10, "{:8d}"), "3I8": (3, "{:8d}"), "5E16.8": (5, "{:16.8E}")}[form]
    written = [style.format(v) for v in values]
    rows = ["".join(written[i : i + per]) for i in range(0, len(written), per)] or [""]
    return f"%FLAG {name}\n%FORMAT({form})\n" + "\n".join(rows) + "\n"


def exclusions(n: int, bonds: list, angles: list, torsions: list) -> list[list[int]]:
    pairs = {tuple(sorted((t[0], t[-1]))) for t in [*bonds, *angles, *torsions]}
    return [sorted(j + 1 for i, j in pairs if i == a) or [0] for a in range(n)]


def write_gromacs(atoms: list, x: np.ndarray) -> None:
    out = ["[ defaults ]", f"1 2 yes {1 / SCNB!r} {1 / SCEE!r}", "", "[ atomtypes ]"]
    out += [f"{t} {n} {m} 0.0 A {s!r} {e!r}" for t, (m, n, s, e) in TYPES.items()]
    out += ["", "[ bondtypes ]", *(f"{a} {b} 1 {r!r} {k!r}" for (a, b), (r, k) in BONDS.items())]
    out += ["", "[ angletypes ]", *(f"{a} {b} {c} 1 {t!r} {k!r}" for (a, b, c), (t, k) in ANGLES.items())]
    out += ["", "[ dihedraltypes ]"]
    out += [f"{' '.join(key)} 9 {p!r} {k!r} {n}" for key, terms in TORSIONS.items() for n, p, k in terms]
    for residue, (members, inner) in RESIDUES.items():
        angles, torsions = internal(inner)
        out += ["", "[ moleculetype ]", f"{residue} 3", "", "[ atoms ]"]
        out += [f"{i} {kind} 1 {residue} {name} {i} {q!r}" for i, (name, kind, q) in enumerate(members, 1)]
        for title, terms, function in (("bonds", inner, 1), ("angles", angles, 1), ("dihedrals", torsions, 9)):
            out += ["", f"[ {title} ]"] + [" ".join(str(i + 1) for i in t) + f" {function}" for t in terms]
        out += ["", "[ pairs ]"] + [f"{t[0] + 1} {t[3] + 1} 1" for t in torsions]
    out += ["", "[ system ]", "ethanol and two waters", "", "[ molecules ]", "ETO 1", "HOH 2", ""]
    Path("ethanol_water.top").write_text("\n".join(out))
    rows = ["ethanol and two waters", str(len(atoms))]
    for i, ((name, _, _, residue, number), r) in enumerate(zip(atoms, x / 10, strict=True), start=1):
        rows.append(f"{number:5d}{residue:<5}{name:>5}{i:5d}{r[0]:8.3f}{r[1]:8.3f}{r[2]:8.3f}")
    Path("ethanol_water.gro").write_text("\n".join([*rows, "   1.30000   1.25000   1.20000", ""]))


def write_charmm(atoms: list, bonds: list, x: np.ndarray) -> None:
    """CHARMM does not scale 1-4 Coulomb pairs; its own 1-4 dispersion is written out scaled."""
    angles, torsions = internal(bonds)
    out = ["PSF", "", f"{1:8d} !NTITLE", " REMARKS ethanol and two waters", "", f"{len(atoms):8d} !NATOM"]
    for i, (name, kind, q, residue, number) in enumerate(atoms, start=1):
        mass = TYPES[kind][0]
        out.append(f"{i:8d} MAIN {number:<4d} {residue:<4} {name:<4} {kind.upper():<4} {q:10.6f} {mass:13.4f} {0:11d}")
    for title, terms, per in (
        ("NBOND: bonds", bonds, 4),
        ("NTHETA: angles", angles, 3),
        ("NPHI: dihedrals", torsions, 2),
    ):
        out += ["", f"{len(terms):8d} !{title}"]
        rows = [terms[i : i + per] for i in range(0, len(terms), per)]
        out += ["".join(f"{i + 1:8d}" for term in row for i in term) for row in rows]
    for title in ("NIMPHI: impropers", "NDON: donors", "NACC: acceptors", "NNB"):
        out += ["", f"{0:8d} !{title}", ""]
    out += ["".join(f"{0:8d}" for _ in atoms[:8]), "".join(f"{0:8d}" for _ in atoms[8:])]
    out += ["", f"{1:8d}{0:8d} !NGRP NST2", f"{0:8d}{0:8d}{0:8d}", "", f"{0:8d} !NCRTERM: cross-terms", "", ""]
    Path("ethanol_water.psf").write_text("\n".join(out))
    prm = ["* parameters made for tests", "*", "", "ATOMS"]
    prm += [f"MASS -1 {t.upper()} {m}" for t, (m, _, _, _) in TYPES.items()]
    prm += ["", "BONDS", *(f"{a} {b} {k / (200 * KCAL)!r} {10 * r!r}".upper() for (a, b), (r, k) in BONDS.items())]
    prm += ["", "ANGLES"]
    prm += [f"{a} {b} {c} {k / (2 * KCAL)!r} {t!r}".upper() for (a, b, c), (t, k) in ANGLES.items()]
    prm += ["", "DIHEDRALS"]
    prm += [f"{' '.join(key)} {k / KCAL!r} {n} {p!r}".upper() for key, v in TORSIONS.items() for n, p, k in v]
    prm += ["", "NONBONDED nbxmod 5 atom cdiel fshift vatom vdistance vfswitch -"]
    prm += ["cutnb 14.0 ctofnb 12.0 ctonnb 10.0 eps 1.0 e14fac 1.0 wmin 1.5"]
    for t, (_, _, sigma, epsilon) in TYPES.items():
        radius, depth = 10 * sigma * 2 ** (1 / 6) / 2, -epsilon / KCAL
        prm.append(f"{t.upper()} 0.0 {depth!r} {radius!r} 0.0 {depth / SCNB!r} {radius!r}")
    Path("ethanol_water.prm").write_text("\n".join([*prm, "", "END", ""]))
    crd = ["* ethanol and two waters", "*", f"{len(atoms):5d}"]
    for i, ((name, _, _, residue, number), r) in enumerate(zip(atoms, x, strict=True), start=1):
        crd.append(
            f"{i:5d}{number:5d} {residue:<4} {name:<4}{r[0]:10.5f}{r[1]:10.5f}{r[2]:10.5f} MAIN {number:<4d}{0:10.5f}"
        )
    Path("ethanol_water.crd").write_text("\n".join([*crd, ""]))


if __name__ == "__main__":
    atoms, bonds = system()
    x = positions()
    write_pdb(atoms, bonds, x)
    write_xml()
    write_amber(atoms, bonds, x)
    write_gromacs(atoms, x)
    write_charmm(atoms, bonds, x)
