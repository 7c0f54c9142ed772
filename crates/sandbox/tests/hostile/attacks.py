"""What a hostile plan tries. Each attack is one line of the list that the sandbox is held to.

`refused` runs every attack that must get an error; `fatal` and `limits` run one by its name.
"""

import ctypes
import mmap
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# The calls that no honest library makes, by architecture.
NUMBERS = {
    "x86_64": {
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438,
        "io_uring_setup": 425, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155,
        "chroot": 161, "fsopen": 430, "open_tree": 428, "move_mount": 429, "mount_setattr": 442,
        "add_key": 248, "request_key": 249, "keyctl": 250, "init_module": 175,
        "finit_module": 313, "kexec_load": 246, "name_to_handle_at": 303,
        "open_by_handle_at": 304, "setuid": 105, "setgid": 106, "setresuid": 117,
        "setgroups": 116, "personality": 135, "modify_ldt": 154, "swapon": 167, "reboot": 169,
        "acct": 163, "quotactl": 179, "move_pages": 279, "kcmp": 312, "iopl": 172,
        "process_madvise": 440,
    },
    "aarch64": {
        "ptrace": 117, "process_vm_readv": 270, "io_uring_setup": 425, "bpf": 280,
        "perf_event_open": 241, "userfaultfd": 282, "unshare": 97, "setns": 268, "mount": 40,
        "pivot_root": 41, "chroot": 51, "add_key": 217, "keyctl": 219, "init_module": 105,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "setuid": 146, "personality": 92,
    },
}
QUIET = {"memfd_create": {"x86_64": 319, "aarch64": 279}, "clone3": {"x86_64": 435, "aarch64": 435}}
REFUSALS = {1, 2, 13, 18, 30, 38}  # EPERM, ENOENT, EACCES, EXDEV, EROFS, ENOSYS


def call(number, *arguments):
    answer = libc.syscall(number, *(ctypes.c_long(argument) for argument in arguments))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def control(option, *arguments):
    if libc.prctl(option, *(ctypes.c_ulong(argument) for argument in arguments)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def read(path):
    with open(path, "rb") as file:
        return file.read(16)


def write(path, mode="wb"):
    with open(path, mode) as file:
        file.write(b"poison")


def opened(path, flags):
    os.close(os.open(path, flags))


def connect(family, kind, address):
    with socket.socket(family, kind) as one:
        one.settimeout(0.2)
        one.connect(address)


def listen():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()


def descriptors(expected):
    found = []
    for number in range(3, 256):
        try:
            os.fstat(number)
            found.append(number)
        except OSError:
            pass
    # Python itself has none open besides the script; a job has its socket.
    if len(found) > expected:
        raise AssertionError(f"open descriptors: {found}")
    raise PermissionError(1, "none")


def environment():
    known = {"PATH", "LANG", "TMPDIR", "HOME", "PYTHONDONTWRITEBYTECODE", "JOBLIB_MULTIPROCESSING"}
    more = {name for name in os.environ if name not in known and not name.endswith("_NUM_THREADS")}
    if more - {"LC_CTYPE"}:
        raise AssertionError(f"variables: {more}")
    raise PermissionError(1, "nothing")


def own_limits():
    for name in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_DATA):
        try:
            resource.setrlimit(name, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except ValueError:
            continue  # how Python words a refusal to raise
        raise AssertionError(f"limit {name} was raised")
    raise PermissionError(1, "none")


def dropped_program(path="program"):
    with open(path, "wb") as file:
        file.write(b"#!/bin/sh\ntrue\n")
    try:
        os.chmod(path, 0o755)
    except PermissionError:
        pass
    os.execv(os.path.abspath(path), [path])


def native_code():
    import shutil

    names = (f"/usr/lib/{platform.machine()}-linux-gnu/libm.so.6", "/usr/lib64/libm.so.6")
    shutil.copyfile(next(name for name in names if os.path.exists(name)), "native.so")
    try:
        ctypes.CDLL(os.path.abspath("native.so"))
    except OSError as error:
        raise PermissionError(1, str(error)) from None


def terminal():
    import fcntl

    for number in (0, 1, 2):
        try:
            fcntl.ioctl(number, 0x5412, b"x")
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
        else:
            raise AssertionError("a character was pushed into a terminal")
    raise PermissionError(1, "none")


def refused_attacks(secret, dataset, previous, expected):
    """Every attack that must end in an error, by name."""
    machine = platform.machine()
    data = os.path.join(dataset, "data.csv")
    packages = os.path.dirname(os.__file__)
    parent = os.getppid()
    return {
        "account file": lambda: read("/etc/passwd"),
        "shadow file": lambda: read("/etc/shadow"),
        "node's key": lambda: read(secret),
        "folder of the key": lambda: listed(os.path.dirname(secret), dataset),
        "list of datasets": lambda: listed(os.path.dirname(dataset), dataset),
        "another dataset by dot-dot": lambda: read(dataset + "/../" + os.path.basename(secret)),
        "host's folders": lambda: os.listdir("/root") + os.listdir("/home"),
        "write outside": lambda: write("/tmp/poison"),
        "write beside scratch": lambda: write("../poison"),
        "write to shared memory": lambda: write("/dev/shm/poison"),
        "alter dataset": lambda: write(data, "r+b"),
        "append to dataset": lambda: write(data, "ab"),
        "truncate dataset": lambda: os.truncate(data, 0),
        "chmod dataset": lambda: os.chmod(data, 0o777),
        "chown dataset": lambda: os.chown(data, os.getuid(), os.getgid()),
        "touch dataset": lambda: os.utime(data),
        "attribute on dataset": lambda: os.setxattr(data, "user.poison", b"1"),
        "rename dataset": lambda: os.rename(data, data + ".old"),
        "move dataset to scratch": lambda: os.rename(data, "stolen"),
        "delete dataset": lambda: os.unlink(data),
        "create in dataset": lambda: write(os.path.join(dataset, "poison")),
        "lock dataset": lambda: __import__("fcntl").flock(open(data, "rb"), 2),
        "symbolic link": lambda: os.symlink(secret, "symbolic"),
        "hard link": lambda: os.link(data, "hard"),
        "hard link by descriptor": lambda: os.link(data, "hard2", follow_symlinks=True),
        "root through proc": lambda: os.listdir("/proc/self/root/root"),
        "first process's root": lambda: os.listdir("/proc/1/root"),
        "first process's environment": lambda: read("/proc/1/environ"),
        "parent's memory": lambda: opened(f"/proc/{parent}/mem", os.O_RDWR),
        "own memory file": lambda: opened("/proc/self/mem", os.O_RDWR),
        "own maps": lambda: read("/proc/self/maps"),
        "kernel settings": lambda: write("/proc/sys/kernel/core_pattern", "r+b"),
        "inherited descriptors": lambda: descriptors(expected),
        "device memory": lambda: opened("/dev/mem", os.O_RDONLY),
        "device log": lambda: opened("/dev/kmsg", os.O_RDONLY),
        "device disk": lambda: opened("/dev/vda", os.O_RDONLY),
        "device terminal": lambda: opened("/dev/tty", os.O_RDWR),
        "device zero": lambda: opened("/dev/zero", os.O_RDWR),
        "make device": lambda: os.mknod("device", 0o020600, os.makedev(1, 1)),
        "make pipe": lambda: os.mkfifo("pipe"),
        "make socket file": lambda: os.mknod("socket", 0o140600),
        "poison packages": lambda: write(os.path.join(packages, "poison.py")),
        "poison caches": lambda: write(os.path.join(packages, "__pycache__", "poison.pyc")),
        "poison module": lambda: write(os.__file__, "r+b"),
        "earlier scratch": lambda: os.listdir(previous),
        "scratch folders": lambda: listed(os.path.dirname(os.getcwd()), os.getcwd()),
        "shell": lambda: os.execv("/bin/sh", ["sh", "-c", "true"]),
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "system": lambda: (_ for _ in ()).throw(PermissionError(1, "none"))
        if os.system("true") != 0 else None,
        "set-uid program": lambda: os.execv("/usr/bin/su", ["su"]),
        "dropped program": dropped_program,
        "program in memory": lambda: call(QUIET["memfd_create"][machine], 0, 0),
        "exec in place": lambda: os.execv(sys.executable, [sys.executable, "-c", "0"]),
        "tcp": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 9)),
        "tcp 6": lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 9)),
        "udp": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9)),
        "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "packet": lambda: socket.socket(17, socket.SOCK_RAW, 0),
        "name look-up": lookup,
        "local socket by path": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "/run/x"),
        "abstract socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0abstract"),
        "pair of sockets": socket.socketpair,
        "netlink": lambda: socket.socket(16, socket.SOCK_RAW, 0),
        "crypto family": lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0),
        "virtual machine family": lambda: socket.socket(40, socket.SOCK_STREAM, 0),
        "bluetooth family": lambda: socket.socket(31, socket.SOCK_RAW, 0),
        "listen": listen,
        "signal parent": lambda: os.kill(parent or 1, signal.SIGKILL),
        "signal everybody": lambda: os.kill(-1, signal.SIGKILL),
        "signal group": lambda: os.kill(0, signal.SIGKILL),
        "signal first": lambda: os.kill(1, signal.SIGKILL),
        "descriptor's owner": lambda: __import__("fcntl").fcntl(0, 8, parent or 1),
        "fork": os.fork,
        "new process by clone3": lambda: call(QUIET["clone3"][machine], 0, 0),
        "shared memory without a name": lambda: mmap.mmap(-1, 1 << 20),
        "shared memory by key": lambda: shared_by_key(),
        "raise limits": own_limits,
        "lower priority of others": lambda: os.setpriority(os.PRIO_USER, 0, 5),
        "dumpable": lambda: control(4, 1),
        "tracer": lambda: control(0x59616D61, 1),
        "capabilities": lambda: control(47, 2, 1),
        "keep capabilities": lambda: control(8, 1),
        "environment": environment,
        "operator's terminal": terminal,
        "change root owner": lambda: os.chown(".", 0, 0),
    }


def listed(folder, granted):
    """A view of granted paths has the folders that lead to them, with nothing else inside."""
    if set(os.listdir(folder)) - {os.path.basename(granted)}:
        raise AssertionError(f"{folder} shows more than what was granted")
    raise PermissionError(1, "nothing to see")


def lookup():
    try:
        socket.getaddrinfo("example.org", 80)
    except socket.gaierror:
        raise PermissionError(1, "no answer") from None


def shared_by_key():
    if libc.shmget(0, 4096, 0o1600) < 0:
        raise OSError(ctypes.get_errno(), "shmget")


def refused(secret, dataset, previous="/nowhere", expected="1", native="refused"):
    """Try every attack that must end in an error; print those that did not."""
    attacks = refused_attacks(secret, dataset, previous, int(expected))
    if native == "refused":
        attacks["native code from scratch"] = native_code
    worked = []
    for name, attack in attacks.items():
        try:
            attack()
            worked.append(name)
        except OSError as error:
            if error.errno not in REFUSALS:
                worked.append(f"{name}: {error}")
        except AssertionError as error:
            worked.append(f"{name}: {error}")
    if read(os.path.join(dataset, "data.csv")) != b"granted":
        worked.append("the dataset cannot be read, or was altered")
    write("scratch")
    if worked:
        print("\n".join(worked), file=sys.stderr)
        sys.exit(3)
    print(f"{len(attacks)} attacks were refused")


def fatal(name):
    """Make one call that ends the process, with arguments that do no harm where it works."""
    machine = platform.machine()
    if name == "namespace by clone":
        call({"x86_64": 56, "aarch64": 220}[machine], 0x10000000 | 17, 0, 0, 0, 0)
    elif name == "second interface":
        call(0x40000000 | 39)
    elif name == "32-bit call":
        code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
        code.write(bytes.fromhex("b814000000cd80c3"))
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        ctypes.CFUNCTYPE(ctypes.c_long)(address)()
    else:
        call(NUMBERS[machine][name], 0, 0, 0, 0, 0)
    print("went on", file=sys.stderr)
    sys.exit(3)


def limit(name):
    """Use too much of something."""
    if name == "memory":
        held = []
        while True:
            held.append(bytearray(b"x" * (4 << 20)))
    elif name == "memory in threads":
        def fill():
            held = []
            while True:
                held.append(bytearray(b"x" * (4 << 20)))
        for _ in range(3):
            threading.Thread(target=fill).start()
        fill()
    elif name == "page tables":
        # Reading untouched memory costs no page of one's own, but the tables that address it.
        size = 1 << 40
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        place = mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ)
        for at in range(0, size, 2 << 20):
            place[at]
    elif name == "disk":
        with open("large", "wb") as file:
            while True:
                file.write(b"x" * (1 << 20))
    elif name == "many small files":
        number = 0
        while True:
            number += 1
            with open(f"file-{number}", "wb") as file:
                file.write(b"x")
    elif name == "folders in folders":
        while True:
            os.mkdir("d")
            os.chdir("d")
    elif name == "threads":
        while True:
            threading.Thread(target=time.sleep, args=(60,)).start()
    elif name == "spin":
        while True:
            pass
    elif name == "spin in threads":
        import hashlib

        def spin():
            while True:
                hashlib.sha256(b"x" * (1 << 20)).digest()
        threading.Thread(target=spin).start()
        spin()
    elif name == "sleep":
        time.sleep(600)
    elif name == "outlive":
        for number in range(1, 32):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(1)
    elif name == "output":
        while True:
            os.write(1, b"x" * 65536)
    elif name == "catch the processor's signal":
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            pass


def serve(connection, scratch, threads):
    """Do as a job what a line on the socket says."""
    words = b""
    while not words.endswith(b"\n"):
        words += connection.recv(4096)
    words = words.decode().rstrip("\n").split("\t")
    if words[0] == "honest":
        with open(os.path.join(scratch, "file"), "w") as file:
            file.write("text")
        assert os.listdir(scratch) == ["file"], os.listdir(scratch)
        connection.sendall(b"done\n")
        return
    if words[0] == "show":
        told = []
        for path in words[1:]:
            try:
                told.append(read(path).decode())
            except OSError as error:
                told.append(type(error).__name__)
        connection.sendall("\n".join(told).encode())
        return
    perform(words)


def perform(words):
    {"refused": refused, "fatal": fatal, "limit": limit}[words[0]](*words[1:])


if __name__ == "__main__":
    perform(sys.argv[1:])
