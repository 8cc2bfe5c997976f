//! What collectors put in front of a line: containers, syslog, journald, time stamps.
//!
//! Read from the left, one layer after the other; each layer is only taken off if all of it is there. What is
//! left is the program's own line.

use super::{Line, Prefix};
use crate::limits;

/// Takes a line apart. `text` is the line without its line end.
#[must_use]
pub fn cut(number: u64, text: &str) -> Line<'_> {
    let whole = container(text.trim_end_matches(['\r', '\n']));
    let mut prefix = Prefix::default();
    let (times, rest) = repeated(solaris(syslog(whole, &mut prefix)));
    prefix.times = times;
    Line { number, text: rest, whole, prefix }
}

/// How often the line before was said again, where a syslog daemon writes `STAMP HOST last message repeated 3 times`
/// in place of the lines. No program stands there, so no program's text is taken for it.
#[must_use]
pub fn said_again(text: &str) -> Option<u32> {
    let line = cut(0, text);
    let words =
        line.text.split_once(' ').filter(|(host, _)| is_host(host)).map_or(line.text, |(_, rest)| rest);
    let found = [words, line.text].into_iter().find_map(|words| {
        let words = words.strip_prefix("--- ").and_then(|rest| rest.strip_suffix(" ---")).unwrap_or(words);
        words.strip_prefix("last message repeated ")?.strip_suffix(" times").and_then(times)
    });
    found.filter(|_| line.prefix.program.is_none() && line.prefix.time.is_some())
}

/// A number of times, no more than are read.
fn times(number: &str) -> Option<u32> {
    digits(number).then(|| number.parse().unwrap_or(u32::MAX).min(limits::IMPORT_REPEATS_MAX))
}

/// The fields of a journald JSON line (`journalctl -o json`) or of Docker's json-file log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped {
    /// The message.
    pub message: String,
    /// The host.
    pub host: Option<String>,
    /// The program.
    pub program: Option<String>,
    /// The process.
    pub pid: Option<u64>,
    /// Seconds since the epoch.
    pub time: Option<i64>,
}

/// Reads a line that is one JSON object of journald's or Docker's. None if it is none.
#[must_use]
pub fn unwrap_json(text: &str) -> Option<Unwrapped> {
    let text = text.trim();
    if !(text.starts_with('{') && text.ends_with('}')) {
        return None;
    }
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let field = |name: &str| fields.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    if let Some(log) = field("log") {
        let message = log.trim_end_matches(['\r', '\n']).to_owned();
        return Some(Unwrapped { message, host: None, program: None, pid: None, time: None });
    }
    let message = match fields.get("MESSAGE")? {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(octets) => {
            let octets: Vec<u8> = octets
                .iter()
                .filter_map(|octet| octet.as_u64().and_then(|number| u8::try_from(number).ok()))
                .collect();
            String::from_utf8_lossy(&octets).into_owned()
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Object(_) => return None,
    };
    Some(Unwrapped {
        message: message.trim_end_matches(['\r', '\n']).to_owned(),
        host: field("_HOSTNAME"),
        program: field("SYSLOG_IDENTIFIER").or_else(|| field("_COMM")),
        pid: field("SYSLOG_PID").or_else(|| field("_PID")).and_then(|text| text.parse().ok()),
        time: field("__REALTIME_TIMESTAMP")
            .and_then(|text| text.parse::<i64>().ok())
            .map(|micros| micros.div_euclid(1_000_000)),
    })
}

impl Unwrapped {
    /// The line it stands for. A message that has a prefix of its own (a container's syslog) loses it too.
    #[must_use]
    pub fn line(&self, number: u64) -> Line<'_> {
        let mut line = cut(number, &self.message);
        line.prefix.time = line.prefix.time.or(self.time);
        line.prefix.host = line.prefix.host.or(self.host.as_deref());
        if line.prefix.program.is_none() {
            line.prefix.program = self.program.as_deref();
            line.prefix.pid = self.pid;
        }
        line
    }
}

/// docker-compose (`name-1  | `), `kubectl logs --prefix` (`[pod/name/container] `), CRI (`TIME stdout F `).
fn container(text: &str) -> &str {
    if let Some((name, rest)) = text.split_once('|') {
        let name = name.trim_end_matches(' ');
        let is_name = !name.is_empty()
            && name.len() <= limits::IMPORT_CONTAINER_OCTETS_MAX
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_.-".contains(&octet))
            && name.bytes().any(|octet| octet.is_ascii_alphabetic());
        if is_name {
            return rest.strip_prefix(' ').unwrap_or(rest);
        }
    }
    if let Some((name, rest)) = text.strip_prefix("[pod/").and_then(|after| after.split_once("] "))
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"/_.-".contains(&octet))
    {
        return rest;
    }
    for mark in [" stdout F ", " stderr F ", " stdout P ", " stderr P "] {
        if let Some((time, rest)) = text.split_once(mark)
            && time.len() <= 40
            && iso(time).is_some_and(|(_, after)| after.is_empty())
        {
            return rest;
        }
    }
    text
}

fn syslog<'t>(text: &'t str, prefix: &mut Prefix<'t>) -> &'t str {
    let rest = priority(text);
    if let Some(rest) = rest.strip_prefix("1 ").filter(|_| rest.len() < text.len())
        && let Some(message) = rfc5424(rest, prefix)
    {
        return message;
    }
    if let Some((time, rest)) = stamp(rest) {
        prefix.time = Some(time);
        let message = host_and_program(rest, prefix);
        // A relay has put its own stamp and host in front of the first collector's.
        if prefix.program.is_none()
            && let Some((time, own)) =
                rest.split_once(' ').filter(|(host, _)| is_host(host)).and_then(|(_, own)| stamp(own))
        {
            prefix.time = Some(time);
            return host_and_program(own, prefix);
        }
        return message;
    }
    // No time stamp: a program is only believed with its process number.
    let mut tried = Prefix::default();
    let message = host_and_program(rest, &mut tried);
    if tried.pid.is_some() {
        *prefix = tried;
        return message;
    }
    rest
}

/// Without `[ID 197553 mail.info] `.
fn solaris(text: &str) -> &str {
    match text.strip_prefix("[ID ").and_then(|after| after.split_once("] ")) {
        Some((inside, rest))
            if inside.bytes().all(|octet| octet.is_ascii_alphanumeric() || b" .".contains(&octet)) =>
        {
            rest
        }
        Some(_) | None => text,
    }
}

/// What rsyslog says was said again: `message repeated 2 times: [ MESSAGE]`.
fn repeated(text: &str) -> (Option<u32>, &str) {
    let inside = text.strip_prefix("message repeated ").and_then(|after| after.split_once(" times: [ "));
    match inside.and_then(|(number, message)| Some((times(number)?, message))) {
        Some((times, message)) => (Some(times), message.strip_suffix(']').unwrap_or(message)),
        None => (None, text),
    }
}

fn priority(text: &str) -> &str {
    let number = text.strip_prefix('<').and_then(|after| after.split_once('>'));
    match number {
        Some((number, rest)) if number.len() <= 3 && digits(number) => rest,
        Some(_) | None => text,
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// RFC 5424 behind the version: `TIME HOST APP PROCID MSGID SD MESSAGE`.
fn rfc5424<'t>(text: &'t str, prefix: &mut Prefix<'t>) -> Option<&'t str> {
    let mut fields = text.splitn(6, ' ');
    let time = fields.next()?;
    let host = fields.next()?;
    let app = fields.next()?;
    let process = fields.next()?;
    let _message_id = fields.next()?;
    let rest = structured_data(fields.next()?)?;
    let said = |field: &'t str| (field != "-").then_some(field);
    *prefix = Prefix {
        time: iso(time).map(|(seconds, _)| seconds),
        host: said(host),
        program: said(app),
        pid: said(process).and_then(|number| number.parse().ok()),
        times: None,
    };
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    Some(rest.strip_prefix('\u{feff}').unwrap_or(rest))
}

/// What follows `-` or `[…][…]`; inside quotes `\]`, `\"` and `\\` are no ends.
fn structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest);
    }
    let mut rest = text;
    while let Some(inside) = rest.strip_prefix('[') {
        let mut letters = inside.chars();
        let (mut quoted, mut escaped) = (false, false);
        loop {
            match letters.next()? {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ']' if !quoted => break,
                _ => {}
            }
        }
        rest = letters.as_str();
    }
    (rest.len() < text.len()).then_some(rest)
}

/// A time stamp at the beginning, in seconds, and what follows it and one space. Where a collector put its own in
/// front of the program's, the program's.
#[must_use]
pub fn stamp(text: &str) -> Option<(i64, &str)> {
    let (first, rest) = one_stamp(text)?;
    Some(one_stamp(rest).unwrap_or((first, rest)))
}

fn one_stamp(text: &str) -> Option<(i64, &str)> {
    let (seconds, rest) = [iso, full, bsd, tai64n, unix, table].iter().find_map(|read| read(text))?;
    Some((seconds, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// `Mon 2025-11-03 10:00:00 CET`, journald's `short-full`.
fn full(text: &str) -> Option<(i64, &str)> {
    let (day, rest) = text.split_once(' ')?;
    if day.len() != 3 || !day.bytes().all(|octet| octet.is_ascii_alphabetic()) {
        return None;
    }
    let (seconds, rest) = iso(rest)?;
    let (zone, rest) = rest.strip_prefix(' ')?.split_once(' ')?;
    let is_zone = !zone.is_empty()
        && zone.bytes().all(|octet| octet.is_ascii_uppercase() || b"+-0123456789".contains(&octet));
    is_zone.then_some((seconds, rest))
}

fn seconds(days: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    ((0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second))
        .then(|| {
            days.checked_mul(86_400)?
                .checked_add(hour.checked_mul(3_600)?)?
                .checked_add(minute.checked_mul(60)?)?
                .checked_add(second)
        })
        .flatten()
}

fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=31).contains(&day) || !(1..=9_999).contains(&year) {
        return None;
    }
    let before = DAYS_BEFORE.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let leaps =
        |year: i64| year.div_euclid(4).wrapping_sub(year.div_euclid(100)).wrapping_add(year.div_euclid(400));
    let last = year.wrapping_sub(1);
    let leap_day = i64::from(month > 2).wrapping_mul(leaps(year).wrapping_sub(leaps(last)));
    let since_year_one =
        last.wrapping_mul(365).wrapping_add(leaps(last)).wrapping_add(*before).wrapping_add(leap_day);
    Some(since_year_one.wrapping_add(day).wrapping_sub(DAYS_TO_1970))
}

/// Days of a common year before each month.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// Days from the day before 0001-01-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_163;

/// A number of between `fewest` and `most` digits, and what follows.
fn number(text: &str, fewest: usize, most: usize) -> Option<(i64, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < fewest {
        return None;
    }
    Some((text.get(..length)?.parse().ok()?, text.get(length..)?))
}

/// `hh:mm:ss`, with a fraction perhaps.
fn clock(text: &str) -> Option<(i64, i64, i64, &str)> {
    let (hour, rest) = number(text, 1, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    let fraction =
        rest.strip_prefix(['.', ',']).filter(|after| after.starts_with(|c: char| c.is_ascii_digit()));
    let rest = fraction.map_or(rest, |after| after.trim_start_matches(|c: char| c.is_ascii_digit()));
    Some((hour, minute, second, rest))
}

/// `2024-08-29T01:33:38.57+00:00`, `2024-08-29 01:33:38`, `2024/08/29 01:33:38`.
fn iso(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = number(text, 4, 4)?;
    let dash = rest.chars().next().filter(|c| matches!(c, '-' | '/'))?;
    let (month, rest) = number(rest.strip_prefix(dash)?, 2, 2)?;
    let (day, rest) = number(rest.strip_prefix(dash)?, 2, 2)?;
    let (hour, minute, second, rest) = clock(rest.strip_prefix(['T', ' ', 't'])?)?;
    let local = seconds(days(year, month, day)?, hour, minute, second)?;
    let (offset, rest) = offset(rest);
    Some((local.checked_sub(offset)?, rest))
}

/// `Z`, `+01:00`, `+0100`, `-08`, a space in front allowed for those with a sign; seconds east of Greenwich.
fn offset(text: &str) -> (i64, &str) {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return (0, rest);
    }
    let signed = text.strip_prefix(' ').unwrap_or(text);
    let sign = if signed.starts_with('-') { -1 } else { 1 };
    let read =
        signed.strip_prefix(['+', '-']).and_then(|after| number(after, 2, 2)).and_then(|(hours, rest)| {
            let colon = rest.strip_prefix(':').unwrap_or(rest);
            let (minutes, rest) = number(colon, 2, 2).unwrap_or((0, rest));
            let ended = rest.is_empty() || rest.starts_with([' ', ':', ']']);
            let east = hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?.checked_mul(sign)?;
            ended.then_some((east, rest))
        });
    read.unwrap_or((0, text))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Aug  9 01:33:38`, `Aug 09 2024 01:33:38`, `2024 Aug 9 01:33:38`, `Tue Aug  9 …`; without a year it is 1972.
fn bsd(text: &str) -> Option<(i64, &str)> {
    let (year, text) = match number(text, 4, 4) {
        Some((year, rest)) => (Some(year), rest.strip_prefix(' ')?),
        None => (None, text),
    };
    let text = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "]
        .iter()
        .find_map(|day| text.strip_prefix(day))
        .unwrap_or(text);
    let place = MONTHS.iter().position(|month| text.starts_with(month))?;
    let month = i64::try_from(place).ok()?.checked_add(1)?;
    let rest = text.get(3..)?.strip_prefix(' ')?;
    let (day, rest) = number(rest.trim_start_matches(' '), 1, 2)?;
    let rest = rest.strip_prefix(' ')?;
    let (year, rest) = match number(rest, 4, 4).and_then(|(year, rest)| Some((year, rest.strip_prefix(' ')?)))
    {
        Some((year, rest)) => (year, rest),
        None => (year.unwrap_or(1_972), rest),
    };
    let (hour, minute, second, rest) = clock(rest)?;
    rest.starts_with([' ', ':']).then_some(())?;
    Some((seconds(days(year, month, day)?, hour, minute, second)?, rest.strip_prefix(':').unwrap_or(rest)))
}

/// `@4000000065000000075bcd15`: 2^62 plus the seconds of TAI, then nanoseconds, in hexadecimal.
fn tai64n(text: &str) -> Option<(i64, &str)> {
    let label = text.strip_prefix('@')?;
    let (seconds, rest) = (label.get(..16)?, label.get(24..)?);
    label.get(..24).filter(|label| label.bytes().all(|octet| octet.is_ascii_hexdigit()))?;
    let seconds = i64::from_str_radix(seconds, 16).ok()?.checked_sub(1 << 62)?;
    rest.starts_with(' ').then_some((seconds.checked_sub(10)?, rest))
}

/// `1700000000.123456 ` and `[ 123.456] `, as journald writes them.
fn unix(text: &str) -> Option<(i64, &str)> {
    if let Some((inside, rest)) = text.strip_prefix('[').and_then(|after| after.split_once("] ")) {
        let (whole, fraction) = inside.trim_start_matches(' ').split_once('.')?;
        return (digits(whole) && digits(fraction) && fraction.len() >= 3)
            .then(|| whole.parse().ok())
            .flatten()
            .map(|seconds| (seconds, rest));
    }
    let (whole, rest) = number(text, 9, 11)?;
    let rest = rest.strip_prefix('.')?;
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < rest.len() && after.starts_with(' ')).then_some((whole, after))
}

/// `4.11.2018, 21:38:21 | info | `, the export of a web page's table.
fn table(text: &str) -> Option<(i64, &str)> {
    let (day, rest) = number(text, 1, 2)?;
    let (month, rest) = number(rest.strip_prefix('.')?, 1, 2)?;
    let (year, rest) = number(rest.strip_prefix('.')?, 4, 4)?;
    let (hour, minute, second, rest) = clock(rest.strip_prefix(',').unwrap_or(rest).strip_prefix(' ')?)?;
    let cell = rest.trim_start_matches(' ').strip_prefix(['|', '\t'])?;
    let (level, rest) = cell.split_once(['|', '\t'])?;
    level.trim().bytes().all(|octet| octet.is_ascii_alphabetic()).then_some(())?;
    Some((seconds(days(year, month, day)?, hour, minute, second)?, rest.trim_start_matches(' ')))
}

/// `HOST PROGRAM[PID]: MESSAGE`; the host may be missing where the program has a process number, and in its place
/// may stand a level, or a facility and a level in angle brackets as FreeBSD has it.
fn host_and_program<'t>(text: &'t str, prefix: &mut Prefix<'t>) -> &'t str {
    let text = match text.strip_prefix('<').and_then(|after| after.split_once("> ")) {
        Some((level, rest)) if level.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'.') => {
            rest
        }
        Some(_) | None => text,
    };
    let Some((first, rest)) = text.split_once(' ') else { return text };
    if let Some((program, pid)) = program(first) {
        if pid.is_some() || program.contains('/') {
            prefix.program = Some(program);
            prefix.pid = pid;
            return rest;
        }
        return text;
    }
    if !is_host(first) {
        return text;
    }
    let rest_trimmed = rest.trim_start_matches(' ');
    let (second, message) = rest_trimmed.split_once(' ').unwrap_or((rest_trimmed, ""));
    let Some((program, pid)) = program(second) else { return text };
    prefix.host = Some(first);
    prefix.program = Some(program);
    prefix.pid = pid;
    message
}

fn is_host(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= limits::DOMAIN_OCTETS_MAX
        && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-:".contains(&octet))
        && !word.ends_with(':')
}

/// `name:`, `name[123]:`, `path/name[123]:`.
fn program(word: &str) -> Option<(&str, Option<u64>)> {
    let word = word.strip_suffix(':')?;
    let (name, pid) = match word.strip_suffix(']').and_then(|inner| inner.rsplit_once('[')) {
        Some((name, pid)) => (name, Some(pid.parse().ok()?)),
        None => (word, None),
    };
    let fits = !name.is_empty()
        && name.len() <= limits::IMPORT_CONTAINER_OCTETS_MAX
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"/_.-".contains(&octet))
        && name.bytes().any(|octet| octet.is_ascii_alphabetic());
    fits.then_some((name, pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_comes_off_and_leaves_the_program_s_own_line() {
        for text in [
            "Aug  9 01:33:38 mx postfix/smtpd[7]: said",
            "Aug 09 2024 01:33:38 mx postfix/smtpd[7]: said",
            "<22>Aug  9 01:33:38 mx postfix/smtpd[7]: said",
            "2024-08-09T01:33:38.123456+02:00 mx postfix/smtpd[7]: said",
            "2024-08-09T01:33:38+0200 mx postfix/smtpd[7]: said",
            "2024-08-09 01:33:38 info postfix/smtpd[7]: said",
            "<22>1 2024-08-09T01:33:38Z mx postfix/smtpd 7 - - said",
            "<22>1 2024-08-09T01:33:38Z mx postfix/smtpd 7 - [a@1 b=\"c\\\"]\"][d] said",
            "mail-1  | Aug  9 01:33:38 mx postfix/smtpd[7]: said",
            "[pod/mail-0/postfix] Aug  9 01:33:38 mx postfix/smtpd[7]: said",
            "2024-08-09T01:33:38.1Z stdout F Aug  9 01:33:38 mx postfix/smtpd[7]: said",
            "1700000000.123456 mx postfix/smtpd[7]: said",
            "Mon 2025-11-03 10:00:00 CET mx postfix/smtpd[7]: said",
            "2025-11-03T10:00:00.123456789Z Nov  3 10:00:00 mx postfix/smtpd[7]: said",
            "Nov  3 10:00:00 mx postfix/smtpd[7]: [ID 197553 mail.info] said",
            "Nov  3 10:00:00 mx postfix/smtpd[7]: message repeated 2 times: [ said]",
            "Nov  3 10:00:00 postfix/smtpd[7]: said",
            "[  123.456789] mx postfix/smtpd[7]: said",
            "2024-08-09T01:33:38Z relay Aug  9 01:33:38 mx postfix/smtpd[7]: said",
            "Aug  9 01:33:38 <mail.info> mx postfix/smtpd[7]: said",
            "mx postfix/smtpd[7]: said",
            "postfix/smtpd[7]: said",
        ] {
            let line = cut(1, text);
            assert_eq!(
                (line.prefix.program, line.prefix.pid, line.text),
                (Some("postfix/smtpd"), Some(7), "said"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_was_said_again_is_counted_and_no_program_can_say_it() {
        assert_eq!(cut(1, "Nov  3 10:00:00 mx a[7]: message repeated 2 times: [ x]").prefix.times, Some(2));
        assert_eq!(said_again("Nov  3 10:00:00 mx last message repeated 3 times"), Some(3));
        assert_eq!(said_again("Nov  3 10:00:00 mx --- last message repeated 1 times ---"), Some(1));
        assert_eq!(
            said_again("Nov  3 10:00:00 mx last message repeated 99999999999 times"),
            Some(limits::IMPORT_REPEATS_MAX)
        );
        for text in [
            "Nov  3 10:00:00 mx a[7]: last message repeated 3 times",
            "last message repeated 3 times",
            "Nov  3 10:00:00 mx last message repeated three times",
        ] {
            assert_eq!(said_again(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_without_a_collector_is_left_whole() {
        for text in [
            "l=info m=\"failed authentication attempt\" pkg=smtpserver",
            "login authenticator failed for (User) [192.0.2.1]: 535 Incorrect",
            "a | b",
        ] {
            assert_eq!(cut(1, text).text.len(), if text == "a | b" { 1 } else { text.len() }, "{text}");
        }
    }

    #[test]
    fn time_differences_hold_across_offsets() {
        let east = stamp("2024-08-09T03:33:38+02:00 x").map(|(time, _)| time);
        assert_eq!(east, stamp("2024-08-09T01:33:38Z x").map(|(time, _)| time));
        assert_eq!(east, Some(1_723_167_218));
        assert_eq!(stamp("@400000000000000a00000000 x"), Some((0, "x")));
        assert_eq!(stamp("4.11.2018, 21:38:21 | info | x").map(|(_, rest)| rest), Some("x"));
    }

    #[test]
    fn a_journal_export_is_unwrapped() {
        let text = r#"{"MESSAGE":"said","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"7","_HOSTNAME":"mx","__REALTIME_TIMESTAMP":"1700000000123456"}"#;
        let unwrapped = unwrap_json(text).expect("an object");
        let line = unwrapped.line(3);
        assert_eq!((line.text, line.prefix.pid, line.prefix.time), ("said", Some(7), Some(1_700_000_000)));
        let octets = r#"{"MESSAGE":[104,105,255]}"#;
        assert_eq!(unwrap_json(octets).map(|read| read.message), Some("hi\u{fffd}".to_owned()));
        assert_eq!(
            unwrap_json(r#"{"log":"said\n","stream":"stdout"}"#).map(|read| read.message),
            Some("said".into())
        );
    }
}
