//! Domains, accounts, aliases.

use crate::world::{PASSWORD, World, binary, files, run};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn the_first_domain_begins_a_directory_that_only_its_owner_enters() {
    let world = World::new();
    let first = world.run("domain add example.org");
    assert_eq!(first.code, 0);
    assert!(first.told.contains("new data directory"), "{first:?}");
    assert_eq!(std::fs::metadata(world.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(world.run("domain list --json").json(), json!([{"domain": "example.org", "catch_all": null}]));
}

#[test]
fn nothing_but_a_first_domain_begins_a_directory() {
    let world = World::new();
    for line in [
        "domain list",
        "account list",
        "alias list",
        "account add a@example.org",
        "alias add a@example.org --to b@example.org",
        "address explain a@example.org",
        "mail list a@example.org",
        "mail show a@example.org 1",
        "domain remove example.org",
    ] {
        world.run(line).failed(66, &["data"]);
        assert!(!world.dir().exists(), "{line}");
    }
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let world = World::new();
    std::fs::create_dir(world.dir()).unwrap();
    std::fs::write(world.dir().join("letters.txt"), "mine").unwrap();
    let before = files(&world.dir());
    world.run("domain list").failed(66, &["not a data directory of gatepost"]);
    world.run("domain add example.org").failed(73, &["not empty"]);
    world.run("localserve").failed(73, &["not empty"]);
    assert_eq!(files(&world.dir()), before);
}

#[test]
fn a_configuration_may_put_its_data_beside_itself() {
    let world = World::new();
    let text = "hostname='h'\ndata-dir='.'\n[[listener]]\nkind='smtp'\naddress='127.0.0.1:2525'\n";
    world.write("gatepost.toml", text);
    world.bare("domain add example.org --config gatepost.toml").silent();
    assert_eq!(world.bare("domain list --json --config gatepost.toml").json()[0]["domain"], "example.org");
    assert_eq!(world.bare("domain list --json --dir .").json()[0]["domain"], "example.org");
}

#[test]
fn the_environment_names_the_directory_when_no_option_does() {
    let world = World::small();
    world.bare("domain list").failed(64, &["--dir", "--config", "GATEPOST_DIR"]);
    let mut command = binary();
    let listed = run(command.args(["domain", "list"]).env("GATEPOST_DIR", world.dir()), b"");
    assert!(listed.text().contains("example.org"));
}

#[test]
fn accounts_are_listed_with_what_they_may_do() {
    let world = World::small();
    world.give_password();
    world.run("account address add ann@example.org annie@example.org").silent();
    world.run("account disable bob@example.org --suspend").silent();
    assert_eq!(
        world.run("account list --json").json(),
        json!([
            {"account": "ann@example.org", "addresses": ["ann@example.org", "annie@example.org"],
             "state": "active", "has_password": true},
            {"account": "bob@example.org", "addresses": ["bob@example.org"],
             "state": "suspended", "has_password": false},
        ])
    );
    let table = world.run("account list");
    assert!(table.text().contains("annie@example.org") && table.text().contains("suspended"));
    world.run("account enable bob@example.org").silent();
    world.run("account disable ann@example.org").silent();
    let states = world.run("account list --json").json();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&json!("disabled"), &json!("active")));
}

#[test]
fn a_refused_change_has_one_line_and_changes_nothing() {
    let world = World::small();
    let before = world.run("account list --json").json();
    world.run("account add ann@example.org").failed(65, &["already"]);
    world.run("account add x@other.example").failed(65, &["gatepost domain add other.example"]);
    world.run("account address remove ann@example.org ann@example.org").failed(65, &["account's name"]);
    world.run("domain remove example.org").failed(65, &["2 of accounts"]);
    world.run("domain add example.org").failed(65, &["already"]);
    world.run("account add nonsense").failed(65, &["\"nonsense\" is not an address"]);
    assert_eq!(world.run("account list --json").json(), before);
}

#[test]
fn what_is_so_already_is_done_with_a_word() {
    let world = World::small();
    let again = world.run("account enable ann@example.org");
    assert_eq!(again.code, 0);
    assert!(again.told.contains("nothing to change"), "{again:?}");
}

#[test]
fn an_alias_with_an_unknown_member_is_taken_with_a_warning() {
    let world = World::small();
    let added = world.run("alias add info@example.org --to ann@example.org --to later@example.org");
    assert_eq!(added.code, 0);
    assert!(added.told.starts_with("gatepost: warning: later@example.org"), "{added:?}");
    assert_eq!(
        world.run("alias list --json").json(),
        json!([{"alias": "info@example.org", "members": ["ann@example.org", "later@example.org"]}])
    );
    world.run("alias remove info@example.org").silent();
    assert_eq!(world.run("alias list --json").json(), json!([]));
}

#[test]
fn addresses_are_explained() {
    let world = World::small();
    world.give_password();
    world.run("domain catch-all example.org bob@example.org").silent();
    let explained = world.run("address explain any@example.org --json").json();
    assert_eq!(explained[0]["delivery"], "catch-all");
    assert_eq!(explained[0]["accounts"], json!(["bob@example.org"]));
    assert_eq!(explained[0]["login"], "catch-all");
    assert_eq!(explained[0]["login_reply"], "535 5.7.8");
    let words = world.run("address explain ann@example.org");
    assert!(words.text().contains("235 2.7.0"), "{words:?}");
    world.run("domain catch-all example.org --none").silent();
    assert_eq!(world.run("address explain any@example.org --json").json()[0]["delivery"], "no-such-address");
}

#[test]
fn the_password_is_kept_as_a_hash_and_nowhere_else() {
    let world = World::small();
    world.give_password();
    for (path, octets) in files(world.root()) {
        let found = octets.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!found, "{}", path.display());
    }
}

#[test]
fn lists_open_to_read_leave_every_file_as_it_is() {
    let world = World::small();
    world.run("account list").silent();
    let before = files(&world.dir());
    for line in [
        "domain list",
        "account list",
        "alias list",
        "address explain ann@example.org",
        "mail list ann@example.org",
    ] {
        world.run(line).silent();
        assert_eq!(files(&world.dir()), before, "{line}");
    }
}

#[test]
fn a_reader_that_is_gone_is_no_fault() {
    let world = World::small();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = binary();
    command.args(["account", "list", "--dir"]).arg(world.dir());
    let output = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

/// Only root can be turned into somebody else, so elsewhere this shows that nobody is.
#[test]
fn root_becomes_the_owner_of_the_data() {
    let world = World::new();
    let mut owner = std::fs::metadata(world.root()).unwrap().uid();
    std::fs::create_dir(world.dir()).unwrap();
    if owner == 0 {
        owner = 65_534;
        std::fs::set_permissions(world.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(world.dir(), Some(owner), Some(owner)).unwrap();
    }
    world.run("domain add example.org").silent();
    for path in files(&world.dir()).keys() {
        assert_eq!(std::fs::metadata(path).unwrap().uid(), owner, "{}", path.display());
    }
}
