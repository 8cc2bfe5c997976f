//! Logins: whatever is sent for whatever name, the refusals are the same octets and the same work.

use super::{Verdict, promise};
use crate::auth::credential;
use crate::auth::password::normalise;
use crate::auth::scram::client::{Bound, ScramClient};
use crate::auth::scram::keys::derive_salted;
use crate::auth::scram::prepare::prepare_octets;
use crate::auth::scram::salts::Salts;
use crate::auth::verdict::{LoginVerdict, ProvenBy};
use crate::auth::verifier::{Attempt, ProofAttempt, Verifier};
use crate::contract::{Action, Actions, Answer, Event, Listener, PeerFacts, Question, Ticket, TlsFacts};
use crate::directory::credential::{AppPasswords, CredentialId, MainPassword};
use crate::directory::scram::{MadeOf, ScramEntry, ScramRecord};
use crate::directory::{Account, AccountState, Alias, Change, Directory, DomainEntry};
use crate::smtp::session::{Session, Settings};
use crate::types::{
    AccountId, Address, Chance, ChannelBindings, Domain, Moment, Now, ScramUse, Secret, SessionId, UnixTime,
};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// One name for every outcome of the lookup but success; the first two have the password [`RIGHT`].
pub const NAMES: [&str; 9] = [
    "me@example.org",
    "off@example.org",
    "new@example.org",
    APP_LOGIN,
    "sales@example.org",
    "anybody@catch.example",
    "nobody@example.org",
    "me@elsewhere.example",
    "no address",
];

/// The password of the accounts that have one.
pub const RIGHT: &[u8] = b"the right one";

/// The account that only an application password opens.
pub const APP_LOGIN: &str = "apps@example.org";
/// Its application password, without hyphens.
pub const APP_PASSWORD: &[u8] = b"7k2mx9qdaaaabbbbccccddddeeee";
/// The server's key.
pub const KEY: [u8; 32] = [2; 32];
/// What every connection can be bound to (`tls-exporter`).
const EXPORTER: [u8; 32] = [b'E'; 32];
/// Rounds of PBKDF2 in this world.
const ROUNDS: u32 = 2;
/// A client's part of the nonce.
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

/// The first octet says how the client speaks, the others are the password.
pub(super) fn login(data: &[u8]) -> Verdict {
    let Some((how, password)) = data.split_first() else { return Ok(()) };
    let directory = directory()?;
    // A password with a NUL is another one in PLAIN, so both refusals and ill-formed messages are met.
    let told = NAMES.map(|name| exchange(&directory, *how, name.as_bytes(), password));
    let mut refused: Option<Told> = None;
    for told in told {
        let told = told?;
        if told.was_right {
            continue;
        }
        let first = refused.get_or_insert_with(|| told.clone());
        promise(told.wire == first.wire, "two refusals differ")?;
        promise(told.hashes == first.hashes, "two refusals cost different work")?;
    }
    Ok(())
}

/// What one exchange came to.
#[derive(Debug, Clone)]
struct Told {
    wire: Vec<u8>,
    /// Memory, passes and lanes, length of salt and tag, of each hash.
    hashes: Vec<(u32, u32, u32, usize, usize)>,
    was_right: bool,
}

/// A session that logs in once and then says NOOP.
fn exchange(directory: &Directory, how: u8, login: &[u8], password: &[u8]) -> Result<Told, String> {
    let encode = |octets: &[u8]| Base64::encode_string(octets);
    let plain = encode(&[b"\0", login, b"\0", password].concat());
    let lines = match how % 9 {
        0 => vec![format!("AUTH PLAIN {plain}")],
        1 => vec!["AUTH PLAIN".to_owned(), plain],
        2 => vec!["AUTH LOGIN".to_owned(), encode(login), encode(password)],
        3 => vec![format!("AUTH LOGIN {}", encode(login)), encode(password)],
        4 => vec!["AUTH LOGIN".to_owned(), encode(login), "*".to_owned()],
        5 => vec!["AUTH PLAIN".to_owned(), String::from_utf8_lossy(password).replace(['\r', '\n'], "")],
        8 => std::iter::once("AUTH SCRAM-SHA-256".to_owned())
            .chain(password.split(|octet| *octet == b'\n').map(encode))
            .collect(),
        _ => Vec::new(),
    };
    let mut desk = Desk::new(directory, password)?;
    desk.event(Event::TlsUp(tls()))?;
    desk.event(Event::Opened)?;
    for line in std::iter::once("EHLO client.example".to_owned()).chain(lines) {
        desk.event(Event::Bytes(format!("{line}\r\n").as_bytes()))?;
    }
    let bound = match how % 9 {
        6 => Some(("SCRAM-SHA-256", Bound::No)),
        7 => Some(("SCRAM-SHA-256-PLUS", Bound::To("tls-exporter", &EXPORTER))),
        _ => None,
    };
    if let Some((mechanism, bound)) = bound {
        desk.prove(mechanism, bound, login)?;
        promise(desk.hashes.is_empty(), "a proof costs a hash of the worker")?;
    }
    desk.event(Event::Bytes(b"NOOP\r\n"))?;
    promise(desk.questions <= 1, "one exchange asks twice")?;
    Ok(Told { wire: desk.wire, hashes: desk.hashes, was_right: desk.was_right })
}

/// Carries questions to the verifier and answers back.
struct Desk<'a> {
    directory: &'a Directory,
    password: &'a [u8],
    session: Session,
    verifier: Verifier,
    now: Now,
    wire: Vec<u8>,
    hashes: Vec<(u32, u32, u32, usize, usize)>,
    questions: u32,
    was_right: bool,
}

impl<'a> Desk<'a> {
    fn new(directory: &'a Directory, password: &'a [u8]) -> Result<Self, String> {
        let source = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
        let facts = PeerFacts { session: SessionId(1), address: source, listener: Listener::Submissions };
        let settings = settings()?;
        let chance = Chance::from_seed([1; 32]);
        let salts = Salts::with_iterations(&KEY, ROUNDS);
        let mut verifier = Verifier::new(KEY, chance.clone()).with_scram(ScramUse::All, salts);
        verifier.worker_up(Moment(0));
        Ok(Self {
            directory,
            password,
            session: Session::new(facts, Arc::new(settings), chance),
            verifier,
            now: Now { moment: Moment(1_000), unix: UnixTime(1_700_000_000) },
            wire: Vec::new(),
            hashes: Vec::new(),
            questions: 0,
            was_right: false,
        })
    }

    /// A whole exchange of SCRAM with the password. Where salt and nonce stand in what is written to the wire,
    /// there is the length of the message.
    fn prove(&mut self, mechanism: &str, bound: Bound<'_>, login: &[u8]) -> Result<(), String> {
        let login = std::str::from_utf8(login).map_err(|error| error.to_string())?;
        let mut scram = ScramClient::new(bound, None, login, NONCE);
        let first = Base64::encode_string(scram.first().as_bytes());
        self.event(Event::Bytes(format!("AUTH {mechanism} {first}\r\n").as_bytes()))?;
        let salted = self.challenge()?;
        let last = scram.last(&salted, self.password).ok_or("the server's message is not read")?;
        let last = Base64::encode_string(last.as_bytes());
        self.event(Event::Bytes(format!("{last}\r\n").as_bytes()))?;
        if self.was_right && self.wire.ends_with(b"=\r\n") {
            let signature = self.challenge()?;
            promise(scram.trusts(&signature), "the server knows no keys of a right password")?;
            self.event(Event::Bytes(b"\r\n"))?;
        }
        Ok(())
    }

    /// The last challenge, which is taken out of what is compared.
    fn challenge(&mut self) -> Result<String, String> {
        let text = std::str::from_utf8(&self.wire).map_err(|error| error.to_string())?;
        let (before, last) = text.rsplit_once("334 ").ok_or("no challenge comes")?;
        let octets = Base64::decode_vec(last.trim_end()).map_err(|error| error.to_string())?;
        let wire = format!("{before}334 with {} octets\r\n", octets.len());
        self.wire = wire.into_bytes();
        String::from_utf8(octets).map_err(|error| error.to_string())
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        let mut out = Actions::new();
        self.session.step(self.now, event, &mut out);
        for action in out.take() {
            match action {
                Action::Say(reply) => reply.encode(&mut self.wire),
                Action::Ask(ticket, question) => self.ask(ticket, question)?,
                Action::Keep(_)
                | Action::Forget
                | Action::StartTls
                | Action::Arm(..)
                | Action::Note(_)
                | Action::Close(_) => {}
            }
        }
        Ok(())
    }

    /// No proof but that of a right password opens anything.
    fn judge_proof(&mut self, verdict: LoginVerdict) -> Result<(), String> {
        let right = match verdict {
            LoginVerdict::Accepted(_, ProvenBy::AppPassword(_)) => APP_PASSWORD,
            LoginVerdict::Accepted(_, ProvenBy::MainPassword) | LoginVerdict::Disabled(_) => RIGHT,
            LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => return Ok(()),
        };
        self.was_right = true;
        promise(*prepare_octets(self.password) == right, "the proof of a wrong password opens an account")
    }

    /// Nothing but a right password, or the application password however it is typed, opens anything.
    fn judge(&mut self, verdict: LoginVerdict) -> Result<(), String> {
        let normal = normalise(self.password);
        let octets = normal.reveal().iter();
        let typed: Vec<u8> =
            octets.filter(|b| !matches!(b, b'-' | b' ')).map(u8::to_ascii_lowercase).collect();
        match verdict {
            LoginVerdict::Accepted(_, ProvenBy::AppPassword(_)) => {
                promise(typed == APP_PASSWORD, "something else passes for an application password")?;
                promise(self.hashes.is_empty(), "an application password costs a hash")?;
                self.was_right = true;
            }
            LoginVerdict::Accepted(_, ProvenBy::MainPassword) | LoginVerdict::Disabled(_) => {
                promise(normal.reveal() == RIGHT, "a wrong password opens an account")?;
                self.was_right = true;
            }
            LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => {}
        }
        Ok(())
    }

    fn ask(&mut self, ticket: Ticket, question: Question) -> Result<(), String> {
        let session = SessionId(1);
        let (login, password, authorize_as) = match question {
            Question::Login { login, password, authorize_as } => (login, password, authorize_as),
            Question::Salt(login) => {
                let salt = self.verifier.salts().of(&login);
                return self.event(Event::Answered(ticket, Answer::Salt(salt)));
            }
            Question::Proof(proof) => {
                let source = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
                let attempt = ProofAttempt { session, ticket, source, proof };
                self.verifier.submit_proof(self.now.moment, Some(self.directory), &attempt);
                self.questions = self.questions.saturating_add(1);
                return self.leave();
            }
            Question::Room(_) | Question::Sender(..) | Question::Recipient(_) | Question::Commit(_) => {
                return Err("it asks for what no login needs".to_owned());
            }
        };
        self.questions = self.questions.saturating_add(1);
        let source = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
        let attempt = Attempt { session, ticket, source, login, password, authorize_as };
        self.verifier.submit(self.now.moment, Some(self.directory), attempt);
        while let Some(job) = self.verifier.next_job(self.now.moment) {
            // The worker of this world: the tag is right for the password, whatever the salt.
            let matched = Secret::new(RIGHT.to_vec()) == job.password && job.tag == [7; 32];
            let cost = (job.memory_kib, job.passes, job.lanes, job.salt.len(), job.tag.len());
            self.hashes.push(cost);
            self.verifier.hashed(self.now.moment, job.id, matched);
        }
        self.leave()
    }

    /// The verdict leaves when its time has come.
    fn leave(&mut self) -> Result<(), String> {
        self.now.moment = self.verifier.next_deadline().unwrap_or(self.now.moment).max(self.now.moment);
        let decided = self.verifier.due(self.now.moment);
        promise(decided.len() == 1, "a login has no verdict, or two")?;
        for one in decided {
            let answer = match one.signature {
                None => {
                    self.judge(one.verdict)?;
                    Answer::Login(one.verdict)
                }
                Some(signature) => {
                    self.judge_proof(one.verdict)?;
                    Answer::Proof(one.verdict, signature)
                }
            };
            self.event(Event::Answered(one.ticket, answer))?;
        }
        Ok(())
    }
}

/// How the sessions are served.
///
/// # Errors
/// Never: what it is made of stands here.
pub fn settings() -> Result<Settings, String> {
    Ok(Settings {
        hostname: Domain::parse("mail.example.org").map_err(|error| error.to_string())?,
        message_octets_max: 1_000_000,
        tls_available: true,
        scram: crate::types::ScramUse::All,
        idle_ms: 300_000,
    })
}

/// The TLS they have.
#[must_use]
pub fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS13_AES_128_GCM_SHA256".into(),
        bindings: ChannelBindings { exporter: Some(EXPORTER), end_point: None },
    }
}

/// The accounts, aliases and domains that these names lead to.
///
/// # Errors
/// Never: what it is made of stands here.
pub fn directory() -> Result<Directory, String> {
    let address = |text: &str| text.parse::<Address>().map_err(|error| error.to_string());
    let domain = |text: &str, catch_all| {
        let name = Domain::parse(text).map_err(|error| error.to_string())?;
        Ok::<_, String>(Change::PutDomain(DomainEntry { name, catch_all }))
    };
    let account = |id, name: &str, state, has_password: bool| {
        let hash = crate::auth::phc::PasswordHash {
            memory_kib: crate::limits::ARGON2_MEMORY_KIB,
            passes: crate::limits::ARGON2_PASSES,
            lanes: crate::limits::ARGON2_LANES,
            salt: vec![3; 16],
            tag: vec![7; 32],
        };
        let password = has_password.then(|| hash.to_string());
        Ok::<_, String>(Change::PutAccount(Account {
            id: AccountId(id),
            addresses: vec![address(name)?],
            password,
            state,
            app_passwords: Default::default(),
        }))
    };
    let alias = Alias { address: address("sales@example.org")?, members: vec![address("me@example.org")?] };
    let accounts = [
        account(1, "me@example.org", AccountState::Active, true)?,
        account(2, "off@example.org", AccountState::Disabled, true)?,
        account(3, "new@example.org", AccountState::Active, false)?,
        only_app_passwords(account(4, APP_LOGIN, AccountState::Active, true)?)?,
    ];
    let keys: Vec<Change> = accounts.iter().filter_map(keys_of).collect();
    let changes =
        [domain("example.org", None)?, domain("catch.example", Some(AccountId(1)))?, Change::PutAlias(alias)];
    Ok(Directory::load(changes.into_iter().chain(accounts).chain(keys), 5))
}

/// The SCRAM keys of an account: of its main password, and of its application password.
fn keys_of(change: &Change) -> Option<Change> {
    let Change::PutAccount(account) = change else { return None };
    let address = account.addresses.first()?;
    let salt = Salts::with_iterations(&KEY, ROUNDS).of_address(address);
    let entry = |made_of, password| ScramEntry {
        login: address.key(),
        made_of,
        keys: derive_salted(password, &salt),
    };
    let main = account.password.as_ref().map(|hash| entry(MadeOf::MainPassword(hash.clone()), RIGHT));
    let app = entry(MadeOf::AppPassword(CredentialId(1)), APP_PASSWORD);
    Some(Change::PutScram(account.id, ScramRecord { entries: main.into_iter().chain([app]).collect() }))
}

/// The account, opened by [`APP_PASSWORD`] alone.
fn only_app_passwords(change: Change) -> Result<Change, String> {
    let Change::PutAccount(mut account) = change else { return Err("it is no account".to_owned()) };
    let tag = credential::seal(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), credential::digest(APP_PASSWORD));
    let made = AppPasswords::default().with("", UnixTime(1), tag).ok_or("it has too many")?;
    account.app_passwords = AppPasswords { main: MainPassword::Forbidden, ..made };
    Ok(Change::PutAccount(account))
}
