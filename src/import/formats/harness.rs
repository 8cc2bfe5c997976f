//! For the tests of formats: a log of one server's read through the whole import.

use crate::import::importer::Importer;
use crate::import::{Finding, Server, What};

/// The findings of this log, in the order of their lines.
pub fn read(server: Server, log: &str) -> Vec<Finding> {
    let mut importer = Importer::new(Some(server));
    importer.push(log.as_bytes());
    importer.end();
    let mut found = importer.take();
    found.sort_by_key(|finding| finding.line);
    found
}

/// Line, what, source and login of findings.
pub fn brief(found: &[Finding]) -> Vec<(u64, What, String, String)> {
    found
        .iter()
        .map(|finding| {
            let source = finding.source.map(|address| address.to_string()).unwrap_or_default();
            (finding.line, finding.what, source, finding.login.clone().unwrap_or_default())
        })
        .collect()
}
