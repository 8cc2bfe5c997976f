//! The classes of logins whose refusals must not be told apart, and what a client says for each.
//!
//! Within a class names change from sample to sample, and all names and passwords are of one length: what a
//! peer itself chose tells it nothing.

use super::super::address;
use crate::auth::credential;
use crate::auth::password::PasswordHash;
use crate::auth::sasl::Mechanism;
use crate::directory::credential::{AppPasswords, MainPassword};
use crate::directory::{Account, AccountState, Alias, Change, DomainEntry};
use crate::limits::{ARGON2_LANES, ARGON2_SALT_OCTETS, ARGON2_TAG_OCTETS, CREDENTIALS_PER_ACCOUNT_MAX};
use crate::types::{AccountId, Chance, Domain, UnixTime};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};

/// The server's key.
pub(super) const KEY: [u8; 32] = [9; 32];
/// Names of each class.
const NAMES: u64 = 32;

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Account,
    AccountWithAppPasswords,
    Disabled,
    MainPasswordForbidden,
    WithoutPassword,
    Alias,
    CatchAll,
    NoSuchAddress,
    NoSuchDomain,
    Malformed,
}

impl Subject {
    pub(super) const ALL: [Self; 10] = [
        Self::Account,
        Self::AccountWithAppPasswords,
        Self::Disabled,
        Self::MainPasswordForbidden,
        Self::WithoutPassword,
        Self::Alias,
        Self::CatchAll,
        Self::NoSuchAddress,
        Self::NoSuchDomain,
        Self::Malformed,
    ];

    fn name(self, number: u64) -> String {
        let (local, domain) = match self {
            Self::Account => ("acct", "example.org"),
            Self::AccountWithAppPasswords => ("apps", "example.org"),
            Self::Disabled => ("stop", "example.org"),
            Self::MainPasswordForbidden => ("only", "example.org"),
            Self::WithoutPassword => ("none", "example.org"),
            Self::Alias => ("list", "example.org"),
            Self::CatchAll => ("free", "example.net"),
            Self::NoSuchAddress => ("what", "example.org"),
            Self::NoSuchDomain => ("what", "example.com"),
            Self::Malformed => ("w at", "example.org"),
        };
        format!("{local}{number:02}@{domain}")
    }
}

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Guess {
    /// Some words.
    Words,
    /// What has the form of an application password, and is none.
    LikeAppPassword,
}

/// A class of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) subject: Subject,
    pub(super) guess: Guess,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.guess {
            Guess::Words => write!(f, "{:?}", self.subject),
            Guess::LikeAppPassword => write!(f, "{:?}, like an application password", self.subject),
        }
    }
}

/// Every subject with words, and those that differ in their application passwords with something like one.
pub(super) fn classes() -> Vec<Class> {
    let of = |subject, guess| Class { subject, guess };
    let mut classes: Vec<Class> = Subject::ALL.map(|subject| of(subject, Guess::Words)).into();
    for subject in [
        Subject::Account,
        Subject::AccountWithAppPasswords,
        Subject::MainPasswordForbidden,
        Subject::NoSuchAddress,
    ] {
        classes.push(of(subject, Guess::LikeAppPassword));
    }
    classes
}

/// What a client claims.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) login: String,
    pub(super) password: String,
}

impl Class {
    /// A login of this class that is refused.
    pub(super) fn claim(self, chance: &mut Chance) -> Claim {
        let password = match self.guess {
            Guess::Words => format!("words and words and words {:08}", chance.below(100_000_000)),
            Guess::LikeAppPassword => credential::generate(chance),
        };
        Claim { login: self.subject.name(chance.below(NAMES)), password }
    }
}

/// Goes through an exchange up to its last line, which is returned: a reply to it is the verdict. `say` says a
/// line and returns the reply.
pub(super) fn last_line(mechanism: Mechanism, claim: &Claim, mut say: impl FnMut(&str) -> String) -> String {
    let encode = |text: &str| Base64::encode_string(text.as_bytes());
    let Claim { login, password } = claim;
    match mechanism {
        Mechanism::Plain => format!("AUTH PLAIN {}", encode(&format!("\0{login}\0{password}"))),
        Mechanism::Login => {
            assert!(say("AUTH LOGIN").starts_with("334 "));
            assert!(say(&encode(login)).starts_with("334 "));
            encode(password)
        }
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => panic!("not measured yet"),
    }
}

/// Everybody. Hashes cost `memory_kib` and `passes`; no password opens them.
pub(super) fn everybody(memory_kib: u32, passes: u32) -> Vec<Change> {
    let mut chance = Chance::from_seed([4; 32]);
    let hash = PasswordHash {
        memory_kib,
        passes,
        lanes: ARGON2_LANES,
        salt: vec![1; ARGON2_SALT_OCTETS],
        tag: vec![2; ARGON2_TAG_OCTETS],
    };
    let hash = Some(hash.to_string());
    let domain = |name: &str, catch_all| {
        Change::PutDomain(DomainEntry { name: Domain::parse(name).unwrap(), catch_all })
    };
    let mut changes = vec![domain("example.org", None), domain("example.net", Some(AccountId(1)))];
    let mut id = 0;
    for (subject, number) in
        Subject::ALL.into_iter().flat_map(|subject| (0..NAMES).map(move |n| (subject, n)))
    {
        let active = |password: Option<String>, main, with: bool, chance: &mut Chance| {
            Some((password, AccountState::Active, app_passwords(main, with, chance)))
        };
        let allowed = MainPassword::Allowed;
        let account = match subject {
            Subject::Account => active(hash.clone(), allowed, false, &mut chance),
            Subject::AccountWithAppPasswords => active(hash.clone(), allowed, true, &mut chance),
            Subject::MainPasswordForbidden => {
                active(hash.clone(), MainPassword::Forbidden, true, &mut chance)
            }
            Subject::WithoutPassword => active(None, allowed, false, &mut chance),
            Subject::Disabled => Some((hash.clone(), AccountState::Disabled, AppPasswords::default())),
            Subject::Alias => {
                let members = vec![address("acct00@example.org")];
                changes.push(Change::PutAlias(Alias { address: address(&subject.name(number)), members }));
                None
            }
            Subject::CatchAll | Subject::NoSuchAddress | Subject::NoSuchDomain | Subject::Malformed => None,
        };
        if let Some((password, state, app_passwords)) = account {
            id += 1;
            let addresses = vec![address(&subject.name(number))];
            changes.push(Change::PutAccount(Account {
                id: AccountId(id),
                addresses,
                password,
                state,
                app_passwords,
            }));
        }
    }
    changes
}

/// As many as an account may have, or none.
fn app_passwords(main: MainPassword, with: bool, chance: &mut Chance) -> AppPasswords {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    let mut all = AppPasswords { main, ..AppPasswords::default() };
    for _ in 0..if with { CREDENTIALS_PER_ACCOUNT_MAX } else { 0 } {
        let password = credential::generate(chance);
        all = all
            .with("", UnixTime(1), credential::seal(&key, credential::digest(password.as_bytes())))
            .unwrap();
    }
    all
}
