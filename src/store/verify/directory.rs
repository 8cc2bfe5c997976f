//! The directory as a whole: what one record says of another.

use super::{Kind, Page, Part, Source};
use crate::directory::{Account, Alias, DomainEntry};
use crate::limits::VERIFY_ROWS_PER_STEP;
use crate::store::StoreError;
use crate::store::keys::{self, Meta, Tag};
use crate::types::{AccountId, Address, AddressKey, Domain};
use std::collections::{BTreeMap, BTreeSet};

/// Looks at all of it; it is small. What cannot be decoded was told with the records.
pub(super) fn check(source: &dyn Source, page: &mut Page) {
    let domains: Vec<DomainEntry> = all(source, Tag::Domain, keys::decode_domain);
    let accounts: Vec<Account> = all(source, Tag::Account, keys::decode_account);
    let aliases: Vec<Alias> = all(source, Tag::Alias, keys::decode_alias);
    check_numbers(source, &accounts, page);
    let ids: BTreeSet<AccountId> = accounts.iter().map(|account| account.id).collect();
    let names: BTreeSet<&Domain> = domains.iter().map(|entry| &entry.name).collect();
    for entry in &domains {
        if let Some(id) = entry.catch_all.filter(|id| !ids.contains(id)) {
            let what = format!("its catch-all is account {}, which is not there", id.0);
            page.find(Kind::CatchAllMissing, format!("domain {}", entry.name), what);
        }
    }
    let of_accounts = accounts.iter().flat_map(|account| {
        account.addresses.iter().map(|address| (format!("account {}", account.id.0), address))
    });
    let of_aliases = aliases.iter().map(|alias| ("an alias".to_owned(), &alias.address));
    let mut owners: BTreeMap<AddressKey, String> = BTreeMap::new();
    for (owner, address) in of_accounts.chain(of_aliases) {
        check_address(&owner, address, &names, page);
        if let Some(other) = owners.insert(address.key(), owner.clone()) {
            let what = format!("it belongs to {other} and to {owner}");
            page.find(Kind::AddressTwice, format!("address {address}"), what);
        }
    }
}

fn check_address(owner: &str, address: &Address, names: &BTreeSet<&Domain>, page: &mut Page) {
    if !names.contains(&address.domain) {
        let what = format!("its domain is not served; it belongs to {owner}");
        page.find(Kind::DomainMissing, format!("address {address}"), what);
    }
}

fn check_numbers(source: &dyn Source, accounts: &[Account], page: &mut Page) {
    let key = keys::meta_key(Meta::NextAccount);
    let Ok(Some(value)) = source.get(Part::Records, &key) else { return };
    let Ok(next) = keys::decode_u32("the next account", &key, &value) else { return };
    for account in accounts.iter().filter(|account| account.id.0 >= next) {
        let what = format!("the next new account would get number {next}");
        page.find(Kind::AccountNumberFree, format!("account {}", account.id.0), what);
    }
}

/// Every record under a tag that can be decoded.
fn all<T>(source: &dyn Source, tag: Tag, decode: impl Fn(&[u8], &[u8]) -> Result<T, StoreError>) -> Vec<T> {
    let mut out = Vec::new();
    let mut after = vec![tag.octet()];
    loop {
        let found = source.rows(Part::Records, &after, VERIFY_ROWS_PER_STEP, usize::MAX).rows;
        let Some((last, _)) = found.last() else { return out };
        after.clone_from(last);
        for (key, value) in found {
            if key.first() != Some(&tag.octet()) {
                return out;
            }
            out.extend(value.ok().and_then(|value| decode(&key, &value).ok()));
        }
    }
}
