"""What the embedded coupling does, and the sentence for everything else."""

from __future__ import annotations

from collections.abc import Iterator

from scalespan.adapters.interface import CaseError

from ..precice_config import Config, DataMapping, Element, Scheme
from .mapping import BASIS

_MAPPINGS = ("nearest-neighbor", "linear-cell-interpolation", "rbf-global-direct")
_MEASURES = ("absolute", "relative", "residual-relative", "absolute-or-relative")
_TAGS = {
    *("precice-configuration", "log", "sink", "profiling", "data:scalar", "data:vector", "mesh", "use-data"),
    *("participant", "provide-mesh", "receive-mesh", "read-data", "write-data", "executor:cpu", "intra-comm:sockets"),
    *("m2n:sockets", "m2n:mpi", "m2n:mpi-multiple-ports", "participants", "exchange"),  # any: the transport is our own
    *("max-time", "max-time-windows", "time-window-size", "min-iterations", "max-iterations"),
    *(f"coupling-scheme:{order}-{kind}" for order in ("serial", "parallel") for kind in ("explicit", "implicit")),
    *("acceleration:constant", "acceleration:aitken", "acceleration:IQN-ILS", "relaxation", "initial-relaxation"),
    *("max-used-iterations", "time-windows-reused", "data", "filter", "preconditioner"),
    *(f"mapping:{kind}" for kind in _MAPPINGS),
    *(f"basis-function:{kind}" for kind in BASIS),
    *(f"{kind}-convergence-measure" for kind in _MEASURES),
}
_INSTEAD = {"mapping:rbf-pum-direct": "rbf-global-direct", "mapping:rbf": "rbf-global-direct"}


def refuse_unsupported(config: Config) -> None:
    """Raise the first error of `unsupported`."""
    for error in unsupported(config):
        raise error


def unsupported(config: Config) -> Iterator[CaseError]:
    """Yield a sentence for everything in ``config`` that only preCICE does."""
    for element in config.root.walk():
        if element.tag not in _TAGS:
            instead = _INSTEAD.get(element.tag)
            yield _needs(element, "it", f"install pyprecice, or use {instead}" if instead else "install pyprecice")
    if config.remeshing:
        yield _needs(config.root, "allow-remeshing")
    for participant in config.participants:
        if len(config.schemes_of(participant.name)) > 1:
            yield _needs(participant.element, "a participant of several coupling schemes")
        for mapping in participant.mappings:
            yield from _mapping(mapping)
    for scheme in config.schemes:
        yield from _scheme(config, scheme)
    for data in config.data:
        if not 1 <= data.degree <= 3 or data.bounded:
            element = next(each for each in config.root.all("data") if each.text("name") == data.name)
            yield _needs(element, "a bound" if data.bounded else f"waveform-degree {data.degree}")


def _mapping(mapping: DataMapping) -> Iterator[CaseError]:
    element = mapping.element
    if mapping.constraint not in ("consistent", "conservative"):
        yield _needs(element, f"constraint '{mapping.constraint}'")
    if mapping.just_in_time and mapping.kind in _MAPPINGS[1:]:
        yield _needs(element, "a just-in-time mapping other than nearest-neighbor")
    if mapping.kind == "rbf-global-direct" and element.text("polynomial", default="separate") == "on":
        yield _needs(element, "polynomial 'on'", "install pyprecice, or use polynomial 'separate'")
    if mapping.kind == "rbf-global-direct" and mapping.basis is None:
        yield element.wrong("the element <basis-function:… /> is missing inside")


def _scheme(config: Config, scheme: Scheme) -> Iterator[CaseError]:
    element = next(each for each in config.root.all("coupling-scheme") if each.kind == scheme.kind)
    if scheme.method != "fixed" and scheme.kind != "serial-explicit":
        yield _needs(element, "a window size that the first participant sets, in an implicit scheme,")
    if scheme.method == "fixed" and scheme.window <= 0.0:
        yield element.wrong("the element <time-window-size value='…'/> is missing inside, or not above zero")
    if scheme.implicit and not scheme.measures and scheme.max_iterations < 0:
        yield element.wrong("neither a convergence measure nor max-iterations ends the iterations")
    options = scheme.acceleration
    if options is None:
        return
    if options.preconditioner in ("value", "residual"):
        yield _needs(options.element, f"preconditioner '{options.preconditioner}'")
    if options.on_bound_violation != "ignore":
        yield _needs(options.element, f"on-bound-violation '{options.on_bound_violation}'")
    if options.kind != "constant" and not options.data:
        yield options.element.wrong("the element <data …/> is missing inside")


def _needs(element: Element, what: str, todo: str = "install pyprecice") -> CaseError:
    return element.wrong(f"{what} needs preCICE", todo=todo)
