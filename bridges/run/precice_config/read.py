"""Reads precice-config.xml: each function takes an element and returns its dataclass, with preCICE's defaults."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from scalespan.adapters.interface import CaseError, nearest

from .element import Element, parse
from .names import check_names
from .types import (
    Acceleration,
    Config,
    Connection,
    Data,
    DataMapping,
    DeclaredMesh,
    Measure,
    Participant,
    ReceivedMesh,
    Scheme,
    Transfer,
    Use,
    WatchPoint,
)


def read_config(file: Path) -> Config:
    """Return what ``file`` says.

    Raises:
        CaseError: the file is missing, is not XML, or says something wrong: the sentence names line and element.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise CaseError(f"cannot read it ({error.strerror})", where=str(file)) from error
    root = parse(text, file.name)
    if root.tag != "precice-configuration":
        raise root.wrong("a precice-config.xml starts with <precice-configuration>")
    check_names(root)
    config = Config(
        file=file.name,
        data=tuple(_data(each) for each in root.all("data")),
        meshes=tuple(_mesh(each) for each in root.all("mesh")),
        participants=tuple(_participant(each) for each in root.all("participant")),
        connections=tuple(_connection(each) for each in root.all("m2n")),
        schemes=tuple(_scheme(each) for each in root.all("coupling-scheme")),
        experimental=root.flag("experimental", default=False),
        remeshing=root.flag("allow-remeshing", default=False),
        root=root,
        digest=sha256(text).hexdigest(),
    )
    _check_names(config)
    return config


def _data(element: Element) -> Data:
    bounds = [key for key in element.attributes if key.startswith(("lower-bound", "upper-bound"))]
    return Data(
        element.text("name"), element.kind == "vector", element.whole("waveform-degree", default=1), bool(bounds)
    )


def _mesh(element: Element) -> DeclaredMesh:
    dimension = element.whole("dimensions")
    if dimension not in (2, 3):
        raise element.wrong(f"a mesh has 2 or 3 dimensions, not {dimension}")
    return DeclaredMesh(element.text("name"), dimension, tuple(use.text("name") for use in element.all("use-data")))


def _participant(element: Element) -> Participant:
    return Participant(
        name=element.text("name"),
        provides=tuple(each.text("name") for each in element.all("provide-mesh")),
        receives=tuple(_received(each) for each in element.all("receive-mesh")),
        reads=tuple(Use(each.text("name"), each.text("mesh")) for each in element.all("read-data")),
        writes=tuple(Use(each.text("name"), each.text("mesh")) for each in element.all("write-data")),
        mappings=tuple(_mapping(each) for each in element.all("mapping")),
        watch_points=tuple(_watch_point(each) for each in element.all("watch-point")),
        element=element,
    )


def _received(element: Element) -> ReceivedMesh:
    access = element.flag("api-access", default=False) or element.flag("direct-access", default=False)
    return ReceivedMesh(
        element.text("name"), element.text("from"), access, element.number("safety-factor", default=0.5)
    )


def _mapping(element: Element) -> DataMapping:
    mapping = DataMapping(
        kind=element.kind,
        direction=element.text("direction"),
        constraint=element.text("constraint"),
        source=element.text("from", default=""),
        target=element.text("to", default=""),
        element=element,
    )
    if mapping.direction not in ("read", "write"):
        raise element.wrong(f"direction is 'read' or 'write', not '{mapping.direction}'")
    return mapping


def _watch_point(element: Element) -> WatchPoint:
    try:
        coordinate = tuple(float(part) for part in element.text("coordinate").replace(",", ";").split(";"))
    except ValueError as error:
        raise element.wrong("coordinate is numbers with ';' between them") from error
    return WatchPoint(element.text("name"), element.text("mesh"), coordinate)


def _connection(element: Element) -> Connection:
    return Connection(
        element.kind,
        element.text("acceptor"),
        element.text("connector"),
        element.text("exchange-directory", default="") or ".",
    )


def _scheme(element: Element) -> Scheme:
    size = element.one("time-window-size")
    limits = {
        name: _value(element, name) for name in ("max-time", "max-time-windows", "min-iterations", "max-iterations")
    }
    if limits["max-time"] is None and limits["max-time-windows"] is None:
        raise element.wrong("a scheme needs <max-time value='…'/> or <max-time-windows value='…'/>")
    first, last, control = limits["min-iterations"], limits["max-iterations"], ""
    if element.kind == "multi":
        parties = tuple(each.text("name") for each in element.all("participant"))
        control = next((e.text("name") for e in element.all("participant") if e.flag("control", default=False)), "")
    else:
        pair = element.one("participants") or element.lacks("participants")
        parties = (pair.text("first"), pair.text("second"))
    windows = limits["max-time-windows"]
    return Scheme(
        kind=element.kind,
        participants=parties,
        control=control,
        window=size.number("value", default=-1.0) if size else -1.0,
        method=size.text("method", default="fixed") if size else "fixed",
        max_time=limits["max-time"],
        max_windows=None if windows is None else int(windows),
        min_iterations=1 if first is None else int(first),
        max_iterations=-1 if last is None else int(last),
        exchanges=tuple(_transfer(each, element.kind) for each in element.all("exchange")),
        measures=tuple(_measure(each) for each in element.children if each.tag.endswith("-convergence-measure")),
        acceleration=next((_acceleration(each) for each in element.all("acceleration")), None),
    )


def _value(element: Element, name: str) -> float | None:
    child = element.one(name)
    return None if child is None else child.number("value")


def _transfer(element: Element, scheme: str) -> Transfer:
    return Transfer(
        element.text("data"),
        element.text("mesh"),
        element.text("from"),
        element.text("to"),
        element.flag("initialize", default=False),
        element.flag("substeps", default=not scheme.endswith("-explicit")),
    )


def _measure(element: Element) -> Measure:
    kind = element.tag.removesuffix("-convergence-measure")
    both = kind == "absolute-or-relative"
    return Measure(
        kind,
        element.text("data"),
        element.text("mesh"),
        element.number("rel-limit" if both else "limit"),
        element.number("abs-limit") if both else 0.0,
        element.flag("suffices", default=False),
        element.flag("strict", default=False),
    )


# Relaxation, columns, windows reused: preCICE's defaults.
_DEFAULTS = {"constant": (0.0, 0, 0), "aitken": (0.5, 0, 0), "IQN-ILS": (0.1, 100, 10), "IQN-IMVJ": (0.1, 20, 0)}


def _acceleration(element: Element) -> Acceleration:
    if element.kind not in _DEFAULTS:
        raise element.wrong("there is no such acceleration", todo=nearest(element.kind, _DEFAULTS))
    relaxation, columns, windows = _DEFAULTS[element.kind]
    constant = element.kind == "constant"
    first = element.one("relaxation" if constant else "initial-relaxation")
    if constant and first is None:
        element.lacks("relaxation")
    quasi_newton = element.kind.startswith("IQN")
    drop = element.one("filter")
    scale = element.one("preconditioner")
    used, reused = _value(element, "max-used-iterations"), _value(element, "time-windows-reused")
    return Acceleration(
        kind=element.kind,
        relaxation=first.number("value") if first else relaxation,
        enforce=first.flag("enforce", default=False) if first else False,
        data=tuple((e.text("name"), e.text("mesh"), e.number("scaling", default=1.0)) for e in element.all("data")),
        max_used_iterations=columns if used is None else int(used),
        time_windows_reused=windows if reused is None else int(reused),
        filter=drop.text("type", default="QR3") if drop else "QR3",
        filter_limit=drop.number("limit", default=1e-16) if drop else 1e-2,
        preconditioner=scale.text("type") if scale else ("residual-sum" if quasi_newton else "none"),
        update_on_threshold=scale.flag("update-on-threshold", default=True) if scale else True,
        freeze_after=scale.whole("freeze-after", default=-1) if scale else -1,
        reduced_time_grid=element.flag("reduced-time-grid", default=True),
        on_bound_violation=element.text("on-bound-violation", default="ignore"),
        element=element,
    )


def _check_names(config: Config) -> None:
    """Look up every name that another element defines.

    Raises:
        CaseError: a name is not defined; the sentence names the nearest.
    """
    lookups = {"mesh": config.mesh, "data": config.datum, "participant": config.participant}
    for element in config.root.walk():
        for key, what in _refers(element):
            name = element.text(key, default="")
            if not name:
                continue
            try:
                lookups[what](name)
            except CaseError as error:
                raise element.wrong(error.what, todo=error.todo) from error


def _refers(element: Element) -> list[tuple[str, str]]:
    """Return (attribute, what it names) for the attributes of ``element`` that name another element."""
    tag = element.tag
    if tag == "exchange":
        return [("data", "data"), ("mesh", "mesh"), ("from", "participant"), ("to", "participant")]
    if tag.endswith("-convergence-measure"):
        return [("data", "data"), ("mesh", "mesh")]
    if tag.startswith("mapping:"):
        return [("from", "mesh"), ("to", "mesh")]
    return {
        "use-data": [("name", "data")],
        "provide-mesh": [("name", "mesh")],
        "receive-mesh": [("name", "mesh"), ("from", "participant")],
        "read-data": [("name", "data"), ("mesh", "mesh")],
        "write-data": [("name", "data"), ("mesh", "mesh")],
        "watch-point": [("mesh", "mesh")],
        "data": [("name", "data"), ("mesh", "mesh")],
        "participants": [("first", "participant"), ("second", "participant")],
    }.get(tag, [("acceptor", "participant"), ("connector", "participant")] if tag.startswith("m2n:") else [])
