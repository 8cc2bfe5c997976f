"""Tests of the walk, on object files made by hand."""

import struct
import unittest

import complete
import elf
import walk

PANIC = "core::panicking::panic_bounds_check"
OURS = "/any/registry/src/index-0/some-1.0.0/src/lib.rs"
TREE = "/rustc/0123abcd/library/alloc/src/collections/btree/node.rs"


class Object:
    """Sections, as `elf.read` gives them."""

    def __init__(self):
        self.sections = []

    def add(self, name, octets=b"", is_code=False, to=()):
        section = elf.Section(name, octets, is_code)
        section.references = [elf.Reference(8 * at, target, 0) for at, target in enumerate(to)]
        self.sections.append(section)
        return len(self.sections) - 1

    def function(self, name, *to):
        return self.add(name, bytes(32), True, to)

    def place(self, file, line=7):
        text = self.add(".rodata", file.encode() + b"\0")
        return self.add(".data.rel.ro", bytes(8) + struct.pack("<QII", len(file), line, 1), False, [text])

    def findings(self, start, entry="entry"):
        return walk.Walk(self.sections, start, entry).findings()

    def places(self, start):
        return [finding.place for finding in self.findings(start)]


class WalkTest(unittest.TestCase):
    def setUp(self):
        self.object = Object()

    def test_a_function_that_calls_nothing_cannot_panic(self):
        self.assertEqual(self.object.findings(self.object.function("entry", "memcpy")), [])

    def test_a_panic_is_found_through_calls_and_tables_with_its_place_and_the_way_to_it(self):
        panic = self.object.function(PANIC)
        deep = self.object.function("deep", self.object.place(OURS), panic)
        table = self.object.add("table", bytes(8), False, [deep])
        entry = self.object.function("entry", table)
        self.assertEqual(
            self.object.findings(entry), [walk.Finding("some-1.0.0/src/lib.rs:7:1", PANIC, ["entry", "deep"])]
        )

    def test_a_place_is_found_where_another_function_passes_it_on(self):
        passes_on = self.object.function("core::slice::check", self.object.function(PANIC))
        entry = self.object.function("entry", self.object.place(OURS), passes_on)
        self.assertEqual(self.object.places(entry), ["some-1.0.0/src/lib.rs:7:1"])

    def test_a_place_that_the_compiler_moved_into_the_panic_is_found(self):
        panic = self.object.function(PANIC, self.object.place(OURS))
        self.assertEqual(self.object.places(self.object.function("entry", panic)), ["some-1.0.0/src/lib.rs:7:1"])

    def test_a_place_that_the_compiler_moved_deeper_into_the_panic_is_found(self):
        deep = self.object.function("core::slice::index::check::do_panic", self.object.place(OURS))
        panic = self.object.function("core::slice::index::slice_index_fail", deep)
        library = self.object.function("core::str::find", panic)
        allowed = self.object.place(TREE)
        entry = self.object.function("entry", library, allowed)
        self.assertEqual(self.object.places(entry), ["some-1.0.0/src/lib.rs:7:1"])

    def test_a_panic_whose_place_cannot_be_read_is_reported(self):
        entry = self.object.function("entry", self.object.function(PANIC))
        self.assertEqual(self.object.places(entry), ["at a place that cannot be read"])
        passes_on = self.object.function("core::slice::check", self.object.function(PANIC))
        entry = self.object.function("entry", passes_on)
        self.assertEqual(self.object.places(entry), ["at a place that cannot be read"])

    def test_an_abort_and_a_panic_without_a_place_are_reported(self):
        entry = self.object.function("entry", "abort", self.object.place(TREE))
        self.assertEqual(self.object.places(entry), ["without a place"])
        panic = self.object.function("core::panicking::panic_nounwind")
        self.assertIn("without a place", self.object.places(self.object.function("entry", panic)))

    def test_what_is_allowed_is_allowed_in_the_standard_library_alone(self):
        panic = self.object.function(PANIC)
        self.assertEqual(self.object.places(self.object.function("entry", self.object.place(TREE), panic)), [])
        own = self.object.place("src/library/alloc/src/collections/btree/node.rs")
        self.assertNotEqual(self.object.places(self.object.function("entry", own, panic)), [])

    def test_a_rule_for_one_entry_point_is_none_for_another(self):
        place = self.object.place("/rustc/0123abcd/library/core/src/slice/sort/stable/quicksort.rs")
        start = self.object.function("entry", place, self.object.function(PANIC))
        self.assertEqual(self.object.findings(start, "proof::auth::throttle::Throttle::save"), [])
        self.assertNotEqual(self.object.findings(start, "proof::auth::lookup::look_up"), [])

    def test_a_rule_for_one_function_is_none_for_another(self):
        place = self.object.place("/rustc/0123abcd/library/core/src/char/methods.rs")
        panic = self.object.function(PANIC)
        parser = self.object.function("core::net::parser::Parser::read_number", place, panic)
        self.assertEqual(self.object.places(self.object.function("entry", parser)), [])
        self.assertNotEqual(self.object.places(self.object.function("entry", place, panic)), [])

    def test_want_of_memory_is_no_panic(self):
        memory = self.object.function("alloc::raw_vec::handle_error", self.object.function(PANIC))
        self.assertEqual(self.object.places(self.object.function("entry", memory)), [])

    def test_a_name_from_elsewhere_that_nobody_knows_is_reported(self):
        entry = self.object.function("entry", "longjmp")
        self.assertEqual(self.object.places(entry), ["outside of what was looked at"])


class CompleteTest(unittest.TestCase):
    def test_who_takes_octets_text_or_a_machine_must_be_an_entry_point_and_nobody_else(self):
        text = """
            pub fn new(left: u64) -> Self {}
            pub fn cut<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {}
            pub fn parse(text: &str) -> Self {}
            pub(super) fn inner(text: &str) {}
            pub fn each(&mut self, wanted: impl Fn()) {}
            pub fn far(
                now: Now,
                login: &[u8],
            ) -> bool {}
            pub fn name(self) -> &'static str {}
            #[cfg(test)]\nmod tests { pub fn t(x: &str) {} }
        """.replace("            #", "#")
        names = [("frame::x", name) for name in ("cut", "parse", "far")]
        self.assertEqual(complete.wanted("frame/x.rs", text), names)
        self.assertEqual(complete.wanted("frame/x/mod.rs", text), names)

    def test_an_entry_point_may_be_a_function_a_method_or_a_method_of_a_type_further_out(self):
        for entry in ("auth::table::add", "auth::table::Table::add", "auth::Throttle::add"):
            self.assertTrue(complete.has([entry], "auth::table", "add"), entry)
        for entry in ("auth::table::added", "auth::queue::Queue::add", "add"):
            self.assertFalse(complete.has([entry], "auth::table", "add"), entry)


if __name__ == "__main__":
    unittest.main()
