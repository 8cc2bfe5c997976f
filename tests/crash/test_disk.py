"""Tests of the recorder and of the model of a disk: `python3 tests/crash/test_disk.py`.

The crash tests are only worth something if these two are right, so each rule of disk.py has a test here, and
shim.c is run under a program that does everything it records, by way of the C library and past it.
"""

import ctypes
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

import disk
from disk import ALLOCATE, LINK, MAKE_DIR, OPEN, RENAME, SIZE, SYNC_BEGIN, SYNC_END, UNLINK, WRITE, Record
from recorder import Pace, build_shim, traced_environment

ROOT = "/nowhere"


def record(kind, inode=0, at=0, value=0, payload=b"", thread=1):
    return Record(kind, 0, inode, at, value, thread, payload)


def path(*names):
    return "\0".join(f"{ROOT}/{name}" for name in names).encode()


class Model(disk.Disk):
    """A model without a real directory to start from."""

    def load(self, _path, directory):
        self.by_inode[1] = directory

    def make(self, name, inode):
        self.feed(record(OPEN, inode, value=os.O_CREAT | os.O_EXCL, payload=path(name)))

    def write(self, inode, at, octets):
        self.feed(record(WRITE, inode, at, payload=octets))

    def sync(self, inode, thread=1):
        self.feed(record(SYNC_BEGIN, inode, thread=thread))
        self.feed(record(SYNC_END, inode, thread=thread))

    def outcomes(self, look, tries=250):
        """What `look` finds in so many power cuts."""
        found = set()
        with tempfile.TemporaryDirectory(dir=disk.fast_place()) as directory:
            for seed in range(tries):
                target = os.path.join(directory, str(seed))
                self.write_cut(target, random.Random(seed))
                found.add(look(target))
        return found


def names(target):
    return tuple(sorted(os.listdir(target)))


def content(name):
    def look(target):
        with open(os.path.join(target, name), "rb") as file:
            return file.read()

    return look


class Contents(unittest.TestCase):
    def setUp(self):
        self.model = Model(ROOT)
        self.model.make("f", 2)
        self.model.sync(2)

    def test_what_was_synced_is_always_there(self):
        self.model.write(2, 0, b"a" * 10_000)
        self.model.sync(2)
        self.assertEqual(self.model.outcomes(content("f")), {b"a" * 10_000})

    def test_what_was_not_synced_comes_in_whole_pages_in_any_choice(self):
        self.model.write(2, 0, b"a" * 8192)
        self.model.sync(2)
        self.model.write(2, 0, b"b" * 8192)
        a, b = b"a" * 4096, b"b" * 4096
        self.assertEqual(self.model.outcomes(content("f")), {a + a, a + b, b + a, b + b})

    def test_a_page_may_have_any_version_it_went_through(self):
        for octets in (b"1", b"2", b"3"):
            self.model.write(2, 0, octets)
        self.assertEqual(self.model.outcomes(content("f")), {b"", b"\0", b"1", b"2", b"3"})

    def test_a_size_without_its_octets_reads_zeros(self):
        self.model.write(2, 0, b"a" * 4096)
        self.model.write(2, 4096, b"b" * 10)
        zeros = b"\0" * 4096
        found = self.model.outcomes(content("f"))
        self.assertIn(zeros + b"b" * 10, found)
        self.assertIn(b"a" * 4096, found)
        self.assertIn(b"", found)
        self.assertEqual({len(octets) for octets in found}, {0, 4096, 4106})

    def test_a_sync_covers_only_what_was_there_when_it_began(self):
        self.model.write(2, 0, b"1")
        self.model.feed(record(SYNC_BEGIN, 2))
        self.model.write(2, 0, b"2")
        self.model.feed(record(SYNC_END, 2))
        self.assertEqual(self.model.outcomes(content("f")), {b"1", b"2"})

    def test_a_sync_that_began_and_never_ended_covers_nothing(self):
        self.model.write(2, 0, b"1")
        self.model.feed(record(SYNC_BEGIN, 2))
        self.assertIn(b"", self.model.outcomes(content("f")))

    def test_a_sync_that_failed_covers_nothing(self):
        self.model.write(2, 0, b"1")
        self.model.feed(record(SYNC_BEGIN, 2))
        self.model.feed(record(SYNC_END, 2, value=-5))
        self.assertIn(b"", self.model.outcomes(content("f")))

    def test_syncs_of_two_threads_each_cover_their_own_beginning(self):
        self.model.write(2, 0, b"1")
        self.model.feed(record(SYNC_BEGIN, 2, thread=1))
        self.model.write(2, 0, b"2")
        self.model.feed(record(SYNC_BEGIN, 2, thread=2))
        self.model.write(2, 0, b"3")
        self.model.feed(record(SYNC_END, 2, thread=1))
        self.assertEqual(self.model.outcomes(content("f")), {b"1", b"2", b"3"})
        self.model.feed(record(SYNC_END, 2, thread=2))
        self.assertEqual(self.model.outcomes(content("f")), {b"2", b"3"})

    def test_shortened_and_grown_again_never_shows_the_old_octets_behind_the_new_size(self):
        self.model.write(2, 0, b"a" * 8192)
        self.model.sync(2)
        self.model.feed(record(SIZE, 2, value=10))
        self.model.feed(record(SIZE, 2, value=4096))
        self.model.write(2, 4000, b"b")
        short = b"a" * 10
        self.assertEqual(
            self.model.outcomes(content("f")),
            {
                b"a" * 8192,
                short,
                short + b"\0" * 4086,
                short + b"\0" * 3990 + b"b" + b"\0" * 95,
            },
        )

    def test_allocating_only_grows(self):
        self.model.write(2, 0, b"abc")
        self.model.sync(2)
        self.model.feed(record(ALLOCATE, 2, value=2))
        self.assertEqual(self.model.outcomes(content("f")), {b"abc"})
        self.model.feed(record(ALLOCATE, 2, value=5))
        self.assertEqual(self.model.outcomes(content("f")), {b"abc", b"abc\0\0"})

    def test_opening_with_truncation_empties(self):
        self.model.write(2, 0, b"abc")
        self.model.sync(2)
        self.model.feed(record(OPEN, 2, value=os.O_CREAT | os.O_TRUNC, payload=path("f")))
        self.assertEqual(self.model.outcomes(content("f")), {b"abc", b""})


class Names(unittest.TestCase):
    def setUp(self):
        self.model = Model(ROOT)

    def test_a_new_name_is_safe_after_a_sync_of_the_directory(self):
        self.model.make("f", 2)
        self.assertEqual(self.model.outcomes(names), {(), ("f",)})
        self.model.sync(1)
        self.assertEqual(self.model.outcomes(names), {("f",)})

    def test_a_new_name_is_safe_after_a_sync_of_its_file_unless_one_is_strict(self):
        self.model.make("f", 2)
        self.model.sync(2)
        self.assertEqual(self.model.outcomes(names), {("f",)})
        strict = Model(ROOT, creation="directory")
        strict.make("f", 2)
        strict.sync(2)
        self.assertEqual(strict.outcomes(names), {(), ("f",)})

    def test_a_new_directory_is_safe_after_a_sync_of_itself_unless_one_is_strict(self):
        for creation, expected in (("file", {("d",)}), ("directory", {(), ("d",)})):
            model = Model(ROOT, creation)
            model.feed(record(MAKE_DIR, 2, payload=path("d")))
            model.make("d/f", 3)
            model.sync(2)
            self.assertEqual(model.outcomes(names), expected)

    def test_a_rename_is_not_safe_after_a_sync_of_the_file(self):
        self.model.make("f", 2)
        self.model.feed(record(RENAME, payload=path("f", "g")))
        self.model.sync(2)
        self.assertEqual(self.model.outcomes(names), {("f",), ("g",)})
        self.model.sync(1)
        self.assertEqual(self.model.outcomes(names), {("g",)})

    def test_a_rename_over_another_file_leaves_the_old_or_the_new(self):
        for name, inode, octets in (("f", 2, b"old"), ("t", 3, b"new")):
            self.model.make(name, inode)
            self.model.write(inode, 0, octets)
            self.model.sync(inode)
        self.model.feed(record(RENAME, payload=path("t", "f")))
        self.assertEqual(self.model.outcomes(content("f")), {b"old", b"new"})

    def test_a_removal_may_be_undone_until_the_directory_is_synced(self):
        self.model.make("f", 2)
        self.model.sync(1)
        self.model.feed(record(UNLINK, payload=path("f")))
        self.assertEqual(self.model.outcomes(names), {(), ("f",)})
        self.model.sync(1)
        self.assertEqual(self.model.outcomes(names), {()})

    def test_changes_of_names_happen_in_order(self):
        for index, name in enumerate("abc"):
            self.model.make(name, 2 + index)
        self.assertEqual(self.model.outcomes(names), {(), ("a",), ("a", "b"), ("a", "b", "c")})

    def test_an_older_removal_never_takes_a_newer_file_of_that_name(self):
        self.model.make("f", 2)
        self.model.sync(1)
        self.model.feed(record(UNLINK, payload=path("f")))
        self.model.make("f", 3)
        self.model.write(3, 0, b"new")
        self.model.sync(3)
        self.assertEqual(self.model.outcomes(content("f")), {b"new"})

    def test_what_is_in_a_directory_goes_with_it(self):
        self.model = Model(ROOT, creation="directory")
        self.model.feed(record(MAKE_DIR, 2, payload=path("d")))
        self.model.make("d/f", 3)
        self.model.sync(2)
        self.assertEqual(self.model.outcomes(names), {(), ("d",)})
        self.model.sync(1)
        look = lambda target: names(os.path.join(target, "d"))
        self.assertEqual(self.model.outcomes(look), {("f",)})

    def test_a_moved_directory_keeps_what_is_in_it(self):
        self.model.feed(record(MAKE_DIR, 2, payload=path("d")))
        self.model.make("d/f", 3)
        self.model.sync(2)
        self.model.sync(1)
        self.model.feed(record(RENAME, payload=path("d", "e")))
        self.assertEqual(self.model.outcomes(names), {("d",), ("e",)})
        self.model.make("e/g", 4)
        self.model.sync(2)
        self.model.sync(1)
        look = lambda target: names(os.path.join(target, "e"))
        self.assertEqual(self.model.outcomes(look), {("f", "g")})

    def test_a_moved_file_is_never_in_both_directories(self):
        self.model.feed(record(MAKE_DIR, 2, payload=path("d")))
        self.model.sync(1)
        self.model.make("f", 3)
        self.model.feed(record(RENAME, payload=path("f", "d/f")))
        self.model.sync(2)
        look = lambda target: (names(target), names(os.path.join(target, "d")))
        self.assertEqual(self.model.outcomes(look), {(("d",), ("f",))})

    def test_a_reused_inode_is_another_file(self):
        self.model.make("f", 2)
        self.model.write(2, 0, b"old")
        self.model.sync(2)
        self.model.feed(record(UNLINK, payload=path("f")))
        self.model.make("g", 2)
        self.model.write(2, 0, b"new")
        self.model.sync(2)
        self.assertEqual(self.model.outcomes(content("g")), {b"new"})

    def test_a_link_is_the_same_file(self):
        self.model.make("f", 2)
        self.model.feed(record(LINK, payload=path("f", "g")))
        self.model.write(2, 0, b"x")
        self.model.sync(2)
        self.model.sync(1)
        self.assertEqual(self.model.outcomes(content("g")), {b"x"})

    def test_what_is_not_followed_is_an_error(self):
        for bad in (
            record(disk.UNSUPPORTED, value=9, payload=b"mmap"),
            record(RENAME, payload=path("never", "made")),
            record(RENAME, payload=b"/elsewhere/f\0" + path("f")),
            record(OPEN, 7, value=os.O_CREAT, payload=path("no/such/f")),
        ):
            with self.assertRaises(disk.Unmodelled):
                self.model.feed(bad)


class Cuts(unittest.TestCase):
    def test_cuts_are_in_order_in_range_and_many_are_near_syncs(self):
        records = [record(WRITE)] * 500 + [record(SYNC_BEGIN), record(SYNC_END)] + [record(WRITE)] * 500
        cuts = disk.choose_cuts(records, 300, random.Random(1), first=100)
        self.assertEqual(cuts, sorted(cuts))
        self.assertTrue(all(100 <= cut <= len(records) for cut in cuts))
        self.assertGreater(sum(1 for cut in cuts if 500 <= cut <= 503), 30)
        self.assertGreater(sum(1 for cut in cuts if not 490 <= cut <= 510), 30)


EVERYTHING = """
    import ctypes, os, subprocess, sys, threading
    os.chdir(root)
    libc = ctypes.CDLL(None, use_errno=True)

    def past_the_library(number, *arguments):
        assert libc.syscall(number, *arguments) >= 0, ctypes.get_errno()

    def worker(index):
        with open(f"thread-{index}", "wb", buffering=0) as file:
            for turn in range(50):
                file.write(bytes([65 + index]) * (turn * 100))
            os.fsync(file.fileno())

    threads = [threading.Thread(target=worker, args=(index,)) for index in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

    os.mkdir("dir"); os.mkdir("dir/sub")
    here = os.open("dir", os.O_RDONLY)
    fd = os.open("relative", os.O_CREAT | os.O_RDWR, dir_fd=here)
    os.pwrite(fd, b"p" * 5000, 3000)
    os.pwritev(fd, [b"one", b"two" * 3000], 10)
    os.writev(fd, [b"v1", b"", b"v2" * 700])
    os.ftruncate(fd, 11_000); os.ftruncate(fd, 9_000)
    os.posix_fallocate(fd, 0, 20_000)
    os.fdatasync(fd); os.fsync(here)
    os.rename("relative", "renamed", src_dir_fd=here, dst_dir_fd=here)
    os.link("dir/renamed", "dir/sub/linked")
    with open("appended", "ab") as file: file.write(b"first")
    with open("appended", "ab") as file: file.write(b"second")
    with open("emptied", "wb") as file: file.write(b"gone")
    with open("emptied", "wb") as file: file.write(b"new")
    with open("removed", "wb") as file: file.write(b"x" * 100)
    os.unlink("removed")
    os.rename("dir/sub", "moved")
    os.mkdir("short"); os.rmdir("short")
    with open("raw", "wb") as file: file.write(b"raw")
    past_the_library(82, b"raw", b"raw-renamed")
    past_the_library(87, b"emptied")
    subprocess.run([sys.executable, "-c", "open('child', 'w').write('written by a child')"], check=True)
    with open("/dev/null", "wb") as file: file.write(b"elsewhere")
    with open(elsewhere, "wb") as file: file.write(b"elsewhere")
    nameless = os.open(".", os.O_TMPFILE | os.O_RDWR)
    os.write(nameless, b"nobody sees this")
"""


class Recorder(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        base = os.path.realpath(self.place.name)
        self.root = os.path.join(base, "root")
        self.trace = os.path.join(base, "trace")
        self.elsewhere = os.path.join(base, "elsewhere")
        os.mkdir(self.root)
        self.shim = build_shim(base)
        self.disk = disk.Disk(self.root)

    def run_traced(self, program, **more):
        text = f"root = {self.root!r}; elsewhere = {self.elsewhere!r}\n" + textwrap.dedent(program)
        environment = traced_environment(self.shim, self.root, self.trace, **more)
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return subprocess.run(
            [sys.executable, "-c", text], env=environment, timeout=60, capture_output=True, text=True
        )

    def records(self):
        return disk.read_trace(self.trace)

    def test_everything_that_is_done_is_in_the_trace(self):
        done = self.run_traced(EVERYTHING)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for one in self.records():
            self.disk.feed(one)
        self.assertEqual(self.disk.same_as(self.root), [])
        self.assertEqual(names(self.root).count("child"), 1)

    def test_a_change_that_was_missed_is_found_by_comparing(self):
        self.run_traced(EVERYTHING)
        for one in self.records():
            self.disk.feed(one)
        with open(os.path.join(self.root, "child"), "r+b") as file:
            file.write(b"W")
        os.rename(os.path.join(self.root, "raw-renamed"), os.path.join(self.root, "other"))
        self.assertEqual(len(self.disk.same_as(self.root)), 3)

    def test_syncs_are_recorded_with_their_file_and_swallowed_on_demand(self):
        program = "import os; f = open(root + '/f', 'wb'); os.fsync(f.fileno()); os.fdatasync(f.fileno())"
        self.run_traced(program)
        kinds = [one.kind for one in self.records() if one.inode == os.stat(self.root + "/f").st_ino]
        self.assertEqual(kinds, [OPEN, SYNC_BEGIN, SYNC_END, SYNC_BEGIN, SYNC_END])
        os.unlink(self.trace)
        done = self.run_traced(program, GATEPOST_TRACE_NOSYNC="1")
        self.assertEqual(done.returncode, 0)
        self.assertEqual([one.kind for one in self.records()], [OPEN])

    def test_calls_that_are_not_followed_are_reported(self):
        for program in (
            "import mmap; f = open(root + '/f', 'w+b'); f.truncate(4096); mmap.mmap(f.fileno(), 4096)",
            "import os; os.truncate(root + '/f', 5)",
            "import os; os.symlink('f', root + '/link')",
            "import os; os.open(root + '/f', os.O_WRONLY | os.O_DSYNC)",
            "import os; os.sync()",
            "import os; f = open(root + '/f'); g = open(root + '/g', 'w'); os.sendfile(g.fileno(), f.fileno(), 0, 3)",
            "import ctypes; ctypes.CDLL(None).syscall(425, 4, ctypes.create_string_buffer(120))",
        ):
            done = self.run_traced(program)
            self.assertEqual(done.stderr, "", program)
            self.assertIn(disk.UNSUPPORTED, [one.kind for one in self.records()], program)
            os.unlink(self.trace)

    def test_errors_reach_the_program_and_leave_no_record(self):
        done = self.run_traced("import os\ntry: os.rename(root + '/no', root + '/f')\nexcept FileNotFoundError: print('not found')")
        self.assertEqual((done.stdout, done.stderr), ("not found\n", ""))
        self.assertEqual(self.records(), [])

    def test_writes_and_syncs_fail_while_told_to(self):
        pace = Pace(os.path.join(os.path.dirname(self.trace), "pace"))
        program = """
            import os
            fd = os.open(root + "/f", os.O_CREAT | os.O_RDWR)
            for one in (lambda: os.write(fd, b"x"), lambda: os.pwrite(fd, b"x", 9), lambda: os.fsync(fd)):
                try: print(one())
                except OSError as error: print(error.errno)
        """
        for what, expected in ((0, "1 1 None"), (pace.WRITES, "28 28 None"), (pace.SYNCS, "1 1 5")):
            with pace.failing(what):
                done = self.run_traced(program, GATEPOST_TRACE_PACE=pace.path)
            self.assertEqual((done.stdout.split(), done.stderr), (expected.split(), ""))

    def test_a_halted_program_does_nothing_until_it_may_go_on(self):
        pace = Pace(os.path.join(os.path.dirname(self.trace), "pace"))
        environment = traced_environment(self.shim, self.root, self.trace, GATEPOST_TRACE_PACE=pace.path)
        program = f"import os\nwhile True: os.close(os.open({self.root!r} + '/f', os.O_CREAT | os.O_TRUNC))"
        child = subprocess.Popen([sys.executable, "-c", program], env=environment)
        try:
            while not os.path.exists(self.trace) or os.path.getsize(self.trace) < 10_000:
                time.sleep(0.01)
            with pace.halted():
                size = os.path.getsize(self.trace)
                time.sleep(0.1)
                self.assertEqual(os.path.getsize(self.trace), size)
                child.kill()
                child.wait()
            self.assertEqual(os.path.getsize(self.trace), size)
        finally:
            child.kill()
            child.wait()

    def test_a_recorder_that_cannot_record_ends_the_program(self):
        done = self.run_traced("import os; os.close(os.open(root + '/f', os.O_CREAT)); print('on')", GATEPOST_TRACE_FILE="/dev/full")
        self.assertEqual(done.returncode, 99)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
