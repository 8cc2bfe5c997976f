//! The world of a dialogue: its directory, and the answers that follow from it.

use super::{AccountFact, Dialog, Entry, Given, Kind, WorldFact};
use crate::auth::credential;
use crate::auth::lookup::{self, LoginLookup};
use crate::auth::scram::ScramProof;
use crate::auth::scram::keys::{ServerSignature, derive_salted, is_proved, sign};
use crate::auth::scram::salts::Salts;
use crate::auth::verdict::{LoginVerdict, ProvenBy, Refusal, Unavailability};
use crate::contract::{Answer, CommitAnswer, Question, RoomAnswer};
use crate::directory::credential::{AppPasswords, CredentialId};
use crate::directory::{Account, AccountState, Alias, Change, Directory, DomainEntry, Target};
use crate::limits::SCRAM_ITERATIONS_MIN;
use crate::policy::{recipient, sender};
use crate::types::{AccountId, Address, Secret, UnixTime};
use aws_lc_rs::hmac;

/// What every question is answered from. Passwords stand in the directory as they are typed.
#[derive(Debug, Clone)]
pub struct World {
    directory: Option<Directory>,
    /// The accounts as they are written.
    accounts: Vec<AccountFact>,
}

impl World {
    /// The world of a dialogue.
    ///
    /// # Errors
    /// The line of a fact that contradicts another, and how.
    pub fn of(dialog: &Dialog) -> Result<Self, (usize, String)> {
        let mut directory = Directory::load([], 1);
        let mut available = true;
        let facts = || {
            dialog.entries.iter().filter_map(|Entry { line, kind }| match kind {
                Kind::World(fact) => Some((*line, fact)),
                Kind::Blank
                | Kind::Comment(_)
                | Kind::Head(_)
                | Kind::Session(..)
                | Kind::Pass(_)
                | Kind::Stop
                | Kind::Message(_)
                | Kind::Count(..) => None,
            })
        };
        for (line, fact) in facts() {
            for change in changes(&directory, fact).map_err(|what| (line, what))? {
                directory.apply(&change);
            }
            available &= *fact != WorldFact::Unavailable;
        }
        // A catch-all may stand before its account.
        for (line, fact) in facts() {
            if let WorldFact::Domain(name, Some(account)) = fact {
                let Some(Target::Account(id)) = directory.target(account) else {
                    return Err((line, format!("no account of this world has the address {account}")));
                };
                directory.apply(&Change::PutDomain(DomainEntry { name: name.clone(), catch_all: Some(id) }));
            }
        }
        let accounts = facts().filter_map(|(_, fact)| match fact {
            WorldFact::Account(fact) => Some(fact.clone()),
            WorldFact::Domain(..) | WorldFact::Alias(..) | WorldFact::Unavailable => None,
        });
        Ok(Self { accounts: accounts.collect(), directory: available.then_some(directory) })
    }

    /// Who is who, if that can be asked.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// The first address of an account.
    #[must_use]
    pub fn name_of(&self, id: AccountId) -> String {
        let account = self.directory.as_ref().and_then(|directory| directory.account(id));
        let name = account.and_then(|account| account.addresses.first());
        name.map_or_else(|| format!("account {}", id.0), ToString::to_string)
    }

    /// The directory, and the accounts as they are written, with the passwords as they are typed.
    pub(super) fn accounts(&self) -> (Option<&Directory>, &[AccountFact]) {
        (self.directory.as_ref(), &self.accounts)
    }

    /// What the world answers.
    #[must_use]
    pub fn answer(&self, question: &Question) -> Answer {
        let directory = self.directory.as_ref();
        match question {
            Question::Room(_) => Answer::Room(RoomAnswer::Enough),
            Question::Sender(account, by, path) => {
                Answer::Sender(sender::look_up(directory, *account, by.app_password(), path))
            }
            Question::Recipient(path) => Answer::Recipient(recipient::look_up(directory, path)),
            Question::Login { login, password, authorize_as } => {
                Answer::Login(self.verdict(login, password.reveal(), authorize_as.as_deref()))
            }
            Question::Salt(login) => Answer::Salt(salts().of(login)),
            Question::Proof(proof) => {
                let (verdict, signature) = self.proof_verdict(proof);
                Answer::Proof(verdict, signature)
            }
            Question::Commit(_) => Answer::Commit(CommitAnswer::Durable),
        }
    }

    /// What a line says, if it is an answer to this question; else what the world says.
    #[must_use]
    pub fn answer_as_given(&self, question: &Question, given: &Given) -> Answer {
        match (question, given) {
            (Question::Room(_), Given::Room(answer)) => Answer::Room(*answer),
            (Question::Sender(..), Given::Sender(answer)) => Answer::Sender(*answer),
            (Question::Recipient(_), Given::RecipientUnavailable) => {
                Answer::Recipient(recipient::RecipientLookup::Unavailable)
            }
            (Question::Recipient(_), Given::RecipientAlias(expansion)) => {
                Answer::Recipient(recipient::RecipientLookup::Alias(expansion.clone()))
            }
            (Question::Login { .. }, Given::Login(why)) => Answer::Login(LoginVerdict::Unavailable(*why)),
            (Question::Proof(proof), Given::Login(why)) => {
                Answer::Proof(LoginVerdict::Unavailable(*why), self.proof_verdict(proof).1)
            }
            (Question::Commit(_), Given::Commit(answer)) => Answer::Commit(*answer),
            (
                Question::Room(_)
                | Question::Sender(..)
                | Question::Recipient(_)
                | Question::Login { .. }
                | Question::Salt(_)
                | Question::Proof(_)
                | Question::Commit(_),
                Given::Wait
                | Given::World
                | Given::Room(_)
                | Given::Sender(_)
                | Given::RecipientUnavailable
                | Given::RecipientAlias(_)
                | Given::Login(_)
                | Given::Commit(_),
            ) => self.answer(question),
        }
    }

    /// The account that an application password opens.
    fn app_password(&self, login: &[u8], password: &[u8]) -> Option<(&Account, CredentialId)> {
        let directory = self.directory.as_ref()?;
        let address = std::str::from_utf8(login).ok()?.parse::<Address>().ok()?;
        let account = match directory.target(&address)? {
            Target::Account(id) => directory.account(id)?,
            Target::Alias => return None,
        };
        let id = credential::find(&key(), Some(&account.app_passwords), &Secret::new(password.to_vec()))?;
        Some((account, id))
    }

    /// What a proof is worth: that of a main password as it is typed, with few rounds.
    fn proof_verdict(&self, proof: &ScramProof) -> (LoginVerdict, ServerSignature) {
        let ScramProof { login, authorize_as, auth_message, proof: sent, flaw } = proof;
        let lookup = lookup::look_up(self.directory.as_ref(), login);
        let password = match &lookup {
            LoginLookup::Account(_, password) | LoginLookup::DisabledAccount(_, password) => {
                password.as_str()
            }
            LoginLookup::MainPasswordForbidden(_)
            | LoginLookup::AccountWithoutPassword(_)
            | LoginLookup::Alias
            | LoginLookup::CatchAll
            | LoginLookup::NoSuchAddress
            | LoginLookup::NoSuchDomain
            | LoginLookup::Malformed
            | LoginLookup::Unavailable => "",
        };
        let keys = derive_salted(password.as_bytes(), &salts().of(login));
        let is_right = bool::from(is_proved(&keys, auth_message, sent)) && !password.is_empty();
        let tried = if is_right { password.as_bytes() } else { b"\0" };
        let verdict = match (self.verdict(login, tried, authorize_as.as_deref()), flaw) {
            (verdict @ LoginVerdict::Unavailable(_), _) => verdict,
            (_, Some(flaw)) => LoginVerdict::Refused(*flaw),
            (verdict, None) => verdict,
        };
        (verdict, sign(&keys, auth_message))
    }

    fn verdict(&self, login: &[u8], password: &[u8], authorize_as: Option<&[u8]>) -> LoginVerdict {
        if let Some((account, id)) =
            self.app_password(login, password).filter(|_| same_identity(login, authorize_as))
        {
            return match account.state {
                AccountState::Active => LoginVerdict::Accepted(account.id, ProvenBy::AppPassword(id)),
                AccountState::Disabled | AccountState::Suspended => LoginVerdict::Disabled(account.id),
            };
        }
        let right = |expected: &str| expected.as_bytes() == password && same_identity(login, authorize_as);
        match lookup::look_up(self.directory.as_ref(), login) {
            LoginLookup::Account(id, expected) if right(&expected) => {
                LoginVerdict::Accepted(id, ProvenBy::MainPassword)
            }
            LoginLookup::DisabledAccount(id, expected) if right(&expected) => LoginVerdict::Disabled(id),
            LoginLookup::Account(..) | LoginLookup::DisabledAccount(..)
                if !same_identity(login, authorize_as) =>
            {
                LoginVerdict::Refused(Refusal::OtherIdentity)
            }
            LoginLookup::Account(..) => LoginVerdict::Refused(Refusal::WrongPassword),
            LoginLookup::DisabledAccount(..) => {
                LoginVerdict::Refused(Refusal::WrongPasswordOfDisabledAccount)
            }
            LoginLookup::MainPasswordForbidden(_) => LoginVerdict::Refused(Refusal::MainPasswordForbidden),
            LoginLookup::AccountWithoutPassword(_) => LoginVerdict::Refused(Refusal::NoPassword),
            LoginLookup::Alias => LoginVerdict::Refused(Refusal::Alias),
            LoginLookup::CatchAll => LoginVerdict::Refused(Refusal::CatchAll),
            LoginLookup::NoSuchAddress => LoginVerdict::Refused(Refusal::NoSuchAddress),
            LoginLookup::NoSuchDomain => LoginVerdict::Refused(Refusal::NoSuchDomain),
            LoginLookup::Malformed => LoginVerdict::Refused(Refusal::Malformed),
            LoginLookup::Unavailable => LoginVerdict::Unavailable(Unavailability::Directory),
        }
    }
}

/// The secret of the server of every world.
pub(super) const SERVER_KEY: [u8; 32] = [0; 32];

/// The key that the application passwords of every world are sealed with.
pub(super) fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &SERVER_KEY)
}

/// The salts of every world.
pub(super) fn salts() -> Salts {
    Salts::with_iterations(&SERVER_KEY, SCRAM_ITERATIONS_MIN)
}

/// Whether nobody else is asked for (RFC 4616 section 2): addresses compare by their key.
fn same_identity(login: &[u8], authorize_as: Option<&[u8]>) -> bool {
    let Some(other) = authorize_as else { return true };
    let key = |octets: &[u8]| {
        let address = std::str::from_utf8(octets).ok()?.parse::<Address>().ok()?;
        Some(address.key())
    };
    login == other || key(login).is_some_and(|one| key(other) == Some(one))
}

/// What a fact makes of the directory so far.
fn changes(directory: &Directory, fact: &WorldFact) -> Result<Vec<Change>, String> {
    let free = |address: &Address| match directory.target(address) {
        None => Ok(()),
        Some(Target::Account(_) | Target::Alias) => Err(format!("{address} is taken already")),
    };
    Ok(match fact {
        WorldFact::Domain(name, _) => {
            if directory.domain(name).is_some() {
                return Err(format!("{name} is there already"));
            }
            vec![Change::PutDomain(DomainEntry { name: name.clone(), catch_all: None })]
        }
        WorldFact::Account(fact) => {
            let mut addresses = vec![fact.name.clone()];
            addresses.extend(fact.addresses.iter().cloned());
            addresses.iter().try_for_each(free)?;
            let id = AccountId(directory.next_account());
            let made = |made: AppPasswords, text: &String| {
                let tag = credential::seal(&key(), credential::digest(text.as_bytes()));
                made.with("", UnixTime(0), tag).ok_or("an account has no more application passwords")
            };
            let start = AppPasswords { main: fact.main_password, ..AppPasswords::default() };
            let app_passwords = fact.app_passwords.iter().try_fold(start, made)?;
            vec![Change::PutAccount(Account {
                id,
                addresses,
                password: fact.password.clone(),
                state: fact.state,
                app_passwords,
            })]
        }
        WorldFact::Alias(address, members) => {
            free(address)?;
            vec![Change::PutAlias(Alias { address: address.clone(), members: members.clone() })]
        }
        WorldFact::Unavailable => Vec::new(),
    })
}
