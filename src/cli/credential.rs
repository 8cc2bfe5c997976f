//! Application passwords of an account: make one, show what there are, take one back.
#![expect(clippy::disallowed_methods, reason = "the command line has the clock of the system")]

use super::arguments::Form;
use super::change::change;
use super::enrol;
use super::failure::{Exit, Failure};
use super::list::{directory, name_of, show};
use super::output::{json, printable, tell, write_out};
use super::password::chance;
use super::place::Begin;
use crate::auth::credential;
use crate::directory::credential::Credential;
use crate::directory::history::LoginHistory;
use crate::directory::plan::KeysOf;
use crate::directory::{Account, Directory, plan};
use crate::mail::date::rfc3339;
use crate::types::{Address, ScramUse, UnixTime};
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Made<'a> {
    account: String,
    id: u32,
    name: &'a str,
    password: &'a str,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    id: u32,
    name: String,
    created: String,
    /// Up to an hour earlier than the very last time.
    last_used: Option<String>,
    last_used_from: Option<String>,
}

/// Makes an application password and shows it, this once.
///
/// # Errors
/// When it cannot be done.
pub fn add(
    dir: &Path,
    begin: Begin,
    scram: ScramUse,
    address: &Address,
    name: &str,
    form: Form,
) -> Result<(), Failure> {
    let password = Zeroizing::new(credential::generate(&mut chance()?));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let digest = credential::digest(password.as_bytes());
    change(
        dir,
        begin,
        plan::Request::CredentialAdd(address.clone(), name.to_owned(), UnixTime(now), digest),
    )?;
    enrol::enrol(dir, scram, address, &password, KeysOf::AppPassword(digest));
    let directory = directory(dir)?;
    let account = account(&directory, address)?;
    let account_name = name_of(&directory, account.id);
    match form {
        Form::Scripts => {
            let id = account.app_passwords.last;
            json(&[Made { account: account_name, id, name, password: &password }])
        }
        Form::People => {
            write_out(|out| writeln!(out, "{}", *password))?;
            tell(&format!(
                "give it to one mail program, with the login {account_name}; it is not shown again, and \
                 `gatepost account credential revoke {account_name} {}` takes it back",
                account.app_passwords.last
            ));
            Ok(())
        }
    }
}

/// Lists the application passwords of an account, not what they are.
///
/// # Errors
/// When they cannot be read or written out.
pub fn list(dir: &Path, address: &Address, form: Form) -> Result<(), Failure> {
    let directory = directory(dir)?;
    let account = account(&directory, address)?;
    let history = directory.history(account.id);
    let rows: Vec<Row> = account.app_passwords.list.iter().map(|one| row(one, history)).collect();
    show(form, &rows, &["ID", "NAME", "CREATED", "LAST USED", "FROM"], |row| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let name = if row.name.is_empty() { "-".to_owned() } else { printable(&row.name) };
        vec![
            row.id.to_string(),
            name,
            row.created.clone(),
            or_dash(&row.last_used),
            or_dash(&row.last_used_from),
        ]
    })
}

fn row(credential: &Credential, history: Option<&LoginHistory>) -> Row {
    let used = history.and_then(|history| history.use_of(credential.id));
    Row {
        id: credential.id.0,
        name: credential.name.clone(),
        created: rfc3339(credential.created),
        last_used: used.map(|used| rfc3339(used.last)),
        last_used_from: used.map(|used| used.from.to_string()),
    }
}

fn account<'d>(directory: &'d Directory, address: &Address) -> Result<&'d Account, Failure> {
    plan::account_of(directory, address).map_err(|why| Failure::new(Exit::Data, why.0))
}
