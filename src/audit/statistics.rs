//! Mutual information between two classes and what was seen of each, with what chance alone would give.

use crate::limits::{
    AUDIT_COMPARISONS_MAX, AUDIT_FALSE_ALARMS_PER_MILLE, AUDIT_SHUFFLES, AUDIT_SHUFFLES_ENOUGH,
    AUDIT_SHUFFLES_MIN,
};
use crate::types::Chance;
use std::collections::BTreeMap;

/// Into how many parts of equal size times are cut: few parts find a shift, many find a change of shape.
const TIME_PARTS: [usize; 3] = [2, 4, 8];

/// How sure one must be that a difference is none of chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It is one of many comparisons, and nobody looks again.
    Only,
    /// Whatever is found is measured again.
    First,
    /// It was seen before, and is measured again.
    Again,
}

impl Doubt {
    /// How probable it may be that chance gives as much.
    fn alarm(self) -> f64 {
        let all = f64::from(AUDIT_FALSE_ALARMS_PER_MILLE) / 1_000.0;
        match self {
            Self::Only => all / f64::from(AUDIT_COMPARISONS_MAX),
            // With one more look it is as strict as the only one, for each comparison; a channel has several, any of
            // which may tell by chance, so there are two more.
            Self::First => 1.0 / f64::from(AUDIT_COMPARISONS_MAX),
            Self::Again => all,
        }
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Bits, 0 to 1; 0 if it can be chance.
    pub bits: f64,
    /// What chance alone gives in one of five hundred cases, in bits: a smaller difference would not have shown.
    pub resolution: f64,
    /// How probable it is that chance gives as much.
    pub probability: f64,
    /// Pairs compared.
    pub pairs: usize,
}

impl Measured {
    /// Nothing was compared.
    pub const NOTHING: Self = Self { bits: 0.0, resolution: 1.0, probability: 1.0, pairs: 0 };
}

/// Compares values of which only equality matters. The two of a pair were seen in the same round, first of the one
/// class, then of the other.
#[must_use]
pub fn of_words(pairs: &[[String; 2]], chance: &mut Chance) -> Measured {
    let mut numbers = BTreeMap::new();
    for word in pairs.iter().flatten() {
        let next = numbers.len();
        numbers.entry(word.as_str()).or_insert(next);
    }
    let number = |word: &String| numbers.get(word.as_str()).copied().unwrap_or(0);
    let parts = pairs.iter().map(|[one, other]| [number(one), number(other)]).collect();
    measure(&[Cut { parts, count: numbers.len() }], &[], Doubt::Only, chance)
}

/// Compares times, in any unit.
#[must_use]
pub fn of_times(pairs: &[[u64; 2]], doubt: Doubt, chance: &mut Chance) -> Measured {
    let mut sorted: Vec<u64> = pairs.iter().flatten().copied().collect();
    sorted.sort_unstable();
    let cuts: Vec<Cut> = TIME_PARTS.iter().map(|parts| cut_times(pairs, &sorted, *parts)).collect();
    let rank = |time: &u64| {
        let below = sorted.partition_point(|other| other < time);
        let not_above = sorted.partition_point(|other| other <= time);
        (below as f64 + not_above as f64) / 2.0
    };
    let leads: Vec<f64> = pairs.iter().map(|[one, other]| rank(one) - rank(other)).collect();
    measure(&cuts, &leads, doubt, chance)
}

/// Everything seen, as numbers of the parts it falls into.
struct Cut {
    parts: Vec<[usize; 2]>,
    count: usize,
}

/// Equal times always fall into the same part.
fn cut_times(pairs: &[[u64; 2]], sorted: &[u64], count: usize) -> Cut {
    let border = |part: usize| {
        let at = sorted.len().saturating_mul(part).checked_div(count).unwrap_or(0);
        sorted.get(at).copied()
    };
    let borders: Vec<u64> = (1..count).filter_map(border).collect();
    let part = |time: &u64| borders.partition_point(|border| border <= time);
    let parts = pairs.iter().map(|[one, other]| [part(one), part(other)]).collect();
    Cut { parts, count }
}

impl Cut {
    /// The plain estimate of the mutual information, in bits. `exchanged` says for which pairs the labels change places.
    fn information(&self, exchanged: &Coins, counts: &mut Vec<[u32; 2]>) -> f64 {
        counts.clear();
        counts.resize(self.count, [0, 0]);
        for (index, [one, other]) in self.parts.iter().enumerate() {
            let (first, second) = if exchanged.is_head(index) { (other, one) } else { (one, other) };
            if let Some([count, _]) = counts.get_mut(*first) {
                *count = count.saturating_add(1);
            }
            if let Some([_, count]) = counts.get_mut(*second) {
                *count = count.saturating_add(1);
            }
        }
        information(counts, self.parts.len())
    }
}

/// Of a table with a column for each class, each of which was seen `seen` times.
fn information(table: &[[u32; 2]], seen: usize) -> f64 {
    let seen = seen as f64;
    if seen == 0.0 {
        return 0.0;
    }
    let term = |count: u32, both: u32| {
        if count == 0 {
            return 0.0;
        }
        let (count, both) = (f64::from(count), f64::from(both));
        count / (2.0 * seen) * (2.0 * count / both).log2()
    };
    let row = |[one, other]: &[u32; 2]| {
        let both = one.saturating_add(*other);
        term(*one, both) + term(*other, both)
    };
    table.iter().map(row).sum()
}

/// One coin for each pair.
struct Coins(Vec<u64>);

impl Coins {
    fn none() -> Self {
        Self(Vec::new())
    }

    fn toss(&mut self, coins: usize, chance: &mut Chance) {
        self.0.clear();
        while self.0.len().saturating_mul(64) < coins {
            let octets = chance.octets();
            let (words, _) = octets.as_chunks::<8>();
            self.0.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
        }
    }

    fn is_head(&self, index: usize) -> bool {
        let word = self.0.get(index / 64).copied().unwrap_or(0);
        let bit = u32::try_from(index % 64).unwrap_or(0);
        word.checked_shr(bit).unwrap_or(0) & 1 == 1
    }
}

/// How often chance gave as much as was measured.
#[derive(Default)]
struct Chances {
    information: usize,
    ranks: usize,
}

/// The best of the cuts, compared with the best of them under exchanged labels; beside it the sum of ranks (`leads`:
/// how many ranks the first of each pair is ahead), which shows a small shift with the fewest samples.
fn measure(cuts: &[Cut], leads: &[f64], doubt: Doubt, chance: &mut Chance) -> Measured {
    let pairs = cuts.first().map_or(0, |cut| cut.parts.len());
    if pairs == 0 {
        return Measured::NOTHING;
    }
    let mut counts = Vec::new();
    let mut best =
        |coins: &Coins| cuts.iter().map(|cut| cut.information(coins, &mut counts)).fold(0.0_f64, f64::max);
    let mut coins = Coins::none();
    let (plain, lead) = (best(&coins), lead(leads, &coins));
    let (mut sum, mut made, mut as_good) = (0.0, 0_usize, Chances::default());
    let mut kept = Vec::with_capacity(AUDIT_SHUFFLES_MIN);
    while made < AUDIT_SHUFFLES
        && (made < AUDIT_SHUFFLES_MIN || as_good.information.min(as_good.ranks) < AUDIT_SHUFFLES_ENOUGH)
    {
        coins.toss(pairs, chance);
        let by_chance = best(&coins);
        made = made.saturating_add(1);
        sum += by_chance;
        // Sums in another order differ in their last digits.
        as_good.information = as_good.information.saturating_add(usize::from(by_chance >= plain - 1e-9));
        let ranks = self::lead(leads, &coins) >= lead - 1e-6;
        as_good.ranks = as_good.ranks.saturating_add(usize::from(ranks));
        if kept.len() < AUDIT_SHUFFLES_MIN {
            kept.push(by_chance);
        }
    }
    let mean = sum / made as f64;
    let adjusted = |bits: f64| if mean < 1.0 { ((bits - mean) / (1.0 - mean)).clamp(0.0, 1.0) } else { 0.0 };
    let probability = |as_good: usize| (as_good as f64 + 1.0) / (made as f64 + 1.0);
    let (information, ranks) = (probability(as_good.information), probability(as_good.ranks));
    // Of two looks the better one counts twice.
    let probability = if leads.is_empty() { information } else { (2.0 * information.min(ranks)).min(1.0) };
    let bits = if probability <= doubt.alarm() { adjusted(plain) } else { 0.0 };
    let highest = kept.into_iter().fold(0.0, f64::max);
    Measured { bits, resolution: adjusted(highest), probability, pairs }
}

/// How many ranks the ones of one class are ahead of the other, in either direction.
fn lead(leads: &[f64], coins: &Coins) -> f64 {
    let signed = |(index, lead): (usize, &f64)| if coins.is_head(index) { -lead } else { *lead };
    leads.iter().enumerate().map(signed).sum::<f64>().abs()
}

/// How probable it is that the second of two times taken by chance is the longer one; equal ones count half.
#[must_use]
pub fn area(pairs: &[[u64; 2]]) -> f64 {
    let mut first: Vec<u64> = pairs.iter().map(|[one, _]| *one).collect();
    first.sort_unstable();
    let won = |time: u64| {
        let below = first.partition_point(|other| *other < time);
        let not_above = first.partition_point(|other| *other <= time);
        (below as f64 + not_above as f64) / 2.0
    };
    let all: f64 = pairs.iter().map(|[_, time]| won(*time)).sum();
    let count = pairs.len() as f64;
    if count > 0.0 { all / (count * count) } else { 0.5 }
}

/// The quarter, the half and the three quarters of some times.
#[must_use]
pub fn quartiles(times: impl Iterator<Item = u64>) -> [u64; 3] {
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    [1, 2, 3].map(|quarter: usize| times.get(times.len().saturating_mul(quarter) / 4).copied().unwrap_or(0))
}
