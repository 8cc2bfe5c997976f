//! Every key that can be configured, in one table.

use crate::limits;

/// A key with one value. Listeners are apart: they are a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The name the server greets with.
    Hostname,
    /// Where everything is kept.
    DataDir,
    /// Certificate chain.
    TlsCertificate,
    /// Private key.
    TlsKey,
    /// Octets of the largest message.
    MessageOctets,
    /// Connections in total.
    Connections,
    /// Connections from one host.
    ConnectionsPerHost,
    /// Connections from one network.
    ConnectionsPerNet,
    /// Octets of free disk that stay free.
    DiskReserveOctets,
    /// Days of the report of logins.
    AuthReportDays,
    /// Whether a login from a new place is told to the owner.
    NewPlaceNotice,
    /// Whose logins SCRAM is for.
    Scram,
    /// Whether hostile sessions are recorded.
    Journal,
    /// Which.
    JournalEvents,
    /// Days their files are kept.
    JournalDays,
    /// Octets of their files.
    JournalOctets,
    /// Seconds of silence.
    IdleSeconds,
    /// Seconds for running transactions at the end.
    StopGraceSeconds,
    /// Whether the throttle refuses.
    ThrottleMode,
    /// Who is exempt from it.
    ThrottleAllow,
    /// Who is refused whatever it does.
    ThrottleDeny,
    /// Wrong passwords an hour from one host.
    GuessesPerHost,
    /// … from one network.
    GuessesPerNet,
    /// … from one IPv6 /48.
    GuessesPerWide,
    /// … for one login.
    GuessesPerLogin,
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string, with an example of one.
    Text(&'static str),
    /// `true` or `false`.
    Switch {
        /// When nothing is written.
        default: bool,
    },
    /// A whole number with its smallest, its largest and its default value.
    Number {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
        /// When nothing is written.
        default: u64,
    },
}

/// Sections, which hold keys.
pub const SECTIONS: [&str; 3] = ["tls", "limits", "throttle"];

/// The key of the listeners.
pub const LISTENER: &str = "listener";

impl Key {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 25] = [
        Self::Hostname,
        Self::DataDir,
        Self::AuthReportDays,
        Self::NewPlaceNotice,
        Self::Scram,
        Self::Journal,
        Self::JournalEvents,
        Self::JournalDays,
        Self::JournalOctets,
        Self::TlsCertificate,
        Self::TlsKey,
        Self::MessageOctets,
        Self::Connections,
        Self::ConnectionsPerHost,
        Self::ConnectionsPerNet,
        Self::DiskReserveOctets,
        Self::IdleSeconds,
        Self::StopGraceSeconds,
        Self::ThrottleMode,
        Self::ThrottleAllow,
        Self::ThrottleDeny,
        Self::GuessesPerHost,
        Self::GuessesPerNet,
        Self::GuessesPerWide,
        Self::GuessesPerLogin,
    ];

    /// The dotted name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hostname => "hostname",
            Self::DataDir => "data-dir",
            Self::AuthReportDays => "auth-report-days",
            Self::NewPlaceNotice => "new-place-notice",
            Self::Scram => "scram",
            Self::Journal => "journal",
            Self::JournalEvents => "journal-events",
            Self::JournalDays => "journal-days",
            Self::JournalOctets => "journal-octets",
            Self::TlsCertificate => "tls.certificate",
            Self::TlsKey => "tls.key",
            Self::MessageOctets => "limits.message-octets",
            Self::Connections => "limits.connections",
            Self::ConnectionsPerHost => "limits.connections-per-host",
            Self::ConnectionsPerNet => "limits.connections-per-net",
            Self::DiskReserveOctets => "limits.disk-reserve-octets",
            Self::IdleSeconds => "limits.idle-seconds",
            Self::StopGraceSeconds => "limits.stop-grace-seconds",
            Self::ThrottleMode => "throttle.mode",
            Self::ThrottleAllow => "throttle.allow",
            Self::ThrottleDeny => "throttle.deny",
            Self::GuessesPerHost => "throttle.guesses-per-host",
            Self::GuessesPerNet => "throttle.guesses-per-net",
            Self::GuessesPerWide => "throttle.guesses-per-48",
            Self::GuessesPerLogin => "throttle.guesses-per-login",
        }
    }

    /// The key of a dotted name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// What it takes.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Hostname => Kind::Text("mail.example.org"),
            Self::DataDir => Kind::Text("/var/lib/gatepost"),
            Self::TlsCertificate => Kind::Text("/etc/gatepost/certificate.pem"),
            Self::TlsKey => Kind::Text("/etc/gatepost/key.pem"),
            Self::NewPlaceNotice => Kind::Switch { default: true },
            Self::Scram => Kind::Text("all"),
            Self::Journal => Kind::Switch { default: true },
            Self::JournalEvents => Kind::Text("fault offence login limit early-talk garbage"),
            Self::JournalDays => Kind::Number {
                min: 1,
                max: limits::JOURNAL_DAYS_CEILING,
                default: limits::JOURNAL_DAYS_DEFAULT,
            },
            Self::JournalOctets => Kind::Number {
                min: limits::JOURNAL_OCTETS_FLOOR,
                max: limits::JOURNAL_OCTETS_CEILING,
                default: limits::JOURNAL_OCTETS_DEFAULT,
            },
            Self::AuthReportDays => {
                let default = limits::REPORT_DAYS_DEFAULT;
                Kind::Number { min: 1, max: limits::REPORT_DAYS_CEILING, default }
            }
            Self::MessageOctets => Kind::Number {
                min: limits::MESSAGE_OCTETS_FLOOR,
                max: limits::MESSAGE_OCTETS_CEILING,
                default: limits::MESSAGE_OCTETS_DEFAULT,
            },
            Self::Connections => connections(limits::CONNECTIONS_FLOOR, limits::CONNECTIONS_DEFAULT),
            Self::ConnectionsPerHost => connections(1, limits::CONNECTIONS_PER_HOST_DEFAULT),
            Self::ConnectionsPerNet => connections(1, limits::CONNECTIONS_PER_NET_DEFAULT),
            Self::DiskReserveOctets => Kind::Number {
                min: 0,
                max: limits::DISK_RESERVE_OCTETS_CEILING,
                default: limits::DISK_RESERVE_OCTETS_DEFAULT,
            },
            Self::IdleSeconds => seconds(limits::IDLE_MS_FLOOR, limits::IDLE_MS_CEILING, limits::IDLE_MS),
            Self::StopGraceSeconds => seconds(0, limits::STOP_GRACE_MS_CEILING, limits::STOP_GRACE_MS),
            Self::ThrottleMode => Kind::Text("enforce"),
            Self::ThrottleAllow | Self::ThrottleDeny => Kind::Text(""),
            Self::GuessesPerHost => guesses(limits::GUESSES_PER_HOST_DEFAULT),
            Self::GuessesPerNet => guesses(limits::GUESSES_PER_NET_DEFAULT),
            Self::GuessesPerWide => guesses(limits::GUESSES_PER_WIDE_DEFAULT),
            Self::GuessesPerLogin => guesses(limits::GUESSES_PER_LOGIN_DEFAULT),
        }
    }

    /// What it is for.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Hostname => "the name of the server in DNS",
            Self::DataDir => "everything is kept here; a relative path starts at this file",
            Self::NewPlaceNotice => "mail to the owner after a login from a new network",
            Self::Scram => "or \"app-passwords\", or \"off\": which passwords SCRAM is offered for",
            Self::Journal => {
                "hostile sessions are recorded under data-dir, to be played by `gatepost replay`"
            }
            Self::JournalEvents => "what makes a session worth a file, with spaces between",
            Self::JournalDays => "days such a file is kept",
            Self::JournalOctets => "octets of all of them; the oldest go first",
            Self::AuthReportDays => "days that `gatepost auth report` goes back",
            Self::TlsCertificate => "PEM, the chain, leaf first",
            Self::TlsKey => "PEM",
            Self::MessageOctets => "the largest message",
            Self::Connections => "all listeners together",
            Self::ConnectionsPerHost => "from one IPv4 address or IPv6 /64",
            Self::ConnectionsPerNet => "from one IPv4 /24 or IPv6 /56",
            Self::DiskReserveOctets => "disk that stays free",
            Self::IdleSeconds => "silence before a session is closed",
            Self::StopGraceSeconds => "for running transactions when the server stops",
            Self::ThrottleMode => "or \"dry-run\": decide and log, refuse nobody",
            Self::ThrottleAllow => "addresses and ranges that are exempt, with spaces between",
            Self::ThrottleDeny => "addresses and ranges that are refused, with spaces between",
            Self::GuessesPerHost => "wrong passwords an hour from one IPv4 address or IPv6 /64",
            Self::GuessesPerNet => "… from one IPv4 /24 or IPv6 /56",
            Self::GuessesPerWide => "… from one IPv6 /48",
            Self::GuessesPerLogin => "… for one login, from everywhere",
        }
    }

    /// The names allowed in the section a dotted name is in, for whoever wrote another.
    #[must_use]
    pub fn names_beside(name: &str) -> String {
        let section = name.rsplit_once('.').map_or("", |(section, _)| section);
        let mut names: Vec<&str> = Self::ALL
            .into_iter()
            .map(Self::name)
            .filter(|other| other.rsplit_once('.').map_or("", |(section, _)| section) == section)
            .collect();
        if section.is_empty() {
            names.push(LISTENER);
            names.extend(SECTIONS);
        }
        names.join(", ")
    }

    /// Every name there is.
    #[must_use]
    pub fn names() -> String {
        let mut names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
        names.push(LISTENER);
        names.join(", ")
    }
}

/// A configuration file with every key, its default and its range: what help shows.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    let mut section = "";
    for key in Key::ALL {
        let (in_section, name) = key.name().rsplit_once('.').unwrap_or(("", key.name()));
        if in_section != section {
            if in_section == "limits" {
                out.push_str(LISTENERS);
            }
            out.push_str(&format!("\n[{in_section}]\n"));
            section = in_section;
        }
        let value = match key.kind() {
            Kind::Text(example) => format!("\"{example}\""),
            Kind::Switch { default } => default.to_string(),
            Kind::Number { default, .. } => default.to_string(),
        };
        let range = match key.kind() {
            Kind::Text(_) | Kind::Switch { .. } => String::new(),
            Kind::Number { min, max, .. } => format!("; from {min} to {max}"),
        };
        let line = format!("{name} = {value}");
        out.push_str(&format!("{line:<48} # {}{range}\n", key.about()));
    }
    out
}

/// The listeners of a server as RFC 8314 wants it.
const LISTENERS: &str = "\n[[listener]]                                     # at least one\n\
                         kind = \"smtp\"                                    # mail from others\n\
                         address = \"0.0.0.0:25\"                           # and \"[::]:25\" for IPv6\n\
                         \n[[listener]]\n\
                         kind = \"submission\"                              # mail of users, STARTTLS and login\n\
                         address = \"0.0.0.0:587\"\n\
                         \n[[listener]]\n\
                         kind = \"submissions\"                             # the same, TLS from the first octet\n\
                         address = \"0.0.0.0:465\"\n";

fn guesses(default: u32) -> Kind {
    Kind::Number { min: 1, max: u64::from(limits::GUESSES_CEILING), default: u64::from(default) }
}

fn connections(min: usize, default: usize) -> Kind {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Kind::Number { min: number(min), max: number(limits::CONNECTIONS_CEILING), default: number(default) }
}

/// Milliseconds inside, seconds outside.
fn seconds(min_ms: u64, max_ms: u64, default_ms: u64) -> Kind {
    Kind::Number { min: min_ms / 1_000, max: max_ms / 1_000, default: default_ms / 1_000 }
}
