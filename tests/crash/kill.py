#!/usr/bin/env python3
"""Kills the real server at random moments under load, and looks whether it kept its word.

Clients deliver messages all the time while the server child, the hash worker, the parent, or all of them are
killed with SIGKILL. What was killed alone must come back by itself; after the parent, the server is started
again. At the end every message answered 250 is there once for each of its recipients, byte for byte; every
other at most once.

With --expect-failure a fault is planted: for a moment before each kill, writes of the journal are swallowed and said
to have succeeded (by way of shim.c). The run is good only if promises were then found broken.
"""

import argparse
import collections
import concurrent.futures
import os
import random
import shutil
import sys
import tempfile
import time

from load import Load
from messages import ACCOUNTS, ALIASES, KEPT, NUMBER, judge, judge_content
from recorder import Pace, build_shim, traced_environment
from server import Failed, Server, free_port_base

# A server that was killed soon after its start is started again after a wait that doubles each time, up to 10 s.
RECOVERY_SECONDS_MAX = 60
# How long the journal is written in appearance only before a kill, and how many kills are enough to see it.
LIE_SECONDS = 0.3
LIES = 4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=int, default=600, help="give up after this")
    parser.add_argument("--expect-failure", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    return parser.parse_args()


def set_up(server):
    """Accounts and aliases beside what localserve makes."""
    server.start()
    for account in ACCOUNTS[1:]:
        server.must("account", "add", account)
    for alias, members in ALIASES.items():
        to = [word for member in members for word in ("--to", member)]
        server.must("alias", "add", alias, *to)


def kill_one(server, load, victim, chance):
    """Kills, and waits until mail is taken again."""
    if victim == "all":
        server.kill()
        server.start()
    elif victim == "parent":
        server.kill_parent()
        server.start()
    elif not server.kill_child(victim):
        return False
    if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
        raise Failed(
            f"{RECOVERY_SECONDS_MAX} seconds after the {victim} was killed no mail is taken; the log ends:\n"
            + server.log_end()
        )
    if server.parent.poll() is not None:
        raise Failed(f"the parent ended with {server.parent.returncode}; its log ends:\n{server.log_end()}")
    time.sleep(chance.choice((0.0, chance.random() * 0.2, chance.random())))
    return True


def check(server, attempts):
    """Compares all there is with all that was sent."""
    rows_of = {account: server.rows(account) for account in ACCOUNTS}
    wrong = judge(attempts, rows_of)
    todo = [
        (attempts[int(match[1])], account, row)
        for account, rows in rows_of.items()
        for row in rows
        if (match := NUMBER.search(row["from"])) and int(match[1]) in attempts
    ]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one = lambda job: judge_content(*job, server.message(job[1], job[2]["id"]))
        for found in pool.map(one, todo):
            wrong += found
    return wrong, len(todo)


def lie_and_kill(server, load, pace):
    """Kills while the server thinks that what it promises is in the journal."""
    with pace.failing(pace.JOURNAL):
        time.sleep(LIE_SECONDS)
        server.kill()
    server.start()
    if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
        raise Failed(f"after a kill no mail is taken; the log ends:\n{server.log_end()}")


def planted(args, directory):
    """Whether the harness sees that acknowledged mail is gone. Returns what it found broken."""
    data = os.path.join(directory, "data")
    os.mkdir(data, 0o700)
    pace = Pace(os.path.join(directory, "pace"))
    environment = traced_environment(build_shim(directory), data, "/dev/null", GATEPOST_TRACE_PACE=pace.path)
    server = Server(args.binary, data, free_port_base(), os.path.join(directory, "log"), (), environment)
    try:
        set_up(server)
        load = Load(server, args.seed, args.clients, 64 * 1024, pause=0.06, owners=1)
        load.run()
        if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
            raise Failed("no mail is taken at all")
        for _ in range(LIES):
            lie_and_kill(server, load, pace)
        load.stop()
        wrong = load.wrong + check(server, load.attempts)[0]
        # Mail that was acknowledged and is gone does not stay unnoticed.
        told = [one for one in server.verify() if one["kind"] == "acknowledged-mail-missing"]
        if not told:
            wrong.append("harness: acknowledged mail is gone and `gatepost verify` does not say so")
        if "acknowledged-mail-missing" not in open(server.log_path, errors="replace").read():
            wrong.append("harness: acknowledged mail is gone and the log does not say so")
    finally:
        server.kill()
    print(f"kill: seed {args.seed}: a journal that lied before {LIES} kills, {len(load.attempts)} attempts")
    return wrong


def run(args, chance, directory):
    server = Server(args.binary, os.path.join(directory, "data"), free_port_base(), os.path.join(directory, "log"))
    killed = collections.Counter()
    deadline = time.monotonic() + args.seconds
    try:
        set_up(server)
        load = Load(server, args.seed, args.clients, 2 * 1024 * 1024, pause=0.06, owners=1)
        load.run()
        if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
            raise Failed("no mail is taken at all")
        while sum(killed.values()) < args.kills:
            if time.monotonic() > deadline:
                raise Failed(f"only {sum(killed.values())} kills in {args.seconds} seconds")
            victim = chance.choice(("server", "server", "server", "worker", "parent", "all", "all"))
            if kill_one(server, load, victim, chance):
                killed[victim] += 1
        load.stop()
        wrong = load.wrong
        now, shown = check(server, load.attempts)
        now += [f"verify: {one}" for one in server.verify()]
        # What is told by a running server is also what is on disk.
        server.stop()
        rows_of = {account: server.rows(account) for account in ACCOUNTS}
        wrong = wrong + now + judge(load.attempts, rows_of)
        wrong += [f"verify: {one}" for one in server.verify()]
    finally:
        server.kill()
    outcomes = collections.Counter(attempt.outcome for attempt in load.attempts.values())
    print(
        f"kill: seed {args.seed}: {sum(killed.values())} kills ({dict(killed)}), "
        f"{len(load.attempts)} attempts ({dict(outcomes)}), refusals {load.refusals}, "
        f"{shown} copies compared, {len(wrong)} violations"
    )
    if outcomes[KEPT] < args.kills:
        wrong.append("harness: hardly any mail was kept; this run shows nothing")
    return wrong


def main():
    args = arguments()
    args.binary = os.path.abspath(args.binary)
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    print(f"kill: seed {args.seed}", flush=True)
    directory = os.path.realpath(tempfile.mkdtemp(prefix="gatepost-kill-"))
    try:
        wrong = planted(args, directory) if args.expect_failure else run(args, random.Random(args.seed), directory)
    except Failed as failed:
        wrong = [str(failed)]
    for sentence in wrong[:50]:
        print(f"kill: {sentence}", file=sys.stderr)
    if args.keep:
        print(f"kill: everything is in {directory}")
    else:
        shutil.rmtree(directory)
    if args.expect_failure:
        lost = [sentence for sentence in wrong if sentence.startswith("lost:")]
        print(f"kill: with a lying journal {len(lost)} promises were found broken, as they should be")
        return 0 if lost and not any(sentence.startswith("harness:") for sentence in wrong) else 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
