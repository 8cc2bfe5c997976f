//! What may be kept of a login name.
//!
//! People type passwords where the name belongs, so what names nothing here is never kept as it was sent:
//! well-known words stay, everything else becomes a stand-in of the same shape.

use crate::auth::lookup::{self, LoginLookup};
use crate::directory::Directory;
use crate::limits::REPORT_NAME_OCTETS_MAX;
use crate::types::{AccountId, Address};

/// A login name as the report keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptName {
    /// Printable ASCII, or the letters of an address of ours.
    pub text: String,
    /// The account it names, whether that may log in or not.
    pub account: Option<AccountId>,
}

/// Local parts that robots try everywhere: they tell nothing about anybody.
const WELL_KNOWN: [&str; 24] = [
    "abuse",
    "accounting",
    "admin",
    "administrator",
    "backup",
    "billing",
    "contact",
    "demo",
    "guest",
    "help",
    "info",
    "mail",
    "marketing",
    "no-reply",
    "office",
    "postmaster",
    "root",
    "sales",
    "scanner",
    "service",
    "support",
    "test",
    "user",
    "webmaster",
];

/// What is kept of the name that somebody logged in with.
#[must_use]
pub fn kept(directory: Option<&Directory>, login: &str) -> KeptName {
    let address = login.parse::<Address>().ok();
    let of_account = |id| KeptName { text: whole(address.as_ref(), login), account: Some(id) };
    match lookup::look_up(directory, login.as_bytes()) {
        LoginLookup::Account(id, _)
        | LoginLookup::DisabledAccount(id, _)
        | LoginLookup::MainPasswordForbidden(id)
        | LoginLookup::AccountWithoutPassword(id) => of_account(id),
        LoginLookup::Alias => KeptName { text: whole(address.as_ref(), login), account: None },
        // The domain is one of ours; what stands before it is anything.
        LoginLookup::CatchAll | LoginLookup::NoSuchAddress => {
            let domain = address.map(|address| address.domain.as_str().to_owned()).unwrap_or_default();
            let local = login.rsplit_once('@').map_or(login, |(local, _)| local);
            KeptName { text: cut(joined(&word_or_shape(local), &domain)), account: None }
        }
        LoginLookup::NoSuchDomain | LoginLookup::Malformed | LoginLookup::Unavailable => {
            KeptName { text: stand_in(login), account: None }
        }
    }
}

fn joined(local: &str, domain: &str) -> String {
    let mut out = local.to_owned();
    out.push('@');
    out.push_str(domain);
    out
}

/// An address of ours, in the one way it is written.
fn whole(address: Option<&Address>, login: &str) -> String {
    cut(address.map_or_else(|| shape(login), |address| address.key().as_str().to_owned()))
}

fn stand_in(login: &str) -> String {
    cut(match login.rsplit_once('@') {
        Some((local, domain)) => joined(&word_or_shape(local), &shape(domain)),
        None => word_or_shape(login),
    })
}

fn word_or_shape(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if WELL_KNOWN.contains(&lower.as_str()) { lower } else { shape(text) }
}

/// Letters become `x`, digits `0`; dots, hyphens and the like stay; everything else becomes `?`.
fn shape(text: &str) -> String {
    let stand_in = |c: char| match c {
        '.' | '-' | '_' | '+' | '@' => c,
        '0'..='9' => '0',
        other if other.is_alphabetic() => 'x',
        _ => '?',
    };
    text.chars().map(stand_in).collect()
}

fn cut(text: String) -> String {
    let mut left = REPORT_NAME_OCTETS_MAX;
    let fits = |c: &char| {
        left = left.saturating_sub(c.len_utf8());
        left > 0
    };
    if text.len() <= REPORT_NAME_OCTETS_MAX { text } else { text.chars().take_while(fits).collect() }
}
