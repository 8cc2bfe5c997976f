//! Where the body of a message waits until it is committed: in memory while it is small and there is room,
//! else in a temporary file that the store thread writes. Pure: what the store thread must do is handed out.

use super::store_thread::{BodySource, SpoolKey, ToStore};
use crate::limits::{
    BODY_MEMORY_OCTETS_MAX, BODY_MEMORY_TOTAL_OCTETS_MAX, SPOOL_PIECE_OCTETS, SPOOL_WAITING_OCTETS_MAX,
    SPOOL_WAITING_TOTAL_OCTETS_MAX,
};
use crate::types::SessionId;

/// What is kept of one message being received.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Memory(Vec<u8>),
    /// It is in a temporary file, but for its end.
    Spooled(Spooled),
}

/// A body in a temporary file.
#[derive(Debug)]
pub struct Spooled {
    key: SpoolKey,
    /// Not yet handed to the store thread.
    tail: Vec<u8>,
    /// Octets of `tail` and those handed over that are not yet in the file.
    waiting: usize,
}

impl Default for Body {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Body {
    /// Whether so much waits to be written that no more may be read. `all_are_behind`: so much of all
    /// bodies together.
    #[must_use]
    pub fn must_wait(&self, all_are_behind: bool) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Spooled(spooled) => all_are_behind || spooled.waiting > SPOOL_WAITING_OCTETS_MAX,
        }
    }
}

/// The budgets that all bodies share.
#[derive(Debug, Default)]
pub struct Bodies {
    memory_octets: usize,
    waiting_octets: usize,
    last_key: u64,
}

impl Bodies {
    /// Octets of bodies in memory.
    #[must_use]
    pub fn memory_octets(&self) -> usize {
        self.memory_octets
    }

    /// Whether all temporary files together wait for too many octets.
    #[must_use]
    pub fn are_behind(&self) -> bool {
        self.waiting_octets > SPOOL_WAITING_TOTAL_OCTETS_MAX
    }

    /// Keeps more of a body. What the store thread must do is appended to `requests`.
    pub fn keep(
        &mut self,
        session: SessionId,
        body: &mut Body,
        octets: Vec<u8>,
        requests: &mut Vec<ToStore>,
    ) {
        let spooled = match body {
            Body::Memory(memory) => {
                let length = memory.len().saturating_add(octets.len());
                let total = self.memory_octets.saturating_add(octets.len());
                if length <= BODY_MEMORY_OCTETS_MAX && total <= BODY_MEMORY_TOTAL_OCTETS_MAX {
                    self.memory_octets = total;
                    if memory.is_empty() {
                        *memory = octets;
                    } else {
                        memory.extend_from_slice(&octets);
                    }
                    return;
                }
                let tail = std::mem::take(memory);
                self.memory_octets = self.memory_octets.saturating_sub(tail.len());
                self.waiting_octets = self.waiting_octets.saturating_add(tail.len());
                self.last_key = self.last_key.saturating_add(1);
                let waiting = tail.len();
                *body = Body::Spooled(Spooled { key: SpoolKey(self.last_key), tail, waiting });
                match body {
                    Body::Spooled(spooled) => spooled,
                    Body::Memory(_) => return,
                }
            }
            Body::Spooled(spooled) => spooled,
        };
        spooled.waiting = spooled.waiting.saturating_add(octets.len());
        self.waiting_octets = self.waiting_octets.saturating_add(octets.len());
        if spooled.tail.is_empty() {
            spooled.tail = octets;
        } else {
            spooled.tail.extend_from_slice(&octets);
        }
        if spooled.tail.len() >= SPOOL_PIECE_OCTETS {
            requests.push(hand_over(session, spooled));
        }
    }

    /// Drops a body.
    pub fn forget(&mut self, body: &mut Body, requests: &mut Vec<ToStore>) {
        match std::mem::take(body) {
            Body::Memory(memory) => self.memory_octets = self.memory_octets.saturating_sub(memory.len()),
            Body::Spooled(spooled) => {
                // What was handed over is still written, and answered.
                self.waiting_octets = self.waiting_octets.saturating_sub(spooled.tail.len());
                requests.push(ToStore::Forget(spooled.key));
            }
        }
    }

    /// Takes a body to be committed. Octets in memory stay in the budget until [`Bodies::release`] is called
    /// with their number, the second value.
    pub fn take(
        &mut self,
        session: SessionId,
        body: &mut Body,
        requests: &mut Vec<ToStore>,
    ) -> (BodySource, usize) {
        match std::mem::take(body) {
            Body::Memory(memory) => {
                let octets = memory.len();
                (BodySource::Memory(memory), octets)
            }
            Body::Spooled(mut spooled) => {
                if !spooled.tail.is_empty() {
                    requests.push(hand_over(session, &mut spooled));
                }
                (BodySource::Spool(spooled.key), 0)
            }
        }
    }

    /// A committed body is no longer in memory.
    pub fn release(&mut self, octets: usize) {
        self.memory_octets = self.memory_octets.saturating_sub(octets);
    }

    /// The store thread wrote octets; `body` is what their session keeps now, if it still exists.
    pub fn written(&mut self, key: SpoolKey, octets: usize, body: Option<&mut Body>) {
        self.waiting_octets = self.waiting_octets.saturating_sub(octets);
        match body {
            Some(Body::Spooled(spooled)) if spooled.key == key => {
                spooled.waiting = spooled.waiting.saturating_sub(octets);
            }
            Some(Body::Spooled(_) | Body::Memory(_)) | None => {}
        }
    }
}

fn hand_over(session: SessionId, spooled: &mut Spooled) -> ToStore {
    ToStore::Spool { session, key: spooled.key, octets: std::mem::take(&mut spooled.tail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: SessionId = SessionId(1);

    #[test]
    fn a_small_body_stays_in_memory_and_its_octets_are_given_back() {
        let mut bodies = Bodies::default();
        let (mut body, mut requests) = (Body::default(), Vec::new());
        bodies.keep(WHO, &mut body, vec![b'a'; 10], &mut requests);
        bodies.keep(WHO, &mut body, vec![b'b'; 10], &mut requests);
        assert_eq!(bodies.memory_octets(), 20);
        let (source, held) = bodies.take(WHO, &mut body, &mut requests);
        assert!(matches!(source, BodySource::Memory(octets) if octets.len() == 20));
        assert!(requests.is_empty());
        bodies.release(held);
        assert_eq!(bodies.memory_octets(), 0);
    }

    /// Plays the store thread: what is in the file, in order.
    fn spooled(requests: &[ToStore]) -> Vec<u8> {
        let mut file = Vec::new();
        for request in requests {
            if let ToStore::Spool { octets, .. } = request {
                file.extend_from_slice(octets);
            }
        }
        file
    }

    #[test]
    fn a_large_body_goes_to_a_file_whole_and_in_order() {
        let mut bodies = Bodies::default();
        let (mut body, mut requests) = (Body::default(), Vec::new());
        let mut expected = Vec::new();
        for index in 0..100_u8 {
            bodies.keep(WHO, &mut body, vec![index; 9_000], &mut requests);
            expected.extend_from_slice(&[index; 9_000]);
        }
        let (source, held) = bodies.take(WHO, &mut body, &mut requests);
        assert!(matches!(source, BodySource::Spool(_)));
        assert_eq!((held, bodies.memory_octets()), (0, 0));
        assert!(spooled(&requests) == expected, "every octet once and in order");
    }

    #[test]
    fn a_peer_waits_while_its_file_is_behind_and_goes_on_after() {
        let mut bodies = Bodies::default();
        let (mut body, mut requests) = (Body::default(), Vec::new());
        while !body.must_wait(false) {
            bodies.keep(WHO, &mut body, vec![0; 16 * 1024], &mut requests);
        }
        let mut waiting = 0;
        for request in requests.split_off(0) {
            if let ToStore::Spool { key, octets, .. } = request {
                waiting += octets.len();
                bodies.written(key, octets.len(), Some(&mut body));
            }
        }
        assert!(waiting <= SPOOL_WAITING_OCTETS_MAX + 16 * 1024);
        assert!(!body.must_wait(false));
    }

    #[test]
    fn when_memory_is_full_even_a_small_body_goes_to_a_file() {
        let mut bodies = Bodies::default();
        let mut requests = Vec::new();
        let mut all = Vec::new();
        while bodies.memory_octets() + BODY_MEMORY_OCTETS_MAX <= BODY_MEMORY_TOTAL_OCTETS_MAX {
            let mut body = Body::default();
            bodies.keep(WHO, &mut body, vec![0; BODY_MEMORY_OCTETS_MAX], &mut requests);
            all.push(body);
        }
        let mut small = Body::default();
        bodies.keep(WHO, &mut small, vec![0; 100], &mut requests);
        assert!(matches!(small, Body::Spooled(_)));
        for body in &mut all {
            bodies.forget(body, &mut requests);
        }
        bodies.forget(&mut small, &mut requests);
        assert_eq!((bodies.memory_octets, bodies.waiting_octets), (0, 0));
    }

    #[test]
    fn a_late_answer_for_a_forgotten_file_touches_no_other() {
        let mut bodies = Bodies::default();
        let (mut body, mut requests) = (Body::default(), Vec::new());
        let large = BODY_MEMORY_OCTETS_MAX + 1;
        bodies.keep(WHO, &mut body, vec![0; large], &mut requests);
        bodies.forget(&mut body, &mut requests);
        bodies.keep(WHO, &mut body, vec![0; large], &mut requests);
        bodies.written(SpoolKey(1), large, Some(&mut body));
        assert!(matches!(&body, Body::Spooled(spooled) if spooled.waiting == large));
        bodies.written(SpoolKey(2), large, Some(&mut body));
        assert!(matches!(&body, Body::Spooled(spooled) if spooled.waiting == 0));
        assert_eq!(bodies.waiting_octets, 0);
    }
}
