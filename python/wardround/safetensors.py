"""Reads and writes safetensors files over numpy, without any other package.

The format: the header's length (8 bytes, little-endian), the header (JSON: name to ``dtype``,
``shape`` and ``data_offsets``), then the tensors' bytes, little-endian and row-major. Nothing in
such a file can execute; that is why parameters never travel as pickles.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one element, for each dtype that may travel."""


class FormatError(Exception):
    """A file is not a safetensors file."""


@dataclass(frozen=True)
class Spec:
    """What a tensor is, without its values."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many bytes the values take."""
        elements = 1
        for side in self.shape:
            elements *= side
        return elements * SIZES[self.dtype]

    def describe(self) -> dict[str, Any]:
        """The spec as the job protocol writes it."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


def read(descriptor: int) -> dict[str, tuple[Spec, memoryview]]:
    """Maps a file into memory; the views stay valid as long as they are held."""
    length = os.fstat(descriptor).st_size
    if length < 8:
        raise FormatError(f"a file of {length} bytes has no header")
    view = memoryview(mmap.mmap(descriptor, length, access=mmap.ACCESS_READ))
    (header_length,) = struct.unpack("<Q", view[:8])
    if header_length > length - 8:
        raise FormatError(f"a header of {header_length} bytes does not fit into {length} bytes")
    try:
        header = json.loads(bytes(view[8 : 8 + header_length]))
    except ValueError as error:
        raise FormatError("the header is not JSON") from error
    if not isinstance(header, dict):
        raise FormatError("the header is not an object")
    header.pop("__metadata__", None)
    body = view[8 + header_length :]
    return {name: _tensor(name, entry, body) for name, entry in header.items()}


def write(descriptor: int, tensors: Iterable[tuple[Spec, Any]]) -> int:
    """Writes tensors in the order given, each a spec and its bytes, and returns the file's size."""
    pairs = list(tensors)
    header: dict[str, Any] = {}
    end = 0
    for spec, values in pairs:
        if memoryview(values).nbytes != spec.size:
            raise ValueError(f"{spec.name} has {memoryview(values).nbytes} bytes, not {spec.size}")
        header[spec.name] = {
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "data_offsets": [end, end + spec.size],
        }
        end += spec.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    _write_all(descriptor, struct.pack("<Q", len(text)) + text)
    for _, values in pairs:
        _write_all(descriptor, values)
    return 8 + len(text) + end


def _tensor(name: str, entry: Any, body: memoryview) -> tuple[Spec, memoryview]:
    try:
        spec = Spec(name, entry["dtype"], tuple(entry["shape"]))
        start, end = entry["data_offsets"]
        fits = 0 <= start <= end <= len(body) and end - start == spec.size
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the entry of {name!r} is not a tensor's") from error
    if not fits:
        raise FormatError(f"the bytes of {name!r} are not {spec.size} inside the file")
    return spec, body[start:end]


def _write_all(descriptor: int, values: Any) -> None:
    rest = memoryview(values).cast("B") if memoryview(values).nbytes else memoryview(b"")
    while rest:
        rest = rest[os.write(descriptor, rest) :]
