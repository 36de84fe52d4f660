//! Makes tokens for development, signed with the shared secret.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use thiserror::Error;

use super::signature;
use crate::config::Secrets;
use crate::market::Millis;

/// What a token is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mint {
    /// Who it is for.
    pub sub: String,
    /// `publish`, `admin`, both, or nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// An address for `/stats`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Who makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
}

impl Mint {
    /// A token for `user` that is made at `now` and ends after `seconds`.
    pub fn new(user: &str, now: Millis, seconds: i64) -> Mint {
        let iat = now.div_euclid(1_000);
        Mint { sub: user.to_owned(), iat, exp: iat.saturating_add(seconds), ..Mint::default() }
    }
}

/// Signs it.
///
/// # Errors
/// When there is no shared secret to sign it with.
pub fn mint(what: &Mint, secrets: &Secrets) -> Result<String, CannotMint> {
    signature::install();
    let secret = secrets.jwt_secret.as_ref().ok_or(CannotMint::NoSecret)?;
    encode(&Header::default(), what, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|_| CannotMint::Signing)
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CannotMint {
    /// Nothing to sign it with.
    #[error(
        "JWT_SECRET is not set: tokens for development are signed with it; other keys belong to those who sign"
    )]
    NoSecret,
    /// The library refused.
    #[error("the token could not be signed")]
    Signing,
}
