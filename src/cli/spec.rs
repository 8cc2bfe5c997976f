//! The command line as a table: what there is, what it takes, what it is for.

pub use super::opt::Opt;
use std::fmt::Write as _;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has a sentence in SPECS")]
pub enum Verb {
    LocalServe,
    Serve,
    Audit,
    Replay,
    ConfigCheck,
    DomainAdd,
    DomainRemove,
    DomainList,
    DomainCatchAll,
    AccountAdd,
    AccountRemove,
    AccountList,
    AccountPasswd,
    CredentialAdd,
    CredentialList,
    CredentialRevoke,
    AccountDisable,
    AccountEnable,
    AddressAdd,
    AddressRemove,
    AliasAdd,
    AliasRemove,
    AliasList,
    AddressExplain,
    Status,
    Verify,
    AuthReport,
    AuthExplain,
    AuthForgive,
    MailList,
    MailShow,
    ImportLog,
    LocalServePrepare,
    ServeChild,
    HashWorkerChild,
}

/// A command.
#[derive(Debug)]
pub struct Spec {
    /// What it does.
    pub verb: Verb,
    /// The words that name it.
    pub words: &'static [&'static str],
    /// What follows, as in help.
    pub usage: &'static str,
    /// How many operands, at least and at most.
    pub operands: (usize, usize),
    /// Its options.
    pub options: &'static [Opt],
    /// What it is for: one line.
    pub about: &'static str,
    /// More, for its own help.
    pub more: &'static str,
}

const DATA: &[Opt] = &[Opt::Dir, Opt::Config];
const LIST: &[Opt] = &[Opt::Json, Opt::Dir, Opt::Config];
const PASSWORD: &[Opt] = &[Opt::PasswordStdin, Opt::Dir, Opt::Config];

const fn spec(
    verb: Verb,
    words: &'static [&'static str],
    usage: &'static str,
    operands: (usize, usize),
    options: &'static [Opt],
    about: &'static str,
    more: &'static str,
) -> Spec {
    Spec { verb, words, usage, operands, options, about, more }
}

/// Every command that people see, in the order of help.
pub const SPECS: &[Spec] = &[
    spec(
        Verb::LocalServe,
        &["localserve"],
        "[--dir DIR] [--port-base 1000]",
        (0, 0),
        &[Opt::Dir, Opt::PortBase, Opt::Set],
        "try it: a server on 127.0.0.1 with the account me@localhost",
        "Data, a self-signed certificate and the first password are kept in DIR (./gatepost-local). A DIR that is\n\
         there already is used as it is. Prints ports, password and lines to try it when it is ready.",
    ),
    spec(Verb::Serve, &["serve"], "--config FILE", (0, 0), &[Opt::Config, Opt::Set], "run the server", ""),
    spec(
        Verb::ConfigCheck,
        &["config", "check"],
        "FILE",
        (1, 1),
        &[Opt::Set],
        "say everything that is wrong with a configuration file",
        "Looks at the values, the certificate, the key and the data directory. Exit code 78 if something is wrong.",
    ),
    spec(Verb::DomainAdd, &["domain", "add"], "DOMAIN", (1, 1), DATA, "serve a domain", ""),
    spec(
        Verb::DomainRemove,
        &["domain", "remove"],
        "DOMAIN",
        (1, 1),
        DATA,
        "serve it no longer",
        "Refused while addresses of accounts or aliases are in it.",
    ),
    spec(Verb::DomainList, &["domain", "list"], "", (0, 0), LIST, "the domains served", ""),
    spec(
        Verb::DomainCatchAll,
        &["domain", "catch-all"],
        "DOMAIN (ADDRESS | --none)",
        (1, 2),
        &[Opt::NoCatchAll, Opt::Dir, Opt::Config],
        "let an account take what no address of the domain takes",
        "",
    ),
    spec(
        Verb::AccountAdd,
        &["account", "add"],
        "ADDRESS",
        (1, 1),
        PASSWORD,
        "make an account",
        "Asks for the password on a terminal. An account without one takes mail, but nobody can log in.",
    ),
    spec(
        Verb::AccountRemove,
        &["account", "remove"],
        "ADDRESS",
        (1, 1),
        DATA,
        "remove an account and its mail",
        "",
    ),
    spec(Verb::AccountList, &["account", "list"], "", (0, 0), LIST, "the accounts and their addresses", ""),
    spec(
        Verb::AccountPasswd,
        &["account", "passwd"],
        "ADDRESS [--app-passwords-only on|off]",
        (1, 1),
        &[Opt::PasswordStdin, Opt::AppPasswordsOnly, Opt::Dir, Opt::Config],
        "give an account another password",
        "With --app-passwords-only no password is asked for: `on` keeps the password and lets it open nothing, so that\n\
         only application passwords do; `off` undoes that.",
    ),
    spec(
        Verb::CredentialAdd,
        &["account", "credential", "add"],
        "ADDRESS [--name TEXT]",
        (1, 1),
        &[Opt::Name, Opt::Json, Opt::Dir, Opt::Config],
        "make an application password and show it, once",
        "Each mail program can have one of its own, which is taken back without changing any other. It may be typed\n\
         without the hyphens and in capitals.",
    ),
    spec(
        Verb::CredentialList,
        &["account", "credential", "list"],
        "ADDRESS",
        (1, 1),
        LIST,
        "the application passwords of an account, and when each was last used",
        "The last use can be an hour later than it says.",
    ),
    spec(
        Verb::CredentialRevoke,
        &["account", "credential", "revoke"],
        "ADDRESS ID",
        (2, 2),
        DATA,
        "take an application password back",
        "The next login with it is refused; a session that is open stays open.",
    ),
    spec(
        Verb::AccountDisable,
        &["account", "disable"],
        "ADDRESS",
        (1, 1),
        &[Opt::Suspend, Opt::Dir, Opt::Config],
        "stop logins; mail is still kept",
        "",
    ),
    spec(
        Verb::AccountEnable,
        &["account", "enable"],
        "ADDRESS",
        (1, 1),
        DATA,
        "allow logins and mail again",
        "",
    ),
    spec(
        Verb::AddressAdd,
        &["account", "address", "add"],
        "ACCOUNT ADDRESS",
        (2, 2),
        DATA,
        "give an account a further address",
        "",
    ),
    spec(
        Verb::AddressRemove,
        &["account", "address", "remove"],
        "ACCOUNT ADDRESS",
        (2, 2),
        DATA,
        "take a further address away",
        "",
    ),
    spec(
        Verb::AliasAdd,
        &["alias", "add"],
        "ADDRESS --to ADDRESS [--to …]",
        (1, 1),
        &[Opt::To, Opt::Dir, Opt::Config],
        "make an alias, or give it other members",
        "A member that gets no mail (yet) is taken with a warning. An alias postmaster@ or abuse@ overrides the default,\n\
         which is the oldest account.",
    ),
    spec(Verb::AliasRemove, &["alias", "remove"], "ADDRESS", (1, 1), DATA, "remove an alias", ""),
    spec(Verb::AliasList, &["alias", "list"], "", (0, 0), LIST, "the aliases and their members", ""),
    spec(
        Verb::AddressExplain,
        &["address", "explain"],
        "ADDRESS",
        (1, 1),
        LIST,
        "where mail to an address goes, whether it can log in, and why",
        "ADDRESS may be postmaster alone.",
    ),
    spec(
        Verb::Status,
        &["status"],
        "",
        (0, 0),
        LIST,
        "how the running server does: mail, connections, store, and how long its turns take",
        "A turn is what the loop does between two waits; whoever asks waits for the turn that is under way. Counts begin\n\
         with the server's process. Exit code 69 if none runs.",
    ),
    spec(
        Verb::Verify,
        &["verify"],
        "[--accept-losses]",
        (0, 0),
        &[Opt::Json, Opt::AcceptLosses, Opt::Dir, Opt::Config],
        "look at every record and every body, and say what is wrong and what to do",
        "Reads everything that is kept, whether or not a server runs, and changes nothing. Tells acknowledged mail that\n\
         is missing, records that cannot be read or do not fit each other, bodies that are not whole, and what crashes\n\
         left over. The last line sums. Exit code 0 if nothing is wrong, 65 if something is, 75 if another program has\n\
         the directory.",
    ),
    spec(
        Verb::AuthReport,
        &["auth", "report"],
        "[--since DAYS|DATE]",
        (0, 0),
        &[Opt::Since, Opt::Json, Opt::Dir, Opt::Config],
        "who logged in, who tried, and what of it is new",
        "Days are in UTC. What is new is so when compared with all earlier days that are kept (auth-report-days).",
    ),
    spec(
        Verb::AuthExplain,
        &["auth", "explain"],
        "ADDRESS|IP",
        (1, 1),
        LIST,
        "which rule of the throttle refuses whom, since when, until when, and why",
        "ADDRESS is a login name, whether or not it exists.",
    ),
    spec(
        Verb::AuthForgive,
        &["auth", "forgive"],
        "ADDRESS|IP",
        (1, 1),
        DATA,
        "forget what the throttle holds against an address and its networks, or against a login",
        "",
    ),
    spec(
        Verb::Replay,
        &["replay"],
        "FILE|DIR... [--to HOST:PORT]",
        (1, usize::MAX),
        &[
            Opt::Update,
            Opt::To,
            Opt::Submission,
            Opt::Submissions,
            Opt::Account,
            Opt::PasswordFile,
            Opt::Unknown,
            Opt::Rate,
            Opt::Count,
            Opt::IOwnThisHost,
            Opt::Json,
        ],
        "play dialogue files, in memory or against a server, and say what differs",
        "Without --to each file is played in memory, the same on every machine; the first difference is shown with the\n\
         lines around it, - what is written and + what came. Of a directory all files that end in .txt are played. The\n\
         last line is `N passed, N failed`. Exit code 0 if all agree, 1 if one differs, 65 if a file is no dialogue.\n\
         With --to the files are played against a server of any make on this machine, and a score card is printed:\n\
         lost connections, replies of another class, what tells accounts apart, slow answers. Exit code 0 if nothing\n\
         was found, 1 if something was, 69 if nobody answers.",
    ),
    spec(
        Verb::Audit,
        &["audit"],
        "[--to HOST:PORT]",
        (0, 0),
        &[
            Opt::To,
            Opt::Submission,
            Opt::Submissions,
            Opt::Known,
            Opt::Alias,
            Opt::Samples,
            Opt::Rate,
            Opt::Only,
            Opt::Jitter,
            Opt::Threshold,
            Opt::IOwnThisHost,
            Opt::Json,
        ],
        "try a server as a stranger would, and say what it tells about who exists",
        "Without --to it audits gatepost itself: a server of its own, which goes when it is done. It logs in to nobody\n\
         and delivers nothing: it gives wrong passwords and asks for recipients. For each channel it says how many bits\n\
         an answer tells about whether an address or login exists, 0 to 1. Exit code 1 if a channel that need not\n\
         tell is above the threshold, 69 if there is no server. A host that is not this machine wants\n\
         --i-own-this-host. --known and --alias name addresses that exist; others of the same shape are made up.",
    ),
    spec(Verb::MailList, &["mail", "list"], "ACCOUNT", (1, 1), LIST, "the messages of an account", ""),
    spec(
        Verb::MailShow,
        &["mail", "show"],
        "ACCOUNT ID",
        (2, 2),
        DATA,
        "a message on standard output, octet by octet as it is kept",
        "",
    ),
    spec(
        Verb::ImportLog,
        &["import-log"],
        "FILE... [--format auto] [--out DIR] [--json]",
        (1, usize::MAX),
        &[Opt::Format, Opt::Out, Opt::Json],
        "make dialogue files of what other servers' logs tell of their clients",
        "Reads logs, plain or gzip (`-` is standard input), counts the tries that were refused, and writes one\n\
         dialogue to DIR for each behaviour; passwords and names that are no role words are replaced. With --json one\n\
         object: attempts, skipped lines, and how many dialogues were written. Formats: auto, mox, postfix,\n\
         dovecot, exim, opensmtpd, postal, nginx, stalwart, sendmail, courier, cyrus, maddy, haraka, transcript,\n\
         kerio, assp, domino, perdition, oracleims. Exit code 65 if a file was damaged.",
    ),
];

/// What other processes of ours start; not for people.
pub const HIDDEN: &[Spec] = &[
    spec(Verb::LocalServePrepare, &["localserve-prepare"], "", (0, 0), &[Opt::Dir], "", ""),
    spec(Verb::ServeChild, &["serve-child"], "", (0, 0), &[], "", ""),
    spec(Verb::HashWorkerChild, &["hash-worker-child"], "", (0, 0), &[], "", ""),
];

impl Spec {
    /// `gatepost account add ADDRESS`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut out = format!("gatepost {}", self.words.join(" "));
        if !self.usage.is_empty() {
            out.push(' ');
            out.push_str(self.usage);
        }
        out
    }

    /// The command's own help.
    #[must_use]
    pub fn help(&self) -> String {
        let mut out = format!("{}\n\n{}.\n", self.line(), sentence(self.about));
        if !self.more.is_empty() {
            let _ = writeln!(out, "{}", self.more);
        }
        if matches!(self.verb, Verb::Serve | Verb::ConfigCheck) {
            out.push_str("\nA configuration file with every key and its default:\n\n");
            out.push_str(&crate::config::keys::reference());
        }
        out.push_str("\nOptions:\n");
        for opt in self.options {
            let name = match opt.value() {
                Some(value) => format!("--{} {value}", opt.name()),
                None => format!("--{}", opt.name()),
            };
            let _ = writeln!(out, "  {name:<18} {}", opt.about());
        }
        let _ = writeln!(out, "  {:<18} this text", "-h, --help");
        out
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Help for everything that begins with these words.
#[must_use]
pub fn help(words: &[&str]) -> String {
    let mut out = String::new();
    if words.is_empty() {
        out.push_str("gatepost: a mail server for one careful administrator\n\n");
    }
    for spec in SPECS.iter().filter(|spec| spec.words.starts_with(words)) {
        let _ = writeln!(out, "  {:<56} {}", spec.line(), spec.about);
    }
    out.push_str(
        "\nEvery command about data takes --dir DIR or --config FILE to find it, and works while the server runs and\n\
         while it does not. `gatepost COMMAND --help` has more.\n\
         Exit codes: 64 usage, 65 data, 66 no input, 69 no server runs, 73 cannot create, 74 input or output, 75 try later,\n\
         77 permission, 78 configuration.\n",
    );
    out
}

/// The command that is nearest to a word that is none, if one is near.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    // What is far longer than any word of ours is not near one.
    if one.len() > 32 {
        return usize::MAX;
    }
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, a) in one.chars().enumerate() {
        let mut before = index;
        let mut left = index.saturating_add(1);
        let mut next = vec![left];
        for (b, above) in other.iter().zip(row.iter().skip(1)) {
            let changed = before.saturating_add(usize::from(a != *b));
            left = changed.min(left.saturating_add(1)).min(above.saturating_add(1));
            before = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, letters) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("acount", "account", 1),
            ("sevre", "serve", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
    }

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        assert_eq!(nearest("acount", ["alias", "account"].into_iter()), Some("account"));
        assert_eq!(nearest("xyzzy", ["alias", "account"].into_iter()), None);
    }

    #[test]
    fn every_command_has_its_own_words_and_says_what_it_is_for() {
        let mut seen = std::collections::BTreeSet::new();
        for spec in SPECS {
            assert!(seen.insert(spec.words), "{:?}", spec.words);
            assert!(!spec.about.is_empty());
            assert!(spec.operands.0 <= spec.operands.1);
            assert!(help(&[]).contains(&spec.line()));
        }
    }
}
