"""Work that the ranks share, such as the cells of a law at Gauss points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..interface import Array, Indices, ScalespanError

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class Ranks:
    """All ranks of a communicator. What moves does so pickled; each works with what it has itself, such as a cell."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._owned, self._done = np.zeros(comm.size), np.zeros(comm.size)  # costs by rank, since the beginning

    def __call__(self, work: Callable[[_Item], _Found], items: Sequence[_Item], costs: Sequence[float]) -> list[_Found]:
        """Return what the work makes of this rank's items, some of which others do. Called by all ranks.

        Raises:
            ScalespanError: the first that the work raised, on all ranks.
        """
        every = self._comm.allgather(np.asarray(costs, dtype=np.float64))
        owners = np.repeat(np.arange(len(every)), [len(each) for each in every])
        all_costs = np.concatenate(every)
        workers = shared_out(all_costs, owners, self._comm.size)
        self._owned += np.bincount(owners, all_costs, self._comm.size)
        self._done += np.bincount(workers, all_costs, self._comm.size)
        mine = workers[owners == self._comm.rank]
        given = [[items[int(i)] for i in np.flatnonzero(mine == rank)] for rank in range(self._comm.size)]
        asked = self._comm.alltoall(given)
        found = self.together(lambda: [[work(each) for each in some] for some in asked])
        answers = [iter(each) for each in self._comm.alltoall(found)]
        return [next(answers[rank]) for rank in mine]

    def together(self, do: Callable[[], _Found]) -> _Found:
        """Return what each rank does; where one fails, all raise, or the others would wait for ever."""
        done, error = [], None
        try:
            done.append(do())
        except ScalespanError as raised:
            error = raised
        first = next((each for each in self._comm.allgather(error) if each is not None), None)
        if first is not None:
            raise error or first
        return done[0]

    def observe(self) -> Mapping[str, float]:
        """Return the mean cost of a rank over the largest: 1 where all have the same, of what each owns and does."""
        if self._comm.size == 1 or not self._owned.any():
            return {}
        owned, done = (float(each.mean() / each.max()) for each in (self._owned, self._done))
        return {"law_balance/1": done, "law_balance_by_owner/1": owned}


def shared_out(costs: Array, owners: Indices, ranks: int) -> Indices:
    """Return the rank (n,) that does each item: the owner while it has less than its share, else the one with least.

    The largest go first (R. L. Graham 1969, doi:10.1137/0117039): nobody has more than the mean and one item.

    Args:
        costs: (n,) of the items.
        owners: (n,) the rank that asks.
        ranks: how many there are.
    """
    share, loads = costs.sum() / ranks, np.zeros(ranks)
    found = np.empty(len(costs), dtype=np.int64)
    for item in np.argsort(-costs, kind="stable"):
        owner = owners[item]
        fits = loads[owner] + costs[item] <= share * (1.0 + 1e-12)
        found[item] = owner if fits else int(np.argmin(loads))
        loads[found[item]] += costs[item]
    return found
