//! Who lives here. What is true of addresses and logins is written down a second time, as a table, so that
//! the lookups are not judged by themselves.

mod eras;

pub(super) use eras::Facts;

use crate::auth::credential;
use crate::auth::password::PasswordHash;
use crate::auth::scram::keys::derive_salted;
use crate::auth::scram::salts::Salts;
use crate::directory::credential::AppPasswords;
use crate::directory::scram::{MadeOf, ScramEntry, ScramRecord};
use crate::directory::{Account, AccountState, Alias, Change, DomainEntry};
use crate::limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES};
use crate::types::{AccountId, Address, Chance, Domain, UnixTime};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use eras::Owner;
use std::collections::BTreeSet;

/// Begins every secret, so that one search finds all of them.
const SECRET_MARK: &str = "Zq7Geheim";

/// Addresses, and the accounts that mail to them is for.
const LEADS_TO: [(&str, &[u32]); 13] = [
    ("ada@home.example", &[1]),
    ("ada.l@home.example", &[1]),
    ("ADA+lists@home.example", &[1]),
    ("ben@home.example", &[2]),
    ("cyd@other.example", &[3]),
    ("dis@home.example", &[4]),
    ("nop@home.example", &[6]),
    ("team@home.example", &[1, 2, 3]),
    ("nested@home.example", &[1, 2, 3]),
    ("info@home.example", &[4]),
    ("anything@other.example", &[3]),
    ("postmaster@home.example", &[1]),
    ("abuse@other.example", &[1]),
];

/// Addresses that lead to nobody: those to be refused for good, and those to be refused for now.
const LEADS_NOWHERE: [&str; 6] = [
    "nobody@home.example",
    "ada@elsewhere.example",
    "ada%elsewhere.example@home.example",
    "sus@home.example",
    "dead@home.example",
    "looped@home.example",
];

/// Names nobody can log in with, each for another reason.
const NO_LOGINS: [&str; 9] = [
    "team@home.example",
    "info@home.example",
    "postmaster@home.example",
    "anything@other.example",
    "nobody@home.example",
    "ada@elsewhere.example",
    "nop@home.example",
    "not an address",
    "ada",
];

/// What clients type where a name is wanted and nobody here has that name.
const TYPED: [&str; 6] =
    ["not an address", "elsewhere.example", "far.example", "early.example", "bot.example", "scanner@home"];

/// A login to try.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) login: String,
    pub(super) password: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Town {
    owners: Vec<Owner>,
    needles: Vec<String>,
    typed: Vec<String>,
}

/// Rounds of PBKDF2 here: what they protect is not worth more.
pub(super) const ROUNDS: u32 = 2;

impl Town {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let mut owner = |id, addresses: &[&'static str], has_password, apps: usize, state| {
            let password = bool::then(has_password, || secret(chance));
            let apps = (0..apps).map(|_| secret(chance)).collect();
            Owner::new(AccountId(id), addresses, Facts { password, apps, state, lives: true })
        };
        let owners = vec![
            owner(1, &["ada@home.example", "ada.l@home.example"], true, 0, AccountState::Active),
            owner(2, &["ben@home.example"], true, 1, AccountState::Active),
            owner(3, &["cyd@other.example"], true, 0, AccountState::Active),
            owner(4, &["dis@home.example"], true, 1, AccountState::Disabled),
            owner(5, &["sus@home.example"], true, 0, AccountState::Suspended),
            owner(6, &["nop@home.example"], false, 0, AccountState::Active),
            // Gets no mail, so that it can be removed.
            owner(7, &["gus@home.example"], true, 1, AccountState::Active),
        ];
        Self {
            owners,
            needles: needles(SECRET_MARK),
            typed: TYPED.iter().flat_map(|name| needles(name)).collect(),
        }
    }

    /// The directory, as changes from nothing.
    pub(super) fn changes(&self, key: &[u8; 32]) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, catch_all) in [("home.example", None), ("other.example", Some(AccountId(3)))] {
            changes
                .extend(Domain::parse(name).map(|name| Change::PutDomain(DomainEntry { name, catch_all })));
        }
        for owner in &self.owners {
            let account = owner.account(key);
            let keys = owner.scram_record(key, &account);
            changes.push(Change::PutAccount(account));
            changes.extend(keys.map(|keys| Change::PutScram(owner.id, keys)));
        }
        for (address, members) in [
            ("team@home.example", &["ada@home.example", "ben@home.example", "nested@home.example"][..]),
            ("nested@home.example", &["cyd@other.example", "team@home.example", "gone@home.example"]),
            ("info@home.example", &["dis@home.example", "sus@home.example"]),
            ("dead@home.example", &["gone@home.example", "sus@home.example"]),
            ("looped@home.example", &["looped2@home.example"]),
            ("looped2@home.example", &["looped@home.example"]),
        ] {
            let members = addresses(members);
            changes.extend(address.parse().map(|address| Change::PutAlias(Alias { address, members })));
        }
        changes
    }

    /// The accounts that mail to this address is for; none if it has to be refused.
    pub(super) fn reached_by(&self, address: &str) -> BTreeSet<AccountId> {
        LEADS_TO
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(address))
            .map(|(_, accounts)| accounts.iter().copied().map(AccountId).collect())
            .unwrap_or_default()
    }

    /// Whether the account may say that a message is from this address.
    pub(super) fn may_send_as(&self, account: AccountId, address: &str) -> bool {
        self.owners.iter().any(|owner| owner.id == account && owner.has(address.as_bytes()))
    }

    pub(super) fn good_address(chance: &mut Chance) -> &'static str {
        pick(chance, &LEADS_TO).map_or("", |(address, _)| address)
    }

    pub(super) fn bad_address(chance: &mut Chance) -> &'static str {
        pick(chance, &LEADS_NOWHERE).unwrap_or_default()
    }

    /// An owner who can log in, by the password or by an application password.
    pub(super) fn right_login(&self, chance: &mut Chance) -> Credentials {
        self.login_of(chance, |facts| facts.lives && facts.state == AccountState::Active)
    }

    /// An owner whose logins are stopped.
    pub(super) fn stopped_login(&self, chance: &mut Chance) -> Credentials {
        self.login_of(chance, |facts| facts.lives && facts.state != AccountState::Active)
    }

    fn login_of(&self, chance: &mut Chance, wanted: impl Fn(&Facts) -> bool) -> Credentials {
        let all: Vec<Credentials> = self
            .owners
            .iter()
            .filter(|owner| wanted(owner.latest()))
            .flat_map(|owner| {
                let facts = owner.latest();
                let passwords = facts.password.iter().chain(&facts.apps);
                passwords
                    .map(|password| Credentials { login: owner.name().into(), password: password.clone() })
            })
            .collect();
        pick(chance, &all).unwrap_or_else(|| Credentials::none(chance))
    }

    /// A name and a password that do not open anything, for any of the reasons there are.
    pub(super) fn wrong_login(&self, chance: &mut Chance) -> Credentials {
        let name = match chance.below(2) {
            0 => pick(chance, &NO_LOGINS).unwrap_or_default(),
            _ => pick(chance, &self.owners.iter().map(Owner::name).collect::<Vec<_>>()).unwrap_or_default(),
        };
        Credentials { login: name.into(), password: secret(chance) }
    }

    /// The secret's trace in a text, if there is one: raw, in base64, in hexadecimal digits.
    pub(super) fn secret_in(&self, text: &str) -> Option<&str> {
        self.needles.iter().map(String::as_str).find(|needle| text.contains(needle))
    }
}

impl Town {
    /// The trace of what was typed in a text that must not hold it, likewise.
    pub(super) fn typed_in(&self, text: &str) -> Option<&str> {
        self.typed.iter().map(String::as_str).find(|needle| text.contains(needle))
    }
}

impl Credentials {
    fn none(chance: &mut Chance) -> Self {
        Self { login: String::new(), password: secret(chance) }
    }
}

fn pick<T: Clone>(chance: &mut Chance, several: &[T]) -> Option<T> {
    let bound = u64::try_from(several.len()).unwrap_or(u64::MAX);
    several.get(usize::try_from(chance.below(bound)).unwrap_or(0)).cloned()
}

fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

pub(super) fn secret(chance: &mut Chance) -> String {
    format!("{SECRET_MARK}{:016x}", chance.u64())
}

/// What begins like this leaves in a text, in each way it could be written.
fn needles(mark: &str) -> Vec<String> {
    let hex: String = mark.bytes().map(|octet| format!("{octet:02x}")).collect();
    let mut needles = vec![mark.to_owned(), hex.to_uppercase(), hex];
    // In base64 a text looks different at each of three places; its ends depend on its neighbours.
    for (before, cut) in [(0, 0), (1, 2), (2, 3)] {
        let mut octets = vec![0; before];
        octets.extend_from_slice(mark.as_bytes());
        let text = Base64::encode_string(&octets);
        needles.extend(text.get(cut..text.len() - 4).map(str::to_owned));
    }
    needles
}

pub(super) fn phc(id: AccountId, password: &str) -> String {
    let salt = vec![u8::try_from(id.0).unwrap_or(0); 16];
    let tag = toy_hash(password.as_bytes(), &salt);
    PasswordHash { memory_kib: ARGON2_MEMORY_KIB, passes: ARGON2_PASSES, lanes: ARGON2_LANES, salt, tag }
        .to_string()
}

/// Stands in for argon2id, which would take longer than the rest of the world together.
pub(super) fn toy_hash(password: &[u8], salt: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), password).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn town() -> Town {
        Town::new(&mut Chance::from_seed([5; 32]))
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let town = town();
        let password = town.right_login(&mut Chance::from_seed([1; 32])).password;
        for before in ["", "\0", "\0a", "\0ab", "\0a@b.example\0"] {
            let message = format!("{before}{password}");
            assert!(town.secret_in(&format!("x{}x", Base64::encode_string(message.as_bytes()))).is_some());
        }
        let hex: String = password.bytes().map(|octet| format!("{octet:02x}")).collect();
        assert!(town.secret_in(&hex).is_some());
        assert!(town.secret_in(&hex.to_uppercase()).is_some());
        assert!(town.secret_in(&format!("login={password}")).is_some());
        assert!(town.secret_in("login=ada@home.example").is_none());
    }

    #[test]
    fn the_town_is_complete() {
        let changes = town().changes(&[1; 32]);
        let count = |wanted: fn(&Change) -> bool| changes.iter().filter(|change| wanted(change)).count();
        assert_eq!(count(|change| matches!(change, Change::PutDomain(_))), 2);
        assert_eq!(count(|change| matches!(change, Change::PutAccount(_))), 7);
        assert_eq!(count(|change| matches!(change, Change::PutAlias(_))), 6);
    }
}
