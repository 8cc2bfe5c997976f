//! What was seen of one visit.

use super::mask;
use super::plan::Errand;

/// What came when a reply was awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A reply, its lines divided by LF.
    Reply(String),
    /// The connection was closed.
    Closed,
    /// It was reset, or TLS broke.
    Broken,
    /// Nothing, for as long as anybody waits.
    Silence,
}

impl Heard {
    /// The code of a reply; 0 if there is none.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Reply(text) => text.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0),
            Self::Closed | Self::Broken | Self::Silence => 0,
        }
    }

    /// The text of a reply, without the codes in front of its lines.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Reply(text) => text.get(4..).unwrap_or_default(),
            Self::Closed | Self::Broken | Self::Silence => "",
        }
    }

    /// Codes and the number of lines alone.
    fn codes(&self) -> String {
        match self {
            Self::Reply(text) => {
                let enhanced = text.get(4..).and_then(mask::enhanced_code).unwrap_or("(no enhanced code)");
                let lines = text.lines().count();
                let lines = if lines > 1 { format!(" in {lines} lines") } else { String::new() };
                format!("{} {enhanced}{lines}", self.code())
            }
            Self::Closed => "closed".to_owned(),
            Self::Broken => "broken".to_owned(),
            Self::Silence => "silence".to_owned(),
        }
    }

    /// As people read it, with the name and what looks like a number of the moment masked.
    #[must_use]
    pub fn masked(&self, name: &str) -> String {
        match self {
            Self::Reply(text) => mask::reply(text, name),
            Self::Closed | Self::Broken | Self::Silence => self.codes(),
        }
    }
}

/// One thing said after the name was given, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was said: a word for people.
    pub said: &'static str,
    /// What came.
    pub heard: Heard,
    /// From the first octet of what was said until the last octet of what came, in nanoseconds.
    pub nanos: u64,
    /// Octets of each TLS record that came; in plain text, of all that came.
    pub octets: Vec<usize>,
}

/// What SCRAM's first message of a server says besides its nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salt {
    /// As it came, in base64.
    pub salt: String,
    /// As it came.
    pub iterations: String,
}

/// How far a visit got before a name was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// All the way.
    Open,
    /// The server turned the visitor away: it could not be asked.
    Shut,
    /// The server does not have what was to be asked for.
    NotOffered,
}

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// For whom.
    pub errand: Errand,
    /// How far it got.
    pub door: Door,
    /// What was said and came, from the first that had the name.
    pub steps: Vec<Step>,
    /// How the end was taken: what came for QUIT.
    pub end: Heard,
    /// What SCRAM told, once for each exchange.
    pub salts: Vec<Salt>,
}

impl Visit {
    /// The codes of all replies.
    #[must_use]
    pub fn codes(&self) -> String {
        self.joined(|step| step.heard.codes())
    }

    /// All replies, masked.
    #[must_use]
    pub fn text(&self) -> String {
        self.joined(|step| step.heard.masked(&self.errand.name))
    }

    /// Sizes of all that came.
    #[must_use]
    pub fn sizes(&self) -> String {
        self.joined(|step| step.octets.iter().map(usize::to_string).collect::<Vec<_>>().join("+"))
    }

    /// How it ended.
    #[must_use]
    pub fn ending(&self) -> String {
        format!("{} for QUIT", self.end.codes())
    }

    fn joined(&self, of: impl Fn(&Step) -> String) -> String {
        let mut parts: Vec<(String, usize)> = Vec::new();
        for part in self.steps.iter().map(of) {
            match parts.last_mut() {
                Some((last, count)) if *last == part => *count = count.saturating_add(1),
                Some(_) | None => parts.push((part, 1)),
            }
        }
        let told = |(part, count): (String, usize)| {
            if count > 1 { format!("{count} times {part}") } else { part }
        };
        parts.into_iter().map(told).collect::<Vec<_>>().join(" | ")
    }
}
