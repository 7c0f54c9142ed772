#!/usr/bin/env python3
"""Makes the hold-out, the hospitals' shares and the declared scale of the breast cancer example.

Reads `breast-cancer.csv` and writes, beside it:

- `hold-out.csv`      114 patients, the same part of each diagnosis, seen by no hospital;
- `assignments.csv`   for each row of `breast-cancer.csv` and each number of hospitals from
                      1 to 8, the hospital that holds the row, or `hold-out`;
- `north.csv`, `south.csv`, `east.csv`   the shares of the default three hospitals;
- `scale.toml`        mean and deviation of each measurement over the 455 training rows.

Needs nothing but Python 3.  No random numbers: rows are ordered by a hash of their position, so
every machine and every version of Python writes the same bytes.

    python3 make_shares.py            writes the files
    python3 make_shares.py --check    exits with 1 if a committed file differs
"""

import csv
import hashlib
import io
import math
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TABLE = "breast-cancer.csv"
TARGET = "diagnosis"
HOSPITALS = ["north", "south", "east", "west", "central", "harbour", "hill", "lake"]
HOLD_OUT = "hold-out"
HOLD_OUT_ROWS = 114
DEFAULT_HOSPITALS = 3
# No hospital is smaller than this: a fifth of 50 rows is the least number of validation rows
# whose metrics a node shows by default.
SMALLEST_SHARE = 50
# How many times the usual part of malignant cases a hospital sees: a referral centre, a screening
# practice, a general hospital, and again from the start.
MALIGNANCY = [1.25, 0.65, 1.0]


def main():
    """Writes every file, or compares every file with what it should be."""
    header, rows = read_table()
    holders = {count: assign(rows, count) for count in range(1, len(HOSPITALS) + 1)}
    default = holders[DEFAULT_HOSPITALS]
    files = {"assignments.csv": assignments(holders)}
    for name in [HOLD_OUT, *HOSPITALS[:DEFAULT_HOSPITALS]]:
        files[f"{name}.csv"] = share(header, rows, default, name)
    files["scale.toml"] = scale(header, rows, default)
    if sys.argv[1:] == ["--check"]:
        return check(files)
    for name, text in files.items():
        (FOLDER / name).write_bytes(text.encode())
    return 0


def read_table():
    """Returns the header and the rows of the table as text, so that no number is rewritten."""
    with open(FOLDER / TABLE, newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def assign(rows, count):
    """Returns for each row the hospital, of `count` hospitals, that holds it."""
    holders = [None] * len(rows)
    # The diagnosis is the first column of the table.
    by_class = {label: hash_order(rows, label) for label in sorted({row[0] for row in rows})}
    hold_out = proportional(HOLD_OUT_ROWS, [len(by_class[label]) for label in by_class])
    for label, part in zip(by_class, hold_out):
        for index in by_class[label][:part]:
            holders[index] = HOLD_OUT
        by_class[label] = by_class[label][part:]
    sizes = share_sizes(sum(len(indexes) for indexes in by_class.values()), count)
    weights = [size * MALIGNANCY[k % len(MALIGNANCY)] for k, size in enumerate(sizes)]
    malignant = proportional(len(by_class["M"]), weights)
    benign = [size - part for size, part in zip(sizes, malignant)]
    for label, parts in (("M", malignant), ("B", benign)):
        names = [name for name, part in zip(HOSPITALS, parts) for _ in range(part)]
        for index, name in zip(by_class[label], names, strict=True):
            holders[index] = name
    return holders


def hash_order(rows, label):
    """Returns the indexes of the rows with this label in an order that means nothing."""
    indexes = [index for index, row in enumerate(rows) if row[0] == label]
    return sorted(indexes, key=position_hash)


def position_hash(index):
    """Returns the sort key of a row: SHA-256 of its position, counted from 0, under a label."""
    return hashlib.sha256(f"breast-cancer/{index}".encode()).digest()


def share_sizes(total, count):
    """Gives each hospital its least size and deals the rest as count : count - 1 : … : 1."""
    rest = proportional(total - SMALLEST_SHARE * count, list(range(count, 0, -1)))
    return [SMALLEST_SHARE + part for part in rest]


def proportional(total, weights):
    """Deals `total` in proportion to the weights; the largest remainders get what is left."""
    exact = [total * weight / sum(weights) for weight in weights]
    parts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda k: (parts[k] - exact[k], k))
    for k in by_remainder[: total - sum(parts)]:
        parts[k] += 1
    return parts


def assignments(holders):
    """Returns the text of `assignments.csv`."""
    table = [["row", *holders]]
    for index in range(len(holders[1])):
        table.append([index, *(holders[count][index] for count in holders)])
    return to_csv(table)


def share(header, rows, holders, name):
    """Returns the text of one holder's table, rows in the order of the whole table."""
    return to_csv([header, *(row for row, holder in zip(rows, holders) if holder == name)])


def to_csv(table):
    """Returns the table as comma-separated text with Unix line ends."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def scale(header, rows, holders):
    """Returns the text of `scale.toml`: mean and population deviation over the training rows."""
    training = [row for row, holder in zip(rows, holders) if holder != HOLD_OUT]
    lines = [
        "# Mean and population deviation of each measurement over the 455 training rows,",
        "# the hold-out left out.  Written by make_shares.py.",
    ]
    columns = sorted((name, column) for column, name in enumerate(header) if name != TARGET)
    for name, column in columns:
        values = [float(row[column]) for row in training]
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        lines.append(f"{name} = {{ mean = {mean:.8g}, deviation = {deviation:.8g} }}")
    return "\n".join(lines) + "\n"


def check(files):
    """Names each committed file that is not what this script writes."""
    wrong = [name for name, text in files.items() if not same(FOLDER / name, text)]
    for name in wrong:
        print(f"{name} is not what make_shares.py writes", file=sys.stderr)
    return 1 if wrong else 0


def same(path, text):
    """Tells whether the file holds exactly this text."""
    return path.exists() and path.read_bytes() == text.encode()


if __name__ == "__main__":
    sys.exit(main())
