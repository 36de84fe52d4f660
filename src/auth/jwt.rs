//! Verifies tokens: signature, times, audience, issuer, and who they speak of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Number, Value};
use thiserror::Error;
use tokio::sync::Notify;

use super::grant::Scopes;
use super::keys::{BadKeys, KeyName, Keys, NoKey};
use super::{Grant, signature};
use crate::config::{Auth, Config};
use crate::market::Millis;

/// What tokens are checked against. Shared by all who take tokens in.
pub struct Tokens {
    keys: ArcSwap<Keys>,
    rules: Auth,
    /// How often keys went out of force.
    rotations: AtomicU64,
    /// Somebody brought a key that is not known: the set may have changed.
    pub(super) unknown: Notify,
}

impl Tokens {
    /// Those of the configuration. A key set is empty until [`fetch`](super::fetch) has read it.
    ///
    /// # Errors
    /// [`BadKeys`] says which variable is wrong, never its value.
    pub fn new(config: &Config) -> Result<Tokens, BadKeys> {
        signature::install();
        let keys = Keys::new(&config.secrets, config.auth.algorithm)?;
        Ok(Tokens {
            keys: ArcSwap::from_pointee(keys),
            rules: config.auth.clone(),
            rotations: AtomicU64::new(0),
            unknown: Notify::new(),
        })
    }

    /// Whether any key is configured: without one nobody can be authenticated.
    pub fn are_configured(&self) -> bool {
        !matches!(**self.keys.load(), Keys::None)
    }

    /// What `token` grants at `now`.
    ///
    /// # Errors
    /// [`Refused`] says why it grants nothing. It repeats nothing of the token.
    pub fn verify(&self, now: Millis, token: &str) -> Result<Grant, Refused> {
        if token.len() > MOST_TOKEN {
            return Err(Refused::TooLong);
        }
        let header = decode_header(token).map_err(|_| self.unreadable(token))?;
        if header.crit.is_some() {
            // An extension that must be understood, and we understand none (RFC 7515, 4.1.11).
            return Err(Refused::Malformed);
        }
        let (claims, key) = self.verified(&header, token)?;
        Ok(self.grant(now, &claims)?.signed_with(key))
    }

    /// When a grant ends: with its token, or at once where the key has gone that the token was signed
    /// with (0, which is long past). `None` is never.
    pub fn ends(&self, grant: &Grant) -> Option<Millis> {
        if self.has_key_of(grant) { grant.expires() } else { Some(0) }
    }

    /// Why a grant holds no longer at `now`; `None` where it does.
    pub fn ended(&self, now: Millis, grant: &Grant) -> Option<Ended> {
        if !self.has_key_of(grant) {
            return Some(Ended::KeyGone);
        }
        (!grant.is_valid_at(now)).then_some(Ended::Expired)
    }

    /// How often keys went out of force. Where this has risen, some grants may have ended.
    pub fn rotations(&self) -> u64 {
        self.rotations.load(Ordering::Acquire)
    }

    fn has_key_of(&self, grant: &Grant) -> bool {
        grant.key().is_none_or(|key| self.keys.load().holds(key))
    }

    /// Takes over keys that were read anew.
    pub(super) fn replace(&self, keys: Keys) {
        let keys = Arc::new(keys);
        let before = self.keys.swap(keys.clone());
        if before.lose_any_to(&keys) {
            self.rotations.fetch_add(1, Ordering::Release);
        }
    }

    fn unreadable(&self, token: &str) -> Refused {
        // `alg` of a token that is well-formed otherwise: "none" and the like are no algorithm here.
        match self.are_configured() {
            false => Refused::NoKeys,
            true if token.split('.').count() == 3 => Refused::WrongAlgorithm,
            true => Refused::Malformed,
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the library's, and open: what it may add is refused like the rest"
    )]
    fn verified(&self, header: &Header, token: &str) -> Result<(Claims, Option<Arc<KeyName>>), Refused> {
        let keys = self.keys.load();
        let (key, name) = keys.find(header.kid.as_deref()).map_err(|none| match none {
            NoKey::Configured => Refused::NoKeys,
            NoKey::Unknown => {
                self.unknown.notify_one();
                Refused::UnknownKey
            }
        })?;
        let algorithm = signature::algorithm(key.algorithm);
        if header.alg != algorithm {
            return Err(Refused::WrongAlgorithm);
        }
        let mut validation = Validation::new(algorithm);
        // The times are checked here, against the time that the caller gives.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        let decoded = decode::<Claims>(token, &key.key, &validation);
        decoded.map(|token| (token.claims, name.cloned())).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refused::WrongSignature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => Refused::WrongAlgorithm,
            // All else that the library can say is about the shape of the token.
            _ => Refused::Malformed,
        })
    }

    fn grant(&self, now: Millis, claims: &Claims) -> Result<Grant, Refused> {
        let leeway = Millis::try_from(self.rules.leeway.as_millis()).unwrap_or(Millis::MAX);
        let expires = claims.exp.as_ref().map(millis).transpose()?;
        let expires = expires.map(|expires| expires.saturating_add(leeway));
        if expires.is_some_and(|expires| now >= expires) {
            return Err(Refused::Expired);
        }
        let begins = claims.nbf.as_ref().map(millis).transpose()?;
        if begins.is_some_and(|begins| now < begins.saturating_sub(leeway)) {
            return Err(Refused::NotYetValid);
        }
        if let Some(wanted) = &self.rules.audience
            && !words(claims.aud.as_ref()).any(|audience| audience == wanted)
        {
            return Err(Refused::WrongAudience);
        }
        if let Some(wanted) = &self.rules.issuer
            && claims.iss.as_ref().and_then(Value::as_str) != Some(wanted)
        {
            return Err(Refused::WrongIssuer);
        }
        let named = [&claims.sub, &claims.user_id, &claims.id].into_iter().flatten();
        let user = named.filter_map(user).next().ok_or(Refused::NoUser)?;
        if user.len() > MOST_USER || user.chars().any(char::is_control) {
            return Err(Refused::NoUser);
        }
        let mut scopes = Scopes::default();
        for text in words(claims.scope.as_ref()).chain(words(claims.roles.as_ref())) {
            text.split_whitespace().for_each(|word| scopes.add(word));
        }
        let email = claims.email.as_ref().and_then(Value::as_str).filter(|email| email.len() <= MOST_USER);
        Ok(Grant::new(&user, email, &scopes, expires))
    }
}

/// The claims that mean something here. A claim that is there twice makes the token unreadable.
#[derive(Deserialize)]
struct Claims {
    sub: Option<Value>,
    #[serde(rename = "userId")]
    user_id: Option<Value>,
    id: Option<Value>,
    exp: Option<Number>,
    nbf: Option<Number>,
    aud: Option<Value>,
    iss: Option<Value>,
    scope: Option<Value>,
    roles: Option<Value>,
    email: Option<Value>,
}

/// A user is named by a text, or by a whole number as databases count them.
fn user(claim: &Value) -> Option<String> {
    match claim {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::String(_)
        | Value::Number(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    }
}

/// One text, or the texts of a list.
fn words(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let one = claim.and_then(Value::as_str);
    let many = claim.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

/// Seconds since 1970, which may have a fraction (RFC 7519, 2).
#[allow(clippy::cast_possible_truncation, reason = "what is beyond is cut off, which is as good as never")]
fn millis(seconds: &Number) -> Result<Millis, Refused> {
    match (seconds.as_i64(), seconds.as_f64()) {
        (Some(seconds), _) => Ok(seconds.saturating_mul(1_000)),
        (None, Some(seconds)) => Ok((seconds * 1_000.0) as Millis),
        (None, None) => Err(Refused::Malformed),
    }
}

/// Why a grant holds no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Ended {
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// The key rotated away.
    #[error("the key that the token was signed with is no longer in force")]
    KeyGone,
}

/// Why a token grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is none where one is needed.
    #[error("a token is needed: ?token=, or Authorization: Bearer")]
    Missing,
    /// This server has nothing to check it with.
    #[error("this server has no key to check tokens with: set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS")]
    NoKeys,
    /// Longer than any real one.
    #[error("the token is longer than {MOST_TOKEN} bytes")]
    TooLong,
    /// Not a token at all.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// Signed in another way than the configured one.
    #[error("the token is not signed with the algorithm that this server accepts")]
    WrongAlgorithm,
    /// Signed with a key that is not (or no longer) known.
    #[error("the token names a key that this server does not know: get a fresh token")]
    UnknownKey,
    /// Not signed with the key that it names.
    #[error("the token's signature is wrong")]
    WrongSignature,
    /// Its time is over.
    #[error("the token has expired: get a fresh one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Meant for somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// Made by somebody else.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// It names nobody.
    #[error("the token names no user in sub, userId or id (a text of at most {MOST_USER} bytes)")]
    NoUser,
}

impl Refused {
    /// The code that clients are told.
    pub const fn code(self) -> &'static str {
        match self {
            Refused::Expired => "TOKEN_EXPIRED",
            Refused::Missing
            | Refused::NoKeys
            | Refused::TooLong
            | Refused::Malformed
            | Refused::WrongAlgorithm
            | Refused::UnknownKey
            | Refused::WrongSignature
            | Refused::NotYetValid
            | Refused::WrongAudience
            | Refused::WrongIssuer
            | Refused::NoUser => "UNAUTHORIZED",
        }
    }
}

/// The longest token that is looked at.
const MOST_TOKEN: usize = 8 << 10;

/// The longest name of a user.
const MOST_USER: usize = 256;
