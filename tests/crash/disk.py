"""What a disk may hold when the power goes: a model of files and directories fed by the trace of shim.c.

The rules. They are those of a strict reading of POSIX, mended where every journalling file system of Linux
promises more, because a server that relies on such a promise is right to.

- A file's content and size are safe as of the beginning of its last finished fsync or fdatasync. Of what was
  written since, each page of 4 KiB may have reached the disk or not, in any version it went through, whatever
  became of other pages. The size is the safe one or any it had since. Only cutting a file shorter is ordered
  with what follows it: its old octets do not come back behind a later size.
- Names (making, renaming, removing, linking) are safe after an fsync of the directory they are in; of the rest
  the first so many happened, in order, for a random number.
- `creation="file"`: an fsync of a file or directory also makes the name safe under which it was made (ext4, XFS,
  btrfs and F2FS do that); never a later rename. `creation="directory"`: it does not.
- Modes, owners, times and sockets are not modelled.
"""

import collections
import os
import random
import shutil
import stat
import struct

PAGE = 4096
MAGIC = 0x70756367
HEAD = struct.Struct("<IIQQQQqII")

OPEN, WRITE, SIZE, ALLOCATE, RENAME, UNLINK, MAKE_DIR, LINK, SYNC_BEGIN, SYNC_END, UNSUPPORTED, NOTE = map(
    ord, "owtarumlbe?n"
)
ABOUT_NAMES = (OPEN, RENAME, UNLINK, MAKE_DIR, LINK)

Record = collections.namedtuple("Record", "kind device inode at value thread payload")


class Unmodelled(Exception):
    """The trace has something this model does not follow: what it says would mean nothing."""


def note(descriptor, payload):
    """Appends what the harness wants to remember to a trace, in order with the traced program's records."""
    record = HEAD.pack(MAGIC, NOTE, len(payload), 0, 0, 0, 0, os.getpid(), 0) + payload
    if os.write(descriptor, record) != len(record):
        raise OSError("the trace cannot be written")


def read_trace(path):
    """All records, in order. A last one that was cut short (the program was killed in it) never happened."""
    records = []
    with open(path, "rb") as trace:
        while True:
            head = trace.read(HEAD.size)
            if len(head) < HEAD.size:
                return records
            magic, kind, octets, device, inode, at, value, _process, thread = HEAD.unpack(head)
            if magic != MAGIC:
                raise Unmodelled(f"{path}: no record where one should be, at {trace.tell() - HEAD.size}")
            payload = trace.read(octets)
            if len(payload) < octets:
                return records
            records.append(Record(kind, device, inode, at, value, thread, payload))


class File:
    """Content as it is safe, and the changes since."""

    def __init__(self, data=b"", size=None):
        self.data = bytearray(data)  # may be shorter than size: zeros follow
        self.size = len(self.data) if size is None else size
        self.pending = []  # (kind, at, octets or None, size after it)
        self.now = self.size
        self.begun = {}  # thread -> how many of the pending changes its sync covers

    def change(self, kind, at, octets):
        if kind == WRITE:
            self.now = max(self.now, at + len(octets))
        elif kind == SIZE:
            self.now = at
        else:
            self.now = max(self.now, at)
        self.pending.append((kind, at, octets, self.now))

    def cuts(self, index):
        """Whether this change makes the file shorter."""
        kind, at, _octets, _size = self.pending[index]
        before = self.pending[index - 1][3] if index else self.size
        return kind == SIZE and at < before

    def settle(self, count):
        """The first so many changes are safe."""
        for kind, at, octets, size in self.pending[:count]:
            apply(self.data, kind, at, octets)
            self.size = size
        del self.pending[:count]
        self.begun = {thread: max(0, covered - count) for thread, covered in self.begun.items()}

    def image(self, chance=None):
        """Content and size after a power cut, or as seen by programs if there is no chance."""
        data = bytearray(self.data)
        if chance is None:
            for kind, at, octets, _size in self.pending:
                apply(data, kind, at, octets)
            return data, self.now
        if not self.pending:
            return data, self.size
        count = len(self.pending)
        last = chance.choice((0, count, chance.randint(0, count)))
        size = self.pending[last - 1][3] if last else self.size
        shortened = [index for index in range(count) if self.cuts(index)]
        # What was written after a shortening that did not happen went to places that were free again.
        end = min((index for index in shortened if index >= last), default=count)
        versions = self.choose_pages(end, chance)
        for index in range(end):
            kind, at, octets, _size = self.pending[index]
            if kind == WRITE:
                for page, begin, piece in pages_of(at, octets):
                    if versions[page] > 0:
                        versions[page] -= 1
                        apply(data, WRITE, begin, piece)
            elif index in shortened:
                apply(data, SIZE, at, None)
        del data[size:]
        return data, size

    def choose_pages(self, end, chance):
        """How many of the writes to each page reached the disk."""
        writes = collections.Counter()
        for kind, at, octets, _size in self.pending[:end]:
            if kind == WRITE:
                for page in range(at // PAGE, (at + len(octets) - 1) // PAGE + 1):
                    writes[page] += 1
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        chosen = {}
        for page, count in writes.items():
            if chance.random() < share:
                chosen[page] = count if share == 1.0 else chance.randint(1, count)
            else:
                chosen[page] = 0
        return chosen


def apply(data, kind, at, octets):
    """Does one change to octets; a size is kept beside them, so growing does nothing here."""
    if kind == WRITE:
        if at > len(data):
            data.extend(bytes(at - len(data)))
        data[at : at + len(octets)] = octets
    elif kind == SIZE:
        del data[at:]


def pages_of(at, octets):
    """The pieces of a write, page by page."""
    taken = 0
    while taken < len(octets):
        begin = at + taken
        room = min(PAGE - begin % PAGE, len(octets) - taken)
        yield begin // PAGE, begin, octets[taken : taken + room]
        taken += room


class Directory:
    """Names as programs see them, and as they are safe."""

    def __init__(self):
        self.seen = {}
        self.safe = {}
        self.begun = {}  # thread -> serial numbers its sync covers


class Disk:
    """Everything below one directory."""

    def __init__(self, root, creation="file", empty=False):
        """What is in `root` now was there before the trace, and is safe; or nothing was, if `empty`."""
        if creation not in ("file", "directory"):
            raise ValueError(creation)
        self.root_path = root
        self.creation = creation
        self.root = Directory()
        self.by_inode = {}
        self.pending = []  # changes of names: (serial, [(directory, name, object or None)], what it makes)
        self.serial = 0
        if empty:
            self.by_inode[os.stat(root).st_ino] = self.root
        else:
            self.load(root, self.root)

    def load(self, path, directory):
        """What is there before the trace begins is safe."""
        self.by_inode[os.stat(path).st_ino] = directory
        for entry in os.scandir(path):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                child = Directory()
                self.load(entry.path, child)
            elif stat.S_ISREG(status.st_mode):
                with open(entry.path, "rb") as file:
                    child = File(file.read().rstrip(b"\0"), status.st_size)
                self.by_inode[status.st_ino] = child
            else:
                continue
            directory.seen[entry.name] = directory.safe[entry.name] = child

    def place(self, path):
        """The directory and the name of a path; None for the root itself or a path outside."""
        path = os.path.normpath(path)
        if not path.startswith(self.root_path + os.sep):
            return None
        *parents, name = path[len(self.root_path) + 1 :].split(os.sep)
        directory = self.root
        for parent in parents:
            directory = directory.seen.get(parent)
            if not isinstance(directory, Directory):
                raise Unmodelled(f"{path}: the trace never made {parent}")
        return directory, name

    def rename_or_set(self, effects, makes=None):
        for directory, name, thing in effects:
            if thing is None:
                directory.seen.pop(name, None)
            else:
                directory.seen[name] = thing
        self.serial += 1
        self.pending.append((self.serial, effects, makes))

    def feed(self, record):
        """Follows one record."""
        kind = record.kind
        if kind == NOTE:
            return
        if kind == UNSUPPORTED:
            what = record.payload.decode(errors="replace")
            raise Unmodelled(f"system call {record.value} ({what}) is not followed")
        if kind == OPEN:
            self.opened(record)
        elif kind == MAKE_DIR:
            place = self.place(record.payload.decode())
            if place is None:
                raise Unmodelled("the traced directory itself was made anew")
            made = self.by_inode[record.inode] = Directory()
            self.rename_or_set([(*place, made)], makes=made)
        elif kind in (RENAME, LINK):
            self.renamed(kind, *(path.decode() for path in record.payload.split(b"\0")))
        elif kind == UNLINK:
            place = self.place(record.payload.decode())
            # A name that is not known is a socket's; `same_as` would find any other.
            if place is not None and place[1] in place[0].seen:
                self.rename_or_set([(*place, None)])
        else:
            thing = self.by_inode.get(record.inode)
            if thing is not None:  # else a file elsewhere on the same device
                self.changed(thing, record)

    def opened(self, record):
        if record.value & (os.O_TMPFILE & ~os.O_DIRECTORY):
            self.by_inode[record.inode] = File()
            return
        place = self.place(record.payload.decode())
        if place is None:
            raise Unmodelled(record.payload.decode(errors="replace"))
        directory, name = place
        file = directory.seen.get(name)
        if file is None:
            file = self.by_inode[record.inode] = File()
            self.rename_or_set([(directory, name, file)], makes=file)
        elif self.by_inode.get(record.inode) is not file:
            raise Unmodelled(f"{record.payload.decode()} is not the file the trace knows by that name")
        elif record.value & os.O_TRUNC and file.now > 0:
            file.change(SIZE, 0, None)

    def renamed(self, kind, one, two):
        source, target = self.place(one), self.place(two)
        if source is None or target is None:
            raise Unmodelled(f"{one} became {two}: one of them is elsewhere")
        thing = source[0].seen.get(source[1])
        if thing is None:
            raise Unmodelled(f"{one} was renamed, and the trace never made it")
        if kind == LINK:
            self.rename_or_set([(*target, thing)])
        elif source != target and target[0].seen.get(target[1]) is not thing:
            self.rename_or_set([(*source, None), (*target, thing)])

    def changed(self, thing, record):
        kind = record.kind
        if kind == SYNC_BEGIN:
            if isinstance(thing, File):
                thing.begun[record.thread] = len(thing.pending)
            else:
                mine = {
                    serial
                    for serial, effects, _makes in self.pending
                    if any(directory is thing for directory, _name, _thing in effects)
                }
                thing.begun[record.thread] = mine
        elif kind == SYNC_END:
            covered = thing.begun.pop(record.thread, None)
            if covered is None or record.value != 0:
                return
            names = set()
            if isinstance(thing, File):
                thing.settle(covered)
            else:
                names = covered
            if self.creation == "file":
                names = names | {serial for serial, _effects, makes in self.pending if makes is thing}
            self.settle_names(names)
        elif isinstance(thing, File):
            if kind == WRITE:
                thing.change(WRITE, record.at, record.payload)
            else:
                thing.change(kind, record.value, None)
        else:
            raise Unmodelled("a directory was written to")

    def settle_names(self, chosen):
        """These changes of names are safe, and what older ones did to the same names is history."""
        overtaken = set()
        kept = []
        for serial, effects, makes in reversed(self.pending):
            if serial in chosen:
                overtaken.update((id(directory), name) for directory, name, _thing in effects)
            else:
                left = [effect for effect in effects if (id(effect[0]), effect[1]) not in overtaken]
                if left:
                    kept.append((serial, left, makes))
        for serial, effects, _makes in self.pending:
            if serial in chosen:
                set_names(effects)
        self.pending = kept[::-1]

    def write_cut(self, target, chance):
        """Makes what the disk may hold now, below a new directory."""
        count = len(self.pending)
        happened = chance.choice((0, count, chance.randint(0, count)))
        changed = {}
        for _serial, effects, _makes in self.pending[:happened]:
            for directory, name, thing in effects:
                changed.setdefault(id(directory), dict(directory.safe))
                if thing is None:
                    changed[id(directory)].pop(name, None)
                else:
                    changed[id(directory)][name] = thing
        names = lambda directory: changed.get(id(directory), directory.safe)
        write_tree(target, self.root, names, lambda file: file.image(chance), {})

    def same_as(self, path):
        """Compares what programs should see with a real directory; returns the differences, as sentences.

        This is what shows that the trace missed nothing.
        """
        return list(differences(self.root, path))


def set_names(effects):
    for directory, name, thing in effects:
        if thing is None:
            directory.safe.pop(name, None)
        else:
            directory.safe[name] = thing


def write_tree(target, directory, names, image, written):
    os.mkdir(target, 0o700)
    for name, thing in sorted(names(directory).items()):
        path = os.path.join(target, name)
        if isinstance(thing, Directory):
            # A directory has one place; one that was being moved may be found at both.
            if id(thing) not in written:
                written[id(thing)] = path
                write_tree(path, thing, names, image, written)
        elif id(thing) in written:
            os.link(written[id(thing)], path)
        else:
            written[id(thing)] = path
            data, size = image(thing)
            with open(path, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(data)
                file.truncate(size)


def differences(directory, path):
    there = {
        entry.name: entry
        for entry in os.scandir(path)
        if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
    }
    for name in sorted(there.keys() - directory.seen.keys()):
        yield f"{path}/{name} is there, and the trace never made it"
    for name, thing in sorted(directory.seen.items()):
        full = os.path.join(path, name)
        if name not in there or there[name].is_dir() != isinstance(thing, Directory):
            yield f"{full} should be there after the trace"
        elif isinstance(thing, Directory):
            yield from differences(thing, full)
        else:
            data, size = thing.image()
            with open(full, "rb") as file:
                content = file.read()
            if size != len(content):
                yield f"{full} has {len(content)} octets, after the trace {size}"
            elif content.rstrip(b"\0") != bytes(data[:size]).rstrip(b"\0"):
                yield f"{full} has other octets than the trace wrote"


def choose_cuts(records, count, chance, first=0):
    """Where to cut: after how many records. Most where something was just promised or is about to be."""
    near = {"sync": [], "names": [], "note": []}
    for index in range(first, len(records)):
        kind = records[index].kind
        if kind in (SYNC_BEGIN, SYNC_END):
            near["sync"].append(index)
        elif kind in ABOUT_NAMES:
            near["names"].append(index)
        elif kind == NOTE:
            near["note"].append(index)
    cuts = []
    for _ in range(count):
        pool = near[chance.choice(("sync", "names", "note"))]
        if pool and chance.random() < 0.8:
            cut = chance.choice(pool) + chance.choice((0, 1, 1, 2))
        else:
            cut = chance.randint(first, len(records))
        cuts.append(min(max(cut, first), len(records)))
    return sorted(cuts)


def fast_place():
    """Where many directories are made quickly; None for the usual place."""
    memory = "/dev/shm"
    roomy = os.path.isdir(memory) and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
    return memory if roomy else None


def seeded(*parts):
    """A random source that the parts alone decide."""
    return random.Random(repr(parts))
