"""What the proof lets pass, and why. This list only shrinks."""

import re

# Inside the standard library, wherever the compiler found it.
LIBRARY = r"^(?:.*/)?(?:rustc/[0-9a-f]+|rustlib/src/rust)/library/"


class Allowed:
    """Panics of the standard library in some of its files, if `within` is given only in such functions."""

    def __init__(self, files, reason, within=""):
        self.place = re.compile(LIBRARY + files)
        self.within = re.compile(within)
        self.files = files.replace("\\", "")
        self.reason = reason

    def covers(self, place, function):
        return bool(self.place.match(place) and self.within.search(function))


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
        within=r"core::net::parser::",
    ),
]

# Functions that end the process for want of memory: no octets of a peer are too many for the limits and still
# too many for memory.
MEMORY = re.compile(
    r"^alloc::(raw_vec::(handle_error|capacity_overflow)|alloc::handle_alloc_error(::rt_error)?)$"
)

# What the library does while a panic is already under way. Nothing here starts one.
UNWINDING = re.compile(r"^(_Unwind_Resume|core::panicking::panic_(in_cleanup|cannot_unwind))$")

# Functions of the C library, which take and give memory and do nothing else.
OUTSIDE = re.compile(r"^(mem(cpy|move|set|cmp)|bcmp|strlen|malloc|calloc|realloc|free|posix_memalign)$")
