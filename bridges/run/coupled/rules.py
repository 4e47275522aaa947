"""Whether participants and their XML fit: names, dimensions, units of each exchange; raises the first that does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scalespan.adapters.interface import CaseError, UnitError, nearest
from scalespan.adapters.interface.units import convert
from scalespan.bridges.interface import Field

from ..precice_config import Config, Participant, Transfer
from ..precice_config import DataMapping as Mapped
from .case import XML, CoupledCase
from .look import Look

_SAME = 1e-12  # relative; two spellings of one unit may differ by rounding


def fit(case: CoupledCase, looks: Mapping[str, Look]) -> None:
    """Compare what each participant shows with the XML, and with its partners.

    Raises:
        CaseError: the first thing that does not fit.
        UnitError: two sides of an exchange in different units, or another time than ``coupling.time``.
    """
    for name, look in looks.items():
        if case.single is None or name != case.coupling.task:
            fit_one(case, name, look)
    for data, (name, unit), (other, theirs) in _sides(case.config, looks):
        _same_unit(data, (name, unit), (other, theirs))
    _fit_cells(case.config, looks)
    _fit_motion(case.config, looks)
    for name, look in looks.items():
        if look.adjoint:
            _fit_adjoint(case.config, name)


def fit_one(case: CoupledCase, name: str, look: Look) -> None:
    """Compare one participant with the XML.

    Raises:
        CaseError, UnitError: the first thing that does not fit.
    """
    own = case.config.participant(name)
    _fit_time(case, name, look)
    for mesh in look.meshes:
        _known(mesh, own.provides, f"{name} provides the mesh '{mesh}'", f'<provide-mesh name="{mesh}" />')
    for mesh in own.provides:
        _known(mesh, look.meshes, f"{XML} lets {name} provide '{mesh}'", "correct the bridge's meshes or the XML")
        _fit_dimension(case.config, name, mesh, look)
    for mesh in look.regions:
        access = [each.name for each in own.receives if each.api_access]
        todo = f'<receive-mesh name="{mesh}" from="…" api-access="true" />'
        _known(mesh, access, f"{name} uses its partner's mesh '{mesh}'", todo)
    for kind, uses, fields in (("read", own.reads, look.reads), ("write", own.writes, look.writes)):
        known = {(use.data, use.mesh) for use in uses}
        for each in fields:
            todo = f'<{kind}-data name="{each.name}" mesh="{each.mesh}" />'
            _known((each.name, each.mesh), known, f"{name} {kind}s '{each.name}' on '{each.mesh}'", todo)
            _fit_components(case.config, name, each)
        for use in uses:
            have = {(each.name, each.mesh) for each in fields}
            what = f"{XML} lets {name} {kind} '{use.data}' on '{use.mesh}'"
            _known((use.data, use.mesh), have, what, "let the bridge do it, or take it out of the XML")


def mapping_of(own: Participant, mesh: str, direction: str) -> Mapped | None:
    """Return the mapping by which data comes to (read) or goes from (write) a participant's mesh."""
    for each in own.mappings:
        at = each.target if direction == "read" else each.source
        if each.direction == direction and (at == mesh or (not at and mesh in (each.source, each.target))):
            return each
    return None


def mapping_between(config: Config, each: Transfer) -> Mapped | None:
    """Return the mapping of an exchange: the sender's as it writes, or the receiver's as it reads."""
    source, target = config.participant(each.source), config.participant(each.target)
    written = [use.mesh for use in source.writes if use.data == each.data]
    got = [use.mesh for use in target.reads if use.data == each.data]
    found = [mapping_of(source, mesh, "write") for mesh in written] + [mapping_of(target, mesh, "read") for mesh in got]
    return next((mapping for mapping in found if mapping is not None), None)


def joints(config: Config, name: str) -> list[tuple[Transfer, Transfer]]:
    """Return what comes to ``name``, each with what goes back to its sender."""
    every = [each for scheme in config.schemes for each in scheme.exchanges]
    return [
        (read, write)
        for read in every
        for write in every
        if read.target == name and (write.source, write.target) == (name, read.source)
    ]


def _fit_adjoint(config: Config, name: str) -> None:
    """Raise where what ``name`` writes does not go back by the transpose of the way by which it reads.

    A consistent and a conservative mapping of one kind, with the same settings, are each other's transpose:
    ⟨Πv, f⟩ = ⟨v, Πᵀf⟩ (Farhat, Lesoinne, Le Tallec 1998, doi:10.1016/S0045-7825(97)00216-8).
    """
    for read, write in joints(config, name):
        there, back = mapping_between(config, read), mapping_between(config, write)
        if there is None or back is None or not _transposed(there, back):
            raise CaseError(
                f"{read.data} comes to {name} by {_words(there)} and {write.data} goes back by {_words(back)}, "
                "which is not its transpose: work would be lost at the joint",
                where=XML,
                todo=f"map both in one way, consistent for {read.data} and conservative for {write.data}",
            )


def _transposed(there: Mapped, back: Mapped) -> bool:
    return (there.constraint, back.constraint) == ("consistent", "conservative") and _how(there) == _how(back)


def _how(mapping: Mapped) -> list[tuple[str, dict[str, str]]]:
    """Return a mapping's tags and settings, without its meshes and its direction."""
    own = {"direction", "from", "to", "constraint"}
    return [(each.tag, {k: v for k, v in each.attributes.items() if k not in own}) for each in mapping.element.walk()]


def _words(mapping: Mapped | None) -> str:
    return "no mapping" if mapping is None else f"{mapping.kind} ({mapping.constraint})"


def _known(what: object, known: object, sentence: str, todo: str) -> None:
    assert hasattr(known, "__contains__"), "any collection"
    if what not in known:
        other = "it does not" if sentence.startswith(XML) else f"{XML} does not"
        where = "" if isinstance(what, tuple) else _near(str(what), known)
        raise CaseError(f"{sentence}, and {other}", todo=where or (todo if todo[0] != "<" else f"add {todo}"))


def _near(name: str, known: object) -> str:
    names = [str(each) for each in known]  # type: ignore[attr-defined]
    found = nearest(name, names) if names else ""
    return found if found.startswith("did") else ""


def _fit_time(case: CoupledCase, name: str, look: Look) -> None:
    unit = case.coupling.time
    if look.time_unit == unit:
        return
    try:
        factor = convert(1.0, look.time_unit, unit)
    except UnitError as error:
        raise error.at(case.part(name).where) from error
    if abs(factor - 1.0) > _SAME:
        raise UnitError(
            f"the times of '{look.bridge}' are in {look.time_unit} and those of {XML} in {unit}",
            where=case.part(name).where,
            todo=f'set time = "{look.time_unit}" in [coupling] and give {XML} its times in that',
        )


def _fit_dimension(config: Config, name: str, mesh: str, look: Look) -> None:
    wanted, found = config.mesh(mesh).dimension, look.meshes[mesh].dimension
    if wanted != found:
        raise CaseError(
            f"'{mesh}' has {wanted} dimensions in {XML} and {found} in {name}", todo=f'set dimensions="{found}" there'
        )


def _fit_components(config: Config, name: str, field: Field) -> None:
    wanted = config.components(field.name, field.mesh)
    if wanted != field.components:
        kind = "scalar" if field.components == 1 else "vector"
        raise CaseError(
            f"'{field.name}' has {wanted} components in {XML} and {field.components} in {name}",
            todo=f'use <data:{kind} name="{field.name}" /> there, or correct the bridge',
        )


def _fit_cells(config: Config, looks: Mapping[str, Look]) -> None:
    """Raise where a linear-cell interpolation has no cells: preCICE would take nearest points instead."""
    meshes = {mesh: (name, each) for name, look in looks.items() for mesh, each in look.meshes.items()}
    for participant in config.participants:
        for mapping in participant.mappings:
            mesh = mapping.target if mapping.constraint == "conservative" else mapping.source
            if mapping.kind != "linear-cell-interpolation" or mesh not in meshes:
                continue
            name, look = meshes[mesh]
            kind = "triangles" if look.dimension == 2 else "tetrahedra"
            if getattr(look, kind) == 0:
                raise CaseError(
                    f"{participant.name} interpolates in the cells of '{mesh}', and {name} gives it no {kind}",
                    todo="let it give them (of dolfinx: connectivity = true), or take nearest-neighbor",
                )


def _fit_motion(config: Config, looks: Mapping[str, Look]) -> None:
    """Raise where two bodies that overlap show each other displacements and nothing else, window by window."""
    every = [each for scheme in config.schemes for each in scheme.exchanges]
    for scheme in config.schemes:
        if not scheme.kind.endswith("-explicit") or not all(name in looks for name in scheme.participants):
            continue
        one, other = scheme.participants
        ways = [[each for each in every if (each.source, each.target) == way] for way in ((one, other), (other, one))]
        shown = [[_is_displacement(looks[each.source], each.data) for each in way] for way in ways]
        bodies = any(_has_volume(looks[name]) for name in scheme.participants)
        if bodies and all(way and all(way) for way in shown):
            raise CaseError(
                f"{one} and {other} exchange displacements both ways and no force: in time, that is exponentially "
                "unstable as soon as the two discretisations differ",
                where=XML,
                todo="let one of the two send forces back, as the bridge handshake_atoms does",
            )


def _is_displacement(look: Look, data: str) -> bool:
    sent = [field for field in look.writes if field.name == data and field.components > 1]
    try:
        return bool(sent) and all(convert(1.0, field.unit, "m") > 0.0 for field in sent)
    except UnitError:
        return False


def _has_volume(look: Look) -> bool:
    """Whether a mesh comes with cells that fill its space."""
    return any(mesh.triangles if mesh.dimension == 2 else mesh.tetrahedra for mesh in look.meshes.values())


def _sides(config: Config, looks: Mapping[str, Look]) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
    """Yield data, (sender, unit), (receiver, unit) for each exchange of which both sides are known."""
    for scheme in config.schemes:
        for each in scheme.exchanges:
            if each.source in looks and each.target in looks:
                sent = [field.unit for field in looks[each.source].writes if field.name == each.data]
                got = [field.unit for field in looks[each.target].reads if field.name == each.data]
                for one in sent[:1]:
                    for other in got[:1]:
                        yield each.data, (each.source, one), (each.target, other)


def _same_unit(data: str, one: tuple[str, str], other: tuple[str, str]) -> None:
    if one[1] == other[1]:
        return
    where = f"{one[0]} writes '{data}' in {one[1]}, {other[0]} reads it in {other[1]}"
    try:
        factor = convert(1.0, one[1], other[1])
    except UnitError as error:
        raise error.at(where) from error
    if abs(factor - 1.0) > _SAME:
        raise UnitError(
            f"the two differ by a factor of {factor:g}",
            where=where,
            todo="let both bridges use one unit: nobody converts",
        )
