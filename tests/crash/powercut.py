#!/usr/bin/env python3
"""Cuts the power of the real binary at hundreds of moments, and looks whether it kept its word each time.

A workload runs under the recorder (shim.c): first start, administration, mail, a killed server, a restart, a
stop. Every promise the server makes is noted in the same trace: an account that was added, a message that was
answered 250. Then, for many moments of that trace, the directory is made as a disk might hold it had the power
gone just then (disk.py has the rules), the release binary is started on it, and what it has is compared with
what it had promised by that moment: every message answered 250 is there once for each of its recipients, the
others at most once, those looked at are byte for byte what was sent, and a new message is taken. Every few cuts
the start itself runs under the recorder, and its power is cut as well.

With --expect-failure the recorder swallows every sync of the workload after the first start, and the run is only
good if lost mail is found. The server needs no hook for that: it shows that this test sees a missing sync.
"""

import argparse
import collections
import concurrent.futures
import glob
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

import disk
from kill import set_up
from load import Load, Refused, Session
from messages import ACCOUNTS, KEPT, NUMBER, RECIPIENTS, Attempt, judge, judge_content
from recorder import Pace, build_shim, traced_environment
from server import Failed, Server, free_port_base, give_back_port_base

# Messages compared octet by octet after a cut: the last ones promised before it, and some others.
LATEST_SHOWN = 3
OTHERS_SHOWN = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--cuts", type=int, default=300)
    parser.add_argument("--messages", type=int, default=900)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", type=int, default=None, help="look at this one cut of a seed again")
    parser.add_argument("--trace", default=None, help="the directory of an earlier --keep: cut its trace again")
    parser.add_argument("--nested", type=int, default=8, help="every so many cuts, cut the start after it too")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=900, help="give up after this")
    parser.add_argument(
        "--creation",
        choices=("file", "directory"),
        default="file",
        help="what makes a new name safe: a sync of the file (ext4, XFS, btrfs, F2FS) or of its directory (POSIX)",
    )
    parser.add_argument("--expect-failure", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave trace and failed directories for a look")
    args = parser.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    return args


class Workload:
    """What is recorded, and what was promised in it."""

    def __init__(self, args, directory):
        self.args = args
        self.directory = directory
        self.root = os.path.join(directory, "data")
        self.trace = os.path.join(directory, "trace")
        self.attempts = {}
        self.begin = 0

    def record(self):
        os.mkdir(self.root, 0o700)
        shim = build_shim(self.directory)
        pace = Pace(os.path.join(self.directory, "pace"))
        environment = traced_environment(shim, self.root, self.trace, GATEPOST_TRACE_PACE=pace.path)
        log = os.path.join(self.directory, "log")
        server = Server(self.args.binary, self.root, free_port_base(), log, (), environment, pace)
        notes = os.open(self.trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        note = lambda **what: disk.note(notes, json.dumps(what).encode())
        try:
            set_up(server)
            for account in ACCOUNTS:
                note(account=account)
            if self.args.expect_failure:
                server.stop()
                server.environment = {**environment, "GATEPOST_TRACE_NOSYNC": "1"}
                server.start()
                note(begin=True)
            kept = lambda attempt: note(kept=attempt.number)
            load = Load(server, self.args.seed, 5, 2 * 1024 * 1024, on_kept=kept, owners=1)
            part = self.args.messages // 4
            self.put(load, part)
            # A server that is killed between messages, and one in the midst of them.
            server.kill_child("server")
            self.put(load, part, kill=lambda: server.kill_child("server"))
            server.stop()
            server.start()
            self.put(load, part)
            server.kill()
            note(killed=True)
            server.start()
            note(opened=True)
            journals = self.journals()
            self.put(load, part)
            server.stop()
        finally:
            server.kill()
            os.close(notes)
        self.attempts = load.attempts
        if load.wrong:
            raise Failed("; ".join(load.wrong[:3]))
        if not self.args.expect_failure and not opening_syncs(self.trace, journals):
            raise Failed(
                "a server that was started after a kill did not sync the journal of the database: what it reads, "
                "and answers from, a power cut may take away"
            )
        self.save()

    def journals(self):
        """The inodes of the database's journals."""
        names = glob.glob(os.path.join(self.root, "**", "*.jnl"), recursive=True)
        return {os.stat(name).st_ino for name in names}

    def put(self, load, count, kill=None):
        load.run(enough=count)
        if kill is not None:
            load.wait_for_progress(30)
            kill()
        load.wait(300)

    def save(self):
        """What is needed to cut this trace again."""
        told = {
            number: [attempt.door, attempt.outcome, attempt.mail] for number, attempt in self.attempts.items()
        }
        with open(os.path.join(self.directory, "attempts.json"), "w") as file:
            json.dump({"seed": self.args.seed, "root": self.root, "attempts": told}, file)

    def load(self):
        with open(os.path.join(self.directory, "attempts.json")) as file:
            saved = json.load(file)
        self.args.seed = saved["seed"]
        self.root = saved["root"]
        for number, (door, outcome, mail) in saved["attempts"].items():
            attempt = Attempt(saved["seed"], int(number), 2 * 1024 * 1024, door)
            attempt.outcome, attempt.mail = outcome, mail
            self.attempts[int(number)] = attempt


def opening_syncs(trace, journals):
    """Whether one of these files was synced between the kill of a server and its successor's first service."""
    opening = False
    for record in disk.read_trace(trace):
        if record.kind == disk.NOTE:
            what = json.loads(record.payload)
            opening = what.get("killed", opening) and "opened" not in what
        elif opening and record.kind == disk.SYNC_END and record.inode in journals:
            return True
    return False


class Promises:
    """What was promised up to a moment of the trace."""

    def __init__(self):
        self.accounts = set()
        self.kept = []

    def copy(self):
        other = Promises()
        other.accounts = set(self.accounts)
        other.kept = list(self.kept)
        return other

    def feed(self, record):
        if record.kind == disk.NOTE:
            what = json.loads(record.payload)
            if "account" in what:
                self.accounts.add(what["account"])
            if "kept" in what:
                self.kept.append(what["kept"])


def examine(args, attempts, promises, root, chance, environment=None):
    """Starts the server on a directory and compares; returns what is wrong."""
    base = free_port_base()
    server = Server(args.binary, root, base, f"{root}.log", environment=environment)
    wrong = []
    try:
        server.start()
        rows_of = {}
        for account in ACCOUNTS:
            if account in promises.accounts:
                rows_of[account] = server.rows(account)
        wrong += judge(attempts, rows_of, set(promises.kept))
        for attempt, account, row in choose_shown(attempts, promises, rows_of, chance):
            wrong += judge_content(attempt, account, row, server.message(account, row["id"]))
        # Whatever the power took: what is there is whole, and nothing is called missing that is not.
        if not args.expect_failure:
            wrong += [f"verify: {one}" for one in server.verify()]
        if promises.accounts:
            wrong += still_takes_mail(server, attempts, rows_of)
    except Failed as failed:
        wrong.append(f"failed: {failed}")
    finally:
        server.kill()
        give_back_port_base(base)
    return wrong


def choose_shown(attempts, promises, rows_of, chance):
    """The copies that are compared octet by octet: those most at risk, those never promised, some others."""
    latest = set(promises.kept[-LATEST_SHOWN:])
    kept = set(promises.kept)
    others = []
    for account, rows in rows_of.items():
        for row in rows:
            match = NUMBER.search(row["from"])
            attempt = attempts.get(int(match[1])) if match else None
            if attempt is None:
                continue
            if attempt.number in latest or attempt.number not in kept:
                yield attempt, account, row
            else:
                others.append((attempt, account, row))
    yield from chance.sample(others, min(OTHERS_SHOWN, len(others)))


def still_takes_mail(server, attempts, rows_of):
    """A new message is kept, once, beside all the others."""
    account = min(rows_of)
    new = Attempt("after the cut", len(attempts), 4_000)
    new.recipients, new.accounts = [account], {account}
    try:
        session = Session(server, "smtp")
        try:
            session.deliver(new, False)
        finally:
            session.close()
    except (OSError, Refused) as error:
        return [f"refused: a new message after the cut: {error}"]
    rows = server.rows(account)
    if [row["mail"] for row in rows[:-1]] != [row["mail"] for row in rows_of[account]]:
        return ["changed: a new message changed the list before it"]
    if not rows or rows[-1]["mail"] != new.mail:
        return ["lost: a new message after the cut was answered 250 and is not there"]
    return judge_content(new, account, rows[-1], server.message(account, rows[-1]["id"]))


class Cutter:
    """Makes the directories one after another and has them examined side by side."""

    def __init__(self, args, workload, shim):
        self.args = args
        self.workload = workload
        self.shim = shim
        self.wrong = []
        self.examined = 0
        self.nested = 0
        self.room = threading.Semaphore(args.jobs + 1)
        self.lock = threading.Lock()
        self.place = tempfile.mkdtemp(prefix="gatepost-cut-", dir=disk.fast_place())

    def run(self, records):
        chance = disk.seeded(self.args.seed, "cuts")
        first = 0
        if self.args.expect_failure:
            begin = [index for index, one in enumerate(records) if one.kind == disk.NOTE and b"begin" in one.payload]
            first = begin[0] + 1
        cuts = disk.choose_cuts(records, self.args.cuts, chance, first)
        model = disk.Disk(self.workload.root, self.args.creation, empty=True)
        promises = Promises()
        fed = 0
        deadline = time.monotonic() + self.args.seconds
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            futures = []
            for number, cut in enumerate(cuts):
                if time.monotonic() > deadline:
                    self.wrong.append((number, f"harness: only {number} cuts in {self.args.seconds} seconds"))
                    break
                for record in records[fed:cut]:
                    model.feed(record)
                    promises.feed(record)
                fed = cut
                if self.args.only not in (None, number):
                    continue
                if self.args.expect_failure and self.has_lost():
                    break
                self.room.acquire()
                target = os.path.join(self.place, f"cut-{number}")
                model.write_cut(target, disk.seeded(self.args.seed, "cut", number))
                futures.append(pool.submit(self.one, number, cut, target, promises.copy()))
            for future in futures:
                future.result()
        for record in records[fed:]:
            model.feed(record)
        return model

    def has_lost(self):
        with self.lock:
            return sum(1 for _number, sentence in self.wrong if sentence.startswith("lost:")) >= 5

    def one(self, number, cut, target, promises):
        try:
            chance = disk.seeded(self.args.seed, "look", number)
            nested = self.args.nested and number % self.args.nested == 0 and not self.args.expect_failure
            if nested:
                wrong = self.cut_again(number, target, promises, chance)
            else:
                wrong = examine(self.args, self.workload.attempts, promises, target, chance)
        except Exception as error:
            wrong = [f"harness: {error!r}"]
        finally:
            self.room.release()
        with self.lock:
            self.examined += 1
            self.nested += bool(nested)
            self.wrong += [(number, f"{sentence} [cut {number}, after record {cut}]") for sentence in wrong]
        if not (wrong and self.args.keep):
            shutil.rmtree(target, ignore_errors=True)
            if os.path.exists(f"{target}.log"):
                os.unlink(f"{target}.log")

    def cut_again(self, number, target, promises, chance):
        """Records a start on the directory and cuts its power too."""
        trace = f"{target}.trace"
        again = f"{target}-again"
        model = disk.Disk(target, self.args.creation)
        base = free_port_base()
        environment = traced_environment(self.shim, target, trace)
        server = Server(self.args.binary, target, base, f"{target}.log", environment=environment)
        try:
            server.start()
        except Failed as failed:
            return [f"failed: {failed}"]
        finally:
            server.kill()
            give_back_port_base(base)
        records = disk.read_trace(trace)
        cut = disk.choose_cuts(records, 1, chance)[0]
        for record in records[:cut]:
            model.feed(record)
        model.write_cut(again, chance)
        try:
            wrong = examine(self.args, self.workload.attempts, promises, again, chance)
            return [f"{sentence} (cut again after record {cut} of {len(records)})" for sentence in wrong]
        finally:
            os.unlink(trace)
            shutil.rmtree(again)
            if os.path.exists(f"{again}.log"):
                os.unlink(f"{again}.log")

    def close(self):
        if self.args.keep and self.wrong:
            print(f"powercut: directories that failed are in {self.place}")
        else:
            shutil.rmtree(self.place)


def run(args, directory):
    begin = time.monotonic()
    workload = Workload(args, directory)
    if args.trace is None:
        workload.record()
    else:
        workload.load()
    records = disk.read_trace(workload.trace)
    counts = collections.Counter(chr(record.kind) for record in records)
    octets = os.path.getsize(workload.trace)
    recorded = time.monotonic()
    cutter = Cutter(args, workload, build_shim(directory))
    try:
        model = cutter.run(records)
        wrong = [sentence for _number, sentence in cutter.wrong]
        if args.only is None and not (args.expect_failure and cutter.has_lost()):
            # The recorder missed nothing: what it saw adds up to what is there.
            wrong += [f"harness: {sentence}" for sentence in model.same_as(workload.root)]
    finally:
        cutter.close()
    kept = sum(1 for attempt in workload.attempts.values() if attempt.outcome == KEPT)
    kinds = collections.Counter(sentence.split(":")[0] for sentence in wrong)
    print(
        f"powercut: seed {args.seed}: {len(records)} records ({dict(counts)}, {octets >> 20} MiB), {kept} of "
        f"{len(workload.attempts)} messages kept; {cutter.examined} cuts examined, {cutter.nested} of them cut again; "
        f"{recorded - begin:.0f} s to record, {time.monotonic() - recorded:.0f} s to cut; "
        f"{len(wrong)} violations {dict(kinds) if kinds else ''}"
    )
    if counts["b"] == 0:
        wrong.append("harness: the trace has no sync at all: is the binary linked statically?")
    if kept < args.messages // 2:
        wrong.append("harness: hardly any mail was kept; this run shows nothing")
    return wrong


def main():
    args = arguments()
    args.binary = os.path.abspath(args.binary)
    print(f"powercut: seed {args.seed}", flush=True)
    directory = args.trace or os.path.realpath(tempfile.mkdtemp(prefix="gatepost-power-"))
    try:
        wrong = run(args, directory)
    except (Failed, disk.Unmodelled) as error:
        wrong = [f"harness: {type(error).__name__}: {error}"]
    for sentence in wrong[:40]:
        print(f"powercut: {sentence}", file=sys.stderr)
    if args.keep or args.trace:
        print(f"powercut: the trace is in {directory}; cut it again with --trace {directory}")
    else:
        shutil.rmtree(directory)
    if args.expect_failure:
        lost = [sentence for sentence in wrong if sentence.startswith("lost:")]
        print(f"powercut: without syncs {len(lost)} promises were found broken, as they should be")
        return 0 if lost and not any(sentence.startswith("harness:") for sentence in wrong) else 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
