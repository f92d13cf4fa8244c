//! ID tokens of providers: verified by the keys that the provider publishes.
//!
//! The algorithm follows from the key, and is one of three asymmetric ones; what a token's header says besides has to
//! agree. Issuer, audience, time and nonce are checked here, so that no caller forgets one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// Characters of an ID token that is looked at.
const ID_TOKEN_CHARS_MAX: usize = 16 * 1024;
/// How far a provider's clock may be from ours.
const CLOCK_SKEW_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// What an ID token has to say.
pub(super) struct Expected<'e> {
    /// What the provider calls itself; `{tenantid}` in it stands for the tenant that the token names.
    pub(super) issuers: &'e [String],
    /// The clients that it may be for.
    pub(super) audiences: &'e [String],
    /// The nonce that was asked with; a token with a nonce passes for no flow without.
    pub(super) nonce: Option<&'e str>,
    pub(super) now_seconds: i64,
}

/// The `kid` of a token, to see whether its key is known.
pub(super) fn kid(token: &str) -> Option<String> {
    header(token)?.kid
}

fn header(token: &str) -> Option<Header> {
    if token.len() > ID_TOKEN_CHARS_MAX {
        return None;
    }
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&decode(header)?).ok()
}

/// The claims of a token that one of these keys signed and that says what it has to.
pub(super) fn verify(token: &str, keys: &[Value], expected: &Expected<'_>) -> Result<Value, &'static str> {
    let header = header(token).ok_or("it is no token")?;
    if header.crit.is_some() {
        return Err("it has critical extensions");
    }
    let (signed, signature) = token.rsplit_once('.').ok_or("it is no token")?;
    let signature = decode(signature).ok_or("its signature is no base64")?;
    let is_signed = keys
        .iter()
        .filter(|key| header.kid.is_none() || key["kid"].as_str() == header.kid.as_deref())
        .filter(|key| key["use"].as_str().is_none_or(|usage| usage == "sig"))
        .any(|key| is_signed_by(key, &header.alg, signed.as_bytes(), &signature));
    if !is_signed {
        return Err("none of the provider's keys has signed it");
    }
    let payload = signed.split_once('.').and_then(|(_, payload)| decode(payload));
    let claims: Value = payload
        .and_then(|payload| serde_json::from_slice(&payload).ok())
        .ok_or("its claims are no JSON")?;
    let tenant = claims["tid"].as_str();
    let issuer = claims["iss"].as_str();
    if !issuer.is_some_and(|issuer| {
        expected
            .issuers
            .iter()
            .any(|form| is_issuer(form, issuer, tenant))
    }) {
        return Err("it is of another issuer");
    }
    let is_ours = |audience: &Value| expected.audiences.iter().any(|ours| audience == ours);
    let is_for_us = match &claims["aud"] {
        Value::String(_) => is_ours(&claims["aud"]),
        Value::Array(audiences) => {
            // Of several audiences the token has to say which is meant.
            audiences.iter().any(is_ours) && (audiences.len() == 1 || is_ours(&claims["azp"]))
        }
        _ => false,
    };
    if !is_for_us {
        return Err("it is for another audience");
    }
    let now = expected.now_seconds;
    if claims["exp"]
        .as_i64()
        .is_none_or(|exp| exp + CLOCK_SKEW_SECONDS <= now)
    {
        return Err("it has expired");
    }
    if claims["iat"]
        .as_i64()
        .is_some_and(|iat| iat - CLOCK_SKEW_SECONDS > now)
    {
        return Err("it is of the future");
    }
    if claims.get("nonce").and_then(Value::as_str) != expected.nonce {
        return Err("its nonce is another");
    }
    if claims["sub"].as_str().is_none_or(str::is_empty) {
        return Err("it has no subject");
    }
    Ok(claims)
}

/// What stands for a tenant in the name of an issuer.
pub(super) const TENANT: &str = "{tenantid}";

/// Whether an issuer has this form. Where the form has a place for a tenant, it is the tenant that is given.
pub(super) fn is_issuer(form: &str, issuer: &str, tenant: Option<&str>) -> bool {
    match form.split_once(TENANT) {
        None => issuer == form,
        Some((before, after)) => {
            let named = issuer
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            named.is_some_and(|named| is_tenant(named) && tenant == Some(named))
        }
    }
}

/// Whether it is the id of a tenant, and nothing that could stand for more.
pub(super) fn is_tenant(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn is_signed_by(key: &Value, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
    if key["alg"].as_str().is_some_and(|alg| alg != algorithm) {
        return false;
    }
    let part = |name: &str| key[name].as_str().and_then(decode);
    match (key["kty"].as_str(), algorithm) {
        (Some("RSA"), "RS256") => {
            let (Some(n), Some(e)) = (part("n"), part("e")) else {
                return false;
            };
            let key = RsaPublicKeyComponents { n, e };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
        }
        (Some("EC"), "ES256") if key["crv"] == "P-256" => {
            let (Some(x), Some(y)) = (part("x"), part("y")) else {
                return false;
            };
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(signed, signature)
                .is_ok()
        }
        (Some("OKP"), "EdDSA") if key["crv"] == "Ed25519" => part("x").is_some_and(|x| {
            UnparsedPublicKey::new(&ED25519, x)
                .verify(signed, signature)
                .is_ok()
        }),
        _ => false,
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
