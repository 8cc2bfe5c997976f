#!/usr/bin/env python3
"""Mail programs that are not ours against the built binary: swaks, curl, msmtp, gsasl and Python's smtplib, through
every door, read back with the command line.

    python3 tests/clients.py target/release/gatepost

Needs swaks, curl, msmtp and gsasl. Ends what it started, by process id, whatever happens.
"""

import json
import os
import smtplib
import ssl
import subprocess
import sys
import tempfile

import smoke
from smoke import Server, check, free_port_base

CLIENT_SECONDS_MAX = 60
BIG_OCTETS = 20 * 1024 * 1024
MANY = 90


def run(*command, given=None):
    """Runs a client; its exit code and what it said."""
    done = subprocess.run(
        command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=CLIENT_SECONDS_MAX
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


class Mailbox:
    """What an account has, as the command line shows it."""

    def __init__(self, server):
        self.server = server

    def cli(self, *words, given=None):
        command = [self.server.program, *words, "--dir", self.server.data()]
        return subprocess.run(
            command, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        ).stdout

    def count(self, account="me@localhost"):
        return len(json.loads(self.cli("mail", "list", account, "--json")))

    def newest(self, account="me@localhost"):
        rows = json.loads(self.cli("mail", "list", account, "--json"))
        return self.cli("mail", "show", account, str(rows[-1]["id"])) if rows else b""


def arrives(what, box, action, marker, account="me@localhost"):
    """One message more after the action, and it holds the marker."""
    before = box.count(account)
    code, said = action()
    good = code == 0 and box.count(account) == before + 1 and marker in box.newest(account)
    check(what, good, f"exit {code}: {said[-600:]}")


def refused(what, box, action, words):
    """No message more, and the client was told why."""
    before = box.count()
    code, said = action()
    check(what, code != 0 and words in said and box.count() == before, f"exit {code}: {said[-600:]}")


def swaks(server, box, password):
    smtp, submission, submissions = (f"127.0.0.1:{server.base + door}" for door in (25, 587, 465))
    user = ["--auth-user", "me@localhost", "--auth-password"]
    base = ["swaks", "--from", "me@localhost", "--to", "me@localhost", "--helo", "client.example"]

    def with_body(marker, *more):
        return lambda: run(*base, "--body", marker, *more)

    arrives("swaks delivers on port 25", box, with_body("swaks-plain", "--server", smtp), b"swaks-plain")
    arrives("swaks delivers with STARTTLS on port 25", box,
            with_body("swaks-tls25", "--server", smtp, "-tls"), b"swaks-tls25")
    arrives("swaks delivers with PIPELINING", box,
            with_body("swaks-pipe", "--server", smtp, "--pipeline"), b"swaks-pipe")
    for mechanism in ("PLAIN", "LOGIN"):
        marker = f"swaks-587-{mechanism}"
        arrives(f"swaks submits with STARTTLS and {mechanism}", box,
                with_body(marker, "--server", submission, "-tls", "--auth", mechanism, *user, password),
                marker.encode())
        marker = f"swaks-465-{mechanism}"
        arrives(f"swaks submits with TLS and {mechanism}", box,
                with_body(marker, "--server", submissions, "-tlsc", "--auth", mechanism, *user, password),
                marker.encode())
    refused("swaks hears 535 for a wrong password", box,
            with_body("no", "--server", submission, "-tls", "--auth", "PLAIN", *user, "wrong-password"), "535")
    refused("swaks hears that nobody relays", box,
            lambda: run("swaks", "--server", smtp, "--from", "a@example.org", "--to", "b@example.com",
                        "--helo", "c.example"), "550")
    refused("swaks hears that submission wants TLS", box, with_body("no", "--server", submission), "530")


def curl(server, box, password):
    base = ["curl", "-sS", "--cacert", os.path.join(server.data(), "tls", "certificate.pem"),
            "--mail-from", "me@localhost", "--mail-rcpt", "me@localhost", "--upload-file", "-"]
    user = ["--user", f"me@localhost:{password}"]

    def send(marker, url, *more):
        text = f"From: me@localhost\r\nSubject: {marker}\r\n\r\ntext\r\n.dot\r\n".encode()
        return lambda: run(*base, "--url", url, *more, given=text)

    at = {door: server.base + number for door, number in (("smtp", 25), ("sub", 587), ("tls", 465))}
    arrives("curl delivers on port 25", box, send("curl-25", f"smtp://localhost:{at['smtp']}"), b"curl-25")
    arrives("curl submits with STARTTLS", box,
            send("curl-587", f"smtp://localhost:{at['sub']}", "--ssl-reqd", *user), b"\r\n.dot\r\n")
    arrives("curl submits with TLS", box, send("curl-465", f"smtps://localhost:{at['tls']}", *user), b"curl-465")
    refused("curl is refused with a wrong password", box,
            send("no", f"smtp://localhost:{at['sub']}", "--ssl-reqd", "--user", "me@localhost:wrong"), "curl: (67)")


def msmtp(server, box, password):
    certificate = os.path.join(server.data(), "tls", "certificate.pem")
    base = ["msmtp", "--host=localhost", "--from=me@localhost", f"--tls-trust-file={certificate}", "--tls=on",
            "--auth=plain", "--user=me@localhost", "--timeout=30"]

    def send(marker, secret, *more):
        text = f"From: me@localhost\nTo: me@localhost\nSubject: {marker}\n\ntext\n".encode()
        command = [*base, f"--passwordeval=printf %s {secret}", *more, "me@localhost"]
        return lambda: run(*command, given=text)

    arrives("msmtp submits with STARTTLS", box,
            send("msmtp-587", password, f"--port={server.base + 587}", "--tls-starttls=on"), b"msmtp-587")
    arrives("msmtp submits with TLS", box,
            send("msmtp-465", password, f"--port={server.base + 465}", "--tls-starttls=off"), b"msmtp-465")
    refused("msmtp hears 535 for a wrong password", box,
            send("no", "wrong-password", f"--port={server.base + 587}", "--tls-starttls=on"), "535")


    # The library it uses has SCRAM, and checks the server's proof too.
    scram = "--auth=scram-sha-256"
    arrives("msmtp submits with SCRAM-SHA-256", box,
            send("msmtp-scram", password, f"--port={server.base + 465}", "--tls-starttls=off", scram), b"msmtp-scram")
    refused("msmtp hears 535 for the proof of a wrong password", box,
            send("no", "wrong-password", f"--port={server.base + 465}", "--tls-starttls=off", scram), "535")


def gsasl(server, _box, password):
    certificate = os.path.join(server.data(), "tls", "certificate.pem")

    def logs_in(mechanism, secret, *more):
        return run("gsasl", "--client", "--smtp", "--starttls", f"--connect=localhost:{server.base + 587}",
                   f"--x509-ca-file={certificate}", f"--mechanism={mechanism}",
                   "--authentication-id=me@localhost", "--authorization-id=me@localhost", f"--password={secret}", "--verbose",
                   *more, given=b"")

    # -PLUS of this library is bound with tls-exporter; without, it has to be told that there is no binding.
    for mechanism, *more in (("SCRAM-SHA-256", "--no-cb"), ("SCRAM-SHA-256-PLUS",)):
        code, said = logs_in(mechanism, password, *more)
        check(f"gsasl logs in with {mechanism}", code == 0 and "235 2.7.0" in said, f"exit {code}: {said[-600:]}")
        code, said = logs_in(mechanism, "wrong-password", *more)
        # A port may have 235 in it, and base64 too; a reply begins its line.
        was_let_in = any(line.startswith("235") for line in said.splitlines())
        check(f"gsasl hears 535 for a wrong password with {mechanism}", "535 5.7.8" in said and not was_let_in,
              f"exit {code}: {said[-600:]}")


def python(server, box, password):
    context = ssl.create_default_context(cafile=os.path.join(server.data(), "tls", "certificate.pem"))

    def submit(act):
        def action():
            with smtplib.SMTP("localhost", server.base + 587, timeout=CLIENT_SECONDS_MAX) as client:
                client.starttls(context=context)
                client.login("me@localhost", password)
                act(client)
            return 0, ""
        return action

    big = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * (BIG_OCTETS // 72)
    arrives("smtplib submits 20 MiB, read back octet by octet", box,
            submit(lambda client: client.sendmail("me@localhost", ["me@localhost"], big)), big)
    arrives("smtplib submits with SMTPUTF8", box,
            submit(lambda client: client.sendmail("me@localhost", ["me@localhost"],
                                                  "Subject: ä\r\n\r\nö\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])),
            "Subject: ä".encode())
    for number in range(MANY):
        box.cli("account", "add", f"u{number}@localhost")
    recipients = [f"u{number}@localhost" for number in range(MANY)]
    with smtplib.SMTP("localhost", server.base + 25, timeout=CLIENT_SECONDS_MAX) as client:
        refused_ones = client.sendmail("a@example.org", recipients, b"Subject: many\r\n\r\nx\r\n")
        code, _ = client.docmd("EHLO", "c.example")
        check("smtplib delivers to ninety recipients at once", not refused_ones and code == 250)
        chunked(client)
    check("each of the ninety has one copy", all(box.count(name) == 1 for name in recipients[:3] + recipients[-3:]))
    check("a message in chunks is read back", b"\r\n\r\nabcdef\r\n" in box.newest())


def chunked(client):
    """BDAT, which smtplib does not know, over its connection."""
    codes = [client.docmd("MAIL", "FROM:<a@example.org>")[0], client.docmd("RCPT", "TO:<me@localhost>")[0]]
    for piece, last in ((b"Subject: chunks\r\n\r\nabc", ""), (b"def\r\n", " LAST")):
        client.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
        codes.append(client.getreply()[0])
    check("a message is taken in chunks", codes == [250] * 4, codes)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="gatepost-clients-") as directory:
        server = Server(program, directory, free_port_base())
        try:
            password, box = server.password(), Mailbox(server)
            for client in (swaks, curl, msmtp, gsasl, python):
                client(server, box, password)
        finally:
            server.stop()
    print(f"{smoke.passed} passed, {smoke.failed} failed")
    return smoke.failed > 0


if __name__ == "__main__":
    sys.exit(main())
