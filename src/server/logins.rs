//! What is remembered of logins that succeeded: places, the last use of application passwords, and a notice
//! for the owner when a place is new.
//!
//! Nobody is promised that these records are durable, so they are applied at once and written behind; an
//! administrator's changes never touch them, and they never touch an account.

use super::store_thread::{BodySource, ToStore};
use super::turn::Loop;
use crate::auth::throttle::{Snapshot, Throttle};
pub(super) use crate::auth::throttle::{forget_logins, load_places};
use crate::auth::verdict::{LoginVerdict, ProvenBy};
use crate::auth::verifier::Enrolled;
use crate::contract::{Commit, CommitAnswer, Delivery, PeerFacts, Ticket};
use crate::directory::Change;
use crate::directory::credential::CredentialId;
use crate::directory::history::Novelty;
use crate::limits::{NEW_PLACE_NOTICES_PER_DAY_MAX, NEW_PLACE_NOTICES_SECONDS};
use crate::mail::notice::{NewPlace, new_place};
use crate::mail::trace;
use crate::telemetry::line::Line;
use crate::telemetry::note::Note;
use crate::types::{AccountId, MailId, Now, ReversePath, SessionId};
use std::net::IpAddr;

/// Whose a message is that the server itself writes: no session has this number.
const NO_SESSION: SessionId = SessionId(0);

/// Lets the throttle go on where the last process ended.
pub(super) fn take_up_offenders(throttle: &mut Throttle, now: Now, kept: Option<&Snapshot>) {
    if kept.is_some_and(|kept| !throttle.restore(now, kept)) {
        let line = Line::new("throttle-record-ignored");
        log::warn!("{}", line.text("reason", "it was written by another version of this program").finish());
    }
}

impl Loop {
    /// What the owner calls the application password that a login succeeded with, for the log.
    pub(super) fn name_of_app_password(&self, note: &Note) -> String {
        let Note::Login { verdict: LoginVerdict::Accepted(account, ProvenBy::AppPassword(id)), .. } = note
        else {
            return String::new();
        };
        let account = self.directory.account(*account);
        let used = account.and_then(|account| account.app_passwords.get(*id));
        used.map(|used| used.name.clone()).unwrap_or_default()
    }

    /// Remembers a login that succeeded; others leave no record here.
    pub(super) fn remember_login(&mut self, peer: PeerFacts, mechanism: &str, verdict: LoginVerdict) {
        let (account, by) = match verdict {
            LoginVerdict::Accepted(account, by) => (account, by),
            LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) | LoginVerdict::Unavailable(_) => return,
        };
        let credential = match by {
            ProvenBy::AppPassword(id) => Some(id),
            ProvenBy::MainPassword => None,
        };
        let mut history = self.directory.history(account).cloned().unwrap_or_default();
        let now = self.now.unix;
        let learned = history.learn(now, peer.address, credential);
        if self.store_is_down || !learned.is_changed {
            return;
        }
        let recent = history.places_since(now, NEW_PLACE_NOTICES_SECONDS);
        let change = Change::PutHistory(account, history);
        self.directory.apply(&change);
        self.store.send(self.now.moment, ToStore::Remember(Box::new(change)));
        match learned.novelty {
            Novelty::NewPlace if self.config.new_place_notice && recent <= NEW_PLACE_NOTICES_PER_DAY_MAX => {
                self.send_notice(account, credential, peer.address, mechanism);
            }
            Novelty::NewPlace | Novelty::FirstEver | Novelty::KnownPlace => {}
        }
    }

    /// Keeps SCRAM keys that were made of a password at its login. Nobody waits for them: keys that are lost are
    /// made again.
    pub(super) fn keep_scram_keys(&mut self, enrolled: Enrolled) {
        let Enrolled { account: id, entry } = enrolled;
        let Some(account) = self.directory.account(id).filter(|_| !self.store_is_down) else { return };
        let mut record = self.directory.scram(id).cloned().unwrap_or_default();
        record.put(entry);
        let change = Change::PutScram(id, record.pruned(account));
        self.directory.apply(&change);
        self.store.send(self.now.moment, ToStore::Remember(Box::new(change)));
    }

    /// Puts the notice into the owner's mailbox. Nobody waits for it; what becomes of it is in the log if it
    /// fails.
    fn send_notice(
        &mut self,
        account: AccountId,
        credential: Option<CredentialId>,
        source: IpAddr,
        mechanism: &str,
    ) {
        let Some(owner) = self.directory.account(account) else { return };
        let Some(address) = owner.addresses.first() else { return };
        let used = credential.and_then(|id| owner.app_passwords.get(id));
        let id = MailId::new(self.now.unix, self.chance.u64());
        let body = new_place(&NewPlace {
            account: address,
            hostname: &self.config.hostname,
            id,
            time: self.now.unix,
            source,
            mechanism,
            app_password: used.map(|used| (used.id.0, used.name.as_str())),
        });
        let commit = Commit {
            id,
            received: self.now.unix,
            sender: ReversePath::Null,
            deliveries: vec![Delivery { account, recipient: address.to_string() }],
            prefix: trace::return_path(&ReversePath::Null),
            body_octets: u64::try_from(body.len()).unwrap_or(u64::MAX),
        };
        let body = (BodySource::Memory(body), 0);
        self.store.commit(self.now.moment, NO_SESSION, Ticket(0), Box::new(commit), body);
    }

    /// A message of the server's own that could not be kept is told in the log.
    pub(super) fn tell_lost_notice(&mut self, session: SessionId, answer: CommitAnswer) {
        let why = match (session == NO_SESSION, answer) {
            (true, CommitAnswer::DiskFull) => "the disk is full",
            (true, CommitAnswer::Failed) => "the store is behind, or the account is gone",
            (false, CommitAnswer::DiskFull | CommitAnswer::Failed) | (_, CommitAnswer::Durable) => return,
        };
        let line = Line::new("notice-not-kept").text("reason", why);
        self.recorder.operation(self.now, log::Level::Warn, line);
    }
}
