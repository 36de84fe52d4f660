//! Tokens that grant something, and every kind that must not.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::keys::Key;
use super::refresh::renew;
use super::*;
use crate::config::{Auth, Config, Secrets, TokenAlgorithm};

const SECRET: &str = "a secret of at least thirty-two bytes";
const NOW: i64 = 1_700_000_000_000;

fn tokens(secrets: Secrets, auth: Auth) -> Tokens {
    Tokens::new(&Config { secrets, auth, ..Config::default() }).unwrap()
}

fn shared() -> Secrets {
    Secrets { jwt_secret: Some(SECRET.into()), ..Secrets::default() }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(DIGITS[(word >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

fn sign(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message =
        format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
    let signed = sign(message.as_bytes());
    format!("{message}.{}", base64(&signed))
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    sign(&json!({"alg": "HS256"}), claims, |message| ring::hmac::sign(&key, message).as_ref().to_vec())
}

/// A key of a set, and who signs with it.
struct Signer {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Signer {
        let seed = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
        Signer { id, pair: Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).unwrap() }
    }

    fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id,
            "x": base64(self.pair.public_key().as_ref())})
    }

    fn token(&self, id: Option<&str>) -> String {
        let mut header = json!({"alg": "EdDSA"});
        if let Some(id) = id {
            header["kid"] = id.into();
        }
        sign(&header, &json!({"sub": "ann"}), |message| self.pair.sign(message).as_ref().to_vec())
    }
}

fn set(signers: &[&Signer]) -> Keys {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    Keys::from_jwks(json!({"keys": keys}).to_string().as_bytes(), None).unwrap()
}

#[track_caller]
fn check(tokens: &Tokens, token: &str, expect: Result<&str, Refused>) {
    let verified = tokens.verify(NOW, token).map(|grant| grant.user().to_string());
    assert_eq!(verified, expect.map(str::to_owned));
}

#[test]
fn a_grant_says_who_what_and_until_when() {
    let tokens = tokens(shared(), Auth::default());
    let claims = json!({"sub": "ann", "scope": "read publish", "roles": ["admin"], "email": "a@example.com",
        "exp": 1_700_000_060, "nbf": 1_700_000_000});
    let grant = tokens.verify(NOW, &hs256(SECRET.as_bytes(), &claims)).unwrap();
    assert_eq!((&**grant.user(), grant.may_publish(), grant.is_admin()), ("ann", true, true));
    assert_eq!(grant.email().map(|email| &**email), Some("a@example.com"));
    assert_eq!(grant.expires(), Some(NOW + 60_000));
    assert!(grant.is_valid_at(NOW + 59_999) && !grant.is_valid_at(NOW + 60_000));
    let plain = tokens.verify(NOW, &hs256(SECRET.as_bytes(), &json!({"sub": "bob", "scope": "publisher"})));
    let plain = plain.unwrap();
    assert!(!plain.may_publish() && !plain.is_admin() && plain.is_valid_at(i64::MAX));
}

#[test]
fn the_user_is_sub_else_user_id_else_id() {
    let tokens = tokens(shared(), Auth::default());
    let check = |claims: Value, expect| check(&tokens, &hs256(SECRET.as_bytes(), &claims), expect);
    check(json!({"sub": "ann", "userId": "bob", "id": "cat"}), Ok("ann"));
    check(json!({"sub": null, "userId": "bob", "id": "cat"}), Ok("bob"));
    check(json!({"id": 17}), Ok("17"));
    for nobody in [
        json!({}),
        json!({"sub": ""}),
        json!({"id": 1.5}),
        json!({"sub": "a\nb"}),
        json!({"sub": "x".repeat(300)}),
    ] {
        check(nobody, Err(Refused::NoUser));
    }
}

#[test]
fn times_are_enforced_to_the_millisecond_and_leeway_moves_them() {
    let strict = tokens(shared(), Auth::default());
    let lenient = Auth { leeway: std::time::Duration::from_secs(5), ..Auth::default() };
    let lenient = tokens(shared(), lenient);
    let token = |claims: Value| hs256(SECRET.as_bytes(), &claims);
    let expired = token(json!({"sub": "ann", "exp": 1_700_000_000}));
    check(&strict, &expired, Err(Refused::Expired));
    check(&lenient, &expired, Ok("ann"));
    check(&strict, &token(json!({"sub": "ann", "exp": 1_700_000_000.5})), Ok("ann"));
    check(&lenient, &token(json!({"sub": "ann", "exp": 1_699_999_995})), Err(Refused::Expired));
    let early = token(json!({"sub": "ann", "nbf": 1_700_000_004}));
    check(&strict, &early, Err(Refused::NotYetValid));
    check(&lenient, &early, Ok("ann"));
    check(&strict, &token(json!({"sub": "ann", "exp": "1800000000"})), Err(Refused::Malformed));
}

#[test]
fn audience_and_issuer_are_looked_at_where_they_are_configured() {
    let auth = Auth { audience: Some("feed".into()), issuer: Some("exchange".into()), ..Auth::default() };
    let tokens = tokens(shared(), auth);
    let check = |claims: Value, expect| check(&tokens, &hs256(SECRET.as_bytes(), &claims), expect);
    check(json!({"sub": "ann", "aud": "feed", "iss": "exchange"}), Ok("ann"));
    check(json!({"sub": "ann", "aud": ["web", "feed"], "iss": "exchange"}), Ok("ann"));
    check(json!({"sub": "ann", "aud": "web", "iss": "exchange"}), Err(Refused::WrongAudience));
    check(json!({"sub": "ann", "iss": "exchange"}), Err(Refused::WrongAudience));
    check(json!({"sub": "ann", "aud": "feed", "iss": "other"}), Err(Refused::WrongIssuer));
}

#[test]
fn what_is_no_token_of_ours_grants_nothing() {
    let tokens = tokens(shared(), Auth::default());
    let good = hs256(SECRET.as_bytes(), &json!({"sub": "ann"}));
    check(&tokens, &good, Ok("ann"));
    for garbage in
        ["", ".", "..", "...", "a.b", "not a token", "\u{0}", "🦀.🦀.🦀x.", &good[..good.len() / 2]]
    {
        assert!(tokens.verify(NOW, garbage).is_err(), "{garbage:?}");
    }
    check(&tokens, &hs256(b"another secret", &json!({"sub": "ann"})), Err(Refused::WrongSignature));
    for none in ["none", "None", "NONE", "nOnE"] {
        let token = sign(&json!({"alg": none}), &json!({"sub": "ann"}), |_| Vec::new());
        check(&tokens, &token, Err(Refused::WrongAlgorithm));
    }
    let other = sign(&json!({"alg": "HS512"}), &json!({"sub": "ann"}), |_| vec![0; 64]);
    check(&tokens, &other, Err(Refused::WrongAlgorithm));
    let critical = json!({"alg": "HS256", "crit": ["x"], "x": 1});
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let critical = sign(&critical, &json!({"sub": "ann"}), |it| ring::hmac::sign(&key, it).as_ref().to_vec());
    check(&tokens, &critical, Err(Refused::Malformed));
    let huge = hs256(SECRET.as_bytes(), &json!({"sub": "ann", "pad": "x".repeat(1 << 20)}));
    check(&tokens, &huge, Err(Refused::TooLong));
    let mut cut = good.clone();
    cut.pop();
    assert!(tokens.verify(NOW, &cut).is_err());
}

#[test]
fn a_public_key_is_no_secret() {
    for (pem, bytes) in [(RSA_PEM, RSA_PEM), (EC_PEM, EC_PEM), (ED_PEM, ED_PEM), (RSA_PEM, RSA_PEM.trim())] {
        let secrets = Secrets { jwt_public_key: Some(pem.into()), ..Secrets::default() };
        let forged = hs256(bytes.as_bytes(), &json!({"sub": "ann"}));
        check(&tokens(secrets, Auth::default()), &forged, Err(Refused::WrongAlgorithm));
    }
}

#[test]
fn a_key_set_rotates_by_kid() {
    let (old, new, foreign) = (Signer::new("old"), Signer::new("new"), Signer::new("foreign"));
    let secrets = Secrets { jwt_jwks: Some("keys.json".into()), ..Secrets::default() };
    let tokens = tokens(secrets, Auth::default());
    check(&tokens, &old.token(Some("old")), Err(Refused::UnknownKey));
    tokens.replace(set(&[&old]));
    check(&tokens, &old.token(Some("old")), Ok("ann"));
    check(&tokens, &old.token(None), Ok("ann"));
    check(&tokens, &foreign.token(Some("foreign")), Err(Refused::UnknownKey));
    check(&tokens, &foreign.token(Some("old")), Err(Refused::WrongSignature));
    tokens.replace(set(&[&old, &new]));
    check(&tokens, &new.token(Some("new")), Ok("ann"));
    check(&tokens, &new.token(None), Err(Refused::UnknownKey));
    tokens.replace(set(&[&new]));
    check(&tokens, &old.token(Some("old")), Err(Refused::UnknownKey));
    check(&tokens, &old.token(None), Err(Refused::WrongSignature));
}

#[test]
fn a_key_set_leaves_out_what_it_cannot_use_and_says_when_nothing_is_left() {
    let known = Signer::new("known");
    let mixed =
        json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}, {"kty": "new"}, 7, known.jwk()]});
    assert_eq!(Keys::from_jwks(mixed.to_string().as_bytes(), None).unwrap().count(), 1);
    let only_secret = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}).to_string();
    let none = Keys::from_jwks(only_secret.as_bytes(), None);
    assert!(matches!(none, Err(BadKeys::NothingUsable)));
    let other = json!({"keys": [known.jwk()]}).to_string();
    let other = Keys::from_jwks(other.as_bytes(), Some(TokenAlgorithm::Rs256));
    assert!(matches!(other, Err(BadKeys::NothingUsable)));
    assert!(matches!(Keys::from_jwks(b"<html>", None), Err(BadKeys::NotAKeySet)));
}

#[test]
fn a_set_without_a_key_takes_the_last_one_out_of_force_and_one_that_cannot_be_read_does_not() {
    let signer = Signer::new("last");
    let secrets = Secrets { jwt_jwks: Some("keys.json".into()), ..Secrets::default() };
    let tokens = tokens(secrets, Auth::default());
    let token = signer.token(Some("last"));
    tokens.replace(set(&[&signer]));
    let grant = tokens.verify(NOW, &token).unwrap();
    let unreadable = std::io::Error::from(std::io::ErrorKind::NotFound);
    let status = BadKeys::Status { status: 503 };
    for read in [Keys::from_jwks(b"<html>", None), Err(BadKeys::File(unreadable)), Err(status)] {
        renew(&tokens, read);
        check(&tokens, &token, Ok("ann"));
        assert_eq!(tokens.ended(NOW, &grant), None);
    }
    let rotations = tokens.rotations();
    renew(&tokens, Keys::from_jwks(br#"{"keys":[]}"#, None));
    check(&tokens, &token, Err(Refused::UnknownKey));
    assert_eq!(tokens.ended(NOW, &grant), Some(Ended::KeyGone), "who is connected goes, too");
    assert!(tokens.rotations() > rotations);
    renew(&tokens, Ok(set(&[&signer])));
    check(&tokens, &token, Ok("ann"));
}

#[tokio::test]
async fn a_key_set_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let signer = Signer::new("file");
    let secrets = Secrets { jwt_jwks: Some(file.to_str().unwrap().into()), ..Secrets::default() };
    let config = Config { secrets, ..Config::default() };
    let tokens = Tokens::new(&config).unwrap();
    assert!(matches!(fetch(&tokens, &config).await, Err(BadKeys::File(_))));
    std::fs::write(&file, json!({"keys": [signer.jwk()]}).to_string()).unwrap();
    fetch(&tokens, &config).await.unwrap();
    check(&tokens, &signer.token(Some("file")), Ok("ann"));
}

#[test]
fn keys_that_cannot_be_meant_are_refused_at_the_start() {
    let refused = |secrets: Secrets, algorithm| {
        let auth = Auth { algorithm, ..Auth::default() };
        let config = Config { secrets, auth, ..Config::default() };
        Tokens::new(&config).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let pem = |pem: &str| Secrets { jwt_public_key: Some(pem.into()), ..Secrets::default() };
    assert!(refused(Secrets { jwt_jwks: Some("x".into()), ..shared() }, None).contains("more than one"));
    assert!(refused(Secrets::default(), Some(TokenAlgorithm::Es256)).contains("no key is"));
    assert!(refused(shared(), Some(TokenAlgorithm::Rs256)).contains("JWT_SECRET is no key for"));
    assert!(refused(pem(RSA_PEM), Some(TokenAlgorithm::Es256)).contains("JWT_PUBLIC_KEY is no key for"));
    let private = refused(pem("-----BEGIN PRIVATE KEY-----\nsecretsecret"), None);
    assert!(private.contains("private key") && !private.contains("secretsecret"), "{private}");
    assert!(refused(pem("garbage"), None).contains("no PEM"));
    assert_eq!(refused(pem(&RSA_PEM.replace('\n', "\\n")), Some(TokenAlgorithm::Rs256)), "");
}

#[test]
fn the_vectors_of_the_standards_verify_and_change_of_a_bit_shows() {
    // RFC 7515 A.1 to A.3 (that of RFC 7519 3.1 is A.1's): they name no user, which is the last
    // thing that is looked at. RFC 8037 A.4 signs what is no JSON.
    let key = |jwk: &str, algorithm| {
        let jwk: Jwk = serde_json::from_str(jwk).unwrap();
        Keys::One(Box::new(Key { key: DecodingKey::from_jwk(&jwk).unwrap(), algorithm }))
    };
    let pem = |pem: &str| {
        Keys::new(&Secrets { jwt_public_key: Some(pem.into()), ..Secrets::default() }, None).unwrap()
    };
    let vectors = [
        (key(HS_JWK, TokenAlgorithm::Hs256), HS_HEAD, CLAIMS, HS_SIGNED, Refused::NoUser),
        (key(RSA_JWK, TokenAlgorithm::Rs256), RSA_HEAD, CLAIMS, RSA_SIGNED, Refused::NoUser),
        (pem(RSA_PEM), RSA_HEAD, CLAIMS, RSA_SIGNED, Refused::NoUser),
        (key(EC_JWK, TokenAlgorithm::Es256), EC_HEAD, CLAIMS, EC_SIGNED, Refused::NoUser),
        (pem(EC_PEM), EC_HEAD, CLAIMS, EC_SIGNED, Refused::NoUser),
        (key(ED_JWK, TokenAlgorithm::EdDsa), ED_HEAD, ED_TEXT, ED_SIGNED, Refused::Malformed),
        (pem(ED_PEM), ED_HEAD, ED_TEXT, ED_SIGNED, Refused::Malformed),
    ];
    for (keys, head, claims, signed, outcome) in vectors {
        let tokens = tokens(shared(), Auth::default());
        tokens.replace(keys);
        let before = 1_300_819_379_999;
        let verify =
            |now, signed: &str| tokens.verify(now, &format!("{head}.{claims}.{signed}")).unwrap_err();
        assert_eq!(verify(before, signed), outcome, "{head}");
        if claims == CLAIMS {
            assert_eq!(verify(before + 1, signed), Refused::Expired, "{head}");
        }
        let changed = if signed.starts_with('d') { "e" } else { "d" };
        assert_eq!(verify(before, &format!("{changed}{}", &signed[1..])), Refused::WrongSignature, "{head}");
    }
}

#[test]
fn a_development_token_is_what_the_server_takes() {
    let what = Mint { scope: "publish admin".into(), ..Mint::new("ann", NOW, 60) };
    let token = mint(&what, &shared()).unwrap();
    let grant = tokens(shared(), Auth::default()).verify(NOW, &token).unwrap();
    assert_eq!((&**grant.user(), grant.may_publish(), grant.expires()), ("ann", true, Some(NOW + 60_000)));
    assert_eq!(mint(&what, &Secrets::default()), Err(CannotMint::NoSecret));
}

#[test]
fn nothing_that_can_be_printed_holds_a_key_or_a_token() {
    let signer = Signer::new("shown");
    let token = signer.token(Some("shown"));
    let keys = set(&[&signer]);
    let shown = format!("{keys:?} {:?}", Keys::new(&shared(), None));
    assert!(
        !shown.contains(SECRET) && !shown.contains(&base64(signer.pair.public_key().as_ref())),
        "{shown}"
    );
    let refused = tokens(shared(), Auth::default()).verify(NOW, &token).unwrap_err();
    let shown = format!("{refused} {refused:?}");
    assert!(token.split('.').all(|part| !shown.contains(part)), "{shown}");
}

const CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const HS_HEAD: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const HS_SIGNED: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const HS_JWK: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const RSA_HEAD: &str = "eyJhbGciOiJSUzI1NiJ9";
const RSA_SIGNED: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RSA_JWK: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const EC_HEAD: &str = "eyJhbGciOiJFUzI1NiJ9";
const EC_SIGNED: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const EC_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ED_HEAD: &str = "eyJhbGciOiJFZERTQSJ9";
const ED_TEXT: &str = "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const ED_SIGNED: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const ED_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\nNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\nP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\nEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\nFvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\noQIDAQAB\n-----END PUBLIC KEY-----\n";
const EC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n-----END PUBLIC KEY-----\n";
const ED_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
