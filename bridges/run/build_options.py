"""What a precice-config.xml needs of preCICE's build, against what this build has.

The rules are those of preCICE 3.4's own sources. Kokkos-Kernels, which an executor of rbf-pum-direct needs, is not in
preCICE's version information: there, preCICE's own error has to do.
"""

from __future__ import annotations

from collections.abc import Iterator

from scalespan.adapters.interface import CaseError

from .precice_config import Config, DataMapping, Element

# element -> preCICE's name of the option that it needs, and what to use instead
_RULES = {
    "m2n:mpi": ("MPI_COMMUNICATION", "m2n:sockets"),
    "m2n:mpi-multiple-ports": ("MPI_COMMUNICATION", "m2n:sockets"),
    "intra-comm:mpi": ("MPI_COMMUNICATION", "intra-comm:sockets"),
    "acceleration:IQN-IMVJ": ("MPI_COMMUNICATION", "acceleration:IQN-ILS"),
    "action:python": ("PYTHON_ACTIONS", "the participant's own code"),
}


def lacking(config: Config, build: str) -> Iterator[CaseError]:
    """Yield an error for each element of ``config`` that this build does not have.

    Args:
        config: the case's precice-config.xml.
        build: preCICE's version information, "3.4.1;v3.4.1;PRECICE_FEATURE_MPI_COMMUNICATION=Y;…".
    """
    for element in config.root.walk():
        option, instead = _RULES.get(element.tag, ("", ""))
        if _without(option, build):
            yield _error(element, option, instead)
    for participant in config.participants:
        for mapping in participant.mappings:
            option = _solver(mapping)
            if _without(option, build):
                yield _error(mapping.element, option, "mapping:rbf-pum-direct, which the processor alone computes")


def refuse_unbuilt(config: Config, build: str) -> None:
    """Raise the first error of `lacking`.

    Raises:
        CaseError: the XML needs a build option that this preCICE lacks.
    """
    for error in lacking(config, build):
        raise error


def _solver(mapping: DataMapping) -> str:
    """Return the option that the solver of a global radial-basis mapping needs, or nothing."""
    if mapping.executor != "cpu" and mapping.kind.startswith("rbf-global-"):
        return "GINKGO_MAPPING"
    return "PETSC_MAPPING" if mapping.kind == "rbf-global-iterative" else ""


def _without(option: str, build: str) -> bool:
    return bool(option) and f"PRECICE_FEATURE_{option}=N" in build.split(";")


def _error(element: Element, option: str, instead: str) -> CaseError:
    return element.wrong(f"this preCICE was built without {option}", todo=f"use {instead}, or another build of preCICE")
