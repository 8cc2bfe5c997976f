#!/usr/bin/env python3
"""Which lines the corpus reaches: everything in corpus/ and tests/dialogs/, played by the tests that replay it.

Builds those tests with instrumentation, runs them, and prints for each room how many of its lines were reached.
For smtp/, auth/, mail/ and dialog/ it names every line that nothing reached. Ends with 1 if a room that must be
reached is under its threshold, or if a line is kept out of the count by an attribute.

    python3 tests/coverage/report.py [--target-dir target/coverage]

Needs the nightly toolchain with its component llvm-tools (`rustup component add llvm-tools --toolchain nightly`).
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Rooms whose unreached lines are named.
NAMED = ("smtp", "auth", "mail", "dialog")
# Percent of the lines of a room that must be reached.
WANTED = {"smtp": 90.0, "auth": 90.0}
# Tests that replay files, and nothing of chance: the test, and what the names of its functions have in common.
REPLAYS = (
    ("corpus", "every_"),
    ("dialogs", "every_dialogue_plays_as_it_is_written"),
    ("attacks", "every_attack"),
    ("throttle", "in_the_corpus"),
)


def lines_reached(lcov):
    """The lines of each file that are code, and how often each was reached, from a report in lcov's format."""
    files, lines = {}, None
    for row in lcov.splitlines():
        if row.startswith("SF:"):
            lines = files.setdefault(row[3:], {})
        elif row.startswith("DA:"):
            number, count = row[3:].split(",")[:2]
            lines[int(number)] = lines.get(int(number), 0) + int(count)
    return files


def by_room(files, source):
    """The files of each room under the directory of the source: room → path within it → lines."""
    rooms = {}
    for path, lines in files.items():
        try:
            within = pathlib.PurePath(path).relative_to(source)
        except ValueError:
            continue
        rooms.setdefault(within.parts[0].removesuffix(".rs"), {})[str(within)] = lines
    return rooms


def share(files):
    """How many lines were reached, and of how many."""
    counts = [count for lines in files.values() for count in lines.values()]
    return sum(count > 0 for count in counts), len(counts)


def ranges(numbers):
    """1, 2, 3, 7 as 1-3, 7."""
    out = []
    for number in sorted(numbers):
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def excluded(source):
    """Places where an attribute keeps lines out of the count."""
    places = []
    for path in sorted(pathlib.Path(source).rglob("*.rs")):
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"coverage\s*\(\s*off|no_coverage", text):
                places.append(f"{path}:{number}")
    return places


def judge(rooms, wanted):
    """What is under its threshold, in words."""
    short = []
    for room, percent in wanted.items():
        reached, lines = share(rooms.get(room, {}))
        if lines == 0 or 100.0 * reached / lines < percent:
            short.append(f"{room}/: the corpus reaches {reached} of {lines} lines, and {percent:g} % are wanted")
    return short


def command(*words, env=None):
    """What a command prints; ends the program if it fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words[:6]))} ended with {done.returncode}")
    return done.stdout


def tools():
    """Where llvm-cov and llvm-profdata of the nightly toolchain are."""
    host = re.search(r"^host: (.*)$", command("rustc", "+nightly", "-vV"), re.M)[1]
    place = pathlib.Path(command("rustc", "+nightly", "--print", "sysroot").strip()) / "lib/rustlib" / host / "bin"
    if not (place / "llvm-cov").exists():
        sys.exit("llvm-cov is not there: rustup component add llvm-tools --toolchain nightly")
    return place


def programs(target_dir, env):
    """The instrumented tests, by name."""
    words = ["cargo", "+nightly", "test", "--locked", "--no-run", "--message-format=json", "--target-dir", target_dir]
    for name, _ in REPLAYS:
        words += ["--test", name]
    found = {}
    for row in command(*words, env=env).splitlines():
        message = json.loads(row)
        if message.get("executable") and message["target"]["kind"] == ["test"]:
            found[message["target"]["name"]] = message["executable"]
    return found


def measured(target_dir):
    """Runs what replays, and returns the report in lcov's format."""
    bin_dir = tools()
    with tempfile.TemporaryDirectory() as scratch:
        env = dict(os.environ, RUSTFLAGS="-C instrument-coverage", LLVM_PROFILE_FILE=f"{scratch}/build-%m.profraw")
        found = programs(target_dir, env)
        env["LLVM_PROFILE_FILE"] = f"{scratch}/run-%p-%m.profraw"
        for name, filter in REPLAYS:
            said = command(found[name], filter, env=env)
            if not re.search(r"test result: ok\. [1-9]", said):
                sys.exit(f"no test of {name} has {filter!r} in its name:\n{said}")
        profile = f"{scratch}/all.profdata"
        runs = [str(path) for path in pathlib.Path(scratch).glob("run-*.profraw")]
        command(bin_dir / "llvm-profdata", "merge", "-sparse", *runs, "-o", profile)
        objects = list(found.values())
        words = [objects[0]] + [word for other in objects[1:] for word in ("-object", other)]
        return command(bin_dir / "llvm-cov", "export", "-format=lcov", f"-instr-profile={profile}", *words)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target-dir", default="target/coverage")
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    os.chdir(root)
    rooms = by_room(lines_reached(measured(options.target_dir)), root / "src")
    for room in NAMED:
        for path, lines in sorted(rooms.get(room, {}).items()):
            missed = [number for number, count in lines.items() if not count]
            if missed:
                print(f"not reached: src/{path}: {ranges(missed)}")
    for room, files in sorted(rooms.items()):
        reached, lines = share(files)
        print(f"{room:12} {reached:6} of {lines:6} lines  {100.0 * reached / max(lines, 1):5.1f} %")
    complaints = judge(rooms, WANTED)
    complaints += [f"{place}: an attribute keeps lines out of the count" for place in excluded("src")]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(WANTED) - min(len(complaints), len(WANTED))} passed, {len(complaints)} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
