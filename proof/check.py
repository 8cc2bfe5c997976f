#!/usr/bin/env python3
"""Proves that what cuts, reads and judges octets of peers has no way to a panic.

    proof/check.py            builds the rooms and follows every reference from every entry point
    proof/check.py --planted  does so with planted panics, and fails unless each of them is found

The rooms are those of `src/`, compiled a second time as the program in `src/main.rs` of this folder: optimised as
one whole, with overflow checked, and with seams in place of the crates that are not under proof. What is looked at
is the machine code, not the source, so a check that the compiler could show never to fail is no panic.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

import allowed
import complete
import elf
import plants
import walk

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
# An entry point with less code than this does nothing but return: it was optimised away.
ENTRY_OCTETS_MIN = 4
SHOWN_MAX = 40


class Trouble(Exception):
    """The proof could not be made."""


def build(root, target):
    """Builds the program of a tree; returns its object file and the entry points it says it has."""
    built = os.path.join(target, os.path.basename(root) + ".o")
    command = ["cargo", "rustc", "--release", "--locked", "--quiet", "--manifest-path"]
    command += [os.path.join(root, "proof", "Cargo.toml"), "--target-dir", target, "--"]
    command += [f"--emit=obj={built}", "-Csymbol-mangling-version=v0"]
    if subprocess.run(command, check=False).returncode != 0:
        raise Trouble("the rooms do not compile by themselves; if a file or crate is new, proof/src/main.rs wants it")
    if not os.path.exists(built):
        raise Trouble(f"rustc wrote no {built}; remove {target} and try again")
    program = os.path.join(target, "release", "proof")
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    return built, [plain(name.replace("crate::", "proof::", 1)) for name in said]


def plain(name):
    """A name without type parameters; a method is called `<crate::Type<u64>>::method` by some."""
    method = re.match(r"^<(.*)>::(\w+)$", name)
    if method and " as " not in name:
        name = "::".join(method.groups())
    return re.sub(r"(::)?<.*>", "", name)


def versions(path):
    """The crates of a lock file that come from a registry."""
    with open(path, encoding="utf-8") as file:
        packages = file.read().split("[[package]]")[1:]
    found = set()
    for package in packages:
        if "source = " in package:
            found.add(tuple(re.search(rf'^{key} = "(.*)"$', package, re.M)[1] for key in ("name", "version")))
    return found


def same_crates(root):
    """What is proved of another version of a crate is not proved of the server."""
    others = versions(os.path.join(root, "proof", "Cargo.lock")) - versions(os.path.join(ROOT, "Cargo.lock"))
    if others:
        listed = ", ".join(" ".join(one) for one in sorted(others))
        raise Trouble(
            f"proof/Cargo.lock has other crates than Cargo.lock: {listed}; copy Cargo.lock to proof/ and run"
            " `cargo metadata --manifest-path proof/Cargo.toml` once, which takes out what is too much"
        )


def walks(root, target):
    """A walk from each entry point."""
    built, said = build(root, target)
    sections = elf.read(built)
    starts = {}
    for index, section in enumerate(sections):
        for function in section.functions:
            starts[plain(function)] = index
    left_out = complete.left_out(os.path.join(root, "src"), [name.removeprefix("proof::") for name in said])
    if left_out:
        raise Trouble(f"proof/src/entries.rs does not have {', '.join(left_out)}")
    failing = complete.failing_by_itself(os.path.join(root, "src"))
    if failing:
        raise Trouble(f"what a `Display` of {', '.join(failing)} does with `fmt::Error` may make `format!` panic")
    missing = [name for name in said if name not in starts]
    if missing or not said:
        raise Trouble(f"entry points that are not in the object file: {', '.join(missing) or 'all'}")
    found = {name.removeprefix("proof::"): walk.Walk(sections, starts[name], name) for name in said}
    trivial = [name for name, one in found.items() if one.octets() < ENTRY_OCTETS_MIN]
    if trivial:
        raise Trouble(f"entry points without code, so nothing was looked at: {', '.join(trivial)}")
    return found


def prove(target):
    """Prints what each entry point reaches; returns how many passed and how many did not."""
    same_crates(ROOT)
    failed = 0
    used = set()
    found = walks(ROOT, target)
    for name, one in found.items():
        findings = one.findings()
        used |= one.used
        failed += bool(findings)
        verdict = "CAN PANIC" if findings else "cannot panic"
        print(f"{name}: {verdict} ({len(one.functions())} functions, {one.octets()} octets of code)")
        for finding in findings[:SHOWN_MAX]:
            print(f"    {finding.place}: {finding.function}")
            print("        by way of " + " > ".join(finding.path))
    print("\nAllowed, in the standard library alone:")
    for rule in allowed.PLACES:
        print(f"    {rule.title}: {rule.reason}" + ("" if rule in used else " NOT NEEDED: take it out."))
    print("    no memory left (alloc::raw_vec::handle_error, alloc::alloc::handle_alloc_error).")
    print("Not looked into, any result taken for possible: " + ", ".join(sorted(os.listdir(f"{HERE}/seams"))) + ".")
    failed += len(set(allowed.PLACES) - used)
    return len(found) - min(failed, len(found)), failed


def planted(target):
    """Plants panics into a copy of the sources; returns how many were found and how many were not."""
    copy = os.path.join(target, "planted")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(os.path.join(ROOT, "src"), os.path.join(copy, "src"))
    shutil.copytree(HERE, os.path.join(copy, "proof"), ignore=shutil.ignore_patterns("target", "__pycache__"))
    for plant in plants.PLANTS:
        path = os.path.join(copy, "src", plant.file)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text.count(plant.old) != 1:
            raise Trouble(f"{plant.file} has changed: proof/plants.py wants to replace, once, {plant.old!r}")
        with open(path, "w", encoding="utf-8") as file:
            # Lints are not what is tried here.
            file.write(text.replace(plant.old, plant.new))
    found = walks(copy, target)
    missed = 0
    for plant in plants.PLANTS:
        places = [finding.place for finding in found[plant.entry].findings()]
        hit = next((place for place in places if place.startswith(plant.place)), None)
        missed += hit is None
        print(f"planted {plant.kind}: " + (f"found at {hit}" if hit else f"NOT FOUND from {plant.entry}: {places}"))
    return len(plants.PLANTS) - missed, missed


def main():
    parser = argparse.ArgumentParser(description="Proves that the rooms of proof/src/main.rs cannot panic.")
    parser.add_argument("--planted", action="store_true", help="try it on planted panics")
    arguments = parser.parse_args()
    target = os.path.join(ROOT, "target", "proof")
    try:
        if arguments.planted:
            passed, failed = planted(target)
        else:
            passed, failed = prove(target)
    except (Trouble, elf.NotReadable) as trouble:
        print(f"no proof: {trouble}", file=sys.stderr)
        return 1
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
