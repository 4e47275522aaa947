"""What a person should see of a case with participants before it runs, and what to be wary of."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace

from scalespan.adapters.interface import CaseError, Table

from ..build_options import lacking
from ..precice_config import DataMapping, Participant, Transfer
from .case import XML, CoupledCase
from .look import Look
from .rules import mapping_between

_WAIT = 60.0  # s for preCICE's own checker


def tables(case: CoupledCase, looks: Mapping[str, Look]) -> list[Table]:
    """Return the tables of `scalespan check`.

    Raises:
        CaseError: preCICE, or the embedded coupling where that is asked for, would refuse the XML.
    """
    audits = [replace(table, title=f"{name}: {table.title}") for name, look in looks.items() for table in look.audit]
    checker = [] if case.kind == "embedded" else [("preCICE's checker", line) for line in _precice_says(case)]
    wary = [
        *_pairs(case),
        *_late(case),
        *_parallel(case),
        *coarse_kernels(case, looks),
        *_refused(case),
        *checker,
    ]
    note = "nothing" if not wary else "each is allowed, and each has its price"
    warnings = [Table("To be wary of", ("what", "why"), tuple(wary), note)] if wary else []
    return [_overview(case), _participants(case, looks), _exchanges(case, looks), *audits, *warnings]


def lines(case: CoupledCase) -> list[str]:
    """Return what to type to start each participant by hand."""
    found = [
        f"{f'mpirun -n {part.ranks} ' if part.ranks > 1 else ''}scalespan run {case.folder} --participant {part.name}"
        for part in case.parts.values()
    ]
    return [*found, *(f"cd {case.folder / name} && ./run.sh" for name in case.foreign)]


def _overview(case: CoupledCase) -> Table:
    scheme = case.config.schemes[0]
    ends = f"{scheme.max_time:g} {case.coupling.time}" if scheme.max_time is not None else "set by windows"
    rows = (
        ("case", case.title),
        ("folder", str(case.folder)),
        ("coupling", case.kind if case.kind == case.coupling.with_ else f"{case.kind} ({case.coupling.with_})"),
        ("scheme", ", ".join(each.kind for each in case.config.schemes)),
        ("end", ends),
        ("windows", str(case.windows or "set by the first participant")),
        ("reference numbers", str(len(case.references))),
    )
    return Table("The case", ("", ""), rows, "\n".join(["by hand, each in a terminal of its own:", *lines(case)]))


def _participants(case: CoupledCase, looks: Mapping[str, Look]) -> Table:
    rows = []
    for name, part in case.parts.items():
        look = looks[name]
        meshes = ", ".join(f"{mesh} ({each.points} points)" for mesh, each in look.meshes.items())
        rows.append((name, look.bridge, str(part.ranks), meshes or "-", ", ".join(look.regions) or "-"))
    rows += [(name, f"{name}/run.sh", "its own", "-", "-") for name in case.foreign]
    return Table("Participants", ("name", "bridge", "ranks", "meshes", "partner's meshes"), tuple(rows))


def _exchanges(case: CoupledCase, looks: Mapping[str, Look]) -> Table:
    rows = []
    for scheme in case.config.schemes:
        for each in scheme.exchanges:
            units = (_unit(looks, each.source, each.data, "writes"), _unit(looks, each.target, each.data, "reads"))
            rows.append((each.data, each.source, each.target, _how(case, each), *units))
    return Table("Exchanges", ("data", "from", "to", "mapping", "written in", "read in"), tuple(rows))


def _unit(looks: Mapping[str, Look], name: str, data: str, side: str) -> str:
    if name not in looks:
        return "?"
    return next((field.unit for field in getattr(looks[name], side) if field.name == data), "?")


def _how(case: CoupledCase, each: Transfer) -> str:
    mapping = mapping_between(case.config, each)
    return f"{mapping.kind}, {mapping.constraint}" if mapping else "none: the same points"


def _pairs(case: CoupledCase) -> Iterator[tuple[str, str]]:
    """Warn where a displacement and a force between two participants are mapped by different kinds.

    Virtual work is kept where the force's conservative mapping is the transpose of the displacement's consistent one
    (Farhat, Lesoinne, Le Tallec 1998, doi:10.1016/S0045-7825(97)00216-8).
    """
    for scheme in case.config.schemes:
        found = [(each, mapping_between(case.config, each)) for each in scheme.exchanges]
        for one, moved in found:
            for other, loaded in found:
                back = (one.source, one.target) == (other.target, other.source)
                if not (back and "displacement" in one.data.lower() and "force" in other.data.lower()):
                    continue
                if moved is None or loaded is None:
                    continue
                if moved.kind != loaded.kind or (moved.constraint, loaded.constraint) != ("consistent", "conservative"):
                    yield (
                        f"{one.data} by {moved.kind} ({moved.constraint}), {other.data} by {loaded.kind} "
                        f"({loaded.constraint})",
                        "virtual work is kept only by one kind, consistent for the one and conservative for the other",
                    )


def _late(case: CoupledCase) -> Iterator[tuple[str, str]]:
    """Warn of displacements and forces that pass each other in a parallel-explicit scheme."""
    for scheme in case.config.schemes:
        names = {each.data.lower() for each in scheme.exchanges}
        both = any("displacement" in name for name in names) and any("force" in name for name in names)
        if both and scheme.kind == "parallel-explicit":
            yield (
                "displacements and forces by parallel-explicit",
                "each side works with what the other had a window ago, and energy grows: take serial-explicit",
            )


def _parallel(case: CoupledCase) -> Iterator[tuple[str, str]]:
    """Name mappings that preCICE does not do for a participant with several ranks."""
    for name, part in case.parts.items():
        for mapping in case.config.participant(name).mappings if part.ranks > 1 else ():
            if mapping.constraint.startswith("scaled-consistent"):
                yield f"{name}: {mapping.constraint} with {part.ranks} ranks", "preCICE does that on one rank only"
            elif (mapping.direction, mapping.constraint) not in (("read", "consistent"), ("write", "conservative")):
                yield (
                    f"{name}: {mapping.direction} {mapping.constraint} with {part.ranks} ranks",
                    "with several ranks preCICE maps read-consistent and write-conservative only",
                )


def coarse_kernels(case: CoupledCase, looks: Mapping[str, Look]) -> Iterator[tuple[str, str]]:
    """Warn of a coarse-graining whose kernel sees too few points: its integral is off by 1e-2 at r = h, 2e-4 at 2 h."""
    spacing = {name: mesh.spacing for look in looks.values() for name, mesh in look.meshes.items()}
    for participant in case.config.participants:
        for mapping in participant.mappings:
            if mapping.kind != "coarse-graining":
                continue
            radius = _radius(participant, mapping)
            h = spacing.get(mapping.target, 0.0)
            if radius < 2.0 * h:
                yield (
                    f"coarse-graining to {mapping.target}: radius {radius:g}, points {h:g} apart",
                    f"set radius above {2.0 * h:g}, better {4.0 * h:g}: else the integral is off by more than 2e-4",
                )


def _radius(participant: Participant, mapping: DataMapping) -> float:
    child = mapping.element.one("function")
    return mapping.element.number("radius", default=child.number("radius") if child else 0.0)


def _refused(case: CoupledCase) -> list[tuple[str, str]]:
    """Say what the embedded coupling would refuse; raise it where that is the coupling."""
    from ..embedded import unsupported

    found = list(unsupported(case.config))
    if case.kind == "embedded" and found:
        raise found[0]
    return [("the embedded coupling", str(error)) for error in found]


def _precice_says(case: CoupledCase) -> Iterator[str]:
    """Ask preCICE about the XML, as far as it is installed.

    Raises:
        CaseError: preCICE refuses it, or this build of it lacks what it needs.
    """
    from ..precice import build_of

    for error in lacking(case.config, build_of()):
        raise error
    if validate := shutil.which("precice-config-validate"):
        for name in (*case.parts, *case.foreign):
            done = _asked([validate, str(case.xml.resolve()), name])
            if done.returncode != 0:
                raise CaseError(f"preCICE refuses it: {_first_error(done.stdout + done.stderr)}", where=XML)
    if checker := shutil.which("precice-config-check"):
        text = re.sub(r"\x1b\[[0-9;]*m", "", _asked([checker, str(case.xml.resolve())]).stdout)
        yield from re.findall(r">>> \[(?:WARNING|ERROR)\]: (.*)", text)


def _asked(words: list[str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:  # a checker makes the files of watch points where it runs
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=_WAIT, cwd=folder)


def _first_error(text: str) -> str:
    found = [line.partition("ERROR:")[2] or line for line in text.splitlines() if line.strip()]
    with_error = [line.partition("ERROR:")[2] for line in text.splitlines() if "ERROR:" in line]
    return (with_error or found or ["it does not say why"])[0].strip().rstrip(".")
