//! A mail program that is not ours, lettre, talks to the built binary through every door, and what it sent is
//! read back with the command line.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly, and has doors to the world"
)]

use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Message, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// What is added to the base of the ports.
const SMTP: u16 = 25;
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;
/// Port bases that are tried: below the ports that the system gives out, a new one for each server.
const BASES: std::ops::Range<u16> = 13_000..19_000;

/// A `localserve` of its own directory and ports; it ends with its test.
struct Server {
    root: TempDir,
    child: Child,
    /// Kept open, so that the server never finds its output closed.
    _out: BufReader<ChildStdout>,
    base: u16,
    password: String,
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.env_remove("GATEPOST_DIR");
    command
}

/// A base over which all three ports are free, and that no other test of this process was given.
fn free_base() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 997).unwrap();
    let all_free = |base: &u16| {
        [SMTP, SUBMISSION, SUBMISSIONS]
            .iter()
            .all(|port| TcpListener::bind(("127.0.0.1", base + port)).is_ok())
    };
    let bases = std::iter::repeat_with(|| {
        let offset = process.wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed) * 7);
        BASES.start + offset % (BASES.end - BASES.start)
    });
    bases.take(200).find(all_free).unwrap()
}

impl Server {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let base = free_base();
        let mut command = binary();
        command.args(["localserve", "--port-base", &base.to_string(), "--dir"]).arg(root.path().join("data"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Ctrl-C") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "it ended: {text}");
        }
        let word = |line: &str| line.trim().strip_prefix("password").map(|rest| rest.trim().to_owned());
        let password = text.lines().find_map(word).unwrap();
        Self { root, child, _out: out, base, password }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Standard output of a command on its data.
    fn cli(&self, line: &str, input: &[u8]) -> Vec<u8> {
        let mut command = binary();
        command.args(line.split_whitespace()).arg("--dir").arg(self.dir());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        output.stdout
    }

    fn listed(&self, account: &str) -> Vec<serde_json::Value> {
        let text = self.cli(&format!("mail list {account} --json"), b"");
        serde_json::from_slice(&text).unwrap()
    }

    /// The only message of an account.
    fn only_message(&self, account: &str) -> Vec<u8> {
        let rows = self.listed(account);
        assert_eq!(rows.len(), 1, "{rows:?}");
        let message = self.cli(&format!("mail show {account} {}", rows[0]["id"]), b"");
        assert_eq!(rows[0]["size"], message.len());
        message
    }

    /// Trusts the certificate the server made, and no other.
    fn trust(&self) -> TlsParameters {
        let pem = std::fs::read(self.dir().join("tls/certificate.pem")).unwrap();
        TlsParameters::builder("localhost".to_owned())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem).unwrap())
            .build()
            .unwrap()
    }

    fn client(&self, port: u16, tls: Tls) -> lettre::transport::smtp::SmtpTransportBuilder {
        SmtpTransport::builder_dangerous("127.0.0.1").port(self.base + port).tls(tls)
    }

    fn stranger(&self) -> SmtpTransport {
        self.client(SMTP, Tls::None).build()
    }

    /// A user's mail program on port 587 that insists on STARTTLS.
    fn user(&self, mechanism: Mechanism, password: &str) -> SmtpTransport {
        let credentials = Credentials::new("me@localhost".to_owned(), password.to_owned());
        let client = self.client(SUBMISSION, Tls::Required(self.trust()));
        client.credentials(credentials).authentication(vec![mechanism]).build()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(std::io::Error::from)
            .and_then(|()| self.child.wait());
        // A second panic while the first unwinds would hide it.
        if !std::thread::panicking() {
            assert_eq!(ended.unwrap().code(), Some(0));
        }
    }
}

/// Lines that begin with dots, a line of spaces, and umlauts.
const BODY: &str = ".\r\n..\r\n.hidden\r\n \r\nGr\u{fc}\u{df}e\r\n";

fn message(from: &str, to: &[&str]) -> Message {
    let mut builder = Message::builder().from(from.parse().unwrap()).subject("Gr\u{fc}\u{df}e");
    for one in to {
        builder = builder.to(one.parse().unwrap());
    }
    let part = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .header(ContentTransferEncoding::EightBit)
        .body(BODY.to_owned());
    builder.singlepart(part).unwrap()
}

/// Whether a message is kept as lettre sends it: it puts a CRLF of its own in front of the final dot.
fn is_kept(kept: &[u8], sent: &[u8]) -> bool {
    kept.strip_suffix(b"\r\n").is_some_and(|kept| kept.ends_with(sent))
}

/// The reply code with which something is refused.
fn refusal<T: std::fmt::Debug>(result: Result<T, lettre::transport::smtp::Error>) -> u16 {
    let error = result.unwrap_err();
    error.status().unwrap_or_else(|| panic!("no reply: {error:?}")).into()
}

#[test]
fn a_stranger_delivers_to_several_accounts_and_each_has_every_octet() {
    let server = Server::start();
    server.cli("account add ann@localhost", b"");
    let to = ["me@localhost", "ann@localhost", "ann+list@localhost"];
    let message = message("you@example.net", &to);
    let response = server.stranger().send(&message).unwrap();
    assert!(response.has_code(250), "{response:?}");
    // … and one behind each part.
    let body = [BODY.as_bytes(), b"\r\n"].concat();
    for account in ["me@localhost", "ann@localhost"] {
        let kept = server.only_message(account);
        assert!(kept.starts_with(b"Return-Path: <you@example.net>\r\nReceived: from "), "{account}");
        assert!(is_kept(&kept, &message.formatted()) && is_kept(&kept, &body), "{account}");
    }
}

#[test]
fn a_body_of_every_8_bit_octet_is_kept_as_it_was_sent() {
    let server = Server::start();
    // NUL, CR and LF have no place of their own in a line.
    let octets: Vec<u8> = (1..=255).filter(|octet| ![b'\r', b'\n'].contains(octet)).collect();
    let body = [b"Subject: octets\r\n\r\n", octets.as_slice(), b"\r\n"].concat();
    let envelope = Envelope::new(None, vec!["me@localhost".parse().unwrap()]).unwrap();
    server.stranger().send_raw(&envelope, &body).unwrap();
    assert!(is_kept(&server.only_message("me@localhost"), &body));
    assert_eq!(server.listed("me@localhost")[0]["from"], "<>");
}

#[test]
fn a_sender_with_letters_beyond_ascii_is_taken_with_smtputf8() {
    let server = Server::start();
    let from: Address = "j\u{f6}rg@example.net".parse().unwrap();
    let envelope = Envelope::new(Some(from), vec!["me@localhost".parse().unwrap()]).unwrap();
    server.stranger().send_raw(&envelope, "Subject: \u{fc}\r\n\r\n\u{e4}\r\n".as_bytes()).unwrap();
    assert_eq!(server.listed("me@localhost")[0]["from"], "<j\u{f6}rg@example.net>");
}

#[test]
fn a_user_submits_after_starttls_with_plain_and_with_login() {
    let server = Server::start();
    for (mechanism, count) in [(Mechanism::Plain, 1), (Mechanism::Login, 2)] {
        let message = message("me@localhost", &["me@localhost"]);
        server.user(mechanism, &server.password).send(&message).unwrap();
        let rows = server.listed("me@localhost");
        assert_eq!(rows.len(), count, "{mechanism}");
        let kept = server.cli(&format!("mail show me@localhost {count}"), b"");
        let text = String::from_utf8_lossy(&kept).replace("\r\n\t", " ");
        assert!(text.contains("with ESMTPSA (TLSv1.3 "), "{mechanism}: {text}");
        // lettre writes no Message-ID; submission adds one in front and leaves the rest as it is.
        assert!(text.contains("\r\nMessage-ID: <"), "{mechanism}: {text}");
        assert!(is_kept(&kept, &message.formatted()), "{mechanism}: {text}");
    }
}

#[test]
fn a_user_submits_through_tls_from_the_first_octet() {
    let server = Server::start();
    let credentials = Credentials::new("me@localhost".to_owned(), server.password.clone());
    let client = server.client(SUBMISSIONS, Tls::Wrapper(server.trust())).credentials(credentials).build();
    let message = message("me@localhost", &["me@localhost"]);
    client.send(&message).unwrap();
    assert!(is_kept(&server.only_message("me@localhost"), &message.formatted()));
}

#[test]
fn a_wrong_password_is_refused_with_both_mechanisms_and_nothing_is_kept() {
    let server = Server::start();
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let message = message("me@localhost", &["me@localhost"]);
        let client = server.user(mechanism, &format!("{}x", server.password));
        assert_eq!(refusal(client.send(&message)), 535, "{mechanism}");
    }
    assert_eq!(server.listed("me@localhost").len(), 0);
}

#[test]
fn a_user_sends_as_nobody_else() {
    let server = Server::start();
    server.cli("account add ann@localhost", b"");
    let message = message("ann@localhost", &["me@localhost"]);
    assert_eq!(refusal(server.user(Mechanism::Plain, &server.password).send(&message)), 553);
    assert_eq!(server.listed("me@localhost").len(), 0);
}

#[test]
fn a_stranger_can_neither_relay_nor_write_to_nobody_nor_use_the_doors_of_users() {
    let server = Server::start();
    for to in ["a@elsewhere.example", "nobody@localhost"] {
        assert_eq!(refusal(server.stranger().send(&message("you@example.net", &[to]))), 550, "{to}");
    }
    let message = message("you@example.net", &["me@localhost"]);
    for client in [
        server.client(SUBMISSION, Tls::None),
        server.client(SUBMISSION, Tls::Required(server.trust())),
        server.client(SUBMISSIONS, Tls::Wrapper(server.trust())),
    ] {
        assert_eq!(refusal(client.build().send(&message)), 530);
    }
    assert_eq!(server.listed("me@localhost").len(), 0);
}

#[test]
fn a_client_that_does_not_know_the_certificate_sends_nothing() {
    let server = Server::start();
    let nobody = TlsParameters::builder("localhost".to_owned())
        .certificate_store(CertificateStore::None)
        .build()
        .unwrap();
    let message = message("me@localhost", &["me@localhost"]);
    for client in [
        server.client(SUBMISSION, Tls::Required(nobody.clone())),
        server.client(SUBMISSIONS, Tls::Wrapper(nobody.clone())),
    ] {
        let error = client.build().send(&message).unwrap_err();
        assert!(error.status().is_none(), "{error:?}");
        assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    }
    // The server goes on.
    server.stranger().send(&message).unwrap();
    assert_eq!(server.listed("me@localhost").len(), 1);
}
