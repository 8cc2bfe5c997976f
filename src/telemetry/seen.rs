//! Which networks a hostile line was written about before: what is new must not drown in what is known.

use crate::limits::LOG_SEEN_NETWORKS_PER_GENERATION;
use crate::types::Prefix;
use std::collections::BTreeSet;

/// Networks heard of, in two generations of fixed size: when the younger is full, the older is forgotten.
/// Whoever goes on is taken over into the younger and stays known.
#[derive(Debug, Default)]
pub struct Seen {
    younger: BTreeSet<Prefix>,
    older: BTreeSet<Prefix>,
}

impl Seen {
    /// Whether a line was written about it. If so, it stays known for longer.
    pub fn knows(&mut self, network: Prefix) -> bool {
        if self.younger.contains(&network) {
            return true;
        }
        let known = self.older.remove(&network);
        if known {
            self.remember(network);
        }
        known
    }

    /// A line was written about it.
    pub fn remember(&mut self, network: Prefix) {
        if self.younger.len() >= LOG_SEEN_NETWORKS_PER_GENERATION {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn network(number: usize) -> Prefix {
        let bits = u32::try_from(number).unwrap() << 8;
        Prefix::net(Ipv4Addr::from_bits(bits).into())
    }

    #[test]
    fn a_network_is_known_once_it_was_written_about() {
        let mut seen = Seen::default();
        assert!(!seen.knows(network(1)) && !seen.knows(network(1)));
        seen.remember(network(1));
        assert!(seen.knows(network(1)) && !seen.knows(network(2)));
    }

    #[test]
    fn memory_is_bounded_and_who_goes_on_stays_known() {
        let mut seen = Seen::default();
        seen.remember(network(0));
        for number in 1..10 * LOG_SEEN_NETWORKS_PER_GENERATION {
            seen.remember(network(number));
            assert!(seen.knows(network(0)), "{number}");
            assert!(seen.younger.len() <= LOG_SEEN_NETWORKS_PER_GENERATION);
            assert!(seen.older.len() <= LOG_SEEN_NETWORKS_PER_GENERATION);
        }
        assert!(!seen.knows(network(1)));
    }
}
