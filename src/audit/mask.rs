//! What a reply says apart from the name that was asked for and what is of the moment: numbers of queues, sessions
//! and times.

/// The enhanced status code that a text begins with (RFC 3463).
#[must_use]
pub fn enhanced_code(text: &str) -> Option<&str> {
    let word = text.split([' ', '\n']).next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then_some(word)
}

/// The masked reply; its codes stay.
#[must_use]
pub fn reply(text: &str, name: &str) -> String {
    text.lines().map(|line| masked_line(line, name)).collect::<Vec<_>>().join(" / ")
}

fn masked_line(line: &str, name: &str) -> String {
    let code = line.get(..4).unwrap_or(line);
    let rest = line.get(code.len()..).unwrap_or_default();
    let enhanced = enhanced_code(rest).unwrap_or_default();
    let words = rest.get(enhanced.len()..).unwrap_or_default();
    let mut words = without(words, name);
    if let Some((local, _)) = name.rsplit_once('@') {
        words = without(&words, local);
    }
    format!("{code}{enhanced}{}", without_numbers(&words))
}

/// Every place where `name` stands as a word of its own, in whatever case.
fn without(text: &str, name: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    if wanted.is_empty() {
        return text.to_owned();
    }
    let part_of_word = |c: char| c.is_alphanumeric();
    let mut out = String::new();
    let mut from = 0_usize;
    for (at, _) in lower.match_indices(&wanted) {
        let end = at.saturating_add(wanted.len());
        let before = lower.get(..at).and_then(|text| text.chars().next_back());
        let behind = lower.get(end..).and_then(|text| text.chars().next());
        if at < from || before.is_some_and(part_of_word) || behind.is_some_and(part_of_word) {
            continue;
        }
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str("NAME");
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Every word that has a digit becomes `#`.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let end = |word: &mut String, out: &mut String| {
        if word.contains(|c: char| c.is_ascii_digit()) {
            out.push('#');
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for c in text.chars() {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        end(&mut word, &mut out);
        out.push(c);
    }
    end(&mut word, &mut out);
    out
}
