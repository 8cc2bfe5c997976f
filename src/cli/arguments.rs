//! Arguments as meant: a [`Command`] with nothing left to interpret.

pub mod audit;
mod import_log;
pub mod replay;

pub use import_log::ImportLog;

use super::failure::{Exit, Failure};
use super::spec::{self, HIDDEN, Opt, SPECS, Spec, Verb};
use crate::auth::report::DayNumber;
use crate::control::AuthSubject;
use crate::directory::credential::MainPassword;
use crate::directory::{AccountState, plan};
use crate::mail::date::from_rfc3339;
use crate::types::{Address, Domain, ForwardPath, Uid};
use lexopt::Arg;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this directory.
    Dir(PathBuf),
    /// Where this configuration file says.
    Config(PathBuf),
    /// Nobody said; the environment may.
    Unsaid,
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordFrom {
    /// The first line of standard input.
    Stdin,
    /// Somebody types it, if there is a terminal.
    Terminal,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table.
    People,
    /// JSON.
    Scripts,
}

/// From when on a report tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So many days, today included; 1 at the least.
    Days(u32),
    /// From this day on.
    Date(DayNumber),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Print this.
    Help(String),
    /// Print the version.
    Version,
    /// The server to try.
    LocalServe {
        /// Its directory.
        dir: PathBuf,
        /// Added to each port.
        port_base: u16,
        /// `KEY=VALUE` each.
        settings: Vec<String>,
    },
    /// The server.
    Serve {
        /// Its configuration.
        config: PathBuf,
        /// `KEY=VALUE` each.
        settings: Vec<String>,
    },
    /// Play dialogues.
    Replay(replay::Order),
    /// Try a server as a stranger would.
    Audit(audit::Order),
    /// Look at a configuration.
    ConfigCheck {
        /// The file.
        file: PathBuf,
        /// `KEY=VALUE` each.
        settings: Vec<String>,
    },
    /// Read other servers' logs.
    ImportLog(ImportLog),
    /// What `localserve` makes first, started by it.
    LocalServePrepare {
        /// Where.
        dir: PathBuf,
    },
    /// The server process, started by the parent.
    ServeChild,
    /// The hash worker, started by the parent.
    HashWorkerChild,
    /// Something about data.
    Data(Place, DataCommand),
}

/// What to do with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataCommand {
    /// Change the directory; nothing else is needed.
    Change(plan::Request),
    /// Make an account, with a password perhaps.
    AccountAdd(Address, PasswordFrom),
    /// Make an application password of this name.
    CredentialAdd(Address, String, Form),
    /// List the application passwords of an account.
    CredentialList(Address, Form),
    /// Set a password.
    AccountPasswd(Address, PasswordFrom),
    /// List domains.
    DomainList(Form),
    /// List accounts.
    AccountList(Form),
    /// List aliases.
    AliasList(Form),
    /// Explain what mail and logins come to.
    AddressExplain(ForwardPath, Form),
    /// Say how the running server does.
    Status(Form),
    /// Look at everything that is kept; perhaps what is known to be missing is to be told no more.
    Verify(Form, bool),
    /// Tell who logged in and who tried.
    AuthReport(Option<Since>, Form),
    /// Say what the throttle holds against somebody.
    AuthExplain(AuthSubject, Form),
    /// Forget it.
    AuthForgive(AuthSubject),
    /// List messages.
    MailList(Address, Form),
    /// Write a message out.
    MailShow(Address, Uid),
}

/// Reads a command line; the first argument is the program's name.
///
/// # Errors
/// Exit 64 with a hint, or 65 for what is no address, domain or number.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let given = Given::read(args)?;
    if given.version {
        return Ok(Command::Version);
    }
    let words: Vec<&str> = given.words.iter().map_while(|word| word.to_str()).collect();
    if given.help || words.first() == Some(&"help") {
        let words = words.strip_prefix(&["help"]).unwrap_or(&words);
        return Ok(Command::Help(help_for(words)?));
    }
    let spec = find(&words)?;
    given.check(spec)?;
    given.command(spec)
}

/// A refusal of one line: what was typed may have control characters, and none of them reaches the terminal.
fn usage(line: impl Into<String>) -> Failure {
    let line: String = line.into();
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Failure::new(Exit::Usage, line.chars().map(shown).collect::<String>())
}

/// Help for the most of the words that is a command or begins one.
fn help_for(words: &[&str]) -> Result<String, Failure> {
    if let Some(spec) = longest(words) {
        return Ok(spec.help());
    }
    let known = (0..=words.len()).rev().filter_map(|count| words.get(..count)).find(|some| begins(some));
    match known {
        Some([]) if !words.is_empty() => Err(unknown(words)),
        Some(some) => Ok(spec::help(some)),
        None => Ok(spec::help(&[])),
    }
}

fn begins(words: &[&str]) -> bool {
    SPECS.iter().any(|spec| spec.words.starts_with(words))
}

/// The command with the most words that the command line begins with.
fn longest(words: &[&str]) -> Option<&'static Spec> {
    let named = |spec: &&Spec| words.starts_with(spec.words);
    SPECS.iter().chain(HIDDEN).filter(named).max_by_key(|spec| spec.words.len())
}

fn find(words: &[&str]) -> Result<&'static Spec, Failure> {
    if words.is_empty() {
        return Err(usage("a command is wanted: see `gatepost --help`, or try `gatepost localserve`"));
    }
    longest(words).ok_or_else(|| unknown(words))
}

/// Names the first word that does not fit and what would.
fn unknown(words: &[&str]) -> Failure {
    let fits = (0..=words.len()).rev().filter_map(|count| words.get(..count)).find(|some| begins(some));
    let before = fits.unwrap_or_default();
    let mut next: Vec<&str> = SPECS
        .iter()
        .filter(|spec| spec.words.starts_with(before))
        .filter_map(|spec| spec.words.get(before.len()).copied())
        .collect();
    next.dedup();
    let said = words.get(before.len()).copied();
    let context = if before.is_empty() { String::new() } else { format!(" after `{}`", before.join(" ")) };
    usage(match said {
        None => format!("one of {} is wanted{context}", next.join(", ")),
        Some(word) => match spec::nearest(word, next.iter().copied()) {
            Some(near) => format!("there is no command {word:?}{context}; did you mean `{near}`?"),
            None => format!("there is no command {word:?}{context}; there are {}", next.join(", ")),
        },
    })
}

/// What stands on the command line, sorted but not understood.
#[derive(Default)]
struct Given {
    words: Vec<OsString>,
    options: Vec<(Opt, Option<OsString>)>,
    help: bool,
    version: bool,
}

impl Given {
    fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let mut parser = lexopt::Parser::from_iter(args);
        let mut given = Self::default();
        while let Some(arg) = parser.next().map_err(|error| usage(error.to_string()))? {
            let opt = match arg {
                Arg::Value(word) => {
                    given.words.push(word);
                    continue;
                }
                Arg::Short('h') | Arg::Long("help") => {
                    given.help = true;
                    continue;
                }
                Arg::Short('V') | Arg::Long("version") => {
                    given.version = true;
                    continue;
                }
                Arg::Short(letter) => return Err(usage(format!("there is no option -{letter}"))),
                Arg::Long(name) => {
                    Opt::of(name).ok_or_else(|| usage(format!("there is no option --{name}")))?
                }
            };
            let value = match opt.value() {
                Some(name) => Some(
                    parser.value().map_err(|_| usage(format!("--{} wants a value: {name}", opt.name())))?,
                ),
                None => None,
            };
            if !opt.is_repeatable() && given.options.iter().any(|(other, _)| *other == opt) {
                return Err(usage(format!("--{} may be given once", opt.name())));
            }
            given.options.push((opt, value));
        }
        Ok(given)
    }

    /// Whether options and operands are those of the command.
    fn check(&self, spec: &Spec) -> Result<(), Failure> {
        if let Some((opt, _)) = self.options.iter().find(|(opt, _)| !spec.options.contains(opt)) {
            return Err(usage(format!("`gatepost {}` has no option --{}", spec.words.join(" "), opt.name())));
        }
        let count = self.words.len().saturating_sub(spec.words.len());
        if count < spec.operands.0 {
            return Err(usage(format!("something is missing: {}", spec.line())));
        }
        if count > spec.operands.1 {
            let extra = self.words.get(spec.words.len().saturating_add(spec.operands.1));
            let extra = extra.map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
            return Err(usage(format!("{extra:?} is too much: {}", spec.line())));
        }
        if self.has(Opt::Dir) && self.has(Opt::Config) {
            return Err(usage("give --dir or --config, not both"));
        }
        Ok(())
    }

    fn has(&self, opt: Opt) -> bool {
        self.options.iter().any(|(given, _)| *given == opt)
    }

    fn path(&self, opt: Opt) -> Option<PathBuf> {
        let given = self.options.iter().find(|(given, _)| *given == opt)?;
        given.1.clone().map(PathBuf::from)
    }

    fn texts(&self, opt: Opt) -> Result<Vec<String>, Failure> {
        let given = self.options.iter().filter(|(given, _)| *given == opt);
        given.filter_map(|(_, value)| value.as_ref()).map(text).collect()
    }

    fn place(&self) -> Place {
        match (self.path(Opt::Dir), self.path(Opt::Config)) {
            (Some(dir), _) => Place::Dir(dir),
            (None, Some(file)) => Place::Config(file),
            (None, None) => Place::Unsaid,
        }
    }

    fn form(&self) -> Form {
        if self.has(Opt::Json) { Form::Scripts } else { Form::People }
    }

    fn password(&self) -> PasswordFrom {
        if self.has(Opt::PasswordStdin) { PasswordFrom::Stdin } else { PasswordFrom::Terminal }
    }

    fn operand(&self, spec: &Spec, index: usize) -> Result<&OsString, Failure> {
        let index = spec.words.len().saturating_add(index);
        self.words.get(index).ok_or_else(|| usage(format!("something is missing: {}", spec.line())))
    }

    fn address(&self, spec: &Spec, index: usize) -> Result<Address, Failure> {
        address(&text(self.operand(spec, index)?)?)
    }

    fn domain(&self, spec: &Spec, index: usize) -> Result<Domain, Failure> {
        let text = text(self.operand(spec, index)?)?;
        Domain::parse(&text)
            .map_err(|why| Failure::new(Exit::Data, format!("{text:?} is not a domain name: {why}")))
    }

    fn command(&self, spec: &Spec) -> Result<Command, Failure> {
        let settings = self.texts(Opt::Set)?;
        match spec.verb {
            Verb::LocalServe => Ok(Command::LocalServe {
                dir: self.path(Opt::Dir).unwrap_or_else(|| PathBuf::from("./gatepost-local")),
                port_base: self.port_base()?,
                settings,
            }),
            Verb::Serve => {
                let config = self.path(Opt::Config).ok_or_else(|| {
                    usage("`gatepost serve` wants --config FILE; to try it without a file: `gatepost localserve`")
                })?;
                Ok(Command::Serve { config, settings })
            }
            Verb::Audit => Ok(Command::Audit(self.audit()?)),
            Verb::Replay => Ok(Command::Replay(self.replay(spec)?)),
            Verb::ConfigCheck => {
                Ok(Command::ConfigCheck { file: PathBuf::from(self.operand(spec, 0)?), settings })
            }
            Verb::ImportLog => Ok(Command::ImportLog(self.import_log(spec)?)),
            Verb::LocalServePrepare => {
                let dir = self.path(Opt::Dir).ok_or_else(|| usage("it wants --dir DIR"))?;
                Ok(Command::LocalServePrepare { dir })
            }
            Verb::ServeChild => Ok(Command::ServeChild),
            Verb::HashWorkerChild => Ok(Command::HashWorkerChild),
            Verb::DomainAdd
            | Verb::DomainRemove
            | Verb::DomainList
            | Verb::DomainCatchAll
            | Verb::AccountAdd
            | Verb::AccountRemove
            | Verb::AccountList
            | Verb::AccountPasswd
            | Verb::CredentialAdd
            | Verb::CredentialList
            | Verb::CredentialRevoke
            | Verb::AccountDisable
            | Verb::AccountEnable
            | Verb::AddressAdd
            | Verb::AddressRemove
            | Verb::AliasAdd
            | Verb::AliasRemove
            | Verb::AliasList
            | Verb::AddressExplain
            | Verb::Status
            | Verb::Verify
            | Verb::AuthReport
            | Verb::AuthExplain
            | Verb::AuthForgive
            | Verb::MailList
            | Verb::MailShow => Ok(Command::Data(self.place(), self.data_command(spec)?)),
        }
    }

    fn data_command(&self, spec: &Spec) -> Result<DataCommand, Failure> {
        use plan::Request;
        Ok(match spec.verb {
            Verb::DomainAdd => DataCommand::Change(Request::DomainAdd(self.domain(spec, 0)?)),
            Verb::DomainRemove => DataCommand::Change(Request::DomainRemove(self.domain(spec, 0)?)),
            Verb::DomainCatchAll => DataCommand::Change(self.catch_all(spec)?),
            Verb::DomainList => DataCommand::DomainList(self.form()),
            Verb::AccountAdd => DataCommand::AccountAdd(self.address(spec, 0)?, self.password()),
            Verb::AccountPasswd => self.passwd(spec)?,
            Verb::CredentialAdd => {
                let name = self.texts(Opt::Name)?.pop().unwrap_or_default();
                DataCommand::CredentialAdd(self.address(spec, 0)?, name, self.form())
            }
            Verb::CredentialList => DataCommand::CredentialList(self.address(spec, 0)?, self.form()),
            Verb::CredentialRevoke => {
                let address = self.address(spec, 0)?;
                let id = text(self.operand(spec, 1)?)?;
                let id = id.parse().map_err(|()| {
                    let why = format!(
                        "{id:?} is not the id of an application password: see \
                         `gatepost account credential list {address}`"
                    );
                    Failure::new(Exit::Data, why)
                })?;
                DataCommand::Change(Request::CredentialRevoke(address, id))
            }
            Verb::AccountRemove => DataCommand::Change(Request::AccountRemove(self.address(spec, 0)?)),
            Verb::AccountDisable => {
                let suspend = self.has(Opt::Suspend);
                let state = if suspend { AccountState::Suspended } else { AccountState::Disabled };
                DataCommand::Change(Request::AccountState(self.address(spec, 0)?, state))
            }
            Verb::AccountEnable => {
                DataCommand::Change(Request::AccountState(self.address(spec, 0)?, AccountState::Active))
            }
            Verb::AccountList => DataCommand::AccountList(self.form()),
            Verb::AddressAdd => {
                DataCommand::Change(Request::AddressAdd(self.address(spec, 0)?, self.address(spec, 1)?))
            }
            Verb::AddressRemove => {
                DataCommand::Change(Request::AddressRemove(self.address(spec, 0)?, self.address(spec, 1)?))
            }
            Verb::AliasAdd => DataCommand::Change(self.alias_add(spec)?),
            Verb::AliasRemove => DataCommand::Change(Request::AliasRemove(self.address(spec, 0)?)),
            Verb::AliasList => DataCommand::AliasList(self.form()),
            Verb::AddressExplain => {
                DataCommand::AddressExplain(path(&text(self.operand(spec, 0)?)?)?, self.form())
            }
            Verb::Status => DataCommand::Status(self.form()),
            Verb::Verify => DataCommand::Verify(self.form(), self.has(Opt::AcceptLosses)),
            Verb::AuthReport => DataCommand::AuthReport(self.since()?, self.form()),
            Verb::AuthExplain => DataCommand::AuthExplain(self.subject(spec)?, self.form()),
            Verb::AuthForgive => DataCommand::AuthForgive(self.subject(spec)?),
            Verb::MailList => DataCommand::MailList(self.address(spec, 0)?, self.form()),
            Verb::MailShow => {
                let id = text(self.operand(spec, 1)?)?;
                let id = id.parse().map_err(|_| {
                    Failure::new(
                        Exit::Data,
                        format!("{id:?} is not the id of a message: see `gatepost mail list`"),
                    )
                })?;
                DataCommand::MailShow(self.address(spec, 0)?, Uid(id))
            }
            Verb::LocalServe
            | Verb::Audit
            | Verb::Replay
            | Verb::LocalServePrepare
            | Verb::Serve
            | Verb::ConfigCheck
            | Verb::ImportLog
            | Verb::ServeChild
            | Verb::HashWorkerChild => {
                return Err(usage(format!("`{}` is not about data", spec.line())));
            }
        })
    }

    /// Another password, or whether the account's own password opens mail at all.
    fn passwd(&self, spec: &Spec) -> Result<DataCommand, Failure> {
        let address = self.address(spec, 0)?;
        let Some(word) = self.texts(Opt::AppPasswordsOnly)?.pop() else {
            return Ok(DataCommand::AccountPasswd(address, self.password()));
        };
        if self.has(Opt::PasswordStdin) {
            return Err(usage("give --app-passwords-only or --password-stdin, one after the other"));
        }
        let main = match word.as_str() {
            "on" => MainPassword::Forbidden,
            "off" => MainPassword::Allowed,
            _ => return Err(usage(format!("--app-passwords-only {word:?}: on or off is wanted"))),
        };
        Ok(DataCommand::Change(plan::Request::MainPassword(address, main)))
    }

    fn since(&self) -> Result<Option<Since>, Failure> {
        let Some(text) = self.texts(Opt::Since)?.pop() else { return Ok(None) };
        let days = text.parse::<u32>().ok().filter(|days| *days > 0).map(Since::Days);
        let date = || from_rfc3339(&format!("{text}T00:00:00Z")).map(|time| Since::Date(DayNumber::of(time)));
        days.or_else(date).map(Some).ok_or_else(|| {
            usage(format!("--since {text:?}: a number of days, or a date such as 2026-11-01, is wanted"))
        })
    }

    fn subject(&self, spec: &Spec) -> Result<AuthSubject, Failure> {
        let word = text(self.operand(spec, 0)?)?;
        Ok(match word.parse() {
            Ok(source) => AuthSubject::Source(source),
            Err(_) => AuthSubject::Login(address(&word)?.to_string()),
        })
    }

    fn port_base(&self) -> Result<u16, Failure> {
        let Some(text) = self.texts(Opt::PortBase)?.pop() else { return Ok(1_000) };
        match text.parse::<u16>() {
            Ok(base) if base.checked_add(587).is_some() => Ok(base),
            Ok(_) | Err(_) => {
                Err(usage(format!("--port-base {text:?}: a number from 0 to {} is wanted", u16::MAX - 587)))
            }
        }
    }

    fn catch_all(&self, spec: &Spec) -> Result<plan::Request, Failure> {
        let domain = self.domain(spec, 0)?;
        let has_address = self.words.len() > spec.words.len().saturating_add(1);
        match (has_address, self.has(Opt::NoCatchAll)) {
            (true, false) => Ok(plan::Request::DomainCatchAll(domain, Some(self.address(spec, 1)?))),
            (false, true) => Ok(plan::Request::DomainCatchAll(domain, None)),
            (true, true) | (false, false) => Err(usage(format!("either is wanted: {}", spec.line()))),
        }
    }

    fn alias_add(&self, spec: &Spec) -> Result<plan::Request, Failure> {
        let members = self.texts(Opt::To)?;
        if members.is_empty() {
            return Err(usage(format!("at least one member is wanted: {}", spec.line())));
        }
        let members = members.iter().map(|member| address(member)).collect::<Result<_, _>>()?;
        Ok(plan::Request::AliasAdd(self.address(spec, 0)?, members))
    }
}

fn text(word: &OsString) -> Result<String, Failure> {
    word.to_str().map(str::to_owned).ok_or_else(|| Failure::new(Exit::Data, format!("{word:?} is not UTF-8")))
}

fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|why| Failure::new(Exit::Data, format!("{text:?} is not an address: {why}")))
}

fn path(text: &str) -> Result<ForwardPath, Failure> {
    use crate::types::{Host, Mailbox};
    if text.eq_ignore_ascii_case("postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    let address = address(text)?;
    Ok(ForwardPath::Mailbox(Mailbox { local: address.local, host: Host::Domain(address.domain) }))
}

#[cfg(test)]
mod tests;
