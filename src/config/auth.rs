//! What a token must be: `[auth]`.

use std::time::Duration;

/// `[auth]`: what a token must be, besides signed with a key of the environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// The only algorithm that tokens may be signed with; none is the one that the key is for.
    pub algorithm: Option<TokenAlgorithm>,
    /// What `aud` must name; none does not look at it.
    pub audience: Option<String>,
    /// What `iss` must be; none does not look at it.
    pub issuer: Option<String>,
    /// How far the clocks of those who sign may be off.
    pub leeway: Duration,
    /// How often a key set is read again.
    pub jwks_refresh: Duration,
}

impl Default for Auth {
    fn default() -> Auth {
        Auth {
            algorithm: None,
            audience: None,
            issuer: None,
            leeway: Duration::ZERO,
            jwks_refresh: Duration::from_secs(300),
        }
    }
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: who checks could also sign.
    Hs256,
    /// RSA (PKCS #1 1.5) with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// All of them.
    pub const ALL: [TokenAlgorithm; 4] =
        [TokenAlgorithm::Hs256, TokenAlgorithm::Rs256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa];

    /// Its name in a token's head and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            TokenAlgorithm::Hs256 => "HS256",
            TokenAlgorithm::Rs256 => "RS256",
            TokenAlgorithm::Es256 => "ES256",
            TokenAlgorithm::EdDsa => "EdDSA",
        }
    }
}
