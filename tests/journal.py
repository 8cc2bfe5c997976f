"""Log lines as they lie in systemd's journal, without systemd running.

`systemd-journal-remote` makes a journal file from text, and fail2ban reads it through Python's `systemd` module.
Both are used from a folder into which Debian's packages systemd-journal-remote, libmicrohttpd12,
libsystemd-shared and python3-systemd were unpacked.
"""

import os
import subprocess
import time

SECONDS_MAX = 60
UNIT = "gatepost.service"
ENTRY = """\
__REALTIME_TIMESTAMP={time}
__MONOTONIC_TIMESTAMP={time}
_BOOT_ID=0123456789abcdef0123456789abcdef
_MACHINE_ID=0123456789abcdef0123456789abcdef
_HOSTNAME=mail
_SYSTEMD_UNIT={unit}
SYSLOG_IDENTIFIER=gatepost
_PID=12
PRIORITY=6
MESSAGE={line}

"""


def environment(unpacked):
    """In which the programs find what was unpacked."""
    lib = os.path.join(unpacked, "usr/lib/x86_64-linux-gnu")
    return os.environ | {
        "LD_LIBRARY_PATH": f"{lib}:{lib}/systemd",
        "PYTHONPATH": os.path.join(unpacked, "usr/lib/python3/dist-packages"),
    }


def write(unpacked, directory, text, foreign):
    """Makes a journal with these lines of gatepost and a foreign line of another unit; its folder."""
    place = os.path.join(directory, "journal")
    os.makedirs(place)
    now = int(time.time() * 1_000_000)
    units = [(UNIT, line) for line in text.splitlines()] + [("other.service", foreign)]
    entries = "".join(ENTRY.format(time=now + number, unit=unit, line=line) for number, (unit, line) in enumerate(units))
    command = [os.path.join(unpacked, "lib/systemd/systemd-journal-remote"), "-o", f"{place}/gatepost.journal", "-"]
    subprocess.run(command, input=entries, text=True, env=environment(unpacked), capture_output=True, timeout=SECONDS_MAX, check=True)
    return place
