"""Runs the real binary, finds its processes, and asks it with its own command line."""

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import threading
import time

READY = b"gatepost is ready"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 40
COMMAND_SECONDS_MAX = 60
DOORS = {"smtp": 25, "submissions": 465, "submission": 587}

_ports_lock = threading.Lock()
_ports_taken = set()


class Failed(Exception):
    """The server did not do what it must; the message says what and has the end of its log."""


def free_port_base():
    """A number whose sums with the doors are free. Below what the kernel gives to outgoing connections."""
    with _ports_lock:
        for _ in range(1_000):
            base = random.randrange(10_000, 31_000)
            if any(abs(base - other) < 1_000 for other in _ports_taken):
                continue
            if all(_is_free(base + door) for door in DOORS.values()):
                _ports_taken.add(base)
                return base
    raise Failed("no free ports")


def give_back_port_base(base):
    with _ports_lock:
        _ports_taken.discard(base)


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Process:
    """A process by its descriptor, so that a signal never reaches another that got its number."""

    def __init__(self, pid):
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        self.role = {b"serve-child": "server", b"hash-worker-child": "worker"}.get(
            words[1] if len(words) > 1 else b"", "parent"
        )

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def is_gone(self, seconds=0.0):
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        return bool(ready)

    def close(self):
        os.close(self.descriptor)


class Server:
    """One `gatepost localserve` with its children."""

    def __init__(self, binary, directory, port_base, log_path, settings=(), environment=None, pace=None):
        self.binary = binary
        self.directory = directory
        self.port_base = port_base
        self.log_path = log_path
        self.settings = list(settings)
        self.environment = environment
        # Where a kill must not come between a call and its record (recorder.Pace).
        self.pace = pace
        self.parent = None

    def port(self, door):
        return self.port_base + DOORS[door]

    def start(self):
        """Starts it and waits until it says that it is ready."""
        words = [self.binary, "localserve", "--dir", self.directory, "--port-base", str(self.port_base)]
        for setting in self.settings:
            words += ["--set", setting]
        with open(self.log_path, "ab") as log:
            self.parent = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        said = b""
        deadline = time.monotonic() + START_SECONDS_MAX
        while READY not in said:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.parent.stdout], [], [], max(0, left))
            chunk = os.read(self.parent.stdout.fileno(), 65_536) if ready else b""
            if not chunk:
                status = self.parent.poll() if left <= 0 else self.wait_quietly(5)
                self.kill()
                how = "in time" if left <= 0 else f"and ended with {status}"
                raise Failed(f"the server did not become ready {how}; its log ends:\n{self.log_end()}")
            said += chunk
        # What else it says is not read; it fits into the pipe.

    def wait_quietly(self, seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.parent.wait(seconds)
        return None

    def processes(self):
        """The parent's children that are alive."""
        found = []
        try:
            with open(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children") as file:
                pids = [int(word) for word in file.read().split()]
        except FileNotFoundError:
            return found
        for pid in pids:
            with contextlib.suppress(OSError):
                process = Process(pid)
                # Before exec it still looks like its parent.
                if process.role == "parent" or process.is_gone():
                    process.close()
                else:
                    found.append(process)
        return found

    def child(self, role):
        """The number of the child with this role; None if there is none just now."""
        found = None
        for process in self.processes():
            if process.role == role:
                found = process.pid
            process.close()
        return found

    def kill(self):
        """Ends the parent and all of its children at once, without a warning."""
        if self.parent is None:
            return
        with self.pace.halted() if self.pace else contextlib.nullcontext():
            children = self.processes()
            self.parent.kill()
            for child in children:
                child.signal(signal.SIGKILL)
            self.parent.wait(STOP_SECONDS_MAX)
            for child in children:
                if not child.is_gone(STOP_SECONDS_MAX):
                    raise Failed(f"process {child.pid} does not end")
                child.close()
        self.forget()

    def kill_child(self, role):
        """Ends one child without a warning; whether there was one."""
        found = False
        with self.pace.halted() if self.pace else contextlib.nullcontext():
            for process in self.processes():
                if process.role == role:
                    found = True
                    process.signal(signal.SIGKILL)
                    if not process.is_gone(STOP_SECONDS_MAX):
                        raise Failed(f"process {process.pid} does not end")
                process.close()
        return found

    def kill_parent(self):
        """Ends the parent alone; its children must notice and leave by themselves."""
        children = self.processes()
        self.parent.kill()
        self.parent.wait(STOP_SECONDS_MAX)
        stayed = [child for child in children if not child.is_gone(STOP_SECONDS_MAX)]
        for child in stayed:
            child.signal(signal.SIGKILL)
        for child in children:
            child.close()
        self.forget()
        if stayed:
            roles = ", ".join(child.role for child in stayed)
            raise Failed(f"the parent was killed, and {STOP_SECONDS_MAX} seconds later still there: {roles}")

    def stop(self):
        """Asks it to stop; it must, with exit code 0."""
        self.parent.terminate()
        try:
            code = self.parent.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"asked to stop, it did not in {STOP_SECONDS_MAX} seconds") from None
        self.forget()
        if code != 0:
            raise Failed(f"asked to stop, it ended with {code}; its log ends:\n{self.log_end()}")

    def forget(self):
        self.parent.stdout.close()
        self.parent = None

    def log_end(self):
        with open(self.log_path, "rb") as log:
            log.seek(max(0, os.path.getsize(self.log_path) - 4_000))
            return log.read().decode(errors="replace")

    def command(self, *words, input=b""):
        """Runs a command on this server's directory; returns exit code, standard output and error."""
        done = subprocess.run(
            [self.binary, *words, "--dir", self.directory],
            input=input,
            capture_output=True,
            timeout=COMMAND_SECONDS_MAX,
            env=self.environment,
        )
        return done.returncode, done.stdout, done.stderr

    def must(self, *words, input=b""):
        code, out, error = self.command(*words, input=input)
        if code != 0:
            raise Failed(f"`gatepost {' '.join(words)}` ended with {code}: {error.decode(errors='replace')}")
        return out

    def verify(self):
        """What `gatepost verify` finds that is no mere note; fails if it cannot look."""
        code, out, error = self.command("verify", "--json")
        if code not in (0, 65):
            raise Failed(f"`gatepost verify` ended with {code}: {error.decode(errors='replace')}")
        report = json.loads(out)
        found = [one for one in report["findings"] if one["severity"] == "damage"]
        if bool(found) != (code == 65):
            raise Failed(f"`gatepost verify` ended with {code} and found {found}")
        return found

    def rows(self, account):
        return json.loads(self.must("mail", "list", account, "--json"))

    def message(self, account, number):
        return self.must("mail", "show", account, str(number))

    def password(self):
        with open(os.path.join(self.directory, "localserve-password")) as file:
            return file.read().strip()
