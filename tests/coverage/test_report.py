"""The report must find what is missing, or it proves nothing."""

import pathlib
import tempfile
import unittest

import report

LCOV = """SF:/p/src/smtp/a.rs
DA:1,1
DA:2,0
DA:3,0
DA:7,0
end_of_record
SF:/p/src/smtp/a.rs
DA:2,5
end_of_record
SF:/p/src/limits.rs
DA:1,1
end_of_record
SF:/elsewhere/src/smtp/b.rs
DA:1,0
end_of_record
"""


class Report(unittest.TestCase):
    def setUp(self):
        self.rooms = report.by_room(report.lines_reached(LCOV), "/p/src")

    def test_a_line_reached_in_one_of_several_programs_is_reached(self):
        self.assertEqual(self.rooms["smtp"], {"smtp/a.rs": {1: 1, 2: 5, 3: 0, 7: 0}})
        self.assertEqual(self.rooms["limits"], {"limits.rs": {1: 1}})

    def test_a_room_under_its_threshold_is_told(self):
        self.assertEqual(report.judge(self.rooms, {"smtp": 50.0}), [])
        self.assertEqual(len(report.judge(self.rooms, {"smtp": 50.1})), 1)

    def test_a_room_that_is_not_there_is_told(self):
        self.assertEqual(len(report.judge(self.rooms, {"auth": 1.0})), 1)

    def test_lines_in_a_row_are_a_range(self):
        self.assertEqual(report.ranges([7, 3, 1, 2]), "1-3, 7")

    def test_an_attribute_that_hides_lines_is_found(self):
        with tempfile.TemporaryDirectory() as place:
            pathlib.Path(place, "a.rs").write_text("fn a() {}\n#[coverage(off)]\nfn b() {}\n")
            self.assertEqual(report.excluded(place), [f"{place}/a.rs:2"])


if __name__ == "__main__":
    unittest.main()
