"""What nobody wants: a full disk, a folder without rights, a bug. Each becomes one sentence."""

from __future__ import annotations

import errno
import tempfile
import traceback
from pathlib import Path

from scalespan.adapters.interface import CaseError, ScalespanError

from .files import unwritable

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS}


def of_the_machine(error: OSError, folder: Path | None) -> CaseError | None:
    """Return the sentence for a full disk or a lack of rights; None where ``error`` is neither."""
    if error.errno not in _OF_THE_MACHINE:
        return None
    return unwritable(Path(error.filename or folder or Path.cwd()), error)


def bug(error: Exception, folder: Path | None) -> ScalespanError:
    """Keep the traceback in ``folder``, or among the temporary files; return the sentence."""
    place = folder if folder is not None and folder.is_dir() else Path(tempfile.mkdtemp(prefix="scalespan-"))
    kept = place / "traceback.txt"
    todo = f"please report it with the file {kept}"
    try:
        kept.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        todo = "please report it with what scalespan --debug shows"
    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    wrapped = ScalespanError(f"this is a bug in scalespan ({reason})", todo=todo)
    wrapped.__cause__ = error
    return wrapped
