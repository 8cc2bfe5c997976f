"""Which functions of a room must be entry points: a new one is not to be forgotten."""

import glob
import os
import re

# Every function in here that takes octets, text, an address or a machine that remembers something of a peer.
ROOMS = [
    "frame/*.rs",
    "auth/credential.rs",
    "auth/lookup.rs",
    "auth/phc.rs",
    "auth/sasl.rs",
    "auth/verifier.rs",
    "auth/verifier/*.rs",
    "auth/scram/*.rs",
    "auth/throttle/*.rs",
    "policy/*.rs",
    "smtp/command.rs",
    "smtp/session/mod.rs",
]
# Everything that a function of the rooms may print.
PRINTING = [f"{room}/**/*.rs" for room in ("auth", "directory", "frame", "mail", "policy", "smtp", "telemetry", "types")]
# The other side, for tests and for those who try the server.
NOT_OURS = ["auth/scram/client.rs"]
FUNCTION = re.compile(r"^ *pub fn (\w+)([^{]*)\{", re.M)
TAKES = re.compile(r"&mut |\[u8\]|&(?:'\w+ )?str\b|Address\b|Path\b")
# These are compiled into whoever calls them, so they are looked at there.
GENERIC = re.compile(r"\bimpl |^<[^>]*[A-Z]")
TESTS = "#[cfg(test)]\nmod "


def wanted(path, text):
    """The entry points that the text of a file wants, as (module, function)."""
    module = "::".join(path.removesuffix(".rs").removesuffix("/mod").split("/"))
    found = []
    for name, signature in FUNCTION.findall(text.split(TESTS)[0]):
        arguments = signature.split("->")[0]
        if TAKES.search(arguments) and not GENERIC.search(arguments):
            found.append((module, name))
    return found


def left_out(source, entries):
    """What the rooms in a folder want and the entry points do not have."""
    missing = []
    for room in ROOMS:
        files = sorted(glob.glob(os.path.join(source, room)))
        files = [file for file in files if os.path.relpath(file, source) not in NOT_OURS]
        if not files:
            missing.append(f"{room} (no such file: proof/complete.py is out of date)")
        for file in files:
            with open(file, encoding="utf-8") as opened:
                path = os.path.relpath(file, source)
                missing += ["::".join(one) for one in wanted(path, opened.read()) if not has(entries, *one)]
    return missing


def failing_by_itself(source):
    """Files that name `fmt::Error`: a `Display` that makes one makes `format!` panic."""
    found = []
    for room in PRINTING:
        for file in glob.glob(os.path.join(source, room), recursive=True):
            with open(file, encoding="utf-8") as opened:
                if "fmt::Error" in opened.read():
                    found.append(os.path.relpath(file, source))
    return sorted(found)


def has(entries, module, function):
    """Whether a function is an entry point, alone or as a method of a type of its module or of one around it."""
    for entry in entries:
        *place, name = entry.split("::")
        if name == function and ("::".join(place) == module or (module + "::").startswith("::".join(place[:-1]) + "::")):
            return True
    return False
