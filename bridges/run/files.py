"""Files that are never left half-written: whole ones by atomic rename, growing ones by known lengths."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from scalespan.adapters.interface import CaseError


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put ``data`` at ``path``: readers, and a kill at any moment, see the old file or the new one.

    With ``sync`` this holds for a power failure, too; it may cost 10 ms.

    Raises:
        CaseError: the disk is full, or not writable; the old file is still there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unwritable(path, error) from error


class GrowingFile:
    """A file that is only appended to, by whole records, and can be cut back to a known length.

    Args:
        path: where.
        length: bytes that count, as a restart file tells; what lies beyond is cut off.

    Raises:
        CaseError: the file is shorter than ``length``, or cannot be written.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path, self.length = path, length
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            found = os.fstat(self._fd).st_size
            if found >= length:
                os.ftruncate(self._fd, length)
        except OSError as error:
            raise unwritable(path, error) from error
        if found < length:
            os.close(self._fd)
            raise CaseError(
                f"holds {found} bytes, and the restart file counts on {length}",
                where=str(path),
                todo="run again without --restart",
            )

    def append(self, record: bytes) -> None:
        """Write one record at the end, all of it or nothing.

        Raises:
            CaseError: the disk is full; the file ends where it ended before.
        """
        written = 0
        try:
            while written < len(record):
                written += os.pwrite(self._fd, record[written:], self.length + written)
        except OSError as error:
            os.ftruncate(self._fd, self.length)
            raise unwritable(self.path, error) from error
        self.length += len(record)

    def patch(self, data: bytes, offset: int) -> None:
        """Overwrite a few bytes of the header, such as a count of frames."""
        try:
            os.pwrite(self._fd, data, offset)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def sync(self) -> None:
        """Wait until the disk has it all.

        Raises:
            CaseError: the disk refuses.
        """
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Give the file back. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def link_whole(path: Path, other: Path) -> None:
    """Let ``other`` be a second name of the file at ``path``, in place of what it was."""
    part = other.with_name(f".{other.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.hardlink_to(path)
        part.replace(other)
    except OSError:
        write_whole(other, path.read_bytes())  # some file systems know no second names


def unwritable(path: Path, error: OSError) -> CaseError:
    """Return the sentence for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        todo = "make room there, then continue from the last restart file with: scalespan run --restart"
        return CaseError(f"the disk or the quota is full ({error.strerror})", where=str(path), todo=todo)
    return CaseError(f"cannot be written ({error.strerror})", where=str(path), todo="check the folder's permissions")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
