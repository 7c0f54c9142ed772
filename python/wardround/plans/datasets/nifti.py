"""Reads NIfTI-1 and NIfTI-2 volumes, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy

from ..errors import DataError

TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
"""Numpy's names of NIfTI's types of voxels; complex numbers and colours are not read."""

VOXEL_LIMIT = 1 << 31
"""The most voxels of a volume."""


class _Stream(Protocol):
    """What a plain and a compressed file have in common."""

    def read(self, size: int, /) -> bytes:
        """Reads that many bytes, or what is left."""


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    kind: numpy.dtype
    offset: int
    slope: float
    intercept: float


def read_nifti(path: str) -> numpy.ndarray:
    """Reads a volume as 32-bit floats with its axes in the file's order, its scaling applied."""
    try:
        if path.endswith(".gz"):
            with gzip.open(path, "rb") as file:
                return _read(file)
        with open(path, "rb") as file:
            return _read(file)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError("a volume cannot be read") from error


def _read(file: _Stream) -> numpy.ndarray:
    start = file.read(540)
    header = _header(start)
    count = math.prod(header.shape)
    # The header and what follows it is skipped by reading on: a compressed file cannot jump.
    rest = start[header.offset :] if header.offset < len(start) else b""
    if header.offset > len(start):
        file.read(header.offset - len(start))
    size = count * header.kind.itemsize
    data = rest[:size] + file.read(max(0, size - len(rest)))
    if len(data) != size:
        raise DataError("a volume is cut short")
    values = numpy.frombuffer(data, header.kind).reshape(header.shape, order="F")
    if header.slope != 0 and math.isfinite(header.slope) and math.isfinite(header.intercept):
        if (header.slope, header.intercept) != (1.0, 0.0):
            values = values.astype(numpy.float64) * header.slope + header.intercept
    return numpy.ascontiguousarray(values, dtype=numpy.float32)


def _header(start: bytes) -> _Header:
    for order in "<>":
        if len(start) >= 352 and struct.unpack(order + "i", start[:4])[0] == 348:
            return _first(start, order)
        if len(start) >= 540 and struct.unpack(order + "i", start[:4])[0] == 540:
            return _second(start, order)
    raise DataError("a volume is not a NIfTI file")


def _first(start: bytes, order: str) -> _Header:
    if start[344:348] != b"n+1\0":
        raise DataError("a volume keeps its voxels in another file, which is not read")
    sides = struct.unpack(order + "8h", start[40:56])
    (kind,) = struct.unpack(order + "h", start[70:72])
    offset, slope, intercept = struct.unpack(order + "3f", start[108:120])
    return _checked(sides, kind, offset, (slope, intercept), order)


def _second(start: bytes, order: str) -> _Header:
    if start[4:8] != b"n+2\0":
        raise DataError("a volume keeps its voxels in another file, which is not read")
    (kind,) = struct.unpack(order + "h", start[12:14])
    sides = struct.unpack(order + "8q", start[16:80])
    offset, slope, intercept = struct.unpack(order + "qdd", start[168:192])
    return _checked(sides, kind, offset, (slope, intercept), order)


def _checked(
    sides: tuple[int, ...], kind: int, offset: float, scaling: tuple[float, float], order: str
) -> _Header:
    if kind not in TYPES:
        raise DataError(f"a volume's voxels are of type {kind}, which is not read")
    if not 1 <= sides[0] <= 7 or any(side < 1 for side in sides[1 : sides[0] + 1]):
        raise DataError("a volume's axes are not sensible")
    shape = tuple(sides[1 : sides[0] + 1])
    if math.prod(shape) > VOXEL_LIMIT or not math.isfinite(offset) or not 0 <= offset < 2**31:
        raise DataError("a volume is too large")
    return _Header(shape, numpy.dtype(order + TYPES[kind]), int(offset), *scaling)
