"""Reads PNG files where the environment has no Pillow."""

from __future__ import annotations

import struct
import zlib

import numpy

from ..errors import DataError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""Channels by colour type: grey, RGB, grey with alpha, RGB with alpha."""

PIXEL_LIMIT = 1 << 28
"""The most pixels of an image."""


def read_png(path: str) -> numpy.ndarray:
    """Reads a PNG as floats from 0 to 1, channels last.

    Files of 8 or 16 bits a channel without a palette and without interlacing are read; any other
    needs Pillow.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        return _decode(content)
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        raise DataError("an image cannot be read") from error


def _decode(content: bytes) -> numpy.ndarray:
    if not content.startswith(SIGNATURE):
        raise DataError("an image is not a PNG file; other formats need Pillow")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    if depth not in (8, 16) or colour not in CHANNELS or interlaced or not width * height:
        raise DataError("an image is of a form of PNG that needs Pillow")
    if width * height > PIXEL_LIMIT:
        raise DataError(f"an image has {width} x {height} pixels")
    pixel = CHANNELS[colour] * depth // 8
    expected = height * (1 + width * pixel)
    data = zlib.decompressobj().decompress(_compressed(content), expected)
    if len(data) != expected:
        raise DataError("an image is cut short")
    lines = _unfilter(numpy.frombuffer(data, numpy.uint8).reshape(height, -1), pixel)
    kind = numpy.dtype(">u2" if depth == 16 else "u1")
    values = lines.view(kind).reshape(height, width, CHANNELS[colour])
    floats: numpy.ndarray = values.astype(numpy.float32) / numpy.float32(2**depth - 1)
    return floats


def _compressed(content: bytes) -> bytes:
    parts, place = [], len(SIGNATURE)
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind == b"IDAT":
            parts.append(content[place + 8 : place + 8 + length])
        place += 12 + length
    return b"".join(parts)


def _unfilter(lines: numpy.ndarray, pixel: int) -> numpy.ndarray:
    filters, encoded = lines[:, 0], lines[:, 1:].astype(numpy.int64)
    decoded = numpy.zeros((len(lines) + 1, encoded.shape[1] + pixel), numpy.int64)
    for number, kind in enumerate(filters):
        line, above = decoded[number + 1], decoded[number]
        if kind in (0, 2):
            base = above[pixel:] if kind == 2 else 0
            line[pixel:] = (encoded[number] + base) % 256
            continue
        if kind not in (1, 3, 4):
            raise DataError("an image has an unknown filter")
        for place in range(pixel, len(line)):
            left, up, corner = line[place - pixel], above[place], above[place - pixel]
            guess = (
                left if kind == 1 else (left + up) // 2 if kind == 3 else _paeth(left, up, corner)
            )
            line[place] = (encoded[number, place - pixel] + guess) % 256
    return numpy.ascontiguousarray(decoded[1:, pixel:].astype(numpy.uint8))


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    distances = (abs(estimate - left), abs(estimate - up), abs(estimate - corner))
    return (left, up, corner)[distances.index(min(distances))]
