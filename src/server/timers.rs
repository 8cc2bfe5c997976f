//! The deadlines of all connections. Pure: the time is passed in.
//!
//! A session moves its idle deadline with every command. So the set holds, for each connection, only the
//! moment at which to *look*: a deadline that moved further away costs nothing until then.

use crate::contract::Timer;
use crate::types::Moment;
use std::collections::BTreeSet;

/// What a connection can be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// A deadline of its session.
    Session(Timer),
    /// The handshake must be done.
    Handshake,
    /// The last octets must have left and the peer must have closed.
    Linger,
}

impl Deadline {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Session(Timer::Idle),
        Self::Session(Timer::Session),
        Self::Session(Timer::Pace),
        Self::Handshake,
        Self::Linger,
    ];
}

/// The deadlines of one connection.
#[derive(Debug, Default)]
pub struct Deadlines {
    idle: Option<Moment>,
    session: Option<Moment>,
    pace: Option<Moment>,
    handshake: Option<Moment>,
    linger: Option<Moment>,
    /// When the set will look at this connection.
    look: Option<Moment>,
}

impl Deadlines {
    fn slot(&mut self, which: Deadline) -> &mut Option<Moment> {
        match which {
            Deadline::Session(Timer::Idle) => &mut self.idle,
            Deadline::Session(Timer::Session) => &mut self.session,
            Deadline::Session(Timer::Pace) => &mut self.pace,
            Deadline::Handshake => &mut self.handshake,
            Deadline::Linger => &mut self.linger,
        }
    }

    /// Arms, moves or disarms a deadline.
    pub fn arm(&mut self, which: Deadline, at: Option<Moment>) {
        *self.slot(which) = at;
    }

    /// Takes one deadline that has passed; it is disarmed.
    pub fn take_due(&mut self, now: Moment) -> Option<Deadline> {
        Deadline::ALL.into_iter().find(|which| self.slot(*which).take_if(|at| *at <= now).is_some())
    }

    fn earliest(&self) -> Option<Moment> {
        [self.idle, self.session, self.pace, self.handshake, self.linger].into_iter().flatten().min()
    }
}

/// When to look at which connection.
#[derive(Debug, Default)]
pub struct Timers {
    looks: BTreeSet<(Moment, usize)>,
}

impl Timers {
    /// Sees to it that the connection `key` is looked at no later than its earliest deadline.
    pub fn follow(&mut self, key: usize, deadlines: &mut Deadlines) {
        let Some(earliest) = deadlines.earliest() else { return };
        match deadlines.look {
            Some(look) if look <= earliest => {}
            Some(look) => {
                self.looks.remove(&(look, key));
                self.set(key, earliest, deadlines);
            }
            None => self.set(key, earliest, deadlines),
        }
    }

    fn set(&mut self, key: usize, at: Moment, deadlines: &mut Deadlines) {
        deadlines.look = Some(at);
        self.looks.insert((at, key));
    }

    /// The connection is gone.
    pub fn forget(&mut self, key: usize, deadlines: &mut Deadlines) {
        if let Some(look) = deadlines.look.take() {
            self.looks.remove(&(look, key));
        }
    }

    /// The next connection to look at, if its moment has come. The caller takes what is due and then calls
    /// [`Timers::looked`].
    #[must_use]
    pub fn due(&self, now: Moment) -> Option<usize> {
        self.looks.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// The connection was looked at: it is set down for its next deadline.
    pub fn looked(&mut self, key: usize, deadlines: &mut Deadlines) {
        self.forget(key, deadlines);
        self.follow(key, deadlines);
    }

    /// The connection that was to be looked at does not exist: drops the entry, so that nobody waits on it.
    pub fn drop_first(&mut self) {
        self.looks.pop_first();
    }

    /// The moment to look next.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.looks.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Chance;

    const IDLE: Deadline = Deadline::Session(Timer::Idle);

    #[test]
    fn a_deadline_is_due_once_and_not_before_its_time() {
        let mut timers = Timers::default();
        let mut one = Deadlines::default();
        one.arm(IDLE, Some(Moment(100)));
        timers.follow(7, &mut one);
        assert_eq!(timers.next(), Some(Moment(100)));
        assert_eq!(timers.due(Moment(99)), None);
        assert_eq!(timers.due(Moment(100)), Some(7));
        assert_eq!(one.take_due(Moment(100)), Some(IDLE));
        assert_eq!(one.take_due(Moment(100)), None);
        timers.looked(7, &mut one);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_that_moves_away_costs_no_entry_until_it_is_looked_at() {
        let mut timers = Timers::default();
        let mut one = Deadlines::default();
        for at in 100..200 {
            one.arm(IDLE, Some(Moment(at)));
            timers.follow(1, &mut one);
        }
        assert_eq!(timers.looks.len(), 1);
        assert_eq!(timers.due(Moment(150)), Some(1), "it is looked at when it was first due");
        assert_eq!(one.take_due(Moment(150)), None, "and found not to be due");
        timers.looked(1, &mut one);
        assert_eq!(timers.next(), Some(Moment(199)));
    }

    #[test]
    fn a_deadline_that_comes_nearer_is_looked_at_in_time() {
        let mut timers = Timers::default();
        let mut one = Deadlines::default();
        one.arm(IDLE, Some(Moment(300)));
        timers.follow(1, &mut one);
        one.arm(Deadline::Linger, Some(Moment(50)));
        timers.follow(1, &mut one);
        assert_eq!(timers.next(), Some(Moment(50)));
        assert_eq!(timers.looks.len(), 1);
    }

    #[test]
    fn whoever_is_forgotten_is_never_due() {
        let mut timers = Timers::default();
        let mut one = Deadlines::default();
        one.arm(Deadline::Handshake, Some(Moment(5)));
        timers.follow(3, &mut one);
        timers.forget(3, &mut one);
        assert_eq!(timers.due(Moment(1_000)), None);
    }

    #[test]
    fn no_deadline_is_ever_missed_whatever_moves() {
        let mut chance = Chance::from_seed([3; 32]);
        let mut timers = Timers::default();
        let mut all: Vec<Deadlines> = (0..20).map(|_| Deadlines::default()).collect();
        for step in 0..5_000_u64 {
            let now = Moment(step);
            while let Some(key) = timers.due(now) {
                while all[key].take_due(now).is_some() {}
                timers.looked(key, &mut all[key]);
            }
            for one in &all {
                assert!(one.earliest().is_none_or(|at| at > now), "a deadline was missed");
            }
            let key = usize::try_from(chance.below(20)).unwrap();
            let which = Deadline::ALL[usize::try_from(chance.below(4)).unwrap()];
            let at = (chance.below(4) != 0).then(|| now.plus_ms(1 + chance.below(50)));
            all[key].arm(which, at);
            timers.follow(key, &mut all[key]);
            assert!(timers.looks.len() <= 20);
        }
    }
}
