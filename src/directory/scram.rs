//! SCRAM keys of an account: made by the server itself or by the command that sets a password, kept beside the
//! account and not in it, so that neither undoes the other.

use super::Account;
use super::credential::CredentialId;
use crate::limits::SCRAM_KEYS_PER_ACCOUNT_MAX;
use crate::types::{AddressKey, ScramKeys};
use serde::{Deserialize, Serialize};

/// Which password keys were made of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MadeOf {
    /// The main password that has this PHC string. With another password they are worth nothing.
    MainPassword(String),
    /// This application password.
    AppPassword(CredentialId),
}

impl std::fmt::Debug for MadeOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MainPassword(_) => f.write_str("MainPassword(…)"),
            Self::AppPassword(id) => write!(f, "AppPassword({id})"),
        }
    }
}

impl MadeOf {
    /// Whether that password opens the account still.
    #[must_use]
    pub fn is_of(&self, account: &Account) -> bool {
        match self {
            Self::MainPassword(hash) => account.password.as_ref() == Some(hash),
            Self::AppPassword(id) => account.app_passwords.get(*id).is_some(),
        }
    }

    /// Whether both stand for the same thing, the main password or an application password, whatever it was.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MainPassword(_), Self::MainPassword(_)) => true,
            (Self::AppPassword(one), Self::AppPassword(other)) => one == other,
            (Self::MainPassword(_), Self::AppPassword(_)) | (Self::AppPassword(_), Self::MainPassword(_)) => {
                false
            }
        }
    }
}

/// The keys for one login name: the salt belongs to the name, so each address of an account has its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramEntry {
    /// The name.
    pub login: AddressKey,
    /// The password.
    pub made_of: MadeOf,
    /// The keys.
    pub keys: ScramKeys,
}

/// All keys of an account, the oldest first; at most [`SCRAM_KEYS_PER_ACCOUNT_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScramRecord {
    /// See above.
    pub entries: Vec<ScramEntry>,
}

impl ScramRecord {
    /// Puts keys in, in the place of those that were made of the same kind of password for the same name.
    pub fn put(&mut self, entry: ScramEntry) {
        self.entries.retain(|old| old.login != entry.login || !old.made_of.is_like(&entry.made_of));
        self.entries.push(entry);
        let surplus = self.entries.len().saturating_sub(SCRAM_KEYS_PER_ACCOUNT_MAX);
        self.entries = std::mem::take(&mut self.entries).into_iter().skip(surplus).collect();
    }

    /// Keys that open this account under this name.
    pub fn of<'r>(
        &'r self,
        account: &'r Account,
        login: &'r AddressKey,
    ) -> impl Iterator<Item = &'r ScramEntry> {
        self.entries.iter().filter(move |entry| entry.login == *login && entry.made_of.is_of(account))
    }

    /// What is left of it for an account as it is now: no keys of passwords or addresses it has no longer.
    #[must_use]
    pub fn pruned(&self, account: &Account) -> Self {
        let has = |login: &AddressKey| account.addresses.iter().any(|address| address.key() == *login);
        let stays = |entry: &&ScramEntry| has(&entry.login) && entry.made_of.is_of(account);
        Self { entries: self.entries.iter().filter(stays).cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::AccountState;
    use crate::directory::credential::{AppPasswords, CredentialTag};
    use crate::types::{AccountId, Address, UnixTime};

    fn key(address: &str) -> AddressKey {
        address.parse::<Address>().unwrap().key()
    }

    fn entry(login: &str, made_of: MadeOf, octet: u8) -> ScramEntry {
        let keys = ScramKeys { stored: [octet; 32], server: [octet; 32] };
        ScramEntry { login: key(login), made_of, keys }
    }

    fn main(hash: &str) -> MadeOf {
        MadeOf::MainPassword(hash.to_owned())
    }

    fn account() -> Account {
        Account {
            id: AccountId(1),
            addresses: vec!["me@example.org".parse().unwrap()],
            password: Some("hash 2".to_owned()),
            state: AccountState::Active,
            app_passwords: AppPasswords::default().with("", UnixTime(1), CredentialTag([1; 32])).unwrap(),
        }
    }

    #[test]
    fn keys_of_another_password_address_or_revoked_credential_open_nothing() {
        let mut record = ScramRecord::default();
        record.put(entry("me@example.org", MadeOf::AppPassword(CredentialId(1)), 1));
        record.put(entry("me@example.org", MadeOf::AppPassword(CredentialId(2)), 2));
        record.put(entry("other@example.org", MadeOf::AppPassword(CredentialId(1)), 3));
        record.put(entry("me@example.org", main("hash 1"), 4));
        let login = key("ME@example.ORG");
        let found: Vec<u8> = record.of(&account(), &login).map(|entry| entry.keys.stored[0]).collect();
        assert_eq!(found, [1]);
        record.put(entry("me@example.org", main("hash 2"), 5));
        let found: Vec<u8> = record.of(&account(), &login).map(|entry| entry.keys.stored[0]).collect();
        assert_eq!(found, [1, 5]);
        assert_eq!(record.pruned(&account()).entries.len(), 2);
    }

    #[test]
    fn new_keys_take_the_place_of_the_old_ones_and_the_oldest_go() {
        let mut record = ScramRecord::default();
        record.put(entry("me@example.org", main("hash 1"), 1));
        record.put(entry("me@example.org", main("hash 2"), 2));
        assert_eq!(record.entries.len(), 1);
        for number in 0..200 {
            record.put(entry(&format!("n{number}@example.org"), main("hash 2"), 3));
        }
        assert_eq!(record.entries.len(), SCRAM_KEYS_PER_ACCOUNT_MAX);
        assert_eq!(record.entries.last().unwrap().login, key("n199@example.org"));
    }

    #[test]
    fn what_is_written_is_read_and_nothing_is_shown() {
        let mut record = ScramRecord::default();
        record.put(entry("me@example.org", main("$argon2id$secret"), 7));
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<ScramRecord>(&text).unwrap(), record);
        let shown = format!("{record:?}");
        assert!(!shown.contains("secret") && !shown.contains("7, 7"), "{shown}");
        assert!(serde_json::from_str::<ScramRecord>(&text.replace(':', "")).is_err());
    }
}
