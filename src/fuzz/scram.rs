//! SCRAM: octets as the messages of a client, what a client writes, and what somebody between changes of it.

use super::{Verdict, promise};
use crate::auth::scram::client::{Bound, ScramClient};
use crate::auth::scram::end_point::of_certificate;
use crate::auth::scram::keys::{ServerSignature, derive_salted, is_proved, sign};
use crate::auth::scram::message::{ClientFinal, ClientFirst};
use crate::auth::scram::{Binding, Scram, ScramProof, ScramStep};
use crate::auth::verdict::ProvenBy;
use crate::types::{AccountId, Chance, ChannelBindings, ScramSalt};

/// Whatever is taken for a certificate, what it is bound by is a hash of it, or nothing (RFC 5929 section 4.1).
pub(super) fn certificate(data: &[u8]) -> Verdict {
    let Some(bound) = of_certificate(data) else { return Ok(()) };
    promise(matches!(bound.len(), 28 | 32 | 48 | 64), "a certificate is bound by what is no hash")?;
    let longer = [data, b"\0"].concat();
    promise(of_certificate(&longer).is_none_or(|other| other != bound), "two certificates are bound alike")
}

const EXPORTER: [u8; 32] = [b'E'; 32];
const SALT: ScramSalt = ScramSalt { salt: [b'S'; 16], iterations: 1 };
const PASSWORD: &[u8] = b"the right one";

pub(super) fn scram(data: &[u8]) -> Verdict {
    messages(data)?;
    exchange(data)
}

fn machine(binding: Binding) -> Scram {
    let bindings = ChannelBindings { exporter: Some(EXPORTER), end_point: None };
    Scram::new(binding, &bindings, &mut Chance::from_seed([1; 32]))
}

/// The octets are the messages of a client, one a line.
fn messages(data: &[u8]) -> Verdict {
    for binding in [Binding::Plus, Binding::Plain] {
        let mut scram = machine(binding);
        let mut steps = 0u8;
        for message in data.split(|octet| *octet == b'\n') {
            as_written(message)?;
            let mut step = scram.take(message);
            loop {
                steps = steps.saturating_add(1);
                step = match step {
                    ScramStep::AskSalt => scram.salted(&SALT),
                    ScramStep::AskProof(proof) => {
                        promise(proof.flaw.is_some(), "a nonce was guessed")?;
                        // As if it were right all the same.
                        scram.proved(AccountId(1), ProvenBy::MainPassword, ServerSignature([1; 32]))
                    }
                    ScramStep::Send(_) => break,
                    ScramStep::Proven(..) | ScramStep::Malformed => return Ok(()),
                };
                promise(steps < 8, "an exchange goes on and on")?;
            }
        }
    }
    Ok(())
}

/// What is read of a message are pieces of it.
fn as_written(message: &[u8]) -> Verdict {
    if let Some(first) = ClientFirst::parse(message) {
        let whole = [first.header.as_bytes(), first.bare.as_bytes()].concat();
        promise(whole == message, "the first message is signed in another form than it was sent")?;
        promise(!first.login.is_empty(), "a name is empty")?;
    }
    if let Some(last) = ClientFinal::parse(message) {
        promise(
            message.starts_with(last.without_proof.as_bytes()),
            "the last message is signed in another form than it was sent",
        )?;
    }
    Ok(())
}

/// The first octet says how the client binds, the second where somebody changes its last message and the third how;
/// then come its part of the nonce and its name, each behind its length.
fn exchange(data: &[u8]) -> Verdict {
    let Some(([how, place, change], rest)) = data.split_first_chunk::<3>().map(|(a, b)| (*a, b)) else {
        return Ok(());
    };
    let (nonce, rest) = rest.split_at_checked(usize::from(how >> 4)).unwrap_or((rest, &[]));
    let nonce: String =
        nonce.iter().map(|octet| char::from((octet & 63).saturating_add(b'-'))).chain(['n']).collect();
    let name = String::from_utf8_lossy(rest.get(..100).unwrap_or(rest)).replace('\0', "0");
    let name = format!("{name}@");
    let (binding, bound) = match how % 3 {
        0 => (Binding::Plain, Bound::No),
        1 => (Binding::Plain, Bound::Unoffered),
        _ => (Binding::Plus, Bound::To("tls-exporter", &EXPORTER)),
    };
    let other = (how & 8 != 0).then_some(name.as_str());
    let mut client = ScramClient::new(bound, other, &name, &nonce);
    let read = ClientFirst::parse(client.first().as_bytes()).ok_or("a client's message is not read")?;
    promise(read.login == name, "a name is read as another")?;
    promise(read.authorize_as.as_deref() == other, "an identity is read as another")?;
    promise(read.nonce == nonce, "a nonce is read as another")?;

    let start = || {
        let mut scram = machine(binding);
        let step = scram.take(client.first().as_bytes());
        promise(step == ScramStep::AskSalt, "a client's first message is not taken")?;
        let ScramStep::Send(message) = scram.salted(&SALT) else {
            return Err("the server has no first message".to_owned());
        };
        Ok((scram, message))
    };
    let (mut right, message) = start()?;
    let (mut wrong, _) = start()?;
    let last = client.last(&message, PASSWORD).ok_or("a server's message is not read")?;
    let ScramStep::AskProof(proof) = right.take(last.as_bytes()) else {
        return Err("a client's last message is not taken".to_owned());
    };
    let is_spoilt = bound == Bound::Unoffered;
    promise(proof.flaw.is_some() == is_spoilt, "the flaw of an exchange is another")?;
    promise(proves(&proof) != is_spoilt, "a right proof is refused, or a spoilt one is not")?;
    let keys = derive_salted(PASSWORD, &SALT);
    let signature = sign(&keys, &proof.auth_message);
    let ScramStep::Send(message) = right.proved(AccountId(1), ProvenBy::MainPassword, signature) else {
        return Err("the server has no last message".to_owned());
    };
    promise(client.trusts(&message), "a client does not trust its server")?;
    changed(&mut wrong, last.into_bytes(), place, change)
}

/// Whatever octet is changed, it opens nothing.
fn changed(scram: &mut Scram, mut last: Vec<u8>, place: u8, change: u8) -> Verdict {
    let at = usize::from(place).checked_rem(last.len()).unwrap_or_default();
    for octet in last.iter_mut().skip(at).take(1) {
        *octet ^= change.max(1);
    }
    match scram.take(&last) {
        ScramStep::Malformed => Ok(()),
        ScramStep::AskProof(proof) => promise(!proves(&proof), "a changed message opens an account"),
        ScramStep::AskSalt | ScramStep::Send(_) | ScramStep::Proven(..) => {
            Err("a last message is answered unchecked".to_owned())
        }
    }
}

fn proves(proof: &ScramProof) -> bool {
    let keys = derive_salted(PASSWORD, &SALT);
    proof.flaw.is_none() && bool::from(is_proved(&keys, &proof.auth_message, &proof.proof))
}
