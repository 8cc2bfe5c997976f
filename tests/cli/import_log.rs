//! `import-log` on logs of our own making.

use crate::world::{Run, World, binary, files, run};
use gatepost::dialog::parse::parse;
use gatepost::dialog::play::play;
use std::io::Write;

const POSTFIX: &str = "\
Nov  3 10:00:00 mx postfix/smtps/smtpd[7]: connect from unknown[198.51.100.7]
Nov  3 10:00:01 mx postfix/smtps/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=jane.secret@corp.example
Nov  3 10:00:02 mx postfix/smtps/smtpd[7]: disconnect from unknown[198.51.100.7] ehlo=1 auth=0/1 quit=1 commands=2/3
Nov  3 10:00:03 mx postfix/smtpd[8]: too many errors after AUTH from unknown[198.51.1
";

const MORE: &str = "\
2025-11-03 10:00:00 login authenticator failed for (User) [198.51.100.8]: 535 Incorrect authentication data (set_id=info)
Nov  3 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<scan>, method=PLAIN, rip=198.51.100.9, lip=192.0.2.1
Nov  3 10:00:00 mx sshd[9]: Failed password for root from 198.51.100.7 port 22 ssh2
";

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn import(world: &World, line: &str, input: &[u8]) -> Run {
    run(binary().arg("import-log").args(line.split_whitespace()).current_dir(world.root()), input)
}

#[test]
fn the_object_for_scripts_has_attempts_skipped_lines_and_the_number_of_dialogues() {
    let world = World::new();
    let log = world.write("mail.log", POSTFIX);
    let more = world.write("more.log", MORE);
    let out = world.root().join("dialogues");
    let line = format!("--format auto {} {} --out {} --json", log.display(), more.display(), out.display());
    let told = import(&world, &line, b"").json();
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    let attempts = told["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3, "{told}");
    assert_eq!(
        attempts[0],
        serde_json::json!({"file": log.display().to_string(), "line": 2, "server": "postfix", "source": "198.51.100.7",
            "login": "jane.secret@corp.example", "mechanism": "LOGIN"})
    );
    assert_eq!(
        told["skipped"],
        serde_json::json!([{"file": log.display().to_string(), "line": 4, "why": "cut or spliced line"}])
    );
    assert_eq!(told["dialogues"], 3);
    let written = files(&out);
    assert_eq!(written.len(), 3);
    for (name, octets) in written {
        let text = String::from_utf8(octets).unwrap();
        let report = play(&parse(&text).unwrap());
        assert_eq!(report.difference, None, "{}", name.display());
        assert!(!text.contains("jane") && !text.contains("corp"), "{text}");
    }
}

#[test]
fn gzip_is_known_by_its_first_octets_and_standard_input_by_a_dash() {
    let world = World::new();
    let mut twice = gzip(POSTFIX);
    twice.extend(gzip(MORE));
    let told = import(&world, "- --json", &twice).json();
    assert_eq!(told["attempts"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!(told["attempts"][0]["file"], "-");
}

#[test]
fn damaged_gzip_is_told_and_what_came_before_is_used() {
    let world = World::new();
    let packed = gzip(&POSTFIX.repeat(2_000));
    let half = &packed[..packed.len() / 2];
    let run = import(&world, "- --json", half);
    assert_eq!(run.code, 65, "{run:?}");
    assert!(run.told.contains("the gzip data is damaged"), "{}", run.told);
    let told = run.json();
    assert!(told["attempts"].as_array().unwrap().len() > 100);
    let skipped = told["skipped"].as_array().unwrap();
    assert!(skipped.iter().any(|one| one["why"] == "damaged gzip data"), "{told}");
}

#[test]
fn people_get_a_summary() {
    let world = World::new();
    let log = world.write("mail.log", MORE);
    let told = import(&world, &log.display().to_string(), b"");
    for part in [
        "attempts        2",
        "sources         2",
        "LOGIN 1",
        "dovecot 1, exim 1",
        "3, 1 of them of other programs",
    ] {
        assert!(told.text().contains(part), "{part}: {}", told.text());
    }
}

#[test]
fn what_cannot_be_read_or_is_no_format_is_said_first() {
    let world = World::new();
    import(&world, "/nowhere/at/all", b"").failed(66, &["/nowhere/at/all"]);
    import(&world, "--format postfx x", b"").failed(64, &["did you mean postfix?"]);
    import(&world, "", b"").failed(64, &["something is missing"]);
}
