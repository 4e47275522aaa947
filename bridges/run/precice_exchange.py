"""An exchange against the XML, so that preCICE is asked for no name that it does not know."""

from __future__ import annotations

from scalespan.adapters.interface import CaseError
from scalespan.bridges.interface import Exchange

from .precice_config import Config, Participant


def check_exchange(config: Config, name: str, exchange: Exchange) -> None:
    """Compare what a participant exchanges with what its XML says.

    Raises:
        CaseError: a field or a mesh that only one of the two has, or other components.
    """
    own = config.participant(name)
    uses = {False: own.reads, True: own.writes}
    for field, writes in [*((f, False) for f in exchange.reads), *((f, True) for f in exchange.writes)]:
        verb = "writes" if writes else "reads"
        if (field.name, field.mesh) not in {(use.data, use.mesh) for use in uses[writes]}:
            raise wrong(config, name, f"{name} {verb} '{field.name}' on '{field.mesh}', which its XML does not say")
        if field.mesh not in {*exchange.meshes, *exchange.regions}:
            raise wrong(config, name, f"{name} {verb} '{field.name}' on '{field.mesh}', no mesh of its exchange")
        if field.components != (components := config.components(field.name, field.mesh)):
            raise wrong(config, name, f"'{field.name}' has {components} components, and {field.components} in {name}")
    _check_meshes(config, own, exchange)


def _check_meshes(config: Config, own: Participant, exchange: Exchange) -> None:
    name = own.name
    for mesh in own.provides:
        if mesh not in exchange.meshes:
            raise wrong(config, name, f"{name} gives no points of the mesh '{mesh}' that it provides")
    for mesh in exchange.meshes:
        if mesh not in own.provides:
            raise wrong(config, name, f"{name} has points of '{mesh}' and does not provide it")
    for mesh in exchange.regions:
        if (received := own.received(mesh)) is None or not received.api_access:
            todo = f'write <receive-mesh name="{mesh}" from="…" api-access="true" />'
            raise wrong(config, name, f"{name} has a region on '{mesh}' without access to it", todo)


def wrong(config: Config, name: str, what: str, todo: str = "") -> CaseError:
    """Return the error of a participant that does not fit its XML."""
    return CaseError(what, where=f"{config.file}: {name}", todo=todo)
