//! `config check`, `serve` and `localserve` as far as they go without starting a server.

use crate::world::World;
use std::os::unix::fs::PermissionsExt;

/// A certificate and its key, made anew.
fn pem() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["mail.example.org".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

const TEXT: &str = "hostname = \"mail.example.org\"\ndata-dir = \"data\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
                    [[listener]]\nkind = \"submissions\"\naddress = \"127.0.0.1:4465\"\n";

fn world() -> World {
    let world = World::new();
    let (certificate, key) = pem();
    world.write("c.pem", &certificate);
    let key = world.write("k.pem", &key);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o640)).unwrap();
    world.write("gatepost.toml", TEXT);
    world
}

#[test]
fn a_key_that_everybody_can_read_is_taken_with_a_warning() {
    let world = world();
    world.bare("config check gatepost.toml").silent();
    let key = world.root().join("k.pem");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = world.bare("config check gatepost.toml");
    assert_eq!(run.code, 0);
    assert!(run.told.contains("warning: everybody can read the key"), "{run:?}");
}

#[test]
fn a_right_file_is_said_to_be_right() {
    let run = world().bare("config check gatepost.toml");
    assert_eq!((run.code, run.text()), (0, "gatepost.toml: ok\n"));
}

#[test]
fn paths_start_where_the_file_is() {
    let world = world();
    let file = world.root().join("gatepost.toml");
    std::fs::create_dir(world.dir()).unwrap();
    let mut command = crate::world::binary();
    let run = crate::world::run(command.args(["config", "check"]).arg(file).current_dir("/"), b"");
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn every_problem_has_its_line() {
    let world = world();
    world.write(
        "gatepost.toml",
        &TEXT.replace("mail.example.org", "mail_").replace("4465", "x").replace("c.pem", ""),
    );
    let run = world.bare("config check gatepost.toml");
    assert_eq!(run.code, 78);
    let lines: Vec<&str> = run.told.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, start) in lines.iter().zip(["1: hostname: ", "4: tls.certificate: ", "8: listener.address: "])
    {
        assert!(line.starts_with(&format!("gatepost: gatepost.toml:{start}")), "{line}");
    }
}

#[test]
fn files_that_are_not_there_or_not_what_they_should_be_are_named() {
    let world = world();
    std::fs::remove_file(world.root().join("c.pem")).unwrap();
    world.write("k.pem", "not a key");
    world.write("gatepost.toml", &TEXT.replace("\"data\"", "\"no/such/data\""));
    let run = world.bare("config check gatepost.toml");
    assert_eq!(run.code, 78);
    let lines: Vec<&str> = run.told.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains(":2: data-dir: neither "), "{lines:?}");
    assert!(lines[1].contains(":4: tls.certificate: cannot read ") && lines[1].contains("No such file"));
    assert!(lines[2].contains(":5: tls.key: ") && lines[2].contains("PRIVATE KEY"));
}

#[test]
fn a_file_that_is_not_there_is_no_input() {
    for line in ["config check no.toml", "serve --config no.toml", "domain list --config no.toml"] {
        World::new().bare(line).failed(66, &["cannot read the configuration no.toml", "No such file"]);
    }
}

#[test]
fn a_file_that_is_no_text_is_a_wrong_configuration() {
    let world = World::new();
    std::fs::write(world.root().join("latin.toml"), b"hostname = \"b\xfccher.example\"\n").unwrap();
    for line in ["config check latin.toml", "serve --config latin.toml"] {
        world.bare(line).failed(78, &["latin.toml", "not UTF-8"]);
    }
}

#[test]
fn serve_refuses_what_check_refuses() {
    let world = world();
    let (certificate, key) = pem();
    world.write("c.pem", &certificate);
    world.write("k.pem", "");
    world.bare("serve --config gatepost.toml").failed(78, &["gatepost.toml:5: tls.key: "]);
    world.write("k.pem", &key);
    world.bare("serve --config gatepost.toml --set listener=7").failed(78, &["--set: listener: "]);
    world
        .bare("serve --config gatepost.toml --set limits.connections=1")
        .failed(78, &["--set: limits.connections: 1 "]);
    assert!(!world.dir().exists(), "nothing is half done");
}

#[test]
fn a_key_of_another_certificate_is_found_by_the_check() {
    let world = world();
    world.write("k.pem", &pem().1);
    for line in ["config check gatepost.toml", "serve --config gatepost.toml"] {
        world.bare(line).failed(78, &["gatepost.toml:5: tls.key: ", "cannot be used together"]);
    }
    assert!(!world.dir().exists(), "nothing is half done");
}

#[test]
fn a_wrong_setting_of_localserve_leaves_nothing_behind() {
    let world = World::new();
    world.run("localserve --set hostname=a_b").failed(78, &["--set: hostname: "]);
    world.run("localserve --set data-dir=x").failed(64, &["--dir"]);
    world.run("localserve --port-base 70000").failed(64, &["--port-base"]);
    assert!(!world.dir().exists());
}

#[test]
fn bad_command_lines_are_usage() {
    let world = World::new();
    world.bare("").failed(64, &["--help"]);
    world.bare("acount list").failed(64, &["did you mean `account`"]);
    world.bare("domain list --jsn").failed(64, &["--jsn"]);
    world.bare("account add").failed(64, &["gatepost account add ADDRESS"]);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let world = World::new();
    for line in ["--help", "help account", "account add --help", "mail -h"] {
        let run = world.bare(line);
        run.silent();
        assert!(run.text().contains("gatepost "), "{run:?}");
    }
    let version = world.bare("--version");
    assert_eq!(version.text(), format!("gatepost {}\n", env!("CARGO_PKG_VERSION")));
}
