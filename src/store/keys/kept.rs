//! The values that the server writes for itself: what it remembers of logins, the report, the throttle.

use super::{
    Tag, account_key, damaged, decode_account_key, decode_json, encode_json, report_key, throttle_key,
};
use crate::auth::report::Day;
use crate::auth::throttle::Snapshot;
use crate::directory::history::LoginHistory;
use crate::directory::scram::ScramRecord;
use crate::limits::{REPORT_DAY_OCTETS_MAX, THROTTLE_KEPT_OCTETS_MAX};
use crate::store::StoreError;
use crate::types::AccountId;

/// What is remembered of an account's logins, as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_history(account: AccountId, history: &LoginHistory) -> Result<Vec<u8>, StoreError> {
    encode_json("the logins of an account", &account_key(Tag::History, account), history)
}

/// Reads what [`encode_history`] wrote.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_history(key: &[u8], value: &[u8]) -> Result<(AccountId, LoginHistory), StoreError> {
    let account = decode_account_key(Tag::History, key)?;
    Ok((account, decode_json("the logins of an account", key, value)?))
}

/// The SCRAM keys of an account, as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_scram(account: AccountId, record: &ScramRecord) -> Result<Vec<u8>, StoreError> {
    encode_json("the SCRAM keys of an account", &account_key(Tag::Scram, account), record)
}

/// Reads what [`encode_scram`] wrote.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_scram(key: &[u8], value: &[u8]) -> Result<(AccountId, ScramRecord), StoreError> {
    let account = decode_account_key(Tag::Scram, key)?;
    Ok((account, decode_json("the SCRAM keys of an account", key, value)?))
}

/// A day of the report as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_report(day: &Day) -> Result<Vec<u8>, StoreError> {
    encode_json("a day of the report", &report_key(day.day), day)
}

/// Reads what [`encode_report`] wrote; it must be the day its key names.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_report(key: &[u8], value: &[u8]) -> Result<Day, StoreError> {
    if value.len() > REPORT_DAY_OCTETS_MAX {
        return Err(damaged("a day of the report", key));
    }
    let day: Day = decode_json("a day of the report", key, value)?;
    if report_key(day.day) == *key { Ok(day) } else { Err(damaged("a day of the report", key)) }
}

/// What the throttle keeps, as a value.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be written.
pub fn encode_throttle(snapshot: &Snapshot) -> Result<Vec<u8>, StoreError> {
    encode_json("the record of the throttle", &throttle_key(), snapshot)
}

/// Reads what [`encode_throttle`] wrote.
///
/// # Errors
/// [`StoreError::Damaged`], or [`StoreError::Layout`] for a newer version.
pub fn decode_throttle(value: &[u8]) -> Result<Snapshot, StoreError> {
    if value.len() > THROTTLE_KEPT_OCTETS_MAX {
        return Err(damaged("the record of the throttle", &throttle_key()));
    }
    decode_json("the record of the throttle", &throttle_key(), value)
}
