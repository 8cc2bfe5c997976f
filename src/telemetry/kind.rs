//! What a line is about, and which budget it is written from.

/// What a line is about. Rollups count by it, so that a ban tool can tell a guess from a typing error although
/// the lines themselves were held back: of a hostile kind either all lines accuse their source or none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Logins refused for what was sent, or because of too many such.
    Login,
    /// Connections turned away by the throttle.
    Connect,
    /// Sessions in another protocol than SMTP.
    Probe,
    /// Recipients refused for good.
    Recipient,
    /// Sessions ended for their errors.
    Errors,
    /// What strangers cause and nobody is banned for: a failed handshake, a crowd, a message refused.
    Other,
    /// Logins that succeeded.
    Success,
    /// Mail that was taken.
    Mail,
    /// Trouble of ours that a peer ran into: a full disk, a lost worker, a caught panic.
    Trouble,
    /// What a library says.
    Library,
    /// The store and administrators' acts: what the administrator must not miss.
    Operation,
}

/// Which budget a line is written from. No class can use up another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What strangers cause.
    Hostile,
    /// Logins that succeeded.
    Logins,
    /// Mail that was taken.
    Mail,
    /// Trouble of ours that a peer can cause again and again.
    Trouble,
    /// What a library says.
    Library,
    /// What no peer can cause.
    Operation,
}

impl Kind {
    /// Its word in a rollup.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Connect => "connect",
            Self::Probe => "probe",
            Self::Recipient => "recipient",
            Self::Errors => "errors",
            Self::Other => "other",
            Self::Success => "success",
            Self::Mail => "mail",
            Self::Trouble => "trouble",
            Self::Library => "library",
            Self::Operation => "operation",
        }
    }

    /// Which budget its lines are written from.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Login | Self::Connect | Self::Probe | Self::Recipient | Self::Errors | Self::Other => {
                Class::Hostile
            }
            Self::Success => Class::Logins,
            Self::Mail => Class::Mail,
            Self::Trouble => Class::Trouble,
            Self::Library => Class::Library,
            Self::Operation => Class::Operation,
        }
    }
}
