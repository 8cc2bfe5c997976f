use super::keys::{client_proof, derive, is_proved, sign};
use super::*;
use crate::types::scram::ScramKeys;

use base64ct::{Base64, Encoding};

const SALT: ScramSalt = ScramSalt { salt: [9; 16], iterations: 64 };

fn bound() -> ChannelBindings {
    ChannelBindings { exporter: Some([1; 32]), end_point: Some(vec![2; 32]) }
}

fn begun(binding: Binding, bindings: &ChannelBindings, first: &str) -> (Scram, String) {
    let mut scram = Scram::new(binding, bindings, &mut Chance::from_seed([5; 32]));
    assert_eq!(scram.take(first.as_bytes()), ScramStep::AskSalt);
    let ScramStep::Send(message) = scram.salted(&SALT) else { panic!("no message") };
    (scram, message)
}

/// A whole exchange to the proof; `channel` is what the client puts behind its header.
fn proof(
    binding: Binding,
    bindings: &ChannelBindings,
    header: &str,
    channel: &[u8],
) -> (Scram, Box<ScramProof>) {
    let (mut scram, message) = begun(binding, bindings, &format!("{header}n=me@example.org,r=abc"));
    let nonce = message.strip_prefix("r=").unwrap().split(',').next().unwrap();
    let c = Base64::encode_string(&[header.as_bytes(), channel].concat());
    let without = format!("c={c},r={nonce}");
    let auth_message = format!("n=me@example.org,r=abc,{message},{without}");
    let proof = client_proof(b"pencil", &SALT.salt, SALT.iterations, auth_message.as_bytes()).0;
    let last = format!("{without},p={}", Base64::encode_string(&proof));
    let ScramStep::AskProof(proof) = scram.take(last.as_bytes()) else { panic!("no proof") };
    (scram, proof)
}

fn keys() -> ScramKeys {
    derive(b"pencil", &SALT.salt, SALT.iterations)
}

#[test]
fn an_exchange_proves_both_sides_and_ends_with_an_empty_response() {
    let (mut scram, proof) = proof(Binding::Plain, &ChannelBindings::default(), "n,,", b"");
    assert_eq!(
        (proof.login.as_slice(), &proof.authorize_as, proof.flaw),
        (&b"me@example.org"[..], &None, None)
    );
    assert!(bool::from(is_proved(&keys(), &proof.auth_message, &proof.proof)));
    let signature = sign(&keys(), &proof.auth_message);
    let ScramStep::Send(last) = scram.proved(AccountId(7), ProvenBy::MainPassword, signature) else {
        panic!("no message")
    };
    assert_eq!(last, server_final(signature));
    assert_eq!(scram.take(b""), ScramStep::Proven(AccountId(7), ProvenBy::MainPassword));
    assert_eq!(scram.take(b""), ScramStep::Malformed);
}

#[test]
fn the_confirmation_is_empty_or_ill_formed() {
    let (mut scram, proof) = proof(Binding::Plain, &ChannelBindings::default(), "n,,", b"");
    scram.proved(AccountId(7), ProvenBy::MainPassword, sign(&keys(), &proof.auth_message));
    assert_eq!(scram.take(b"x"), ScramStep::Malformed);
    assert_eq!(scram.take(b""), ScramStep::Malformed);
}

#[test]
fn both_types_of_channel_binding_are_sound() {
    for (header, channel) in
        [("p=tls-exporter,,", vec![1; 32]), ("p=tls-server-end-point,a=me@example.org,", vec![2; 32])]
    {
        let (_, proof) = proof(Binding::Plus, &bound(), header, &channel);
        assert_eq!(proof.flaw, None, "{header}");
        assert!(bool::from(is_proved(&keys(), &proof.auth_message, &proof.proof)));
    }
}

#[test]
fn what_is_wrong_with_a_binding_is_refused_at_the_end() {
    let none = ChannelBindings::default();
    for (binding, bindings, header, channel) in [
        // Another connection's data, none, or more.
        (Binding::Plus, &bound(), "p=tls-exporter,,", vec![3; 32]),
        (Binding::Plus, &bound(), "p=tls-exporter,,", vec![]),
        (Binding::Plus, &bound(), "p=tls-exporter,,", vec![1; 33]),
        (Binding::Plus, &bound(), "p=tls-exporter,,", vec![2; 32]),
        // Types that are not there.
        (Binding::Plus, &bound(), "p=tls-unique,,", vec![1; 32]),
        (Binding::Plus, &ChannelBindings { exporter: None, ..bound() }, "p=tls-exporter,,", vec![1; 32]),
        (Binding::Plus, &none, "p=tls-exporter,,", vec![]),
        // The mechanism and the header disagree.
        (Binding::Plus, &bound(), "n,,", vec![]),
        (Binding::Plus, &bound(), "y,,", vec![]),
        (Binding::Plain, &bound(), "p=tls-exporter,,", vec![1; 32]),
        // Somebody took -PLUS out of the list.
        (Binding::Plain, &bound(), "y,,", vec![]),
        (Binding::Plain, &none, "n,,", vec![1]),
    ] {
        let (_, proof) = proof(binding, bindings, header, &channel);
        assert_eq!(proof.flaw, Some(Refusal::ChannelBinding), "{binding:?} {header} {channel:?}");
    }
}

#[test]
fn a_client_that_cannot_bind_is_fine_and_one_that_says_so_where_there_is_nothing_to_bind_to() {
    assert_eq!(proof(Binding::Plain, &bound(), "n,,", b"").1.flaw, None);
    assert_eq!(proof(Binding::Plain, &ChannelBindings::default(), "y,,", b"").1.flaw, None);
}

#[test]
fn a_nonce_that_is_altered_or_of_another_exchange_is_refused_at_the_end() {
    for nonce in ["abc", "abcd", "x"] {
        let (mut scram, _) = begun(Binding::Plain, &ChannelBindings::default(), "n,,n=me,r=abc");
        let last = format!("c=biws,r={nonce},p={}", Base64::encode_string(&[0; 32]));
        let ScramStep::AskProof(proof) = scram.take(last.as_bytes()) else { panic!("no proof") };
        assert_eq!(proof.flaw, Some(Refusal::Nonce));
    }
}

#[test]
fn names_are_prepared() {
    let (scram, _) = begun(Binding::Plain, &bound(), "n,,n=\u{ff4d}e\u{ad}@example.org,r=x");
    assert_eq!(scram.login(), b"me@example.org");
}

#[test]
fn two_exchanges_have_two_nonces() {
    let mut chance = Chance::from_seed([1; 32]);
    let mut nonce = || {
        let mut scram = Scram::new(Binding::Plain, &bound(), &mut chance);
        scram.take(b"n,,n=a,r=x");
        scram.salted(&SALT)
    };
    assert_ne!(nonce(), nonce());
}

#[test]
fn nothing_comes_out_of_turn() {
    let mut scram = Scram::new(Binding::Plain, &bound(), &mut Chance::from_seed([5; 32]));
    assert_eq!(scram.salted(&SALT), ScramStep::Malformed);
    assert_eq!(scram.take(b"n,,n=a,r=x"), ScramStep::Malformed);
    let (mut scram, _) = begun(Binding::Plain, &bound(), "n,,n=a,r=x");
    assert_eq!(
        scram.proved(AccountId(1), ProvenBy::MainPassword, ServerSignature([0; 32])),
        ScramStep::Malformed
    );
}
