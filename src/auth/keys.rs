//! The keys that tokens are checked with: one that is given, or a set that rotates.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::config::{Secrets, TokenAlgorithm};

/// What there is to check tokens with.
#[derive(Debug)]
pub enum Keys {
    /// Nothing: nobody can be authenticated.
    None,
    /// One key, whatever a token calls its own.
    One(Box<Key>),
    /// A set: a token names its key.
    Set(Vec<NamedKey>),
}

/// A key and the only algorithm that it is used with.
pub struct Key {
    pub(super) key: DecodingKey,
    pub(super) algorithm: TokenAlgorithm,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key for {}", self.algorithm.name())
    }
}

/// A key of a set.
#[derive(Debug)]
pub struct NamedKey {
    name: Arc<KeyName>,
    key: Key,
}

/// Which key of a set: another one under the same `kid` is another key.
#[derive(PartialEq, Eq)]
pub(super) struct KeyName {
    id: Option<String>,
    /// The numbers of the key, as the set writes them.
    numbers: Vec<String>,
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key {:?}", self.id)
    }
}

/// Why no key is found for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// None is configured.
    Configured,
    /// The set holds none of that name.
    Unknown,
}

impl Keys {
    /// The key of the environment. A set is empty at first.
    pub(super) fn new(secrets: &Secrets, algorithm: Option<TokenAlgorithm>) -> Result<Keys, BadKeys> {
        let given = (&secrets.jwt_secret, &secrets.jwt_public_key, &secrets.jwt_jwks);
        match (given, algorithm) {
            ((None, None, None), None) => Ok(Keys::None),
            ((None, None, None), Some(_)) => Err(BadKeys::Missing),
            ((Some(secret), None, None), None | Some(TokenAlgorithm::Hs256)) => {
                let key = DecodingKey::from_secret(secret.as_bytes());
                Ok(Keys::One(Box::new(Key { key, algorithm: TokenAlgorithm::Hs256 })))
            }
            ((Some(_), None, None), Some(wanted)) => {
                Err(BadKeys::OtherAlgorithm { variable: "JWT_SECRET", wanted: wanted.name() })
            }
            ((None, Some(pem), None), wanted) => Ok(Keys::One(Box::new(public_key(pem, wanted)?))),
            ((None, None, Some(_)), Some(TokenAlgorithm::Hs256)) => {
                Err(BadKeys::OtherAlgorithm { variable: "JWT_JWKS", wanted: TokenAlgorithm::Hs256.name() })
            }
            ((None, None, Some(_)), _) => Ok(Keys::Set(Vec::new())),
            ((Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)), _) => {
                Err(BadKeys::Several)
            }
        }
    }

    /// Reads a key set. What cannot be used (another algorithm, a key for encryption, a secret) is
    /// left out, so that a new kind of key does not take the others with it.
    pub(super) fn from_jwks(text: &[u8], wanted: Option<TokenAlgorithm>) -> Result<Keys, BadKeys> {
        let set: RawSet = serde_json::from_slice(text).map_err(|_| BadKeys::NotAKeySet)?;
        let usable: Vec<_> = set.keys.into_iter().filter_map(|key| named_key(key, wanted)).collect();
        if usable.is_empty() { Err(BadKeys::NothingUsable) } else { Ok(Keys::Set(usable)) }
    }

    /// The key that a token with this `kid` must be signed with.
    ///
    /// With its name, where it is one that can rotate away.
    pub(super) fn find(&self, id: Option<&str>) -> Result<(&Key, Option<&Arc<KeyName>>), NoKey> {
        match (self, id) {
            (Keys::None, _) => Err(NoKey::Configured),
            (Keys::One(key), _) => Ok((key, None)),
            (Keys::Set(keys), Some(id)) => {
                let named = keys.iter().find(|key| key.name.id.as_deref() == Some(id));
                named.map(|named| (&named.key, Some(&named.name))).ok_or(NoKey::Unknown)
            }
            (Keys::Set(keys), None) => match &keys[..] {
                [only] => Ok((&only.key, Some(&only.name))),
                _ => Err(NoKey::Unknown),
            },
        }
    }

    /// Whether the key of that name is in force.
    pub(super) fn holds(&self, name: &KeyName) -> bool {
        match self {
            Keys::None | Keys::One(_) => false,
            Keys::Set(keys) => keys.iter().any(|key| *key.name == *name),
        }
    }

    /// Whether a key of these is none of `newer`.
    pub(super) fn lose_any_to(&self, newer: &Keys) -> bool {
        match self {
            Keys::None | Keys::One(_) => false,
            Keys::Set(keys) => keys.iter().any(|key| !newer.holds(&key.name)),
        }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        match self {
            Keys::None => 0,
            Keys::One(_) => 1,
            Keys::Set(keys) => keys.len(),
        }
    }
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the library's, and open: what it may add is refused like the rest"
)]
fn named_key(value: Value, wanted: Option<TokenAlgorithm>) -> Option<NamedKey> {
    let said = value.get("alg").and_then(Value::as_str).map(str::to_owned);
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let (algorithm, numbers) = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) => (TokenAlgorithm::Rs256, vec![key.n.clone(), key.e.clone()]),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (TokenAlgorithm::Es256, vec![key.x.clone(), key.y.clone()])
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (TokenAlgorithm::EdDsa, vec![key.x.clone()])
        }
        // Secrets have no place in a set that is published, and the rest we cannot check.
        _ => return None,
    };
    let fits = said.is_none_or(|said| said == algorithm.name())
        && wanted.is_none_or(|wanted| wanted == algorithm)
        && jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| fits)?;
    let name = Arc::new(KeyName { id: jwk.common.key_id, numbers });
    Some(NamedKey { name, key: Key { key, algorithm } })
}

fn public_key(pem: &str, wanted: Option<TokenAlgorithm>) -> Result<Key, BadKeys> {
    // In files of variables a PEM stands on one line.
    let pem = pem.replace("\\n", "\n");
    if pem.contains("PRIVATE KEY") {
        return Err(BadKeys::Private);
    }
    let read = |algorithm| {
        let key = match algorithm {
            TokenAlgorithm::Hs256 => return None,
            TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem.as_bytes()),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem.as_bytes()),
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem.as_bytes()),
        };
        let key = key.ok()?;
        // A point of P-256 has 65 bytes; other curves are none of ours.
        let fits =
            algorithm != TokenAlgorithm::Es256 || key.try_get_as_bytes().is_ok_and(|key| key.len() == 65);
        fits.then_some(Key { key, algorithm })
    };
    let key = TokenAlgorithm::ALL.into_iter().find_map(read).ok_or(BadKeys::NotAKey)?;
    match wanted {
        Some(wanted) if wanted != key.algorithm => {
            Err(BadKeys::OtherAlgorithm { variable: "JWT_PUBLIC_KEY", wanted: wanted.name() })
        }
        Some(_) | None => Ok(key),
    }
}

/// Why there are no keys. Nothing of a key or of its address is repeated.
#[derive(Debug, Error)]
pub enum BadKeys {
    /// An algorithm and nothing to use it with.
    #[error("auth.algorithm is set and no key is: set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS")]
    Missing,
    /// More than one, and which is meant is anybody's guess.
    #[error(
        "more than one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS is set: keep the one that signs tokens"
    )]
    Several,
    /// A key that cannot be used as the configuration demands.
    #[error("{variable} is no key for auth.algorithm = {wanted}: change one of them")]
    OtherAlgorithm {
        /// Where the key is.
        variable: &'static str,
        /// The algorithm.
        wanted: &'static str,
    },
    /// The key that signs has no business here.
    #[error(
        "JWT_PUBLIC_KEY holds a private key: give the public one, and keep the other where tokens are made"
    )]
    Private,
    /// Not a key that can be read.
    #[error("JWT_PUBLIC_KEY is no PEM of an RSA, P-256 or Ed25519 public key (BEGIN PUBLIC KEY)")]
    NotAKey,
    /// The key set's file cannot be read.
    #[error("JWT_JWKS: its file cannot be read: {0}")]
    File(#[source] std::io::Error),
    /// The key set's address is none.
    #[error("JWT_JWKS: not an address: write https://host[:port]/path, or the path of a file")]
    Address,
    /// It cannot be fetched.
    #[error("JWT_JWKS cannot be fetched: {0}")]
    Fetch(#[from] crate::ingest::live::RestError),
    /// The server said something else.
    #[error("JWT_JWKS cannot be fetched: its server answered {status}")]
    Status {
        /// HTTP status.
        status: u16,
    },
    /// TLS cannot be had.
    #[error("JWT_JWKS cannot be fetched: {0}")]
    Tls(#[from] rustls::Error),
    /// Not a key set.
    #[error("JWT_JWKS is no key set: {{\"keys\":[…]}} (RFC 7517)")]
    NotAKeySet,
    /// A set without a key that we can use.
    #[error("JWT_JWKS holds no key for signatures with RS256, ES256 (P-256) or EdDSA (Ed25519)")]
    NothingUsable,
}
