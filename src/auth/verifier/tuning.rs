//! What the tests of timing may change of the verifier. In a build without tests it is what `limits` says.

use crate::limits::{ARGON2_MEMORY_KIB, ARGON2_PASSES, REFUSAL_MS_MIN, REFUSAL_TICK_MS};

/// The costs and times of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuning {
    /// It is answered no sooner than this after it was asked.
    pub(crate) refusal_ms_min: u64,
    /// It is answered at multiples of this.
    pub(crate) refusal_tick_ms: u64,
    /// Memory of a decoy.
    pub(crate) memory_kib: u32,
    /// Passes of a decoy.
    pub(crate) passes: u32,
    /// A fault planted on purpose: a name without a hash is refused without one.
    #[cfg(test)]
    pub(crate) skips_decoys: bool,
}

impl Tuning {
    /// What a server does.
    pub(crate) const PRODUCTION: Self = Self {
        refusal_ms_min: REFUSAL_MS_MIN,
        refusal_tick_ms: REFUSAL_TICK_MS,
        memory_kib: ARGON2_MEMORY_KIB,
        passes: ARGON2_PASSES,
        #[cfg(test)]
        skips_decoys: false,
    };

    /// What a verifier made now does.
    #[cfg(not(test))]
    pub(super) const fn current() -> Self {
        Self::PRODUCTION
    }
}

#[cfg(test)]
mod of_tests {
    use super::Tuning;
    use std::cell::Cell;

    thread_local! {
        static CURRENT: Cell<Tuning> = const { Cell::new(Tuning::PRODUCTION) };
    }

    impl Tuning {
        /// What a verifier made now in this thread does.
        pub(in crate::auth::verifier) fn current() -> Self {
            CURRENT.get()
        }

        /// Sets what verifiers do that are made in this thread from now on.
        pub(crate) fn set(self) {
            CURRENT.set(self);
        }
    }
}
