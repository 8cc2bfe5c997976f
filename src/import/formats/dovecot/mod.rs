//! Dovecot 1.x to 2.4: the login processes, which hold the connection, and the auth processes behind them.
//!
//! A login process tells of a connection once, at its end, with how often authentication failed. An auth process
//! tells of each failure. [`Voice`] keeps them apart; the import joins them.

mod auth;
mod login;

#[cfg(doc)]
use crate::import::Voice;
use crate::import::recent::Recent;
use crate::import::{Finding, Heard, Line, Reader, Server};
use crate::limits;

/// The reader.
#[derive(Debug)]
pub struct Dovecot {
    /// Ends of connections that prove nothing by themselves.
    ends: Recent<()>,
}

impl Default for Dovecot {
    fn default() -> Self {
        Self { ends: Recent::new(limits::IMPORT_SESSIONS_MAX) }
    }
}

impl Reader for Dovecot {
    fn server(&self) -> Server {
        Server::Dovecot
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let Some((process, message)) = process(line) else { return Heard::NotMine };
        let told = match process {
            Process::Login(door) => login::read(line, message, door),
            Process::Auth => auth::read(line, message),
            Process::Pam => auth::pam(line, message),
            Process::Other => return Heard::Understood,
        };
        match told {
            Told::Nothing => Heard::Understood,
            Told::Damaged(why) => Heard::Damaged(why),
            Told::Refused(finding) => {
                found.push(*finding);
                Heard::Understood
            }
            Told::Torn(finding) => {
                // The very same line once more: the client does nothing else.
                if self.ends.put(line.whole.to_owned(), ()).is_some() {
                    found.push(*finding);
                }
                Heard::Understood
            }
        }
    }

    fn end(&mut self, _found: &mut Vec<Finding>) {}
}

/// What a line tells.
enum Told {
    Nothing,
    Damaged(crate::import::Why),
    Refused(Box<Finding>),
    /// A connection that broke before anything was tried.
    Torn(Box<Finding>),
}

enum Process {
    Login(crate::import::Door),
    Auth,
    Pam,
    Other,
}

/// Which of Dovecot's processes wrote this, and its message. The name stands in the prefix, or in front of the
/// text (`imap-login: Info: …`), or both (`dovecot: imap-login: …`).
fn process<'l>(line: &Line<'l>) -> Option<(Process, &'l str)> {
    let program = line.prefix.program.unwrap_or_default();
    let from_dovecot = program == "dovecot";
    let mut text = line.text;
    if from_dovecot || program.is_empty() {
        // Some collectors name the program twice.
        text = text.strip_prefix("dovecot: ").unwrap_or(text);
    }
    if text.starts_with("pam_unix(dovecot:") || text.starts_with("pam_sss(dovecot:") {
        return Some((Process::Pam, text));
    }
    if matches!(program, "auth" | "auth-worker" | "dovecot-auth") {
        return Some((Process::Auth, level(text)));
    }
    if let Some(door) = login::door(program) {
        return Some((Process::Login(door), level(text)));
    }
    if !(from_dovecot || program.is_empty()) {
        return None;
    }
    let end = text.find([':', '(', '<', ' ']).unwrap_or(text.len());
    let name = text.get(..end)?;
    let rest = text.get(end..)?;
    if let Some(door) = login::door(name) {
        let message = rest.split_once(": ").map_or("", |(_, message)| message);
        return Some((Process::Login(door), level(message)));
    }
    match name {
        "auth" | "auth-worker" | "dovecot-auth" => {
            let rest = rest.strip_prefix(": ").unwrap_or(rest);
            let message = level(rest);
            if let Some(pam) = message.find("pam_unix(dovecot:").and_then(|at| message.get(at..))
                && message.starts_with("pam_unix")
            {
                return Some((Process::Pam, pam));
            }
            Some((Process::Auth, message))
        }
        _ if from_dovecot => Some((Process::Other, text)),
        _ => None,
    }
}

/// The message without the level in front.
fn level(text: &str) -> &str {
    let levels = ["Info: ", "Warning: ", "Error: ", "Debug: ", "Fatal: ", "Panic: "];
    levels.iter().find_map(|level| text.strip_prefix(level)).unwrap_or(text)
}
