#!/usr/bin/env python3
"""The command that tries other people's servers, against other people's servers: attacks are played against Postfix
and Exim as Debian has them, with `gatepost replay --to`, and the score cards are shown.

    python3 tests/peers.py target/release/gatepost UNPACKED

Needs root, since both servers do, Debian's package postfix installed, exim4-daemon-light and exim4-base unpacked in
the folder UNPACKED, and the user Debian-exim (see .ci/run). Both serve the loopback alone, deliver to nobody, and are
ended by process id, whatever happens. What a card says of a peer is shown and not judged: it is no fault of ours.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import smoke
from smoke import check, free_port_base

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS = 30
PLAY_SECONDS_MAX = 40
SESSIONS_MIN = 100
SESSIONS_MAX = 330
FINDINGS_SHOWN = 12
# The names most dialogues have, so that little of them is left out.
DOMAINS = ("example.org", "example.net")
ACCOUNTS = ("me@example.org", "ann@example.org", "bob@example.org", "postmaster@example.org", "me@example.net")
ALIAS = "info@example.org"
PASSWORD = "correct horse"
DIALOGS = ["corpus/dialogs", "tests/dialogs/pipelining", "tests/dialogs/smuggling"]


class Peer:
    """A server that is not ours, and its end."""

    name = ""

    def __init__(self, directory, base):
        self.directory, self.base = os.path.join(directory, self.name), base
        self.ports = {"smtp": base + 25, "submissions": base + 465, "submission": base + 587}
        self.process = None
        os.mkdir(self.directory)
        make_certificate(self.directory)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def put(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)

    def log_text(self):
        """What it said at its start, and the end of its log."""
        text = ""
        for name in ("output", "log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as log:
                    text += f"--- {name}\n{log.read()[-4000:]}\n"
        return text

    def start(self, command):
        """Starts it in a process group of its own, so that its children end with it."""
        with open(self.path("output"), "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def wait_for_greeting(self):
        """Whether it greets, within a time."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if self.greets():
                return True
            time.sleep(0.1)
        return False

    def greets(self):
        """Whether it greets, and nobody else in its place."""
        try:
            with socket.create_connection(("127.0.0.1", self.ports["smtp"]), 10) as client:
                client.settimeout(10)
                greeting = client.recv(512).decode("ascii", "replace").lower()
                return greeting.startswith("220") and self.name in greeting
        except OSError:
            return False

    def stop(self):
        """SIGTERM to the server, and SIGKILL to what it left of its group."""
        if self.process is None:
            return
        try:
            self.process.terminate()
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(10)
        check(f"{self.name} is gone when it is stopped", not self.greets())

    def doors(self):
        return [f"--{'to' if name == 'smtp' else name}=127.0.0.1:{port}" for name, port in self.ports.items()]


class Postfix(Peer):
    """Postfix with the programs of the installed package, and directories of its own. It has no AUTH, since that
    would want another server beside it."""

    name = "postfix"
    has_logins = False

    def run(self):
        etc = self.path("etc")
        ask = ["postconf", "-dh", "daemon_directory"]
        programs = subprocess.run(ask, check=True, capture_output=True, text=True, timeout=START_SECONDS)
        for name in ("etc", "queue", "data"):
            os.mkdir(self.path(name))
        subprocess.run(["chown", "postfix", self.path("data")], check=True)
        mailboxes = "".join(f"{address} discarded\n" for address in (*ACCOUNTS, ALIAS))
        self.put("etc/mailboxes", mailboxes)
        self.put("etc/main.cf", f"""\
compatibility_level = 3.6
queue_directory = {self.path("queue")}
data_directory = {self.path("data")}
maillog_file = {self.path("log")}
maillog_file_prefixes = {self.directory}
myhostname = peer.example
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
alias_maps =
alias_database =
virtual_mailbox_domains = {", ".join(DOMAINS)}
virtual_mailbox_maps = texthash:{etc}/mailboxes
virtual_transport = discard:
local_transport = discard:
relay_transport = discard:
default_transport = discard:
recipient_delimiter = +
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_chain_files = {self.path("key.pem")}, {self.path("certificate.pem")}
smtpd_tls_security_level = may
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline = yes
""")
        smtp, tls = self.ports["smtp"], self.ports["submissions"]
        services = [f"127.0.0.1:{smtp} inet n - n - - smtpd", f"127.0.0.1:{self.ports['submission']} inet n - n - - smtpd"]
        services += [f"127.0.0.1:{tls} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes"]
        services += ["cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr"]
        services += ["rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce"]
        services += ["proxymap unix - - n - - proxymap", "error unix - - n - - error", "retry unix - - n - - error"]
        services += ["discard unix - - n - - discard", "anvil unix - - n - 1 anvil", "postlog unix-dgram n - n - 1 postlogd"]
        self.put("etc/master.cf", "\n".join(services) + "\n")
        # Makes the directories of the queue. What `postfix start` would start is started here, so that it is a child.
        subprocess.run(["postfix", "-c", etc, "check"], check=True, capture_output=True, timeout=START_SECONDS)
        self.start([os.path.join(programs.stdout.strip(), "master"), "-s", "-c", etc])


class Exim(Peer):
    """Exim as unpacked, with an authenticator of its own on the doors for submission."""

    name = "exim"
    has_logins = True

    def __init__(self, directory, base, unpacked):
        super().__init__(directory, base)
        # Where users other than ours can reach it.
        self.program = shutil.copy(os.path.join(unpacked, "usr", "sbin", "exim4"), self.path("exim4"))

    def run(self):
        for name in ("spool", "logs"):
            os.mkdir(self.path(name))
        subprocess.run(["chown", "Debian-exim:Debian-exim", *map(self.path, ("spool", "logs", "key.pem"))], check=True)
        self.put("mailboxes", "".join(f"{address}: {PASSWORD}\n" for address in ACCOUNTS) + f"{ALIAS}: *\n")
        smtp, tls, submission = self.ports["smtp"], self.ports["submissions"], self.ports["submission"]
        knows = f"${{lookup{{$1}}lsearch{{{self.path('mailboxes')}}}{{$value}}fail}}"
        right = "${if and{{!eq{PASS}{*}}{eq{PASS}{${lookup{LOGIN}lsearch{FILE}{$value}{*}}}}}}"
        right = right.replace("FILE", self.path("mailboxes"))
        self.put("exim.conf", f"""\
primary_hostname = peer.example
exim_path = {self.program}
spool_directory = {self.path("spool")}
log_file_path = {self.path("logs")}/%s
pid_file_path = {self.path("pid")}
daemon_smtp_ports = {smtp} : {submission} : {tls}
tls_on_connect_ports = {tls}
local_interfaces = 127.0.0.1
disable_ipv6 = true
rfc1413_hosts =
host_lookup =
tls_advertise_hosts = *
tls_certificate = {self.path("certificate.pem")}
tls_privatekey = {self.path("key.pem")}
auth_advertise_hosts = ${{if and{{{{!eq{{$received_port}}{{{smtp}}}}}{{def:tls_in_cipher}}}}{{*}}{{}}}}
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
queue_only = true
begin acl
rcpt:
  accept domains = {" : ".join(DOMAINS)}
    verify = recipient
  accept authenticated = *
  deny message = relay not permitted
begin routers
known:
  driver = redirect
  domains = {" : ".join(DOMAINS)}
  address_data = ${{lookup{{$local_part@$domain}}lsearch{{{self.path("mailboxes")}}}{{yes}}fail}}
  local_part_suffix = +*
  local_part_suffix_optional
  data = :blackhole:
unknown:
  driver = redirect
  domains = {" : ".join(DOMAINS)}
  allow_fail
  data = :fail: no such user
elsewhere:
  driver = redirect
  data = :blackhole:
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = {right.replace("PASS", "$auth3").replace("LOGIN", "$auth2")}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = {right.replace("PASS", "$auth2").replace("LOGIN", "$auth1")}
  server_set_id = $auth1
""")
        self.start([self.program, "-C", self.path("exim.conf"), "-bdf"])

    def log_text(self):
        text = super().log_text()
        for name in ("main", "panic"):
            if os.path.exists(self.path("logs", name)):
                with open(self.path("logs", name), encoding="utf-8", errors="replace") as log:
                    text += f"--- {name}\n{log.read()[-4000:]}\n"
        return text


def make_certificate(directory):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=START_SECONDS)


def bounded(command, seconds):
    """Runs a command of ours: exit code, output, complaints; None as the code when it took too long."""
    try:
        done = subprocess.run(command, cwd=os.path.dirname(HERE), capture_output=True, text=True, timeout=seconds, check=False)
        return done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        return None, str(late.stdout), f"it took longer than {seconds} s"


def card_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def play(program, peer):
    """Plays the dialogues, and shows the card."""
    command = [program, "replay", *DIALOGS, *peer.doors(), f"--count={SESSIONS_MAX}", "--rate=1000", "--json"]
    if peer.has_logins:
        peer.put("password", PASSWORD + "\n")
        command += [f"--account={ACCOUNTS[0]}", f"--password-file={peer.path('password')}"]
    began = time.monotonic()
    code, out, err = bounded(command, PLAY_SECONDS_MAX)
    card = card_of(out)
    check(f"a score card of {peer.name} is made", code in (0, 1) and card is not None, f"{code} {err[-2000:]} {out[-500:]}")
    if card is None:
        return
    print(f"        {peer.name}: {card['dialogues']} dialogues, {card['sessions']} sessions, "
          f"{card['sessions_left_out_in_part']} left out in part, {time.monotonic() - began:.0f} s, {card['counts']}")
    for finding in card["findings"][:FINDINGS_SHOWN]:
        print(f"        {finding['sort']} {finding['file']}:{finding['line']}: {finding['what']}")
    check(f"at least {SESSIONS_MIN} sessions are played with {peer.name}", card["sessions"] >= SESSIONS_MIN, card["sessions"])
    check(f"every file is read for {peer.name}", card["not_read"] == [], card["not_read"])


def try_peer(program, peer):
    """All that is done with one of them."""
    try:
        peer.run()
        is_up = peer.wait_for_greeting()
        check(f"{peer.name} comes up", is_up, peer.log_text())
        if is_up:
            play(program, peer)
            check(f"{peer.name} is alive afterwards", peer.greets(), peer.log_text())
    finally:
        peer.stop()


def main():
    program, unpacked = (os.path.abspath(argument) for argument in sys.argv[1:3])
    if os.geteuid() != 0:
        sys.exit("tests/peers.py: Postfix and Exim start as root alone; run it as root or with sudo")
    # Whoever ends this ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix="gatepost-peers-") as directory:
        # The servers work as users of their own.
        os.chmod(directory, 0o755)
        base = free_port_base()
        try_peer(program, Postfix(directory, base))
        try_peer(program, Exim(directory, base, unpacked))
    print(f"{smoke.passed} passed, {smoke.failed} failed")
    return smoke.failed > 0


if __name__ == "__main__":
    sys.exit(main())
