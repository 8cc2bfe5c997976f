//! The loop's side of the store thread: nothing here blocks.
//!
//! The queue to the thread is bounded. What does not fit waits here, and that is bounded too: a session has
//! at most one commit under way, and its spool stops being fed.

use super::store_thread::{BodySource, CommitKey, FromStore, StoreThread, ToStore};
use crate::contract::{Commit, Ticket};
use crate::limits::STORE_MS_MAX;
use crate::types::{Moment, SessionId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, TrySendError};

/// A commit whose answer is awaited.
#[derive(Debug, Clone, Copy)]
pub struct InFlight {
    /// Who awaits it.
    pub session: SessionId,
    /// What it answers.
    pub ticket: Ticket,
    /// Octets of the memory budget it holds.
    pub memory_octets: usize,
    /// Octets it will take on disk.
    pub octets: u64,
}

/// The link.
#[derive(Debug)]
pub struct StoreLink {
    thread: StoreThread,
    backlog: VecDeque<ToStore>,
    commits: BTreeMap<CommitKey, InFlight>,
    octets: u64,
    last_key: u64,
    /// Requests not yet answered.
    open: u64,
    progress: u64,
    progress_at: Moment,
    ended: bool,
}

impl StoreLink {
    /// A link to a thread whose store is open.
    #[must_use]
    pub fn new(thread: StoreThread) -> Self {
        Self {
            thread,
            backlog: VecDeque::new(),
            commits: BTreeMap::new(),
            octets: 0,
            last_key: 0,
            open: 0,
            progress: 0,
            progress_at: Moment::default(),
            ended: false,
        }
    }

    /// Asks for something.
    pub fn send(&mut self, now: Moment, request: ToStore) {
        if !matches!(request, ToStore::Forget(_)) {
            if self.open == 0 {
                self.progress_at = now;
            }
            self.open = self.open.saturating_add(1);
        }
        self.backlog.push_back(request);
        self.pump();
    }

    /// Asks for a commit.
    pub fn commit(
        &mut self,
        now: Moment,
        session: SessionId,
        ticket: Ticket,
        commit: Box<Commit>,
        body: (BodySource, usize),
    ) {
        self.last_key = self.last_key.saturating_add(1);
        let key = CommitKey(self.last_key);
        let (body, memory_octets) = body;
        let octets = commit.body_octets;
        self.octets = self.octets.saturating_add(octets);
        self.commits.insert(key, InFlight { session, ticket, memory_octets, octets });
        self.send(now, ToStore::Commit { key, commit, body });
    }

    /// Moves what waits into the queue as far as it has room.
    pub fn pump(&mut self) {
        while let Some(request) = self.backlog.pop_front() {
            match self.thread.requests.try_send(request) {
                Ok(()) => {}
                Err(TrySendError::Full(request)) => return self.backlog.push_front(request),
                Err(TrySendError::Disconnected(_)) => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// The next answer, if there is one.
    pub fn next_answer(&mut self) -> Option<FromStore> {
        match self.thread.answers.try_recv() {
            Ok(answer) => {
                self.open = self.open.saturating_sub(1);
                Some(answer)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.ended = true;
                None
            }
        }
    }

    /// Who awaits this commit; it is no longer in flight.
    pub fn settle(&mut self, key: CommitKey) -> Option<InFlight> {
        let found = self.commits.remove(&key)?;
        self.octets = self.octets.saturating_sub(found.octets);
        Some(found)
    }

    /// Everybody who awaits a commit; none is in flight any more.
    pub fn settle_all(&mut self) -> Vec<InFlight> {
        self.octets = 0;
        std::mem::take(&mut self.commits).into_values().collect()
    }

    /// Octets on their way to the disk.
    #[must_use]
    pub fn octets_in_flight(&self) -> u64 {
        self.octets
    }

    /// Octets free on the disk when the thread last looked.
    #[must_use]
    pub fn free_octets(&self) -> u64 {
        self.thread.gauges.free_octets.load(Ordering::Relaxed)
    }

    /// Whether the store asked for no new mail when the thread last looked.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.thread.gauges.is_behind.load(Ordering::Relaxed)
    }

    /// Why the store is to be given up, if it is: it ended, or does nothing although something is asked.
    pub fn trouble(&mut self, now: Moment) -> Option<String> {
        if self.ended {
            return Some("the store thread ended".into());
        }
        let progress = self.thread.gauges.progress.load(Ordering::Relaxed);
        if progress != self.progress || self.open == 0 {
            self.progress = progress;
            self.progress_at = now;
            return None;
        }
        (now.since_ms(self.progress_at) > STORE_MS_MAX)
            .then(|| format!("the store did nothing for {STORE_MS_MAX} ms although it was asked"))
    }

    /// Lets the thread finish and close the store. Says whether it did within `patience`.
    #[must_use]
    pub fn close(self, patience: std::time::Duration) -> bool {
        drop(self.thread.requests);
        let mut is_whole = true;
        // Nothing is sent any more but what was open; the channel is let go after the store was closed.
        loop {
            match self.thread.answers.recv_timeout(patience) {
                Ok(FromStore::Failed(_)) => is_whole = false,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                // The thread has nothing left to do but end, so waiting for that is short.
                Err(RecvTimeoutError::Disconnected) => return self.thread.thread.join().is_ok() && is_whole,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store_thread::{AskKey, Gauges};
    use crate::types::{MailId, UnixTime};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
    use std::time::Duration;

    /// A link whose thread is the test, with a queue of two.
    fn link() -> (StoreLink, Receiver<ToStore>, Sender<FromStore>, Arc<Gauges>) {
        let (requests, inbox) = sync_channel(2);
        let (outbox, answers) = channel();
        let (_, opened) = channel();
        let gauges = Arc::new(Gauges::default());
        let shared = Arc::clone(&gauges);
        let thread = std::thread::Builder::new().spawn(|| {}).unwrap();
        let link = StoreLink::new(StoreThread { requests, answers, gauges: shared, opened, thread });
        (link, inbox, outbox, gauges)
    }

    fn slice(number: u64) -> ToStore {
        ToStore::Slice(AskKey(number), MailId::new(UnixTime(1), number), 0)
    }

    #[test]
    fn what_does_not_fit_into_the_queue_waits_and_keeps_its_place() {
        let (mut link, inbox, _outbox, _) = link();
        for number in 0..10 {
            link.send(Moment(0), slice(number));
        }
        let mut seen = Vec::new();
        for _ in 0..10 {
            while let Ok(request) = inbox.try_recv() {
                if let ToStore::Slice(AskKey(number), ..) = request {
                    seen.push(number);
                }
            }
            link.pump();
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_store_that_does_nothing_although_asked_is_given_up() {
        let (mut link, _inbox, outbox, gauges) = link();
        assert_eq!(link.trouble(Moment(1_000_000)), None, "nothing was asked");
        link.send(Moment(1_000_000), slice(1));
        assert_eq!(link.trouble(Moment(1_000_000 + STORE_MS_MAX)), None);
        gauges.progress.fetch_add(1, Ordering::Relaxed);
        let seen = 1_000_000 + STORE_MS_MAX + 1;
        assert_eq!(link.trouble(Moment(seen)), None, "it did something");
        assert!(link.trouble(Moment(seen + STORE_MS_MAX + 1)).is_some());
        outbox.send(FromStore::Slice(AskKey(1), Ok(Vec::new()))).unwrap();
        assert!(link.next_answer().is_some());
        assert_eq!(link.trouble(Moment(seen + 9 * STORE_MS_MAX)), None, "it owes nothing");
    }

    #[test]
    fn a_thread_that_let_go_and_has_not_quite_ended_has_closed_the_store() {
        let (mut link, inbox, outbox, _) = link();
        link.thread.thread = std::thread::Builder::new()
            .spawn(move || {
                drop((inbox, outbox));
                std::thread::sleep(Duration::from_millis(100));
            })
            .unwrap();
        assert!(link.close(Duration::from_secs(10)));
    }

    #[test]
    fn a_store_that_failed_at_its_end_is_not_closed() {
        let (link, _inbox, outbox, _) = link();
        outbox.send(FromStore::Failed("no".to_owned())).unwrap();
        drop(outbox);
        assert!(!link.close(Duration::from_secs(10)));
    }

    #[test]
    fn a_thread_that_ended_is_seen() {
        let (mut link, inbox, outbox, _) = link();
        drop((inbox, outbox));
        assert!(link.next_answer().is_none());
        assert!(link.trouble(Moment(0)).is_some());
    }
}
