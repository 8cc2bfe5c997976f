//! Getting a password: from standard input, from somebody at a terminal, or from chance.
#![expect(clippy::disallowed_methods, reason = "the command line takes chance from the operating system")]

use super::arguments::PasswordFrom;
use super::failure::{Exit, Failure, reason};
use crate::auth::password::{self, PasswordHash};
use crate::limits::{ARGON2_SALT_OCTETS, PASSWORD_OCTETS_MAX};
use crate::server::hash_worker;
use crate::types::{Address, Chance};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

/// A password, wiped when dropped.
pub type Password = Zeroizing<String>;

/// Gets the password for an account. `None`: there is nobody to ask.
///
/// # Errors
/// When it cannot be read, or what was typed twice differs.
pub fn get(from: PasswordFrom, login: &Address) -> Result<Option<Password>, Failure> {
    match from {
        PasswordFrom::Stdin => first_line(&mut io::stdin().lock()).map(Some),
        PasswordFrom::Terminal if isatty(io::stdin()) => ask_twice(login).map(Some),
        PasswordFrom::Terminal => Ok(None),
    }
}

/// Checks a password and hashes it into a PHC string.
///
/// # Errors
/// Exit 65 for a password that may not be set.
pub fn hash(password: &Password, login: &Address) -> Result<String, Failure> {
    password::check(password, login).map_err(|rule| Failure::new(Exit::Data, rule.to_string()))?;
    let mut salt = [0; ARGON2_SALT_OCTETS];
    fill(&mut salt)?;
    hash_worker::hash_password(password.as_bytes(), &salt)
        .map_err(|error| Failure::new(Exit::Temporary, format!("cannot hash the password: {error}")))
}

/// Whether a PHC string is that of a password.
#[must_use]
pub fn matches(password: &Password, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::parse(hash) else { return false };
    let Ok(salt) = <[u8; ARGON2_SALT_OCTETS]>::try_from(parsed.salt.as_slice()) else { return false };
    hash_worker::hash_password(password.as_bytes(), &salt).is_ok_and(|same| same == hash)
}

/// A password nobody chose.
///
/// # Errors
/// When the operating system has no randomness.
pub fn generate() -> Result<Password, Failure> {
    Ok(Zeroizing::new(password::generate(&mut chance()?)))
}

/// Chance of the operating system.
///
/// # Errors
/// When it has none.
pub fn chance() -> Result<Chance, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    fill(seed.as_mut())?;
    Ok(Chance::from_seed(*seed))
}

fn fill(octets: &mut [u8]) -> Result<(), Failure> {
    aws_lc_rs::rand::fill(octets)
        .map_err(|_| Failure::new(Exit::Temporary, "the operating system gives no random octets"))
}

/// The first line, without its line end. The rest is left alone.
fn first_line(input: &mut dyn Read) -> Result<Password, Failure> {
    // Reserved at once: a vector that grows leaves copies of a secret behind.
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_OCTETS_MAX.saturating_add(2)));
    let mut octet = [0; 1];
    loop {
        match input.read(&mut octet) {
            Ok(0) => break,
            Ok(_) if octet == *b"\n" => break,
            Ok(_) if line.len() > PASSWORD_OCTETS_MAX => return Err(too_long()),
            Ok(_) => line.extend(octet),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let why = format!("cannot read the password from standard input: {}", reason(&error));
                return Err(Failure::new(Exit::Io, why));
            }
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if line.is_empty() {
        return Err(Failure::new(
            Exit::Data,
            "the first line of standard input is empty: a password is wanted",
        ));
    }
    utf8(&line)
}

fn too_long() -> Failure {
    Failure::new(Exit::Data, password::PasswordRule::TooLong.to_string())
}

fn utf8(octets: &[u8]) -> Result<Password, Failure> {
    std::str::from_utf8(octets)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Failure::new(Exit::Data, "the password is not UTF-8"))
}

fn ask_twice(login: &Address) -> Result<Password, Failure> {
    let stdin = io::stdin();
    // For both, so that what is typed between them is not shown either.
    let quiet = Quiet::start(&stdin).map_err(|error| terminal_failure(&error.into()))?;
    let first = ask(&quiet, &format!("Password for {login}: "))?;
    if first.is_empty() {
        return Err(Failure::new(Exit::Data, "no password was typed, and nothing was changed"));
    }
    // Before it has to be typed again for nothing.
    password::check(&first, login).map_err(|rule| Failure::new(Exit::Data, rule.to_string()))?;
    let second = ask(&quiet, "The same again: ")?;
    if first == second {
        Ok(first)
    } else {
        Err(Failure::new(Exit::Data, "the two passwords differ, and nothing was changed: try again"))
    }
}

/// Asks for one line that is not shown.
fn ask(quiet: &Quiet<'_>, prompt: &str) -> Result<Password, Failure> {
    let _ = io::stderr().write_all(prompt.as_bytes());
    let typed = type_line(&quiet.before, &mut Unbuffered(quiet.terminal));
    let _ = io::stderr().write_all(b"\n");
    match typed.map_err(|error| terminal_failure(&error))? {
        Typed::Line(line) => utf8(&line),
        Typed::TooLong => Err(too_long()),
        Typed::GivenUp => Err(Failure::new(Exit::Data, "given up, and nothing was changed")),
    }
}

fn terminal_failure(error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot read from the terminal: {}", reason(error)))
}

/// The terminal without echo, signals and line editing, until dropped. Keys that would end the process arrive
/// as octets, so that no key leaves the terminal without echo.
struct Quiet<'t> {
    terminal: &'t io::Stdin,
    before: Termios,
}

impl<'t> Quiet<'t> {
    fn start(terminal: &'t io::Stdin) -> rustix::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Standard input without the buffer of the standard library.
struct Unbuffered<'f>(&'f io::Stdin);

impl Read for Unbuffered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        rustix::io::read(self.0.as_fd(), into).map_err(io::Error::from)
    }
}

/// How typing ended.
enum Typed {
    Line(Zeroizing<Vec<u8>>),
    TooLong,
    GivenUp,
}

/// The line editing that a terminal does itself otherwise: erase, kill, end of file, interrupt.
fn type_line(keys: &Termios, input: &mut dyn Read) -> io::Result<Typed> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_OCTETS_MAX.saturating_add(1)));
    let mut octet = [0; 1];
    loop {
        match input.read(&mut octet) {
            Ok(0) => return Ok(Typed::GivenUp),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let is = |key: SpecialCodeIndex| keys.special_codes[key] != 0 && octet == [keys.special_codes[key]];
        if matches!(octet, [b'\n' | b'\r']) {
            return Ok(Typed::Line(line));
        } else if is(SpecialCodeIndex::VINTR) || is(SpecialCodeIndex::VQUIT) {
            return Ok(Typed::GivenUp);
        } else if is(SpecialCodeIndex::VEOF) {
            return Ok(if line.is_empty() { Typed::GivenUp } else { Typed::Line(line) });
        } else if is(SpecialCodeIndex::VKILL) {
            line.clear();
        } else if is(SpecialCodeIndex::VERASE) || octet == [8] || octet == [127] {
            erase_character(&mut line);
        } else if line.len() > PASSWORD_OCTETS_MAX {
            return Ok(Typed::TooLong);
        } else {
            line.extend(octet);
        }
    }
}

/// Takes the last character off, all octets of it.
fn erase_character(line: &mut Vec<u8>) {
    while let Some(octet) = line.pop() {
        // Octets that continue a character of UTF-8 begin with the bits 10.
        if octet & 0b1100_0000 != 0b1000_0000 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(octets: &[u8]) -> Result<String, Failure> {
        first_line(&mut &*octets).map(|line| line.to_string())
    }

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        for (octets, password) in [
            (&b"a b \n"[..], "a b "),
            (b"ab\r\n", "ab"),
            (b"ab\r\r\n", "ab\r"),
            (b"ab", "ab"),
            (b"ab\ncd\n", "ab"),
            ("grün\n".as_bytes(), "grün"),
        ] {
            assert_eq!(line(octets).unwrap(), password);
        }
    }

    #[test]
    fn nothing_too_much_and_no_text_are_refused() {
        let long = vec![b'a'; PASSWORD_OCTETS_MAX + 2];
        for octets in [&b""[..], b"\n", b"\r\n", b"\xff\xfe\n", &long] {
            assert!(matches!(line(octets), Err(Failure::Told(Exit::Data, _))));
        }
        assert_eq!(line(&vec![b'a'; PASSWORD_OCTETS_MAX]).unwrap().len(), PASSWORD_OCTETS_MAX);
    }

    #[test]
    fn an_endless_line_is_given_up_early() {
        assert!(first_line(&mut io::repeat(b'a')).is_err());
    }

    #[test]
    fn the_last_character_is_erased_whole() {
        let mut line = "aé€".as_bytes().to_vec();
        erase_character(&mut line);
        assert_eq!(line, "aé".as_bytes());
        erase_character(&mut line);
        erase_character(&mut line);
        erase_character(&mut line);
        assert_eq!(line, b"");
    }

    #[test]
    fn a_hash_matches_its_password_alone() {
        let login: Address = "me@example.org".parse().unwrap();
        let password = generate().unwrap();
        let hash = hash(&password, &login).unwrap();
        assert!(matches(&password, &hash));
        assert!(!matches(&generate().unwrap(), &hash));
        assert!(!matches(&password, "*"));
    }

    #[test]
    fn a_bad_password_is_a_fault_of_data() {
        let login: Address = "me@example.org".parse().unwrap();
        let password = Zeroizing::new("short".to_owned());
        assert!(matches!(hash(&password, &login), Err(Failure::Told(Exit::Data, _))));
    }
}
