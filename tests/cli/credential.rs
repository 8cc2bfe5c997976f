//! Application passwords: made, listed, taken back.

use crate::world::World;
use serde_json::json;

#[test]
fn an_application_password_is_shown_once_with_how_to_use_it() {
    let world = World::small();
    let run = world.run("account credential add ann@example.org --name phone");
    assert_eq!(run.code, 0, "{run:?}");
    let password = run.text().trim_end();
    assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [4; 7], "{run:?}");
    assert!(run.told.contains("not shown again") && run.told.contains("revoke ann@example.org 1"), "{run:?}");
    let list = world.run("account credential list ann@example.org --json");
    let row = &list.json()[0];
    assert_eq!((&row["id"], &row["name"], &row["last_used"]), (&json!(1), &json!("phone"), &json!(null)));
    for line in ["account credential list ann@example.org", "account list --json"] {
        assert!(!world.run(line).text().contains(password));
    }
    assert_eq!(world.run("account credential list bob@example.org --json").json(), json!([]));
}

#[test]
fn what_is_kept_is_neither_the_password_nor_its_digest() {
    let world = World::small();
    let made = world.run("account credential add ann@example.org --json").json();
    let password = made[0]["password"].as_str().unwrap();
    assert_eq!((&made[0]["account"], &made[0]["id"]), (&json!("ann@example.org"), &json!(1)));
    let digest = String::from(gatepost::auth::credential::digest(password.as_bytes()));
    for (path, octets) in crate::world::files(&world.dir()) {
        let has = |text: &str| octets.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has(password) && !has(&password.replace('-', "")) && !has(&digest), "{path:?}");
    }
}

#[test]
fn one_that_is_taken_back_is_gone_and_its_number_with_it() {
    let world = World::small();
    world.run("account credential add ann@example.org --name phone");
    world.run("account credential revoke ann@example.org 1").silent();
    world.run("account credential revoke ann@example.org 1").failed(65, &["no application password 1"]);
    world.run("account credential add ann@example.org --name tablet");
    let list = world.run("account credential list ann@example.org --json").json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &json!(2)));
}

#[test]
fn what_cannot_be_done_is_said() {
    let world = World::small();
    world.run("account credential add who@example.org").failed(65, &["no account with the address"]);
    world.run("account credential list who@example.org").failed(65, &["no account with the address"]);
    world
        .run("account credential revoke ann@example.org x")
        .failed(65, &["not the id of an application password"]);
    world.run("account passwd ann@example.org --app-passwords-only maybe").failed(64, &["on or off"]);
    world
        .run("account passwd ann@example.org --app-passwords-only on --password-stdin")
        .failed(64, &["one after"]);
    let long = "x".repeat(65);
    world.run(&format!("account credential add ann@example.org --name {long}")).failed(65, &["at most 64"]);
}

#[test]
fn a_main_password_can_be_forbidden_and_allowed_again() {
    let world = World::small();
    world.give_password();
    let on = world.run("account passwd ann@example.org --app-passwords-only on");
    assert!(on.code == 0 && on.told.contains("nobody can log in as ann@example.org"), "{on:?}");
    let explained = world.run("address explain ann@example.org --json").json();
    assert_eq!(explained[0]["login"], "main-password-forbidden");
    world.run("account passwd ann@example.org --app-passwords-only off").silent();
    assert_eq!(world.run("address explain ann@example.org --json").json()[0]["login"], "account");
}
