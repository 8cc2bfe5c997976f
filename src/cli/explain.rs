//! Which way mail to an address and a login with it take, and why.

use super::arguments::Form;
use super::failure::Failure;
use super::list::{directory, name_of};
use super::output::{json, printable, write_out};
use crate::auth::lookup::{self, LoginLookup};
use crate::directory::{AccountState, Directory, is_role};
use crate::limits::{ALIAS_DEPTH_MAX, ALIAS_EXPANSION_MAX};
use crate::policy::recipient::{self, Expansion, RecipientLookup};
use crate::types::{AccountId, Address, ForwardPath};
use serde::Serialize;
use std::path::Path;

/// What an address comes to.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Explanation {
    address: String,
    /// The outcome of the lookup at RCPT, by name.
    delivery: &'static str,
    /// The reply to RCPT.
    delivery_reply: &'static str,
    delivery_reason: String,
    /// The accounts that get the mail.
    accounts: Vec<String>,
    /// The outcome of the lookup at AUTH, by name.
    login: &'static str,
    login_reply: &'static str,
    login_reason: String,
}

/// Explains an address.
///
/// # Errors
/// When the directory cannot be read.
pub fn explain(dir: &Path, path: &ForwardPath, form: Form) -> Result<(), Failure> {
    let explanation = of(&directory(dir)?, path);
    match form {
        Form::Scripts => json(&[explanation]),
        Form::People => {
            let text = words(&explanation);
            write_out(|out| out.write_all(text.as_bytes()))
        }
    }
}

fn words(explanation: &Explanation) -> String {
    let mut out = printable(&explanation.address);
    for (what, variant, reply, reason) in [
        ("mail", explanation.delivery, explanation.delivery_reply, &explanation.delivery_reason),
        ("login", explanation.login, explanation.login_reply, &explanation.login_reason),
    ] {
        out.push_str(&format!("\n  {what:<5}  {variant}: {}\n         reply {reply}", printable(reason)));
    }
    out.push('\n');
    out
}

fn of(directory: &Directory, path: &ForwardPath) -> Explanation {
    let address = address_of(path);
    let written = address.as_ref().map_or_else(|| "postmaster".to_owned(), Address::to_string);
    let found = recipient::look_up(Some(directory), path);
    let login = lookup::look_up(Some(directory), written.as_bytes());
    let (delivery, delivery_reply, delivery_reason) = delivery(directory, address.as_ref(), &found);
    let accounts = match &found {
        RecipientLookup::Account(id) | RecipientLookup::CatchAll(id) => vec![name_of(directory, *id)],
        RecipientLookup::Alias(Expansion::Members(members)) => {
            members.iter().map(|id| name_of(directory, *id)).collect()
        }
        RecipientLookup::Alias(Expansion::NoLivingMember | Expansion::TooDeep | Expansion::TooMany)
        | RecipientLookup::SuspendedAccount(_)
        | RecipientLookup::NoSuchAddress
        | RecipientLookup::NotOurDomain
        | RecipientLookup::Unavailable => Vec::new(),
    };
    let (login, login_reply, login_reason) = login_words(directory, &login);
    Explanation {
        address: written,
        delivery,
        delivery_reply,
        delivery_reason,
        accounts,
        login,
        login_reply,
        login_reason,
    }
}

fn address_of(path: &ForwardPath) -> Option<Address> {
    match path {
        ForwardPath::Postmaster => None,
        ForwardPath::Mailbox(mailbox) => mailbox.address(),
    }
}

type Words = (&'static str, &'static str, String);

const OK: &str = "250 2.1.5";
const BAD_ALIAS: &str = "451 4.3.5";

fn delivery(directory: &Directory, address: Option<&Address>, found: &RecipientLookup) -> Words {
    match found {
        RecipientLookup::Account(id) => (
            "account",
            OK,
            format!("the account {} gets it{}", name_of(directory, *id), by(directory, address)),
        ),
        RecipientLookup::SuspendedAccount(id) => {
            let name = name_of(directory, *id);
            let why = format!("the account {name} takes no mail until `gatepost account enable {name}`");
            ("suspended-account", "450 4.2.1", why)
        }
        RecipientLookup::Alias(expansion) => alias(directory, address, expansion),
        RecipientLookup::CatchAll(id) => {
            let why = format!(
                "nobody has the address, and the catch-all of its domain is {}",
                name_of(directory, *id)
            );
            ("catch-all", OK, why)
        }
        RecipientLookup::NoSuchAddress => ("no-such-address", "550 5.1.1", nobody(directory, address)),
        RecipientLookup::NotOurDomain => {
            let domain = address.map(|address| address.domain.to_string()).unwrap_or_default();
            let why = format!(
                "the domain {domain} is not served here: `gatepost domain add {domain}` would serve it"
            );
            ("not-our-domain", "550 5.7.1", why)
        }
        RecipientLookup::Unavailable => {
            ("unavailable", "451 4.3.0", "the directory cannot be read".to_owned())
        }
    }
}

/// Where the address was found when it is not written like that.
fn by(directory: &Directory, address: Option<&Address>) -> String {
    let Some(address) = address else { return String::new() };
    match directory.resolve(address) {
        Some((_, key)) if key != address.key() => format!(", for {} with a detail", key.as_str()),
        Some(_) | None => String::new(),
    }
}

fn alias(directory: &Directory, address: Option<&Address>, expansion: &Expansion) -> Words {
    let is_default = match address {
        None => true,
        Some(address) => directory.resolve(address).is_none() && is_role(&address.local),
    };
    let what = if is_default {
        "every domain must have somebody here, and where no address says otherwise it is the oldest account \
         that takes mail"
            .to_owned()
    } else {
        format!("it is an alias{}", by(directory, address))
    };
    match expansion {
        Expansion::Members(members) => {
            ("alias", OK, format!("{what}; it leads to {}", names(directory, members)))
        }
        Expansion::NoLivingMember => (
            "alias-without-living-member",
            BAD_ALIAS,
            format!("{what}, and no member is an account that takes mail"),
        ),
        Expansion::TooDeep => (
            "alias-too-deep",
            BAD_ALIAS,
            format!("{what}, and leads through more than {ALIAS_DEPTH_MAX} aliases one inside the other"),
        ),
        Expansion::TooMany => (
            "alias-too-many",
            BAD_ALIAS,
            format!("{what}, and leads to more than {ALIAS_EXPANSION_MAX} accounts"),
        ),
    }
}

fn names(directory: &Directory, members: &[AccountId]) -> String {
    members.iter().map(|id| name_of(directory, *id)).collect::<Vec<_>>().join(", ")
}

fn nobody(directory: &Directory, address: Option<&Address>) -> String {
    let caught = address.is_some_and(|address| {
        directory.domain(&address.domain).is_some_and(|domain| domain.catch_all.is_some())
            && address.local.has_routing_character()
    });
    if caught {
        return "nobody has the address, and the catch-all takes none with %, ! or @ in it: old mail systems \
                routed by them, so it is meant for another host"
            .to_owned();
    }
    "the domain is served, nobody has the address, and there is no catch-all".to_owned()
}

fn login_words(directory: &Directory, found: &LoginLookup) -> Words {
    const REFUSED: &str = "535 5.7.8";
    match found {
        LoginLookup::Account(id, _) => (
            "account",
            "235 2.7.0 with the right password, 535 5.7.8 with another",
            format!("it names the account {}", name_of(directory, *id)),
        ),
        LoginLookup::DisabledAccount(id, _) => {
            let name = name_of(directory, *id);
            let state = directory.account(*id).map_or(AccountState::Disabled, |account| account.state);
            let why = format!(
                "the account {name} is {}; `gatepost account enable {name}` allows logins again",
                super::list::state_name(state)
            );
            ("disabled-account", "525 5.7.13 with the right password, 535 5.7.8 with another", why)
        }
        LoginLookup::MainPasswordForbidden(id) => {
            let name = name_of(directory, *id);
            let why = format!(
                "only application passwords open the account {name}; \
                 `gatepost account passwd {name} --app-passwords-only off` lets its own password in again"
            );
            ("main-password-forbidden", "535 5.7.8 unless it is an application password", why)
        }
        LoginLookup::AccountWithoutPassword(id) => {
            let name = name_of(directory, *id);
            let why =
                format!("the account {name} has no password; `gatepost account passwd {name}` gives it one");
            ("account-without-password", REFUSED, why)
        }
        LoginLookup::Alias => ("alias", REFUSED, "an alias has no password and never logs in".to_owned()),
        LoginLookup::CatchAll => {
            ("catch-all", REFUSED, "only a catch-all takes the address, and that is no login".to_owned())
        }
        LoginLookup::NoSuchAddress => (
            "no-such-address",
            REFUSED,
            "the domain is served and no account has exactly this address".to_owned(),
        ),
        LoginLookup::NoSuchDomain => ("no-such-domain", REFUSED, "the domain is not served here".to_owned()),
        LoginLookup::Malformed => {
            ("malformed", REFUSED, "a login name is an address with its domain".to_owned())
        }
        LoginLookup::Unavailable => ("unavailable", "454 4.7.0", "the directory cannot be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::plan::{self, Request};
    use crate::types::{Domain, Host, Mailbox};

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBB";

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn small() -> Directory {
        let mut directory = Directory::default();
        let domain = |name| Domain::parse(name).unwrap();
        for request in [
            Request::DomainAdd(domain("a.example")),
            Request::DomainAdd(domain("c.example")),
            Request::AccountAdd(address("ann@a.example"), Some(HASH.to_owned())),
            Request::AccountAdd(address("bob@a.example"), None),
            Request::AccountAdd(address("sue@a.example"), Some(HASH.to_owned())),
            Request::AccountState(address("sue@a.example"), AccountState::Suspended),
            Request::AliasAdd(
                address("all@a.example"),
                vec![address("ann@a.example"), address("bob@a.example")],
            ),
            Request::AliasAdd(address("none@a.example"), vec![address("x@y.example")]),
            Request::DomainCatchAll(domain("c.example"), Some(address("bob@a.example"))),
        ] {
            for change in plan::plan(&directory, &request).unwrap().changes {
                directory.apply(&change);
            }
        }
        directory
    }

    fn explained(text: &str) -> Explanation {
        let path = if text == "postmaster" {
            ForwardPath::Postmaster
        } else {
            let address = address(text);
            ForwardPath::Mailbox(Mailbox { local: address.local, host: Host::Domain(address.domain) })
        };
        of(&small(), &path)
    }

    #[test]
    fn every_way_has_its_name_and_its_reply() {
        for (text, delivery, delivery_reply, login) in [
            ("ann@a.example", "account", "250 2.1.5", "account"),
            ("ann+x@a.example", "account", "250 2.1.5", "no-such-address"),
            ("bob@a.example", "account", "250 2.1.5", "account-without-password"),
            ("sue@a.example", "suspended-account", "450 4.2.1", "disabled-account"),
            ("all@a.example", "alias", "250 2.1.5", "alias"),
            ("none@a.example", "alias-without-living-member", "451 4.3.5", "alias"),
            ("abuse@a.example", "alias", "250 2.1.5", "alias"),
            ("postmaster", "alias", "250 2.1.5", "malformed"),
            ("any@c.example", "catch-all", "250 2.1.5", "catch-all"),
            ("any%x@c.example", "no-such-address", "550 5.1.1", "catch-all"),
            ("any@a.example", "no-such-address", "550 5.1.1", "no-such-address"),
            ("any@b.example", "not-our-domain", "550 5.7.1", "no-such-domain"),
        ] {
            let explanation = explained(text);
            assert_eq!(
                (explanation.delivery, explanation.delivery_reply, explanation.login),
                (delivery, delivery_reply, login),
                "{text}"
            );
        }
    }

    #[test]
    fn reasons_say_where_it_goes_and_how_to_mend_it() {
        for (text, part) in [
            ("ann+x@a.example", "for ann@a.example with a detail"),
            ("sue@a.example", "account enable sue@a.example"),
            ("all@a.example", "ann@a.example, bob@a.example"),
            ("abuse@a.example", "oldest account"),
            ("any%x@c.example", "old mail systems"),
            ("any@b.example", "domain add b.example"),
        ] {
            let explanation = explained(text);
            assert!(explanation.delivery_reason.contains(part), "{text}: {}", explanation.delivery_reason);
        }
        assert!(explained("bob@a.example").login_reason.contains("account passwd bob@a.example"));
        assert_eq!(explained("all@a.example").accounts, ["ann@a.example", "bob@a.example"]);
    }

    #[test]
    fn scripts_get_this_shape() {
        let value = serde_json::to_value([explained("any@c.example")]).unwrap();
        let names: Vec<&String> = value[0].as_object().unwrap().keys().collect();
        let wanted = [
            "accounts",
            "address",
            "delivery",
            "delivery_reason",
            "delivery_reply",
            "login",
            "login_reason",
            "login_reply",
        ];
        assert_eq!(names, wanted);
        assert_eq!(value[0]["accounts"][0], "bob@a.example");
    }

    #[test]
    fn people_get_both_ways_in_words() {
        let text = words(&explained("ann@a.example"));
        assert_eq!(
            text,
            "ann@a.example\n  mail   account: the account ann@a.example gets it\n         reply 250 2.1.5\n  \
             login  account: it names the account ann@a.example\n         \
             reply 235 2.7.0 with the right password, 535 5.7.8 with another\n"
        );
    }
}
