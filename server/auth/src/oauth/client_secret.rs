//! What a client shows a provider to be itself: a secret, or a statement that it signs anew each time.
//!
//! Apple takes the latter: a token signed by a key of the developer's. One made here holds for minutes, so there is nothing
//! to renew by hand, and nothing lasting to leak but the key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use super::ProviderOptions;
use crate::SecretText;

/// How long a signed statement holds. Apple takes half a year at most.
const STATEMENT_SECONDS: i64 = 300;

/// What a client shows.
pub(super) enum ClientSecret {
    /// Nothing: PKCE alone binds the exchange to it.
    None,
    Text(SecretText),
    Signed(Box<SecretSigner>),
}

/// A key that signs such statements, and what they say.
pub(super) struct SecretSigner {
    key: EcdsaKeyPair,
    key_id: String,
    team_id: String,
    client_id: String,
    audience: String,
}

impl ClientSecret {
    /// What the options say; `signs_for` is who takes signed statements, if the provider does.
    pub(super) fn of(options: &ProviderOptions, signs_for: Option<&str>) -> Result<Self, String> {
        let parts = (&options.team_id, &options.key_id, &options.private_key);
        match (parts, &options.client_secret, signs_for) {
            ((None, None, None), None, _) => Ok(Self::None),
            ((None, None, None), Some(secret), _) => Ok(Self::Text(secret.clone())),
            ((Some(team_id), Some(key_id), Some(key)), None, Some(audience)) => {
                Ok(Self::Signed(Box::new(SecretSigner {
                    key: read_key(key)?,
                    key_id: key_id.clone(),
                    team_id: team_id.clone(),
                    client_id: options.client_id.clone(),
                    audience: audience.to_owned(),
                })))
            }
            (_, _, None) => Err("`teamId`, `keyId` and `privateKey` are for `apple`".to_owned()),
            _ => {
                Err("give `teamId`, `keyId` and `privateKey`, or a `clientSecret` in their place".to_owned())
            }
        }
    }

    /// The secret of this moment.
    pub(super) fn text(&self, now_seconds: i64) -> Result<Option<SecretText>, String> {
        match self {
            Self::None => Ok(None),
            Self::Text(secret) => Ok(Some(secret.clone())),
            Self::Signed(signer) => signer.statement(now_seconds).map(Some),
        }
    }
}

impl SecretSigner {
    fn statement(&self, now_seconds: i64) -> Result<SecretText, String> {
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = part(json!({"alg": "ES256", "kid": self.key_id}));
        let claims = part(json!({
            "iss": self.team_id,
            "iat": now_seconds,
            "exp": now_seconds + STATEMENT_SECONDS,
            "aud": self.audience,
            "sub": self.client_id,
        }));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| "the client's key does not sign".to_owned())?;
        Ok(SecretText::new(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}

/// A key as Apple gives it out: a P-256 key by PKCS #8 in PEM.
fn read_key(pem: &SecretText) -> Result<EcdsaKeyPair, String> {
    let refused =
        || "`privateKey` is the whole text of the `.p8` file: `-----BEGIN PRIVATE KEY-----…`".to_owned();
    let body = pem
        .expose()
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
        .ok_or_else(refused)?;
    let base64: String = body.split_whitespace().collect();
    let pkcs8 = STANDARD.decode(base64).map_err(|_| refused())?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new())
        .map_err(|_| refused())
}
