#!/usr/bin/env python3
"""What mail and owners notice while strangers guess passwords, and what it costs the server.

Phases alternate, quiet and flood, since no machine is quiet for long. In each phase two clients deliver mail on
port 25 (ten messages a second each), an owner logs in every second with the account's password from a network
where that succeeded before, and the server's processor time, memory and log are read. In a flood 200 connections
at once come from 200 addresses in 190 networks: PLAIN and LOGIN on 465 and 587 with names that exist, do not
exist or are malformed; octets without sense, HTTP and unknown recipients on port 25; no TLS where TLS comes first.
Whoever is closed connects again after a millisecond. At the end of a flood an application password is tried from
addresses that attack.

    benches/flood.py target/release/gatepost [--seconds 60] [--rounds 2]

Everything is bounded, only loopback addresses are used, and only what is started here is ended. The load runs at
nice 10, so that it takes no processor from the server; how much it took is printed.
"""
import argparse
import asyncio
import base64
import collections
import multiprocessing
import os
import random
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ATTACKERS = 200
NETWORKS = 190
LOAD_PROCESSES = 2
OWNER = "127.5.0.1"
DELIVERERS = ("127.6.0.1", "127.7.0.1")
# As the server holds a refused connection; a little less, for the clocks.
HELD_SECONDS = 3.8
BODY = (b"x" * 70 + b"\r\n") * 14


def context():
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def source_of(attacker):
    return f"127.{20 + attacker % NETWORKS}.{attacker // NETWORKS}.2"


# ---- Honest clients, blocking and one connection at a time ----


class Client:
    def __init__(self, port, source):
        self.socket = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read = b""

    def encrypt(self, tls):
        self.socket = tls.wrap_socket(self.socket)

    def reply(self):
        while True:
            line, found, rest = self.read.partition(b"\r\n")
            if found:
                self.read = rest
                if line[3:4] == b" ":
                    return line
                continue
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.read += more

    def say(self, octets):
        self.socket.sendall(octets + b"\r\n")
        return self.reply()

    def close(self):
        self.socket.close()


def deliver(port, source):
    """One message in a session of its own; the milliseconds from connect to the last reply."""
    begun = time.perf_counter()
    client = Client(port, source)
    client.reply()
    client.say(b"EHLO bench.example")
    client.socket.sendall(b"MAIL FROM:<a@bench.example>\r\nRCPT TO:<me@localhost>\r\nDATA\r\n")
    for _ in range(3):
        line = client.reply()
    if not line.startswith(b"354"):
        raise ConnectionError(line)
    client.socket.sendall(BODY + b"\r\n.\r\n")
    if not client.reply().startswith(b"250"):
        raise ConnectionError("not kept")
    taken = (time.perf_counter() - begun) * 1000
    client.close()
    return taken


def login(port, source, password, tls):
    """One login; the milliseconds from connect to 235."""
    begun = time.perf_counter()
    client = Client(port, source)
    client.encrypt(tls)
    client.reply()
    client.say(b"EHLO bench.example")
    token = base64.b64encode(b"\0me@localhost\0" + password.encode())
    line = client.say(b"AUTH PLAIN " + token)
    client.close()
    if not line.startswith(b"235"):
        raise ConnectionError(line)
    return (time.perf_counter() - begun) * 1000


def repeat(work, every_seconds, until, out):
    """Does something at fixed times; what took longer makes the next ones late, and they are not left out."""
    times, errors = [], collections.Counter()
    due = time.monotonic()
    while due < until:
        time.sleep(max(0, due - time.monotonic()))
        try:
            times.append(work())
        except OSError as error:
            errors[str(error)[:60]] += 1
        due += every_seconds
    out.put((times, errors))


def delivering(port, source, until, out):
    repeat(lambda: deliver(port, source), 0.1, until, out)


def owning(port, source, password, until, every_seconds, out):
    tls = context()
    repeat(lambda: login(port, source, password, tls), every_seconds, until, out)


# ---- Strangers ----


class Stranger:
    def __init__(self, number, base, tally, tls):
        self.number, self.base, self.tally, self.tls = number, base, tally, tls
        self.chance = random.Random(number)
        self.begun, self.greeted = 0, False
        self.source = source_of(number)
        # Of ten: five guess on 465, two on 587, one each speaks no SMTP, probes recipients, speaks no TLS.
        self.kind = ("tls", "tls", "starttls", "tls", "garbage", "tls", "starttls", "probe", "tls", "no-tls")[number % 10]

    async def reply(self, reader):
        while True:
            line = await reader.readline()
            if not line:
                raise ConnectionError
            if line[3:4] != b"-":
                return line[:3].decode("ascii", "replace")

    async def say(self, reader, writer, octets):
        writer.write(octets + b"\r\n")
        code = await self.reply(reader)
        self.tally[self.kind, code] += 1
        return code

    def name(self):
        kind = self.chance.randrange(4)
        if kind == 0:
            return b"me@localhost"
        if kind == 1:
            return b"postmaster@localhost"
        if kind == 2:
            return f"u{self.chance.randrange(1 << 40):x}@localhost".encode()
        return bytes([0xff, self.chance.randrange(128, 256)]) + b"@@"

    async def guess(self, reader, writer):
        await self.say(reader, writer, b"EHLO bench.example")
        while True:
            name, password = self.name(), f"guess{self.chance.randrange(1 << 40):x}".encode()
            if self.chance.randrange(2):
                code = await self.say(reader, writer, b"AUTH PLAIN " + base64.b64encode(b"\0" + name + b"\0" + password))
            else:
                code = await self.say(reader, writer, b"AUTH LOGIN " + base64.b64encode(name))
                if code == "334":
                    code = await self.say(reader, writer, base64.b64encode(password))
            if code == "421":
                return

    async def act(self, reader, writer):
        if self.kind == "garbage":
            writer.write(self.chance.choice([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(200) + b"\r\n", b"A\r\n" * 30]))
            while True:
                await self.reply(reader)
        if self.kind == "no-tls":
            writer.write(b"EHLO bench.example\r\n")
            while await reader.read(4096):
                pass
            return
        if self.kind == "tls":
            await writer.start_tls(self.tls)
        code = await self.reply(reader)
        if code != "220":
            self.tally["refused", code] += 1
            return
        self.greeted = True
        if time.monotonic() - self.begun >= HELD_SECONDS:
            self.tally["held", "let in"] += 1
        if self.kind == "starttls":
            await self.say(reader, writer, b"EHLO bench.example")
            if await self.say(reader, writer, b"STARTTLS") != "220":
                return
            await writer.start_tls(self.tls)
        if self.kind == "probe":
            await self.say(reader, writer, b"EHLO bench.example")
            await self.say(reader, writer, b"MAIL FROM:<>")
            while await self.say(reader, writer, f"RCPT TO:<u{self.chance.randrange(1 << 40):x}@localhost>".encode()) != "421":
                pass
            return
        await self.guess(reader, writer)

    async def attack(self, until):
        port = self.base + {"tls": 465, "no-tls": 465, "starttls": 587, "garbage": 25, "probe": 25}[self.kind]
        while time.monotonic() < until:
            writer = None
            self.begun, self.greeted = time.monotonic(), False
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(self.source, 0))
                self.tally["connections", self.kind] += 1
                await self.act(reader, writer)
            except (OSError, asyncio.IncompleteReadError, ssl.SSLError, ValueError):
                pass
            finally:
                if writer:
                    writer.transport.abort()
            if self.kind in ("tls", "starttls") and not self.greeted and time.monotonic() < until:
                waited = time.monotonic() - self.begun >= HELD_SECONDS
                self.tally["held" if waited else "closed at once", "turned away"] += 1
            await asyncio.sleep(0.001)


async def attack_all(numbers, base, until, tallies):
    tls = context()
    work = [asyncio.create_task(Stranger(number, base, tally, tls).attack(until)) for number, tally in zip(numbers, tallies)]
    await asyncio.wait(work, timeout=max(0.1, until - time.monotonic()) + 0.5)
    for one in work:
        one.cancel()
    await asyncio.gather(*work, return_exceptions=True)


def attacking(numbers, base, until, out):
    tallies = [collections.Counter() for _ in numbers]
    asyncio.run(attack_all(numbers, base, until, tallies))
    used = resource.getrusage(resource.RUSAGE_SELF)
    out.put((sum(tallies, collections.Counter()), used.ru_utime + used.ru_stime))


# ---- The server, from outside ----


class Server:
    def __init__(self, program, directory, base, nice, settings):
        self.program, self.base, self.nice = program, base, nice
        self.directory = os.path.join(directory, "d")
        self.log_path = os.path.join(directory, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [program, "localserve", "--dir", self.directory, "--port-base", str(base), *settings],
                stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=lambda: os.nice(nice or 0))
        self.password = None
        while self.password is None:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"the server did not start:\n{open(self.log_path).read()}")
            if "password" in line:
                self.password = line.split()[-1]
        self.server, self.worker = self.children()
        if nice is None:
            for task in os.listdir(f"/proc/{self.server}/task"):
                before_others(int(task))

    def app_password(self):
        made = subprocess.run(
            [self.program, "account", "credential", "add", "me@localhost", "--name", "bench", "--dir", self.directory],
            check=True, capture_output=True, text=True).stdout
        words = [word for word in made.split() if word.count("-") >= 6]
        return words[0] if words else sys.exit(f"no application password in {made!r}")

    def children(self):
        """Server and hash worker: the worker is the one with a single thread and no sockets to listen on."""
        pids = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    parent = stat.read().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == self.process.pid:
                pids.append(int(pid))
        if len(pids) != 2:
            sys.exit(f"a server and a hash worker were expected, not {pids}")
        pids.sort(key=lambda pid: -len(os.listdir(f"/proc/{pid}/task")))
        return pids

    def pss(self, pid):
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024

    def processor(self, path):
        with open(f"/proc/{path}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def reading(self):
        """Seconds of loop, whole server and worker; MiB of parent and server, and of the worker; octets of log."""
        return {
            "loop": self.processor(f"{self.server}/task/{self.server}"),
            "server": self.processor(self.server),
            "worker": self.processor(self.worker),
            "mib": self.pss(self.process.pid) + self.pss(self.server),
            "worker_mib": self.pss(self.worker),
            "log": os.path.getsize(self.log_path),
        }

    def hostile_octets(self, begin):
        """Octets of log since then, but for lines about mail taken and logins that succeeded."""
        with open(self.log_path, "rb") as log:
            log.seek(begin)
            return sum(len(line) for line in log if b"event=accepted " not in line and b"event=auth-succeeded " not in line)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


# ---- Phases ----


def before_others(task):
    """The task runs whenever it can, whatever else the machine is busy with."""
    os.sched_setscheduler(task, os.SCHED_RR, os.sched_param(1))


def niced(nice, work, *arguments):
    if nice is None:
        before_others(0)
    else:
        os.nice(nice)
    work(*arguments)


def start(nice, work, *arguments):
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=niced, args=(nice, work, *arguments, out))
    process.start()
    return process, out


def phase(server, seconds, app_password, flood):
    before = server.reading()
    until = time.monotonic() + seconds
    strangers = []
    if flood:
        for part in range(LOAD_PROCESSES):
            strangers.append(start(10, attacking, range(part, ATTACKERS, LOAD_PROCESSES), server.base, until))
    honest = [start(server.nice, delivering, server.base + 25, source, until) for source in DELIVERERS]
    owner = start(server.nice, owning, server.base + 465, OWNER, server.password, until, 1)
    # Two addresses that attack on 465, each with an owner's mail program behind it.
    shared = [start(server.nice, owning, server.base + 465, source_of(n), app_password, until, 10) for n in (0, 5)] if flood else []
    most = before["mib"]
    while time.monotonic() < until:
        time.sleep(min(2, max(0, until - time.monotonic())))
        most = max(most, server.pss(server.process.pid) + server.pss(server.server))
    gather = lambda all: [out.get(timeout=90) for _, out in all]
    result = {
        "deliveries": gather(honest), "owner": gather([owner]), "shared": gather(shared),
        "strangers": gather(strangers), "before": before, "after": server.reading(), "most": most,
        "seconds": seconds,
    }
    result["hostile"] = server.hostile_octets(before["log"])
    for process, _ in honest + [owner] + shared + strangers:
        process.join()
    return result


def at(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * share))] if times else float("nan")


def spread(parts):
    times = [one for times, _ in parts for one in times]
    errors = sum((errors for _, errors in parts), collections.Counter())
    said = f"{len(times)} of {len(times) + sum(errors.values())}"
    if times:
        said += f", p50 {at(times, 0.5):.1f}, p99 {at(times, 0.99):.1f}, at most {max(times):.1f} ms"
    return said + (f" ({dict(errors)})" if errors else "")


def tell(name, one):
    used = {key: one["after"][key] - one["before"][key] for key in one["after"]}
    per = 100 / one["seconds"]
    print(f"{name}: deliveries {spread(one['deliveries'])}")
    print(f"  owner's logins {spread(one['owner'])}")
    print(f"  processor: loop {used['loop'] * per:.0f} %, server {used['server'] * per:.0f} %, "
          f"worker {used['worker'] * per:.0f} %; log {one['hostile'] * 60 / one['seconds'] / 1024:.1f} KiB a minute "
          f"(with mail and logins {used['log'] * 60 / one['seconds'] / 1024:.1f})")
    print(f"  memory: {one['before']['mib']:.1f} -> {one['after']['mib']:.1f} MiB, at most {one['most']:.1f}; "
          f"worker {one['before']['worker_mib']:.1f} -> {one['after']['worker_mib']:.1f}")
    if one["strangers"]:
        tally = sum((tally for tally, _ in one["strangers"]), collections.Counter())
        total = lambda what: sum(count for (kind, _), count in tally.items() if kind == what)
        codes = collections.Counter()
        for (kind, code), count in tally.items():
            if kind in ("tls", "starttls"):
                codes[code] += count
        print(f"  app password from attacking addresses {spread(one['shared'])}")
        print(f"  strangers: {total('connections')} connections, replies to guesses "
              f"{ {code: codes[code] for code in ('535', '454', '421')} }, {total('held')} held "
              f"({tally['held', 'let in']} let in then), {total('closed at once')} turned away at once")
        hashed = codes["535"] + sum(len(times) for times, _ in one["owner"])
        print(f"  argon2 runs: {hashed} (refusals and the owner's); the load took {sum(used for _, used in one['strangers']) * per:.0f} % of a processor")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gatepost")
    parser.add_argument("--seconds", type=float, default=60, help="of each phase")
    parser.add_argument("--rounds", type=int, default=2, help="a quiet phase and a flood each")
    parser.add_argument("--port-base", type=int, default=22000)
    parser.add_argument("--nice", type=int, default=0, help="of the server and of honest clients; below 0 needs root")
    parser.add_argument("--realtime", action="store_true",
                        help="server (not its hash worker) and honest clients run before all else: what is left "
                             "is what the server itself adds, on a machine that others use too; needs root")
    parser.add_argument("--guesses", type=int, help="wrong passwords an hour from one address (20)")
    options = parser.parse_args()
    settings = ["--set", f"throttle.guesses-per-host={options.guesses}"] if options.guesses else []
    seconds, rounds = min(options.seconds, 120), min(options.rounds, 5)
    with tempfile.TemporaryDirectory() as directory:
        server = Server(options.gatepost, directory, options.port_base, None if options.realtime else options.nice, settings)
        try:
            app_password = server.app_password()
            # The owner's network is known from now on, and the store has its caches.
            tls = context()
            login(server.base + 465, OWNER, server.password, tls)
            for _ in range(200):
                deliver(server.base + 25, DELIVERERS[0])
            kinds = {"quiet": [], "flood": []}
            for number in range(1, rounds + 1):
                for kind in kinds:
                    kinds[kind].append(phase(server, seconds, app_password, kind == "flood"))
                    tell(f"{kind} {number}", kinds[kind][-1])
        finally:
            server.stop()
    every = lambda kind: [one for done in kinds[kind] for times, _ in done["deliveries"] for one in times]
    quiet, flood = at(every("quiet"), 0.99), at(every("flood"), 0.99)
    grown = lambda kind: sum(done["most"] - done["before"]["mib"] for done in kinds[kind]) / rounds
    print(f"memory, without the hash worker: +{grown('quiet'):.1f} MiB in a quiet phase, +{grown('flood'):.1f} MiB in a flood")
    print(f"delivery p99: quiet {quiet:.1f} ms, flood {flood:.1f} ms, {flood / quiet:.2f} times")


if __name__ == "__main__":
    main()
