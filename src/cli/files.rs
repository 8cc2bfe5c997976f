//! Files an administrator wrote: the configuration, the certificate, the key.
#![expect(clippy::disallowed_methods, reason = "the command line reads files")]

use super::failure::{Exit, Failure, reason};
use crate::config::checked::{Bases, Config};
use crate::config::{self, Key, Problem, Written};
use crate::limits::{CONFIG_OCTETS_MAX, PEM_OCTETS_MAX};
use crate::server::tls;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A whole file as text, if it is one and not larger than `max` octets.
///
/// # Errors
/// Of the operating system, or that it is too large or not UTF-8.
pub fn read_text(path: &Path, max: usize) -> io::Result<String> {
    let mut text = String::new();
    let most = u64::try_from(max.saturating_add(1)).unwrap_or(u64::MAX);
    File::open(path)?.take(most).read_to_string(&mut text)?;
    if text.len() > max {
        return Err(io::Error::other(format!("it is larger than {max} octets")));
    }
    Ok(text)
}

/// Reads and checks a configuration file; whether what it names is there is looked at by [`look_at`].
///
/// # Errors
/// Every problem, one line each, with exit 78; 66 if there is no such file.
pub fn read_config(file: &Path, settings: &[String]) -> Result<(Config, Written), Failure> {
    let text = read_text(file, CONFIG_OCTETS_MAX).map_err(|error| unreadable(file, &error))?;
    let absolute = std::path::absolute(file)
        .map_err(|error| Failure::of_path(Exit::Io, "find the configuration", file, &error))?;
    let bases = Bases {
        file: absolute.parent().unwrap_or(Path::new("/")).to_path_buf(),
        working: working_directory()?,
    };
    config::read(&text, settings, &bases).map_err(|problems| told(file, &problems))
}

/// A file that is no text is a wrong configuration, not a disk that fails.
fn unreadable(file: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        let what = "it is not UTF-8 text: save it as UTF-8, or see whether it is the right file";
        return Failure::new(Exit::Config, format!("{}: {what}", file.display()));
    }
    Failure::of_path(Exit::Io, "read the configuration", file, error)
}

/// The working directory, for paths on the command line.
///
/// # Errors
/// When it was removed meanwhile, or the like.
pub fn working_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Io, format!("cannot find the working directory: {}", reason(&error)))
    })
}

/// Problems as they are told.
#[must_use]
pub fn told(file: &Path, problems: &[Problem]) -> Failure {
    let file = file.display().to_string();
    Failure::Told(Exit::Config, problems.iter().map(|problem| problem.sentence(&file)).collect())
}

/// What the files of a configuration hold; a key in it, so it cannot be printed.
#[derive(Default)]
pub struct Pem {
    /// Contents of the certificate file.
    pub certificate: Option<String>,
    /// Contents of the key file.
    pub key: Option<String>,
    /// What works and should not stay so, one sentence each.
    pub warnings: Vec<String>,
}

/// Looks at what a configuration names: the data directory, certificate and key.
///
/// # Errors
/// Everything that is not there or not what it should be.
pub fn look_at(config: &Config, written: &Written) -> Result<Pem, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut problem = |key: Key, what: String| {
        problems.push(Problem { origin: written.origin(key), key: key.name().to_owned(), what });
    };
    if let Err(what) = look_at_data_dir(&config.data_dir) {
        problem(Key::DataDir, what);
    }
    let mut pem = Pem::default();
    if let Some(tls) = &config.tls {
        match read_pem(&tls.certificate, &["CERTIFICATE"]) {
            Ok(text) => pem.certificate = Some(text),
            Err(what) => problem(Key::TlsCertificate, what),
        }
        match read_pem(&tls.key, &["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]) {
            Ok(text) => {
                pem.key = Some(text);
                pem.warnings.extend(warn_of_open_key(&tls.key));
            }
            Err(what) => problem(Key::TlsKey, what),
        }
        // What the server would refuse when it starts is said now.
        if let (Some(certificate), Some(key)) = (&pem.certificate, &pem.key)
            && let Err(error) = tls::server_config(certificate, key)
        {
            problem(Key::TlsKey, error.to_string());
        }
    }
    if problems.is_empty() { Ok(pem) } else { Err(problems) }
}

/// It is there, or its parent is.
fn look_at_data_dir(dir: &Path) -> Result<(), String> {
    let shown = dir.display();
    match std::fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(format!("{shown} is no directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = dir.parent().unwrap_or(Path::new("/"));
            if parent.is_dir() {
                return Ok(());
            }
            Err(format!(
                "neither {shown} nor the directory it would be in is there: make {}",
                parent.display()
            ))
        }
        Err(error) => Err(format!("cannot look at {shown}: {}", reason(&error))),
    }
}

/// A key that every user of the machine can read is no secret.
fn warn_of_open_key(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| format!("everybody can read the key {0}: `chmod o= {0}`", path.display()))
}

fn read_pem(path: &Path, labels: &[&str]) -> Result<String, String> {
    let shown = path.display();
    let text = read_text(path, PEM_OCTETS_MAX)
        .map_err(|error| format!("cannot read {shown}: {}", reason(&error)))?;
    if labels.iter().any(|label| text.contains(&format!("-----BEGIN {label}-----"))) {
        return Ok(text);
    }
    let wanted = labels.first().copied().unwrap_or_default();
    Err(format!("{shown} holds no `-----BEGIN {wanted}-----`: it must be PEM"))
}
