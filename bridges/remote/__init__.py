"""An engine in another participant, asked like a local one; see `remote.py`, and `engine.py` for the other end."""

from .questions import Line
from .remote import Remote, RemoteOptions

__all__ = ["Line", "Remote", "RemoteOptions"]
