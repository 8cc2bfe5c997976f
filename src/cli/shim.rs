//! Doors to rooms that other branches bring; each becomes one line at the merge.

use crate::config::checked::Config;
use std::process::ExitCode;

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
