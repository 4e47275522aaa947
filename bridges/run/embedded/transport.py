"""Arrays between two processes of one machine: they block without spinning, and a partner's end is an error at once.

The two meet at a name that the kernel keeps (an abstract Unix-domain socket), made from the case's folder. Whoever
comes first owns it, the other connects, and it is gone with its owner however that dies: nothing stale is left. Such
names are Linux's, and belong to a network namespace: two containers do not see each other's.
"""

from __future__ import annotations

import errno
import json
import socket
import struct
import time
from collections.abc import Mapping
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalespan.adapters.interface import CouplingError

_HEADER = struct.Struct("=cB3Q")  # kind, dimensions, shape
_KINDS: Mapping[bytes, np.dtype[Any]] = {b"f": np.dtype(np.float64), b"i": np.dtype(np.int64), b"b": np.dtype(np.uint8)}
_PAUSE = 0.01  # seconds between tries where the partner owns the name but does not listen yet


class Link:
    """The connection of one participant to its partner.

    Args:
        folder: of the case; both sides must name the same.
        own: the participant's name.
        partner: its partner's.
    """

    def __init__(self, folder: Path, own: str, partner: str) -> None:
        self._own, self._partner = own, partner
        names = "\n".join([str(folder.resolve()), *sorted((own, partner))])
        self._name = "\0scalespan-" + sha256(names.encode()).hexdigest()[:32]
        self._socket: socket.socket | None = None

    def meet(self, card: Mapping[str, str]) -> Mapping[str, str]:
        """Wait for the partner, give it ``card`` and return its own.

        Raises:
            CouplingError: another process of this name is already there, or the partner ended.
        """
        self._socket = self._connected()
        self.send(np.frombuffer(json.dumps({**card, "participant": self._own}).encode(), dtype=np.uint8))
        theirs: dict[str, str] = json.loads(self.receive().tobytes())
        if theirs["participant"] != self._partner:
            raise CouplingError(
                f"another process is already {self._own} of this case", todo="end it, or run the case in another folder"
            )
        return theirs

    def _connected(self) -> socket.socket:
        while True:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                end.bind(self._name)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CouplingError(f"cannot make a socket ({error.strerror})") from error
            else:
                end.listen(1)
                with end:
                    return end.accept()[0]
            try:
                end.connect(self._name)
            except OSError:
                end.close()
                time.sleep(_PAUSE)
            else:
                return end

    def send(self, array: NDArray[Any]) -> None:
        """Send an array of float64, int64 or uint8.

        Raises:
            CouplingError: the partner ended.
        """
        assert self._socket is not None
        data = np.ascontiguousarray(array)
        kind = {"f": b"f", "i": b"i", "u": b"b"}[data.dtype.kind]
        header = _HEADER.pack(kind, data.ndim, *data.shape, *[0] * (3 - data.ndim))
        try:
            # An engine may have set what SIGPIPE does; a partner that ended is our error, whatever that is.
            self._socket.sendall(header, socket.MSG_NOSIGNAL)
            if data.size:
                self._socket.sendall(data.data.cast("B"), socket.MSG_NOSIGNAL)
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> NDArray[Any]:
        """Wait for an array.

        Raises:
            CouplingError: the partner ended.
        """
        kind, dimensions, *shape = _HEADER.unpack(self._bytes(_HEADER.size))
        dtype = _KINDS[kind]
        size = prod(shape[:dimensions])
        data = self._bytes(size * dtype.itemsize)
        return np.frombuffer(data, dtype=dtype).reshape(shape[:dimensions])

    def _bytes(self, size: int) -> bytearray:
        assert self._socket is not None
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                got = self._socket.recv_into(view)
            except OSError as error:
                raise self._ended() from error
            if got == 0:
                raise self._ended()
            view = view[got:]
        return data

    def _ended(self) -> CouplingError:
        return CouplingError(
            f"{self._partner} ended while {self._own} waited for it", todo=f"see the log of {self._partner}"
        )

    def close(self) -> None:
        """Part from the partner."""
        if self._socket is not None:
            self._socket.close()
