//! What an administrator writes: names, passwords, the configuration, requests to the running server.

use super::{Verdict, promise};
use crate::auth::lookup::{self, LoginLookup};
use crate::auth::password;
use crate::config::checked::{Bases, Config};
use crate::config::{self, Origin};
use crate::control::Request;
use crate::directory::{Change, Directory, Target, plan};
use crate::limits::ALIAS_EXPANSION_MAX;
use crate::policy::recipient::{self, Expansion, RecipientLookup};
use crate::types::{Address, Domain};
use std::path::PathBuf;

/// The line between the text of a file and settings of the command line.
const SETTINGS: &str = "\n--set\n";

/// A configuration is one or is refused with sentences of one line each.
pub(super) fn config(data: &[u8]) -> Verdict {
    let Ok(data) = std::str::from_utf8(data) else { return Ok(()) };
    let (text, settings) = data.split_once(SETTINGS).unwrap_or((data, ""));
    let settings: Vec<String> = settings.lines().map(str::to_owned).collect();
    let bases = Bases { file: PathBuf::from("/etc/gatepost"), working: PathBuf::from("/srv") };
    match config::read(text, &settings, &bases) {
        Ok((config, written)) => {
            promise(Config::check(&written, &bases).as_ref() == Ok(&config), "it is checked in two ways")?;
            // This is how it travels from the parent to the server.
            let sent = serde_json::to_vec(&config).map_err(|error| error.to_string())?;
            let received: Config = serde_json::from_slice(&sent).map_err(|error| error.to_string())?;
            promise(received == config, "a configuration arrives as another")
        }
        Err(problems) => {
            promise(!problems.is_empty(), "a configuration is refused without a reason")?;
            let lines = text.split('\n').count();
            for problem in problems {
                let sentence = problem.sentence("gatepost.toml");
                promise(!sentence.contains(char::is_control), &format!("more than a line: {sentence:?}"))?;
                let there = match problem.origin {
                    Origin::Line(line) => (1..=lines).contains(&line),
                    Origin::Set | Origin::Nowhere => true,
                };
                promise(there, &format!("a line that is not there: {sentence:?}"))?;
            }
            Ok(())
        }
    }
}

/// An address and a domain have one form, and looking up a form gives the same form.
pub(super) fn address(data: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(data) else { return Ok(()) };
    if let Ok(domain) = Domain::parse(text) {
        promise(Domain::parse(domain.as_str()) == Ok(domain), "a domain has two forms")?;
    }
    let Ok(address) = text.parse::<Address>() else { return Ok(()) };
    let printed = address.to_string();
    promise(printed.parse().as_ref() == Ok(&address), "an address is read as another")?;
    promise(!printed.contains(char::is_control), "an address has a control character")?;
    let local = address.local.key();
    // A key may be too long for a local part; it is never read as one.
    let again = crate::types::LocalPart::new(&local).map(|local| local.key());
    promise(again.is_err() || again == Ok(local), "a key has another key")
}

/// A password has one form, whatever is typed, and no password makes the rules panic.
pub(super) fn password(data: &[u8]) -> Verdict {
    let once = password::normalise(data);
    let twice = password::normalise(once.reveal());
    promise(once.reveal() == twice.reveal(), "a password has two forms")?;
    if let (Ok(text), Ok(login)) = (std::str::from_utf8(data), "me@example.org".parse()) {
        let verdict = password::check(text, &login);
        promise(verdict.is_err() || !text.contains(char::is_control), "a password cannot be typed")?;
    }
    Ok(())
}

/// Requests of the command line, one a line: whatever is asked, the directory stays one.
pub(super) fn control(data: &[u8]) -> Verdict {
    let mut directory = Directory::default();
    for line in data.split(|octet| *octet == b'\n') {
        let Ok(request) = serde_json::from_slice::<Request>(line) else { continue };
        let sent = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
        let received = serde_json::from_slice::<Request>(&sent).map_err(|error| error.to_string())?;
        promise(received == request, "a request arrives as another")?;
        match request {
            Request::Change(change) => ask(&mut directory, &change)?,
            Request::MailList(address, _) | Request::MailShow(address, _) => looked_up(&directory, &address)?,
            Request::Directory
            | Request::ScramSalts(_)
            | Request::AuthReport(_)
            | Request::AuthExplain(_)
            | Request::AuthForgive(_)
            | Request::Verify(_)
            | Request::Status => {}
        }
    }
    Ok(())
}

/// Does what is asked, if it can be done; asked again, nothing changes.
fn ask(directory: &mut Directory, request: &plan::Request) -> Verdict {
    let plan = match plan::plan(directory, request) {
        Ok(plan) => plan,
        Err(error) => return promise(!error.0.contains(['\r', '\n']), "a refusal is more than a line"),
    };
    for warning in &plan.warnings {
        promise(!warning.contains(['\r', '\n']), "a warning is more than a line")?;
    }
    plan.changes.iter().for_each(|change| directory.apply(change));
    is_one(directory)?;
    let before = parts(directory);
    if let Ok(again) = plan::plan(directory, request) {
        again.changes.iter().for_each(|change| directory.apply(change));
        promise(parts(directory) == before, "asked again, a request changes something again")?;
    }
    Ok(())
}

/// Everything a directory holds, as changes.
fn parts(directory: &Directory) -> Vec<Change> {
    let domains = directory.domains().cloned().map(Change::PutDomain);
    let accounts = directory.accounts().cloned().map(Change::PutAccount);
    let aliases = directory.aliases().cloned().map(Change::PutAlias);
    domains.chain(accounts).chain(aliases).collect()
}

/// Every address belongs to the one who has it and is in a domain that is served; what the store would load
/// is the same.
fn is_one(directory: &Directory) -> Verdict {
    let served = |address: &Address| directory.domain(&address.domain).is_some();
    for account in directory.accounts() {
        promise(!account.addresses.is_empty(), "an account has no address")?;
        promise(account.id.0 < directory.next_account(), "an account's number will be used again")?;
        for address in &account.addresses {
            let owned = directory.target(address) == Some(Target::Account(account.id));
            promise(owned && served(address), "an account has an address that leads elsewhere")?;
            looked_up(directory, address)?;
        }
    }
    for alias in directory.aliases() {
        let leads = directory.target(&alias.address) == Some(Target::Alias);
        promise(leads && served(&alias.address), "an alias has an address that leads elsewhere")?;
        looked_up(directory, &alias.address)?;
    }
    for domain in directory.domains() {
        let there = domain.catch_all.is_none_or(|id| directory.account(id).is_some());
        promise(there, "a catch-all is an account that is not there")?;
    }
    let loaded = Directory::load(parts(directory), directory.next_account());
    promise(parts(&loaded) == parts(directory), "a directory is loaded as another")
}

/// Only an account's own address is a login, and no recipient leads to more accounts than it may.
fn looked_up(directory: &Directory, address: &Address) -> Verdict {
    let login = lookup::look_up(Some(directory), address.to_string().as_bytes());
    let of_account = matches!(
        login,
        LoginLookup::Account(..)
            | LoginLookup::DisabledAccount(..)
            | LoginLookup::MainPasswordForbidden(_)
            | LoginLookup::AccountWithoutPassword(_)
    );
    let is_account = matches!(directory.target(address), Some(Target::Account(_)));
    promise(of_account == is_account, "a login is not the owner's")?;
    let recipient = recipient::look_up_address(directory, address);
    if let RecipientLookup::Alias(Expansion::Members(accounts)) = &recipient {
        let all_there = accounts.iter().all(|id| directory.account(*id).is_some());
        promise(all_there && !accounts.is_empty(), "an alias leads to nobody")?;
        promise(accounts.len() <= ALIAS_EXPANSION_MAX, "an alias leads to too many accounts")?;
    }
    let is_alias = directory.target(address) == Some(Target::Alias);
    promise(
        matches!(recipient, RecipientLookup::Alias(_)) == is_alias,
        "an alias is taken for something else",
    )
}
