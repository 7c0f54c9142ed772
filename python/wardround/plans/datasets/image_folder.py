"""Folders of images, one folder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy

from ..errors import DataError
from ..granted import GRANTED
from .framework import tensor
from .png import read_png

SUFFIXES = (".png", ".jpg", ".jpeg")
"""The files that count as images where there is no manifest."""


class ImageFolderDataset:
    """The granted images as pairs of a float tensor and the class's position.

    An image has three axes, channels first, and values from 0 to 1. ``mode`` is ``"RGB"`` for three
    channels and ``"L"`` for one, whatever the file has. Images keep their sizes: a ``transform``
    that makes them equal is needed where they differ. ``root`` is only for a researcher's own
    machine.
    """

    def __init__(
        self,
        root: str | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        mode: str = "RGB",
    ):
        if mode not in ("RGB", "L"):
            raise DataError(f"an image's mode may be RGB or L, not {mode!r}")
        self._mode = mode
        self._transform = transform
        self._target_transform = target_transform
        grant = GRANTED.grant
        if grant is not None:
            manifest = grant.samples("image_folder")
            self._root, self.classes = grant.path, list(manifest["classes"])
            self._samples = [(entry["path"], entry["class"]) for entry in manifest["samples"]]
        elif root is not None:
            self._root, (self.classes, self._samples) = root, _scan(root)
        else:
            raise DataError("no folder of images is granted: give its root")
        self.class_to_idx = {name: place for place, name in enumerate(self.classes)}
        self.targets = [place for _, place in self._samples]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        path, target = self._samples[position]
        image = tensor(read_image(os.path.join(self._root, *path.split("/")), self._mode))
        data = image if self._transform is None else self._transform(image)
        return data, target if self._target_transform is None else self._target_transform(target)


def read_image(path: str, mode: str = "RGB") -> numpy.ndarray:
    """Reads a PNG or JPEG file as floats from 0 to 1, channels first."""
    try:
        from PIL import Image
    except ImportError:
        pixels = read_png(path)
    else:
        pixels = _decode(Image, path)
    return numpy.ascontiguousarray(_channels(pixels, mode).transpose(2, 0, 1))


def _decode(library: Any, path: str) -> numpy.ndarray:
    """The pixels as floats, with 1, 2, 3 or 4 channels last."""
    try:
        with library.open(path, formats=["PNG", "JPEG"]) as image:
            image.load()
            if image.mode.startswith("I") or image.mode == "F":
                values = numpy.asarray(image, numpy.float64) / 65535.0
                return values[:, :, None].astype(numpy.float32)
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            grey = image.mode in ("1", "L", "LA")
            image = image.convert(("L" if grey else "RGB") + "A" * has_alpha)
            pixels: numpy.ndarray = numpy.asarray(image, numpy.float32) / numpy.float32(255)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError("an image cannot be read") from error
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _channels(pixels: numpy.ndarray, mode: str) -> numpy.ndarray:
    """Drops transparency and makes the number of channels that was asked for."""
    if pixels.shape[2] in (2, 4):
        pixels = pixels[:, :, :-1]
    if mode == "RGB" and pixels.shape[2] == 1:
        return numpy.repeat(pixels, 3, axis=2)
    if mode == "L" and pixels.shape[2] == 3:
        # The weights of ITU-R BT.601, as Pillow's conversion to grey has them.
        weights = numpy.array([0.299, 0.587, 0.114], numpy.float32)
        grey: numpy.ndarray = pixels @ weights
        return grey[:, :, None]
    return pixels


def _scan(root: str) -> tuple[list[str], list[tuple[str, int]]]:
    folders = (entry.name for entry in os.scandir(root) if entry.is_dir())
    classes = sorted(name for name in folders if not name.startswith("."))
    samples = [
        (f"{name}/{file}", place)
        for place, name in enumerate(classes)
        for file in sorted(os.listdir(os.path.join(root, name)))
        if file.lower().endswith(SUFFIXES)
    ]
    if not samples:
        raise DataError("the folder has no images in folders of classes")
    return classes, samples
