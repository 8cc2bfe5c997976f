use super::*;

fn parsed(line: &str) -> Result<Command, Failure> {
    parse(std::iter::once("gatepost").chain(line.split_whitespace()).map(OsString::from))
}

fn command(line: &str) -> Command {
    parsed(line).unwrap_or_else(|why| panic!("{line}: {why}"))
}

fn refused(line: &str, exit: Exit, parts: &[&str]) {
    match parsed(line) {
        Err(Failure::Told(code, lines)) => {
            assert_eq!(code, exit, "{line}: {lines:?}");
            assert_eq!(lines.len(), 1, "one line: {lines:?}");
            for part in parts {
                assert!(lines[0].contains(part), "{line}: {lines:?} does not mention {part:?}");
            }
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn options_stand_anywhere() {
    let meant = Command::Data(
        Place::Dir(PathBuf::from("d")),
        DataCommand::AccountAdd(address("a@b.example"), PasswordFrom::Stdin),
    );
    for line in [
        "account add a@b.example --password-stdin --dir d",
        "--dir d account add a@b.example --password-stdin",
        "account --dir=d add --password-stdin a@b.example",
    ] {
        assert_eq!(command(line), meant, "{line}");
    }
}

#[test]
fn data_is_where_it_was_said() {
    let list = |place| Command::Data(place, DataCommand::DomainList(Form::People));
    assert_eq!(command("domain list"), list(Place::Unsaid));
    assert_eq!(command("domain list --config f"), list(Place::Config(PathBuf::from("f"))));
    refused("domain list --dir d --config f", Exit::Usage, &["not both"]);
}

#[test]
fn every_change_is_the_request_it_names() {
    use plan::Request;
    let a = || address("a@x.example");
    let b = || address("b@x.example");
    let x = || Domain::parse("x.example").unwrap();
    for (line, request) in [
        ("domain add X.example", Request::DomainAdd(x())),
        ("domain remove x.example", Request::DomainRemove(x())),
        ("domain catch-all x.example a@x.example", Request::DomainCatchAll(x(), Some(a()))),
        ("domain catch-all x.example --none", Request::DomainCatchAll(x(), None)),
        ("account remove a@x.example", Request::AccountRemove(a())),
        ("account disable a@x.example", Request::AccountState(a(), AccountState::Disabled)),
        ("account disable a@x.example --suspend", Request::AccountState(a(), AccountState::Suspended)),
        ("account enable a@x.example", Request::AccountState(a(), AccountState::Active)),
        ("account address add a@x.example b@x.example", Request::AddressAdd(a(), b())),
        ("account address remove a@x.example b@x.example", Request::AddressRemove(a(), b())),
        ("alias add a@x.example --to b@x.example --to a@x.example", Request::AliasAdd(a(), vec![b(), a()])),
        ("alias remove a@x.example", Request::AliasRemove(a())),
    ] {
        assert_eq!(command(line), Command::Data(Place::Unsaid, DataCommand::Change(request)), "{line}");
    }
}

#[test]
fn lists_are_for_people_or_for_scripts() {
    for (line, meant) in [
        ("domain list --json", DataCommand::DomainList(Form::Scripts)),
        ("account list", DataCommand::AccountList(Form::People)),
        ("alias list --json", DataCommand::AliasList(Form::Scripts)),
        ("mail list a@x.example --json", DataCommand::MailList(address("a@x.example"), Form::Scripts)),
        ("mail show a@x.example 7", DataCommand::MailShow(address("a@x.example"), Uid(7))),
        ("address explain PostMaster", DataCommand::AddressExplain(ForwardPath::Postmaster, Form::People)),
    ] {
        assert_eq!(command(line), Command::Data(Place::Unsaid, meant), "{line}");
    }
}

#[test]
fn servers_take_settings() {
    assert_eq!(
        command("localserve --set a=1 --port-base 2000 --set b=2"),
        Command::LocalServe {
            dir: PathBuf::from("./gatepost-local"),
            port_base: 2_000,
            settings: vec!["a=1".to_owned(), "b=2".to_owned()],
        }
    );
    assert_eq!(
        command("serve --config f"),
        Command::Serve { config: PathBuf::from("f"), settings: Vec::new() }
    );
    refused("serve", Exit::Usage, &["--config FILE"]);
    for bad in ["x", "-1", "64949", "99999"] {
        refused(&format!("localserve --port-base={bad}"), Exit::Usage, &["from 0 to 64948"]);
    }
    command("localserve --port-base 64948");
}

#[test]
fn what_is_no_command_has_a_hint() {
    refused("", Exit::Usage, &["gatepost --help"]);
    refused("acount add", Exit::Usage, &["\"acount\"", "`account`"]);
    refused("xyzzy", Exit::Usage, &["localserve", "account"]);
    refused("account", Exit::Usage, &["add", "passwd", "list"]);
    refused("account ad a@b", Exit::Usage, &["\"ad\"", "`add`"]);
    refused("account address", Exit::Usage, &["add, remove"]);
    refused("account address frobnicate", Exit::Usage, &["account address", "add, remove"]);
}

#[test]
fn what_is_no_option_is_named() {
    refused("domain list --jsn", Exit::Usage, &["--jsn"]);
    refused("domain add x.example --json", Exit::Usage, &["domain add", "--json"]);
    refused("domain list -x", Exit::Usage, &["-x"]);
    refused("domain list --dir", Exit::Usage, &["--dir", "DIR"]);
    refused("domain list --json=yes", Exit::Usage, &["--json"]);
    refused("domain list --dir a --dir b", Exit::Usage, &["--dir", "once"]);
}

#[test]
fn too_few_and_too_many_words_show_the_usage() {
    refused("account add", Exit::Usage, &["gatepost account add ADDRESS"]);
    refused("domain list x", Exit::Usage, &["\"x\"", "gatepost domain list"]);
    refused("alias add a@x.example", Exit::Usage, &["--to"]);
    refused("domain catch-all x.example", Exit::Usage, &["--none"]);
    refused("domain catch-all x.example a@x.example --none", Exit::Usage, &["--none"]);
}

#[test]
fn what_is_no_address_domain_or_id_is_a_fault_of_data() {
    refused("account add nobody", Exit::Data, &["\"nobody\"", "name@domain"]);
    refused("alias add a@x.example --to b@@", Exit::Data, &["\"b@@\""]);
    refused("domain add a_b.example", Exit::Data, &["\"a_b.example\""]);
    refused("mail show a@x.example one", Exit::Data, &["\"one\"", "mail list"]);
    refused("mail show a@x.example -- -1", Exit::Data, &["\"-1\""]);
}

#[test]
fn help_is_there_for_all_and_for_each() {
    let Command::Help(all) = command("--help") else { panic!("help") };
    for spec in SPECS {
        assert!(all.contains(&spec.line()));
        let Command::Help(one) = command(&format!("{} --help", spec.words.join(" "))) else { panic!("help") };
        assert!(one.starts_with(&spec.line()), "{one}");
        for opt in spec.options {
            assert!(one.contains(&format!("--{}", opt.name())));
        }
    }
    let Command::Help(some) = command("help account") else { panic!("help") };
    assert!(some.contains("account passwd") && !some.contains("alias add"));
    assert!(!all.contains("child"));
    refused("help frobnicate", Exit::Usage, &["frobnicate"]);
}

#[test]
fn the_children_of_the_parent_have_their_doors() {
    assert_eq!(command("serve-child"), Command::ServeChild);
    assert_eq!(command("hash-worker-child"), Command::HashWorkerChild);
    assert_eq!(command("--version"), Command::Version);
}

#[test]
fn octets_that_are_no_utf8_are_refused_where_text_is_wanted() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let words = ["gatepost", "account", "add"].map(OsString::from).into_iter().chain([odd.clone()]);
    assert!(matches!(parse(words), Err(Failure::Told(Exit::Data, _))));
    let words = ["gatepost", "domain", "list", "--dir"].map(OsString::from).into_iter().chain([odd.clone()]);
    let place = Place::Dir(PathBuf::from(odd));
    assert_eq!(parse(words), Ok(Command::Data(place, DataCommand::DomainList(Form::People))));
}

#[test]
fn a_report_begins_so_many_days_ago_or_on_a_date() {
    let report = |since| Command::Data(Place::Unsaid, DataCommand::AuthReport(since, Form::People));
    assert_eq!(command("auth report"), report(None));
    assert_eq!(command("auth report --since 30"), report(Some(Since::Days(30))));
    let day = DayNumber(20_454);
    assert_eq!(command("auth report --since 2026-01-01"), report(Some(Since::Date(day))));
    for wrong in ["0", "-1", "2026-02-30", "yesterday"] {
        refused(&format!("auth report --since={wrong}"), Exit::Usage, &["--since", "2026-11-01"]);
    }
}
