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
    AcceptLosses,
}

impl Opt {
    const ALL: [Self; 13] = [
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
        Self::AcceptLosses,
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
            Self::AcceptLosses => "accept-losses",
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
            Self::Config => Some("FILE"),
            Self::Set => Some("KEY=VALUE"),
            Self::PortBase => Some("NUMBER"),
            Self::To => Some("ADDRESS"),
            Self::AppPasswordsOnly => Some("on|off"),
            Self::Name => Some("TEXT"),
            Self::Since => Some("DAYS|DATE"),
            Self::Json | Self::PasswordStdin | Self::Suspend | Self::NoCatchAll | Self::AcceptLosses => None,
        }
    }

    /// Whether it may be given more than once.
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        match self {
            Self::Set | Self::To => true,
            Self::Dir
            | Self::Config
            | Self::Json
            | Self::PortBase
            | Self::Since
            | Self::PasswordStdin
            | Self::AppPasswordsOnly
            | Self::Name
            | Self::Suspend
            | Self::NoCatchAll
            | Self::AcceptLosses => false,
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
            Self::AcceptLosses => {
                "let it tell no more of the mail that is missing now; the server must be stopped"
            }
            Self::To => "a member; repeatable, at least one",
        }
    }
}
