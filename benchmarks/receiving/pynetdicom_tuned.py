"""pynetdicom's storage SCP with every easy knob: raw bytes, long PDUs, no log, no Nagle, few contexts.

python -m receiving.pynetdicom_tuned PORT FOLDER
"""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from typing import Any

from pynetdicom import AE, _config, evt

from receiving.objects import SHAPES
from receiving.wire import EXPLICIT_LITTLE, VERIFICATION


def main(port: int, folder: Path) -> None:
    """Serve for ever."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    entity = AE(ae_title="PYNETDICOM")
    entity.maximum_pdu_size = 131_072
    entity.maximum_associations = 64
    entity.add_supported_context(VERIFICATION)
    for sop_class in {shape.sop_class_uid for shape in SHAPES}:
        entity.add_supported_context(sop_class, EXPLICIT_LITTLE)
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, _send_at_once), (evt.EVT_C_STORE, _store, [folder])]
    entity.start_server(("127.0.0.1", port), evt_handlers=handlers)


def _send_at_once(event: Any) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _store(event: Any, folder: Path) -> int:
    path = folder / f"{event.request.AffectedSOPInstanceUID}.dcm"
    path.write_bytes(event.encoded_dataset())
    return 0x0000


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
