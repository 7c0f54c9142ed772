#!/usr/bin/env python3
"""Writes federated.json: what FedAvg makes of the three breast cancer shares, without our Rust.

Seeds, splits and batch orders are reproduced from their definitions; the model, its gradients and
the averaging are plain numpy in float64. Needs Python 3 and numpy.

    python3 make_reference.py            writes federated.json
    python3 make_reference.py --check    exits with 1 if federated.json differs
"""

import csv
import hashlib
import json
import math
import re
import struct
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[2] / "examples" / "breast-cancer"
SEED = 42
ROUNDS = 20
BATCH = 32
RATE = 0.1
RATIO = 0.2
DATASET = "breast-cancer"
NODES = ["east", "north", "south"]
MASK = 0xFFFFFFFF


def seed(label, *items):
    """Hashes a labelled list: each item as its length in 8 little-endian bytes, then its bytes."""
    hashed = hashlib.sha256()
    for item in (label, *items):
        if isinstance(item, int):
            item = struct.pack("<Q", item)
        elif isinstance(item, str):
            item = item.encode()
        hashed.update(struct.pack("<Q", len(item)) + item)
    return hashed.digest()


def quarter_round(state, a, b, c, d):
    """Mixes four words of the state in place."""
    for x, y, z, turn in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
        state[x] = (state[x] + state[y]) & MASK
        mixed = state[z] ^ state[x]
        state[z] = ((mixed << turn) | (mixed >> (32 - turn))) & MASK


def chacha8(key):
    """Yields the key stream of ChaCha with 8 rounds as little-endian 64-bit words."""
    counter = 0
    while True:
        start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
        start += struct.unpack("<8I", key) + (counter & MASK, counter >> 32, 0, 0)
        state = list(start)
        for _ in range(4):
            for a, b, c, d in [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]:
                quarter_round(state, a, b, c, d)
            for a, b, c, d in [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]:
                quarter_round(state, a, b, c, d)
        yield from struct.unpack(
            "<8Q", struct.pack("<16I", *((x + y) & MASK for x, y in zip(state, start)))
        )
        counter += 1


def shuffled(key, elements):
    """Returns the elements in the order that a seed gives: Fisher-Yates from the end."""
    stream, order = chacha8(key), list(elements)
    for last in range(len(order) - 1, 0, -1):
        bound = last + 1
        word = next(stream)
        while word >= 2**64 - 2**64 % bound:
            word = next(stream)
        order[last], order[word % bound] = order[word % bound], order[last]
    return order


class Site:
    """One hospital's table, standardized, and the rows that train."""

    def __init__(self, node, names, scale):
        path = EXAMPLE / f"{node}.csv"
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.node = node
        values = np.array([[float(row[name]) for name in names] for row in rows])
        mean, deviation = (np.array([scale[name][part] for name in names]) for part in (0, 1))
        self.features = (values - mean) / deviation
        self.labels = np.array([{"B": 0.0, "M": 1.0}[row["diagnosis"]] for row in rows])
        digest = hashlib.sha256(path.read_bytes()).digest()
        order = shuffled(seed("split/v1", SEED, digest), range(len(rows)))
        validation = set(order[: math.floor(len(rows) * RATIO)])
        self.train = [row for row in range(len(rows)) if row not in validation]

    def update(self, weight, bias, number):
        """Trains one epoch of a round from the global parameters."""
        key = seed("batches/v1", SEED, number, self.node, DATASET, 0)
        order = shuffled(key, self.train)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            features, labels = self.features[batch], self.labels[batch]
            slope = 1 / (1 + np.exp(-(features @ weight + bias))) - labels
            weight = weight - RATE * features.T @ slope / len(batch)
            bias = bias - RATE * slope.mean()
        return weight, bias


def read_scale():
    """Reads mean and deviation by column."""
    line = re.compile(r"^(\w+) = \{ mean = (\S+), deviation = (\S+) \}$", re.MULTILINE)
    found = line.findall((EXAMPLE / "scale.toml").read_text())
    return {name: (float(mean), float(deviation)) for name, mean, deviation in found}


def federated():
    """Runs every round; returns what the fixture holds."""
    scale = read_scale()
    names = sorted(scale)
    sites = [Site(node, names, scale) for node in NODES]
    weight, bias = np.zeros(len(names)), 0.0
    total = sum(len(site.train) for site in sites)
    for number in range(1, ROUNDS + 1):
        updates = [site.update(weight, bias, number) for site in sites]
        shares = [len(site.train) / total for site in sites]
        weight = sum(share * update[0] for share, update in zip(shares, updates))
        bias = sum(share * update[1] for share, update in zip(shares, updates))
    return {
        "seed": SEED,
        "rounds": ROUNDS,
        "samples": {site.node: len(site.train) for site in sites},
        "features": names,
        "weight": [round(float(value), 12) for value in weight],
        "bias": round(float(bias), 12),
    }


def main():
    """Writes federated.json or compares it."""
    path = HERE / "federated.json"
    text = json.dumps(federated(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        return 0 if path.read_text() == text else 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
