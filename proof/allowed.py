"""What the proof lets pass, and why. This list only shrinks."""

import re

# Inside the standard library, wherever the compiler found it.
LIBRARY = r"^(?:.*/)?(?:rustc/[0-9a-f]+|rustlib/src/rust)/library/"


class Allowed:
    """Panics in some files of the standard library: in functions of this name, from entry points of this name."""

    def __init__(self, files, reason, within="", entry=""):
        self.place = re.compile(LIBRARY + files)
        self.within = re.compile(within)
        self.entry = re.compile(entry)
        self.reason = reason
        self.title = files.replace("\\", "")
        self.title += f", in {within}" if within else ""
        self.title += f", from {entry}" if entry else ""

    def covers(self, place, function, entry):
        return bool(self.place.match(place) and self.within.search(function) and self.entry.search(entry))


PLACES = [
    Allowed(
        r"alloc/src/collections/btree/(node|navigate|map/entry)\.rs",
        "a BTreeMap asks itself whether its tree is in order. What a caller can do wrong (a missing key, a bad"
        " range) panics in other files, which are not allowed.",
    ),
    Allowed(
        r"core/src/iter/(adapters/enumerate|traits/iterator)\.rs",
        "`enumerate` and `position` count what is in memory, which is never as much as their counter holds.",
    ),
    Allowed(
        r"core/src/(str/pattern|slice/memchr)\.rs",
        "looking for a character in a text: places within the text that was just looked at.",
    ),
    Allowed(
        r"core/src/net/parser\.rs",
        "the parser of IP addresses has an array of eight groups, and asks for no more.",
    ),
    Allowed(
        r"core/src/char/methods\.rs",
        "the radix of a digit, which the parser of IP addresses sets itself.",
        within="core::net::parser",
    ),
    Allowed(
        r"alloc/src/collections/btree/map\.rs",
        "a BTreeMap that removes asks itself whether it has a root.",
        within="remove_leaf_kv",
    ),
    Allowed(
        r"alloc/src/fmt\.rs",
        "`format!` asks whether what was printed failed by itself. Nothing of ours does, as check.py sees for itself:"
        " no file of the rooms names `fmt::Error`, so a `Display` fails only where writing fails, and writing to a"
        " text does not. (`to_string` asks the same, but in a file with panics of other kinds: use `format!`.)",
    ),
    Allowed(
        r"core/src/net/(ip_addr|display_buffer)\.rs",
        "an IP address is printed into an array that is as long as the longest.",
    ),
    Allowed(
        r"core/src/slice/sort/(stable/quicksort|shared/smallsort)\.rs",
        "sorting by a key of numbers, whose order is one; where the halves meet is the sort's own count.",
        entry="Throttle::save",
    ),
]

# Functions that end the process for want of memory, which are no matter of what a peer sent but of how much; the
# limits stand against that. A capacity that a peer may name as a number would pass here too.
MEMORY = re.compile(
    r"^alloc::(raw_vec::(handle_error|capacity_overflow)|alloc::handle_alloc_error(::rt_error)?)$"
)

# What the library does while a panic is already under way. Nothing here starts one.
UNWINDING = re.compile(r"^(_Unwind_Resume|core::panicking::panic_(in_cleanup|cannot_unwind))$")

# Functions of the C library, which take and give memory and do nothing else.
OUTSIDE = re.compile(r"^(mem(cpy|move|set|cmp)|bcmp|strlen|malloc|calloc|realloc|free|posix_memalign)$")
