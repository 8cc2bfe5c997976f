//! The sorts of clients: the well-behaved, the slow, the broken and the hostile.

use super::census::Fault;
use super::desk::Desk;
use super::script::{self, Script, Step, body, ending, far, recipients, stuffed};
use super::server::MESSAGE_OCTETS_MAX;
use crate::contract::Listener;
use crate::limits::IDLE_MS;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// Where an owner lives; anybody else lives with strangers.
pub(super) fn home_of(login: &str) -> IpAddr {
    match login.get(..3).unwrap_or_default().to_ascii_lowercase().as_str() {
        "ada" => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        "ben" => IpAddr::V4(Ipv4Addr::new(100, 64, 1, 10)),
        "cyd" => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xc1d, 0x100, 0, 0, 0, 1)),
        "dis" => IpAddr::V4(Ipv4Addr::new(100, 64, 2, 10)),
        "gus" => IpAddr::V4(Ipv4Addr::new(100, 64, 3, 10)),
        _ => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 250)),
    }
}

/// Addresses of few networks, so that some neighbours crowd each other.
pub(super) fn address_of(number: usize) -> IpAddr {
    let host = u8::try_from(number % 200).unwrap_or(0);
    match number % 3 {
        0 => IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)),
        1 => IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host))),
    }
}

/// A client of some sort. `number` makes its messages unlike all others.
pub(super) fn any(desk: &mut Desk, number: u64) -> Script {
    let sort = desk.pick(&SORTS).unwrap_or(stranger);
    sort(desk, number)
}

/// A stranger who sends one message as one should, after everything else.
pub(super) fn fresh_stranger(number: u64) -> Script {
    let mut script = Script::new("fresh stranger", Listener::Smtp, false);
    script.from = Some(IpAddr::V4(Ipv4Addr::new(192, 88, 7, 98)));
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
    script.from = Some(IpAddr::V4(Ipv4Addr::new(192, 88, 7, 99)));
    script.step(Step::Tls);
    script.send("EHLO fresh.example\r\n");
    script.plain(&who);
    script.transaction(&who.login, &["ada@home.example"], &format!("Subject: fresh {number}\r\n\r\nhi\r\n"));
    script.quit();
    script
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
    script.from = (!desk.one_in(4)).then(|| home_of(&who.login));
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
    let rest = script::body(desk, number, 1);
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
            octets.resize(MESSAGE_OCTETS_MAX + 1 + desk.below(MESSAGE_OCTETS_MAX), b'x');
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
