//! `import-log FILE... [--format NAME] [--out DIR] [--json]`.

use super::{Failure, Form, Given, Opt, Spec};
use crate::cli::spec::nearest;
use crate::import::Server;
use std::path::PathBuf;

/// What to read, and where to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportLog {
    /// Whose logs they are; none: each line decides.
    pub server: Option<Server>,
    /// The files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Where dialogues are written.
    pub out: Option<PathBuf>,
    /// How the result is told.
    pub form: Form,
}

impl Given {
    pub(super) fn import_log(&self, spec: &Spec) -> Result<ImportLog, Failure> {
        let server = match self.texts(Opt::Format)?.pop() {
            Some(name) if name != "auto" => Some(server(&name)?),
            Some(_) | None => None,
        };
        Ok(ImportLog {
            server,
            files: self.words.iter().skip(spec.words.len()).map(PathBuf::from).collect(),
            out: self.path(Opt::Out),
            form: self.form(),
        })
    }
}

fn server(name: &str) -> Result<Server, Failure> {
    let names = Server::ALL.map(Server::name);
    Server::named(&name.to_ascii_lowercase()).ok_or_else(|| {
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are auto, {}", names.join(", ")),
        };
        super::usage(format!("there is no format {name:?}; {hint}"))
    })
}
