//! What the throttle has to hear of the directory.

use super::Throttle;
use crate::auth::verifier::canonical;
use crate::directory::{Change, Directory};
use crate::types::Address;

/// Tells the throttle in which networks the logins of every account are known.
pub fn load_places(throttle: &mut Throttle, directory: &Directory) {
    for (id, history) in directory.histories() {
        let addresses = directory.account(id).map_or(&[][..], |account| &account.addresses);
        for login in addresses.iter().map(login_of) {
            for place in &history.places {
                throttle.load_place(&login, place.prefix, place.last);
            }
        }
    }
}

/// Lets the throttle forget the logins that a change takes from an account. To be called before it is applied.
pub fn forget_logins(throttle: &mut Throttle, directory: &Directory, change: &Change) {
    let (id, kept) = match change {
        Change::PutAccount(account) => (account.id, &account.addresses[..]),
        Change::RemoveAccount(id) => (*id, &[][..]),
        Change::PutDomain(_)
        | Change::RemoveDomain(_)
        | Change::PutAlias(_)
        | Change::RemoveAlias(_)
        | Change::PutHistory(..)
        | Change::PutScram(..) => return,
    };
    let Some(before) = directory.account(id) else { return };
    let is_gone = |address: &&Address| !kept.iter().any(|other| other.key() == address.key());
    for login in before.addresses.iter().filter(is_gone).map(login_of) {
        throttle.forget_login(&login);
    }
}

/// An address as the throttle knows it.
fn login_of(address: &Address) -> Vec<u8> {
    canonical(address.to_string().as_bytes())
}
