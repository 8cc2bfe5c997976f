//! The grammar of arguments (RFC 5321 section 4.1.2), each rule above the parser that reads it.
//!
//! It only ever sees what stands behind the verb of one complete line, free of control characters.

use super::command::{BodyType, ClientName, Command, Dialect, MailParameters, NeedsUtf8};
use super::offence::Offence;
use crate::limits::{DOMAIN_OCTETS_MAX, PATH_OCTETS_MAX};
use crate::types::local_part::is_atext;
use crate::types::{Domain, ForwardPath, Host, LocalPart, Mailbox, ReversePath};
use nom::branch::alt;
use nom::combinator::{all_consuming, map_opt, opt, value, verify};
use nom::error::{Error, ErrorKind};
use nom::multi::{fold_many0, separated_list1};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose path is read; decides the enhanced code of a refusal.
#[derive(Clone, Copy)]
enum Whose {
    Sender,
    Recipient,
}

impl Whose {
    fn syntax(self) -> Offence {
        match self {
            Self::Sender => Offence::SenderSyntax,
            Self::Recipient => Offence::RecipientSyntax,
        }
    }
}

/// `SP ( Domain / address-literal )`, read leniently: any printable ASCII without spaces.
pub(super) fn client_name(rest: &[u8]) -> Result<ClientName, Offence> {
    let text = std::str::from_utf8(rest).map_err(|_| Offence::BadArgument)?;
    let parsed: IResult<&str, &str> =
        all_consuming(delimited(space1, run(1, usize::MAX, |c: char| c.is_ascii_graphic()), space0))
            .parse(text);
    let (_, name) = parsed.map_err(|_| Offence::BadArgument)?;
    if name.len() > DOMAIN_OCTETS_MAX {
        return Err(Offence::BadArgument);
    }
    let literal = all_consuming(address_literal).parse(name).ok().map(|(_, ip)| ip);
    Ok(ClientName { text: name.to_owned(), literal })
}

/// `SP "FROM:" Reverse-path [SP Mail-parameters]`
pub(super) fn mail(rest: &[u8], dialect: Dialect) -> Result<Command, Offence> {
    let (path_text, parameters) = argument(rest, "FROM:", dialect, Whose::Sender)?;
    let path = match all_consuming(reverse_path).parse(path_text) {
        Ok((_, path)) => path,
        Err(_) => return Err(Offence::SenderSyntax),
    };
    let parameters = mail_parameters(parameters)?;
    Ok(Command::Mail(path, parameters, NeedsUtf8(!path_text.is_ascii())))
}

/// `SP "TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters]`
pub(super) fn rcpt(rest: &[u8], dialect: Dialect) -> Result<Command, Offence> {
    let (path_text, parameters) = argument(rest, "TO:", dialect, Whose::Recipient)?;
    let path = match all_consuming(forward_path).parse(path_text) {
        Ok((_, path)) => path,
        Err(_) => return Err(Offence::RecipientSyntax),
    };
    // No extension that is offered has a parameter for RCPT.
    match esmtp_parameters(parameters)?.is_empty() {
        true => Ok(Command::Rcpt(path, NeedsUtf8(!path_text.is_ascii()))),
        false => Err(Offence::UnknownParameter),
    }
}

/// `SP chunk-size [SP "LAST"]` (RFC 3030 section 2)
pub(super) fn bdat(rest: &[u8]) -> Result<Command, Offence> {
    let text = std::str::from_utf8(rest).map_err(|_| Offence::BadChunk)?;
    let mut parser =
        all_consuming((preceded(space1, number), terminated(opt(preceded(space1, literal("LAST"))), space0)));
    let parsed: IResult<&str, (u64, Option<&str>)> = parser.parse(text);
    let (_, (octets, last)) = parsed.map_err(|_| Offence::BadChunk)?;
    Ok(Command::Bdat { octets, last: last.is_some() })
}

/// `SP sasl-mech [SP initial-response]` (RFC 4954 section 8). The response is judged by the exchange.
pub(super) fn auth(rest: &[u8]) -> Result<Command, Offence> {
    let text = std::str::from_utf8(rest).map_err(|_| Offence::BadArgument)?;
    let mut parser = all_consuming((preceded(space1, word), terminated(opt(preceded(space1, word)), space0)));
    let parsed: IResult<&str, (&str, Option<&str>)> = parser.parse(text);
    let (_, (mechanism, initial)) = parsed.map_err(|_| Offence::AuthMalformed)?;
    Ok(Command::Auth { mechanism: mechanism.into(), initial: initial.map(Into::into) })
}

fn word(input: &str) -> IResult<&str, &str> {
    run(1, usize::MAX, |c: char| c != ' ').parse(input)
}

/// Cuts `SP keyword path [SP parameters]` into path and parameters. The path ends at the `>` outside a quoted
/// string, or at a space where there is none.
fn argument<'a>(
    rest: &'a [u8],
    keyword: &str,
    dialect: Dialect,
    whose: Whose,
) -> Result<(&'a str, &'a str), Offence> {
    let text = std::str::from_utf8(rest).map_err(|_| whose.syntax())?;
    let head: IResult<&str, &str> = preceded(space1, literal(keyword)).parse(text);
    let (tail, _) = head.map_err(|_| Offence::BadArgument)?;
    let tail = match dialect {
        Dialect::Strict => tail,
        Dialect::Submission => tail.strip_prefix(' ').unwrap_or(tail),
    };
    let (path, parameters) = tail.split_at_checked(path_end(tail)).ok_or(whose.syntax())?;
    if path.len() > PATH_OCTETS_MAX {
        return Err(Offence::PathTooLong);
    }
    Ok((path, parameters))
}

/// Where a path that begins with `<` ends.
fn path_end(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

/// `Reverse-path = Path / "<>"`
fn reverse_path(input: &str) -> IResult<&str, ReversePath> {
    alt((value(ReversePath::Null, literal("<>")), path.map(ReversePath::Mailbox))).parse(input)
}

/// `Forward-path = Path`, or `<Postmaster>` without a domain
fn forward_path(input: &str) -> IResult<&str, ForwardPath> {
    alt((value(ForwardPath::Postmaster, literal("<postmaster>")), path.map(ForwardPath::Mailbox)))
        .parse(input)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(input: &str) -> IResult<&str, Mailbox> {
    delimited(literal("<"), preceded(opt(terminated(source_route, literal(":"))), mailbox), literal(">"))
        .parse(input)
}

/// `A-d-l = At-domain *( "," At-domain )`: read and forgotten (RFC 5321 appendix C)
fn source_route(input: &str) -> IResult<&str, usize> {
    separated_list1(literal(","), preceded(literal("@"), domain))
        .map(|route: Vec<Domain>| route.len())
        .parse(input)
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
fn mailbox(input: &str) -> IResult<&str, Mailbox> {
    (terminated(local_part, literal("@")), host).map(|(local, host)| Mailbox { local, host }).parse(input)
}

fn host(input: &str) -> IResult<&str, Host> {
    alt((address_literal.map(Host::Literal), domain.map(Host::Domain))).parse(input)
}

/// `Domain = sub-domain *("." sub-domain)`, U-labels too (RFC 6531 section 3.3)
fn domain(input: &str) -> IResult<&str, Domain> {
    let octets =
        run(1, usize::MAX, |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || !c.is_ascii());
    map_opt(octets, |text: &str| Domain::parse(text).ok()).parse(input)
}

/// `Local-part = Dot-string / Quoted-string`
fn local_part(input: &str) -> IResult<&str, LocalPart> {
    map_opt(alt((dot_string, quoted_string)), |text: String| LocalPart::new(&text).ok()).parse(input)
}

/// `Dot-string = Atom *("." Atom)`
fn dot_string(input: &str) -> IResult<&str, String> {
    let atoms = run(1, usize::MAX, |c| is_atext(c) || c == '.');
    let none_is_empty = |text: &str| text.split('.').all(|atom| !atom.is_empty());
    verify(atoms, none_is_empty).map(str::to_owned).parse(input)
}

/// `Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE`
fn quoted_string(input: &str) -> IResult<&str, String> {
    let quoted_pair = preceded(literal("\\"), one(|c| (' '..='~').contains(&c)));
    let content = fold_many0(
        alt((quoted_pair, one(|c| !matches!(c, '"' | '\\')))),
        String::new,
        |mut text: String, c| {
            text.push(c);
            text
        },
    );
    delimited(literal("\""), content, literal("\"")).parse(input)
}

/// `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"` (RFC 5321 section 4.1.3)
fn address_literal(input: &str) -> IResult<&str, IpAddr> {
    let inside = run(1, DOMAIN_OCTETS_MAX, |c: char| c.is_ascii_hexdigit() || ".:vVIiPp".contains(c));
    map_opt(delimited(literal("["), inside, literal("]")), |text: &str| {
        match text.get(..5).filter(|head| head.eq_ignore_ascii_case("IPv6:")) {
            Some(_) => text.get(5..)?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    })
    .parse(input)
}

/// `1*20DIGIT` (RFC 1870 section 3); what does not fit 64 bits is the largest number there is
fn number(input: &str) -> IResult<&str, u64> {
    run(1, 20, |c: char| c.is_ascii_digit())
        .map(|digits: &str| digits.parse().unwrap_or(u64::MAX))
        .parse(input)
}

/// A parameter as written: keyword in upper case, value if there is one.
type Parameter<'a> = (String, Option<&'a str>);

/// `*( SP esmtp-keyword ["=" esmtp-value] )`
fn esmtp_parameters(text: &str) -> Result<Vec<Parameter<'_>>, Offence> {
    let mut list: Vec<Parameter<'_>> = Vec::new();
    let mut rest = text;
    while !rest.bytes().all(|octet| octet == b' ') {
        let (tail, (keyword, value)) =
            preceded(space1, esmtp_parameter).parse(rest).map_err(|_| Offence::BadArgument)?;
        let keyword = keyword.to_ascii_uppercase();
        if list.iter().any(|(known, _)| *known == keyword) {
            return Err(Offence::BadParameter);
        }
        list.push((keyword, value));
        rest = tail;
    }
    Ok(list)
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`, `esmtp-value = 1*(%d33-60 / %d62-126)`
fn esmtp_parameter(input: &str) -> IResult<&str, (&str, Option<&str>)> {
    let keyword =
        verify(run(1, usize::MAX, |c: char| c.is_ascii_alphanumeric() || c == '-'), |word: &str| {
            !word.starts_with('-')
        });
    let esmtp_value = run(0, usize::MAX, |c: char| c != ' ' && c != '=');
    let non_empty = verify(esmtp_value, |text: &str| !text.is_empty());
    (keyword, opt(preceded(literal("="), non_empty))).parse(input)
}

fn mail_parameters(text: &str) -> Result<MailParameters, Offence> {
    let mut parameters = MailParameters::default();
    for (keyword, value) in esmtp_parameters(text)? {
        match (keyword.as_str(), value) {
            ("SIZE", Some(digits)) => match all_consuming(number).parse(digits) {
                Ok((_, octets)) => parameters.size = Some(octets),
                Err(_) => return Err(Offence::BadParameter),
            },
            ("BODY", Some(kind)) => parameters.body = body_type(kind)?,
            ("SMTPUTF8", None) => parameters.utf8 = true,
            // Who submitted it elsewhere (RFC 4954 section 5); read and not believed.
            ("AUTH", Some(_)) => {}
            ("SIZE" | "BODY" | "AUTH", None) | ("SMTPUTF8", Some(_)) => return Err(Offence::BadParameter),
            _ => return Err(Offence::UnknownParameter),
        }
    }
    Ok(parameters)
}

fn body_type(kind: &str) -> Result<BodyType, Offence> {
    match kind.to_ascii_uppercase().as_str() {
        "7BIT" => Ok(BodyType::SevenBit),
        "8BITMIME" => Ok(BodyType::EightBitMime),
        "BINARYMIME" => Ok(BodyType::BinaryMime),
        _ => Err(Offence::BadParameter),
    }
}

/// A literal of the grammar, in any case (RFC 5234 section 2.3).
///
/// This and the two parsers below stand in place of nom's own, which cut a text where they think a character
/// ends, and panic if they are wrong: `tag_no_case` is, at a character whose lower case is shorter.
fn literal<'a>(wanted: &str) -> impl Fn(&'a str) -> IResult<&'a str, &'a str> {
    move |input| match input.split_at_checked(wanted.len()) {
        Some((head, tail)) if head.eq_ignore_ascii_case(wanted) => Ok((tail, head)),
        Some(_) | None => Err(nom::Err::Error(Error::new(input, ErrorKind::Tag))),
    }
}

/// A character that is wanted.
fn one<'a>(wanted: impl Fn(char) -> bool) -> impl Fn(&'a str) -> IResult<&'a str, char> {
    move |input| {
        let mut rest = input.chars();
        match rest.next() {
            Some(c) if wanted(c) => Ok((rest.as_str(), c)),
            Some(_) | None => Err(nom::Err::Error(Error::new(input, ErrorKind::Satisfy))),
        }
    }
}

/// As many characters in a row as are wanted, up to `most`; too few if fewer than `least`.
fn run<'a>(
    least: usize,
    most: usize,
    wanted: impl Fn(char) -> bool,
) -> impl Fn(&'a str) -> IResult<&'a str, &'a str> {
    move |input| {
        let (mut characters, mut octets) = (0_usize, 0_usize);
        for c in input.chars().take(most).take_while(|c| wanted(*c)) {
            characters = characters.saturating_add(1);
            octets = octets.saturating_add(c.len_utf8());
        }
        match input.split_at_checked(octets) {
            Some((head, tail)) if characters >= least => Ok((tail, head)),
            Some(_) | None => Err(nom::Err::Error(Error::new(input, ErrorKind::TakeWhileMN))),
        }
    }
}

fn space0(input: &str) -> IResult<&str, &str> {
    run(0, usize::MAX, |c| c == ' ')(input)
}

fn space1(input: &str) -> IResult<&str, &str> {
    run(1, usize::MAX, |c| c == ' ')(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_read_in_any_case_and_a_character_whose_lower_case_is_shorter_is_not_taken_for_it() {
        assert_eq!(literal("ok")("Ok."), Ok((".", "Ok")));
        for other in ["", "o", "o\u{212a}", "\u{212a}", "no"] {
            assert!(literal("ok")(other).is_err(), "{other}");
        }
    }
}
