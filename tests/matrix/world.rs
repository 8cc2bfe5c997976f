//! Who is in the directory, under which names, and what else an exchange can meet.

use super::clients::Claim;
use aws_lc_rs::hmac;
use gatepost::auth::credential;
use gatepost::auth::lookup::{LoginLookup, look_up};
use gatepost::auth::password::PasswordHash;
use gatepost::auth::scram::keys::derive_salted;
use gatepost::auth::scram::salts::Salts;
use gatepost::directory::credential::{AppPasswords, CredentialId, MainPassword};
use gatepost::directory::scram::{MadeOf, ScramEntry, ScramRecord};
use gatepost::directory::{Account, AccountState, Alias, Change, Directory, DomainEntry};
use gatepost::limits;
use gatepost::types::{AccountId, Address, UnixTime};
use std::sync::LazyLock;

/// The server's key.
pub const KEY: [u8; 32] = [2; 32];
/// What every connection can be bound to (`tls-exporter`).
pub const BINDING: [u8; 32] = *b"what this one TLS connection has";
/// Rounds of PBKDF2 in this world.
pub const ROUNDS: u32 = 2;
/// The application password of every account that has one.
pub const APP_PASSWORD: &[u8] = b"7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeee";
/// What the played worker finds in every hash that [`right_password`] opens.
pub const TAG: [u8; 32] = [7; 32];

/// The password of every account that has one: as long as a password may be, so that one octet more is too long.
pub fn right_password() -> Vec<u8> {
    b"the right one ".iter().copied().cycle().take(limits::PASSWORD_OCTETS_MAX).collect()
}

/// What is sent for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Password {
    Right,
    Wrong,
    Empty,
    Overlong,
    WithNul,
    NotUtf8,
    App,
    LikeApp,
}

impl Password {
    pub const ALL: [Self; 8] = [
        Self::Right,
        Self::Wrong,
        Self::Empty,
        Self::Overlong,
        Self::WithNul,
        Self::NotUtf8,
        Self::App,
        Self::LikeApp,
    ];

    pub fn octets(self) -> Vec<u8> {
        match self {
            Self::Right => right_password(),
            Self::Wrong => b"letmein".to_vec(),
            Self::Empty => Vec::new(),
            Self::Overlong => [right_password(), b"x".to_vec()].concat(),
            Self::WithNul => b"the\0right one".to_vec(),
            Self::NotUtf8 => b"\xff\xfe\x80".to_vec(),
            Self::App => APP_PASSWORD.to_vec(),
            Self::LikeApp => b"7k2m-x9qd-aaaa-bbbb-cccc-dddd-eeef".to_vec(),
        }
    }
}

/// Whom the client wants to act for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActFor {
    Nobody,
    Itself,
    SomebodyElse,
}

impl ActFor {
    pub const ALL: [Self; 3] = [Self::Nobody, Self::Itself, Self::SomebodyElse];
}

/// What the server is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// Nothing.
    Clear,
    /// The source guessed too often.
    Throttled,
    /// The part of the hash queue that the source's network may have is full.
    QueueFull,
    /// There is no hash worker.
    NoWorker,
}

impl Weather {
    pub const ALL: [Self; 4] = [Self::Clear, Self::Throttled, Self::QueueFull, Self::NoWorker];
}

/// A login name, and what an administrator knows of it.
#[derive(Debug, Clone)]
pub struct Row {
    pub login: Vec<u8>,
    /// The name as a log line shows it, between its quotes.
    pub shown: String,
    pub lookup: LoginLookup,
    /// Whether [`APP_PASSWORD`] is one of the account's.
    pub has_app_password: bool,
    /// Whether the account's logins are stopped.
    pub is_stopped: bool,
    /// The SCRAM keys that are worth something.
    pub keys: Keys,
}

/// Which passwords have SCRAM keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys {
    pub of_main_password: bool,
    pub of_app_password: bool,
}

/// One thing to try.
#[derive(Debug, Clone, Copy)]
pub struct Try {
    pub password: Password,
    pub act_for: ActFor,
}

impl Row {
    pub fn claim(&self, wanted: Try) -> Claim {
        let authorize_as = match wanted.act_for {
            ActFor::Nobody => Vec::new(),
            ActFor::Itself => self.login.clone(),
            ActFor::SomebodyElse => b"root@example.org".to_vec(),
        };
        Claim { login: self.login.clone(), password: wanted.password.octets(), authorize_as }
    }

    /// The directory as this row finds it.
    pub fn directory(&self) -> Option<Directory> {
        match self.lookup {
            LoginLookup::Unavailable => None,
            LoginLookup::Account(..)
            | LoginLookup::DisabledAccount(..)
            | LoginLookup::MainPasswordForbidden(_)
            | LoginLookup::AccountWithoutPassword(_)
            | LoginLookup::Alias
            | LoginLookup::CatchAll
            | LoginLookup::NoSuchAddress
            | LoginLookup::NoSuchDomain
            | LoginLookup::Malformed => Some(directory()),
        }
    }
}

/// A password hash that [`right_password`] opens.
pub fn good_hash() -> String {
    PasswordHash {
        memory_kib: limits::ARGON2_MEMORY_KIB,
        passes: limits::ARGON2_PASSES,
        lanes: limits::ARGON2_LANES,
        salt: vec![3; limits::ARGON2_SALT_OCTETS],
        tag: TAG.to_vec(),
    }
    .to_string()
}

/// A hash of another kind, as an import from elsewhere could have left it.
pub const FOREIGN_HASH: &str = "$2y$10$abcdefghijklmnopqrstuv";

fn app_passwords(main: MainPassword, has_one: bool) -> AppPasswords {
    let tag = credential::seal(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), credential::digest(APP_PASSWORD));
    let none = AppPasswords { main, ..AppPasswords::default() };
    if has_one { none.with("phone", UnixTime(1), tag).unwrap() } else { none }
}

/// Every kind of account, alias and domain.
pub fn directory() -> Directory {
    // Making keys takes longer than copying them.
    static MADE: LazyLock<Directory> = LazyLock::new(made);
    MADE.clone()
}

fn made() -> Directory {
    use AccountState::{Active, Disabled, Suspended};
    use MainPassword::{Allowed, Forbidden};
    let domain = |name: &str, catch_all| {
        Change::PutDomain(DomainEntry { name: name.to_owned().try_into().unwrap(), catch_all })
    };
    let account = |id, name: &str, hash: Option<&str>, state, main, has_app_password| {
        Change::PutAccount(Account {
            id: AccountId(id),
            addresses: vec![name.parse().unwrap()],
            password: hash.map(ToOwned::to_owned),
            state,
            app_passwords: app_passwords(main, has_app_password),
        })
    };
    let alias = |name: &str| {
        let members = vec!["me@example.org".parse().unwrap()];
        Change::PutAlias(Alias { address: name.parse().unwrap(), members })
    };
    let good = good_hash();
    let hash = Some(good.as_str());
    let changes = [
        domain("example.org", None),
        domain("catch.example", Some(AccountId(1))),
        account(1, "me@example.org", hash, Active, Allowed, false),
        account(2, "both@example.org", hash, Active, Allowed, true),
        account(3, "odd@example.org", Some(FOREIGN_HASH), Active, Allowed, false),
        account(4, "off@example.org", hash, Disabled, Allowed, false),
        account(5, "away@example.org", hash, Suspended, Allowed, true),
        account(6, "apps@example.org", hash, Active, Forbidden, true),
        account(7, "noapps@example.org", hash, Active, Forbidden, false),
        account(8, "offapps@example.org", None, Disabled, Forbidden, true),
        account(9, "new@example.org", None, Active, Allowed, false),
        account(10, "newapps@example.org", None, Active, Allowed, true),
        account(11, "nokeys@example.org", hash, Active, Allowed, true),
        account(12, "oldkeys@example.org", hash, Active, Allowed, false),
        account(13, "offnokeys@example.org", hash, Disabled, Allowed, false),
        alias("sales@example.org"),
    ];
    Directory::load(changes.into_iter().chain(keys(&good)), 14)
}

/// The SCRAM keys of everybody who has some.
fn keys(hash: &str) -> Vec<Change> {
    let salts = Salts::with_iterations(&KEY, ROUNDS);
    let entry = |login: &str, made_of, password: &[u8]| {
        let keys = derive_salted(password, &salts.of(login.as_bytes()));
        ScramEntry { login: login.parse::<Address>().unwrap().key(), made_of, keys }
    };
    let main = |login| entry(login, MadeOf::MainPassword(hash.to_owned()), &right_password());
    let app = |login| entry(login, MadeOf::AppPassword(CredentialId(1)), APP_PASSWORD);
    // Made of a password that was right once; so was the hash beside it.
    let old = |login| entry(login, MadeOf::MainPassword("$argon2id$old".to_owned()), &right_password());
    let of_account = |id, entries| Change::PutScram(AccountId(id), ScramRecord { entries });
    vec![
        of_account(1, vec![main("me@example.org")]),
        of_account(2, vec![main("both@example.org"), app("both@example.org")]),
        of_account(4, vec![main("off@example.org")]),
        of_account(5, vec![app("away@example.org"), main("away@example.org")]),
        // Made before the main password was forbidden.
        of_account(6, vec![app("apps@example.org"), main("apps@example.org")]),
        of_account(7, vec![main("noapps@example.org")]),
        of_account(8, vec![app("offapps@example.org")]),
        of_account(10, vec![app("newapps@example.org")]),
        // Of an application password that was taken back, of an old password, and of another name.
        of_account(
            12,
            vec![app("oldkeys@example.org"), old("oldkeys@example.org"), main("formerly@example.org")],
        ),
    ]
}

/// The directory without anybody in it.
pub fn nobody() -> Directory {
    Directory::load([], 1)
}

/// A name for every outcome of the lookup, and more than one where there is more than one way to it.
pub fn rows() -> Vec<Row> {
    let hash = good_hash;
    let row = |login: &[u8], shown: &str, lookup| Row {
        login: login.to_vec(),
        shown: shown.to_owned(),
        lookup,
        has_app_password: false,
        is_stopped: false,
        keys: Keys::default(),
    };
    let plain = |login: &str, lookup| row(login.as_bytes(), login, lookup);
    let with_app_password = |row: Row| Row { has_app_password: true, ..row };
    let stopped = |row: Row| Row { is_stopped: true, ..row };
    let keyed = |row: Row| {
        let keys = Keys { of_app_password: row.has_app_password, ..row.keys };
        Row { keys, ..row }
    };
    let main_keyed = |row: Row| {
        let row = keyed(row);
        Row { keys: Keys { of_main_password: true, ..row.keys }, ..row }
    };
    let account = |login, id| plain(login, LoginLookup::Account(AccountId(id), hash()));
    let long = [vec![b'x'; limits::LOGIN_OCTETS_MAX], b"@example.org".to_vec()].concat();
    vec![
        main_keyed(account("me@example.org", 1)),
        main_keyed(account("ME@EXAMPLE.ORG", 1)),
        main_keyed(with_app_password(account("both@example.org", 2))),
        with_app_password(account("nokeys@example.org", 11)),
        account("oldkeys@example.org", 12),
        stopped(plain("offnokeys@example.org", LoginLookup::DisabledAccount(AccountId(13), hash()))),
        plain("odd@example.org", LoginLookup::Account(AccountId(3), FOREIGN_HASH.to_owned())),
        main_keyed(stopped(plain("off@example.org", LoginLookup::DisabledAccount(AccountId(4), hash())))),
        main_keyed(stopped(with_app_password(plain(
            "away@example.org",
            LoginLookup::DisabledAccount(AccountId(5), hash()),
        )))),
        keyed(with_app_password(plain("apps@example.org", LoginLookup::MainPasswordForbidden(AccountId(6))))),
        plain("noapps@example.org", LoginLookup::MainPasswordForbidden(AccountId(7))),
        keyed(stopped(with_app_password(plain(
            "offapps@example.org",
            LoginLookup::MainPasswordForbidden(AccountId(8)),
        )))),
        plain("new@example.org", LoginLookup::AccountWithoutPassword(AccountId(9))),
        keyed(with_app_password(plain(
            "newapps@example.org",
            LoginLookup::AccountWithoutPassword(AccountId(10)),
        ))),
        plain("sales@example.org", LoginLookup::Alias),
        plain("postmaster@example.org", LoginLookup::Alias),
        plain("anybody@catch.example", LoginLookup::CatchAll),
        plain("nobody@example.org", LoginLookup::NoSuchAddress),
        plain("me+detail@example.org", LoginLookup::NoSuchAddress),
        plain("me@elsewhere.example", LoginLookup::NoSuchDomain),
        plain("", LoginLookup::Malformed),
        plain("me", LoginLookup::Malformed),
        row(b"a b@example.org", r"a\u{20}b@example.org", LoginLookup::Malformed),
        row(b"\xff@example.org", r"\u{fffd}@example.org", LoginLookup::Malformed),
        row(b"me\r\n@example.org", r"me\r\n@example.org", LoginLookup::Malformed),
        row(b"me\0@example.org", r"me\u{0}@example.org", LoginLookup::Malformed),
        row(&long, &"x".repeat(limits::LOG_LOGIN_CHARS_MAX), LoginLookup::Malformed),
        plain("me@example.org", LoginLookup::Unavailable),
        plain("nobody@example.org", LoginLookup::Unavailable),
    ]
}

/// The number of each outcome of the lookup. A new one needs an arm here, [`OUTCOMES`] one more, and a row.
fn outcome(lookup: &LoginLookup) -> usize {
    match lookup {
        LoginLookup::Account(..) => 0,
        LoginLookup::DisabledAccount(..) => 1,
        LoginLookup::MainPasswordForbidden(_) => 2,
        LoginLookup::AccountWithoutPassword(_) => 3,
        LoginLookup::Alias => 4,
        LoginLookup::CatchAll => 5,
        LoginLookup::NoSuchAddress => 6,
        LoginLookup::NoSuchDomain => 7,
        LoginLookup::Malformed => 8,
        LoginLookup::Unavailable => 9,
    }
}

/// Outcomes of the lookup.
const OUTCOMES: usize = 10;

#[test]
fn every_outcome_of_the_lookup_has_a_row_whose_name_comes_to_it() {
    let mut seen = std::collections::BTreeSet::new();
    for row in rows() {
        assert_eq!(look_up(row.directory().as_ref(), &row.login), row.lookup, "{:?}", row.login);
        seen.insert(outcome(&row.lookup));
    }
    assert!(seen.into_iter().eq(0..OUTCOMES));
}
