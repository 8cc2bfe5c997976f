"""Reads a relocatable ELF file of 64 bits, little end first: who refers to whom.

In what rustc writes, every function has a section of its own, and so has every constant. So each reference from
one to another is a relocation, whether it is a call, the address of a function in a table, or a name that the
linker is to find elsewhere. Nothing has to be disassembled.
"""

import collections
import re
import struct
import subprocess

SYMBOLS = 2  # SHT_SYMTAB
RELOCATIONS = 4  # SHT_RELA
NO_BITS = 8  # SHT_NOBITS
EXECUTABLE = 4  # SHF_EXECINSTR
FUNCTION = 2  # STT_FUNC
UNDEFINED = 0  # SHN_UNDEF
RESERVED = 0xFF00  # SHN_LORESERVE

# What compilers append to make names unique.
HASH = re.compile(r"\[[0-9a-f]{1,16}\]|::h[0-9a-f]{16}$")

# `target` is the index of a section, or the name of what is not in this file; `inside` is the place in it.
Reference = collections.namedtuple("Reference", "offset target inside")


class NotReadable(Exception):
    """The file is not what this reads."""


class Section:
    """A function, a constant, or several."""

    def __init__(self, name, octets, is_code):
        self.name = name
        self.octets = octets
        self.is_code = is_code
        self.references = []
        self.functions = []


def read(path):
    """All sections; one that has a function is called by its name, as people write it."""
    with open(path, "rb") as file:
        whole = file.read()
    if whole[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", whole, 16)[0] != 1:
        raise NotReadable(f"{path} is no relocatable ELF file of 64 bits, little end first")
    headers = _headers(whole)
    names = struct.unpack_from("<H", whole, 62)[0]
    if names == 0xFFFF:
        names = headers[0][6]

    def content(index):
        _, kind, _, _, offset, size, *_ = headers[index]
        return b"" if kind == NO_BITS else whole[offset : offset + size]

    titles = content(names)
    sections = [
        Section(_text(titles, header[0]), content(index), bool(header[2] & EXECUTABLE))
        for index, header in enumerate(headers)
    ]
    symbols = []
    for index, header in enumerate(headers):
        if header[1] == SYMBOLS:
            symbols = _symbols(content(index), content(header[6]), sections)
    for index, header in enumerate(headers):
        if header[1] == RELOCATIONS:
            for offset, info, addend in struct.iter_unpack("<QQq", content(index)):
                target, value = symbols[info >> 32]
                sections[header[7]].references.append(Reference(offset, target, value + addend))
    _name(sections)
    return sections


def _headers(whole):
    (start,) = struct.unpack_from("<Q", whole, 40)
    count = struct.unpack_from("<H", whole, 60)[0]
    if count == 0:  # More than fit into sixteen bits.
        count = struct.unpack_from("<Q", whole, start + 32)[0]
    return [struct.unpack_from("<IIQQQQIIQQ", whole, start + 64 * index) for index in range(count)]


def _text(table, offset):
    return table[offset : table.index(b"\0", offset)].decode()


def _symbols(table, names, sections):
    """Where each symbol lies: (index of a section, offset), or (its name, 0) if it is not in this file."""
    found = []
    for name, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table):
        if section == UNDEFINED or section >= RESERVED:
            found.append((_text(names, name), 0))
            continue
        found.append((section, value))
        if info & 15 == FUNCTION:
            sections[section].functions.append(_text(names, name))
    return found


def _name(sections):
    mangled = sorted({function for section in sections for function in section.functions})
    readable = subprocess.run(
        ["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = {old: HASH.sub("", new) for old, new in zip(mangled, readable, strict=True)}
    for section in sections:
        section.functions = [names[function] for function in section.functions]
        if section.functions:
            section.name = section.functions[0]
