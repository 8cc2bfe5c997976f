//! What a line of Exim's says of a client.

use super::host::{self, Host};
use crate::import::scan;
use crate::import::{Step, What, Why};

/// What a line says.
#[derive(Debug)]
pub(super) enum Told {
    Nothing,
    Damaged(Why),
    Client(Refused),
}

/// A refusal, or what proves less than one.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) what: What,
    pub(super) weight: Weight,
    pub(super) host: Host,
    pub(super) login: Option<String>,
    pub(super) mechanism: Option<String>,
    pub(super) steps: Vec<Step>,
    /// How long the session was, as far as the line says.
    pub(super) seconds: i64,
}

/// What a line weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// A try.
    Refusal,
    /// A try only if nothing was told of its client in the same session.
    Consequence,
    /// Known already: later lines are consequences of it, and it is no try itself.
    Refused,
    /// A name that does not resolve; a try only if it comes again.
    Nameless,
}

/// Whether a line that tells nothing, or is damaged, still looks like Exim's.
pub(super) fn is_known(message: &str) -> bool {
    const STARTS: [&str; 12] = [
        "SMTP ",
        "no MAIL in SMTP",
        "no host name found",
        "no IP address found",
        "H=",
        "F=",
        "<= ",
        "=> ",
        "-> ",
        "Start queue run",
        "End queue run",
        "TLS error on connection from",
    ];
    STARTS.iter().any(|start| message.starts_with(start)) || message.contains(" authenticator failed for ")
}

pub(super) fn read(message: &str) -> Told {
    if let Some((driver, rest)) = message.split_once(" authenticator failed for ")
        && !driver.is_empty()
        && !driver.contains(' ')
    {
        return authenticator(driver, rest);
    }
    let starts: [(&str, Read); 9] = [
        ("SMTP protocol error in \"", protocol_error),
        ("SMTP syntax error in \"", protocol_error),
        ("SMTP protocol synchronization error (", synchronization),
        ("SMTP call from ", dropped_call),
        ("SMTP connection from ", connection),
        ("no MAIL in SMTP connection from ", no_mail),
        ("no host name found for IP address ", no_name),
        ("no IP address found for host ", no_address),
        ("refused connection from ", refused_connection),
    ];
    for (start, read) in starts {
        if let Some(rest) = message.strip_prefix(start) {
            return read(rest);
        }
    }
    if message.starts_with("SA: Action: ") {
        return spam(message);
    }
    if message.starts_with("H=") || message.starts_with("F=") {
        return acl(message);
    }
    if let Some(rest) = message.strip_prefix("rejected ") {
        return bare_rejection(rest);
    }
    Told::Nothing
}

/// Reads what follows a beginning.
type Read = fn(&str) -> Told;

fn client(what: What, weight: Weight, host: Host) -> Refused {
    let mut steps = Vec::new();
    if let Some(helo) = &host.helo {
        steps.push(Step::Ehlo(helo.clone()));
    }
    Refused { what, weight, host, login: None, mechanism: None, steps, seconds: 2 }
}

fn told(what: What, weight: Weight, text: &str) -> Told {
    match host::read(text) {
        Some((host, _)) => Told::Client(client(what, weight, host)),
        None => Told::Damaged(Why::NoAddress),
    }
}

/// `DRIVER authenticator failed for HOST: 535 Incorrect authentication data (set_id=LOGIN)`.
fn authenticator(driver: &str, rest: &str) -> Told {
    let Some((host, after)) = host::read(rest) else { return Told::Damaged(Why::NoAddress) };
    let Some(reply) = after.strip_prefix(": ") else { return Told::Damaged(Why::Cut) };
    // Exim has one text for a refusal. With another a client's name ends early here, and it names two clients.
    if !reply.starts_with("535 Incorrect authentication data") && reply.contains(") [") {
        return Told::Damaged(Why::Ambiguous);
    }
    let weight = match reply.get(..3) {
        Some("535" | "534" | "538" | "553" | "504" | "503") => Weight::Refusal,
        // Bad base64 is a refusal, an exchange taken back is none.
        Some("501") if reply.starts_with("501 Invalid base64") => Weight::Refusal,
        Some(_) => return Told::Client(client(What::Login, Weight::Refused, host)),
        None => return Told::Damaged(Why::Cut),
    };
    let mut read = client(What::Login, weight, host);
    read.mechanism = mechanism(driver);
    if let Some((_, set_id)) = reply.split_once("(set_id=") {
        read.login = set_id.rsplit_once(')').and_then(|(login, _)| scan::login(login));
    }
    Told::Client(read)
}

/// The mechanism that the name of an authenticator tells: `dovecot_login`, `auth_plain`, `cram_md5_server`.
fn mechanism(driver: &str) -> Option<String> {
    let lower = driver.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(['_', '-', '.']).collect();
    let known = [
        ("plain", "PLAIN"),
        ("login", "LOGIN"),
        ("cram", "CRAM-MD5"),
        ("ntlm", "NTLM"),
        ("spa", "NTLM"),
        ("gssapi", "GSSAPI"),
        ("external", "EXTERNAL"),
        ("oauthbearer", "OAUTHBEARER"),
        ("xoauth2", "XOAUTH2"),
        ("scram", "SCRAM-SHA-1"),
    ];
    let found = known.iter().find(|(word, _)| {
        words.iter().any(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()) == *word)
    });
    let joined = known.iter().find(|(word, _)| lower.starts_with(word) || lower.ends_with(word));
    let (_, name) = found.or(joined)?;
    if *name == "SCRAM-SHA-1" && lower.contains("256") {
        return Some("SCRAM-SHA-256".to_owned());
    }
    Some((*name).to_owned())
}

/// `COMMAND" H=HOST WHY`: the command is the client's text, the last ` H=` behind a quote is Exim's.
fn protocol_error(rest: &str) -> Told {
    let Some((command, host)) = rest.rsplit_once("\" H=") else { return Told::Damaged(Why::NoAddress) };
    let Some((host, why)) = host::read(host) else { return Told::Damaged(Why::NoAddress) };
    let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
    if verb != "AUTH" {
        return Told::Client(client(What::Garbage, Weight::Refusal, host));
    }
    if why.contains("already authenticated") {
        return Told::Nothing;
    }
    let mut read = client(What::AuthCommand, Weight::Refusal, host);
    let mut words = command.split(' ').skip(1);
    read.mechanism = words.next().and_then(scan::mechanism);
    if let Some(mechanism) = &read.mechanism {
        read.steps.push(Step::Auth(mechanism.clone(), words.next().is_some()));
    }
    Told::Client(read)
}

/// `…): rejected connection from H=HOST input="…"` or `…): rejected "COMMAND" H=HOST next input="…"`.
fn synchronization(rest: &str) -> Told {
    if let Some((_, host)) = rest.split_once("): rejected connection from ") {
        let Some((host, after)) = host::read(host) else { return Told::Damaged(Why::NoAddress) };
        let mut read = client(What::PreGreeting, Weight::Refusal, host);
        let input = after.trim_start().strip_prefix("input=\"").unwrap_or_default();
        read.steps = vec![spoken(input)];
        return Told::Client(read);
    }
    let Some((_, quoted)) = rest.split_once("): rejected \"") else { return Told::Damaged(Why::Cut) };
    let mut hosts = Vec::new();
    for (at, mark) in quoted.match_indices("\" H=") {
        let text = at.checked_add(mark.len()).and_then(|from| quoted.get(from..)).unwrap_or_default();
        if let Some((host, after)) = host::read(text)
            && after.starts_with(" next input=\"")
        {
            hosts.push(host);
        }
    }
    let Some(host) = hosts.pop() else { return Told::Damaged(Why::NoAddress) };
    if hosts.iter().any(|other| other.address != host.address) {
        return Told::Damaged(Why::Ambiguous);
    }
    Told::Client(client(What::Pipelining, Weight::Refusal, host))
}

fn spoken(input: &str) -> Step {
    let word = input.split([' ', '\\']).next().unwrap_or_default().to_ascii_uppercase();
    let name =
        input.split_once(' ').map_or("", |(_, name)| name.split(['\\', '"']).next().unwrap_or_default());
    match word.as_str() {
        "GET" | "POST" | "HEAD" | "OPTIONS" | "PUT" | "CONNECT" => Step::Http,
        "EHLO" => Step::Ehlo(name.to_owned()),
        "HELO" => Step::Helo(name.to_owned()),
        _ if input.starts_with("\\026\\003") || input.starts_with("\\x16\\x03") => Step::TlsHello,
        _ => Step::Unknown,
    }
}

/// `HOST dropped: too many …`.
fn dropped_call(rest: &str) -> Told {
    let Some((host, after)) = host::read(rest) else { return Told::Damaged(Why::NoAddress) };
    let Some(why) = after.strip_prefix(" dropped: too many ") else { return Told::Nothing };
    let mut read = client(What::TooManyErrors, Weight::Refusal, host);
    if why.starts_with("unrecognized") {
        read.steps.push(Step::Unknown);
    }
    if why.contains("(last command was \"AUTH ") || why.contains("(last was \"AUTH ") {
        read.steps.push(Step::Auth("LOGIN".to_owned(), false));
    }
    Told::Client(read)
}

/// `HOST closed by DROP in ACL`; every other end of a connection is none of ours.
fn connection(rest: &str) -> Told {
    let closed = rest.contains(" closed by DROP in ACL");
    match host::read(rest) {
        Some((host, after)) if after.starts_with(" closed by DROP in ACL") => {
            Told::Client(client(What::Client, Weight::Consequence, host))
        }
        Some(_) => Told::Nothing,
        None if closed => Told::Damaged(Why::NoAddress),
        None => Told::Nothing,
    }
}

/// `HOST D=21s C=EHLO,STARTTLS`.
fn no_mail(rest: &str) -> Told {
    let Some((host, after)) = host::read(rest) else { return Told::Damaged(Why::NoAddress) };
    let mut read = client(What::HungUp, Weight::Consequence, host);
    let field = |key: &str| after.split(' ').find_map(|word| word.strip_prefix(key));
    read.seconds = field("D=").map_or(2, duration);
    let commands = field("C=").unwrap_or_default();
    if commands.split(',').any(|command| command == "AUTH") {
        read.what = What::AuthCommand;
    }
    read.steps = commands.split(',').filter_map(|command| step(command, read.host.helo.as_deref())).collect();
    Told::Client(read)
}

fn step(command: &str, name: Option<&str>) -> Option<Step> {
    let name = name.unwrap_or_default().to_owned();
    Some(match command {
        "EHLO" => Step::Ehlo(name),
        "HELO" => Step::Helo(name),
        "STARTTLS" => Step::StartTls,
        "AUTH" => Step::Auth("LOGIN".to_owned(), false),
        "RSET" => Step::Rset,
        "NOOP" => Step::Noop,
        "VRFY" => Step::Vrfy,
        "EXPN" => Step::Expn,
        "QUIT" => Step::Quit,
        "" => return None,
        _ => Step::Unknown,
    })
}

/// `1h2m42s`, `0.349s`; in whole seconds, rounded up.
fn duration(text: &str) -> i64 {
    let mut total: i64 = 0;
    let mut number: i64 = 0;
    let mut fraction = false;
    for letter in text.chars() {
        let unit = match letter {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            '.' => {
                fraction = true;
                continue;
            }
            other => {
                let digit = other.to_digit(10).map_or(0, i64::from);
                if !fraction {
                    number = number.saturating_mul(10).saturating_add(digit);
                }
                continue;
            }
        };
        total = total.saturating_add(number.saturating_mul(unit)).saturating_add(i64::from(fraction));
        number = 0;
    }
    total
}

/// `ADDRESS`, alone.
fn no_name(rest: &str) -> Told {
    match scan::address(rest.trim_end()) {
        Some(address) => Told::Client(client(What::Client, Weight::Nameless, bare(address))),
        None => Told::Damaged(Why::NoAddress),
    }
}

fn bare(address: std::net::IpAddr) -> Host {
    Host { address, port: None, helo: None, door: None }
}

/// `NAME (during SMTP connection from HOST)`.
fn no_address(rest: &str) -> Told {
    match rest.split_once(" (during SMTP connection from ").and_then(|(_, host)| host.strip_suffix(')')) {
        Some(host) => told(What::Client, Weight::Nameless, host),
        None => Told::Nothing,
    }
}

/// `HOST (host_reject_connection)`.
fn refused_connection(rest: &str) -> Told {
    match host::read(rest) {
        Some((host, after)) if after.starts_with(" (host_reject_connection)") => {
            Told::Client(client(What::Client, Weight::Refusal, host))
        }
        Some(_) => Told::Nothing,
        None => Told::Damaged(Why::NoAddress),
    }
}

/// `SA: Action: … From <SENDER> (host=NAME [ADDRESS]) for RECIPIENT`.
fn spam(message: &str) -> Told {
    let Some((_, host)) = message.rsplit_once(" (host=") else { return Told::Nothing };
    let refused =
        ["flagged as Spam", "silently tossed", "permanently rejected", "temporarily rejected", "teergrubed"];
    let action = message.strip_prefix("SA: Action: ").unwrap_or_default();
    if !refused.iter().any(|word| action.starts_with(word)) {
        return Told::Nothing;
    }
    told(What::Message, Weight::Refusal, host)
}

/// `H=HOST … rejected RCPT <…>: …` and `F=… H=HOST … rejected …`.
fn acl(message: &str) -> Told {
    let Some(text) = at_host(message) else { return looks_refused(message) };
    let Some((host, after)) = host::read(text) else { return looks_refused(message) };
    let Some((weight, what)) = verdict(after) else { return Told::Nothing };
    let mut read = client(what, weight, host);
    match what {
        What::Recipient | What::Relay => read.steps.extend([Step::Mail, Step::Rcpt]),
        What::Sender => read.steps.push(Step::Mail),
        What::Message => read.steps.extend([Step::Mail, Step::Rcpt, Step::Data]),
        What::Verify => read.steps.push(Step::Vrfy),
        What::Login
        | What::AuthCommand
        | What::Greeting
        | What::Client
        | What::PreGreeting
        | What::Pipelining
        | What::Garbage
        | What::TooManyErrors
        | What::Rate
        | What::Timeout
        | What::HungUp
        | What::Tls => {}
    }
    Told::Client(read)
}

fn looks_refused(message: &str) -> Told {
    if message.contains(" rejected ") { Told::Damaged(Why::NoAddress) } else { Told::Nothing }
}

/// From `H=` on; an envelope sender may stand in front, without a space in it or in angle brackets.
fn at_host(message: &str) -> Option<&str> {
    if message.starts_with("H=") {
        return Some(message);
    }
    let (sender, rest) = message.strip_prefix("F=")?.split_once(" H=")?;
    (!sender.contains(' ')).then_some(rest)
}

/// What follows the client: fields of Exim's (`X=…`, `P=…`, `CV=…`), perhaps `F=<…>`, and the verdict.
fn verdict(after: &str) -> Option<(Weight, What)> {
    let mut rest = after;
    loop {
        rest = rest.strip_prefix(' ')?;
        if let Some(sender) = rest.strip_prefix("F=") {
            // The sender is the client's: it ends where a verdict follows.
            let ends = ["> rejected ", "> temporarily rejected ", " rejected "];
            let end =
                ends.iter().filter_map(|end| sender.find(end).map(|at| (at, *end))).min_by_key(|(at, _)| *at);
            let (at, end) = end?;
            if end.contains("temporarily")
                || sender.get(..at).is_some_and(|before| before.ends_with(" temporarily"))
            {
                return None;
            }
            return rejected(sender.get(at.checked_add(end.len())?..)?);
        }
        if let Some(verdict) = rest.strip_prefix("rejected ") {
            return rejected(verdict);
        }
        if rest.starts_with("sender verify fail for ") {
            return Some((Weight::Refusal, What::Sender));
        }
        if rest.starts_with("dropped by ") {
            return Some((Weight::Consequence, What::Client));
        }
        let (key, value) = match rest.split_once('=') {
            Some((key, value)) if !key.contains(' ') => (key, value),
            // A flag without a value: `TFO`, `L*`.
            Some(_) | None => {
                let (flag, _) = rest.split_once(' ')?;
                let is_flag =
                    flag.len() <= 4 && flag.bytes().all(|octet| octet.is_ascii_uppercase() || octet == b'*');
                rest = rest.get(flag.len()..).filter(|_| is_flag)?;
                continue;
            }
        };
        let end = match value.strip_prefix('"').and_then(|inside| inside.find('"')) {
            Some(closing) => closing.checked_add(2)?,
            None => value.find(' ')?,
        };
        let next = value.get(end..)?;
        if !key.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
            return None;
        }
        rest = next;
    }
}

fn rejected(verdict: &str) -> Option<(Weight, What)> {
    let what = match verdict.split([' ', ':', '(']).next().unwrap_or_default() {
        "RCPT" if verdict.contains("elay") => What::Relay,
        "RCPT" if verdict.ends_with(": Sender verify failed") => {
            return Some((Weight::Consequence, What::Sender));
        }
        "RCPT" => What::Recipient,
        "MAIL" => What::Sender,
        "EHLO" | "HELO" => What::Greeting,
        "VRFY" | "EXPN" => What::Verify,
        "AUTH" => What::AuthCommand,
        "connection" => What::Client,
        "DATA" | "BDAT" | "after" | "by" | "during" => What::Message,
        _ => What::Garbage,
    };
    Some((Weight::Refusal, what))
}

/// `EHLO from HOST: syntactically invalid argument(s): …`, `MAIL from HOST: no HELO/EHLO given`, and ones without a
/// client.
fn bare_rejection(rest: &str) -> Told {
    let Some((verb, host)) = rest.split_once(" from ") else { return Told::Nothing };
    if verb.is_empty() || verb.contains(' ') {
        return Told::Nothing;
    }
    let what = match verb {
        "EHLO" | "HELO" => What::Greeting,
        "MAIL" => What::Sender,
        "connection" => What::Client,
        _ => What::Garbage,
    };
    told(what, Weight::Refusal, host)
}
