use super::*;
use crate::directory::{Account, Alias, Change, DomainEntry};
use crate::types::{Host, Mailbox};

/// A directory written as it would be typed.
#[derive(Default)]
struct World {
    changes: Vec<Change>,
    accounts: u32,
}

impl World {
    fn new() -> Self {
        Self::default().domain("example.org", None)
    }

    fn domain(mut self, name: &str, catch_all: Option<u32>) -> Self {
        let name = name.to_owned().try_into().unwrap();
        self.changes.push(Change::PutDomain(DomainEntry { name, catch_all: catch_all.map(AccountId) }));
        self
    }

    fn account(mut self, state: AccountState, name: &str) -> Self {
        self.accounts += 1;
        self.changes.push(Change::PutAccount(Account {
            id: AccountId(self.accounts),
            addresses: vec![name.parse().unwrap()],
            password: None,
            state,
            app_passwords: Default::default(),
        }));
        self
    }

    fn active(self, name: &str) -> Self {
        self.account(AccountState::Active, name)
    }

    fn alias(mut self, name: &str, members: &[&str]) -> Self {
        self.changes.push(Change::PutAlias(Alias {
            address: name.parse().unwrap(),
            members: members.iter().map(|member| member.parse().unwrap()).collect(),
        }));
        self
    }

    fn find(&self, address: &str) -> RecipientLookup {
        let Address { local, domain } = address.parse().unwrap();
        self.path(&ForwardPath::Mailbox(Mailbox { local, host: Host::Domain(domain) }))
    }

    fn path(&self, path: &ForwardPath) -> RecipientLookup {
        let directory = Directory::load(self.changes.iter().cloned(), self.accounts + 1);
        look_up(Some(&directory), path)
    }
}

fn members(ids: &[u32]) -> RecipientLookup {
    RecipientLookup::Alias(Expansion::Members(ids.iter().map(|id| AccountId(*id)).collect()))
}

#[test]
fn an_account_takes_mail_also_when_its_logins_are_stopped() {
    let world = World::new()
        .active("me@example.org")
        .account(AccountState::Disabled, "off@example.org")
        .account(AccountState::Suspended, "away@example.org");
    assert_eq!(world.find("Me@Example.ORG"), RecipientLookup::Account(AccountId(1)));
    assert_eq!(world.find("off@example.org"), RecipientLookup::Account(AccountId(2)));
    assert_eq!(world.find("away@example.org"), RecipientLookup::SuspendedAccount(AccountId(3)));
}

#[test]
fn a_detail_leads_to_its_user_unless_somebody_has_the_whole_address() {
    let world = World::new()
        .active("me@example.org")
        .alias("me+sales@example.org", &["me@example.org"])
        .alias("team@example.org", &["me@example.org"]);
    assert_eq!(world.find("me+x+y@example.org"), RecipientLookup::Account(AccountId(1)));
    assert_eq!(world.find("me+sales@example.org"), members(&[1]));
    assert_eq!(world.find("team+x@example.org"), members(&[1]));
    assert_eq!(world.find("+me@example.org"), RecipientLookup::NoSuchAddress);
}

#[test]
fn every_member_of_an_alias_gets_one_copy_however_it_is_reached() {
    let world = World::new()
        .active("b@example.org")
        .active("a@example.org")
        .alias("inner@example.org", &["a@example.org", "b+x@example.org"])
        .alias(
            "all@example.org",
            &["a@example.org", "inner@example.org", "A@example.org", "inner+y@example.org"],
        );
    assert_eq!(world.find("all@example.org"), members(&[1, 2]));
}

#[test]
fn members_that_cannot_get_it_do_not_keep_it_from_the_others() {
    let world = World::new()
        .active("me@example.org")
        .account(AccountState::Suspended, "away@example.org")
        .alias(
            "all@example.org",
            &["gone@example.org", "you@elsewhere.example", "away@example.org", "me@example.org"],
        )
        .alias("none@example.org", &["gone@example.org", "you@elsewhere.example", "away@example.org"]);
    assert_eq!(world.find("all@example.org"), members(&[1]));
    assert_eq!(world.find("none@example.org"), RecipientLookup::Alias(Expansion::NoLivingMember));
}

#[test]
fn a_loop_of_aliases_ends_and_those_beside_it_get_their_copy() {
    let world = World::new()
        .active("me@example.org")
        .alias("self@example.org", &["self@example.org"])
        .alias("a@example.org", &["b@example.org"])
        .alias("b@example.org", &["a@example.org", "me@example.org"]);
    assert_eq!(world.find("self@example.org"), RecipientLookup::Alias(Expansion::NoLivingMember));
    assert_eq!(world.find("a@example.org"), members(&[1]));
}

/// `a0` leads to `a1`, and so on; the last leads to the account.
fn chain(length: usize) -> World {
    (0..length).fold(World::new().active("me@example.org"), |world, number| {
        let next = format!("a{}@example.org", number + 1);
        let next = if number + 1 == length { "me@example.org" } else { next.as_str() };
        world.alias(&format!("a{number}@example.org"), &[next])
    })
}

#[test]
fn aliases_within_aliases_are_followed_to_their_ceiling_and_no_further() {
    assert_eq!(chain(ALIAS_DEPTH_MAX + 1).find("a0@example.org"), members(&[1]));
    let too_deep = chain(ALIAS_DEPTH_MAX + 2);
    assert_eq!(too_deep.find("a0@example.org"), RecipientLookup::Alias(Expansion::TooDeep));
    assert_eq!(too_deep.find("a1@example.org"), members(&[1]));
}

#[test]
fn an_alias_that_leads_to_too_many_accounts_is_refused() {
    let mut world = World::new();
    let names: Vec<String> =
        (0..=ALIAS_EXPANSION_MAX).map(|number| format!("u{number}@example.org")).collect();
    for name in &names {
        world = world.active(name);
    }
    let half = names.len() / 2;
    let part = |from: usize, to: usize| names[from..to].iter().map(String::as_str).collect::<Vec<_>>();
    let world = world
        .alias("one@example.org", &part(0, half))
        .alias("two@example.org", &part(half, names.len()))
        .alias("most@example.org", &part(1, names.len()))
        .alias("all@example.org", &["one@example.org", "two@example.org"]);
    assert_eq!(world.find("all@example.org"), RecipientLookup::Alias(Expansion::TooMany));
    assert!(matches!(
        world.find("most@example.org"),
        RecipientLookup::Alias(Expansion::Members(all)) if all.len() == ALIAS_EXPANSION_MAX
    ));
}

#[test]
fn a_catch_all_takes_what_nobody_has_and_nothing_else() {
    let world = World::new()
        .domain("all.example", Some(1))
        .active("me@example.org")
        .active("you@all.example")
        .alias("info@all.example", &["gone@example.org"]);
    assert_eq!(world.find("whoever@all.example"), RecipientLookup::CatchAll(AccountId(1)));
    assert_eq!(world.find("you@all.example"), RecipientLookup::Account(AccountId(2)));
    assert_eq!(world.find("info@all.example"), RecipientLookup::Alias(Expansion::NoLivingMember));
    assert_eq!(world.find("whoever@example.org"), RecipientLookup::NoSuchAddress);
}

#[test]
fn a_catch_all_whose_account_is_suspended_or_gone_says_so() {
    let world = World::new()
        .domain("away.example", Some(1))
        .domain("gone.example", Some(9))
        .account(AccountState::Suspended, "me@example.org");
    assert_eq!(world.find("x@away.example"), RecipientLookup::SuspendedAccount(AccountId(1)));
    assert_eq!(world.find("x@gone.example"), RecipientLookup::NoSuchAddress);
}

#[test]
fn no_classic_form_of_relaying_leads_anywhere() {
    let world = World::new().domain("all.example", Some(1)).active("me@example.org");
    for address in [
        "victim%elsewhere.example@all.example",
        "elsewhere.example!victim@all.example",
        "\"victim@elsewhere.example\"@all.example",
        "\"@elsewhere.example:victim\"@all.example",
    ] {
        assert_eq!(world.find(address), RecipientLookup::NoSuchAddress, "{address}");
    }
    assert_eq!(world.find("victim@elsewhere.example"), RecipientLookup::NotOurDomain);
    let literal = Host::Literal("127.0.0.1".parse().unwrap());
    let local = "me@example.org".parse::<Address>().unwrap().local;
    assert_eq!(
        world.path(&ForwardPath::Mailbox(Mailbox { local, host: literal })),
        RecipientLookup::NotOurDomain
    );
}

#[test]
fn a_subdomain_of_ours_is_not_ours() {
    let world = World::new().active("me@example.org");
    assert_eq!(world.find("me@mail.example.org"), RecipientLookup::NotOurDomain);
    assert_eq!(world.find("me@org"), RecipientLookup::NotOurDomain);
}

#[test]
fn postmaster_and_abuse_lead_to_the_oldest_account_that_takes_mail() {
    let world = World::new()
        .account(AccountState::Suspended, "first@example.org")
        .active("second@example.org")
        .active("third@example.org");
    for role in ["postmaster@example.org", "ABUSE@example.org"] {
        assert_eq!(world.find(role), members(&[2]), "{role}");
    }
    assert_eq!(world.path(&ForwardPath::Postmaster), members(&[2]));
    assert_eq!(
        World::new().path(&ForwardPath::Postmaster),
        RecipientLookup::Alias(Expansion::NoLivingMember)
    );
    assert_eq!(world.find("postmaster@elsewhere.example"), RecipientLookup::NotOurDomain);
}

#[test]
fn a_role_goes_where_an_address_or_alias_says_and_not_to_a_catch_all() {
    let world = World::new()
        .domain("all.example", Some(2))
        .active("first@example.org")
        .active("abuse@example.org")
        .alias("postmaster@example.org", &["abuse@example.org"]);
    assert_eq!(world.find("postmaster@example.org"), members(&[2]));
    assert_eq!(world.find("abuse@example.org"), RecipientLookup::Account(AccountId(2)));
    assert_eq!(world.find("postmaster@all.example"), members(&[1]));
}

#[test]
fn without_a_directory_nothing_is_known() {
    assert_eq!(look_up(None, &ForwardPath::Postmaster), RecipientLookup::Unavailable);
}

#[test]
fn the_bare_postmaster_is_the_one_a_domain_names() {
    let world = World::new()
        .domain("other.example", None)
        .active("first@example.org")
        .active("second@example.org")
        .alias("postmaster@other.example", &["second@example.org"]);
    assert_eq!(world.path(&ForwardPath::Postmaster), members(&[2]));
}
