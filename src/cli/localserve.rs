//! `localserve`: a server to try, on 127.0.0.1, with everything it needs made at the first start.
//!
//! A directory that is there already is used as it is: what is missing is made, what is there is never
//! changed.

use super::access::{Access, Intent};
use super::direct::Direct;
use super::failure::{Exit, Failure};
use super::output::write_out;
use super::place::Begin;
use super::{files, identity, password, place};
use crate::config::checked::{Bases, Config};
use crate::config::{self};
use crate::contract::Listener;
use crate::control::Response;
use crate::directory::{Directory, plan};
use crate::server::parent::{self, Start};
use crate::types::{Address, Domain};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The domain a first start makes.
const DOMAIN: &str = "localhost";
/// The account a first start makes.
const ACCOUNT: &str = "me@localhost";
/// Where the first password is kept, so that it can be shown again.
const PASSWORD_FILE: &str = "localserve-password";
/// Where certificate and key are.
const TLS_DIR: &str = "tls";

/// Runs it until it is told to stop.
///
/// # Errors
/// When the directory cannot be used or the settings are wrong.
pub fn localserve(dir: &Path, port_base: u16, settings: &[String]) -> Result<ExitCode, Failure> {
    let dir = std::path::absolute(dir)
        .map_err(|error| Failure::of_path(Exit::Io, "find the directory", dir, &error))?;
    // Before anything is made: a wrong setting leaves nothing behind.
    let (config, written) = configuration(&dir, port_base, settings)?;
    place::make(&dir, Begin::OnEmptyGround)?;
    identity::become_owner_of(&dir)?;
    let account = prepare(&dir)?;
    make_certificate(&dir.join(TLS_DIR))?;
    let pem = files::look_at(&config, &written)
        .map_err(|problems| files::told(&dir.join("(built-in configuration)"), &problems))?;
    let text = ready_text(&dir, &config, &account, &program());
    let announce = move || {
        // Whoever closed our output does not want to know.
        let _ = write_out(|out| out.write_all(text.as_bytes()));
    };
    let start = Start { config, certificate_pem: pem.certificate, key_pem: pem.key };
    Ok(parent::run(start, announce))
}

/// The configuration that would stand in a file, and what was set over it.
fn configuration(
    dir: &Path,
    port_base: u16,
    settings: &[String],
) -> Result<(Config, config::Written), Failure> {
    if settings.iter().any(|setting| setting.split('=').next().map(str::trim) == Some("data-dir")) {
        return Err(Failure::new(
            Exit::Usage,
            "localserve keeps its data in one place: give it with --dir DIR",
        ));
    }
    let port = |number: u16| port_base.saturating_add(number);
    let text = format!(
        "hostname = \"localhost\"\ndata-dir = \".\"\n\
         tls = {{ certificate = \"{TLS_DIR}/certificate.pem\", key = \"{TLS_DIR}/key.pem\" }}\n\
         listener = [\n\
         {{ kind = \"smtp\", address = \"127.0.0.1:{}\" }},\n\
         {{ kind = \"submission\", address = \"127.0.0.1:{}\" }},\n\
         {{ kind = \"submissions\", address = \"127.0.0.1:{}\" }},\n\
         ]\n",
        port(25),
        port(587),
        port(465),
    );
    let bases = Bases { file: dir.to_path_buf(), working: files::working_directory()? };
    let (mut config, written) = config::read(&text, settings, &bases)
        .map_err(|problems| files::told(Path::new("localserve"), &problems))?;
    config.data_dir = dir.to_path_buf();
    Ok((config, written))
}

/// What is known of me@localhost.
#[derive(Debug, PartialEq, Eq)]
enum Me {
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
        && directory.next_account() <= Directory::default().next_account()
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
    let hash = password::hash(password, &me()?)?;
    let requests = [plan::Request::DomainAdd(domain), plan::Request::AccountAdd(me()?, Some(hash))];
    match store.change_all(&requests)? {
        Response::Changed { .. } => Ok(()),
        Response::Refused(refusal, why) => Err(Failure::of_refusal(refusal, why)),
        Response::Directory(_) | Response::Messages { .. } | Response::Message(_) => {
            Err(super::access::unexpected())
        }
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
    std::fs::rename(&unfinished, path)
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
        std::fs::rename(&unfinished, dir)
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

/// How this program was started, as a shell reads it.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("gatepost"));
    shell(&path.to_string_lossy())
}

/// A word as a POSIX shell reads it.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What is printed when the server is ready: where, who, and lines to try it.
fn ready_text(dir: &Path, config: &Config, me: &Me, program: &str) -> String {
    let mut out = format!("gatepost is ready; its data is in {}\n\n", dir.display());
    for listener in &config.listeners {
        let about = match listener.kind {
            Listener::Smtp => "mail from others",
            Listener::Submission => "mail of users, STARTTLS and login",
            Listener::Submissions => "mail of users, TLS and login",
        };
        out.push_str(&format!("  {:<12} {:<16} {about}\n", listener.kind.name(), listener.address));
    }
    let (account, password) = match me {
        Me::Password(password) => (ACCOUNT, password.as_str()),
        Me::OtherPassword => (ACCOUNT, "(another than at the first start)"),
        Me::Removed => ("(me@localhost was removed)", "-"),
    };
    out.push_str(&format!("  {:<12} {account}\n  {:<12} {password}\n", "account", "password"));
    if *me == Me::Removed {
        return out;
    }
    let dir_word = shell(&dir.to_string_lossy());
    let certificate = shell(&dir.join(TLS_DIR).join("certificate.pem").to_string_lossy());
    let of = |kind: Listener| config.listeners.iter().find(|listener| listener.kind == kind);
    if let (Some(listener), Me::Password(password)) = (of(Listener::Submission), me) {
        out.push_str(&format!(
            "\nSend a mail as a user:\n  \
             printf 'From: me@localhost\\r\\nTo: me@localhost\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n' | \\\n  \
             curl -sS --url smtp://{} --ssl-reqd --cacert {certificate} --user 'me@localhost:{password}' \\\n    \
             --mail-from me@localhost --mail-rcpt me@localhost --upload-file -\n",
            listener.address
        ));
    }
    if let Some(listener) = of(Listener::Smtp) {
        out.push_str(&format!(
            "\nOr as a stranger, with Python:\n  \
             python3 -c \"import smtplib; smtplib.SMTP('{}', {}).sendmail('you@example.org', ['me@localhost'], \
             'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n')\"\n",
            listener.address.ip(),
            listener.address.port()
        ));
    }
    out.push_str(&format!(
        "\nRead it back:\n  {program} mail list me@localhost --dir {dir_word}\n  \
         {program} mail show me@localhost 1 --dir {dir_word}\n\nCtrl-C stops the server.\n"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        configuration(Path::new("/d"), 1_000, &[]).unwrap().0
    }

    #[test]
    fn it_listens_on_the_loopback_alone_with_the_base_added() {
        let config = config();
        let listeners: Vec<String> = config
            .listeners
            .iter()
            .map(|listener| format!("{} {}", listener.kind.name(), listener.address))
            .collect();
        assert_eq!(
            listeners,
            ["smtp 127.0.0.1:1025", "submission 127.0.0.1:1587", "submissions 127.0.0.1:1465"]
        );
        assert_eq!(config.data_dir, PathBuf::from("/d"));
        assert_eq!(config.tls.unwrap().key, PathBuf::from("/d/tls/key.pem"));
    }

    #[test]
    fn settings_are_taken_but_for_the_place_of_the_data() {
        let (config, _) = configuration(Path::new("/d"), 0, &["limits.connections=20".to_owned()]).unwrap();
        assert_eq!(config.connections_max, 20);
        let failure = configuration(Path::new("/d"), 0, &["data-dir=/x".to_owned()]).unwrap_err();
        assert!(matches!(failure, Failure::Told(Exit::Usage, _)));
        let failure = configuration(Path::new("/d"), 0, &["no.such=/x".to_owned()]).unwrap_err();
        assert!(matches!(failure, Failure::Told(Exit::Config, _)));
    }

    #[test]
    fn the_text_has_ports_password_and_lines_to_paste() {
        let me = Me::Password("pass-word".to_owned());
        let text = ready_text(Path::new("/a b/d"), &config(), &me, "/usr/bin/gatepost");
        for part in [
            "127.0.0.1:1025",
            "127.0.0.1:1465",
            "smtp://127.0.0.1:1587",
            "me@localhost:pass-word",
            "--cacert '/a b/d/tls/certificate.pem'",
            "smtplib.SMTP('127.0.0.1', 1025)",
            "/usr/bin/gatepost mail list me@localhost --dir '/a b/d'",
            "mail show me@localhost 1",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn a_changed_password_is_not_shown_and_a_removed_account_neither() {
        let text = ready_text(Path::new("/d"), &config(), &Me::OtherPassword, "gatepost");
        assert!(text.contains("another than at the first start") && !text.contains("curl"));
        let text = ready_text(Path::new("/d"), &config(), &Me::Removed, "gatepost");
        assert!(text.contains("was removed") && !text.contains("mail list"));
    }

    #[test]
    fn a_word_is_quoted_for_the_shell_only_where_it_must_be() {
        assert_eq!(shell("/a/b-c_d.pem"), "/a/b-c_d.pem");
        assert_eq!(shell("/a b"), "'/a b'");
        assert_eq!(shell("it's"), "'it'\\''s'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn a_directory_is_untouched_until_something_was_in_it() {
        let mut directory = Directory::default();
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
