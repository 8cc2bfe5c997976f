use super::*;
use crate::limits::{
    ADDRESSES_PER_ACCOUNT_MAX, ALIAS_DEPTH_MAX, ALIAS_MEMBERS_MAX, DOMAINS_MAX, PHC_OCTETS_MAX,
};
use crate::policy::recipient::{Expansion, RecipientLookup, look_up_address};
use crate::types::Chance;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$BBBB";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().map(|text| address(text)).collect()
}

/// A directory grown by requests, the way an administrator does it.
#[derive(Default)]
struct World(Directory);

impl World {
    /// Serves `example.org` and has the accounts `ann` and `bob`.
    fn small() -> Self {
        let mut world = Self::default();
        world.done(&Request::DomainAdd(domain("example.org")));
        world.done(&Request::AccountAdd(address("ann@example.org"), Some(HASH.to_owned())));
        world.done(&Request::AccountAdd(address("bob@example.org"), None));
        world
    }

    fn done(&mut self, request: &Request) -> Plan {
        let plan = plan(&self.0, request).unwrap_or_else(|why| panic!("{request:?}: {why}"));
        for change in &plan.changes {
            self.0.apply(change);
        }
        plan
    }

    fn refused(&self, request: &Request) -> String {
        plan(&self.0, request).expect_err("it should be refused").0
    }

    fn alias(&mut self, name: &str, members: &[&str]) -> Vec<String> {
        self.done(&Request::AliasAdd(address(name), addresses(members))).warnings
    }
}

fn mentions(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} does not mention {part:?}");
    }
}

#[test]
fn a_domain_is_added_once() {
    let mut world = World::default();
    let plan = world.done(&Request::DomainAdd(domain("example.org")));
    assert_eq!(
        plan.changes,
        [Change::PutDomain(DomainEntry { name: domain("example.org"), catch_all: None })]
    );
    mentions(&world.refused(&Request::DomainAdd(domain("EXAMPLE.org"))), &["example.org", "already"]);
}

#[test]
fn domains_have_a_ceiling() {
    let mut world = World::default();
    for number in 0..DOMAINS_MAX {
        world.done(&Request::DomainAdd(domain(&format!("d{number}.example"))));
    }
    mentions(&world.refused(&Request::DomainAdd(domain("one.more"))), &["1000", "domain remove"]);
}

#[test]
fn a_domain_with_addresses_stays_and_they_are_counted() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann@example.org"]);
    let why = world.refused(&Request::DomainRemove(domain("example.org")));
    mentions(&why, &["2 of accounts", "1 of aliases", "account list"]);
}

#[test]
fn an_empty_domain_goes_and_aliases_that_name_it_are_told() {
    let mut world = World::small();
    world.done(&Request::DomainAdd(domain("other.example")));
    world.alias("info@example.org", &["ann@example.org", "x@other.example"]);
    let plan = world.done(&Request::DomainRemove(domain("other.example")));
    assert_eq!(plan.changes, [Change::RemoveDomain(domain("other.example"))]);
    assert_eq!(plan.warnings.len(), 1);
    mentions(&plan.warnings[0], &["info@example.org", "other.example"]);
}

#[test]
fn what_is_in_no_served_domain_tells_how_to_serve_it() {
    let world = World::small();
    let outside = address("x@other.example");
    for request in [
        Request::AccountAdd(outside.clone(), None),
        Request::AliasAdd(outside.clone(), addresses(&["ann@example.org"])),
        Request::AddressAdd(address("ann@example.org"), outside),
        Request::DomainCatchAll(domain("other.example"), None),
        Request::DomainRemove(domain("other.example")),
    ] {
        mentions(&world.refused(&request), &["gatepost domain add other.example"]);
    }
}

#[test]
fn an_account_needs_no_password() {
    let world = World::small();
    let id = account_of(&world.0, &address("bob@example.org")).unwrap().id;
    assert_eq!(world.0.account(id).unwrap().password, None);
}

#[test]
fn an_account_that_is_there_is_not_added_again_in_another_spelling() {
    let world = World::small();
    mentions(&world.refused(&Request::AccountAdd(address("ANN@example.org"), None)), &["already"]);
}

#[test]
fn account_numbers_are_never_used_again() {
    let mut world = World::small();
    let old = account_of(&world.0, &address("bob@example.org")).unwrap().id;
    world.done(&Request::AccountRemove(address("bob@example.org")));
    world.done(&Request::AccountAdd(address("bob@example.org"), None));
    assert!(account_of(&world.0, &address("bob@example.org")).unwrap().id > old);
}

#[test]
fn an_address_belongs_to_one_thing_only() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann@example.org"]);
    world.done(&Request::AddressAdd(address("ann@example.org"), address("annie@example.org")));
    mentions(
        &world.refused(&Request::AccountAdd(address("info@example.org"), None)),
        &["alias remove info@"],
    );
    mentions(
        &world.refused(&Request::AccountAdd(address("annie@example.org"), None)),
        &["account address remove ann@example.org annie@example.org"],
    );
    mentions(
        &world.refused(&Request::AddressAdd(address("bob@example.org"), address("annie@example.org"))),
        &["ann@example.org"],
    );
    mentions(
        &world.refused(&Request::AddressAdd(address("bob@example.org"), address("INFO@example.org"))),
        &["alias"],
    );
    mentions(
        &world.refused(&Request::AliasAdd(address("bob@example.org"), addresses(&["ann@example.org"]))),
        &["bob@example.org", "one thing only"],
    );
}

#[test]
fn a_plus_in_an_accounts_address_is_refused_with_the_reason() {
    let world = World::small();
    let plus = address("ann+news@example.org");
    mentions(&world.refused(&Request::AccountAdd(plus.clone(), None)), &["+", "detail"]);
    mentions(&world.refused(&Request::AddressAdd(address("ann@example.org"), plus)), &["+", "detail"]);
}

#[test]
fn a_plain_password_never_passes_for_a_hash() {
    let world = World::small();
    let name = address("ann@example.org");
    for text in ["correct horse battery", "", "$argon2id$v=19$ with space", "$argon2id$\n"] {
        mentions(&world.refused(&Request::AccountPassword(name.clone(), text.to_owned())), &["argon2id"]);
        let request = Request::AccountAdd(address("new@example.org"), Some(text.to_owned()));
        mentions(&world.refused(&request), &["argon2id"]);
    }
    let long = format!("$argon2id${}", "a".repeat(PHC_OCTETS_MAX));
    world.refused(&Request::AccountPassword(name, long));
}

#[test]
fn a_password_is_replaced_and_nothing_else() {
    let mut world = World::small();
    world.done(&Request::AddressAdd(address("bob@example.org"), address("robert@example.org")));
    let before = account_of(&world.0, &address("bob@example.org")).unwrap().clone();
    world.done(&Request::AccountPassword(address("robert@example.org"), HASH.to_owned()));
    let after = account_of(&world.0, &address("bob@example.org")).unwrap();
    assert_eq!(*after, Account { password: Some(HASH.to_owned()), ..before });
}

#[test]
fn what_is_so_already_changes_nothing() {
    let mut world = World::small();
    world.done(&Request::AddressAdd(address("ann@example.org"), address("annie@example.org")));
    world.alias("info@example.org", &["ann@example.org"]);
    world.done(&Request::DomainCatchAll(domain("example.org"), Some(address("bob@example.org"))));
    for request in [
        Request::AccountPassword(address("ann@example.org"), HASH.to_owned()),
        Request::AccountState(address("ann@example.org"), AccountState::Active),
        Request::AddressAdd(address("ann@example.org"), address("ANNIE@example.org")),
        Request::AliasAdd(address("info@example.org"), addresses(&["ann@example.org"])),
        Request::DomainCatchAll(domain("example.org"), Some(address("bob@example.org"))),
    ] {
        assert_eq!(world.done(&request), Plan::default(), "{request:?}");
    }
}

#[test]
fn a_state_is_changed() {
    let mut world = World::small();
    for state in [AccountState::Disabled, AccountState::Suspended, AccountState::Active] {
        world.done(&Request::AccountState(address("ann@example.org"), state));
        assert_eq!(account_of(&world.0, &address("ann@example.org")).unwrap().state, state);
    }
}

#[test]
fn an_accounts_name_is_not_taken_from_it() {
    let mut world = World::small();
    let ann = address("ann@example.org");
    world.done(&Request::AddressAdd(ann.clone(), address("annie@example.org")));
    let why =
        world.refused(&Request::AddressRemove(address("annie@example.org"), address("Ann@example.org")));
    mentions(&why, &["account's name", "account remove ann@example.org"]);
    world.done(&Request::AddressRemove(ann.clone(), address("ANNIE@example.org")));
    assert_eq!(world.0.target(&address("annie@example.org")), None);
    assert_eq!(account_of(&world.0, &ann).unwrap().addresses, [ann]);
}

#[test]
fn only_an_accounts_own_address_is_taken_from_it() {
    let world = World::small();
    for other in ["bob@example.org", "nobody@example.org"] {
        let why = world.refused(&Request::AddressRemove(address("ann@example.org"), address(other)));
        mentions(&why, &["not an address of the account ann@example.org"]);
    }
}

#[test]
fn an_address_taken_away_is_told_for_each_alias_that_lists_it() {
    let mut world = World::small();
    world.done(&Request::AddressAdd(address("ann@example.org"), address("annie@example.org")));
    world.alias("one@example.org", &["annie@example.org"]);
    world.alias("two@example.org", &["annie+x@example.org", "bob@example.org"]);
    world.alias("three@example.org", &["ann@example.org"]);
    let plan = world.done(&Request::AddressRemove(address("ann@example.org"), address("annie@example.org")));
    assert_eq!(plan.warnings.len(), 2);
    mentions(&plan.warnings[0], &["one@example.org", "annie@example.org"]);
    mentions(&plan.warnings[1], &["two@example.org"]);
}

#[test]
fn addresses_of_an_account_have_a_ceiling() {
    let mut world = World::small();
    for number in 1..ADDRESSES_PER_ACCOUNT_MAX {
        let further = address(&format!("ann{number}@example.org"));
        world.done(&Request::AddressAdd(address("ann@example.org"), further));
    }
    mentions(
        &world.refused(&Request::AddressAdd(address("ann@example.org"), address("more@example.org"))),
        &["100 addresses"],
    );
}

#[test]
fn a_further_address_does_not_remove_the_account() {
    let mut world = World::small();
    world.done(&Request::AddressAdd(address("ann@example.org"), address("sales@example.org")));
    let why = world.refused(&Request::AccountRemove(address("sales@example.org")));
    mentions(&why, &["account remove ann@example.org", "address remove ann@example.org sales@example.org"]);
}

#[test]
fn a_removed_account_ends_the_catch_alls_that_lead_to_it() {
    let mut world = World::small();
    for name in ["example.org", "two.example", "three.example"] {
        if name != "example.org" {
            world.done(&Request::DomainAdd(domain(name)));
        }
    }
    for (name, target) in [("example.org", "ann"), ("two.example", "ann"), ("three.example", "bob")] {
        let target = address(&format!("{target}@example.org"));
        world.done(&Request::DomainCatchAll(domain(name), Some(target)));
    }
    let plan = world.done(&Request::AccountRemove(address("ann@example.org")));
    assert_eq!(plan.changes.len(), 3);
    assert_eq!(plan.warnings.len(), 2);
    assert!(world.0.domain(&domain("example.org")).unwrap().catch_all.is_none());
    assert!(world.0.domain(&domain("two.example")).unwrap().catch_all.is_none());
    assert!(world.0.domain(&domain("three.example")).unwrap().catch_all.is_some());
}

#[test]
fn a_removed_account_is_told_for_each_alias_that_lists_it() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann+info@example.org", "bob@example.org"]);
    world.alias("bobs@example.org", &["bob@example.org"]);
    let plan = world.done(&Request::AccountRemove(address("ann@example.org")));
    assert_eq!(plan.warnings.len(), 1);
    mentions(&plan.warnings[0], &["info@example.org", "ann@example.org"]);
}

#[test]
fn the_last_account_is_removed_with_a_word_about_postmaster() {
    let mut world = World::small();
    assert_eq!(world.done(&Request::AccountRemove(address("bob@example.org"))).warnings, [""; 0]);
    let plan = world.done(&Request::AccountRemove(address("ann@example.org")));
    mentions(&plan.warnings[0], &["postmaster", "451"]);
}

#[test]
fn a_catch_all_is_an_account() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann@example.org"]);
    for (target, word) in [("info@example.org", "is an alias"), ("nobody@example.org", "no account")] {
        let request = Request::DomainCatchAll(domain("example.org"), Some(address(target)));
        mentions(&world.refused(&request), &["must be an account", word]);
    }
}

#[test]
fn a_suspended_catch_all_is_taken_with_a_warning() {
    let mut world = World::small();
    world.done(&Request::AccountState(address("ann@example.org"), AccountState::Suspended));
    let request = Request::DomainCatchAll(domain("example.org"), Some(address("ann@example.org")));
    let plan = world.done(&request);
    assert_eq!(plan.changes.len(), 1);
    mentions(&plan.warnings[0], &["suspended", "450", "account enable"]);
}

#[test]
fn an_alias_replaces_its_members_and_may_take_postmaster() {
    let mut world = World::small();
    assert_eq!(world.alias("postmaster@example.org", &["ann@example.org"]), [""; 0]);
    world.alias("Postmaster@example.org", &["bob@example.org"]);
    assert_eq!(world.0.aliases().count(), 1);
    let bob = account_of(&world.0, &address("bob@example.org")).unwrap().id;
    assert_eq!(
        look_up_address(&world.0, &address("postmaster@example.org")),
        RecipientLookup::Alias(Expansion::Members(vec![bob]))
    );
}

#[test]
fn a_member_is_listed_once_however_often_it_is_given() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann@example.org", "ANN@example.org", "bob@example.org"]);
    let alias = world.0.aliases().next().unwrap();
    assert_eq!(alias.members, addresses(&["ann@example.org", "bob@example.org"]));
}

#[test]
fn an_alias_needs_a_member_and_has_a_ceiling() {
    let world = World::small();
    let info = address("info@example.org");
    mentions(&world.refused(&Request::AliasAdd(info.clone(), Vec::new())), &["--to"]);
    let many = (0..=ALIAS_MEMBERS_MAX).map(|n| address(&format!("m{n}@example.org"))).collect();
    mentions(&world.refused(&Request::AliasAdd(info, many)), &["1001", "1000"]);
}

#[test]
fn members_that_get_nothing_are_taken_with_a_warning_each() {
    let mut world = World::small();
    world.done(&Request::AccountState(address("bob@example.org"), AccountState::Suspended));
    let members = [
        "ann@example.org",
        "nobody@example.org",
        "x@elsewhere.example",
        "bob@example.org",
        "info@example.org",
    ];
    let warnings = world.alias("info@example.org", &members);
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    mentions(&warnings[0], &["nobody@example.org", "nobody's address"]);
    mentions(&warnings[1], &["x@elsewhere.example", "not served here"]);
    mentions(&warnings[2], &["bob@example.org", "suspended"]);
    mentions(&warnings[3], &["info@example.org", "the alias itself"]);
}

#[test]
fn an_alias_nobody_gets_says_so() {
    let mut world = World::small();
    let warnings = world.alias("info@example.org", &["nobody@example.org"]);
    mentions(warnings.last().unwrap(), &["info@example.org", "451"]);
}

#[test]
fn a_loop_is_named_at_the_member_that_leads_back() {
    let mut world = World::small();
    world.alias("a@example.org", &["b@example.org", "ann@example.org"]);
    world.alias("b@example.org", &["c@example.org"]);
    world.alias("d@example.org", &["bob@example.org"]);
    let warnings = world.alias("c@example.org", &["a@example.org", "d@example.org", "ann@example.org"]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    mentions(&warnings[0], &["a@example.org", "leads back"]);
}

#[test]
fn aliases_too_deep_are_told_and_the_lookup_agrees() {
    let mut world = World::small();
    world.alias("a0@example.org", &["ann@example.org"]);
    for depth in 1..=ALIAS_DEPTH_MAX {
        let below = format!("a{}@example.org", depth - 1);
        assert_eq!(world.alias(&format!("a{depth}@example.org"), &[&below]), [""; 0], "depth {depth}");
    }
    let top = ALIAS_DEPTH_MAX + 1;
    let warnings = world.alias(&format!("a{top}@example.org"), &[&format!("a{ALIAS_DEPTH_MAX}@example.org")]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    mentions(&warnings[1], &["one inside the other"]);
    assert_eq!(
        look_up_address(&world.0, &address(&format!("a{top}@example.org"))),
        RecipientLookup::Alias(Expansion::TooDeep)
    );
}

#[test]
fn an_alias_is_removed_and_those_that_list_it_are_told() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann@example.org"]);
    world.alias("all@example.org", &["INFO@example.org"]);
    let plan = world.done(&Request::AliasRemove(address("Info@example.org")));
    assert_eq!(plan.changes, [Change::RemoveAlias(address("info@example.org"))]);
    mentions(&plan.warnings[0], &["all@example.org", "info@example.org"]);
    mentions(&world.refused(&Request::AliasRemove(address("info@example.org"))), &["no alias"]);
    mentions(&world.refused(&Request::AliasRemove(address("ann@example.org"))), &["account ann@example.org"]);
}

#[test]
fn what_is_no_account_is_told_what_it_is() {
    let mut world = World::small();
    world.alias("info@example.org", &["ann@example.org"]);
    mentions(
        &world.refused(&Request::AccountPassword(address("info@example.org"), HASH.to_owned())),
        &["is an alias"],
    );
    mentions(
        &world.refused(&Request::AccountPassword(address("x@example.org"), HASH.to_owned())),
        &["account add x@example.org"],
    );
}

/// Whatever is asked in whatever order, the directory stays one in which every lookup has an answer: each
/// address leads to one thing, and everything named by an index is there.
#[test]
fn no_order_of_requests_breaks_the_directory() {
    let mut chance = Chance::from_seed([7; 32]);
    let mut world = World::default();
    for _ in 0..5_000 {
        let request = any_request(&mut chance);
        if let Ok(plan) = plan(&world.0, &request) {
            plan.changes.iter().for_each(|change| world.0.apply(change));
        }
    }
    assert!(world.0.accounts().count() > 0 && world.0.aliases().count() > 0, "the requests reach something");
    for account in world.0.accounts() {
        assert!(!account.addresses.is_empty());
        for own in &account.addresses {
            assert_eq!(world.0.target(own), Some(Target::Account(account.id)));
            assert!(world.0.domain(&own.domain).is_some());
        }
    }
    for alias in world.0.aliases() {
        assert_eq!(world.0.target(&alias.address), Some(Target::Alias));
        assert!(world.0.domain(&alias.address.domain).is_some());
    }
    for entry in world.0.domains() {
        assert!(entry.catch_all.is_none_or(|id| world.0.account(id).is_some()));
    }
}

fn any_request(chance: &mut Chance) -> Request {
    let domains = ["one.example", "two.example"];
    let names = ["a", "b", "C", "d", "postmaster"];
    let pick = |chance: &mut Chance, list: &[&str]| {
        let index = usize::try_from(chance.below(list.len() as u64)).unwrap();
        list[index].to_owned()
    };
    let any_domain = |chance: &mut Chance| domain(&pick(chance, &domains));
    let any_address = |chance: &mut Chance| {
        let local = pick(chance, &names);
        address(&format!("{local}@{}", pick(chance, &domains)))
    };
    match chance.below(11) {
        0 => Request::DomainAdd(any_domain(chance)),
        1 => Request::DomainRemove(any_domain(chance)),
        2 => Request::DomainCatchAll(any_domain(chance), Some(any_address(chance))),
        3 | 4 => Request::AccountAdd(any_address(chance), None),
        5 => Request::AccountRemove(any_address(chance)),
        6 => Request::AccountState(any_address(chance), AccountState::Suspended),
        7 => Request::AddressAdd(any_address(chance), any_address(chance)),
        8 => Request::AddressRemove(any_address(chance), any_address(chance)),
        9 => Request::AliasRemove(any_address(chance)),
        _ => Request::AliasAdd(any_address(chance), vec![any_address(chance), any_address(chance)]),
    }
}
