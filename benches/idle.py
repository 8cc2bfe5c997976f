#!/usr/bin/env python3
"""What an idle connection costs in memory, plaintext and TLS.

Opens connections from many addresses of 127/8, as far as the greeting, holds them, and compares the memory (PSS) of
all processes of the server before and after. Printed is the growth in KiB for each connection.

    benches/idle.py target/release/gatepost [--connections 1500]

Only loopback is used, and only what is started here is ended.
"""
import argparse
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

SETTLE_SECONDS = 3


def pss_kib(parent):
    """The proportional share of memory of the parent and its children."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        total = 0
        for pid in [str(parent), *file.read().split()]:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        return total


def connect(port, number, context):
    """A connection whose peer has greeted, from an address whose network has few others."""
    plain = socket.socket()
    plain.settimeout(30)
    plain.bind((f"127.{10 + number // 200}.{number % 200}.1", 0))
    plain.connect(("127.0.0.1", port))
    wrapped = context.wrap_socket(plain) if context else plain
    if not wrapped.recv(512).startswith(b"220"):
        raise ConnectionError("not greeted")
    return wrapped


def measure(name, port, count, context, parent):
    before = pss_kib(parent)
    held = [connect(port, number, context) for number in range(count)]
    time.sleep(SETTLE_SECONDS)
    after = pss_kib(parent)
    print(f"{name:<6} {count} connections: {before} -> {after} KiB, {(after - before) / count:.2f} KiB each")
    for one in held:
        one.close()
    time.sleep(SETTLE_SECONDS)
    print(f"{'':<6} once they are gone: {pss_kib(parent)} KiB")


def run(options, count):
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [options.gatepost, "localserve", "--dir", os.path.join(directory, "d"), "--port-base",
             str(options.port_base)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            if "ready" not in server.stdout.readline():
                sys.exit("the server did not start")
            time.sleep(SETTLE_SECONDS)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if options.only != "tls":
                measure("plain", options.port_base + 25, count, None, server.pid)
            if options.only != "plain":
                measure("tls", options.port_base + 465, count, context, server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gatepost")
    parser.add_argument("--connections", type=int, default=1500)
    parser.add_argument("--only", choices=["plain", "tls"])
    parser.add_argument("--port-base", type=int, default=22000)
    options = parser.parse_args()
    count = min(options.connections, 4000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
    run(options, count)


if __name__ == "__main__":
    main()
