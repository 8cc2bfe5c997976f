//! Hostile clients after what logs show: each does again and again what somebody did to a real server.

use super::actors::home_of;
use super::census::Fault;
use super::desk::Desk;
use super::script::{Script, Step, ending};
use super::town::Credentials;
use crate::contract::Listener;
use base64ct::{Base64, Encoding};
use std::net::{IpAddr, Ipv4Addr};

/// On the deny-list of every world.
pub(super) const DENIED: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 66, 6));
/// Names that bots try, whether or not they exist.
const NAMES: [&str; 8] = [
    "ada@home.example",
    "info@home.example",
    "admin@home.example",
    "ben@home.example",
    "scanner@home.example",
    "nop@home.example",
    "test",
    "dis@home.example",
];

/// Several clients of one sort come together.
pub(super) type Gang = fn(&mut Desk) -> Vec<Script>;

/// All sorts.
pub(super) const GANGS: [Gang; 19] = [
    rset_first,
    rotation,
    rotation,
    parallel,
    alternation,
    early_talker,
    http_post,
    tls_hello,
    relay_probe,
    harvester,
    auth_flood,
    auth_on_smtp,
    reconnecting,
    denied,
    stubborn,
    stubborn,
    besieged,
    besieged,
    besieged,
];

fn bot(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, number))
}

fn base64(text: &str) -> String {
    Base64::encode_string(text.as_bytes())
}

fn name(desk: &mut Desk) -> &'static str {
    desk.pick(&NAMES).unwrap_or("test")
}

/// A guess by AUTH LOGIN with the name in the command, or not.
fn guess_login(desk: &mut Desk, script: &mut Script, name: &str) {
    let password = desk.town.wrong_login(&mut desk.chance).password;
    if desk.one_in(2) {
        script.send(&format!("AUTH LOGIN {}\r\n", base64(name)));
    } else {
        script.send("AUTH LOGIN\r\n");
        script.step(Step::Await);
        script.send(&format!("{}\r\n", base64(name)));
    }
    script.step(Step::Await);
    script.send(&format!("{}\r\n", base64(&password)));
    script.step(Step::Await);
}

fn guess_plain(desk: &mut Desk, script: &mut Script, name: &str) {
    let password = desk.town.wrong_login(&mut desk.chance).password;
    script.send(&format!("AUTH PLAIN {}\r\n", base64(&format!("\0{name}\0{password}"))));
    script.step(Step::Await);
}

fn guesser_at(desk: &mut Desk, sort: &'static str, from: IpAddr) -> Script {
    let mut script = Script::on_submission(desk, sort);
    script.from = Some(from);
    script
}

/// RSET before each AUTH LOGIN, as the bots that say EHLO User.
fn rset_first(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Bot);
    let from = bot(20);
    let mut all = Vec::new();
    for _ in 0..desk.between(1, 4) {
        let mut script = guesser_at(desk, "RSET-first bot", from);
        for _ in 0..desk.between(1, 4) {
            script.send("RSET\r\n");
            let name = name(desk);
            guess_login(desk, &mut script, name);
        }
        ending(desk, &mut script);
        all.push(script);
    }
    all
}

/// One guess for each of many addresses of one /24; or of the /24 that an owner lives in.
fn rotation(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Rotation);
    let name = name(desk);
    let near_home = desk.one_in(2);
    let many = desk.between(6, 16);
    (0..many)
        .map(|number| {
            let host = 30 + u8::try_from(number).unwrap_or(0);
            let from = if near_home { neighbour(name, host) } else { bot(host) };
            let mut script = guesser_at(desk, "rotating bot", from);
            guess_plain(desk, &mut script, name);
            script.quit();
            script
        })
        .collect()
}

/// Another address of an owner's network.
fn neighbour(name: &str, host: u8) -> IpAddr {
    match home_of(name) {
        IpAddr::V4(home) => {
            let [a, b, c, _] = home.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, host))
        }
        IpAddr::V6(home) => {
            let mut segments = home.segments();
            if let Some(last) = segments.get_mut(3) {
                *last ^= u16::from(host);
            }
            IpAddr::from(segments)
        }
    }
}

/// Six sessions side by side, from one address; sometimes the one that an owner has too.
fn parallel(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Parallel);
    let name = name(desk);
    let from = if desk.one_in(2) { home_of(name) } else { bot(60) };
    (0..6)
        .map(|_| {
            let mut script = guesser_at(desk, "parallel bot", from);
            for _ in 0..desk.between(1, 3) {
                guess_login(desk, &mut script, name);
            }
            script
        })
        .collect()
}

/// PLAIN and LOGIN in turns.
fn alternation(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Bot);
    let mut script = guesser_at(desk, "alternating bot", bot(61));
    for _ in 0..desk.between(2, 5) {
        let name = name(desk);
        guess_plain(desk, &mut script, name);
        guess_login(desk, &mut script, name);
    }
    vec![script]
}

/// Talks before it is greeted; again, once it is slowed for that.
fn early_talker(desk: &mut Desk) -> Vec<Script> {
    let from = bot(70);
    (0..desk.between(2, 4))
        .map(|_| {
            desk.fault(Fault::EarlyTalk);
            let mut script = Script::new("early talker", Listener::Smtp, true);
            script.from = Some(from);
            script.steps.clear();
            script.step(Step::Send(b"EHLO early.example\r\nMAIL FROM:<a@far.example>\r\n".to_vec()));
            script.step(Step::Send(b"RCPT TO:<nobody@elsewhere.example>\r\n".to_vec()));
            script.step(Step::Await);
            script.quit();
            script
        })
        .collect()
}

/// A POST, for an open proxy.
fn http_post(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::OtherProtocol);
    let mut script = Script::new("HTTP POST", Listener::Smtp, true);
    script.from = Some(bot(71));
    script.steps.clear();
    let body = "EHLO x\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<ada@home.example>\r\nDATA\r\n";
    let head = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    script.step(Step::Send(format!("{head}{body}").into_bytes()));
    vec![script]
}

/// TLS where none is spoken yet, and none where it is.
fn tls_hello(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::OtherProtocol);
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".to_vec();
    [(Listener::Smtp, hello), (Listener::Submissions, b"EHLO x\r\n".to_vec())]
        .into_iter()
        .map(|(listener, octets)| {
            let mut script = Script::new("wrong layer", listener, true);
            script.from = Some(bot(72));
            script.steps.clear();
            script.step(Step::Send(octets));
            script
        })
        .collect()
}

/// Wants mail carried elsewhere.
fn relay_probe(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::RelayTried);
    let mut script = Script::new("relay probe", Listener::Smtp, desk.one_in(2));
    script.from = Some(bot(73));
    script.send("EHLO [127.0.0.1]\r\n");
    for recipient in [
        "probe@elsewhere.example",
        "probe%elsewhere.example@home.example",
        "@home.example:probe@elsewhere.example",
    ] {
        script.send("RSET\r\n");
        script.mail("spameri@tiscali.example", &[recipient], "");
        script.send("DATA\r\n");
        script.step(Step::Await);
    }
    ending(desk, &mut script);
    vec![script]
}

/// Asks who is there.
fn harvester(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Harvest);
    let mut script = Script::new("harvester", Listener::Smtp, desk.one_in(2));
    script.from = Some(bot(74));
    script.send("EHLO harvest.example\r\n");
    script.send("MAIL FROM:<>\r\n");
    for number in 0..desk.between(5, 30) {
        match desk.below(3) {
            0 => script.send(&format!("VRFY user{number}\r\n")),
            1 => script.send("RCPT TO:<ada@home.example>\r\n"),
            _ => script.send(&format!("RCPT TO:<user{number}@home.example>\r\n")),
        }
    }
    ending(desk, &mut script);
    vec![script]
}

/// Many wrong passwords at once, in one write, without a look at the replies.
fn auth_flood(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::AuthFlood);
    let from = bot(75);
    (0..desk.between(1, 3))
        .map(|_| {
            let mut script = Script::new("AUTH flood", Listener::Submissions, true);
            script.from = Some(from);
            script.step(Step::Tls);
            let mut all = "EHLO flood\r\n".to_owned();
            for _ in 0..desk.between(5, 20) {
                let name = name(desk);
                let password = desk.town.wrong_login(&mut desk.chance).password;
                all.push_str(&format!("AUTH PLAIN {}\r\n", base64(&format!("\0{name}\0{password}"))));
            }
            script.step(Step::Send(all.into_bytes()));
            script.step(Step::Await);
            script
        })
        .collect()
}

/// AUTH on port 25, where there is none.
fn auth_on_smtp(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Bot);
    let mut script = Script::new("AUTH on 25", Listener::Smtp, desk.one_in(2));
    script.from = Some(bot(76));
    script.send("EHLO User\r\n");
    for _ in 0..desk.between(1, 6) {
        script.send("AUTH LOGIN\r\n");
        script.step(Step::Await);
    }
    ending(desk, &mut script);
    vec![script]
}

/// Connects and is gone, again and again.
fn reconnecting(desk: &mut Desk) -> Vec<Script> {
    (0..desk.between(8, 16))
        .map(|_| {
            desk.fault(Fault::Reconnected);
            let mut script = Script::new("reconnecting bot", Listener::Smtp, true);
            script.from = Some(bot(77));
            script.steps.clear();
            script.step(Step::Reset);
            script
        })
        .collect()
}

/// Comes from an address that the administrator does not want.
fn denied(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Denied);
    let mut script = Script::new("denied host", Listener::Smtp, false);
    script.from = Some(DENIED);
    script.transaction("a@far.example", &["ada@home.example"], "Subject: denied\r\n\r\nx\r\n");
    let mut other = guesser_at(desk, "denied guesser", DENIED);
    guess_plain(desk, &mut other, "ada@home.example");
    vec![script, other]
}

/// Comes back and guesses on, though it is refused at the door.
fn stubborn(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Bot);
    let from = bot(78);
    guesses_from(desk, from)
}

fn guesses_from(desk: &mut Desk, from: IpAddr) -> Vec<Script> {
    (0..desk.between(6, 10))
        .map(|number| {
            let mut script = guesser_at(desk, "stubborn bot", from);
            // The next one comes when this one is over.
            let pause = Step::Pause(number * 4_000);
            script.steps.push_front(pause);
            for _ in 0..3 {
                let name = name(desk);
                guess_plain(desk, &mut script, name);
            }
            script.quit();
            script
        })
        .collect()
}

/// A bot that sits in an owner's own machine, and the owner before it and behind it.
fn besieged(desk: &mut Desk) -> Vec<Script> {
    desk.fault(Fault::Besieged);
    let who = desk.town.right_login(&mut desk.chance);
    let home = home_of(&who.login);
    let mut all = vec![owner_at(desk, &who, home, 0)];
    all.extend(guesses_from(desk, home));
    for after in [20_000, 50_000] {
        all.push(owner_at(desk, &who, home, after));
    }
    all
}

fn owner_at(desk: &mut Desk, who: &Credentials, from: IpAddr, after: u64) -> Script {
    let mut script = guesser_at(desk, "besieged owner", from);
    script.steps.push_front(Step::Pause(after));
    script.login(desk, who);
    script.quit();
    script
}
