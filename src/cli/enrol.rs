//! SCRAM keys of a password that was just set, so that it can be used with SCRAM at once.

use super::access::{Access, Intent, unexpected};
use super::failure::Failure;
use super::output::tell;
use crate::auth::scram::keys::derive_salted;
use crate::control::{Request, Response};
use crate::directory::plan::{self, KeysOf};
use crate::types::{Address, ScramUse};
use std::path::Path;

/// Makes keys and hands them over; a quarter of a second for each of the first addresses of the account. The
/// password is set already, so that nothing here is a failure of the command. `scram` is what the configuration
/// says, if there is one; a running server knows better.
pub fn enrol(dir: &Path, scram: ScramUse, address: &Address, password: &str, of: KeysOf) {
    if let Err(failure) = make(dir, scram, address, password, of) {
        tell(&format!(
            "warning: there are no SCRAM keys of the new password yet ({}): a mail program that uses SCRAM can log \
             in after one login with PLAIN",
            failure.to_line()
        ));
    }
}

fn make(dir: &Path, scram: ScramUse, address: &Address, password: &str, of: KeysOf) -> Result<(), Failure> {
    let mut access = Access::open(dir, Intent::Write)?;
    let (allowed, salts) = match access.ask(&Request::ScramSalts(address.clone()))? {
        Response::ScramSalts(allowed, salts) => (allowed, salts),
        Response::Changed { .. }
        | Response::Directory(_)
        | Response::ReportDay(_)
        | Response::Status(_)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle
        | Response::Refused(..) => return Err(unexpected()),
    };
    if !may_have_keys(scram, &of) || !may_have_keys(allowed, &of) {
        return Ok(());
    }
    let keys =
        salts.into_iter().map(|(login, salt)| (login, derive_salted(password.as_bytes(), &salt))).collect();
    access.ask(&Request::Change(plan::Request::ScramKeys(address.clone(), of, keys)))?;
    Ok(())
}

fn may_have_keys(scram: ScramUse, of: &KeysOf) -> bool {
    match (scram, of) {
        (ScramUse::All, KeysOf::MainPassword(_) | KeysOf::AppPassword(_))
        | (ScramUse::AppPasswords, KeysOf::AppPassword(_)) => true,
        (ScramUse::AppPasswords, KeysOf::MainPassword(_)) | (ScramUse::Off, _) => false,
    }
}
