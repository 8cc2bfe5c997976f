#!/usr/bin/env python3
"""What a ban tool makes of the lines of the built binary: real hostile traffic, then fail2ban's own reader.

    python3 tests/bans.py target/release/gatepost

Needs fail2ban-regex (Debian's package fail2ban). Every source is an address of the loopback.
"""

import base64
import datetime
import os
import re
import smtplib
import socket
import subprocess
import sys
import tempfile
from collections import Counter

import smoke
from smoke import PATIENCE_SECONDS, Server, check, free_port_base

FILTER = os.path.join(os.path.dirname(__file__), "..", "packaging", "fail2ban", "filter.d", "gatepost.conf")
GUESSES = 3
PASSWORD = "planted-hexagon-17"
# What a peer writes to be taken for somebody else. 192.0.2.66 must never be accused.
FORGED = 'x" from=192.0.2.66 listener=submissions mechanism=PLAIN login="y" reason=wrong-password reply=535'
FORGED_LINE = "x\r\nevent=auth-failed session=00 from=192.0.2.66 listener=submissions mechanism=PLAIN login=\"y\" reply=535"


class StrictServer(Server):
    """A localserve that lets an address guess three times an hour, its log as fail2ban gets it."""

    def __init__(self, program, directory, base):
        super().__init__(program, directory, base, settings=[f"throttle.guesses-per-host={GUESSES}"])

    def tls_from(self, source):
        return smtplib.SMTP_SSL("127.0.0.1", self.base + 465, timeout=PATIENCE_SECONDS, context=self.tls(), source_address=(source, 0))

    def smtp_from(self, source):
        return smtplib.SMTP("127.0.0.1", self.base + 25, timeout=PATIENCE_SECONDS, source_address=(source, 0))


def guess(server, source, login, password=PASSWORD):
    """One AUTH PLAIN in a session of its own; the code."""
    with server.tls_from(source) as client:
        client.ehlo("client.example")
        message = b"\0" + login.encode() + b"\0" + password.encode()
        return client.docmd("AUTH", "PLAIN " + base64.b64encode(message).decode())[0]


def hostile(server):
    """Returns which address must be matched how often in normal mode, and what aggressive mode adds."""
    normal, more = Counter(), Counter()
    for login in ("info@localhost", FORGED, FORGED_LINE):
        check("a guess is 535", guess(server, "127.0.1.1", login) == 535)
        normal["127.0.1.1"] += 1
    for number in range(GUESSES):
        check("another guess is 535", guess(server, "127.0.2.1", f"user{number}@localhost", f"{PASSWORD}-{number}") == 535)
        normal["127.0.2.1"] += 1
    # They wait; then two are let in for their application passwords, and the third is turned away.
    waiting = [socket.create_connection(("127.0.0.1", server.base + 587), PATIENCE_SECONDS, ("127.0.2.1", 0)) for _ in range(3)]
    said = sorted(one.recv(512)[:3] for one in waiting)
    check("who guessed too often is refused at connect, but for two at a time", said == [b"220", b"220", b"421"], said)
    for one in waiting:
        one.close()
    normal["127.0.2.1"] += 1
    with socket.create_connection(("127.0.0.1", server.base + 25), PATIENCE_SECONDS, ("127.0.3.1", 0)) as web:
        web.sendall(b"GET / HTTP/1.1\r\nHost: x from=192.0.2.66\r\n\r\n")
        while web.recv(4096):
            pass
    normal["127.0.3.1"] += 1
    with server.smtp_from("127.0.4.1") as prober:
        prober.ehlo('x" from=192.0.2.66')
        prober.ehlo("prober.example")
        prober.docmd("MAIL", "FROM:<>")
        for name in ("nobody", '"a\\" from=192.0.2.66 reply=550"'):
            check("a recipient that is not there is 550", prober.docmd("RCPT", f"TO:<{name}@localhost>")[0] == 550)
            more["127.0.4.1"] += 1
    return normal, more


def harmless(server):
    """What no ban tool may see."""
    with server.tls_from("127.0.9.1") as owner:
        owner.login("me@localhost", server.password())
        owner.sendmail("me@localhost", ["me@localhost"], b"Subject: x from=192.0.2.66\r\n\r\nreply=535\r\n")
    with server.smtp_from("127.0.9.2") as stranger:
        stranger.sendmail("you@example.net", ["me@localhost"], b"Subject: y\r\n\r\nhello\r\n")


def matched(log, mode):
    """How often fail2ban matches which address."""
    command = ["fail2ban-regex", "-o", "ip", log, f"{FILTER}[mode={mode}]"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    found = re.findall(r"^[0-9a-f.:]+$", result.stdout, re.M)
    return Counter(found), result


def in_a_syslog_file(directory, text):
    """The same lines as a syslog daemon keeps them, behind a line without a date as some programs leave one: it
    must not make the filter take every line for one without."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    path = os.path.join(directory, "syslog")
    with open(path, "w", encoding="utf-8") as out:
        out.write("the second half of what another program said\n")
        out.writelines(f"{now} mail gatepost[12]: {line}\n" for line in text.splitlines())
    return path


def secrets_in(text, password):
    """The forms in which a planted password is in a text: as it is, in hex, in base64 at any place."""
    forms = {"raw": password, "hex": password.encode().hex()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + password.encode()).decode()
        # The first and the last characters depend on what stands around it.
        forms[f"base64 at {shift}"] = encoded[4:-4]
    return [name for name, form in forms.items() if form in text]


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="gatepost-bans-") as directory:
        server = StrictServer(program, directory, free_port_base())
        try:
            normal, more = hostile(server)
            harmless(server)
            own = server.password()
        finally:
            check("it stops", server.stop() == 0)
        log = os.path.join(directory, "log")
        text = server.log_text()
        for mode, expected in (("normal", normal), ("aggressive", normal + more)):
            found, result = matched(log, mode)
            check(f"fail2ban in mode {mode} finds who it should, as often as it should", found == expected, f"{found} {expected} {result.stdout[-2000:]} {result.stderr[-500:]}\n{text}")
        syslog = in_a_syslog_file(directory, text)
        for mode, expected in (("normal", normal), ("aggressive", normal + more)):
            found, result = matched(syslog, mode)
            check(f"in a syslog file too, in mode {mode}, behind a line without a date", found == expected, f"{found} {expected} {result.stdout[-2000:]}")
        for password in (PASSWORD, own):
            check("no password is in the log, in no form", not secrets_in(text, password), secrets_in(text, password))
        printable = all(c == "\n" or (c.isprintable()) for c in text)
        check("nothing in the log steers a terminal", printable)
        lines = [line for line in text.splitlines() if line.startswith("event=")]
        check("every line is one event of at most 512 octets", len(lines) == len(text.splitlines()) and all(len(line.encode()) <= 512 for line in lines), text)
    print(f"{smoke.passed} passed, {smoke.failed} failed")
    return smoke.failed > 0


if __name__ == "__main__":
    sys.exit(main())
