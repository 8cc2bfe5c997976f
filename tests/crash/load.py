"""Clients that deliver distinct messages and write down what they were told. They come back after any failure."""

import base64
import random
import re
import socket
import ssl
import threading
import time

from messages import CUT_OFF, KEPT, REFUSED, Attempt

# Longer than the server may take for one commit before it gives up.
REPLY_SECONDS_MAX = 40
MAIL_ID = re.compile(r"\b[0-9a-f]{32}\b")


class Refused(Exception):
    """A reply that ends the transaction."""


class Session:
    """One connection, as far as EHLO."""

    def __init__(self, server, door, password=None):
        self.socket = socket.create_connection(("127.0.0.1", server.port(door)), timeout=REPLY_SECONDS_MAX)
        if door == "submissions":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            try:
                self.socket = context.wrap_socket(self.socket)
            except BaseException:
                self.socket.close()
                raise
        self.file = self.socket.makefile("rb")
        try:
            self.expect("2", self.reply())
            self.expect("2", self.ask("EHLO client.example"))
            if password is not None:
                plain = base64.b64encode(f"\0me@localhost\0{password}".encode()).decode()
                self.expect("2", self.ask(f"AUTH PLAIN {plain}"))
        except BaseException:
            self.close()
            raise

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError("closed by the server")
            lines.append(line.decode("latin-1").rstrip())
            if line[3:4] == b" ":
                return "\n".join(lines)

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    @staticmethod
    def expect(first, reply):
        if not reply.startswith(first):
            raise Refused(reply)

    def deliver(self, attempt, pipelined):
        """Sends it and writes into the attempt what became of it."""
        body = attempt.body()
        kind = " BODY=BINARYMIME" if attempt.is_binary else " BODY=8BITMIME"
        lines = [f"MAIL FROM:<{attempt.sender}>{kind}"]
        lines += [f"RCPT TO:<{one}>" for one in attempt.recipients]
        if pipelined:
            self.socket.sendall("".join(line + "\r\n" for line in lines).encode())
            replies = [self.reply() for _ in lines]
            for reply in replies:
                self.expect("2", reply)
        else:
            for line in lines:
                self.expect("2", self.ask(line))
        if attempt.is_binary:
            reply = self.send_chunks(attempt, body)
        else:
            self.expect("3", self.ask("DATA"))
            attempt.outcome = CUT_OFF
            stuffed = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
            self.socket.sendall(stuffed + b".\r\n")
            reply = self.reply()
        attempt.reply = reply
        if reply.startswith("250"):
            attempt.mail = MAIL_ID.search(reply)[0]
            attempt.outcome = KEPT
        else:
            attempt.outcome = REFUSED
            raise Refused(reply)

    def send_chunks(self, attempt, body):
        chunks = attempt.chunks(body)
        attempt.outcome = CUT_OFF
        for chunk in chunks[:-1]:
            self.socket.sendall(b"BDAT %d\r\n" % len(chunk) + chunk)
            reply = self.reply()
            if not reply.startswith("2"):
                attempt.reply = reply
                attempt.outcome = REFUSED
                raise Refused(reply)
        self.socket.sendall(b"BDAT %d LAST\r\n" % len(chunks[-1]) + chunks[-1])
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


class Load:
    """So many clients, each in a thread, until they are stopped or have sent enough."""

    def __init__(self, server, seed, clients, octets_max, pause=0.0, owners=0, on_kept=None):
        self.server = server
        self.seed = seed
        self.octets_max = octets_max
        self.pause = pause
        self.on_kept = on_kept
        self.lock = threading.Lock()
        self.attempts = {}
        self.kept = 0
        self.last_kept = time.monotonic()
        self.refusals = {}
        self.wrong = []
        self.halt = threading.Event()
        self.enough = None
        self.clients = clients
        self.owners = owners
        self.threads = []

    def run(self, enough=None):
        """Starts the clients. With `enough`, they stop by themselves after so many more attempts."""
        self.halt.clear()
        self.enough = None if enough is None else len(self.attempts) + enough
        for index in range(self.clients + self.owners):
            door = "smtp" if index < self.clients else "submissions"
            thread = threading.Thread(target=self.client, args=(index, door), daemon=True)
            thread.start()
            self.threads.append(thread)

    def stop(self, seconds=REPLY_SECONDS_MAX * 3):
        self.halt.set()
        self.wait(seconds)

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0, deadline - time.monotonic()))
            if thread.is_alive():
                raise TimeoutError("a client does not end")
        self.threads = []

    def next_attempt(self, door):
        with self.lock:
            number = len(self.attempts)
            if self.enough is not None and number >= self.enough:
                return None
            self.attempts[number] = None
        attempt = Attempt(self.seed, number, self.octets_max, door)
        with self.lock:
            self.attempts[number] = attempt
        return attempt

    def client(self, index, door):
        chance = random.Random(f"client {self.seed} {index} {len(self.attempts)}")
        while not self.halt.is_set():
            session = None
            try:
                password = self.server.password() if door == "submissions" else None
                session = Session(self.server, door, password)
                for _ in range(chance.choice((1, 3, 20))):
                    if self.halt.is_set():
                        break
                    attempt = self.next_attempt(door)
                    if attempt is None:
                        return
                    session.deliver(attempt, chance.random() < 0.5)
                    self.note_kept(attempt)
                    if self.pause:
                        time.sleep(chance.random() * self.pause)
                else:
                    session.ask("QUIT")
            except Refused as refused:
                self.note_refusal(str(refused))
                time.sleep(0.05)
            except (OSError, ConnectionError):
                time.sleep(0.02)
            except Exception as error:  # a fault of this program must not look like silence
                self.wrong.append(f"harness: a client failed: {error!r}")
                return
            finally:
                if session is not None:
                    session.close()

    def note_kept(self, attempt):
        if self.on_kept is not None:
            self.on_kept(attempt)
        with self.lock:
            self.kept += 1
            self.last_kept = time.monotonic()

    def note_refusal(self, reply):
        code = reply[:3]
        with self.lock:
            self.refusals[code] = self.refusals.get(code, 0) + 1
            # Nothing these clients send deserves a permanent refusal.
            if code.startswith("5"):
                self.wrong.append(f"refused: {reply}")

    def wait_for_progress(self, seconds):
        """Whether another message is kept within this time."""
        since = self.kept
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.kept > since:
                return True
            time.sleep(0.01)
        return False
