"""What the process of one participant does.

It says what it would exchange, waits at the gate, meets its partners, and drives its bridge to
the end. How it ended is in ``end.json``; it leaves by `os._exit` where it failed, because a
coupling that is torn down in the middle of a run may wait for ever.
"""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from scalespan.adapters.interface import CaseError, CouplingError, EngineFailed, ScalespanError
from scalespan.bridges.interface import Bridge, Coupling

from .. import parallel
from ..loop import drive
from ..precice_config import read_config
from ..record import Record
from ..versions import versions
from .case import CoupledCase, read
from .look import Look, look_at
from .order import Order
from .recorded import Recorded, Watched, Whereabouts, foreign
from .rehearsal import rehearse
from .restart import kept, same_case, state_name
from .slot import Slot, peek, told


def main(order: Order) -> int:
    """Do what ``order`` says; return the exit status."""
    ranks = parallel.world()
    end = Slot(order.place / "end.json")
    try:
        obey(order, ranks)
        ranks.together()
        error = None
    except ScalespanError as raised:
        error = raised
    except KeyboardInterrupt:
        ranks.end(130)
    except SystemExit as raised:
        error = EngineFailed(f"its program left with status {raised.code}", todo="let the bridge raise an error")
    except Exception as raised:  # whatever is left is our bug, and must still be one sentence
        error = foreign(raised, "scalespan (this is a bug)", order)
        error = ScalespanError(error.what, where=error.where, todo=f"please report it; {error.todo}")
    if error is None:
        if ranks.rank == 0:
            end.put({"status": 0, "at": time.time()})
        return 0
    if not peek(order.place / "end.json"):  # another rank may have been first
        end.put(told(error, time.time()))
    traceback.print_exception(error)
    print(f"scalespan: {error}", file=sys.stderr)
    ranks.end(error.status)


def obey(order: Order, ranks: parallel.World) -> None:
    """Be the participant from beginning to end.

    Raises:
        ScalespanError: whatever went wrong.
    """
    case = read(Path(order.case))
    assert isinstance(case, CoupledCase), "an order is for a case with participants"
    part = case.part(order.name)
    if ranks.size not in (1, part.ranks) or (ranks.size == 1 < part.ranks and not order.only_look):
        raise CouplingError(
            f"{order.name} has {ranks.size} ranks and case.toml says {part.ranks}",
            todo=f"start it by: mpirun -n {part.ranks} scalespan run CASE --participant {order.name}",
        )
    if case.single is not None and order.name == case.coupling.task:
        _do_task(case, order)
    else:
        _do_participant(case, order, ranks)


def couple(order: Order, ranks: parallel.World) -> Coupling:
    """Return the coupling that the order names."""
    if order.kind == "precice":
        from ..precice import Precice

        return Precice(Path(order.xml), order.name, ranks if ranks.size > 1 else None)
    from ..embedded import Embedded

    return Embedded(read_config(Path(order.xml)), order.name, Path(order.meeting), ranks.comm)


def _watched(order: Order, ranks: parallel.World) -> Coupling:
    return Watched(couple(order, ranks), Whereabouts(order, ranks.rank))


def _do_participant(case: CoupledCase, order: Order, ranks: parallel.World) -> None:
    bridge = _bridge(case, order)
    try:
        _show(order, bridge, ranks)
        if order.only_look:
            return
        _wait(order)
        rehearse(case, order, ranks, bridge.exchange, lambda own: _watched(own, ranks))
        _drive(case, order, ranks, bridge)
    finally:
        bridge.close()


def _show(order: Order, bridge: Bridge, ranks: parallel.World) -> None:
    """Write down what the bridge shows; all ranks look, because an audit may need them all."""
    try:
        look = look_at(order.name, bridge, versions())
    except ScalespanError:
        raise
    except Exception as error:  # a bridge may be anybody's
        raise foreign(error, f"exchange of '{bridge.name}'", order) from error
    if ranks.rank == 0:
        look.write(order.place / "look.json")


def _drive(case: CoupledCase, order: Order, ranks: parallel.World, bridge: Bridge) -> None:
    began, record, here = 0.0, None, Whereabouts(order, ranks.rank)
    restart = None
    if order.window:
        began, state, restart = kept(order.place / state_name(order.window, ranks.rank))
    if ranks.rank == 0:
        record = Record(order.place, same_case(case), restart)
    recorded = Recorded(bridge, case, here, record, ranks.rank)
    try:
        if order.window:
            recorded.restore(state)
        drive(recorded, Watched(couple(order, ranks), here), began)
        here.finish()
    finally:
        if record is not None:
            record.close()


def _bridge(case: CoupledCase, order: Order) -> Bridge:
    where = case.part(order.name).where

    def never() -> Coupling:
        raise CaseError("the remote engine of a participant cannot be used", where=where, todo="use it in [model]")

    try:
        bridge = case.build(order.name, never)
    except ScalespanError:
        raise
    except Exception as error:  # a bridge may be anybody's
        raise foreign(error, "building it", order) from error
    if not isinstance(bridge, Bridge):
        raise CaseError(
            f"'{bridge.name}' is no participant: it is an adapter without fields",
            where=where,
            todo='wrap it: use = "particles" or use = "continuum"',
        )
    return bridge


def _do_task(case: CoupledCase, order: Order) -> None:
    """Run ``[model]`` and ``[task]``, whose remote engine starts the coupling when it is first asked."""
    from .. import tasks
    from ..check import check
    from ..progress import Progress

    assert case.single is not None, "obey has looked"
    here = Whereabouts(order, 0)
    single = replace(case.single, place=order.place / "task", references=())

    def coupling() -> Coupling:
        return Watched(couple(order, parallel.World()), here)

    model = single.build(coupling)
    Look(order.name, model.name, case.coupling.time, versions=versions()).write(order.place / "look.json")
    if order.only_look:
        return
    _wait(order)
    checked = check(replace(single, place=None), model)
    tasks.run(single, checked.ready, restart=order.restart, progress=Progress(None))
    model.close()
    here.finish()


def _wait(order: Order) -> None:
    """Stay until the supervisor has looked at all participants; it ends this process where they do not fit."""
    while order.gate and not Path(order.gate).exists():
        time.sleep(0.005)
