//! What `localserve` makes before it serves: store, domain, account, certificate.
//!
//! It runs in a process of its own that ends before the server starts: a database that was open and a password
//! that was hashed leave memory behind that the parent would carry for as long as it lives.

use super::access::{Access, Intent};
use super::direct::Direct;
use super::failure::{Exit, Failure};
use super::output::write_out;
use super::place::Begin;
use super::{files, identity, password, place};
use crate::auth::scram::keys::derive_salted;
use crate::control::Response;
use crate::directory::plan::KeysOf;
use crate::directory::{Directory, FIRST_ACCOUNT, plan};
use crate::store::disk::sync_directory;
use crate::types::{Address, Domain};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The domain a first start makes.
const DOMAIN: &str = "localhost";
/// The account a first start makes.
pub const ACCOUNT: &str = "me@localhost";
/// Where the first password is kept, so that it can be shown again.
const PASSWORD_FILE: &str = "localserve-password";
/// Where certificate and key are.
pub const TLS_DIR: &str = "tls";

/// What the process tells the one that started it.
type Told = Result<Me, (Exit, Vec<String>)>;

/// Makes what is missing in `dir`, and says what is known of the account.
///
/// # Errors
/// Whatever stood in the way there, or that the process could not be run.
pub fn in_a_process_of_its_own(dir: &Path) -> Result<Me, Failure> {
    let failed =
        |why: String| Failure::new(Exit::Software, format!("cannot prepare {}: {why}", dir.display()));
    let output = std::process::Command::new("/proc/self/exe")
        .args(["localserve-prepare", "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let told: Told = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed(format!("the process that does it ended early ({})", output.status)))?;
    told.map_err(|(exit, lines)| Failure::Told(exit, lines))
}

/// The process itself.
///
/// # Errors
/// When nobody listens to what it tells.
pub fn tell(dir: &Path) -> Result<(), Failure> {
    let told: Told = match make(dir) {
        Ok(me) => Ok(me),
        Err(Failure::Told(exit, lines)) => Err((exit, lines)),
        Err(Failure::OutputClosed) => return Err(Failure::OutputClosed),
    };
    let text = serde_json::to_vec(&told).map_err(|error| Failure::new(Exit::Software, error.to_string()))?;
    write_out(|out| out.write_all(&text))
}

fn make(dir: &Path) -> Result<Me, Failure> {
    place::make(dir, Begin::OnEmptyGround)?;
    identity::become_owner_of(dir)?;
    let me = prepare(dir)?;
    make_certificate(&dir.join(TLS_DIR))?;
    Ok(me)
}

/// What is known of me@localhost.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Me {
    /// It is there, with this password.
    Password(String),
    /// It is there, and somebody gave it another password.
    OtherPassword,
    /// It was removed.
    Removed,
}

/// Makes domain and account if the directory was never used, and finds out what there is to tell.
fn prepare(dir: &Path) -> Result<Me, Failure> {
    let mut store = match Access::open(dir, Intent::Create(Begin::OnEmptyGround))? {
        Access::Direct(store) => store,
        Access::Running(_) => {
            return Err(Failure::new(
                Exit::Temporary,
                format!("a server runs on {} already: stop it first, or give another --dir", dir.display()),
            ));
        }
    };
    let file = dir.join(PASSWORD_FILE);
    if is_untouched(store.directory()) {
        let password = first_password(&file)?;
        populate(&mut store, &password)?;
    }
    let directory = store.directory();
    let Ok(account) = plan::account_of(directory, &me()?) else { return Ok(Me::Removed) };
    let (Some(hash), Ok(text)) = (&account.password, files::read_text(&file, 1_024)) else {
        return Ok(Me::OtherPassword);
    };
    let password = password::Password::new(text.trim_end().to_owned());
    if password::matches(&password, hash) {
        Ok(Me::Password(password.to_string()))
    } else {
        Ok(Me::OtherPassword)
    }
}

/// Nothing is in it and nothing ever was.
fn is_untouched(directory: &Directory) -> bool {
    directory.domains().next().is_none()
        && directory.accounts().next().is_none()
        && directory.next_account() <= FIRST_ACCOUNT
}

fn me() -> Result<Address, Failure> {
    ACCOUNT.parse().map_err(|_| Failure::new(Exit::Software, format!("{ACCOUNT} is no address")))
}

/// The password in the file if a first start was cut short after it, a new one otherwise. It is on disk before
/// the account has it.
fn first_password(file: &Path) -> Result<password::Password, Failure> {
    if let Ok(text) = files::read_text(file, 1_024)
        && !text.trim_end().is_empty()
    {
        return Ok(password::Password::new(text.trim_end().to_owned()));
    }
    let password = password::generate()?;
    write_private(file, format!("{}\n", *password).as_bytes())
        .map_err(|error| Failure::of_path(Exit::CannotCreate, "write", file, &error))?;
    Ok(password)
}

fn populate(store: &mut Direct, password: &password::Password) -> Result<(), Failure> {
    let domain =
        Domain::parse(DOMAIN).map_err(|_| Failure::new(Exit::Software, format!("{DOMAIN} is no domain")))?;
    let me = me()?;
    let hash = password::hash(password, &me)?;
    let keys = derive_salted(password.as_bytes(), &store.salts().of_address(&me));
    let requests = [
        plan::Request::DomainAdd(domain),
        plan::Request::AccountAdd(me.clone(), Some(hash.clone())),
        plan::Request::ScramKeys(me.clone(), KeysOf::MainPassword(hash), vec![(me.key(), keys)]),
    ];
    match store.change_all(&requests)? {
        Response::Changed { .. } => Ok(()),
        Response::Refused(refusal, why) => Err(Failure::of_refusal(refusal, why)),
        Response::Directory(_)
        | Response::ReportDay(_)
        | Response::ScramSalts(..)
        | Response::Messages { .. }
        | Response::Message(_)
        | Response::Explained(_)
        | Response::Verified(_)
        | Response::NoThrottle
        | Response::Status(_) => Err(super::access::unexpected()),
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(octets)?;
    file.sync_all()?;
    rename_durably(&unfinished, path)
}

/// Renames, and syncs the directory that holds the new name.
fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// Makes certificate and key unless there are some, both or none.
fn make_certificate(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        return Ok(());
    }
    let (certificate, key) = self_signed()?;
    let unfinished = dir.with_extension("new");
    let made = (|| {
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        DirBuilder::new().mode(0o700).create(&unfinished)?;
        write_private(&unfinished.join("key.pem"), key.as_bytes())?;
        write_private(&unfinished.join("certificate.pem"), certificate.as_bytes())?;
        rename_durably(&unfinished, dir)
    })();
    made.map_err(|error| Failure::of_path(Exit::CannotCreate, "make the certificate in", dir, &error))
}

/// Certificate and key for the names of this host to itself, as PEM.
fn self_signed() -> Result<(String, String), Failure> {
    let failed =
        |error: rcgen::Error| Failure::new(Exit::Software, format!("cannot make a certificate: {error}"));
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "gatepost localserve");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_untouched_until_something_was_in_it() {
        let mut directory = Directory::load([], FIRST_ACCOUNT);
        assert!(is_untouched(&directory));
        for request in [
            plan::Request::DomainAdd(Domain::parse("x.example").unwrap()),
            plan::Request::AccountAdd("a@x.example".parse().unwrap(), None),
            plan::Request::AccountRemove("a@x.example".parse().unwrap()),
            plan::Request::DomainRemove(Domain::parse("x.example").unwrap()),
        ] {
            for change in plan::plan(&directory, &request).unwrap().changes {
                directory.apply(&change);
            }
            assert!(!is_untouched(&directory), "{request:?}");
        }
    }
}
