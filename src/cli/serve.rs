//! `serve` and `config check`: a configuration file and what it names.

use super::failure::Failure;
use super::files::{self, Pem};
use super::output::{tell, write_out};
use crate::config::checked::Config;
use crate::server::parent::{self, Start};
use std::path::Path;
use std::process::ExitCode;

/// Runs the server until it is told to stop.
///
/// # Errors
/// When the configuration, or what it names, is wrong.
pub fn serve(file: &Path, settings: &[String]) -> Result<ExitCode, Failure> {
    let (config, pem) = read(file, settings)?;
    let start = Start { config, certificate_pem: pem.certificate, key_pem: pem.key };
    parent::run(start, || {}).map_err(|error| Failure::of_listener(&error, ""))
}

/// Says whether a configuration is right.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(file: &Path, settings: &[String]) -> Result<(), Failure> {
    read(file, settings)?;
    write_out(|out| writeln!(out, "{}: ok", file.display()))
}

fn read(file: &Path, settings: &[String]) -> Result<(Config, Pem), Failure> {
    let (config, written) = files::read_config(file, settings)?;
    let pem = files::look_at(&config, &written).map_err(|problems| files::told(file, &problems))?;
    for warning in &pem.warnings {
        tell(&format!("warning: {warning}"));
    }
    Ok((config, pem))
}
