//! What the salts of SCRAM tell: their form, whether they stay the same, whether names share one.

use super::visit::Visit;
use std::collections::BTreeMap;

/// One sentence for each visit that got salts, in the order of the visits; the others have an empty one.
#[must_use]
pub fn sentences(visits: &[Visit]) -> Vec<String> {
    let mut first_of: BTreeMap<String, &str> = BTreeMap::new();
    let mut names_of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for visit in visits {
        let name = visit.errand.name.to_lowercase();
        for salt in &visit.salts {
            first_of.entry(name.clone()).or_insert(&salt.salt);
            let names = names_of.entry(&salt.salt).or_default();
            if !names.contains(&name) {
                names.push(name.clone());
            }
        }
    }
    let yes_no = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
    let sentence = |visit: &Visit| {
        let Some(first) = visit.salts.first() else { return String::new() };
        let in_session = visit.salts.iter().all(|salt| salt == first);
        let ever = first_of.get(&visit.errand.name.to_lowercase()).is_some_and(|known| *known == first.salt);
        let shared = names_of.get(first.salt.as_str()).is_some_and(|names| names.len() > 1);
        format!(
            "{} characters, {} iterations, {} in a session, {} between sessions, {}",
            first.salt.len(),
            first.iterations,
            yes_no(in_session, "kept", "changed"),
            yes_no(ever, "kept", "changed"),
            yes_no(shared, "shared with another name", "of this name alone"),
        )
    };
    visits.iter().map(sentence).collect()
}
