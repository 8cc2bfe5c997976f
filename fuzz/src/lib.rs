//! What every fuzz target calls; the bodies are in `gatepost::fuzz`, where a test without a fuzzer reads the
//! corpus again.

mod clients;
pub mod logins;
pub mod naive;
pub mod story;
pub mod throttle;
mod verdicts;

/// Runs the body of that name.
///
/// # Panics
/// When a promise was broken; the fuzzer keeps the input.
pub fn run(name: &str, data: &[u8]) {
    let target = gatepost::fuzz::TARGETS.iter().find(|(known, _)| *known == name);
    let (_, body) = target.expect("each target has a body");
    if let Err(complaint) = body(data) {
        panic!("{complaint}");
    }
}

/// Plays a story.
///
/// # Panics
/// When a law was broken.
pub fn tell(story: &story::Story) {
    if let Err(complaint) = story.play() {
        panic!("{complaint}");
    }
}

/// Plays a story of the throttle.
///
/// # Panics
/// When it differs from its model.
pub fn compare(story: &throttle::Story) {
    if let Err(complaint) = story.play() {
        panic!("{complaint}");
    }
}

/// Plays whole login dialogues.
///
/// # Panics
/// When a law was broken.
pub fn log_in(story: &logins::Story) {
    if let Err(complaint) = story.play() {
        panic!("{complaint}");
    }
}
