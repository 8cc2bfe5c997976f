//! Configuration as written: TOML, then `--set KEY=VALUE` on top. Every value remembers where it stands.
//!
//! The tables are walked by hand, for serde stops at the first fault and does not name the key; an
//! administrator wants all of them at once.

use super::keys::{Key, Kind, LISTENER, SECTIONS};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the file, in this line (from 1).
    Line(usize),
    /// On the command line.
    Set,
    /// Nowhere: it should be there and is not, or it is about the whole file.
    Nowhere,
}

/// Something wrong, where, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// The dotted key; empty when the text is not TOML.
    pub key: String,
    /// What is wrong and what is allowed, for the administrator.
    pub what: String,
}

impl Problem {
    /// One line, with the name of the file.
    #[must_use]
    pub fn sentence(&self, file: &str) -> String {
        let mut out = match self.origin {
            Origin::Line(line) => format!("{file}:{line}: "),
            Origin::Set => "--set: ".to_owned(),
            Origin::Nowhere => format!("{file}: "),
        };
        if !self.key.is_empty() {
            out.push_str(&self.key);
            out.push_str(": ");
        }
        out.push_str(&self.what);
        // Keys and values are shown as they were written, and one may hold a control character.
        out.chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect()
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub origin: Origin,
}

/// A listener as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenListener {
    /// Which door.
    pub kind: Option<Typed<String>>,
    /// Address and port.
    pub address: Option<Typed<String>>,
    /// Where the listener begins.
    pub origin: Origin,
}

/// All that is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Keys that take a string.
    pub texts: BTreeMap<Key, Typed<String>>,
    /// Keys that take a number; wide, so that one beyond every range is still a number.
    pub numbers: BTreeMap<Key, Typed<i128>>,
    /// Keys that take `true` or `false`.
    pub switches: BTreeMap<Key, Typed<bool>>,
    /// The listeners, in order.
    pub listeners: Vec<WrittenListener>,
}

impl Written {
    /// Reads a configuration file's text. Whatever cannot be read is a problem; the rest is still read, so
    /// that all problems show at once.
    #[must_use]
    pub fn read(text: &str) -> (Self, Vec<Problem>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { place: Place::File(text), written: Self::default(), problems: Vec::new() };
        if errors.is_empty() {
            reader.table("", table.get_ref());
        }
        for error in errors {
            let origin = error.span().map_or(Origin::Nowhere, |span| reader.place.at(span.start));
            let what = error.message().lines().collect::<Vec<_>>().join("; ");
            reader.problem(origin, "", format!("it is not TOML: {what}"));
        }
        (reader.written, reader.problems)
    }

    /// Takes a `KEY=VALUE` from the command line. The value is read as TOML; where a string is wanted, what
    /// is no TOML string stands for itself, so that no quotes are needed. `listener` takes the whole list and
    /// replaces it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set(&mut self, setting: &str) -> Result<(), Problem> {
        let problem = |key: &str, what: String| Problem { origin: Origin::Set, key: key.to_owned(), what };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(problem("", format!("{setting:?} is not of the form KEY=VALUE")));
        };
        let (name, value) = (name.trim(), value.trim());
        let parsed = DeValue::parse(value).ok();
        if name == LISTENER {
            let Some(parsed) = parsed else {
                return Err(problem(name, format!("{value:?} is not TOML: {LISTENER_EXAMPLE}")));
            };
            let mut reader = Reader { place: Place::Set, written: Self::default(), problems: Vec::new() };
            reader.listeners(&parsed);
            self.listeners = reader.written.listeners;
            return reader.problems.into_iter().next().map_or(Ok(()), Err);
        }
        let Some(key) = Key::of(name) else {
            return Err(problem(name, format!("there is no such key; there are {}", Key::names())));
        };
        let parsed = parsed.as_ref().map(Spanned::get_ref);
        match key.kind() {
            Kind::Text(_) => {
                let value = parsed.and_then(DeValue::as_str).unwrap_or(value).to_owned();
                self.texts.insert(key, Typed { value, origin: Origin::Set });
            }
            Kind::Switch { .. } => {
                let Some(value) = parsed.and_then(DeValue::as_bool) else {
                    return Err(problem(name, format!("{value:?} is neither true nor false")));
                };
                self.switches.insert(key, Typed { value, origin: Origin::Set });
            }
            Kind::Number { .. } => {
                let Some(value) = parsed.and_then(number) else {
                    return Err(problem(name, format!("{value:?} is not a whole number")));
                };
                self.numbers.insert(key, Typed { value, origin: Origin::Set });
            }
        }
        Ok(())
    }

    /// Where a key stands.
    #[must_use]
    pub fn origin(&self, key: Key) -> Origin {
        let text = self.texts.get(&key).map(|typed| typed.origin);
        let number = || self.numbers.get(&key).map(|typed| typed.origin);
        let switch = || self.switches.get(&key).map(|typed| typed.origin);
        text.or_else(number).or_else(switch).unwrap_or(Origin::Nowhere)
    }
}

const LISTENER_EXAMPLE: &str =
    "write the whole list, such as 'listener=[{kind=\"smtp\", address=\"127.0.0.1:2525\"}]'";

/// What positions are counted in.
enum Place<'t> {
    /// The file's text.
    File(&'t str),
    /// A value on the command line.
    Set,
}

impl Place<'_> {
    fn at(&self, position: usize) -> Origin {
        match self {
            Self::File(text) => {
                let ends = text.bytes().take(position).filter(|octet| *octet == b'\n').count();
                Origin::Line(ends.saturating_add(1))
            }
            Self::Set => Origin::Set,
        }
    }
}

struct Reader<'t> {
    place: Place<'t>,
    written: Written,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, origin: Origin, key: &str, what: String) {
        self.problems.push(Problem { origin, key: key.to_owned(), what });
    }

    /// The file itself (an empty section) or one of its sections.
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let origin = self.place.at(name.span().start);
            let dotted = match section {
                "" => name.get_ref().to_string(),
                section => format!("{section}.{}", name.get_ref()),
            };
            if section.is_empty() && SECTIONS.contains(&dotted.as_str()) {
                match value.get_ref().as_table() {
                    Some(inner) => self.table(&dotted, inner),
                    None => self.problem(origin, &dotted, format!("it is a section: write [{dotted}]")),
                }
            } else if dotted == LISTENER {
                self.listeners(value);
            } else if let Some(key) = Key::of(&dotted) {
                self.value(key, origin, value.get_ref());
            } else {
                let what = format!("there is no such key; here are allowed: {}", Key::names_beside(&dotted));
                self.problem(origin, &dotted, what);
            }
        }
    }

    fn value(&mut self, key: Key, origin: Origin, value: &DeValue<'_>) {
        match key.kind() {
            Kind::Text(example) => match value.as_str() {
                Some(text) => {
                    self.written.texts.insert(key, Typed { value: text.to_owned(), origin });
                }
                None => self.problem(
                    origin,
                    key.name(),
                    format!("a string is wanted, such as \"{example}\", not {}", value.type_str()),
                ),
            },
            Kind::Switch { .. } => match value.as_bool() {
                Some(value) => {
                    self.written.switches.insert(key, Typed { value, origin });
                }
                None => self.problem(
                    origin,
                    key.name(),
                    format!("true or false is wanted, not {}", value.type_str()),
                ),
            },
            Kind::Number { min, max, .. } => match number(value) {
                Some(value) => {
                    self.written.numbers.insert(key, Typed { value, origin });
                }
                None => self.problem(
                    origin,
                    key.name(),
                    format!("a whole number from {min} to {max} is wanted, not {}", value.type_str()),
                ),
            },
        }
    }

    fn listeners(&mut self, value: &Spanned<DeValue<'_>>) {
        let origin = self.place.at(value.span().start);
        let Some(list) = value.get_ref().as_array() else {
            return self.problem(
                origin,
                LISTENER,
                "listeners are a list: write [[listener]] with two brackets for each".to_owned(),
            );
        };
        for entry in list.iter() {
            let origin = self.place.at(entry.span().start);
            match entry.get_ref().as_table() {
                Some(table) => self.listener(origin, table),
                None => self.problem(origin, LISTENER, "kind and address are wanted".to_owned()),
            }
        }
    }

    fn listener(&mut self, origin: Origin, table: &DeTable<'_>) {
        let mut listener = WrittenListener { kind: None, address: None, origin };
        for (name, value) in table {
            let origin = self.place.at(name.span().start);
            let dotted = format!("{LISTENER}.{}", name.get_ref());
            let slot = match name.get_ref().as_ref() {
                "kind" => &mut listener.kind,
                "address" => &mut listener.address,
                _ => {
                    self.problem(
                        origin,
                        &dotted,
                        "there is no such key; here are allowed: kind, address".to_owned(),
                    );
                    continue;
                }
            };
            match value.get_ref().as_str() {
                Some(text) => *slot = Some(Typed { value: text.to_owned(), origin }),
                None => {
                    // Something stands there, so it is not missing as well.
                    *slot = Some(Typed { value: String::new(), origin });
                    let found = value.get_ref().type_str();
                    self.problem(origin, &dotted, format!("a string is wanted, not {found}"));
                }
            }
        }
        self.written.listeners.push(listener);
    }
}

/// A whole number, however it is written; the largest there is for one that is larger still.
fn number(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    let digits = integer.as_str().replace('_', "");
    Some(i128::from_str_radix(&digits, integer.radix()).unwrap_or(i128::MAX))
}
