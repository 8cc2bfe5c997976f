#!/usr/bin/env python3
"""Through the built binary, as an administrator and a mail program would: localserve in a new directory,
mail in through every door, read back octet by octet, and what happens when a process is killed.

    python3 tests/smoke.py target/release/gatepost

Needs Python's standard library alone. Ends what it started, by process id, whatever happens.
"""

import json
import os
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

PATIENCE_SECONDS = 30
passed = failed = 0


def check(what, good, more=""):
    """Counts one expectation; a failed one says what came instead."""
    global passed, failed
    if good:
        passed += 1
        print(f"ok      {what}")
    else:
        failed += 1
        print(f"FAILED  {what}  {more}")


def free_port_base():
    """A base above which the three ports are free on 127.0.0.1."""
    for base in range(20_000 + os.getpid() % 500 * 20, 32_000, 700):
        sockets = []
        try:
            for offset in (25, 465, 587):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    sys.exit("no free ports were found on 127.0.0.1")


def wait_for(what, probe):
    """What `probe` returns, once it returns something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


class Server:
    """A localserve, and its end."""

    def __init__(self, program, directory, base, settings=()):
        self.program, self.directory, self.base = program, directory, base
        self.log = open(os.path.join(directory, "log"), "ab")
        command = [program, "localserve", "--dir", self.data(), "--port-base", str(base)]
        for setting in settings:
            command += ["--set", setting]
        self.out = open(os.path.join(directory, "out"), "wb")
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.log)
        try:
            wait_for("localserve to be ready", self.password)
        except TimeoutError:
            self.stop()
            raise

    def data(self):
        return os.path.join(self.directory, "data")

    def password(self):
        """The password it printed; it prints when it is ready."""
        if self.process.poll() is not None:
            sys.exit(f"localserve ended with {self.process.returncode}: {self.log_text()}")
        with open(os.path.join(self.directory, "out"), encoding="utf-8") as out:
            for line in out:
                words = line.split()
                if words[:1] == ["password"] and line.endswith("\n"):
                    return words[1]
        return None

    def log_text(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as log:
            return log.read()

    def child(self, name):
        """The process id of the child that was started with this word, or None."""
        found = []
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/children", encoding="ascii") as children:
                found += children.read().split()
        for pid in found:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    if name.encode() in line.read().split(b"\0"):
                        return int(pid)
            except OSError:
                continue
        return None

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "it had to be killed"
        finally:
            self.out.close()
            self.log.close()

    def cli(self, *arguments, stdin=None, expect=0):
        """Runs a command on its data; standard output as octets."""
        command = [self.program, *arguments, "--dir", self.data()]
        result = subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
        good = result.returncode == expect
        check(f"gatepost {' '.join(arguments)}: exit code {expect}", good, f"{result.returncode} {result.stderr}")
        return result.stdout

    def tls(self):
        """A context that trusts the self-signed certificate, and nothing else."""
        return ssl.create_default_context(cafile=os.path.join(self.data(), "tls", "certificate.pem"))

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.base + 25, timeout=PATIENCE_SECONDS)

    def submission(self):
        client = smtplib.SMTP("127.0.0.1", self.base + 587, timeout=PATIENCE_SECONDS)
        client.starttls(context=self.tls())
        return client

    def submissions(self):
        return smtplib.SMTP_SSL("127.0.0.1", self.base + 465, timeout=PATIENCE_SECONDS, context=self.tls())

    def messages(self, account):
        return json.loads(self.cli("mail", "list", account, "--json"))


def refusal(action):
    """The code with which something is refused, or None."""
    try:
        action()
    except smtplib.SMTPRecipientsRefused as error:
        return next(iter(error.recipients.values()))[0]
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    return None


def mail_in_through_every_door(server):
    password = server.password()
    body = b"From: you@example.net\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n.a dot\r\n..two\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    with server.smtp() as client:
        client.sendmail("you@example.net", ["me@localhost"], body)
        check("port 25 refuses to relay", refusal(lambda: client.sendmail("you@example.net", ["a@example.com"], body)) == 550)
        client.rset()
        check("port 25 refuses unknown names", refusal(lambda: client.sendmail("you@example.net", ["x@localhost"], body)) == 550)
    with server.submission() as client:
        client.login("me@localhost", password)
        client.sendmail("me@localhost", ["me@localhost"], b"Subject: two\r\n\r\ntwo\r\n")
        check("nobody sends as another", refusal(lambda: client.sendmail("you@localhost", ["me@localhost"], body)) == 553)
    with server.submissions() as client:
        client.user, client.password = "me@localhost", password
        client.ehlo()
        check("AUTH LOGIN on 465", client.auth("LOGIN", client.auth_login)[0] == 235)
        client.sendmail("me@localhost", ["me@localhost"], b"Subject: three\r\n\r\nthree\r\n")
    with server.submissions() as client:
        wrong = refusal(lambda: client.login("me@localhost", "not the password"))
        check("a wrong password is 535", wrong == 535, wrong)
    with server.submissions() as client:
        unknown = refusal(lambda: client.login("nobody@localhost", "not the password"))
        check("an unknown name is 535 as well", unknown == 535, unknown)

    rows = server.messages("me@localhost")
    check("three messages are listed", [row["id"] for row in rows] == [1, 2, 3], rows)
    first = server.cli("mail", "show", "me@localhost", "1")
    check("a message is kept octet by octet", first.endswith(b"\r\n" + body), first)
    check("its size is listed", rows[0]["size"] == len(first), (rows[0], len(first)))
    check("Return-Path is first", first.startswith(b"Return-Path: <you@example.net>\r\nReceived: from "), first)
    second = server.cli("mail", "show", "me@localhost", "2")
    check("submission adds a date", b"\r\nDate: " in second and b"\r\nMessage-ID: <" in second, second)
    check("the Received field says ESMTPSA", b"with ESMTPSA (TLSv1.3 " in second.replace(b"\r\n\t", b" "), second)


def a_large_message(server):
    body = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 120_000
    with server.smtp() as client:
        client.sendmail("you@example.net", ["me@localhost"], body)
    last = server.messages("me@localhost")[-1]
    kept = server.cli("mail", "show", "me@localhost", str(last["id"]))
    check("nine megabytes are kept octet by octet", kept.endswith(body) and len(kept) == last["size"], len(kept))


def changes_while_it_runs(server):
    server.cli("domain", "add", "example.org")
    server.cli("account", "add", "me@example.org", "--password-stdin", stdin=b"a long enough secret\n")
    server.cli("alias", "add", "all@example.org", "--to", "me@example.org", "--to", "me@localhost")
    server.cli("account", "add", "me@example.org", "--password-stdin", stdin=b"a long enough secret\n", expect=65)
    server.cli("alias", "add", "x@elsewhere.example", "--to", "me@example.org", expect=65)
    with server.submission() as client:
        client.login("me@example.org", "a long enough secret")
        client.sendmail("me@example.org", ["all@example.org"], b"Subject: all\r\n\r\nall\r\n")
    check("an alias gives each member a copy", len(server.messages("me@example.org")) == 1)
    server.cli("account", "disable", "me@example.org", "--suspend")
    with server.smtp() as client:
        code = refusal(lambda: client.sendmail("you@example.net", ["me@example.org"], b"x\r\n"))
        check("a suspended account takes no mail for now", code == 450, code)
    server.cli("account", "enable", "me@example.org")
    rows = json.loads(server.cli("account", "list", "--json"))
    check("accounts are listed", len(rows) == 2, rows)


def application_passwords(server):
    """One is made, used from two networks, listed, taken back; the second network is told to the owner."""
    server.cli("account", "add", "app@example.org", "--password-stdin", stdin=b"a long enough secret\n")
    made = json.loads(server.cli("account", "credential", "add", "app@example.org", "--name", "my phone", "--json"))[0]
    check("seven groups of four", [len(group) for group in made["password"].split("-")] == [4] * 7, made)

    def login(password, source):
        address, context = ("127.0.0.1", server.base + 465), server.tls()
        with smtplib.SMTP_SSL(*address, timeout=PATIENCE_SECONDS, context=context, source_address=(source, 0)) as client:
            return refusal(lambda: client.login("app@example.org", password))

    def listed():
        return json.loads(server.cli("account", "credential", "list", "app@example.org", "--json"))

    check("it was never used", listed()[0]["last_used"] is None)
    check("an application password logs in", login(made["password"], "127.0.0.1") is None)
    row = listed()[0]
    check("its last use is listed", row["last_used"] is not None and row["last_used_from"] == "127.0.0.1", row)
    check("the first login ever is no news", server.messages("app@example.org") == [])
    check("it logs in from elsewhere", login(made["password"].replace("-", "").upper(), "127.0.1.1") is None)
    wait_for("the notice", lambda: server.messages("app@example.org"))
    notice = server.cli("mail", "show", "app@example.org", "1")
    check("the notice says from where and with what", b"127.0.1.1" in notice and b"1 (my phone)" in notice, notice)
    server.cli("account", "passwd", "app@example.org", "--app-passwords-only", "on")
    check("a forbidden main password is 535", login("a long enough secret", "127.0.0.1") == 535)
    server.cli("account", "passwd", "app@example.org", "--app-passwords-only", "off")
    check("and is let in again", login("a long enough secret", "127.0.0.1") is None)
    server.cli("account", "credential", "revoke", "app@example.org", "1")
    check("one that was taken back is 535", login(made["password"], "127.0.0.1") == 535)
    check("and is listed no more", listed() == [])
    log = server.log_text()
    check("the log says which was used", "app-password=1 app-password-name=" in log)
    check("no application password is in the log", made["password"] not in log)


def the_configuration_shown_is_one(server):
    """packaging/gatepost.toml is right but for the places, which are those of another machine."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "packaging", "gatepost.toml")
    tls = os.path.join(server.data(), "tls")
    settings = [
        f"data-dir={server.data()}",
        f"tls.certificate={tls}/certificate.pem",
        f"tls.key={tls}/key.pem",
    ]
    command = [server.program, "config", "check", here]
    for setting in settings:
        command += ["--set", setting]
    result = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    check("packaging/gatepost.toml is a configuration", result.returncode == 0, result.stderr)
    result = subprocess.run([*command, "--set", "limits.connections=0"], capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    check("a wrong value is 78", result.returncode == 78 and b"limits.connections" in result.stderr, result)


def a_killed_server_comes_back(server):
    def greeting():
        try:
            with server.smtp() as client:
                return client.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    for name in ("serve-child", "hash-worker-child"):
        old = server.child(name)
        os.kill(old, signal.SIGKILL)
        new = wait_for(f"a new {name}", lambda: server.child(name) not in (None, old) and server.child(name))
        check(f"a killed {name} is started again", new != old)
    check("mail is taken again", wait_for("a greeting", greeting))
    before = len(server.messages("me@localhost"))
    with server.submission() as client:
        # Until the new worker is connected a login is answered 454: try again later.
        wait_for("a login", lambda: refusal(lambda: client.login("me@localhost", server.password())) is None)
        client.sendmail("me@localhost", ["me@localhost"], b"Subject: after\r\n\r\nafter\r\n")
    check("and kept again", len(server.messages("me@localhost")) == before + 1)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    directory = tempfile.mkdtemp(prefix="gatepost-smoke-")
    server = None
    try:
        base = free_port_base()
        server = Server(program, directory, base)
        mail_in_through_every_door(server)
        a_large_message(server)
        changes_while_it_runs(server)
        application_passwords(server)
        the_configuration_shown_is_one(server)
        a_killed_server_comes_back(server)
        rows, password = server.messages("me@localhost"), server.password()
        code = server.stop()
        check("SIGTERM ends it with exit code 0", code == 0, code)
        check("mail can be read while nothing runs", server.messages("me@localhost") == rows)
        server = Server(program, directory, base)
        check("the same directory keeps its mail", server.messages("me@localhost") == rows)
        check("and its password", server.password() == password)
        check("no panic was logged", "panic" not in server.log_text(), server.log_text())
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
