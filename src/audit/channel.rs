//! Ways in which a server may tell.

/// What is asked, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// AUTH PLAIN with a wrong password.
    AuthPlain,
    /// AUTH LOGIN with a wrong password.
    AuthLogin,
    /// AUTH SCRAM-SHA-256 with a wrong proof, twice.
    AuthScram,
    /// Wrong passwords, one after the other, from one address.
    AuthSeries,
    /// AUTH PLAIN on the door for mail from others.
    AuthAtMail,
    /// RCPT of a stranger.
    Rcpt,
    /// RCPT before a login where one is needed.
    RcptAtSubmission,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// MAIL FROM.
    Mail,
}

/// What of an answer is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// What it says.
    Reply,
    /// How large it is on the wire.
    Size,
    /// When it comes.
    Time,
    /// What becomes of the connection.
    Connection,
    /// The salt and the count of SCRAM.
    Salt,
    /// Whether an account and an alias can be told apart.
    Kind,
}

impl Probe {
    /// All of them, in the order in which they are made: what a server holds against a visitor comes last.
    pub const ALL: [Self; 10] = [
        Self::Rcpt,
        Self::RcptAtSubmission,
        Self::Vrfy,
        Self::Expn,
        Self::Mail,
        Self::AuthAtMail,
        Self::AuthPlain,
        Self::AuthLogin,
        Self::AuthScram,
        Self::AuthSeries,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthPlain => "auth-plain",
            Self::AuthLogin => "auth-login",
            Self::AuthScram => "auth-scram",
            Self::AuthSeries => "auth-throttle",
            Self::AuthAtMail => "auth-at-mail",
            Self::Rcpt => "rcpt",
            Self::RcptAtSubmission => "rcpt-at-submission",
            Self::Vrfy => "vrfy",
            Self::Expn => "expn",
            Self::Mail => "mail",
        }
    }

    /// The probe of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|probe| probe.name() == name)
    }

    /// What of its answers is looked at.
    #[must_use]
    pub fn aspects(self) -> &'static [Aspect] {
        use Aspect::{Connection, Kind, Reply, Salt, Size, Time};
        match self {
            Self::AuthScram => &[Reply, Salt, Size, Time, Connection],
            Self::Rcpt => &[Reply, Size, Time, Connection, Kind],
            // How long a throttle waits is measured by its own channel; sizes follow from the replies.
            Self::AuthSeries => &[Reply, Time, Connection],
            Self::AuthPlain
            | Self::AuthLogin
            | Self::AuthAtMail
            | Self::RcptAtSubmission
            | Self::Vrfy
            | Self::Expn
            | Self::Mail => &[Reply, Size, Time, Connection],
        }
    }

    /// Whether no server can help telling, since what is asked for is what it is there to say: who takes mail for
    /// some addresses and not for all of them tells which (RFC 5321 section 3.3), and who takes it for all of them
    /// sends bounces to strangers.
    #[must_use]
    pub fn is_inherent(self, aspect: Aspect) -> bool {
        match self {
            Self::Rcpt => match aspect {
                Aspect::Reply | Aspect::Size | Aspect::Time => true,
                Aspect::Connection | Aspect::Salt | Aspect::Kind => false,
            },
            Self::AuthPlain
            | Self::AuthLogin
            | Self::AuthScram
            | Self::AuthSeries
            | Self::AuthAtMail
            | Self::RcptAtSubmission
            | Self::Vrfy
            | Self::Expn
            | Self::Mail => false,
        }
    }

    /// Whether the server hashes a password, or waits, for each visit.
    #[must_use]
    pub fn is_dear(self) -> bool {
        match self {
            Self::AuthPlain | Self::AuthLogin | Self::AuthScram | Self::AuthSeries => true,
            Self::AuthAtMail | Self::Rcpt | Self::RcptAtSubmission | Self::Vrfy | Self::Expn | Self::Mail => {
                false
            }
        }
    }
}

impl Aspect {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Size => "size",
            Self::Time => "time",
            Self::Connection => "connection",
            Self::Salt => "salt",
            Self::Kind => "kind",
        }
    }
}
