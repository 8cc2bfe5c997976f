"""Follows every reference from an entry point, and says what it can panic at.

Each panic that has a place in a source is called with a `core::panic::Location`, a constant of its own. So what
an entry point can panic at is the set of those constants that it can reach; inlining does not hide them, and a
place that the compiler could show to be unreachable is not among them. Panics without a place are known by the
name of their function.
"""

import collections
import os
import re
import struct

import allowed

# Nothing behind these is looked at: whoever reaches them panics.
PANIC = re.compile(
    r"^(core::panicking::|std::panicking::|__rustc::(rust_begin_unwind|rust_panic|__rust_start_panic)"
    r"|rust_begin_unwind|std::process::abort|std::alloc::rust_oom|abort$|_Unwind_"
    # What checks call when they fail, told the place by whoever checks.
    r"|core::slice::index::slice_\w*fail|core::str::slice_error_fail|core::(option|result)::(unwrap|expect)_failed"
    r"|core::cell::panic_already|core::slice::copy_from_slice_impl::len_mismatch_fail)"
)
# What stands between a check and the end of it.
BETWEEN = re.compile(r"^core::(panicking|slice|str|option|result|cell)::")
# Panics that need no place.
PLACELESS = re.compile(r"^core::panicking::panic_nounwind|^(std::process::|)abort$|^std::|^__rustc::|^_Unwind_")
LIBRARY = re.compile(r"^(<impl |<)?&?(core|alloc|std)::")

Finding = collections.namedtuple("Finding", "place function path")


class Walk:
    """Everything that an entry point can reach."""

    def __init__(self, sections, start, entry):
        self.sections = sections
        self.entry = entry
        self.came_from = {start: None}
        self.panics = collections.defaultdict(set)  # section: names of panics that it calls
        self.told = collections.defaultdict(set)  # section: places that the compiler moved into such a panic
        self.outside = {}  # name of what is not in the file: section that needs it
        self.used = set()
        todo = collections.deque([start])
        while todo:
            here = todo.popleft()
            for reference in sorted(sections[here].references, key=lambda one: one.offset):
                if self._goes_on(here, reference.target):
                    todo.append(reference.target)

    def _goes_on(self, here, target):
        name = target if isinstance(target, str) else self.sections[target].name
        if allowed.MEMORY.match(name) or allowed.UNWINDING.match(name):
            return False
        if PANIC.match(name):
            self.panics[here].add(name)
            if not isinstance(target, str):
                self.told[here] |= self._moved_into(target)
            return False
        if isinstance(target, str):
            if not allowed.OUTSIDE.match(target):
                self.outside.setdefault(target, here)
            return False
        if target in self.came_from:
            return False
        self.came_from[target] = here
        return True

    def _moved_into(self, panic):
        """Places that the compiler moved into a panic, since every caller gives it the same."""
        found = set()
        seen = {panic}
        todo = [panic]
        while todo:
            section = self.sections[todo.pop()]
            found |= places(self.sections, section)
            for _, target, _ in section.references:
                if isinstance(target, int) and target not in seen and BETWEEN.match(self.sections[target].name):
                    seen.add(target)
                    todo.append(target)
        return found

    def functions(self):
        return [index for index in self.came_from if self.sections[index].is_code]

    def octets(self):
        return sum(len(self.sections[index].octets) for index in self.functions())

    def findings(self):
        """Panics that nothing allows."""
        found = [*self._placed(), *self._placeless(), *self._unexplained()]
        found += [
            Finding("outside of what was looked at", name, self._path(here)) for name, here in self.outside.items()
        ]
        return found

    def _placed(self):
        for index in self.came_from:
            section = self.sections[index]
            for place in sorted(self._places(index)):
                rule = next((rule for rule in allowed.PLACES if rule.covers(place, section.name, self.entry)), None)
                if rule:
                    self.used.add(rule)
                else:
                    yield Finding(readable(place), self._kinds(index), self._path(index))

    def _places(self, index):
        """What a function can panic at."""
        return places(self.sections, self.sections[index]) | self.told[index]

    def _placeless(self):
        for index, names in self.panics.items():
            for name in sorted(names):
                if PLACELESS.match(name):
                    yield Finding("without a place", name, self._path(index))

    def _unexplained(self):
        """Panics of functions that name no place. The library may pass on the place of its caller."""
        raising = set(self.panics)
        while True:
            passing = {
                index
                for index in raising
                if LIBRARY.match(self.sections[index].name) and not self._places(index)
            }
            callers = {
                index
                for index in self.functions()
                if any(reference.target in passing for reference in self.sections[index].references)
            }
            if callers <= raising:
                break
            raising |= callers
        for index in raising - passing:
            if not self._places(index):
                yield Finding("at a place that cannot be read", self._kinds(index), self._path(index))

    def _kinds(self, index):
        """What a function calls that may be the panic: panics, or what passes a place on to one."""
        kinds = set(self.panics.get(index, ()))
        return " or ".join(sorted(kinds)) or "by a function that is told the place"

    def _path(self, index):
        path = []
        while index is not None:
            if self.sections[index].is_code:
                path.append(self.sections[index].name)
            index = self.came_from[index]
        return path[::-1]


def places(sections, section):
    """The places in sources that a function refers to, directly or in a table, as file:line:column."""
    found = set()
    for reference in section.references:
        if isinstance(reference.target, int):
            place = location(sections, sections[reference.target])
            if place:
                found.add(place)
    return found


def location(sections, section):
    """A `core::panic::Location`: where the name of a file lies, its length, a line, a column."""
    if section.is_code or len(section.octets) != 24 or len(section.references) != 1:
        return None
    [name] = section.references
    if name.offset != 0 or not isinstance(name.target, int):
        return None
    length, line, column = struct.unpack_from("<QII", section.octets, 8)
    file = sections[name.target].octets[name.inside : name.inside + length].rstrip(b"\0")
    return f"{file.decode(errors='replace')}:{line}:{column}" if file.endswith(b".rs") else None


def readable(place):
    """A place without the way to it: `src/frame/line.rs:3:1`, `nom-8.0.0/src/traits.rs:3:1`."""
    path, line, column = place.rsplit(":", 2)
    path = re.sub(r"^.*/registry/src/[^/]*/", "", os.path.normpath(path))
    path = re.sub(r"^.*/library/", "library/", path)
    path = re.sub(r"^(\.\./)+", "", path)
    return f"{path}:{line}:{column}"
