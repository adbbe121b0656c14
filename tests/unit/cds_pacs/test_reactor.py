"""The threads of pynetdicom's associations, which callers in these tests rely on."""

from __future__ import annotations

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_ECHO

from cds_pacs.testing.reactor import mend_reactor


class Association:
    dimse_timeout = 60


def test_an_answer_is_left_to_the_caller_who_waits_for_it() -> None:
    mend_reactor()
    provider = DIMSEServiceProvider(Association())  # type: ignore[arg-type]
    answer, request = C_ECHO(), C_ECHO()
    answer.MessageIDBeingRespondedTo, request.MessageID = 1, 1
    provider.msg_queue.put((1, answer))
    assert provider.get_msg(block=False) == (None, None)
    assert provider.get_msg(block=True) == (1, answer)
    provider.msg_queue.put((1, request))
    assert provider.get_msg(block=False) == (1, request)
