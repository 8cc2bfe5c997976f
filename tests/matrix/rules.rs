//! What must come of each cell, as the design says it (section 4), in words of its own: nothing here asks the
//! code that is tested.

use super::clients::{SIGNATURE, salt_for_everybody};
use super::world::{ActFor, FOREIGN_HASH, Password, Row, Try, Weather};
use gatepost::auth::lookup::LoginLookup;
use gatepost::auth::sasl::Mechanism;
use gatepost::auth::verdict::{LoginVerdict, ProvenBy, Refusal, ThrottleRule, Unavailability};
use gatepost::directory::credential::CredentialId;
use gatepost::limits;

/// Milliseconds that the played worker takes.
pub const WORKER_MS: u64 = 40;

/// What an exchange comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The message has not the form of the mechanism: nothing is looked up.
    NotUnderstood,
    /// It was decided so, at the cost of so many argon2id runs.
    Decided(LoginVerdict, usize),
}

/// The rules, in the order in which they bind.
pub fn outcome(mechanism: Mechanism, row: &Row, wanted: Try, weather: Weather) -> Outcome {
    use Outcome::Decided;
    let Try { password, act_for } = wanted;
    // PLAIN has NUL between its parts, so none can stand in them.
    let has_nul = password == Password::WithNul || row.login.contains(&0);
    match mechanism {
        Mechanism::Plain if has_nul => return Outcome::NotUnderstood,
        // Names in SCRAM are text, and there is one; passwords never leave the client.
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus if !is_name_of_scram(&row.login) => {
            return Outcome::NotUnderstood;
        }
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => return proven(row, wanted, weather),
        Mechanism::Plain | Mechanism::Login => {}
    }
    // A verified application password waits for nothing, and opens its own account for nobody else.
    if row.has_app_password && password == Password::App && act_for != ActFor::SomebodyElse {
        return Decided(by_app_password(row), 0);
    }
    // The throttle comes before everything that costs work, and knows nothing of the name.
    if weather == Weather::Throttled {
        let why = Unavailability::Throttled(ThrottleRule::Host);
        return Decided(LoginVerdict::Unavailable(why), 0);
    }
    if row.lookup == LoginLookup::Unavailable {
        return Decided(LoginVerdict::Unavailable(Unavailability::Directory), 0);
    }
    match weather {
        Weather::QueueFull => Decided(LoginVerdict::Unavailable(Unavailability::QueueFull), 0),
        Weather::NoWorker => Decided(LoginVerdict::Unavailable(Unavailability::Worker), 0),
        Weather::Clear | Weather::Throttled => Decided(checked(row, password, act_for), 1),
    }
}

/// `saslname` of RFC 5802, before it is escaped.
fn is_name_of_scram(login: &[u8]) -> bool {
    !login.is_empty() && !login.contains(&0) && std::str::from_utf8(login).is_ok()
}

/// What a proof comes to: never an argon2id run, and so neither queue nor worker has a say.
fn proven(row: &Row, wanted: Try, weather: Weather) -> Outcome {
    let Try { password, act_for } = wanted;
    let proves_app_password = row.keys.of_app_password && password == Password::App;
    let verdict = if proves_app_password && act_for != ActFor::SomebodyElse {
        by_app_password(row)
    } else if weather == Weather::Throttled {
        LoginVerdict::Unavailable(Unavailability::Throttled(ThrottleRule::Host))
    } else if row.lookup == LoginLookup::Unavailable {
        LoginVerdict::Unavailable(Unavailability::Directory)
    } else {
        let by_password = checked(row, password, act_for);
        let asks_for_keys = match by_password {
            LoginVerdict::Refused(Refusal::OtherIdentity) => false,
            LoginVerdict::Accepted(..) | LoginVerdict::Disabled(_) => true,
            LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_) => {
                matches!(row.lookup, LoginLookup::Account(..) | LoginLookup::DisabledAccount(..))
            }
        };
        // Whoever has no keys of the main password cannot prove it, right or wrong.
        if asks_for_keys && !row.keys.of_main_password {
            LoginVerdict::Refused(Refusal::NoScramKeys)
        } else {
            by_password
        }
    };
    Outcome::Decided(verdict, 0)
}

fn by_app_password(row: &Row) -> LoginVerdict {
    match row.lookup {
        LoginLookup::Account(id, _)
        | LoginLookup::DisabledAccount(id, _)
        | LoginLookup::MainPasswordForbidden(id)
        | LoginLookup::AccountWithoutPassword(id) => {
            if row.is_stopped {
                LoginVerdict::Disabled(id)
            } else {
                LoginVerdict::Accepted(id, ProvenBy::AppPassword(CredentialId(1)))
            }
        }
        LoginLookup::Alias
        | LoginLookup::CatchAll
        | LoginLookup::NoSuchAddress
        | LoginLookup::NoSuchDomain
        | LoginLookup::Malformed
        | LoginLookup::Unavailable => panic!("no account, and an application password: {row:?}"),
    }
}

/// What one argon2id run says.
fn checked(row: &Row, password: Password, act_for: ActFor) -> LoginVerdict {
    use LoginVerdict::Refused;
    if act_for == ActFor::SomebodyElse {
        return Refused(Refusal::OtherIdentity);
    }
    let is_right = password == Password::Right;
    match &row.lookup {
        LoginLookup::Account(_, hash) if hash == FOREIGN_HASH => Refused(Refusal::NoPassword),
        LoginLookup::Account(id, _) if is_right => LoginVerdict::Accepted(*id, ProvenBy::MainPassword),
        LoginLookup::Account(..) => Refused(Refusal::WrongPassword),
        LoginLookup::DisabledAccount(id, _) if is_right => LoginVerdict::Disabled(*id),
        LoginLookup::DisabledAccount(..) => Refused(Refusal::WrongPasswordOfDisabledAccount),
        LoginLookup::MainPasswordForbidden(_) => Refused(Refusal::MainPasswordForbidden),
        LoginLookup::AccountWithoutPassword(_) => Refused(Refusal::NoPassword),
        LoginLookup::Alias => Refused(Refusal::Alias),
        LoginLookup::CatchAll => Refused(Refusal::CatchAll),
        LoginLookup::NoSuchAddress => Refused(Refusal::NoSuchAddress),
        LoginLookup::NoSuchDomain => Refused(Refusal::NoSuchDomain),
        LoginLookup::Malformed => Refused(Refusal::Malformed),
        LoginLookup::Unavailable => panic!("nothing is hashed without a directory"),
    }
}

/// The one reply of each outcome.
pub fn reply(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotUnderstood => "501 5.5.2 Authentication response not understood",
        Outcome::Decided(verdict, _) => match verdict {
            LoginVerdict::Accepted(..) => "235 2.7.0 Authentication succeeded",
            LoginVerdict::Refused(_) => "535 5.7.8 Authentication credentials invalid",
            LoginVerdict::Disabled(_) => "525 5.7.13 User account disabled",
            LoginVerdict::Unavailable(_) => "454 4.7.0 Temporary authentication failure",
        },
    }
}

/// What the server says before the client said everything.
pub fn challenges(mechanism: Mechanism, initial: bool, outcome: Outcome) -> Vec<String> {
    let challenge = |text: &str| format!("334 {text}");
    match mechanism {
        Mechanism::Plain if initial => Vec::new(),
        Mechanism::Plain => vec![challenge("")],
        Mechanism::Login if initial => vec![challenge("UGFzc3dvcmQ6")],
        Mechanism::Login => vec![challenge("VXNlcm5hbWU6"), challenge("UGFzc3dvcmQ6")],
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
            let mut all = if initial { Vec::new() } else { vec![challenge("")] };
            all.extend(challenges_of_scram(outcome).iter().map(|text| challenge(text)));
            all
        }
    }
}

/// A salt for every name, and the server's own proof for those alone who proved theirs.
fn challenges_of_scram(outcome: Outcome) -> Vec<String> {
    match outcome {
        Outcome::NotUnderstood => Vec::new(),
        Outcome::Decided(LoginVerdict::Accepted(..), _) => vec![salt_for_everybody(), SIGNATURE.to_owned()],
        Outcome::Decided(
            LoginVerdict::Refused(_) | LoginVerdict::Disabled(_) | LoginVerdict::Unavailable(_),
            _,
        ) => vec![salt_for_everybody()],
    }
}

/// Milliseconds from the client's last octet to the reply: only who knows the password is answered at once.
pub fn waits_ms(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::NotUnderstood => 0,
        Outcome::Decided(LoginVerdict::Accepted(..) | LoginVerdict::Disabled(_), hashes) => {
            if hashes == 0 {
                0
            } else {
                WORKER_MS
            }
        }
        // Nobody knows earlier that no worker will come.
        Outcome::Decided(LoginVerdict::Unavailable(Unavailability::Worker), _) => limits::HASH_MS_MAX,
        Outcome::Decided(LoginVerdict::Refused(_) | LoginVerdict::Unavailable(_), _) => {
            limits::REFUSAL_MS_MIN
        }
    }
}

/// The reason in the log and the counters.
pub fn reason(verdict: LoginVerdict) -> &'static str {
    match verdict {
        LoginVerdict::Accepted(..) => "ok",
        LoginVerdict::Disabled(_) => "disabled",
        LoginVerdict::Refused(refusal) => match refusal {
            Refusal::WrongPassword => "wrong-password",
            Refusal::WrongPasswordOfDisabledAccount => "wrong-password-disabled-account",
            Refusal::NoPassword => "no-password",
            Refusal::MainPasswordForbidden => "main-password-forbidden",
            Refusal::Alias => "alias",
            Refusal::CatchAll => "catch-all",
            Refusal::NoSuchAddress => "no-such-address",
            Refusal::NoSuchDomain => "no-such-domain",
            Refusal::Malformed => "malformed",
            Refusal::OtherIdentity => "other-identity",
            Refusal::NoScramKeys => "no-scram-keys",
            Refusal::ChannelBinding => "channel-binding",
            Refusal::Nonce => "altered-nonce",
        },
        LoginVerdict::Unavailable(why) => match why {
            Unavailability::Directory => "directory-unavailable",
            Unavailability::QueueFull => "hash-queue-full",
            Unavailability::Worker => "hash-worker-unavailable",
            Unavailability::Throttled(rule) => match rule {
                ThrottleRule::DenyList => "deny-list",
                ThrottleRule::Host => "too-many-from-host",
                ThrottleRule::Net => "too-many-from-net",
                ThrottleRule::Wide => "too-many-from-site",
                ThrottleRule::Login => "too-many-for-login",
            },
        },
    }
}

/// The log of the session, level first.
pub fn log(mechanism: Mechanism, row: &Row, outcome: Outcome) -> Vec<String> {
    let who = "session=000000000abc from=203.0.113.9 listener=submissions";
    let verdict = match outcome {
        Outcome::NotUnderstood => {
            return vec![format!("INFO event=closed {who} cause=quit errors=1 offence=auth-malformed")];
        }
        Outcome::Decided(verdict, _) => verdict,
    };
    let whose = format!("{who} mechanism={} login=\"{}\"", mechanism.name(), row.shown);
    let failed =
        |level, code| format!("{level} event=auth-failed {whose} reason={} reply={code}", reason(verdict));
    vec![match verdict {
        LoginVerdict::Accepted(_, ProvenBy::MainPassword) => format!("INFO event=auth-succeeded {whose}"),
        LoginVerdict::Accepted(_, ProvenBy::AppPassword(_)) => {
            format!("INFO event=auth-succeeded {whose} app-password=1 app-password-name=\"phone\"")
        }
        LoginVerdict::Refused(_) => failed("INFO", 535),
        LoginVerdict::Disabled(_) => failed("INFO", 525),
        LoginVerdict::Unavailable(why) => match why {
            // Our own trouble; an administrator must hear of it.
            Unavailability::Directory | Unavailability::Worker => failed("WARN", 454),
            Unavailability::QueueFull | Unavailability::Throttled(_) => failed("INFO", 454),
        },
    }]
}

/// What the session counted, each once.
pub fn counters(outcome: Outcome) -> Vec<(&'static str, &'static str)> {
    let counted = match outcome {
        Outcome::NotUnderstood => ("offence", "auth-malformed"),
        Outcome::Decided(verdict, _) => ("login", reason(verdict)),
    };
    let mut all = vec![counted, ("closed", "quit"), ("tls", "up")];
    all.sort_unstable();
    all
}
