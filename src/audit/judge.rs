//! From visits to findings: what each channel tells, with two lines of evidence.

use super::channel::{Aspect, Probe};
use super::plan::{Kind, Side};
use super::salts;
use super::statistics::{Doubt, Measured, area, of_times, of_words, quartiles};
use super::visit::{Door, Visit};
use crate::limits::{AUDIT_ROUNDS_MIN, AUDIT_SHOWN_CHARS_MAX};
use crate::types::Chance;
use std::collections::BTreeMap;

/// What a channel is, all in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Nothing could be learnt.
    Silent,
    /// It tells, as it must.
    Inherent,
    /// It tells.
    Leaks,
    /// Worth knowing, and about no address.
    Notice,
    /// The server does not have it, or it cannot be tried from here.
    NotTried,
    /// The server turned too many visits away.
    Throttled,
}

/// What was found about one channel.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Finding {
    /// Its name, such as `rcpt-reply`.
    pub channel: String,
    /// Pairs of visits that were compared.
    pub samples: usize,
    /// What it tells, 0 to 1.
    pub bits: f64,
    /// What would not have shown, in bits.
    pub resolution: f64,
    /// All in all.
    pub judgement: Judgement,
    /// What was seen, for people.
    pub evidence: Vec<String>,
}

impl Finding {
    /// One that no visits were compared for.
    #[must_use]
    pub fn plain(channel: impl Into<String>, judgement: Judgement, evidence: Vec<String>) -> Self {
        let bits = match judgement {
            Judgement::Leaks => 1.0,
            Judgement::Silent
            | Judgement::Inherent
            | Judgement::Notice
            | Judgement::NotTried
            | Judgement::Throttled => 0.0,
        };
        Self { channel: channel.into(), samples: 1, bits, resolution: 0.0, judgement, evidence }
    }
}

/// Which visits are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Account,
    Alias,
    Kinds,
}

impl Comparison {
    /// Whom the first and the second of a pair were for.
    fn sides(self) -> [(Kind, Side); 2] {
        match self {
            Self::Account => [(Kind::Account, Side::Real), (Kind::Account, Side::Twin)],
            Self::Alias => [(Kind::Alias, Side::Real), (Kind::Alias, Side::Twin)],
            Self::Kinds => [(Kind::Account, Side::Real), (Kind::Alias, Side::Real)],
        }
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Account => ["account", "unknown"],
            Self::Alias => ["alias", "unknown"],
            Self::Kinds => ["account", "alias"],
        }
    }
}

/// How a visit is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Codes,
    Text,
    Sizes,
    Ending,
    Salts,
    Nanos(usize),
}

/// A visit and the sentence about its salts.
type Seen<'a> = (&'a Visit, &'a str);

/// What one look at one comparison came to.
struct Look {
    measured: Measured,
    evidence: Vec<String>,
}

/// How visits are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eye {
    /// How sure one must be.
    pub doubt: Doubt,
    /// Chance that is added to every time before times are compared, at the most, in nanoseconds: what a network does
    /// that is not there when both ends are on one machine.
    pub jitter_nanos: u64,
}

/// What every aspect of a probe tells.
#[must_use]
pub fn findings(probe: Probe, visits: &[Visit], eye: Eye, chance: &mut Chance) -> Vec<Finding> {
    let sentences = salts::sentences(visits);
    let seen: Vec<Seen<'_>> = visits.iter().zip(sentences.iter().map(String::as_str)).collect();
    probe.aspects().iter().map(|aspect| finding(probe, *aspect, &seen, eye, chance)).collect()
}

fn finding(probe: Probe, aspect: Aspect, seen: &[Seen<'_>], eye: Eye, chance: &mut Chance) -> Finding {
    let channel = format!("{}-{}", probe.name(), aspect.name());
    if let Some((judgement, why)) = not_asked(seen) {
        return Finding::plain(channel, judgement, vec![why]);
    }
    let mut looks: Vec<Look> = Vec::new();
    for comparison in comparisons(aspect) {
        let pairs = pairs(seen, *comparison);
        if pairs.is_empty() {
            continue;
        }
        for view in views(aspect, &pairs) {
            looks.push(look(*comparison, view, &pairs, eye, chance));
        }
    }
    let samples = looks.iter().map(|look| look.measured.pairs).max().unwrap_or(0);
    if samples == 0 {
        let why =
            if aspect == Aspect::Kind { "no --alias was given" } else { "no pair of visits to compare" };
        return Finding::plain(channel, Judgement::NotTried, vec![why.to_owned()]);
    }
    let resolution = looks.iter().map(|look| look.measured.resolution).fold(0.0, f64::max);
    let told = best(looks);
    let (bits, evidence) = told.map_or((0.0, Vec::new()), |look| (look.measured.bits, look.evidence));
    let judgement = match (bits > 0.0, probe.is_inherent(aspect)) {
        (false, _) => Judgement::Silent,
        (true, true) => Judgement::Inherent,
        (true, false) => Judgement::Leaks,
    };
    Finding { channel, samples, bits, resolution, judgement, evidence }
}

/// The look that tells most; of those that tell nothing, the first.
fn best(looks: Vec<Look>) -> Option<Look> {
    let mut best: Option<Look> = None;
    for look in looks {
        if best.as_ref().is_none_or(|best| look.measured.bits > best.measured.bits) {
            best = Some(look);
        }
    }
    best
}

/// Why nothing can be said, if too few visits came as far as giving a name.
fn not_asked(seen: &[Seen<'_>]) -> Option<(Judgement, String)> {
    let count = |door: Door| seen.iter().filter(|(visit, _)| visit.door == door).count();
    let (open, shut, without) = (count(Door::Open), count(Door::Shut), count(Door::NotOffered));
    if open == 0 && shut == 0 {
        return Some((Judgement::NotTried, "the server does not offer it".to_owned()));
    }
    let needed = AUDIT_ROUNDS_MIN.saturating_mul(2);
    if open >= needed {
        return None;
    }
    if shut == 0 && without > 0 {
        return Some((Judgement::NotTried, "the server offers it now and then".to_owned()));
    }
    let why = format!(
        "the server turned {shut} of {} visits away before a name was given; try a lower --rate",
        seen.len()
    );
    Some((Judgement::Throttled, why))
}

fn comparisons(aspect: Aspect) -> &'static [Comparison] {
    match aspect {
        Aspect::Reply | Aspect::Size | Aspect::Time | Aspect::Connection | Aspect::Salt => {
            &[Comparison::Account, Comparison::Alias]
        }
        Aspect::Kind => &[Comparison::Kinds],
    }
}

fn views(aspect: Aspect, pairs: &[[Seen<'_>; 2]]) -> Vec<View> {
    let steps = pairs.iter().flatten().map(|(visit, _)| visit.steps.len()).max().unwrap_or(0);
    let times = (0..steps).map(View::Nanos);
    match aspect {
        Aspect::Reply => vec![View::Codes, View::Text],
        Aspect::Size => vec![View::Sizes],
        Aspect::Connection => vec![View::Ending],
        Aspect::Salt => vec![View::Salts],
        Aspect::Time => times.collect(),
        Aspect::Kind => [View::Codes, View::Text].into_iter().chain(times).collect(),
    }
}

/// The visits of each round that can be compared: both were made, and both came as far as giving a name.
fn pairs<'a>(seen: &[Seen<'a>], comparison: Comparison) -> Vec<[Seen<'a>; 2]> {
    let [first, second] = comparison.sides();
    let mut rounds: BTreeMap<usize, [Option<Seen<'a>>; 2]> = BTreeMap::new();
    for one in seen.iter().filter(|(visit, _)| visit.door == Door::Open) {
        let errand = &one.0.errand;
        let [a, b] = rounds.entry(errand.round).or_default();
        let side = (errand.kind, errand.side);
        if side == first {
            *a = Some(*one);
        } else if side == second {
            *b = Some(*one);
        }
    }
    rounds.into_values().filter_map(|[one, other]| Some([one?, other?])).collect()
}

fn look(comparison: Comparison, view: View, pairs: &[[Seen<'_>; 2]], eye: Eye, chance: &mut Chance) -> Look {
    let names = comparison.names();
    let word = |of: fn(&Seen<'_>) -> String, chance: &mut Chance| {
        let words: Vec<[String; 2]> = pairs.iter().map(|[one, other]| [of(one), of(other)]).collect();
        (of_words(&words, chance), common(names, &words))
    };
    let (measured, evidence) = match view {
        View::Codes => {
            let (measured, [one, other]) = word(|(visit, _)| visit.codes(), chance);
            let example = |side: usize| {
                let seen = pairs.first().and_then(|pair| pair.get(side));
                seen.map_or_else(String::new, |(visit, _)| short(&visit.text()))
            };
            (
                measured,
                [format!("{one}, such as: {}", example(0)), format!("{other}, such as: {}", example(1))],
            )
        }
        View::Text => word(|(visit, _)| visit.text(), chance),
        View::Sizes => word(|(visit, _)| format!("{} octets", visit.sizes()), chance),
        View::Ending => word(|(visit, _)| visit.ending(), chance),
        View::Salts => word(|(_, sentence)| (*sentence).to_owned(), chance),
        View::Nanos(step) => {
            let nanos = |(visit, _): &Seen<'_>| visit.steps.get(step).map(|step| step.nanos);
            let times: Vec<[u64; 2]> =
                pairs.iter().filter_map(|[one, other]| Some([nanos(one)?, nanos(other)?])).collect();
            let said = pairs.iter().flatten().find_map(|(visit, _)| visit.steps.get(step));
            let said = said.map_or("", |step| step.said);
            let mut later = |time: u64| time.saturating_add(chance.below(eye.jitter_nanos));
            let compared: Vec<[u64; 2]> = times.iter().map(|pair| pair.map(&mut later)).collect();
            (of_times(&compared, eye.doubt, chance), spread(names, said, &times))
        }
    };
    Look { measured, evidence: evidence.into() }
}

/// What was seen most often of each.
fn common(names: [&str; 2], pairs: &[[String; 2]]) -> [String; 2] {
    let of = |name: &str, words: Vec<&String>| {
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for word in &words {
            let count = counts.entry(word).or_default();
            *count = count.saturating_add(1);
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let (word, count) = most.map_or(("", 0), |(word, count)| (word.as_str(), count));
        format!("{name}: {count} of {}: {}", words.len(), short(word))
    };
    let [one, other] = names;
    let first = pairs.iter().map(|[word, _]| word).collect();
    let second = pairs.iter().map(|[_, word]| word).collect();
    [of(one, first), of(other, second)]
}

fn short(text: &str) -> String {
    match text.char_indices().nth(AUDIT_SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn spread(names: [&str; 2], said: &str, pairs: &[[u64; 2]]) -> [String; 2] {
    let millis = |nanos: u64| format!("{:.3}", nanos as f64 / 1e6);
    let of = |name: &str, times: Vec<u64>| {
        let [low, middle, high] = quartiles(times.into_iter()).map(millis);
        format!("{name}: {said} took {middle} ms, half of them {low} to {high}")
    };
    let [one, other] = names;
    let first = of(one, pairs.iter().map(|[time, _]| *time).collect());
    let second = of(other, pairs.iter().map(|[_, time]| *time).collect());
    [first, format!("{second}; area under the curve {:.3}", area(pairs))]
}
