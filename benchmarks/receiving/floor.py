"""The same floor in Python: each payload is read into place, file meta and data set leave with one write.

    python -m receiving.floor PORT FOLDER write|fsync|discard

One process per association, one PDV per P-DATA-TF PDU, no checks: what is left is reading and writing.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Final, NoReturn

from receiving import wire

_CHUNK: Final = 256 * 1024
"""Written in pieces of this size: larger ones no longer fit into the second-level cache."""
_MAX_PDU_BYTES: Final = 131_072
_HEADERS: Final = struct.Struct(">BBIIBB")
_IMPLEMENTATION: Final = b"2.25.302043790172249692526321623266752743501"


def main(port: int, folder: Path, mode: str) -> NoReturn:
    """Accept for ever; a process for each association."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", port), backlog=64) as door:
        while True:
            connection, _ = door.accept()
            if os.fork() == 0:
                door.close()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Association(connection, folder, mode).serve()
                os._exit(0)
            connection.close()


class _Association:
    def __init__(self, connection: socket.socket, folder: Path, mode: str) -> None:
        self._connection = connection
        self._folder = folder
        self._mode = mode
        self._buffer = memoryview(bytearray(_CHUNK + _MAX_PDU_BYTES + _HEADERS.size))
        self._header = b""
        self._syntaxes: dict[int, bytes] = {}

    def serve(self) -> None:
        """Until the other side releases."""
        kind, body = wire.read_pdu(self._connection)
        if kind != wire.ASSOCIATE_RQ:
            raise wire.WireError("no A-ASSOCIATE-RQ")
        self._connection.sendall(self._accept(body))
        while (request := self._command()) is not None:
            context, command = request
            if command[0x0100] == b"\x01\x00":
                self._store(context, command)
            self._connection.sendall(wire.command_pdu(context, wire.answer(command)))
        self._connection.sendall(wire.pdu(wire.RELEASE_RP, bytes(4)))

    def _accept(self, body: bytes) -> bytes:
        """Every context with its first transfer syntax (PS3.8 table 9-17)."""
        items = b""
        for kind, value in wire.items(body[68:]):
            if kind == 0x10:
                items += wire.item(kind, value)
            elif kind == 0x20:
                syntax = next(inner for sub, inner in wire.items(value[4:]) if sub == 0x40)
                self._syntaxes[value[0]] = syntax
                items += wire.item(0x21, bytes((value[0], 0, 0, 0)) + wire.item(0x40, syntax))
        user = wire.item(0x51, struct.pack(">I", _MAX_PDU_BYTES)) + wire.item(0x52, _IMPLEMENTATION)
        return wire.pdu(wire.ASSOCIATE_AC, body[:68] + items + wire.item(0x50, user))

    def _command(self) -> tuple[int, dict[int, bytes]] | None:
        length, context, _ = self._next()
        if not length:
            return None
        self._payload(0, length)
        return context, wire.read_command(bytes(self._buffer[:length]))

    def _store(self, context: int, command: dict[int, bytes]) -> None:
        path = self._folder / (command[0x1000].rstrip(b"\x00").decode() + ".dcm")
        file = -1
        if self._mode != "discard":
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        head = _file_meta(command, self._syntaxes[context])
        self._buffer[: len(head)] = head
        have, last = len(head), False
        while not last:
            length, _, flags = self._next()
            self._payload(have, length)
            have += length
            last = bool(flags & 0x02)
            if have >= _CHUNK or last:
                have = self._write(file, have)
        if file >= 0:
            if self._mode == "fsync":
                os.fsync(file)
            os.close(file)

    def _write(self, file: int, length: int) -> int:
        done = 0
        while file >= 0 and done < length:
            done += os.write(file, self._buffer[done:length])
        return 0

    def _next(self) -> tuple[int, int, int]:
        """Length of the next payload, its context and flags; length 0 for A-RELEASE-RQ."""
        while len(self._header) < 6 or (self._header[0] == wire.P_DATA and len(self._header) < _HEADERS.size):
            part = self._connection.recv(_HEADERS.size - len(self._header))
            if not part:
                raise wire.WireError("the connection was closed")
            self._header += part
        if self._header[0] == wire.RELEASE_RQ:
            return 0, 0, 0
        kind, _, length, inner, context, flags = _HEADERS.unpack(self._header)
        if kind != wire.P_DATA or length != inner + 4 or length > _MAX_PDU_BYTES:
            raise wire.WireError("not one PDV in a PDU")
        return inner - 2, context, flags

    def _payload(self, start: int, length: int) -> None:
        """Read a payload into place, and what has already come of the next header behind it."""
        end, at = start + length, start
        while at < end:
            received = self._connection.recv_into(self._buffer[at : end + _HEADERS.size])
            if not received:
                raise wire.WireError("the connection was closed")
            at += received
        self._header = bytes(self._buffer[end:at])


def _file_meta(command: dict[int, bytes], syntax: bytes) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1)."""
    body = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\x00\x01"
    for number, value in ((2, command[0x0002]), (3, command[0x1000]), (0x10, syntax), (0x12, _IMPLEMENTATION)):
        padded = value + b"\x00" * (len(value) % 2)
        body += struct.pack("<HH2sH", 2, number, b"UI", len(padded)) + padded
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
