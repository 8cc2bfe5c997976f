"""Messages whose every octet follows from a seed and a number, and the judgement on what became of them."""

import hashlib
import random
import re

ACCOUNTS = ("me@localhost", "second@localhost", "third@localhost")
ALIASES = {
    "everybody@localhost": ACCOUNTS,
    "pair@localhost": ACCOUNTS[1:],
}
RECIPIENTS = (*ACCOUNTS, *ALIASES)

# What became of an attempt.
UNSENT, CUT_OFF, REFUSED, KEPT = "unsent", "cut off", "refused", "kept"


class Attempt:
    """One message that is sent once, whatever becomes of it."""

    def __init__(self, seed, number, octets_max, door="smtp"):
        chance = random.Random(f"{seed} {number}")
        self.number = number
        self.door = door
        self.recipients = chance.sample(RECIPIENTS, chance.choice((1, 1, 1, 2, 2, 3)))
        self.accounts = {
            account for one in self.recipients for account in ALIASES.get(one, (one,))
        }
        self.is_binary = chance.random() < 0.4
        self.size = choose_size(chance, octets_max)
        self.chunk_seed = chance.random()
        self.seed = seed
        self.outcome = UNSENT
        self.reply = None
        self.mail = None
        body = self.body()
        self.octets = len(body)
        self.digest = hashlib.sha256(body).digest()

    @property
    def sender(self):
        if self.door == "smtp":
            return f"m{self.number}@sender.example"
        return f"me+m{self.number}@localhost"

    def body(self):
        """What is sent; for DATA before dots are doubled."""
        chance = random.Random(f"body {self.seed} {self.number}")
        if self.size == 0:
            return b""
        head = f"Subject: message {self.number}\r\nX-Number: {self.number}\r\n\r\n".encode()
        if self.is_binary:
            return (head + chance.randbytes(self.size))[: self.size]
        text = chance.randbytes(self.size).translate(None, b"\r\n\0")
        width = chance.choice((1, 60, 76, 900))
        if len(text) > 50_000:
            width = max(width, 60)
        lines = [text[at : at + width] for at in range(0, len(text), width)]
        for _ in range(3):
            lines.insert(chance.randint(0, len(lines)), chance.choice((b".", b"..", b"", b".dot")))
        return head + b"\r\n".join(lines) + b"\r\n"

    def chunks(self, body):
        """The body in the pieces that BDAT sends; the last one may be empty."""
        chance = random.Random(self.chunk_seed)
        places = sorted(chance.randint(0, len(body)) for _ in range(chance.choice((0, 0, 1, 3))))
        ends = [*places, len(body)]
        return [body[begin:end] for begin, end in zip([0, *places], ends)]


def choose_size(chance, octets_max):
    """Mostly small; some around the sizes where a server changes its ways; a few large."""
    kind = chance.random()
    if kind < 0.05:
        size = 0
    elif kind < 0.60:
        size = chance.randint(1, 4_000)
    elif kind < 0.80:
        size = chance.randint(4_000, 60_000)
    elif kind < 0.95:
        size = chance.choice((4_096, 65_536, 131_072, 262_144)) + chance.randint(-200, 200)
    else:
        size = chance.randint(200_000, 2 * 1024 * 1024)
    return min(size, octets_max)


NUMBER = re.compile(r"(?:<|\+)m([0-9]+)@")


def judge(attempts, rows_of, sent_before=None):
    """What is wrong with what the accounts have: sentences, each begun by its kind.

    `attempts` is by number; `rows_of` has the list of each account. Every attempt that was answered 250 is
    there once for each of its accounts; one whose data was sent at most once; one whose data was not, never.
    `sent_before` narrows what is promised to some of them: the power was cut when only these were answered.
    """
    wrong = []
    promised = [
        attempt
        for attempt in attempts.values()
        if attempt.outcome == KEPT and (sent_before is None or attempt.number in sent_before)
    ]
    for account, rows in rows_of.items():
        ids = [row["id"] for row in rows]
        if ids != sorted(set(ids)):
            wrong.append(f"order: the list of {account} does not ascend: {ids}")
        seen = {}
        for row in rows:
            match = NUMBER.search(row["from"])
            attempt = attempts.get(int(match[1])) if match else None
            if attempt is None:
                wrong.append(f"foreign: {account} has a message that nobody sent: {row}")
                continue
            seen.setdefault(attempt.number, []).append(row)
            if account not in attempt.accounts:
                wrong.append(f"misdelivered: message {attempt.number} is not for {account}")
            if attempt.outcome == UNSENT:
                wrong.append(f"foreign: message {attempt.number} is in {account} and its data was never sent")
            if attempt.outcome == KEPT and row["mail"] != attempt.mail:
                wrong.append(
                    f"foreign: message {attempt.number} was answered {attempt.mail} and is in {account} as {row['mail']}"
                )
        for number, copies in seen.items():
            if len(copies) > 1:
                wrong.append(f"twice: {account} has message {number} {len(copies)} times")
        for attempt in promised:
            if account in attempt.accounts and attempt.number not in seen:
                wrong.append(f"lost: message {attempt.number} (250 {attempt.mail}) is not in {account}")
    return wrong


def judge_content(attempt, account, row, raw):
    """What is wrong with one message as it is shown."""
    where = f"message {attempt.number} of {account}"
    prefix, body = raw[: len(raw) - attempt.octets], raw[len(raw) - attempt.octets :]
    if len(raw) != row["size"]:
        return [f"damaged: {where} has {len(raw)} octets and is listed with {row['size']}"]
    if len(raw) < attempt.octets or hashlib.sha256(body).digest() != attempt.digest:
        return [f"damaged: {where} is not what was sent"]
    if not prefix.endswith(b"\r\n") or row["mail"].encode() not in prefix:
        return [f"damaged: {where} has no Received field with {row['mail']}"]
    return []
