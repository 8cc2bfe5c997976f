#!/usr/bin/env python3
"""How long a peer waits for the loop while others keep it busy.

One process asks for a reply every two milliseconds over a connection of its own; meanwhile eight deliver
messages of 4 KiB as fast as they are taken, and one delivers a message of 50 MiB again and again. Printed are
the quiet and the busy distribution of the time from command to reply, in milliseconds. It is the loop's stall
plus what the machine adds, so an upper bound; the quiet row says how much the machine adds by itself. Then come the
turns of the loop as the server itself measures them (`gatepost status`), by the clock and by the processor time of the
loop's thread: where the first is long and the second short, somebody else had the processor. The load runs niced.

    benches/stall.py target/release/gatepost [--seconds 15] [--realtime]

--realtime (as root) puts the thread of the loop before all others of the machine (SCHED_FIFO): what is long then is its
own fault.

Only loopback is used, and only what is started here is ended.
"""
import argparse
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

DELIVERERS = 8
LOAD_NICENESS = 10
BIG_OCTETS = 50 * 1024 * 1024 - 4096


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        self.reply()
        self.say(b"EHLO bench.example")

    def reply(self):
        while True:
            line, found, rest = self.held.partition(b"\r\n")
            if found:
                self.held = rest
                if line[3:4] == b" ":
                    return line
                continue
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.held += more

    def say(self, octets):
        self.socket.sendall(octets + b"\r\n")
        return self.reply()

    def deliver(self, body):
        self.socket.sendall(b"MAIL FROM:<a@bench.example>\r\nRCPT TO:<me@localhost>\r\nDATA\r\n")
        replies = [self.reply() for _ in range(3)]
        if not replies[0].startswith(b"2"):
            # The store is behind, or the disk is full: a client tries again later.
            time.sleep(0.05)
            return False
        if not replies[2].startswith(b"354"):
            raise ConnectionError(replies)
        self.socket.sendall(body + b"\r\n.\r\n")
        return self.reply().startswith(b"250")


def deliver_until(port, until, octets, count):
    os.nice(LOAD_NICENESS)
    body = (b"x" * 70 + b"\r\n") * (octets // 72)
    client = Client(port)
    while time.monotonic() < until:
        if client.deliver(body):
            with count.get_lock():
                count.value += 1


def probe_until(port, until, out):
    times = []
    asked = 0
    client = Client(port)
    while time.monotonic() < until:
        # A session may ask for nothing only so often.
        if asked == 80:
            client.socket.close()
            client = Client(port)
            asked = 0
        before = time.perf_counter()
        client.say(b"NOOP")
        times.append((time.perf_counter() - before) * 1000)
        asked += 1
        time.sleep(0.002)
    out.put(times)


def row(name, times):
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
    print(f"{name:<6} samples={len(times)} p50={at(0.5):.2f} p99={at(0.99):.2f} "
          f"p99.9={at(0.999):.2f} max={times[-1]:.2f} ms")


def put_first(parent):
    """The main threads of the parent's children, the loop among them, before all others."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        for child in file.read().split():
            os.sched_setscheduler(int(child), os.SCHED_FIFO, os.sched_param(1))


def turns(gatepost, directory):
    """The turns of the loop since the server began."""
    status = subprocess.run([gatepost, "status", "--json", "--dir", directory], capture_output=True, check=True)
    [status] = json.loads(status.stdout)
    for name, key in [("turns", "turns"), ("cpu", "turns_processor")]:
        found = status[key]
        print(f"{name:<6} samples={found['count']} " + " ".join(
            f"{label}={found[field] / 1000:.2f}" for label, field in
            [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us"), ("max", "max_us")]) + " ms")


def probe(port, until):
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=probe_until, args=(port, until, out))
    process.start()
    return process, out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gatepost")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--port-base", type=int, default=21000)
    parser.add_argument("--realtime", action="store_true")
    options = parser.parse_args()
    seconds = min(options.seconds, 120)
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [options.gatepost, "localserve", "--dir", os.path.join(directory, "d"), "--port-base",
             str(options.port_base)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            if "ready" not in server.stdout.readline():
                sys.exit("the server did not start")
            if options.realtime:
                put_first(server.pid)
            port = options.port_base + 25
            until = time.monotonic() + seconds / 3
            process, out = probe(port, until)
            row("quiet", out.get())
            process.join()
            until = time.monotonic() + seconds
            small, big = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0)
            work = [multiprocessing.Process(target=deliver_until, args=(port, until, 4096, small))
                    for _ in range(DELIVERERS)]
            work.append(multiprocessing.Process(target=deliver_until, args=(port, until, BIG_OCTETS, big)))
            for one in work:
                one.start()
            process, out = probe(port, until)
            row("busy", out.get())
            for one in [process, *work]:
                one.join()
            turns(options.gatepost, os.path.join(directory, "d"))
            print(f"meanwhile {small.value} messages of 4 KiB and {big.value} of 50 MiB were kept")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


if __name__ == "__main__":
    main()
