"""Makes version-1.safetensors from the format's description alone, without our writer.

    python make_version_1.py version-1.safetensors
"""

import json
import struct
import sys

TENSORS = {
    "layers.0.weight": ("F32", [2, 3], struct.pack("<6f", 0.5, -1.0, 2.0, 1e-7, 0.0, 3.25)),
    "layers.0.bias": ("F32", [3], struct.pack("<3f", 1.0, 2.0, 3.0)),
    "layers.1.steps": ("I64", [], struct.pack("<q", 42)),
    "layers.1.mask": ("BOOL", [3], bytes([1, 0, 1])),
    "layers.2.half": ("F16", [2], struct.pack("<2e", 0.1, 65504.0)),
    # 0.1 is 0x3dcccccd in binary32, whose upper half rounds up to 0x3dcd.
    "layers.2.brain": ("BF16", [1], struct.pack("<H", 0x3DCD)),
}
SIZES = {"I64": 8, "F32": 4, "F16": 2, "BF16": 2, "BOOL": 1}

data = b""
places = {}
for name in sorted(TENSORS, key=lambda name: (-SIZES[TENSORS[name][0]], name)):
    places[name] = [len(data), len(data) + len(TENSORS[name][2])]
    data += TENSORS[name][2]

head = {"__metadata__": {"description": '{"task":"binary"}'}}
for name in sorted(TENSORS):
    dtype, shape, _ = TENSORS[name]
    head[name] = {"dtype": dtype, "shape": shape, "data_offsets": places[name]}
text = json.dumps(head, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)

with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
