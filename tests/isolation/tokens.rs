//! Tokens of every kind, and the key set that they are checked with.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::oracle::User;
use crate::running::now;

/// What somebody brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    None,
    Garbage,
    WrongKey,
    AlgorithmNone,
    PublicKeyAsSecret,
    Expired,
    NotYetValid,
    WrongAudience,
    Huge,
    ForeignKid,
    RotatedAway,
    Good(User),
}

/// The audience that the server is configured for.
pub(crate) const AUDIENCE: &str = "feed";

impl Token {
    /// Those that grant nothing. All but the first say that they are Ann's, an admin's and a publisher's.
    pub(crate) const BAD: [Token; 10] = [
        Token::Garbage,
        Token::WrongKey,
        Token::AlgorithmNone,
        Token::PublicKeyAsSecret,
        Token::Expired,
        Token::NotYetValid,
        Token::WrongAudience,
        Token::Huge,
        Token::ForeignKid,
        Token::RotatedAway,
    ];

    /// As it is brought.
    pub(crate) fn text(self) -> Option<String> {
        let seconds = now() / 1_000;
        let claims = |user: User, scope: &str| {
            json!({"sub": user.name(), "email": user.email(), "scope": scope, "aud": AUDIENCE,
                "exp": seconds + 600})
        };
        let with = |name: &str, value: Value| {
            let mut claims = claims(User::Ann, "publish admin");
            claims[name] = value;
            claims
        };
        let all = claims(User::Ann, "publish admin");
        Some(match self {
            Token::None => return None,
            Token::Garbage => "this.is-not.a-token-of-anybody-at-all".to_owned(),
            Token::WrongKey => Signer("stranger").sign_as(NOW, &all),
            Token::AlgorithmNone => format!("{}.", unsigned(&json!({"alg": "none", "kid": NOW}), &all)),
            Token::PublicKeyAsSecret => {
                let message = unsigned(&json!({"alg": "HS256", "kid": RSA}), &all);
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, RSA_PEM.as_bytes());
                let signed = ring::hmac::sign(&key, message.as_bytes());
                format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
            }
            Token::Expired => Signer(NOW).sign(&with("exp", (seconds - 1).into())),
            Token::NotYetValid => Signer(NOW).sign(&with("nbf", (seconds + 300).into())),
            Token::WrongAudience => Signer(NOW).sign(&with("aud", "elsewhere".into())),
            Token::Huge => Signer(NOW).sign(&with("pad", "x".repeat(12_000).into())),
            Token::ForeignKid => Signer("stranger").sign(&all),
            Token::RotatedAway => Signer(BEFORE).sign(&all),
            Token::Good(user) => Signer(NOW).sign(&claims(user, user.scope())),
        })
    }
}

/// Writes the key set as it was before the rotation, or as it is after it.
pub(crate) fn write_keys(file: &Path, rotated: bool) {
    let rsa = json!({"kty": "RSA", "kid": RSA, "e": "AQAB", "n": RSA_MODULUS});
    let mut keys = vec![rsa, Signer(NOW).public()];
    if !rotated {
        keys.push(Signer(BEFORE).public());
    }
    std::fs::write(file, json!({"keys": keys}).to_string()).unwrap();
}

/// Who signs, by the name of the key.
struct Signer(&'static str);

impl Signer {
    fn pair(&self) -> Ed25519KeyPair {
        let seed = ring::digest::digest(&ring::digest::SHA256, self.0.as_bytes());
        Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).unwrap()
    }

    fn public(&self) -> Value {
        let key = URL_SAFE_NO_PAD.encode(self.pair().public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.0, "x": key})
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.0, claims)
    }

    fn sign_as(&self, id: &str, claims: &Value) -> String {
        let message = unsigned(&json!({"alg": "EdDSA", "kid": id}), claims);
        let signed = self.pair().sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

const NOW: &str = "now";
const BEFORE: &str = "before";
const RSA: &str = "rsa";

/// The key of RFC 7515, A.2.
const RSA_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\nNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\nP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\nEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\nFvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\noQIDAQAB\n-----END PUBLIC KEY-----\n";
