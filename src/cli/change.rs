//! Commands that change the directory.

use super::access::{Access, Intent, unexpected};
use super::arguments::PasswordFrom;
use super::failure::{Exit, Failure};
use super::output::tell;
use super::place::Begin;
use super::{enrol, password};
use crate::control::{Request, Response};
use crate::directory::plan::{self, KeysOf};
use crate::types::{Address, ScramUse};
use std::path::Path;

/// Asks for a change and tells what came of it.
///
/// # Errors
/// When it cannot be done.
pub fn change(dir: &Path, begin: Begin, request: plan::Request) -> Result<(), Failure> {
    // Everything else is refused without a domain, so only this begins a directory.
    let intent = match request {
        plan::Request::DomainAdd(_) => Intent::Create(begin),
        plan::Request::DomainRemove(_)
        | plan::Request::DomainCatchAll(..)
        | plan::Request::AccountAdd(..)
        | plan::Request::AccountRemove(_)
        | plan::Request::AccountPassword(..)
        | plan::Request::CredentialAdd(..)
        | plan::Request::CredentialRevoke(..)
        | plan::Request::ScramKeys(..)
        | plan::Request::MainPassword(..)
        | plan::Request::AccountState(..)
        | plan::Request::AddressAdd(..)
        | plan::Request::AddressRemove(..)
        | plan::Request::AliasAdd(..)
        | plan::Request::AliasRemove(_) => Intent::Write,
    };
    let mut access = Access::open(dir, intent)?;
    match access.ask(&Request::Change(request))? {
        Response::Changed { anything, warnings } => {
            for warning in warnings {
                tell(&format!("warning: {warning}"));
            }
            if !anything {
                tell("nothing to change: it is so already");
            }
            Ok(())
        }
        Response::Directory(_)
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle
        | Response::Status(_)
        | Response::Refused(..) => Err(unexpected()),
    }
}

/// Makes an account.
///
/// # Errors
/// When it cannot be done.
pub fn account_add(dir: &Path, scram: ScramUse, address: Address, from: PasswordFrom) -> Result<(), Failure> {
    let password = password::get(from, &address)?;
    let hash = match &password {
        Some(password) => Some(password::hash(password, &address)?),
        None => None,
    };
    change(dir, Begin::OnEmptyGround, plan::Request::AccountAdd(address.clone(), hash.clone()))?;
    if let (Some(password), Some(hash)) = (password, hash) {
        enrol::enrol(dir, scram, &address, &password, KeysOf::MainPassword(hash));
    } else {
        tell(&format!(
            "{address} has no password, so nobody can log in with it: give it one with \
             `gatepost account passwd {address}`"
        ));
    }
    Ok(())
}

/// Sets a password.
///
/// # Errors
/// When there is none to set, or it cannot be done.
pub fn account_passwd(
    dir: &Path,
    scram: ScramUse,
    address: Address,
    from: PasswordFrom,
) -> Result<(), Failure> {
    let Some(password) = password::get(from, &address)? else {
        return Err(Failure::new(
            Exit::Usage,
            "there is no terminal to ask for the password: give it on standard input with --password-stdin",
        ));
    };
    let hash = password::hash(&password, &address)?;
    change(dir, Begin::OnEmptyGround, plan::Request::AccountPassword(address.clone(), hash.clone()))?;
    enrol::enrol(dir, scram, &address, &password, KeysOf::MainPassword(hash));
    Ok(())
}
