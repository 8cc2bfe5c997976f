use super::checked::{Bases, Config, ListenerConfig, TlsFiles};
use super::keys::{Key, Kind};
use super::written::{Origin, Problem, Written};
use crate::contract::Listener;
use crate::limits;
use std::path::PathBuf;

const WHOLE: &str = r#"hostname = "mail.example.org"
data-dir = "data"

[tls]
certificate = "certificate.pem"
key = "/keys/key.pem"

[[listener]]
kind = "smtp"
address = "0.0.0.0:25"

[[listener]]
kind = "submissions"
address = "[::]:465"

[limits]
message-octets = 1_048_576
connections = 0x100
idle-seconds = 60
"#;

fn bases() -> Bases {
    Bases { file: PathBuf::from("/etc/gatepost"), working: PathBuf::from("/srv/admin") }
}

fn problems(text: &str) -> Vec<String> {
    let problems = super::read(text, &[], &bases()).err().unwrap_or_default();
    problems.iter().map(|problem| problem.sentence("g.toml")).collect()
}

/// The one problem of a text.
fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].clone()
}

fn starts_and_mentions(text: &str, start: &str, parts: &[&str]) {
    assert!(text.starts_with(start), "{text:?} does not start with {start:?}");
    for part in parts {
        assert!(text.contains(part), "{text:?} does not mention {part:?}");
    }
}

fn with(settings: &[&str]) -> Result<Config, Vec<Problem>> {
    let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    super::read(WHOLE, &settings, &bases()).map(|(config, _)| config)
}

fn set_problem(setting: &str) -> String {
    with(&[setting]).unwrap_err()[0].sentence("g.toml")
}

#[test]
fn a_whole_file_is_read_as_meant() {
    let config = with(&[]).unwrap();
    assert_eq!(config.hostname.as_str(), "mail.example.org");
    assert_eq!(config.data_dir, PathBuf::from("/etc/gatepost/data"));
    assert_eq!(
        config.tls,
        Some(TlsFiles {
            certificate: PathBuf::from("/etc/gatepost/certificate.pem"),
            key: PathBuf::from("/keys/key.pem"),
        })
    );
    assert_eq!(
        config.listeners,
        [
            ListenerConfig { kind: Listener::Smtp, address: "0.0.0.0:25".parse().unwrap() },
            ListenerConfig { kind: Listener::Submissions, address: "[::]:465".parse().unwrap() },
        ]
    );
    assert_eq!(config.message_octets_max, 1_048_576);
    assert_eq!(config.connections_max, 256);
    assert_eq!(config.idle_ms, 60_000);
}

#[test]
fn what_is_not_written_has_its_default() {
    let text = "hostname='h'\ndata-dir='d'\n[[listener]]\nkind='smtp'\naddress='127.0.0.1:25'\n";
    let (written, problems) = Written::read(text);
    assert_eq!(problems, []);
    let config = Config::check(&written, &bases()).unwrap();
    assert_eq!(config.tls, None);
    assert_eq!(config.message_octets_max, limits::MESSAGE_OCTETS_DEFAULT);
    assert_eq!(config.connections_max, limits::CONNECTIONS_DEFAULT);
    assert_eq!(config.connections_per_host_max, limits::CONNECTIONS_PER_HOST_DEFAULT);
    assert_eq!(config.connections_per_net_max, limits::CONNECTIONS_PER_NET_DEFAULT);
    assert_eq!(config.disk_reserve_octets, limits::DISK_RESERVE_OCTETS_DEFAULT);
    assert_eq!(config.idle_ms, limits::IDLE_MS);
    assert_eq!(config.stop_grace_ms, limits::STOP_GRACE_MS);
}

#[test]
fn what_is_no_toml_has_its_line() {
    starts_and_mentions(&problem("hostname = \"a\"\n\ndata-dir = \n"), "g.toml:3: it is not TOML", &[]);
}

#[test]
fn a_key_written_twice_has_its_line() {
    let found = problems(&format!("hostname = \"a\"\n{WHOLE}"));
    starts_and_mentions(&found[0], "g.toml:2: ", &["duplicate"]);
}

#[test]
fn an_unknown_key_has_its_line_and_those_that_are_allowed() {
    let text = WHOLE.replace("data-dir", "datadir");
    let found = problems(&text);
    starts_and_mentions(&found[0], "g.toml:2: datadir: ", &["hostname", "data-dir", "tls", "listener"]);
    starts_and_mentions(&found[1], "g.toml: data-dir: it is missing", &["/var/lib/gatepost"]);
    let text = WHOLE.replace("idle-seconds", "idle");
    starts_and_mentions(&problem(&text), "g.toml:19: limits.idle: ", &["limits.idle-seconds"]);
    let text = WHOLE.replace("kind = \"smtp\"", "kind = \"smtp\"\nport = 25");
    starts_and_mentions(&problem(&text), "g.toml:10: listener.port: ", &["kind, address"]);
}

#[test]
fn all_problems_show_at_once() {
    let text = WHOLE
        .replace("mail.example.org", "mail_example")
        .replace("0.0.0.0:25", "localhost:25")
        .replace("idle-seconds = 60", "idle-seconds = 1");
    let found = problems(&text);
    assert_eq!(found.len(), 3, "{found:?}");
    starts_and_mentions(&found[0], "g.toml:1: hostname: ", &["mail_example"]);
    starts_and_mentions(&found[1], "g.toml:10: listener.address: ", &["localhost:25", "0.0.0.0:25"]);
    starts_and_mentions(&found[2], "g.toml:19: limits.idle-seconds: 1 ", &["from 10 to 3600"]);
}

#[test]
fn a_value_of_the_wrong_type_says_what_is_wanted() {
    let text = WHOLE.replace("\"mail.example.org\"", "7");
    starts_and_mentions(&problems(&text)[0], "g.toml:1: hostname: a string is wanted", &["integer"]);
    let text = WHOLE.replace("= 60", "= \"60\"");
    starts_and_mentions(&problem(&text), "g.toml:19: limits.idle-seconds: a whole number", &["10", "3600"]);
    let text = WHOLE.replace("[limits]", "[[limits]]");
    starts_and_mentions(&problem(&text), "g.toml:16: limits: it is a section", &["[limits]"]);
    let text = "hostname='h'\ndata-dir='d'\n[listener]\nkind='smtp'\n";
    starts_and_mentions(&problems(text)[0], "g.toml:3: listener: ", &["[[listener]]"]);
}

#[test]
fn an_ip_address_is_no_host_name() {
    for bad in ["192.0.2.1", "25", "::1", "[::1]", "mail.example.org.", ""] {
        starts_and_mentions(
            &set_problem(&format!("hostname={bad}")),
            "--set: hostname: ",
            &["mail.example.org"],
        );
    }
    for good in ["localhost", "mx1.example.org", "1.example.org", "münchen.example"] {
        with(&[&format!("hostname={good}")]).unwrap();
    }
}

#[test]
fn the_reference_is_a_file_that_can_be_used() {
    let text = super::keys::reference();
    let (config, written) = super::read(&text, &[], &bases()).unwrap();
    assert_eq!(config.listeners.len(), 3);
    for key in Key::ALL {
        assert_ne!(written.origin(key), Origin::Nowhere, "{}", key.name());
        if let Kind::Number { default, .. } = key.kind() {
            assert_eq!(written.numbers[&key].value, i128::from(default), "{}", key.name());
        }
    }
}

#[test]
fn every_number_is_held_to_its_range() {
    for key in Key::ALL {
        let Kind::Number { min, max, default } = key.kind() else { continue };
        assert!((min..=max).contains(&default), "{}", key.name());
        for good in [min, max] {
            with(&[&format!("{}={good}", key.name())]).unwrap();
        }
        for bad in [i128::from(min) - 1, i128::from(max) + 1, i128::MAX] {
            let why = set_problem(&format!("{}={bad}", key.name()));
            starts_and_mentions(&why, &format!("--set: {}: {bad}", key.name()), &["out of range"]);
        }
        let why = set_problem(&format!("{}=99999999999999999999999999999999999999999999", key.name()));
        starts_and_mentions(&why, "--set: ", &["out of range"]);
    }
}

#[test]
fn submission_without_tls_is_refused() {
    let text = WHOLE.replace("[tls]\ncertificate = \"certificate.pem\"\nkey = \"/keys/key.pem\"\n", "\n\n\n");
    starts_and_mentions(&problem(&text), "g.toml:13: listener.kind: ", &["submissions", "TLS"]);
}

#[test]
fn a_certificate_without_a_key_is_refused() {
    let text = WHOLE.replace("key = \"/keys/key.pem\"\n", "\n");
    starts_and_mentions(&problems(&text)[0], "g.toml: tls.key: it is missing", &["key = "]);
}

#[test]
fn listeners_that_cannot_both_be_bound_are_refused() {
    for (one, other, clash) in [
        ("127.0.0.1:25", "127.0.0.1:25", true),
        ("0.0.0.0:25", "127.0.0.1:25", true),
        ("[::1]:25", "[::]:25", true),
        ("[::]:25", "0.0.0.0:25", false),
        ("127.0.0.1:25", "127.0.0.2:25", false),
        ("127.0.0.1:25", "127.0.0.1:26", false),
    ] {
        let text = WHOLE.replace("0.0.0.0:25", one).replace("[::]:465", other);
        let found = problems(&text);
        assert_eq!(!found.is_empty(), clash, "{one} {other} {found:?}");
        if clash {
            starts_and_mentions(&found[0], "g.toml:14: listener.address: ", &[one]);
        }
    }
}

#[test]
fn a_listener_needs_kind_address_and_a_port() {
    let text = WHOLE.replace("kind = \"smtp\"\n", "\n");
    starts_and_mentions(&problem(&text), "g.toml:8: listener.kind: it is missing", &["submission"]);
    let text = WHOLE.replace("\"smtp\"", "\"imap\"");
    starts_and_mentions(&problem(&text), "g.toml:9: listener.kind: \"imap\"", &["submissions"]);
    for bad in ["0.0.0.0", "0.0.0.0:0", "[::ffff:192.0.2.1]:25", "25"] {
        starts_and_mentions(
            &problem(&WHOLE.replace("0.0.0.0:25", bad)),
            "g.toml:10: listener.address: ",
            &[],
        );
    }
}

#[test]
fn a_server_without_a_listener_is_refused_and_so_are_too_many() {
    let text = "hostname='h'\ndata-dir='d'\n";
    starts_and_mentions(&problem(text), "g.toml: listener: ", &["[[listener]]"]);
    let many: Vec<String> = (1..=limits::LISTENERS_MAX + 1)
        .map(|port| format!("{{kind='smtp', address='127.0.0.1:{port}'}}"))
        .collect();
    starts_and_mentions(
        &problem(&format!("{text}listener=[{}]", many.join(","))),
        "g.toml: listener: ",
        &["64"],
    );
}

#[test]
fn a_setting_wins_over_the_file_and_needs_no_quotes() {
    let config = with(&["hostname=other.example", "limits.idle-seconds=30", "tls.key=\"k.pem\""]).unwrap();
    assert_eq!(config.hostname.as_str(), "other.example");
    assert_eq!(config.idle_ms, 30_000);
    assert_eq!(config.tls.unwrap().key, PathBuf::from("/srv/admin/k.pem"), "from the working directory");
}

#[test]
fn a_setting_that_looks_like_another_type_stands_for_itself_where_a_string_is_wanted() {
    assert_eq!(with(&["data-dir=2026"]).unwrap().data_dir, PathBuf::from("/srv/admin/2026"));
    assert_eq!(with(&["data-dir=a=b"]).unwrap().data_dir, PathBuf::from("/srv/admin/a=b"));
}

#[test]
fn listeners_are_set_as_a_whole() {
    let config = with(&["listener=[{kind=\"smtp\", address=\"127.0.0.1:2525\"}]"]).unwrap();
    assert_eq!(
        config.listeners,
        [ListenerConfig { kind: Listener::Smtp, address: "127.0.0.1:2525".parse().unwrap() }]
    );
    starts_and_mentions(&set_problem("listener=127.0.0.1:25"), "--set: listener: ", &["listener=[{"]);
    starts_and_mentions(&set_problem("listener=7"), "--set: listener: ", &["list"]);
}

#[test]
fn a_setting_that_cannot_be_names_what_is_allowed() {
    starts_and_mentions(
        &set_problem("host=x"),
        "--set: host: ",
        &["hostname", "limits.idle-seconds", "listener"],
    );
    starts_and_mentions(&set_problem("hostname"), "--set: ", &["KEY=VALUE"]);
    starts_and_mentions(&set_problem("limits.connections=many"), "--set: limits.connections: ", &["number"]);
    starts_and_mentions(&set_problem("hostname=a_b"), "--set: hostname: ", &["a_b"]);
    starts_and_mentions(&set_problem("limits.connections=20\nhostname='x'"), "--set: ", &["number"]);
}

#[test]
fn every_value_knows_where_it_stands() {
    let (mut written, _) = Written::read(WHOLE);
    written.set("tls.key=k").unwrap();
    assert_eq!(written.origin(Key::DataDir), Origin::Line(2));
    assert_eq!(written.origin(Key::TlsKey), Origin::Set);
    assert_eq!(written.origin(Key::IdleSeconds), Origin::Line(19));
    assert_eq!(written.origin(Key::StopGraceSeconds), Origin::Nowhere);
}

/// No text makes the reader fall over: every prefix of a whole file, and each with an octet changed.
#[test]
fn damaged_texts_are_problems_and_no_accidents() {
    for end in 0..WHOLE.len() {
        let cut = WHOLE.get(..end).unwrap();
        let _ = problems(cut);
        for odd in ["\0", "\"", "[", "=", "é"] {
            let rest = WHOLE.get(end + 1..).unwrap();
            let _ = problems(&format!("{cut}{odd}{rest}"));
        }
    }
}

#[test]
fn a_control_character_in_a_key_stays_on_its_line() {
    let bases = bases();
    let problems = super::read("ce\u{10}rtificate = 1\n", &["a\nb=1".to_owned()], &bases).unwrap_err();
    for problem in problems {
        assert!(!problem.sentence("f").contains(char::is_control), "{problem:?}");
    }
}
