//! The options of the command line.

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each has a sentence in Opt::about")]
pub enum Opt {
    Dir,
    Config,
    Json,
    Set,
    PortBase,
    PasswordStdin,
    AppPasswordsOnly,
    Name,
    Suspend,
    NoCatchAll,
    To,
    Since,
    Submission,
    Submissions,
    Known,
    Alias,
    Update,
    Starttls,
    Account,
    PasswordFile,
    Unknown,
    Count,
    Samples,
    Rate,
    Threshold,
    IOwnThisHost,
    Format,
    Out,
    AcceptLosses,
    Only,
    Jitter,
}

impl Opt {
    const ALL: [Self; 31] = [
        Self::Dir,
        Self::Config,
        Self::Json,
        Self::Set,
        Self::PortBase,
        Self::PasswordStdin,
        Self::AppPasswordsOnly,
        Self::Name,
        Self::Suspend,
        Self::NoCatchAll,
        Self::To,
        Self::Since,
        Self::Submission,
        Self::Submissions,
        Self::Known,
        Self::Alias,
        Self::Update,
        Self::Starttls,
        Self::Account,
        Self::PasswordFile,
        Self::Unknown,
        Self::Count,
        Self::Samples,
        Self::Rate,
        Self::Threshold,
        Self::IOwnThisHost,
        Self::Format,
        Self::Out,
        Self::AcceptLosses,
        Self::Only,
        Self::Jitter,
    ];

    /// Its name, without the dashes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Config => "config",
            Self::Json => "json",
            Self::Set => "set",
            Self::PortBase => "port-base",
            Self::PasswordStdin => "password-stdin",
            Self::AppPasswordsOnly => "app-passwords-only",
            Self::Name => "name",
            Self::Suspend => "suspend",
            Self::NoCatchAll => "none",
            Self::To => "to",
            Self::Since => "since",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Known => "known",
            Self::Alias => "alias",
            Self::Update => "update",
            Self::Starttls => "starttls",
            Self::Account => "account",
            Self::PasswordFile => "password-file",
            Self::Unknown => "unknown",
            Self::Count => "count",
            Self::Samples => "samples",
            Self::Rate => "rate",
            Self::Threshold => "threshold",
            Self::IOwnThisHost => "i-own-this-host",
            Self::Format => "format",
            Self::Out => "out",
            Self::AcceptLosses => "accept-losses",
            Self::Only => "only",
            Self::Jitter => "jitter",
        }
    }

    /// The option of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|opt| opt.name() == name)
    }

    /// What its value is called in help; `None` if it takes none.
    #[must_use]
    pub fn value(self) -> Option<&'static str> {
        match self {
            Self::Dir => Some("DIR"),
            Self::Config | Self::PasswordFile => Some("FILE"),
            Self::Set => Some("KEY=VALUE"),
            Self::PortBase | Self::Samples | Self::Rate | Self::Count => Some("NUMBER"),
            Self::To | Self::Known | Self::Alias | Self::Account | Self::Unknown => Some("ADDRESS"),
            Self::Submission | Self::Submissions => Some("HOST:PORT"),
            Self::Threshold => Some("BITS"),
            Self::AppPasswordsOnly => Some("on|off"),
            Self::Name => Some("TEXT"),
            Self::Since => Some("DAYS|DATE"),
            Self::Json
            | Self::PasswordStdin
            | Self::Suspend
            | Self::NoCatchAll
            | Self::IOwnThisHost
            | Self::Update
            | Self::Starttls
            | Self::AcceptLosses => None,
            Self::Format => Some("NAME"),
            Self::Out => Some("DIR"),
            Self::Only => Some("PROBE"),
            Self::Jitter => Some("MICROSECONDS"),
        }
    }

    /// Whether it may be given more than once.
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        match self {
            Self::Set | Self::To | Self::Known | Self::Alias | Self::Only => true,
            Self::Dir
            | Self::Config
            | Self::Json
            | Self::PortBase
            | Self::Since
            | Self::Format
            | Self::Out
            | Self::PasswordStdin
            | Self::AppPasswordsOnly
            | Self::Name
            | Self::Suspend
            | Self::NoCatchAll
            | Self::Update
            | Self::Starttls
            | Self::Account
            | Self::PasswordFile
            | Self::Unknown
            | Self::Count
            | Self::Submission
            | Self::Submissions
            | Self::Samples
            | Self::Rate
            | Self::Threshold
            | Self::IOwnThisHost
            | Self::AcceptLosses
            | Self::Jitter => false,
        }
    }

    /// What it is for, in help.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Dir => "the data directory (or set GATEPOST_DIR)",
            Self::Config => "the configuration file, which names the data directory",
            Self::Json => "an array of objects, for scripts",
            Self::Set => "a key of the configuration, over what the file says; repeatable",
            Self::PortBase => "added to 25, 465 and 587 (1000)",
            Self::PasswordStdin => "read the password from the first line of standard input",
            Self::AppPasswordsOnly => "whether only application passwords open the account, not this one",
            Self::Name => "what its owner calls it, such as the device it is for",
            Self::Suspend => "take no mail either: it is answered 450, so that senders try again later",
            Self::NoCatchAll => "no catch-all",
            Self::Since => "so many days, today included, or a date such as 2026-11-01 (7)",
            Self::To => "a member, repeatable; for audit and replay the server, HOST:PORT",
            Self::Update => "write into each file what happens now, so that it agrees",
            Self::Starttls => "log in on submission after STARTTLS, also where a file does without",
            Self::Account => "an account of that server, in place of the first of each file",
            Self::PasswordFile => "a file whose first line is that account's password",
            Self::Unknown => "an address that server does not have, in place of those a file does not have",
            Self::Count => "sessions at most (1000)",
            Self::Submission => "where users log in behind STARTTLS",
            Self::Submissions => "where users log in with TLS at once",
            Self::Known => "an address that can log in; repeatable",
            Self::Alias => "an alias, which gets mail and cannot log in; repeatable",
            Self::Samples => "rounds of each measurement (40)",
            Self::Rate => "visits a second (as many as go; 2 if the host is not this machine)",
            Self::Threshold => "bits above which it fails (0.05)",
            Self::IOwnThisHost => "the host is not this machine, and it is yours to try",
            Self::Format => "whose log it is, or auto: each line decides (auto)",
            Self::Out => "where dialogue files are written; made if it is not there",
            Self::AcceptLosses => {
                "let it tell no more of the mail that is missing now; the server must be stopped"
            }
            Self::Only => "try only this, such as rcpt, auth-plain or starttls; repeatable",
            Self::Jitter => "chance added to each time, as a network adds it (100 on this machine, else 0)",
        }
    }
}
