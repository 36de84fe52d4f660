//! The cryptography behind tokens: the one that TLS already uses, for exactly four algorithms.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as BadSignature, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::{hmac, signature};

use crate::config::TokenAlgorithm;

/// Makes the token library use it. Later calls change nothing.
pub(super) fn install() {
    // Refused when it is installed already, by an earlier engine of this process.
    let _ = PROVIDER.install_default();
}

/// The library's word for an algorithm.
pub(super) const fn algorithm(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::Hs256 => Algorithm::HS256,
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // Only thumbprints and the making of key sets need them, and we do neither.
    key_utils: KeyUtils::new_unimplemented(),
};

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the library's, and open: what it may add is refused like the rest"
)]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let family = match algorithm {
        Algorithm::HS256 => AlgorithmFamily::Hmac,
        Algorithm::RS256 => AlgorithmFamily::Rsa,
        Algorithm::ES256 => AlgorithmFamily::Ec,
        Algorithm::EdDSA => AlgorithmFamily::Ed,
        // The library may come to know more; here there are these four.
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    // A public key is never a secret: what an attacker signs with it does not count.
    if key.family() != family {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(Check { algorithm: *algorithm, key: key.clone() }))
}

struct Check {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), BadSignature> {
        let good = match (self.key.kind(), self.algorithm) {
            (DecodingKeyKind::SecretOrDer(secret), Algorithm::HS256) => {
                // Compares in constant time.
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signed).is_ok()
            }
            (DecodingKeyKind::SecretOrDer(key), Algorithm::RS256) => {
                let key = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key);
                key.verify(message, signed).is_ok()
            }
            (DecodingKeyKind::RsaModulusExponent { n, e }, Algorithm::RS256) => {
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signed).is_ok()
            }
            (DecodingKeyKind::SecretOrDer(key), Algorithm::ES256) => {
                let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key);
                key.verify(message, signed).is_ok()
            }
            (DecodingKeyKind::SecretOrDer(key), Algorithm::EdDSA) => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                key.verify(message, signed).is_ok()
            }
            (DecodingKeyKind::SecretOrDer(_) | DecodingKeyKind::RsaModulusExponent { .. }, _) => false,
        };
        good.then_some(()).ok_or_else(BadSignature::new)
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Development tokens alone are signed here, with the shared secret.
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if *algorithm != Algorithm::HS256 || key.family() != AlgorithmFamily::Hmac {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Sign(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))))
}

struct Sign(hmac::Key);

impl Signer<Vec<u8>> for Sign {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, BadSignature> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Sign {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
