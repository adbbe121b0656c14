"""pynetdicom 3.0.4 mended for those who call with it: no answer is lost between its threads.

An association's reactor marks itself paused before it waits for leave to go on, and a little longer than it
waits. A caller that looks in that little while sends its request to a reactor that goes on: it may take the
answer out of the queue, log "Received unexpected C-STORE service message" and drop it, and the caller waits
until its DIMSE timeout. On a busy machine that happens once in some thousand requests.
"""

from __future__ import annotations

from typing import Any, Final

from pynetdicom.dimse import DIMSEServiceProvider

_TAKE: Final = DIMSEServiceProvider.get_msg


def _take(provider: DIMSEServiceProvider, block: bool = False) -> Any:
    """Leave an answer to the caller who waits for it, where the reactor asks, which does not wait."""
    _, message = provider.peek_msg()
    if not block and message is not None and message.MessageIDBeingRespondedTo is not None:
        return None, None
    return _TAKE(provider, block)


def mend_reactor() -> None:
    """Let every association of this process keep its answers for who asked."""
    DIMSEServiceProvider.get_msg = _take  # type: ignore[method-assign, assignment]
