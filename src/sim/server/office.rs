//! What an administrator does in the middle: plans, commits and applies as `server/control_server.rs` does it.

use super::*;
use crate::auth::credential;
use crate::auth::throttle::forget_logins;
use crate::directory::credential::CredentialId;
use crate::directory::plan::{Request, plan};
use crate::directory::{AccountState, Change};
use crate::sim::keeper::Record;
use crate::sim::town::{Facts, phc, secret};
use crate::types::{Address, Prefix};

/// An order that is being made durable.
#[derive(Debug)]
pub(super) struct Order {
    account: AccountId,
    name: &'static str,
    removes: bool,
}

impl Server {
    /// An administrator does something to somebody.
    pub(in crate::sim) fn order(&mut self, desk: &mut Desk) {
        let number = desk.below(7);
        let Some((account, name, mut facts)) = desk.town.owner(number) else { return };
        let Ok(address) = name.parse::<Address>() else { return };
        if desk.one_in(4) {
            return self.forgive(name, desk);
        }
        let is_free = desk.town.is_settled(number) && facts.lives && facts.state != AccountState::Suspended;
        let Some(directory) = self.directory.as_ref().filter(|_| is_free) else { return };
        let request = match (desk.below(6), account.0) {
            (0 | 1, _) => {
                facts.state = match facts.state {
                    AccountState::Active => AccountState::Disabled,
                    AccountState::Disabled | AccountState::Suspended => AccountState::Active,
                };
                Request::AccountState(address, facts.state)
            }
            (2, _) => {
                let password = secret(&mut desk.chance);
                let text = phc(account, &password);
                facts.password = Some(password);
                Request::AccountPassword(address, text)
            }
            (3, 7) => {
                facts.lives = false;
                Request::AccountRemove(address)
            }
            (4, _) if !facts.apps.is_empty() => {
                facts.apps = facts.apps.into_iter().skip(1).collect();
                let kept = directory.account(account).and_then(|account| account.app_passwords.list.first());
                Request::CredentialRevoke(address, kept.map_or(CredentialId(0), |kept| kept.id))
            }
            _ => {
                let password = secret(&mut desk.chance);
                let digest = credential::digest(password.as_bytes());
                facts.apps.push(password);
                Request::CredentialAdd(address, "phone".into(), desk.now.unix, digest)
            }
        };
        self.give(number, (account, name, facts), request, desk);
    }

    fn give(
        &mut self,
        number: usize,
        (account, name, facts): (AccountId, &'static str, Facts),
        request: Request,
        desk: &mut Desk,
    ) {
        let Some(directory) = &self.directory else { return };
        let request = credential::sealed(&self.server_key, request);
        let changes = match plan(directory, &request) {
            Ok(plan) if !plan.changes.is_empty() => plan.changes,
            Ok(_) => return,
            Err(error) => return desk.break_law(Law::ChangesLast, format!("{name}: {error}")),
        };
        desk.fault(Fault::Ordered);
        desk.tell(&format!("an administrator changes {name}: {:?}, {:?}", facts.state, facts.lives));
        self.orders_given += 1;
        let removes = !facts.lives;
        desk.town.may_become(number, facts, desk.now.moment);
        self.orders.insert(self.orders_given, Order { account, name, removes });
        self.keeper.push_record(Record::Order(self.orders_given, changes.clone()));
        if desk.has(PlantedBug::DoneBeforeDurable) {
            self.order_done(self.orders_given, &changes, true, desk);
        }
    }

    /// Nothing is held against a name and its network any more. What is promised stays.
    fn forgive(&mut self, name: &str, desk: &mut Desk) {
        desk.fault(Fault::Forgiven);
        desk.tell(&format!("an administrator forgives {name} and his network"));
        self.gate.throttle.forgive_login(name.as_bytes());
        self.gate.throttle.forgive(crate::sim::actors::home_of(name));
    }

    /// A record is durable, or was refused.
    pub(super) fn record_done(&mut self, record: Record, kept: bool, desk: &mut Desk) {
        match record {
            Record::Throttle(_) => {
                if !kept {
                    self.gate.throttle.save_again();
                }
            }
            Record::Place(login, net, _) => {
                if kept {
                    desk.promises.is_durable(&login, net);
                }
            }
            Record::Keys(_) => {}
            Record::Order(number, changes) => self.order_done(number, &changes, kept, desk),
        }
    }

    fn order_done(&mut self, number: u64, changes: &[Change], kept: bool, desk: &mut Desk) {
        let Some(Order { account, name, removes }) = self.orders.remove(&number) else { return };
        desk.tell(&format!("the change of {name} is {}", if kept { "done" } else { "refused" }));
        if let Some(directory) =
            self.directory.as_mut().filter(|_| kept && !desk.has(PlantedBug::KeepsOldBook))
        {
            for change in changes {
                forget_logins(&mut self.gate.throttle, directory, change);
                directory.apply(change);
            }
        }
        self.publish(desk);
        if kept && removes {
            desk.promises.forget(name.as_bytes());
        }
        desk.town.has_become(account, kept, desk.now.moment);
    }

    /// The memory of everything that grows with peers, held against its bound.
    pub(super) fn judge_memory(&self, desk: &mut Desk) {
        let ceilings = self.config.ceilings;
        let most = ceilings.total + SIDE_DOOR_MAX;
        let each = self.conns.values().map(|conn| conn.octets());
        let largest = each.clone().max().unwrap_or(0);
        let sum: usize = each.sum::<usize>() + self.keeper.octets();
        let bodies: usize = self.conns.values().map(|conn| conn.kept.len()).sum();
        let bound = most * (CONNECTION_OCTETS_MAX + 2 * MESSAGE_OCTETS_MAX);
        let holds = largest <= CONNECTION_OCTETS_MAX
            && self.conns.len() <= most
            && self.gate.admission.total() == self.conns.len()
            && self.gate.tarpit.len() <= self.config.held_max
            && sum + bodies <= bound;
        desk.check(Law::BoundedMemory, holds, || {
            format!(
                "{} connections (at most {most}), the largest of {largest} octets (at most \
                 {CONNECTION_OCTETS_MAX}), {} wait, {bodies} octets of bodies, {sum} of all else (at most {bound}), \
                 admission counts {}",
                self.conns.len(),
                self.gate.tarpit.len(),
                self.gate.admission.total()
            )
        });
        let mut hosts = BTreeMap::<Prefix, usize>::new();
        for conn in self.conns.values() {
            *hosts.entry(Prefix::host(conn.facts.address)).or_default() += 1;
        }
        let crowd = hosts.values().max().copied().unwrap_or(0);
        desk.check(Law::BoundedMemory, crowd <= ceilings.per_host, || {
            format!("{crowd} connections of one host, at most {}", ceilings.per_host)
        });
    }
}
