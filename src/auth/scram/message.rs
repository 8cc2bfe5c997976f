//! The messages of SCRAM, by the grammar of RFC 5802 section 7 and no wider.

use super::keys::{ClientProof, ServerSignature};
use crate::limits::SCRAM_NONCE_OCTETS_MAX;
use crate::types::ScramSalt;
use base64ct::{Base64, Encoding};
use std::fmt::Write as _;

/// What a client says of channel binding (`gs2-cbind-flag`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingFlag {
    /// `n`: it cannot.
    None,
    /// `y`: it could, and thinks that the server cannot.
    Unoffered,
    /// `p=`: it does, with this type.
    Used(String),
}

/// The first message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    /// Channel binding.
    pub binding: BindingFlag,
    /// The authorization identity, if one was sent.
    pub authorize_as: Option<String>,
    /// The authentication identity, unescaped and not prepared.
    pub login: String,
    /// The client's part of the nonce.
    pub nonce: String,
    /// `gs2-header` as sent.
    pub header: String,
    /// `client-first-message-bare` as sent.
    pub bare: String,
}

/// The last message of a client that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFinal {
    /// The header of the first message and the channel's data behind it.
    pub binding: Vec<u8>,
    /// Both parts of the nonce.
    pub nonce: String,
    /// The proof.
    pub proof: ClientProof,
    /// `client-final-message-without-proof` as sent.
    pub without_proof: String,
}

impl ClientFirst {
    /// Reads one; `None` if it is none, or names an extension that must be understood (`m=`).
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let text = clean(message)?;
        let (flag, rest) = text.split_once(',')?;
        let (identity, bare) = rest.split_once(',')?;
        let binding = match flag {
            "n" => BindingFlag::None,
            "y" => BindingFlag::Unoffered,
            _ => BindingFlag::Used(binding_name(flag.strip_prefix("p=")?)?.to_owned()),
        };
        let authorize_as = match identity {
            "" => None,
            _ => Some(name(identity.strip_prefix("a=")?)?),
        };
        let header = text.strip_suffix(bare)?.to_owned();
        let mut fields = bare.split(',');
        let login = name(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?.to_owned();
        if nonce.len() > SCRAM_NONCE_OCTETS_MAX || !fields.all(is_extension) {
            return None;
        }
        Some(Self { binding, authorize_as, login, nonce, header, bare: bare.to_owned() })
    }
}

impl ClientFinal {
    /// Reads one; `None` if it is none.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let text = clean(message)?;
        let (without_proof, proof) = text.rsplit_once(',')?;
        let proof = decode(proof.strip_prefix("p=")?)?.try_into().ok()?;
        let mut fields = without_proof.split(',');
        let binding = decode(fields.next()?.strip_prefix("c=")?)?;
        let nonce = fields.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?.to_owned();
        if !fields.all(is_extension) {
            return None;
        }
        Some(Self { binding, nonce, proof, without_proof: without_proof.to_owned() })
    }
}

/// `server-first-message`: the whole nonce, the salt, the number of rounds.
#[must_use]
pub fn server_first(nonce: &str, salt: &ScramSalt) -> String {
    let mut message = String::new();
    // Writing to a string does not fail.
    let _ = write!(message, "r={nonce},s={},i={}", encode::<Base64>(&salt.salt), salt.iterations);
    message
}

/// `server-final-message` for a proof that is right.
#[must_use]
pub fn server_final(signature: ServerSignature) -> String {
    let mut message = "v=".to_owned();
    message.push_str(&encode::<Base64>(&signature.0));
    message
}

/// Text without NUL; CR and LF are allowed by the grammar and mean nothing.
fn clean(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(message).ok().filter(|text| !text.contains('\0'))
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, and no other `=` may be there.
fn name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return None,
        };
        out.push(sign);
        out.push_str(rest);
    }
    if out.is_empty() { None } else { Some(out) }
}

/// A name as a `saslname`.
#[must_use]
pub fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// `cb-name`.
fn binding_name(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'));
    (plain && !text.is_empty()).then_some(text)
}

/// `printable`, at least one.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic() && octet != b',')
}

/// `attr-val` that may be passed over: a letter, an equals sign, something.
fn is_extension(field: &str) -> bool {
    let mut chars = field.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some(letter), Some('='), Some(_)) => letter.is_ascii_alphabetic() && letter != 'm',
        (_, _, _) => false,
    }
}

/// Base64, without the checks of `encode_string`, which panic.
pub(in crate::auth) fn encode<E: Encoding>(octets: &[u8]) -> String {
    let mut room = vec![0; E::encoded_len(octets)];
    // There is room, so that it does not fail.
    E::encode(octets, &mut room).unwrap_or_default().to_owned()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<ClientFirst> {
        ClientFirst::parse(text.as_bytes())
    }

    #[test]
    fn the_first_message_of_rfc_7677_is_read() {
        let read = first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(read.binding, BindingFlag::None);
        assert_eq!((read.login.as_str(), read.nonce.as_str()), ("user", "rOprNGfwEbeRWgbNEkqO"));
        assert_eq!((read.header.as_str(), read.bare.as_str()), ("n,,", "n=user,r=rOprNGfwEbeRWgbNEkqO"));
        assert_eq!(read.authorize_as, None);
    }

    #[test]
    fn escapes_identity_binding_and_extensions_are_read() {
        let read = first("p=tls-exporter,a=b=2Cc,n=a=3Db=2C,r=x,q=what ever,z==").unwrap();
        assert_eq!(read.binding, BindingFlag::Used("tls-exporter".into()));
        assert_eq!(read.authorize_as.as_deref(), Some("b,c"));
        assert_eq!(read.login, "a=b,");
        assert_eq!(read.header, "p=tls-exporter,a=b=2Cc,");
        assert_eq!(first("y,,n=ü,r=x").unwrap().binding, BindingFlag::Unoffered);
    }

    #[test]
    fn what_is_no_first_message_is_refused() {
        for text in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,n=,r=x",
            "n,,r=x,n=user",
            "n,,m=ext,n=user,r=x",
            "n,,n=user,r=x,m=ext",
            "n,,n=us=er,r=x",
            "n,,n=us=2cer,r=x",
            "n,,n=user=,r=x",
            "n,,n=user,r=a b",
            "n,,n=user,r=ä",
            "n,,n=user,r=x,",
            "n,,n=user,r=x,1=a",
            "n,,n=user,r=x,e=",
            "n,,N=user,r=x",
            "n,b=x,n=user,r=x",
            "n,a=,n=user,r=x",
            "p=,,n=user,r=x",
            "p=a_b,,n=user,r=x",
            "p,,n=user,r=x",
            "x,,n=user,r=x",
            " n,,n=user,r=x",
            "n,,n=us\0er,r=x",
        ] {
            assert_eq!(first(text), None, "{text:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=x"), None);
        let long = |count| format!("n,,n=user,r={}", "x".repeat(count));
        assert!(first(&long(SCRAM_NONCE_OCTETS_MAX)).is_some());
        assert_eq!(first(&long(SCRAM_NONCE_OCTETS_MAX + 1)), None);
    }

    #[test]
    fn the_last_message_of_rfc_7677_is_read() {
        let text = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let read = ClientFinal::parse(text.as_bytes()).unwrap();
        assert_eq!(read.binding, b"n,,");
        assert_eq!(read.nonce, "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        assert_eq!(read.proof.len(), 32);
        assert!(text.starts_with(&read.without_proof) && read.without_proof.ends_with("k0"));
    }

    #[test]
    fn what_is_no_last_message_is_refused() {
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        for text in [
            String::new(),
            "c=biws,r=x".into(),
            format!("p={proof}"),
            format!("r=x,p={proof}"),
            format!("r=x,c=biws,p={proof}"),
            format!("c=biws,r=,p={proof}"),
            format!("c=bi ws,r=x,p={proof}"),
            format!("c=biws,r=x,p={proof}=",),
            format!("c=biws,r=x,p={proof},e=x"),
            format!("c=biws,r=x,m=x,p={proof}"),
            "c=biws,r=x,p=".into(),
            "c=biws,r=x,p=YWJj".into(),
        ] {
            assert_eq!(ClientFinal::parse(text.as_bytes()), None, "{text:?}");
        }
        assert!(ClientFinal::parse(format!("c=biws,r=x,e=y,p={proof}").as_bytes()).is_some());
    }

    #[test]
    fn the_servers_messages_are_those_of_rfc_7677() {
        let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let salt = ScramSalt { salt, iterations: 4_096 };
        assert_eq!(server_first("abc", &salt), "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert_eq!(server_final(ServerSignature([0; 32])), format!("v={}=", "A".repeat(43)));
    }
}
