"""The dataset helpers against files that are made here, and against other readers of them."""

from __future__ import annotations

import gzip
import struct
import unittest
import zlib
from pathlib import Path

import numpy
from harness import Node, WorkerTest, needs

from wardround.plans import DataError, ImageFolderDataset, MedicalFolderDataset, TabularDataset
from wardround.plans.datasets.image_folder import read_image
from wardround.plans.datasets.nifti import read_nifti
from wardround.plans.datasets.png import read_png
from wardround.plans.datasets.table import PIECE
from wardround.plans.granted import GRANTED, Grant

try:
    import nibabel
    from PIL import Image
except ImportError:
    nibabel = Image = None
    print("LEFT OUT: comparisons with Pillow and nibabel, which are not installed")


def write_png(path: Path, pixels: numpy.ndarray, kind: int = 0) -> None:
    """Writes 8 or 16 bits a channel; ``kind`` is the filter of every line."""
    height, width, channels = pixels.shape
    depth = pixels.dtype.itemsize * 8
    lines = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(numpy.uint8)
    step = channels * depth // 8
    padded = numpy.zeros((height + 1, lines.shape[1] + step), numpy.int64)
    padded[1:, step:] = lines
    left, up, corner = padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]
    estimate = left + up - corner
    distances = numpy.abs(numpy.stack([estimate - left, estimate - up, estimate - corner]))
    paeth = numpy.choose(distances.argmin(axis=0), [left, up, corner])
    guess = [0 * left, left, up, (left + up) // 2, paeth][kind]
    encoded = ((lines - guess) % 256).astype(numpy.uint8)
    body = b"".join(bytes([kind]) + line.tobytes() for line in encoded)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
    )


def write_nifti(path: Path, volume: numpy.ndarray, slope: float = 0.0, intercept: float = 0.0,
                order: str = "<", offset: int = 352) -> None:  # fmt: skip
    """Writes NIfTI-1, as the standard's table of its header has it."""
    codes = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512}
    header = bytearray(offset)
    struct.pack_into(order + "i", header, 0, 348)
    sides = [volume.ndim, *volume.shape] + [1] * (7 - volume.ndim)
    struct.pack_into(order + "8h", header, 40, *sides)
    struct.pack_into(
        order + "2h", header, 70, codes[volume.dtype.str[1:]], volume.dtype.itemsize * 8
    )
    struct.pack_into(order + "8f", header, 76, *[1.0] * 8)
    struct.pack_into(order + "3f", header, 108, offset, slope, intercept)
    header[344:348] = b"n+1\0"
    content = bytes(header) + volume.astype(volume.dtype.newbyteorder(order)).tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


class ImageTest(WorkerTest):
    def test_png_files_of_all_filters_and_depths_are_read(self) -> None:
        random = numpy.random.default_rng(0)
        for channels in (1, 2, 3, 4):
            for kind in (numpy.uint8, numpy.uint16):
                for line in range(5):
                    top = 2 ** (8 * numpy.dtype(kind).itemsize)
                    pixels = random.integers(0, top, (7, 5, channels)).astype(kind)
                    path = self.folder / "image.png"
                    write_png(path, pixels, line)
                    # Division by the largest value in single precision rounds once.
                    expected = pixels / (top - 1)
                    self.assertLess(numpy.abs(read_png(str(path)) - expected).max(), 6e-8)

    @unittest.skipIf(Image is None, "LEFT OUT: Pillow is not installed")
    def test_both_readers_of_png_files_agree(self) -> None:
        random = numpy.random.default_rng(0)
        for channels in (1, 2, 3, 4):
            pixels = random.integers(0, 256, (6, 4, channels)).astype(numpy.uint8)
            path = self.folder / "image.png"
            write_png(path, pixels, 4)
            for mode, count in (("RGB", 3), ("L", 1)):
                image = read_image(str(path), mode)
                self.assertEqual((image.shape, image.dtype), ((count, 6, 4), numpy.float32))
                if channels >= 3 and mode == "RGB" or channels < 3 and mode == "L":
                    plain = read_png(str(path))[:, :, :count].transpose(2, 0, 1)
                    self.assertEqual(image.tolist(), plain.tolist())

    @unittest.skipIf(Image is None, "LEFT OUT: Pillow is not installed")
    def test_jpeg_files_are_read(self) -> None:
        path = self.folder / "image.jpeg"
        Image.new("RGB", (6, 4), (255, 0, 51)).save(path, quality=95)
        image = read_image(str(path))
        self.assertEqual(image.shape, (3, 4, 6))
        # JPEG loses at most a few of the 255 steps on an even colour.
        self.assertLess(numpy.abs(image[:, 1, 2] - [1.0, 0.0, 0.2]).max(), 3 / 255)

    def test_broken_images_end_in_one_clear_error(self) -> None:
        path = self.folder / "image.png"
        write_png(path, numpy.zeros((3, 3, 3), numpy.uint8))
        content = path.read_bytes()
        for broken in (
            b"",
            content[:20],
            content[:45],
            b"GIF89a",
            content.replace(b"IDAT", b"IDOT"),
        ):
            path.write_bytes(broken)
            for read in (read_png, read_image):
                with self.subTest((read, broken)), self.assertRaises(DataError):
                    read(str(path))

    def test_a_folder_of_images_is_read_without_a_node(self) -> None:
        for place, name in enumerate(("cat", "ant")):
            (self.folder / name).mkdir()
            for number in range(2):
                pixels = numpy.full((2, 2, 1), 100 * place + number, numpy.uint8)
                write_png(self.folder / name / f"{number}.png", pixels)
        dataset = ImageFolderDataset(str(self.folder), mode="L")
        self.assertEqual(dataset.classes, ["ant", "cat"])
        self.assertEqual([dataset[place][1] for place in range(4)], [0, 0, 1, 1])
        self.assertAlmostEqual(float(dataset[0][0][0, 0, 0]), 100 / 255, places=6)

    @needs("torch")
    def test_a_small_network_learns_images_of_a_granted_folder(self) -> None:
        random = numpy.random.default_rng(1)
        samples = []
        for number in range(40):
            label = number % 2
            pixels = random.integers(0, 60, (8, 8, 1))
            pixels[:4, :4] += 150 * label
            pixels[4:, 4:] += 150 * (1 - label)
            name = f"{'ab'[label]}/{number:02}.png"
            (self.folder / name).parent.mkdir(exist_ok=True)
            write_png(self.folder / name, pixels.astype(numpy.uint8))
            samples.append({"path": name, "class": label})
        manifest = {
            "format": "wardround-manifest/1", "kind": "image_folder", "classes": ["a", "b"],
            "samples": samples, "left_out": {"excluded": 0, "not_mapped": 0},
        }  # fmt: skip
        source = """
import torch
from torch import nn
from wardround.plans import DataManager, ImageFolderDataset, TorchTrainingPlan


class Network(TorchTrainingPlan):
    def init_model(self):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
            nn.Flatten(), nn.Linear(16, 2),
        )

    def init_optimizer(self, optimizer_args):
        return torch.optim.Adam(self.model().parameters(), **optimizer_args)

    def training_data(self):
        return DataManager(ImageFolderDataset(self.dataset_path, mode="L"), shuffle=True)

    def training_step(self, data, target):
        assert data.shape[1:] == (1, 8, 8) and 0 <= float(data.min()) <= float(data.max()) <= 1
        assert target.dtype == torch.int64
        return nn.functional.cross_entropy(self.model()(data), target)
"""
        with Node() as node:
            node.instantiate(source)
            node.initialise(epochs=12, optimizer_args={"lr": 0.02})
            self.assertEqual(node.open_data("image_folder", self.folder, 40, manifest), 40)
            node.split(list(range(30)), list(range(30, 40)))
            node.train()
            node.validate("local")
            truth, scores = node.predictions()
        self.assertEqual(truth[:, 0].tolist(), [number % 2 for number in range(30, 40)])
        self.assertEqual(scores.argmax(axis=1).tolist(), truth[:, 0].tolist())


class MedicalTest(WorkerTest):
    def test_volumes_of_all_kinds_are_read(self) -> None:
        random = numpy.random.default_rng(0)
        for kind in ("u1", "i2", "i4", "f4", "f8", "i1", "u2"):
            for order in "<>":
                for name in ("v.nii", "v.nii.gz"):
                    volume = (random.random((3, 4, 5)) * 100).astype(kind)
                    write_nifti(self.folder / name, volume, 2.0, -1.0, order, 400)
                    read = read_nifti(str(self.folder / name))
                    self.assertEqual((read.dtype, read.shape), (numpy.float32, (3, 4, 5)))
                    expected = (volume.astype(float) * 2 - 1).astype(numpy.float32)
                    self.assertEqual(read.tolist(), expected.tolist())

    @unittest.skipIf(nibabel is None, "LEFT OUT: nibabel is not installed")
    def test_volumes_written_by_nibabel_are_read_alike(self) -> None:
        random = numpy.random.default_rng(0)
        volume = random.normal(size=(4, 3, 2, 2))
        for image_class in (nibabel.Nifti1Image, nibabel.Nifti2Image):
            for kind in (numpy.int16, numpy.float32, numpy.uint8):
                image = image_class(volume, numpy.eye(4))
                image.set_data_dtype(kind)
                path = str(self.folder / "v.nii.gz")
                nibabel.save(image, path)
                expected = nibabel.load(path).get_fdata().astype(numpy.float32)
                # Scaling in double precision, rounded once: the last bit may differ.
                self.assertLess(numpy.abs(read_nifti(path) - expected).max(), 1e-6)

    def test_broken_volumes_end_in_one_clear_error(self) -> None:
        path = self.folder / "v.nii"
        write_nifti(path, numpy.zeros((3, 3, 3), numpy.float32))
        content = path.read_bytes()
        wrong = {
            "empty": b"",
            "short header": content[:200],
            "short body": content[:-1],
            "magic": content[:344] + b"ni1\0" + content[348:],
            "axes": content[:40] + struct.pack("<h", 9) + content[42:],
            "negative side": content[:42] + struct.pack("<h", -3) + content[44:],
            "type": content[:70] + struct.pack("<h", 32) + content[72:],
            "offset": content[:108] + struct.pack("<f", float("nan")) + content[112:],
            "huge": content[:42] + struct.pack("<3h", 32767, 32767, 32767) + content[48:],
        }
        for name, broken in wrong.items():
            with self.subTest(name):
                path.write_bytes(broken)
                with self.assertRaises(DataError):
                    read_nifti(str(path))
                compressed = self.folder / "v.nii.gz"
                compressed.write_bytes(gzip.compress(broken)[:-9])
                with self.assertRaises(DataError):
                    read_nifti(str(compressed))

    def make_folder(self) -> dict:
        """Six subjects, of whom one lacks the label; the label is what exceeds 0.5 in T1."""
        random = numpy.random.default_rng(2)
        samples = []
        for number in range(13):
            subject = f"sub-{number:02}"
            image = random.random((6, 6, 4)).astype(numpy.float32)
            write_nifti(self.folder / subject / "T1" / "a.nii.gz", image)
            images = {"T1": f"{subject}/T1/a.nii.gz"}
            if number != 3:
                label = (image > 0.5).astype(numpy.uint8)
                write_nifti(self.folder / subject / "label" / "m.nii", label)
                images["label"] = f"{subject}/label/m.nii"
            samples.append(
                {"images": images, "demographics": [40 + number, "fm"[number % 2], None]}
            )
        return {
            "format": "wardround-manifest/1", "kind": "medical_folder",
            "modalities": ["T1", "label"],
            "columns": [
                {"name": "age", "type": "integer"}, {"name": "sex", "type": "text"},
                {"name": "weight", "type": "number"},
            ],
            "samples": samples,
            "left_out": {
                "excluded": 0, "without_modality": 0,
                "several_images": 0, "without_demographics": 0,
            },
        }  # fmt: skip

    SOURCE = """
import torch
from torch import nn
from wardround.plans import DataManager, MedicalFolderDataset, TorchTrainingPlan


class Segmentation(TorchTrainingPlan):
    metrics = ["DICE", "age"]

    def init_model(self):
        return nn.Conv3d(1, 1, 1)

    def init_optimizer(self, optimizer_args):
        return torch.optim.Adam(self.model().parameters(), **optimizer_args)

    def training_data(self):
        dataset = MedicalFolderDataset(
            root=self.dataset_path,
            data_modalities="T1",
            target_modalities="label",
            transform={"T1": lambda image: image.unsqueeze(0)},
            target_transform=lambda mask: mask.unsqueeze(0),
            demographics_transform=lambda row: torch.tensor([row["age"], row["sex"] == "f"]),
        )
        return DataManager(dataset)

    def training_step(self, data, target):
        images, demographics = data
        assert demographics.shape[1:] == (2,) and images["T1"].shape[1:] == (1, 6, 6, 4)
        scores = self.model()(images["T1"])
        return nn.functional.binary_cross_entropy_with_logits(scores, target["label"])

    def testing_step(self, data, target):
        images, demographics = data
        found = self.model()(images["T1"]) > 0
        truth = target["label"] > 0
        dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
        return {"DICE": dice, "age": demographics[:, 0].mean()}
"""

    @needs("torch")
    def test_a_segmentation_learns_from_a_granted_medical_folder(self) -> None:
        manifest = self.make_folder()
        with Node() as node:
            node.instantiate(self.SOURCE)
            node.initialise(epochs=60, optimizer_args={"lr": 0.2}, loader_args={
                "batch_size": 4, "shuffle": True, "drop_last": False,
            })  # fmt: skip
            samples = node.open_data("medical_folder", self.folder, 13, manifest)
            self.assertEqual(samples, 12)
            node.split(list(range(8)), list(range(8, 12)))
            node.train()
            values = node.validate("local")
        self.assertGreater(values["DICE"], 0.95)
        self.assertEqual(values["age"], numpy.mean([49, 50, 51, 52]))

    def test_a_folder_is_read_without_a_node(self) -> None:
        self.make_folder()
        (self.folder / "sub-00" / ".hidden").mkdir()
        table = self.folder / "people.csv"
        rows = [f"sub-{number:02},{60 + number},x,{number}" for number in range(5)]
        table.write_text("\n".join(["folder,age,note,score", *rows, rows[0]]), encoding="utf-8")
        dataset = MedicalFolderDataset(
            str(self.folder), "T1", "label", tabular_file=str(table), index_col="folder"
        )
        self.assertEqual(len(dataset), 4)
        (images, demographics), targets = dataset[3]
        self.assertEqual(numpy.asarray(demographics).tolist(), [64.0, 4.0])
        self.assertEqual(dataset.demographics(3)["note"], "x")
        self.assertEqual(tuple(images["T1"].shape), (6, 6, 4))
        self.assertEqual(set(numpy.unique(numpy.asarray(targets["label"]))), {0.0, 1.0})
        self.assertEqual(len(MedicalFolderDataset(str(self.folder), "T1", "T1")), 13)

    @needs("torch")
    def test_requests_for_what_is_not_there_are_refused(self) -> None:
        self.make_folder()
        root = str(self.folder)
        for arguments in (
            {"data_modalities": "T2"},
            {"data_modalities": ["T1", "label"], "transform": abs},
            {"transform": {"T2": abs}},
            {"tabular_file": "x.csv"},
        ):
            with self.subTest(arguments), self.assertRaises(DataError):
                MedicalFolderDataset(root, **arguments)
        with self.assertRaises(DataError):
            MedicalFolderDataset()
        with Node() as node:
            node.instantiate(self.SOURCE)
            node.initialise()
            failed = self.failed(node.open_data, "table", self.folder, 13)
            self.assertEqual(failed["reason"], "data")


class TableTest(WorkerTest):
    def write(self, text: str) -> str:
        path = self.folder / "table.csv"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_columns_are_chosen_by_name_and_position(self) -> None:
        path = self.write('a,"b,c",y\n1,2.5,0\n-3e2,4,1\n')
        data, target = TabularDataset(target_columns="y", path=path).arrays()
        self.assertEqual((data.tolist(), target.tolist()), ([[1, 2.5], [-300, 4]], [0, 1]))
        data, target = TabularDataset(["b,c"], ["y", 0], path=path).arrays()
        self.assertEqual((data.tolist(), target.tolist()), ([[2.5], [4]], [[0, 1], [1, -300]]))
        with self.assertRaises(DataError):
            TabularDataset("z", "y", path=path)
        with self.assertRaises(DataError):
            TabularDataset(7, "y", path=path)

    def test_classes_and_booleans_become_numbers(self) -> None:
        path = self.write("x,y\ntrue,M\nfalse,B\ntrue,M\n")
        dataset = TabularDataset("x", "y", classes=["B", "M"], path=path)
        data, target = dataset.arrays()
        self.assertEqual((data[:, 0].tolist(), target.tolist()), ([1, 0, 1], [1, 0, 1]))
        self.assertEqual(target.dtype, numpy.int64)
        with self.assertRaises(DataError):
            TabularDataset("x", "y", classes=["B"], path=path)
        with self.assertRaises(DataError):
            TabularDataset("x", "y", path=path)

    def test_missing_values_are_an_error_or_are_dropped_or_kept(self) -> None:
        path = self.write("x,y\n1,2\n,3\n4,\n")
        with self.assertRaises(DataError):
            TabularDataset("x", "y", path=path)
        self.assertEqual(len(TabularDataset("x", "y", missing="drop", path=path)), 1)
        self.assertEqual(len(TabularDataset("x", "y", missing="keep", path=path)), 3)
        with self.assertRaises(DataError):
            TabularDataset("x", "y", missing="guess", path=path)

    def test_transforms_see_one_sample_at_a_time(self) -> None:
        path = self.write("x,y\n1,2\n3,4\n")
        dataset = TabularDataset("x", "y", lambda x: x * 10, lambda y: y + 1, path=path)
        data, target = dataset[1]
        self.assertEqual((data.tolist(), float(target)), ([30.0], 5.0))
        self.assertEqual(dataset.arrays()[0].tolist(), [[10], [30]])

    def test_a_table_of_several_pieces_is_read_whole(self) -> None:
        rows = 2 * PIECE + 3
        lines = [f"{row},{row % 2}" for row in range(rows)]
        dataset = TabularDataset("x", "y", path=self.write("x,y\n" + "\n".join(lines)))
        data, target = dataset.arrays()
        self.assertEqual(data[:, 0].tolist(), list(range(rows)))
        self.assertEqual(int(target.sum()), rows // 2)

    def test_a_granted_table_is_read_as_any_other(self) -> None:
        texts = {
            "plain": "x,y\n1.5,B\n-2e-3,M\n0.1,B\n",
            "quotes": '"x\n",y\n"1.5","B"\n2,"M"\n',
            "missing": "x,y\n1,B\n,M\n3,\n4,M\n",
            "booleans": "x,y\ntrue,B\nfalse,M\n",
            "empty": "x,y\n",
        }
        for name, text in texts.items():
            with self.subTest(name):
                path = self.write(text)
                settings = {"classes": ["B", "M"], "missing": "drop", "path": path}
                expected = TabularDataset(0, "y", **settings).arrays()
                GRANTED.grant = Grant("table", path, len(expected[0]))
                self.addCleanup(setattr, GRANTED, "grant", None)
                found = TabularDataset(0, "y", **settings).arrays()
                GRANTED.grant = None
                for ours, theirs in zip(found, expected):
                    self.assertEqual((ours.tolist(), ours.dtype), (theirs.tolist(), theirs.dtype))

    def test_arrays_make_a_dataset_too(self) -> None:
        dataset = TabularDataset(numpy.ones((3, 2)), numpy.zeros(3))
        self.assertEqual((len(dataset), tuple(dataset[0][0].shape)), (3, (2,)))
        with self.assertRaises(DataError):
            TabularDataset(numpy.ones((3, 2)), numpy.zeros(2))

    def test_ragged_and_empty_tables_are_refused_or_empty(self) -> None:
        with self.assertRaises(DataError):
            TabularDataset("x", "y", path=self.write("x,y\n1\n"))
        self.assertEqual(len(TabularDataset("x", "y", path=self.write("x,y\n"))), 0)


if __name__ == "__main__":
    unittest.main()
