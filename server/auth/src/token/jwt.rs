//! The form of a token: three parts, one algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Characters of a token that is looked at.
const TOKEN_CHARS_MAX: usize = 16 * 1024;
/// Characters of a key's id.
const KID_CHARS_MAX: usize = 64;

/// What a token is for; one kind never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Shows who calls.
    Access,
    /// Begins a session, minted by a service key.
    Custom,
}

impl Kind {
    /// The `typ` of the header.
    fn as_str(self) -> &'static str {
        match self {
            Self::Access => "JWT",
            Self::Custom => "andiron-custom+jwt",
        }
    }
}

/// The token is none, or not one of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenError;

#[derive(Serialize)]
struct HeaderOut<'h> {
    alg: &'h str,
    typ: &'h str,
    kid: &'h str,
}

/// Whatever else may stand in a header (`jwk`, `jku`, `x5u`, `crit`, …) is refused, not ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// A token taken apart, its signature not yet verified.
pub(super) struct Unverified<'t> {
    pub(super) kid: String,
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    payload: &'t str,
}

impl<'t> Unverified<'t> {
    pub(super) fn parse(token: &'t str, kind: Kind) -> Result<Self, TokenError> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(TokenError);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError)?;
        let is_ours = header.alg == "EdDSA"
            && header.typ == kind.as_str()
            && (1..=KID_CHARS_MAX).contains(&header.kid.len())
            && header.kid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_ours {
            return Err(TokenError);
        }
        Ok(Self {
            kid: header.kid,
            signed,
            signature: decode(signature)?,
            payload,
        })
    }

    /// The claims; only once the signature has been verified.
    pub(super) fn payload(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.payload)
    }
}

/// A token over claims, signed by `sign`.
pub(super) fn write(kind: Kind, kid: &str, claims: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let header = HeaderOut {
        alg: "EdDSA",
        typ: kind.as_str(),
        kid,
    };
    // Three short strings.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError)
}
