"""Starts a program as a container would that refuses something.

It is called as `without.py namespaces|landlock PROGRAM ...`.

The refusal is a filter of system calls, as container engines install it, so what starts here meets
the same errors as there.
"""

import ctypes
import os
import platform
import sys

MACHINES = {
    "x86_64": {"arch": 0xC000003E, "unshare": 272, "mount": 165, "setns": 308, "clone": 56},
    "aarch64": {"arch": 0xC00000B7, "unshare": 97, "mount": 40, "setns": 268, "clone": 220},
}
LANDLOCK = (444, 445, 446)
EPERM, ENOSYS = 1, 38


def instruction(code, value, if_true=0, if_false=0):
    order = sys.byteorder
    return code.to_bytes(2, order) + bytes([if_true, if_false]) + value.to_bytes(4, order)


def program(what):
    machine = MACHINES[platform.machine()]
    code = instruction(0x20, 0)
    calls = []
    if "namespaces" in what:
        calls += [(machine[name], EPERM) for name in ("unshare", "mount", "setns")]
    if "landlock" in what:
        calls += [(number, ENOSYS) for number in LANDLOCK]
    for number, error in calls:
        code += instruction(0x15, number, 0, 1) + instruction(0x06, 0x00050000 | error)
    return code + instruction(0x06, 0x7FFF0000)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    what, words = sys.argv[1].split("+"), sys.argv[2:]
    code = program(what)
    memory = ctypes.create_string_buffer(code, len(code))
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    assert libc.prctl(38, one, zero, zero, zero) == 0
    filled = Program(len(code) // 8, ctypes.addressof(memory))
    assert libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(filled), zero, zero) == 0
    os.execvp(words[0], words)


main()
