#!/usr/bin/env python3
"""Fills the disk under the real binary, and looks whether it kept its word.

On a small tmpfs (which needs root):
1. With a reserve: mail is refused with 452 when the reserve is reached, nothing answered 250 is lost, and mail is
   taken again when there is space, without a restart.
2. Without: somebody else fills the disk to the last octet again and again while mail comes in. Mail is answered
   452 or 451, is taken again when there is space, and nothing answered 250 is lost.
3. Writes of the store fail with ENOSPC although there seems to be space, and syncs with EIO (by way of shim.c):
   whoever waited is answered 451 or 452, the server comes back by itself, and nothing answered 250 is lost.

With --expect-failure only the third is done, with a fault planted: writes of the journal that meet the full disk are
said to have succeeded. The run is good only if promises were then found broken.
"""

import argparse
import collections
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from kill import RECOVERY_SECONDS_MAX, check, set_up
from load import Load
from messages import ACCOUNTS, KEPT, judge
from recorder import Pace, build_shim, traced_environment
from server import Failed, Server, free_port_base

MIB = 1 << 20
FILL_SECONDS_MAX = 180
FAILURES_EACH = 4
LIFE_SECONDS_MIN = 5.2
# How often writes fail under a journal that lies.
LIES = 3
# What the server keeps free unless it is told otherwise.
DEFAULT_RESERVE_OCTETS = 256 * MIB
# Above the 64 MiB below which the store takes no mail whatever the reserve is.
ROOM_OCTETS = 96 * MIB


def as_root():
    """What stands before a command that only root may run; the server itself never gets it."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=40, help="how often the disk is filled to the last octet")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--expect-failure", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the logs for a look")
    parser.add_argument("--allow-skip", action="store_true", help="where no tmpfs can be mounted, do nothing")
    return parser.parse_args()


class CannotMount(Exception):
    """Not root, or not allowed."""


@contextlib.contextmanager
def small_disk(place, octets):
    os.mkdir(place)
    try:
        owner = f"uid={os.geteuid()},gid={os.getegid()}"
        options = f"size={octets},mode=700,{owner}"
        subprocess.run([*as_root(), "mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise CannotMount(str(error)) from error
    try:
        yield place
    finally:
        subprocess.run([*as_root(), "umount", place], check=True)
        os.rmdir(place)


def free_octets(place):
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


class Ballast:
    """A file of somebody else's that takes space."""

    def __init__(self, place):
        self.place = place
        self.file = open(os.path.join(place, "ballast"), "wb", buffering=0)

    def take(self, octets):
        os.posix_fallocate(self.file.fileno(), 0, octets)

    def take_all(self):
        """Every page that is left, fast, so that others meet a full disk in whatever they are at."""
        piece = 64 * MIB
        while piece >= 4096:
            try:
                os.posix_fallocate(self.file.fileno(), os.fstat(self.file.fileno()).st_size, piece)
            except OSError:
                piece //= 2

    def leave(self, octets):
        """Takes or gives back so that so much is free, if there is so much that is not used."""
        now = os.fstat(self.file.fileno()).st_size
        size = max(0, now + free_octets(self.place) - octets)
        if size < now:
            self.file.truncate(size)
        elif size > now:
            os.posix_fallocate(self.file.fileno(), now, size - now)

    def is_empty(self):
        return os.fstat(self.file.fileno()).st_size == 0

    def give_back(self):
        self.file.truncate(0)

    def close(self):
        self.file.close()


def check_and_stop(server, load):
    """All is there while the server runs, after a stop, and after a new start."""
    wrong, shown = check(server, load.attempts)
    server.stop()
    wrong += judge(load.attempts, {account: server.rows(account) for account in ACCOUNTS})
    server.start()
    again, _ = check(server, load.attempts)
    server.stop()
    return wrong + again, shown


def lines_about(log, event):
    """How many lines of this event are in a log."""
    with open(log, encoding="utf-8") as lines:
        return sum(line.startswith(f"event={event} ") for line in lines)


def with_reserve(args, place, log):
    """Loads until 452, and on when there is space again."""
    ballast = Ballast(place)
    ballast.take(64 * MIB)
    settings = [f"limits.disk-reserve-octets={96 * MIB}"]
    server = Server(args.binary, os.path.join(place, "data"), free_port_base(), log, settings)
    load = Load(server, f"{args.seed} reserve", 4, 2 * MIB, pause=0.01)
    try:
        set_up(server)
        load.run()
        deadline = time.monotonic() + FILL_SECONDS_MAX
        while load.refusals.get("452", 0) < 50:
            if time.monotonic() > deadline:
                raise Failed(f"no 452 in {FILL_SECONDS_MAX} s; {load.kept} kept, refusals {load.refusals}")
            time.sleep(0.05)
        before = load.kept
        free = free_octets(place)
        started = server.processes()
        ballast.give_back()
        if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
            raise Failed("there is space again, and no mail is taken")
        time.sleep(2)
        load.stop()
        wrong = list(load.wrong)
        if any(process.is_gone() for process in started):
            wrong.append("failed: the server was started anew, which a reserve is there to spare it")
        if free < 32 * MIB:
            wrong.append(f"failed: the reserve of 96 MiB was eaten up to {free >> 20} MiB")
        if set(load.refusals) - {"452"}:
            wrong.append(f"failed: other refusals than 452: {load.refusals}")
        told = lines_about(log, "disk-full")
        if told != 1:
            wrong.append(f"failed: the log told {told} times and not once that the disk is full")
        now, shown = check_and_stop(server, load)
        print(
            f"full_disk: reserve: {before} kept until it was full at {free >> 20} MiB free, {load.kept - before} "
            f"after, refusals {load.refusals}, {shown} copies compared"
        )
        return wrong + now
    finally:
        load.halt.set()
        server.kill()
        ballast.close()


def without_reserve(args, place, log):
    """Meets a disk that is full to the last octet, in the middle of everything."""
    chance = random.Random(args.seed)
    ballast = Ballast(place)
    settings = ["limits.disk-reserve-octets=0"]
    server = Server(args.binary, os.path.join(place, "data"), free_port_base(), log, settings)
    load = Load(server, f"{args.seed} none", 6, 400 * 1024, pause=0.03)
    try:
        set_up(server)
        ballast.leave(ROOM_OCTETS)
        load.run()
        restarts = rounds = 0
        # Not until the store itself has filled it: that is the other test.
        while rounds < args.rounds:
            rounds += 1
            before = server.child("server")
            time.sleep(chance.random() * 0.3)
            ballast.take_all()
            time.sleep(chance.choice((0.02, 0.1, 0.5)))
            ballast.leave(ROOM_OCTETS)
            if ballast.is_empty():
                break
            if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
                raise Failed(f"there is space again, and no mail is taken; the log ends:\n{server.log_end()}")
            restarts += server.child("server") != before
        load.stop()
        wrong = list(load.wrong)
        if set(load.refusals) - {"451", "452", "421"}:
            wrong.append(f"failed: other refusals than 451, 452 and 421: {load.refusals}")
        now, shown = check_and_stop(server, load)
        outcomes = collections.Counter(attempt.outcome for attempt in load.attempts.values())
        print(
            f"full_disk: no reserve: filled {rounds} times, the server was started anew {restarts} times, "
            f"attempts {dict(outcomes)}, refusals {load.refusals}, {shown} copies compared"
        )
        if rounds < args.rounds // 2 or outcomes[KEPT] < rounds:
            wrong.append("harness: too few rounds or too little mail; this run shows nothing")
        return wrong + now
    finally:
        load.halt.set()
        server.kill()
        ballast.close()


def failing_calls(args, place, log):
    """Meets failures that nobody could foresee, in writes and syncs of the store itself."""
    chance = random.Random(args.seed)
    beside = os.path.dirname(log)
    pace = Pace(os.path.join(beside, "pace"))
    data = os.path.join(place, "data")
    os.mkdir(data, 0o700)
    environment = traced_environment(build_shim(beside), data, "/dev/null", GATEPOST_TRACE_PACE=pace.path)
    server = Server(args.binary, data, free_port_base(), log, (), environment)
    # Slow enough not to fill the disk by itself on a fast machine, which would look as if no mail were taken.
    load = Load(server, f"{args.seed} calls", 4, 400 * 1024, pause=0.15)
    try:
        set_up(server)
        load.run()
        restarts = 0
        for what in [pace.WRITES, pace.SYNCS] * FAILURES_EACH:
            before = server.child("server")
            # Long enough for the parent not to count it among starts that failed.
            time.sleep(LIFE_SECONDS_MIN + chance.random())
            with pace.failing(what):
                time.sleep(chance.choice((0.02, 0.1, 0.5)))
            if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
                free = free_octets(place) >> 20
                raise Failed(
                    f"calls succeed again, {free} MiB are free, and no mail is taken; the log ends:\n{server.log_end()}"
                )
            restarts += server.child("server") != before
        load.stop()
        wrong = list(load.wrong)
        if set(load.refusals) - {"451", "452", "421"}:
            wrong.append(f"failed: other refusals than 451, 452 and 421: {load.refusals}")
        if free_octets(place) < 2 * DEFAULT_RESERVE_OCTETS:
            wrong.append("harness: the disk was nearly full; refusals may have come from that")
        if restarts == 0:
            wrong.append("harness: no failure reached the store; this run shows nothing")
        now, shown = check_and_stop(server, load)
        outcomes = collections.Counter(attempt.outcome for attempt in load.attempts.values())
        print(
            f"full_disk: failing calls: {2 * FAILURES_EACH} times, the server was started anew {restarts} times, "
            f"attempts {dict(outcomes)}, refusals {load.refusals}, {shown} copies compared"
        )
        return wrong + now
    finally:
        load.halt.set()
        server.kill()


def lying_journal(args, place, log):
    """A store that takes no notice of a full disk: promises must be found broken."""
    beside = os.path.dirname(log)
    pace = Pace(os.path.join(beside, "pace"))
    data = os.path.join(place, "data")
    os.mkdir(data, 0o700)
    environment = traced_environment(build_shim(beside), data, "/dev/null", GATEPOST_TRACE_PACE=pace.path)
    server = Server(args.binary, data, free_port_base(), log, (), environment)
    load = Load(server, f"{args.seed} lies", 4, 64 * 1024, pause=0.1)
    try:
        set_up(server)
        load.run()
        for _ in range(LIES):
            if not load.wait_for_progress(RECOVERY_SECONDS_MAX):
                raise Failed(f"there is space, and no mail is taken; the log ends:\n{server.log_end()}")
            with pace.failing(pace.WRITES | pace.JOURNAL):
                time.sleep(0.5)
        load.stop()
        server.kill()
        wrong = load.wrong + judge(load.attempts, {account: server.rows(account) for account in ACCOUNTS})
        print(f"full_disk: a lying journal: {LIES} times, {load.kept} answered 250, refusals {load.refusals}")
        return wrong
    finally:
        load.halt.set()
        server.kill()


def main():
    args = arguments()
    args.binary = os.path.abspath(args.binary)
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    print(f"full_disk: seed {args.seed}", flush=True)
    directory = os.path.realpath(tempfile.mkdtemp(prefix="gatepost-full-"))
    wrong = []
    tests = (
        ("reserve", 320 * MIB, with_reserve),
        ("none", 768 * MIB, without_reserve),
        ("calls", 2048 * MIB, failing_calls),
    )
    if args.expect_failure:
        tests = (("lies", 768 * MIB, lying_journal),)
    for name, octets, test in tests:
        log = os.path.join(directory, f"{name}.log")
        try:
            with small_disk(os.path.join(directory, name), octets) as place:
                wrong += test(args, place, log)
        except CannotMount as error:
            if args.allow_skip:
                print(f"full_disk: SKIPPED, no tmpfs can be mounted: {error}")
                return 0
            wrong.append(f"harness: no tmpfs can be mounted (it needs root or sudo): {error}")
            break
        except Failed as failed:
            wrong.append(f"failed: {failed}")
    for sentence in wrong[:50]:
        print(f"full_disk: {sentence}", file=sys.stderr)
    print(f"full_disk: {len(wrong)} violations")
    if args.keep:
        print(f"full_disk: the logs are in {directory}")
    else:
        shutil.rmtree(directory)
    if args.expect_failure:
        lost = [sentence for sentence in wrong if sentence.startswith("lost:")]
        print(f"full_disk: with a lying journal {len(lost)} promises were found broken, as they should be")
        return 0 if lost and not any(sentence.startswith("harness:") for sentence in wrong) else 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
