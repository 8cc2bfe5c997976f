//! Whose logins a dialogue tries, and in whose place.

use crate::dialog::world::World;
use crate::directory::Target;
use crate::types::Address;
use base64ct::{Base64, Encoding};

/// Real names in place of those of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    /// An account of the server and its password, in place of the dialogue's first.
    pub account: Option<(String, String)>,
    /// An address that the server does not have, in place of those the dialogue does not have.
    pub unknown: Option<String>,
}

/// What a name is in the world of a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// An account.
    Account,
    /// An alias.
    Alias,
    /// Nobody.
    Unknown,
}

impl NameKind {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "an account",
            Self::Alias => "an alias",
            Self::Unknown => "nobody",
        }
    }
}

/// The names of a dialogue.
#[derive(Debug)]
pub(super) struct Names<'m> {
    world: World,
    mapping: Option<&'m Mapping>,
}

/// A line as it is sent.
#[derive(Debug)]
pub(super) struct Said {
    pub octets: Vec<u8>,
    /// Whose login it names, if it names one.
    pub kind: Option<NameKind>,
}

impl<'m> Names<'m> {
    pub(super) fn new(world: World, mapping: Option<&'m Mapping>) -> Self {
        Self { world, mapping }
    }

    /// A line with real names in it. `in_login`: a challenge was said before.
    pub(super) fn line(&self, line: &[u8], in_login: bool) -> Said {
        let as_it_is = || Said { octets: line.to_vec(), kind: None };
        let Ok(text) = std::str::from_utf8(line) else { return as_it_is() };
        let is_auth = text.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case("AUTH "));
        if !is_auth && !in_login {
            return as_it_is();
        }
        // A command of one mechanism has no response of its own.
        let is_bare = is_auth && text.split_ascii_whitespace().count() < 3;
        let (before, last) = match text.rfind(' ') {
            _ if is_bare => return as_it_is(),
            Some(at) => text.split_at_checked(at.saturating_add(1)).unwrap_or((text, "")),
            None => ("", text),
        };
        let Ok(response) = Base64::decode_vec(last) else { return as_it_is() };
        let (response, kind) = self.response(response);
        Said { octets: format!("{before}{}", Base64::encode_string(&response)).into_bytes(), kind }
    }

    /// A response of PLAIN (RFC 4616 section 2), or one of LOGIN, which is a name or a password.
    fn response(&self, response: Vec<u8>) -> (Vec<u8>, Option<NameKind>) {
        let parts: Vec<&[u8]> = response.split(|octet| *octet == 0).collect();
        if let [authorize_as, login, password] = parts.as_slice() {
            let kind = self.kind(login);
            let parts = [self.name(authorize_as), self.name(login), self.password(password)];
            return (parts.join(&0), Some(kind));
        }
        if response.contains(&b'@') {
            let kind = self.kind(&response);
            return (self.name(&response), Some(kind));
        }
        (self.password(&response), None)
    }

    fn kind(&self, login: &[u8]) -> NameKind {
        let address = std::str::from_utf8(login).ok().and_then(|text| text.parse::<Address>().ok());
        let directory = self.world.accounts().0;
        match directory.zip(address).and_then(|(directory, address)| directory.target(&address)) {
            Some(Target::Account(_)) => NameKind::Account,
            Some(Target::Alias) => NameKind::Alias,
            None => NameKind::Unknown,
        }
    }

    fn name(&self, login: &[u8]) -> Vec<u8> {
        let is_first = || {
            let first = self.world.accounts().1.first()?;
            let address = std::str::from_utf8(login).ok()?.parse::<Address>().ok()?;
            Some(std::iter::once(&first.name).chain(&first.addresses).any(|one| one.key() == address.key()))
        };
        let account = self.mapping.and_then(|mapping| mapping.account.as_ref());
        let unknown = self.mapping.and_then(|mapping| mapping.unknown.as_ref());
        match (account, unknown) {
            (Some((name, _)), _) if is_first() == Some(true) => name.clone().into_bytes(),
            (_, Some(name)) if login.contains(&b'@') && self.kind(login) == NameKind::Unknown => {
                name.clone().into_bytes()
            }
            (_, _) => login.to_vec(),
        }
    }

    fn password(&self, password: &[u8]) -> Vec<u8> {
        let first = self.world.accounts().1.first().and_then(|first| first.password.as_ref());
        let real = self.mapping.and_then(|mapping| mapping.account.as_ref());
        match (first, real) {
            (Some(first), Some((_, real))) if first.as_bytes() == password => real.clone().into_bytes(),
            (_, _) => password.to_vec(),
        }
    }
}
