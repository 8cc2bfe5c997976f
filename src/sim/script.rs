//! What clients do: the well-behaved, the slow, the broken and the hostile.

use super::census::Fault;
use super::desk::Desk;
use super::town::{Credentials, Town};
use crate::contract::Listener;
use crate::limits::IDLE_MS;
use base64ct::{Base64, Encoding};
use std::collections::VecDeque;

/// One thing a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Sends octets.
    Send(Vec<u8>),
    /// Waits until everything sent is answered.
    Await,
    /// Sends a body, if the last reply was 354.
    Body(Vec<u8>),
    /// Waits for the reply to STARTTLS (or, on `submissions`, does not) and shakes hands.
    Tls,
    /// Waits so many milliseconds.
    Pause(u64),
    /// Sends no more.
    HalfClose,
    /// Resets the connection.
    Reset,
    /// Reads no more.
    Deaf,
    /// Reads again.
    Listen,
}

/// A client to be.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) listener: Listener,
    pub(super) steps: VecDeque<Step>,
    pipelines: bool,
}

/// The sorts of clients; some stand here more than once, since most mail is honest.
const SORTS: [fn(&mut Desk, u64) -> Script; 22] = [
    stranger,
    stranger,
    stranger,
    encrypted_stranger,
    submitter,
    submitter,
    submitter,
    guesser,
    guesser,
    stopped_owner,
    blind_bot,
    trickler,
    noise,
    smuggler,
    smuggler,
    pauser,
    chunker,
    chunker,
    deaf_flooder,
    injector,
    other_protocol,
    lingerer,
];

/// A client of some sort. `number` makes its messages unlike all others.
pub(super) fn any(desk: &mut Desk, number: u64) -> Script {
    let sort = desk.pick(&SORTS).unwrap_or(stranger);
    sort(desk, number)
}

/// A stranger who sends one message as one should, after everything else.
pub(super) fn fresh_stranger(number: u64) -> Script {
    let mut script = Script::new("fresh stranger", Listener::Smtp, false);
    script.send("EHLO fresh.example\r\n");
    script.transaction(
        "late@far.example",
        &["ben@home.example"],
        &format!("Subject: fresh {number}\r\n\r\nhi\r\n"),
    );
    script.quit();
    script
}

/// An owner who logs in and sends one message, after everything else.
pub(super) fn fresh_owner(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("fresh owner", Listener::Submissions, false);
    let who = desk.town.right_login(&mut desk.chance);
    script.step(Step::Tls);
    script.send("EHLO fresh.example\r\n");
    script.login(desk, &who);
    script.transaction(&who.login, &["ada@home.example"], &format!("Subject: fresh {number}\r\n\r\nhi\r\n"));
    script.quit();
    script
}

impl Script {
    fn new(name: &'static str, listener: Listener, pipelines: bool) -> Self {
        let mut script = Self { name, listener, steps: VecDeque::new(), pipelines };
        if listener != Listener::Submissions {
            script.step(Step::Await);
        }
        script
    }

    fn step(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    /// Sends, and waits unless the client pipelines.
    fn send(&mut self, text: &str) {
        self.step(Step::Send(text.as_bytes().to_vec()));
        if !self.pipelines {
            self.step(Step::Await);
        }
    }

    fn quit(&mut self) {
        self.send("QUIT\r\n");
        self.step(Step::Await);
    }

    fn mail(&mut self, sender: &str, recipients: &[&str], parameters: &str) {
        self.send(&format!("MAIL FROM:<{sender}>{parameters}\r\n"));
        for recipient in recipients {
            self.send(&format!("RCPT TO:<{recipient}>\r\n"));
        }
    }

    fn transaction(&mut self, sender: &str, recipients: &[&str], body: &str) {
        self.mail(sender, recipients, "");
        self.send("DATA\r\n");
        self.step(Step::Await);
        self.step(Step::Body(stuffed(body.as_bytes())));
        self.step(Step::Await);
    }

    /// A body in chunks, the last one perhaps empty.
    fn chunked(&mut self, desk: &mut Desk, sender: &str, recipients: &[&str], parameters: &str, body: &[u8]) {
        self.mail(sender, recipients, parameters);
        self.step(Step::Await);
        let mut rest = body;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at_checked(1 + desk.below(rest.len())).unwrap_or((rest, &[]));
            rest = after;
            let is_last = rest.is_empty() && desk.one_in(2);
            let mut octets =
                format!("BDAT {}{}\r\n", piece.len(), if is_last { " LAST" } else { "" }).into_bytes();
            octets.extend_from_slice(piece);
            self.step(Step::Send(octets));
            if is_last {
                self.step(Step::Await);
                return;
            }
        }
        self.send("BDAT 0 LAST\r\n");
        self.step(Step::Await);
    }

    /// A login by one of the four ways there are.
    fn login(&mut self, desk: &mut Desk, who: &Credentials) {
        let Credentials { login, password } = who;
        let encoded = |text: &str| Base64::encode_string(text.as_bytes());
        let plain = encoded(&format!("\0{login}\0{password}"));
        match desk.below(4) {
            0 => self.send(&format!("AUTH PLAIN {plain}\r\n")),
            1 => {
                self.send("AUTH PLAIN\r\n");
                self.step(Step::Await);
                self.send(&format!("{plain}\r\n"));
            }
            2 => {
                self.send("AUTH LOGIN\r\n");
                self.step(Step::Await);
                self.send(&format!("{}\r\n", encoded(login)));
                self.step(Step::Await);
                self.send(&format!("{}\r\n", encoded(password)));
            }
            _ => {
                self.send(&format!("auth login {}\r\n", encoded(login)));
                self.step(Step::Await);
                self.send(&format!("{}\r\n", encoded(password)));
            }
        }
        self.step(Step::Await);
    }

    /// Onto a submission port, up to the second EHLO.
    fn on_submission(desk: &mut Desk, name: &'static str) -> Self {
        let listener =
            desk.pick(&[Listener::Submission, Listener::Submissions]).unwrap_or(Listener::Submission);
        let mut script = Self::new(name, listener, desk.one_in(3));
        if listener == Listener::Submission {
            script.send("EHLO me.example\r\n");
            if desk.one_in(4) {
                // Refused there, and no reason to go away.
                script.send("MAIL FROM:<ada@home.example>\r\n");
            }
            script.step(Step::Send(b"STARTTLS\r\n".to_vec()));
        }
        script.step(Step::Tls);
        script.send("EHLO me.example\r\n");
        script
    }
}

/// Recipients, some of whom do not exist.
fn recipients(desk: &mut Desk) -> Vec<&'static str> {
    (0..=desk.below(3))
        .map(|_| match desk.one_in(5) {
            true => Town::bad_address(&mut desk.chance),
            false => Town::good_address(&mut desk.chance),
        })
        .collect()
}

/// A body like no other, with dots where they hurt. At most 12,000 octets.
fn body(desk: &mut Desk, number: u64, part: u64) -> String {
    let mut text = format!("Subject: {number}.{part}\r\nX-Noise: {:x}\r\n\r\n", desk.chance.u64());
    let lines = desk.pick(&[0, 1, 3, 10, 100]).unwrap_or(0);
    for _ in 0..lines {
        text.push_str(
            desk.pick(&[
                ".\r\n",
                "..\r\n",
                "\r\n",
                ".dot in front\r\n",
                "QUIT\r\n",
                "text of no weight\r\n",
                ".. .\r\n",
            ])
            .unwrap_or_default(),
        );
        if lines == 100 {
            text.push_str(&"x".repeat(60 + desk.below(40)));
            text.push_str("\r\n");
        }
    }
    text
}

/// As it is sent: a dot in front of each dot, and the end behind it.
fn stuffed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at_line_start = true;
    for octet in body {
        if at_line_start && *octet == b'.' {
            out.push(b'.');
        }
        out.push(*octet);
        at_line_start = *octet == b'\n';
    }
    out.extend_from_slice(b".\r\n");
    out
}

fn far(desk: &mut Desk) -> &'static str {
    desk.pick(&["sender@far.example", "", "list-bounces@far.example"]).unwrap_or_default()
}

fn ending(desk: &mut Desk, script: &mut Script) {
    match desk.below(5) {
        0 => script.step(Step::Reset),
        1 => script.step(Step::HalfClose),
        // Simply falls silent.
        2 => {}
        _ => script.quit(),
    }
}

fn stranger(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("stranger", Listener::Smtp, desk.one_in(2));
    script.send(desk.pick(&["EHLO far.example\r\n", "HELO far.example\r\n"]).unwrap_or_default());
    for part in 0..=desk.below_u64(3) {
        let (from, to, body) = (far(desk), recipients(desk), body(desk, number, part));
        script.transaction(from, &to, &body);
        if desk.one_in(4) {
            script.send(desk.pick(&["RSET\r\n", "NOOP\r\n", "VRFY ada\r\n", "HELP\r\n"]).unwrap_or_default());
        }
    }
    ending(desk, &mut script);
    script
}

fn encrypted_stranger(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("encrypted stranger", Listener::Smtp, false);
    script.send("EHLO far.example\r\n");
    if desk.one_in(3) {
        script.send("MAIL FROM:<before@far.example>\r\n");
        script.send("RCPT TO:<ada@home.example>\r\n");
    }
    script.step(Step::Send(b"STARTTLS\r\n".to_vec()));
    script.step(Step::Tls);
    if desk.one_in(3) {
        // Refused: whatever was said in the clear is forgotten.
        script.send("RCPT TO:<ben@home.example>\r\n");
        script.send("MAIL FROM:<again@far.example>\r\n");
    }
    script.send("EHLO far.example\r\n");
    let (from, to, body) = (far(desk), recipients(desk), body(desk, number, 0));
    script.transaction(from, &to, &body);
    ending(desk, &mut script);
    script
}

fn submitter(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::on_submission(desk, "submitter");
    let who = desk.town.right_login(&mut desk.chance);
    if desk.one_in(4) {
        let wrong = desk.town.wrong_login(&mut desk.chance);
        script.login(desk, &wrong);
    }
    script.login(desk, &who);
    for part in 0..=desk.below_u64(2) {
        let from = if desk.one_in(5) { "ben@home.example".to_owned() } else { who.login.clone() };
        let (to, body) = (recipients(desk), body(desk, number, part));
        script.transaction(&from, &to, &body);
    }
    ending(desk, &mut script);
    script
}

fn guesser(desk: &mut Desk, _: u64) -> Script {
    let mut script = Script::on_submission(desk, "guesser");
    for _ in 0..=desk.below(4) {
        let mut who = desk.town.wrong_login(&mut desk.chance);
        if desk.one_in(6) {
            // Somebody's password for somebody else's name, or a password nobody could have set.
            who.password = desk.town.right_login(&mut desk.chance).password.repeat(1 + 60 * desk.below(2));
            who.login = "dis@home.example".into();
        }
        script.login(desk, &who);
        if desk.one_in(6) {
            script.send("AUTH LOGIN\r\n");
            script.step(Step::Await);
            script.send(desk.pick(&["*\r\n", "not base64!\r\n"]).unwrap_or_default());
        }
    }
    ending(desk, &mut script);
    script
}

fn stopped_owner(desk: &mut Desk, _: u64) -> Script {
    let mut script = Script::on_submission(desk, "stopped owner");
    let who = desk.town.stopped_login(&mut desk.chance);
    script.login(desk, &who);
    ending(desk, &mut script);
    script
}

/// Sends a whole session without a look at the replies.
fn blind_bot(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("blind bot", Listener::Smtp, true);
    script.steps.clear();
    let mut all = b"EHLO bot.example\r\n".to_vec();
    for part in 0..=desk.below_u64(3) {
        all.extend_from_slice(format!("MAIL FROM:<{}>\r\n", far(desk)).as_bytes());
        for recipient in recipients(desk) {
            all.extend_from_slice(format!("RCPT TO:<{recipient}>\r\n").as_bytes());
        }
        all.extend_from_slice(b"DATA\r\n");
        all.extend(stuffed(body(desk, number, part).as_bytes()));
    }
    if desk.one_in(2) {
        all.extend_from_slice(b"QUIT\r\n");
    }
    script.step(Step::Send(all));
    match desk.below(3) {
        0 => script.step(Step::HalfClose),
        1 => script.step(Step::Await),
        _ => {}
    }
    script
}

/// Sends an octet, waits, sends the next.
fn trickler(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("trickler", Listener::Smtp, false);
    let gap = desk.between(500, 20_000);
    for octet in
        format!("EHLO slow.example\r\nMAIL FROM:<>\r\nRCPT TO:<ada@home.example>\r\nNOOP {number}").bytes()
    {
        script.step(Step::Send(vec![octet]));
        script.step(Step::Pause(gap));
    }
    script
}

fn noise(desk: &mut Desk, _: u64) -> Script {
    let listener = desk.pick(&[Listener::Smtp, Listener::Submission]).unwrap_or(Listener::Smtp);
    let mut script = Script::new("noise", listener, true);
    for _ in 0..desk.between(1, 30) {
        desk.fault(Fault::Garbage);
        let line = match desk.below(8) {
            0 => b"MAIL FROM:<\0@x>\r\n".to_vec(),
            1 => vec![b'A'; 1 + desk.below(20_000)],
            2 => b"RCPT TO:<ada@home.example>\r\n".to_vec(),
            3 => b"BDAT 7 LAST\r\nQUIT\r\nx".to_vec(),
            4 => b"EHLO a\nMAIL FROM:<>\r\n".to_vec(),
            5 => b"\r\n".to_vec(),
            6 => format!("BDAT {} LAST\r\n", desk.below_u64(50_000)).into_bytes(),
            _ => (0..desk.between(1, 80)).flat_map(|_| desk.chance.octets().into_iter().take(1)).collect(),
        };
        script.step(Step::Send(line));
    }
    script.step(Step::Send(b"\r\n".to_vec()));
    ending(desk, &mut script);
    script
}

/// Bodies that some servers take for two.
fn smuggler(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("smuggler", Listener::Smtp, false);
    script.send("EHLO far.example\r\n");
    let end = desk
        .pick(&["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n\n.\r\r\n", "\r\n\0.\r\n"])
        .unwrap_or_default();
    let inner = format!(
        "MAIL FROM:<boss@home.example>\r\nRCPT TO:<ada@home.example>\r\nDATA\r\nSubject: smuggled {number}\r\n\r\nx\r\n"
    );
    let body = format!("Subject: outer {number}\r\n\r\ntext{end}{inner}");
    desk.fault(Fault::SmugglingTried);
    if desk.one_in(3) {
        script.chunked(desk, "outer@far.example", &["ben@home.example"], "", body.as_bytes());
    } else {
        script.mail("outer@far.example", &["ben@home.example"], "");
        script.send("DATA\r\n");
        let mut sent = body.into_bytes();
        sent.extend_from_slice(b".\r\n");
        script.step(Step::Body(sent));
    }
    script.step(Step::Await);
    let rest = self::body(desk, number, 1);
    script.transaction("after@far.example", &["ada@home.example"], &rest);
    script.quit();
    script
}

/// Falls silent inside a body, for a while or for good.
fn pauser(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("pauser", Listener::Smtp, false);
    script.send("EHLO slow.example\r\n");
    script.mail("slow@far.example", &["team@home.example"], "");
    script.send("DATA\r\n");
    let sent = stuffed(body(desk, number, 0).as_bytes());
    let (first, second) = sent.split_at_checked(1 + desk.below(sent.len())).unwrap_or((&sent, &[]));
    desk.fault(Fault::BodyPaused);
    let pause = desk.pick(&[IDLE_MS / 2, IDLE_MS - 20_000, IDLE_MS + 5_000]).unwrap_or(IDLE_MS);
    script.step(Step::Body(first.to_vec()));
    script.step(Step::Pause(pause));
    script.step(Step::Send(second.to_vec()));
    script.step(Step::Await);
    ending(desk, &mut script);
    script
}

fn chunker(desk: &mut Desk, number: u64) -> Script {
    let mut script = Script::new("chunker", Listener::Smtp, desk.one_in(2));
    script.send("EHLO far.example\r\n");
    for part in 0..=desk.below_u64(3) {
        let (from, to) = (far(desk), recipients(desk));
        let mut octets = body(desk, number, part).into_bytes();
        let mut parameters = "";
        if desk.one_in(3) {
            parameters = " BODY=BINARYMIME";
            octets.extend_from_slice(b"\0\r\xff\n.\r\n");
        }
        if desk.one_in(5) {
            // Too big by a little, or so much that the session ends.
            octets.resize(
                super::server::MESSAGE_OCTETS_MAX + 1 + desk.below(super::server::MESSAGE_OCTETS_MAX),
                b'x',
            );
        }
        if desk.one_in(6) {
            // In a wrong place: its octets are taken and are no commands.
            script.step(Step::Send(b"BDAT 10 LAST\r\nRSET\r\nQUIT".to_vec()));
            script.step(Step::Await);
        }
        script.chunked(desk, from, &to, parameters, &octets);
        if desk.one_in(5) {
            script.send("RSET\r\n");
        }
    }
    ending(desk, &mut script);
    script
}

/// Asks for more than it reads.
fn deaf_flooder(desk: &mut Desk, _: u64) -> Script {
    let mut script = Script::new("deaf flooder", Listener::Smtp, true);
    script.step(Step::Deaf);
    desk.fault(Fault::PeerDeaf);
    let times = usize::try_from(desk.between(80, 130)).unwrap_or(20);
    script.step(Step::Send(b"EHLO flood.example\r\n".repeat(times)));
    script.step(Step::Pause(desk.pick(&[1_000, IDLE_MS / 2, 2 * IDLE_MS]).unwrap_or(1_000)));
    script.step(Step::Listen);
    script.step(Step::Await);
    ending(desk, &mut script);
    script
}

/// Puts commands behind STARTTLS, hoping that they are taken for encrypted ones.
fn injector(desk: &mut Desk, number: u64) -> Script {
    let listener = desk.pick(&[Listener::Smtp, Listener::Submission]).unwrap_or(Listener::Smtp);
    let mut script = Script::new("injector", listener, false);
    script.send("EHLO far.example\r\n");
    let behind = desk.pick(&["NOOP\r\n", "EHLO a\r\nMAIL FROM:<x@y.example>\r\n", "R"]).unwrap_or_default();
    script.step(Step::Send(format!("STARTTLS\r\n{behind}").into_bytes()));
    script.step(Step::Tls);
    script.send("EHLO far.example\r\n");
    let body = body(desk, number, 0);
    script.transaction("x@far.example", &["ada@home.example"], &body);
    script
}

fn other_protocol(desk: &mut Desk, _: u64) -> Script {
    let mut script = Script::new("other protocol", Listener::Smtp, true);
    script.steps.clear();
    desk.fault(Fault::Garbage);
    let octets: &[u8] = desk
        .pick(&[
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"GET / HTTP/1.1\r\nHost: mail.example\r\n\r\n",
            b"\x03\x00\x00\x13\x0e\xe0\x00\x00",
            b"SSH-2.0-Go\r\n",
            b"\x05\x01\x00",
        ])
        .unwrap_or_default();
    script.step(Step::Send(octets.to_vec()));
    script
}

/// Says something every few minutes, for longer than a session may last.
fn lingerer(desk: &mut Desk, _: u64) -> Script {
    let mut script = Script::new("lingerer", Listener::Smtp, false);
    script.send("EHLO far.example\r\n");
    for _ in 0..desk.between(5, 20) {
        script.step(Step::Pause(IDLE_MS - 60_000));
        script.send("NOOP\r\n");
    }
    script
}
