//! The command line: arguments in, exit code out.
//!
//! [`arguments`] understands, the other files do. Commands about data do not know whether a server runs: they
//! go through [`access`].

pub mod access;
pub mod arguments;
pub mod audit;
pub mod change;
pub mod credential;
pub mod direct;
pub mod enrol;
pub mod explain;
pub mod failure;
pub mod files;
pub mod first_start;
pub mod identity;
pub mod import_log;
pub mod list;
pub mod live;
pub mod localserve;
pub mod mail;
pub mod opt;
pub mod output;
pub mod password;
pub mod place;
pub mod remote;
pub mod replay;
pub mod report;
pub mod serve;
pub mod spec;
pub mod status;
pub mod throttle;
pub mod verify;

use crate::server;
use arguments::{Command, DataCommand, Place};
use failure::Failure;
use place::Begin;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs a command line; the first argument is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    arguments::parse(args).and_then(obey).unwrap_or_else(Failure::end)
}

fn obey(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Help(text) => output::write_out(|out| out.write_all(text.as_bytes()))?,
        Command::Version => {
            output::write_out(|out| writeln!(out, "gatepost {}", env!("CARGO_PKG_VERSION")))?;
        }
        Command::LocalServe { dir, port_base, settings } => {
            return localserve::localserve(&dir, port_base, &settings);
        }
        Command::LocalServePrepare { dir } => first_start::tell(&dir)?,
        Command::Replay(order) => return replay::replay(&order),
        Command::Audit(order) => return audit::audit(&order),
        Command::Serve { config, settings } => return serve::serve(&config, &settings),
        Command::ConfigCheck { file, settings } => serve::check(&file, &settings)?,
        Command::ImportLog(what) => return import_log::import_log(&what),
        Command::ServeChild => return Ok(server::start::run()),
        Command::HashWorkerChild => return Ok(server::hash_worker::run()),
        Command::Data(place, command) => obey_about_data(&place, command)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn obey_about_data(place: &Place, command: DataCommand) -> Result<(), Failure> {
    let (dir, scram) = &place::data_and_scram(place)?;
    let scram = *scram;
    match command {
        DataCommand::Change(request) => change::change(dir, Begin::at(place), request),
        DataCommand::AccountAdd(address, from) => change::account_add(dir, scram, address, from),
        DataCommand::AccountPasswd(address, from) => change::account_passwd(dir, scram, address, from),
        DataCommand::CredentialAdd(address, name, form) => {
            credential::add(dir, Begin::at(place), scram, &address, &name, form)
        }
        DataCommand::CredentialList(address, form) => credential::list(dir, &address, form),
        DataCommand::DomainList(form) => list::domains(dir, form),
        DataCommand::AccountList(form) => list::accounts(dir, form),
        DataCommand::AliasList(form) => list::aliases(dir, form),
        DataCommand::AddressExplain(path, form) => explain::explain(dir, &path, form),
        DataCommand::Status(form) => status::status(dir, form),
        DataCommand::Verify(form, false) => verify::verify(dir, form),
        DataCommand::Verify(_, true) => verify::accept_losses(dir),
        DataCommand::AuthReport(since, form) => report::report(dir, since, form),
        DataCommand::AuthExplain(subject, form) => throttle::explain(dir, &subject, form),
        DataCommand::AuthForgive(subject) => throttle::forgive(dir, &subject),
        DataCommand::MailList(address, form) => mail::list(dir, &address, form),
        DataCommand::MailShow(address, uid) => mail::show(dir, &address, uid),
    }
}
