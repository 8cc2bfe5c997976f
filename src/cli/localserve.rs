//! `localserve`: a server to try, on 127.0.0.1, with everything it needs made at the first start.
//!
//! A directory that is there already is used as it is: what is missing is made, what is there is never
//! changed.

use super::failure::{Exit, Failure};
use super::first_start::{self, ACCOUNT, Me, TLS_DIR};
use super::output::write_out;
use super::{files, identity};
use crate::config::checked::{Bases, Config};
use crate::config::{self};
use crate::contract::Listener;
use crate::server::parent::{self, Start};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs it until it is told to stop.
///
/// # Errors
/// When the directory cannot be used or the settings are wrong.
pub fn localserve(dir: &Path, port_base: u16, settings: &[String]) -> Result<ExitCode, Failure> {
    let dir = std::path::absolute(dir)
        .map_err(|error| Failure::of_path(Exit::Io, "find the directory", dir, &error))?;
    // Before anything is made: a wrong setting leaves nothing behind.
    let (config, written) = configuration(&dir, port_base, settings)?;
    let account = first_start::in_a_process_of_its_own(&dir)?;
    identity::become_owner_of(&dir)?;
    let pem = files::look_at(&config, &written)
        .map_err(|problems| files::told(&dir.join("(built-in configuration)"), &problems))?;
    let text = ready_text(&dir, &config, &account, &program());
    let announce = move || {
        // Whoever closed our output does not want to know.
        let _ = write_out(|out| out.write_all(text.as_bytes()));
    };
    let start = Start { config, certificate_pem: pem.certificate, key_pem: pem.key };
    parent::run(start, announce).map_err(|error| {
        Failure::of_listener(&error, "; `--port-base 2000`, or another number, moves all ports at once")
    })
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
}
