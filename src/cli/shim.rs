//! Doors to rooms that other branches bring; each becomes one line at the merge.

use crate::config::checked::Config;
use crate::store::{Store, StoreError};
use std::path::Path;
use std::process::ExitCode;

pub fn open_store(dir: &Path, may_write: bool) -> Result<(Box<dyn Store>, Option<String>), StoreError> {
    let _ = (dir, may_write);
    Err(StoreError::Io("no store in this branch".to_owned()))
}

pub fn tidy(store: &mut dyn Store) {
    let _ = store;
}

pub fn run_parent(
    config: Config,
    certificate_pem: Option<String>,
    key_pem: Option<String>,
    announce: impl FnOnce(),
) -> ExitCode {
    let _ = (config, certificate_pem, key_pem, announce);
    ExitCode::FAILURE
}

pub fn serve_child() -> ExitCode {
    ExitCode::FAILURE
}

pub fn hash_worker_child() -> ExitCode {
    crate::server::hash_worker::run()
}
