//! Logs of our own making, in the shape servers write them.

mod collectors;
mod daemons;
mod dovecot;
mod exim;
mod forms;
mod mox;
mod opensmtpd;
mod postfix;

use super::importer::read_all;

/// What was found, one line each: `LINE SERVER SOURCE LOGIN MECHANISM`, `-` where nothing is said; then the skipped
/// lines, `LINE skipped: WHY`.
fn told(log: &str) -> Vec<String> {
    let (findings, skipped, _) = read_all(None, log.as_bytes());
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut all: Vec<String> = findings
        .into_iter()
        .map(|finding| {
            format!(
                "{} {} {} {} {}",
                finding.line,
                finding.server.name(),
                or_dash(finding.source.map(|source| source.to_string())),
                or_dash(finding.login),
                or_dash(finding.mechanism)
            )
        })
        .collect();
    all.extend(skipped.iter().map(|skipped| format!("{} skipped: {}", skipped.line, skipped.why.text())));
    all
}

/// One line from a log: what it tells.
fn one(line: &str) -> String {
    told(line).join("; ")
}

const NOTHING: [&str; 0] = [];
