"""Puts the last layers of the sandbox on a forked child, before it reads anything of a plan.

Rules and filter are made by the warden; this module only hands them to the kernel. Every step must
succeed: a child that could not put on a layer ends without having run anything.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
_INSTRUCTION_BYTES = 8

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


@dataclass(frozen=True)
class Filter:
    """A filter of system calls, and what the kernel calls the two calls that confine."""

    instructions: bytes
    own_identifiers: Sequence[int]
    seccomp_call: int
    restrict_call: int

    def for_process(self, identifier: int) -> bytes:
        """Return the instructions with the process's own identifier put in."""
        patched = bytearray(self.instructions)
        for at in self.own_identifiers:
            patched[at : at + 4] = identifier.to_bytes(4, sys.byteorder)
        return bytes(patched)


def limit(resources: Sequence[dict[str, int]]) -> None:
    """Set the limits that the system enforces by itself; none can be raised again."""
    for one in resources:
        resource.setrlimit(one["number"], (one["soft"], one["hard"]))


def restrict(parent: int, rules: int | None, calls: Filter) -> int:
    """Put on what is left of the layers and return the descriptor on which the filter asks.

    Parameters
    ----------
    parent
        The fork server's identifier: a child whose parent has gone meanwhile ends.
    rules
        The descriptor of Landlock's rules; none where the server's own view of files is the job's.
    calls
        The filter.
    """
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    _control(_PR_SET_DUMPABLE, 0)
    if rules is not None:
        _succeed(_libc.syscall(calls.restrict_call, rules, 0), "landlock_restrict_self")
    instructions = calls.for_process(os.getpid())
    memory = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // _INSTRUCTION_BYTES, ctypes.addressof(memory))
    listener = _libc.syscall(
        calls.seccomp_call,
        _SECCOMP_SET_MODE_FILTER,
        _SECCOMP_FILTER_FLAG_NEW_LISTENER,
        ctypes.byref(program),
    )
    _succeed(min(listener, 0), "seccomp")
    return int(listener)


def _control(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _succeed(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def _succeed(answer: int, call: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
