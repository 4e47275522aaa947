"""The embedded coupling: what it refuses, how it meets and loses its partner, several ranks."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen
from time import monotonic

import numpy as np
import pytest

from scalespan.adapters.interface import CaseError, CouplingError
from scalespan.bridges.interface import Exchange, Field
from scalespan.bridges.run.embedded import Embedded, unsupported
from scalespan.bridges.run.embedded.ranks import Communicator
from scalespan.bridges.run.loop import drive
from scalespan.bridges.run.precice_config import Config, read_config

from .pair import SIDES, Pair, by_embedded, embedded, made, together
from .processes import run_all

CASES = Path(__file__).parents[3] / "cases"


def config(xml: str, folder: Path) -> Config:
    (folder / "precice-config.xml").write_text(xml)
    return read_config(folder / "precice-config.xml")


NEEDS = {
    "nearest-projection": ("mapping:nearest-neighbor", "mapping:nearest-projection", "it needs preCICE"),
    "rbf-pum-direct": ("mapping:nearest-neighbor", "mapping:rbf-pum-direct", "or use rbf-global-direct"),
    "rbf": ("mapping:nearest-neighbor", "mapping:rbf", "or use rbf-global-direct"),
    "coarse-graining": ("mapping:nearest-neighbor", "mapping:coarse-graining", "it needs preCICE"),
    "scaled": ('constraint="consistent"', 'constraint="scaled-consistent-surface"', "needs preCICE"),
    "IQN-IMVJ": ("<exchange", "<acceleration:IQN-IMVJ/><exchange", "it needs preCICE"),
    "multi": ("<log>", '<coupling-scheme:multi><max-time value="1"/></coupling-scheme:multi><log>', "it needs preCICE"),
    "remeshing": ('experimental="true"', 'experimental="true" allow-remeshing="true"', "allow-remeshing needs preCICE"),
    "first participant": (
        '<time-window-size value="0.5"/>',
        '<time-window-size method="first-participant"/>',
        "sets, in an implicit scheme, needs",
    ),
    "an action": ("<provide-mesh", '<action:recorder timing="x" mesh="Left-Mesh"/><provide-mesh', "it needs preCICE"),
    "an export": ("<provide-mesh", "<export:vtu/><provide-mesh", "it needs preCICE"),
    "a watch point": (
        '<provide-mesh name="Left-Mesh"/>',
        '<provide-mesh name="Left-Mesh"/><watch-point name="w" mesh="Left-Mesh" coordinate="0;0"/>',
        "it needs preCICE",
    ),
    "a bound": ('name="Load" waveform', 'name="Load" lower-bound-x="0" waveform', "a bound needs preCICE"),
    "degree 4": ('"Load" waveform-degree="1"', '"Load" waveform-degree="4"', "waveform-degree 4 needs preCICE"),
    "a GPU": (
        'mapping:nearest-neighbor direction="read" from="Left-Mesh" to="Right-Mesh" constraint="consistent"/>',
        'mapping:rbf-global-direct direction="read" from="Left-Mesh" to="Right-Mesh" constraint="consistent">'
        "<basis-function:volume-splines/><executor:cuda/></mapping:rbf-global-direct>",
        "<executor:cuda>: it needs preCICE",
    ),
}


@pytest.mark.parametrize("name", NEEDS)
def test_what_only_precice_does_is_refused_by_name(name: str, tmp_path: Path) -> None:
    old, new, sentence = NEEDS[name]
    xml = Pair().xml()
    assert old in xml
    with pytest.raises(CaseError, match=r"precice-config\.xml line \d+ <") as error:
        Embedded(config(xml.replace(old, new), tmp_path), "Left", tmp_path)
    assert sentence in str(error.value)


def test_the_oscillators_xml_is_supported() -> None:
    assert list(unsupported(read_config(CASES / "oscillator" / "precice-config.xml"))) == []


def run_pair(
    folder: Path, configs: tuple[Config, Config], names: tuple[str, str] = ("Left", "Right")
) -> list[Exception]:
    """Run both sides, each with its own XML; return their errors."""
    errors: list[Exception] = []

    def go(side: int) -> None:
        coupling = Embedded(configs[side], names[side], folder)
        try:
            drive(made(Pair(), SIDES.index(names[side])), coupling)
        except CouplingError as error:
            errors.append(error)
            coupling.finish()

    together([lambda: go(0), lambda: go(1)])
    return errors


def test_participants_with_different_files_do_not_start(tmp_path: Path) -> None:
    one, other = config(Pair().xml(), tmp_path), config(Pair(windows=4).xml(), tmp_path)
    errors = run_pair(tmp_path, (one, other))
    assert len(errors) == 2
    assert all("have read different files precice-config.xml" in str(error) for error in errors)


def test_the_same_participant_twice_is_named(tmp_path: Path) -> None:
    one = config(Pair().xml(), tmp_path)
    errors = run_pair(tmp_path, (one, one), ("Left", "Left"))
    assert len(errors) == 2
    assert all("another process is already Left of this case" in str(error) for error in errors)


def test_a_strict_measure_that_is_missed_ends_both(tmp_path: Path) -> None:
    strict = Pair(limits='<max-iterations value="2"/>').xml().replace('limit="1e-8"', 'limit="1e-8" strict="true"')
    one = config(strict, tmp_path)
    errors = sorted(str(error) for error in run_pair(tmp_path, (one, one)))
    assert errors[0].startswith("'Load' has not converged in 2 iterations")
    assert errors[1].startswith("Right ended while Left waited for it")


def test_what_the_xml_does_not_say_cannot_be_exchanged(tmp_path: Path) -> None:
    one = config(Pair().xml(), tmp_path)
    left, right = (Embedded(one, name, tmp_path) for name in SIDES)
    exchange = made(Pair(), 0).exchange
    heat = replace(exchange, reads=[Field("Heat", "Left-Mesh", "W", 1)])
    errors: list[Exception] = []

    def start() -> None:
        with pytest.raises(CaseError, match="Left lacks <read-data name='Heat' mesh='Left-Mesh'/>") as error:
            left.start(heat, {})
        errors.append(error.value)
        left.finish()

    def partner() -> None:
        with pytest.raises(CouplingError, match="Left ended while Right waited for it"):
            drive(made(Pair(), 1), right)

    together([start, partner])
    assert len(errors) == 1


HALF = """
import sys
from pathlib import Path
from scalespan.bridges.run.embedded import Embedded
from scalespan.bridges.run.precice_config import read_config
from pair import Pair, made
coupling = Embedded(read_config(Path(sys.argv[1]) / "precice-config.xml"), "Right", Path(sys.argv[1]))
side = made(Pair(), 1)
coupling.start(side.exchange, {})
print("met", flush=True)
import time
time.sleep(60.0)
"""


def test_a_killed_partner_is_an_error_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    one = config(Pair(scheme="parallel-implicit").xml(), tmp_path)
    for _ in range(2):  # the second time, nothing of the first is in the way
        partner = Popen([sys.executable, "-c", HALF, tmp_path], cwd=Path(__file__).parent, stdout=PIPE)
        try:
            errors = []

            def go(errors: list[tuple[str, float]] = errors) -> None:
                try:
                    drive(made(Pair(), 0), Embedded(one, "Left", tmp_path))
                except CouplingError as error:
                    errors.append((str(error), monotonic()))

            left = threading.Thread(target=go, daemon=True)
            left.start()
            assert partner.stdout is not None
            assert partner.stdout.readline() == b"met\n"
            killed = monotonic()
            os.kill(partner.pid, signal.SIGKILL)
            left.join(20.0)
        finally:
            partner.kill()
            partner.wait()
        assert errors[0][0] == "Right ended while Left waited for it; see the log of Right"
        assert errors[0][1] - killed < 1.0


PIPE_KILLS = """
import signal, socket
from pathlib import Path
import numpy as np
from scalespan.adapters.interface import CouplingError
from scalespan.bridges.run.embedded.transport import Link
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as PETSc and others set it for the whole process
link = Link(Path("."), "Left", "Right")
link._socket, other = socket.socketpair()
other.close()
try:
    link.send(np.ones(3))
except CouplingError as error:
    print(error)
"""


def test_a_partner_that_left_is_an_error_whatever_an_engine_does_to_signals(tmp_path: Path) -> None:
    ended = run_all(tmp_path, {"Left": ["-c", PIPE_KILLS]})["Left"]
    assert ended.status == 0
    assert "Right ended while Left waited for it" in ended.output


def test_waiting_takes_no_processor_time(tmp_path: Path) -> None:
    one = config(Pair().xml(), tmp_path)
    coupling = Embedded(one, "Left", tmp_path)
    spent: list[float] = []

    def go() -> None:
        import time

        begin = time.thread_time()
        with pytest.raises((CouplingError, ValueError)):
            coupling.start(Exchange([], []), {})
        spent.append(time.thread_time() - begin)

    def late() -> None:
        threading.Event().wait(1.0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.connect(coupling._link._name)

    together([go, late])
    assert spent[0] < 0.2


class Threads:
    """Ranks that are threads, with the part of mpi4py's communicator that the coupling uses."""

    def __init__(self, rank: int, size: int, board: list, barrier: threading.Barrier) -> None:
        self.rank, self.size, self._board, self._barrier = rank, size, board, barrier

    @classmethod
    def world(cls, size: int) -> list[Communicator]:
        board: list = [None] * size
        barrier = threading.Barrier(size, timeout=30.0)
        return [cls(rank, size, board, barrier) for rank in range(size)]

    def _all(self, item) -> list:
        self._board[self.rank] = item
        self._barrier.wait()
        found = list(self._board)
        self._barrier.wait()
        return found

    def gather(self, item):
        found = self._all(item)
        return found if self.rank == 0 else None

    def scatter(self, items):
        return self._all(items)[0][self.rank]

    def bcast(self, item):
        return self._all(item)[0]


class Share:
    """Which points of a side each of two ranks has."""

    def __init__(self, side, rank: int) -> None:
        count = len(side.mesh.points)
        self.own = np.array_split(np.arange(count), 2)[rank]


def test_two_ranks_give_the_numbers_of_one(tmp_path: Path) -> None:
    """Left on two ranks, each with half of the points; each computes with all values, which the ranks share."""
    pair = Pair(scheme="parallel-implicit", initialize="true", steps=2)
    alone = by_embedded(pair, tmp_path)
    one = read_config(tmp_path / "precice-config.xml")
    world, whole = Threads.world(2), Threads.world(2)
    lefts, right = [made(pair, 0) for _ in world], made(pair, 1)

    def rank(index: int) -> None:
        left, share, others = lefts[index], Share(lefts[index], index), whole[index]
        mesh, write = left.mesh, left.write
        left.mesh = replace(mesh, points=mesh.points[share.own], triangles=np.zeros((0, 3), dtype=np.int64))
        left.write = lambda field: write(field)[share.own]
        coupling = Embedded(one, "Left", tmp_path, world[index])
        read = coupling.read
        coupling.read = lambda *each: np.concatenate(others._all(read(*each)))
        drive(left, coupling)

    together([lambda: rank(0), lambda: rank(1), lambda: drive(right, Embedded(one, "Right", tmp_path))])
    for left in lefts:
        assert np.array_equal(np.array(left.seen), alone["Left"]["seen"])
    assert np.array_equal(np.array(right.seen), alone["Right"]["seen"])


def test_an_error_on_the_first_rank_is_raised_on_all(tmp_path: Path) -> None:
    one, other = config(Pair().xml(), tmp_path), config(Pair(windows=4).xml(), tmp_path)
    errors: list[str] = []

    def go(name: str, xml: Config, ranks: Communicator | None) -> None:
        try:
            drive(made(Pair(), SIDES.index(name)), Embedded(xml, name, tmp_path, ranks))
        except CouplingError as error:
            errors.append(str(error))

    first, second = Threads.world(2)
    together([lambda: go("Left", one, first), lambda: go("Left", one, second), lambda: go("Right", other, None)])
    assert len(errors) == 3


@pytest.mark.parametrize("scheme", ["serial-explicit", "serial-implicit"])
def test_both_sides_hear_of_the_residual_of_an_implicit_scheme(scheme: str, tmp_path: Path) -> None:
    pair = Pair(scheme=scheme)
    couplings = embedded(tmp_path, {name: made(pair, side) for side, name in enumerate(SIDES)}, pair.xml())
    residuals = [coupling.residual for coupling in couplings.values()]
    assert residuals == [None, None] if scheme == "serial-explicit" else 0.0 < residuals[0] == residuals[1] < 1e-8
