//! The store on disk and the store in memory are asked the same and must say the same.

use super::*;
use crate::directory::credential::CredentialId;
use crate::directory::history::LoginHistory;
use crate::directory::{Alias, DomainEntry};
use crate::store::memory::MemoryStore;
use crate::types::Domain;

const ACCOUNTS: u64 = 6;

/// Both stores and where the one on disk lies.
struct Pair {
    dir: tempfile::TempDir,
    disk: Option<FjallStore>,
    memory: MemoryStore,
    chance: Chance,
    next_message: u64,
}

impl Pair {
    fn both<T: PartialEq + std::fmt::Debug>(&mut self, ask: impl Fn(&mut dyn Store) -> T) -> T {
        let disk = ask(self.disk.as_mut().unwrap());
        let memory = ask(&mut self.memory);
        assert!(
            disk == memory,
            "on disk {:.3000}\nin memory {:.3000}",
            format!("{disk:?}"),
            format!("{memory:?}")
        );
        disk
    }

    fn some_accounts(&mut self) -> Vec<u32> {
        let mask = self.chance.below(1 << ACCOUNTS);
        (1..=u32::try_from(ACCOUNTS).unwrap()).filter(|account| mask >> (account - 1) & 1 == 1).collect()
    }

    fn octets(&mut self) -> Vec<u8> {
        let count = [0, 1, 500, 5_000][usize::try_from(self.chance.below(4)).unwrap()];
        let seed = self.chance.octets();
        seed.iter().copied().cycle().take(count).collect()
    }

    fn a_message(&mut self) -> Operation {
        self.next_message += 1;
        let number = self.next_message;
        let accounts = self.some_accounts();
        let last = self.octets();
        let before = u32::try_from(self.chance.below(6).saturating_sub(3)).unwrap();
        for index in 0..before {
            let octets = self.octets();
            self.both(|store| store.put_slice(id(number), index, &octets)).unwrap();
        }
        // Some never come to a commit, and some come without all their slices.
        match self.chance.below(20) {
            0 => message(number, &accounts, before + 1, &last),
            1 => message(number + 1_000_000, &accounts, 0, &last),
            _ => message(number, &accounts, before, &last),
        }
    }

    fn a_change(&mut self) -> Operation {
        let account = u32::try_from(self.chance.below(ACCOUNTS) + 1).unwrap();
        let name = Domain::parse(&format!("d{}.example", self.chance.below(3))).unwrap();
        let address = format!("list{}@example.org", self.chance.below(3)).parse().unwrap();
        let live = self.memory.directory().unwrap().account(AccountId(account)).is_some();
        Operation::Change(vec![match self.chance.below(8) {
            0 if live => Change::RemoveAccount(AccountId(account)),
            1 => Change::PutDomain(DomainEntry { name, catch_all: Some(AccountId(account)) }),
            2 => Change::RemoveDomain(name),
            3 => Change::PutAlias(Alias { address, members: vec![] }),
            4 => add_account(account),
            5 => self.a_history(AccountId(account)),
            _ => Change::RemoveAlias(address),
        }])
    }

    /// Whoever it is about may be gone, or never have been there.
    fn a_history(&mut self, account: AccountId) -> Change {
        let mut history = LoginHistory::default();
        let octet = u8::try_from(self.chance.below(200)).unwrap();
        history.learn(
            UnixTime(self.chance.below(1_000_000)),
            [10, 0, octet, 1].into(),
            Some(CredentialId(1)),
        );
        Change::PutHistory(account, history)
    }

    fn a_group(&mut self) {
        let count = self.chance.below(4) + 1;
        let mut group = Vec::new();
        for _ in 0..count {
            let operation = if self.chance.below(5) == 0 { self.a_change() } else { self.a_message() };
            group.push(operation);
        }
        self.both(|store| store.commit(&group).is_ok());
    }

    fn a_kill(&mut self) {
        let from = self.dir.path().join("live");
        let to = self.dir.path().join("copy");
        copy_directory(&from, &to);
        self.disk = None;
        std::fs::remove_dir_all(&from).unwrap();
        std::fs::rename(&to, &from).unwrap();
        let (store, report) = open_report(&from);
        assert_eq!(report.torn, None);
        self.disk = Some(store);
        self.memory.power_cut();
    }

    fn compare(&mut self) {
        for account in 1..=u32::try_from(ACCOUNTS).unwrap() {
            self.both(|store| contents(store, account));
        }
        self.both(|store| {
            let directory = store.directory().unwrap();
            let accounts: Vec<_> = directory.accounts().cloned().collect();
            let domains: Vec<_> = directory.domains().cloned().collect();
            let aliases: Vec<_> = directory.aliases().cloned().collect();
            let histories: Vec<_> = directory.histories().map(|(id, one)| (id, one.clone())).collect();
            (accounts, domains, aliases, histories, directory.next_account())
        });
    }
}

#[test]
fn both_stores_say_the_same_whatever_is_asked() {
    for seed in 1..=4 {
        let dir = scratch();
        let disk = open(&dir.path().join("live"));
        let mut pair = Pair {
            memory: MemoryStore::new(disk.server_key()),
            disk: Some(disk),
            dir,
            chance: Chance::from_seed([seed; 32]),
            next_message: 0,
        };
        pair.both(|store| add_accounts(store, &[1, 2, 3, 4, 5, 6]));
        for step in 0..120 {
            match pair.chance.below(20) {
                0..=12 => pair.a_group(),
                13..=17 => {
                    let _ = pair.both(|store| store.tidy().is_ok());
                }
                18 => pair.a_kill(),
                _ => pair.compare(),
            }
            if step % 30 == 29 {
                pair.compare();
            }
        }
        pair.a_kill();
        pair.both(|store| tidy_all(store));
        pair.compare();
        let slices = pair.memory.slice_count();
        assert_eq!(
            pair.disk.as_ref().unwrap().slice_count(),
            slices,
            "seed {seed}: bodies nobody needs are gone"
        );
    }
}
