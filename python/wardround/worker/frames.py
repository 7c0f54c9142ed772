"""The frames of the job protocol ``wardround-worker/1``.

A frame is the header's length (u32, little-endian), the payload's length (u64, little-endian), the
header (a JSON object in UTF-8) and the payload. Descriptors travel with a frame's first byte.
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

HEADER_LIMIT = 1 << 20
"""The most bytes of a header."""

PAYLOAD_LIMIT = 16 << 20
"""The most bytes of a payload."""

DESCRIPTOR_LIMIT = 4
"""The most descriptors of a frame."""

_PREFIX = struct.Struct("<IQ")


class ProtocolError(Exception):
    """The other end broke the protocol, or this end would."""


class FrameTooLargeError(Exception):
    """A frame of this end would be too large; nothing of it has been sent."""


@dataclass
class Frame:
    """One message."""

    header: dict[str, Any]
    payload: bytes = b""
    descriptors: list[int] = field(default_factory=list)


class Connection:
    """Sends and receives frames over a stream socket."""

    def __init__(self, stream: socket.socket):
        self._stream = stream

    def receive(self) -> Frame | None:
        """Waits for the next frame; ``None`` when the other end has closed."""
        prefix, descriptors, _, _ = socket.recv_fds(self._stream, _PREFIX.size, DESCRIPTOR_LIMIT)
        if not prefix:
            return None
        prefix += self._exactly(_PREFIX.size - len(prefix))
        header_length, payload_length = _PREFIX.unpack(prefix)
        if header_length > HEADER_LIMIT or payload_length > PAYLOAD_LIMIT:
            raise ProtocolError(f"a frame of {header_length} + {payload_length} bytes is too large")
        try:
            header = json.loads(self._exactly(header_length))
        except ValueError as error:
            raise ProtocolError("a frame's header is not JSON") from error
        if not isinstance(header, dict):
            raise ProtocolError("a frame's header is not an object")
        return Frame(header, self._exactly(payload_length), descriptors)

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Sends one frame."""
        # Not escaped to ASCII: a name that is no valid text fails here and not at the other end.
        text = json.dumps(header, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        header_bytes = text.encode()
        if len(header_bytes) > HEADER_LIMIT or len(payload) > PAYLOAD_LIMIT:
            sizes = f"{len(header_bytes)} + {len(payload)}"
            raise FrameTooLargeError(f"{sizes} bytes do not fit into a frame")
        self._stream.sendall(_PREFIX.pack(len(header_bytes), len(payload)) + header_bytes)
        if payload:
            self._stream.sendall(payload)

    def _exactly(self, count: int) -> bytes:
        chunks = bytearray()
        while len(chunks) < count:
            chunk = self._stream.recv(min(count - len(chunks), 1 << 20))
            if not chunk:
                raise ProtocolError("the connection ended inside a frame")
            chunks += chunk
        return bytes(chunks)
