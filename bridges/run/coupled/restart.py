"""Restart of a coupled run: states on disk at whole windows, and the XML of what is left.

Each rank keeps ``restart-WINDOW.RANK.npz``. A state is deleted when every partner has a later
one too, so at any moment there is a window that all have kept. The coupling itself keeps nothing:
what lies behind it is passed on as initial data, and quasi-Newton begins anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from scalespan.adapters.interface import CaseError, State, under

from ..files import write_whole
from ..precice_config import Config, Element, unparsed
from ..record import Record
from ..restart import Fingerprint, Header, Restart, fingerprint
from .case import CoupledCase
from .order import Order

_TIME = "time"  # the name of the array that holds it


def state_name(window: int, rank: int) -> str:
    """Return the name of a state's file."""
    return f"restart-{window:08d}.{rank}.npz"


def keep(path: Path, window: int, time: float, state: State, record: Record | None) -> None:
    """Write a state down; ``record`` tells how long the growing files are at this moment.

    Raises:
        CaseError: it cannot be written; the states before it are whole.
    """
    arrays = {_TIME: np.array(time), **{f"bridge/{key}": value for key, value in state.items()}}
    if record is not None:
        record.save_as(path, window, arrays)
    else:
        write_whole(path, Restart(Header(window, {}, {}, {}, {}), arrays).data(), sync=False)


def kept(path: Path) -> tuple[float, State, Restart]:
    """Return time and state of a bridge, and all that the file holds.

    Raises:
        CaseError: the file is damaged.
    """
    found = Restart.read(path)
    return float(found.state[_TIME]), under("bridge", found.state), found


def old_states(order: Order, rank: int, partners: Iterable[str]) -> list[Path]:
    """Return this rank's states that nobody needs: two are kept, and more while a partner is behind."""
    own = sorted(order.place.glob(f"restart-*.{rank}.npz"))
    windows = [_windows(order.place.parent / name, 1) for name in partners]
    common = min((max(found, default=0) for found in windows), default=_window(own[-1]))
    return [path for path in own[:-2] if _window(path) < common]


def last_common(case: CoupledCase) -> int:
    """Return the last window whose end all participants have kept; 0 where the run must start again.

    Raises:
        CaseError: there is nothing to go on from, or the run has come to its end.
    """
    if not case.results.is_dir():
        raise CaseError("there is nothing to restart from", where=str(case.results), todo="run without --restart")
    if case.foreign:
        what = f"{case.foreign[0]}, another program, keeps no state that scalespan knows"
        raise CaseError(f"this case cannot be restarted: {what}", where=str(case.folder), todo="run it again")
    if case.single:
        return 0  # the task has a restart file of its own, and brings its remote engines back with it
    found = [_windows(case.results / part.name, part.ranks) for part in case.parts.values()]
    common = max(set.intersection(*found), default=0)
    if case.windows is not None and common >= case.windows:
        raise CaseError("this run is finished", where=str(case.results), todo="run without --restart to do it again")
    return common


def time_at(case: CoupledCase, window: int) -> float:
    """Return the time at the end of ``window``, from the states of all participants.

    Raises:
        CaseError: the case has changed since, or a file is damaged.
    """
    times = set()
    for name in case.parts:
        time, _, restart = kept(case.results / name / state_name(window, 0))
        restart.need_same(same_case(case), case.folder)
        times.add(time)
    return max(times)


def same_case(case: CoupledCase) -> Fingerprint:
    """Return what a run depends on; how long it is, what it prints and exports may change."""
    shown = {"max-time", "max-time-windows", "log", "sink", "profiling", "watch-point", "watch-integral"}
    lines = [
        f"{each.tag} {sorted(each.attributes.items())}"
        for each in case.config.root.walk()
        if each.tag not in shown and not each.tag.startswith("export:")
    ]
    text = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return {**fingerprint(case.folder), f"file {case.xml.name}": text}


def rest_of(config: Config, window: int, time: float) -> bytes:
    """Return the XML of a run of which ``window`` windows are done.

    Its end comes nearer by ``time``, and every exchange is given the values of the window before,
    except those on a partner's mesh, which preCICE cannot initialise: they start from zero.
    """

    def changed(element: Element) -> Mapping[str, str]:
        found = dict(element.attributes)
        if element.tag == "max-time":
            found["value"] = repr(element.number("value") - time)
        elif element.tag == "max-time-windows":
            found["value"] = str(element.whole("value") - window)
        elif element.tag == "exchange" and not _direct(config, element):
            found["initialize"] = "true"
        return found

    return unparsed(config.root, changed)


def _direct(config: Config, exchange: Element) -> bool:
    """Return whether the sender writes at a partner's own points."""
    received = config.participant(exchange.text("from")).received(exchange.text("mesh"))
    return received is not None and received.api_access


def _windows(folder: Path, ranks: int) -> set[int]:
    """Return the windows at which every rank has a state."""
    each = [{_window(path) for path in folder.glob(f"restart-*.{rank}.npz")} for rank in range(ranks)]
    return set.intersection(*each)


def _window(path: Path) -> int:
    return int(path.name.split(".")[0].removeprefix("restart-"))
