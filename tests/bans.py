#!/usr/bin/env python3
"""What ban tools make of the lines of the built binary: real hostile traffic, then fail2ban's and CrowdSec's own
readers.

    python3 tests/bans.py target/release/gatepost UNPACKED

Needs fail2ban-regex (Debian's package fail2ban), and the folder UNPACKED with what is in Debian's packages that
tests/crowdsec.py and tests/journal.py name, not installed (see .ci/run). Every source is an address of the loopback.
"""

import base64
import datetime
import os
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections import Counter

import crowdsec
import journal
import smoke
from smoke import PATIENCE_SECONDS, Server, check, free_port_base

FILTER = os.path.join(os.path.dirname(__file__), "..", "packaging", "fail2ban", "filter.d", "gatepost.conf")
GUESSES = 3
HANDSHAKES = 60
PASSWORD = "planted-hexagon-17"
# What a peer writes to be taken for somebody else. 192.0.2.66 must never be accused.
FORGED = 'x" from=192.0.2.66 listener=submissions mechanism=PLAIN login="y" reason=wrong-password reply=535'
FORGED_LINE = "x\r\nevent=auth-failed session=00 from=192.0.2.66 listener=submissions mechanism=PLAIN login=\"y\" reply=535"


class StrictServer(Server):
    """A localserve that lets an address guess three times an hour, its log as fail2ban gets it."""

    def __init__(self, program, directory, base, allow=""):
        settings = [f"throttle.guesses-per-host={GUESSES}", f"throttle.allow={allow}"]
        super().__init__(program, directory, base, settings=settings)

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
    speaks_http(server, "127.0.3.1")
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


def speaks_http(server, source):
    """A session in another protocol, which ends at once."""
    with socket.create_connection(("127.0.0.1", server.base + 25), PATIENCE_SECONDS, (source, 0)) as web:
        web.sendall(b"GET / HTTP/1.1\r\nHost: x from=192.0.2.66\r\n\r\n")
        while web.recv(4096):
            pass


def make_the_library_talk(server):
    """Handshakes with a server name that is none, of which the TLS library complains in words of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for _ in range(HANDSHAKES):
        with socket.create_connection(("127.0.0.1", server.base + 465), PATIENCE_SECONDS, ("127.0.8.1", 0)) as client:
            try:
                context.wrap_socket(client, server_hostname='x" from=192.0.2.66 reply=535').close()
            except OSError:
                pass


def flood(server):
    """One source that causes more lines than the log takes, and others beside it. Returns how many lines each of
    them caused."""
    caused = Counter()
    for number in range(GUESSES):
        guess(server, "127.0.5.1", f"user{number}@localhost", f"{PASSWORD}-flood-{number}")
        caused["127.0.5.1"] += 1
    over = threading.Event()

    def connect_again_and_again():
        while not over.is_set():
            speaks_http(server, "127.0.5.1")
            caused["127.0.5.1"] += 1

    flooding = threading.Thread(target=connect_again_and_again)
    flooding.start()
    try:
        smoke.wait_for("the flood to be over what the log takes", lambda: caused["127.0.5.1"] > 300)
        for number in range(2):
            guess(server, "127.0.6.1", f"user{number}@localhost", f"{PASSWORD}-beside-{number}")
            caused["127.0.6.1"] += 1
        with server.smtp_from("127.0.7.1") as prober:
            prober.ehlo("prober.example")
            prober.docmd("MAIL", "FROM:<>")
            for number in range(2):
                prober.docmd("RCPT", f"TO:<nobody{number}@localhost>")
                caused["127.0.7.1"] += 1
        with server.tls_from("127.0.9.1") as owner:
            owner.login("me@localhost", server.password())
    finally:
        over.set()
        flooding.join()
    return caused


def told(text, source):
    """Of a source: lines that were written, lines that were held back as the rollups say, rollups."""
    of_source = [line for line in text.splitlines() if f" from={source} " in line]
    rollups = [line for line in of_source if line.startswith("event=suppressed-from ")]
    held_back = sum(int(line.rsplit("=", 1)[1]) for line in rollups)
    return len(of_source) - len(rollups), held_back, len(rollups)


def flooded(program, unpacked):
    """The log of a server that is flooded: bounded, exact, and still of use to a ban tool."""
    with tempfile.TemporaryDirectory(prefix="gatepost-flood-") as directory:
        # Who is known for such visits would be kept waiting; the log is to be flooded as fast as can be.
        server = StrictServer(program, directory, free_port_base(), allow="127.0.5.1, 127.0.8.1")
        try:
            caused = flood(server)
            make_the_library_talk(server)
        finally:
            check("it stops after a flood", server.stop() == 0)
        text = server.log_text()
        check("a flood is less than 64 KiB of log", len(text.encode()) < 64 * 1024, len(text.encode()))
        for source, lines in caused.items():
            written, held_back, rollups = told(text, source)
            check(f"every line that {source} caused was written or counted", written + held_back == lines, f"{written} {held_back} {lines}\n{text}")
            check(f"the first line about {source} was written and later ones were held back", written > 0 and rollups > 0, text)
        library = [line for line in text.splitlines() if line.startswith('event=library target=rustls::')]
        told_library = re.findall(r"^event=suppressed kind=library lines=(\d+) ", text, re.M)
        check("what a library says is bounded and counted", 0 < len(library) < HANDSHAKES and len(library) + sum(map(int, told_library)) == HANDSHAKES, text)
        check("nothing that a peer sent looks like a field", " from=192.0.2.66" not in text and " reply=535" not in "".join(library), text)
        check("a login that succeeds in a flood is in the log", "event=auth-succeeded " in text, text)
        log = os.path.join(directory, "log")
        normal = Counter({source: sum(told(text, source)[::2]) for source in ("127.0.5.1", "127.0.6.1")})
        more = Counter({"127.0.7.1": sum(told(text, "127.0.7.1")[::2])})
        for mode, expected in (("normal", normal), ("aggressive", normal + more)):
            found, result = matched(log, mode)
            check(f"fail2ban in mode {mode} counts what a flooded log tells", found == expected, f"{found} {expected} {result.stdout[-2000:]}")
        check_crowdsec(unpacked, directory, text, normal, more, "of a flooded server")
        bans = crowdsec.read(unpacked, os.path.join(directory, "again"), dated(text)).bans
        check("CrowdSec bans who floods, and nobody else", bans == {("Ip", "127.0.5.1", "gatepost/guessing")}, bans)


def check_crowdsec(folder, directory, text, normal, more, whose):
    """CrowdSec's parser finds in a log whom it should, as often as it should, and says of what kind it is."""
    found = crowdsec.read(folder, os.path.join(directory, "crowdsec"), dated(text)).found
    expected = Counter({("gatepost_login", source): count for source, count in normal.items()})
    expected += Counter({("gatepost_probing", source): count for source, count in more.items()})
    check(f"CrowdSec's parser finds in the lines {whose} what it should", found == expected, f"{found} {expected}\n{text}")


# Lines that no address of the loopback can cause.
IPV6_LINES = """\
event=auth-failed session=000000000abc from=2001:db8::9 listener=submissions mechanism=PLAIN login="x" reason=no-such-address reply=535
event=suppressed-from from=2001:db8:1:2::/64 kind=login lines=12
event=suppressed-from from=2001:db8:1:3::/64 kind=recipient lines=12
event=suppressed-from from=2001:db8:1:4::/64 kind=other lines=12
"""


def check_ipv6(unpacked):
    """Networks in the log are networks for the ban tools."""
    with tempfile.TemporaryDirectory(prefix="gatepost-ipv6-") as directory:
        log = os.path.join(directory, "log")
        with open(log, "w", encoding="utf-8") as out:
            out.write(IPV6_LINES)
        normal = Counter(["2001:db8::9", "2001:db8:1:2::/64"])
        for mode, expected in (("normal", normal), ("aggressive", normal + Counter(["2001:db8:1:3::/64"]))):
            found, result = matched(log, mode)
            check(f"fail2ban in mode {mode} reads networks", found == expected, f"{found} {result.stdout[-2000:]}")
        repeated = IPV6_LINES + IPV6_LINES.splitlines(True)[1] * 5
        result = crowdsec.read(unpacked, directory, dated(repeated))
        expected = {("gatepost_login", "2001:db8::9"): 1, ("gatepost_login_range", "2001:db8:1:2::/64"): 6, ("gatepost_probing_range", "2001:db8:1:3::/64"): 1}
        check("CrowdSec's parser reads networks", result.found == expected, result)
        check("CrowdSec bans a network", result.bans == {("Range", "2001:db8:1:2::/64", "gatepost/guessing-network")}, result)


def matched(log, mode, environment=None):
    """How often fail2ban matches which address."""
    command = ["fail2ban-regex", "-o", "ip", log, f"{FILTER}[mode={mode}]"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=environment)
    found = re.findall(r"^[0-9a-f.:/]+$", result.stdout, re.M)
    return Counter(found), result


def in_a_syslog_file(directory, text):
    """The same lines as a syslog daemon keeps them, behind a line without a date as some programs leave one: it
    must not make the filter take every line for one without."""
    path = os.path.join(directory, "syslog")
    with open(path, "w", encoding="utf-8") as out:
        out.write("the second half of what another program said\n")
        out.write(dated(text))
    return path


def dated(text):
    """The lines as a syslog daemon or journalctl gives them."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return "".join(f"{now} mail gatepost[12]: {line}\n" for line in text.splitlines())


def secrets_in(text, password):
    """The forms in which a planted password is in a text: as it is, in hex, in base64 at any place."""
    forms = {"raw": password, "hex": password.encode().hex()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + password.encode()).decode()
        # The first and the last characters depend on what stands around it.
        forms[f"base64 at {shift}"] = encoded[4:-4]
    return [name for name, form in forms.items() if form in text]


def main():
    program, unpacked = (os.path.abspath(argument) for argument in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="gatepost-bans-") as directory:
        server = StrictServer(program, directory, free_port_base())
        try:
            normal, more = hostile(server)
            harmless(server)
            server.cli("account", "disable", "me@localhost")
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
        foreign = 'event=auth-failed session=00 from=192.0.2.66 listener=submissions mechanism=PLAIN login="y" reply=535'
        kept = journal.write(unpacked, directory, text, foreign)
        for mode, expected in (("normal", normal), ("aggressive", normal + more)):
            found, result = matched(f"systemd-journal[journalpath={kept}]", mode, journal.environment(unpacked))
            check(f"in systemd's journal too, in mode {mode}, beside another unit", found == expected, f"{found} {expected} {result.stdout[-2000:]} {result.stderr[-500:]}")
        check_crowdsec(unpacked, directory, text, normal, more, "of hostile sessions")
        for password in (PASSWORD, own):
            check("no password is in the log, in no form", not secrets_in(text, password), secrets_in(text, password))
        check("the log says what an administrator changed", 'event=directory-changed what=account-changed name="me@localhost" parts=disabled\n' in text, text)
        printable = all(c == "\n" or (c.isprintable()) for c in text)
        check("nothing in the log steers a terminal", printable)
        lines = [line for line in text.splitlines() if line.startswith("event=")]
        check("every line is one event of at most 512 octets", len(lines) == len(text.splitlines()) and all(len(line.encode()) <= 512 for line in lines), text)
    flooded(program, unpacked)
    check_ipv6(unpacked)
    print(f"{smoke.passed} passed, {smoke.failed} failed")
    return smoke.failed > 0


if __name__ == "__main__":
    sys.exit(main())
