"""Builds shim.c and says how to run a program under it."""

import contextlib
import mmap
import os
import platform
import shutil
import struct
import subprocess
import time


def build_shim(directory):
    """Compiles the recorder into a directory; returns its path."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise SystemExit("the recorder needs Linux on x86_64")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("the recorder needs a C compiler: apt-get install gcc libc6-dev")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shim.c")
    shim = os.path.join(directory, "shim.so")
    # Without a red zone: the call through the gate pushes a return address below the stack pointer.
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-mno-red-zone", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", shim, source], check=True)
    return shim


class Pace:
    """Holds of traced programs: stops them between two calls, or makes their calls fail."""

    SECONDS_MAX = 60
    OCTETS = 12
    WRITES, SYNCS = 1, 2
    # A planted fault: the journal is written in appearance only, even while WRITES fail.
    JOURNAL = 4

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as file:
            file.write(bytes(self.OCTETS))
            file.flush()
            self.shared = mmap.mmap(file.fileno(), self.OCTETS)

    @contextlib.contextmanager
    def failing(self, what):
        """Writes meet a full disk, or syncs an error, or what is planted happens, meanwhile."""
        struct.pack_into("=I", self.shared, 8, what)
        try:
            yield
        finally:
            struct.pack_into("=I", self.shared, 8, 0)

    @contextlib.contextmanager
    def halted(self):
        """Nobody is in a call meanwhile: a kill tears no call from its record."""
        struct.pack_into("=I", self.shared, 0, 1)
        deadline = time.monotonic() + self.SECONDS_MAX
        try:
            while struct.unpack_from("=I", self.shared, 4)[0] != 0:
                if time.monotonic() > deadline:
                    raise TimeoutError("a traced call does not end")
                time.sleep(0.0005)
            yield
        finally:
            struct.pack_into("=I", self.shared, 0, 0)


def traced_environment(shim, directory, trace, **more):
    """The environment under which what a program does below `directory` is recorded in `trace`."""
    return {
        **os.environ,
        "LD_PRELOAD": shim,
        "GATEPOST_TRACE_DIR": os.path.realpath(directory),
        "GATEPOST_TRACE_FILE": trace,
        **more,
    }
