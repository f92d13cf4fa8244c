//! Passkeys: what an authenticator says, and whether that is true (Web Authentication, level 3, sections 7.1 and 7.2).
//!
//! Pure: bytes and expectations in, what was shown out; whose a passkey is and which challenge is in force, the flows know.
//! The arithmetic of signatures is `ring`'s. No attestation is asked for and none is believed: which make an authenticator
//! is decides nothing here, so statements about it are read over.

mod authenticator_data;
mod cbor;
mod public_key;
mod relying_party;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::authenticator_data::AuthenticatorData;
use self::cbor::Cbor;
use self::public_key::PublicKey;
pub use self::relying_party::RelyingParty;
use crate::AuthError;

/// Bytes of a credential's id, as the standard has it.
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;
/// Transports of a passkey that are kept, and characters of each.
const TRANSPORTS_MAX: usize = 8;
const TRANSPORT_CHARS_MAX: usize = 32;
/// How long a browser is to wait for its user, in milliseconds; as long as a challenge holds.
const TIMEOUT_MILLIS: u32 = 300_000;

/// What a browser gives after making a passkey: `PublicKeyCredential.toJSON()`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPasskey {
    raw_id: String,
    r#type: String,
    response: Attestation,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
    #[serde(default)]
    transports: Vec<String>,
}

/// What a browser gives after using a passkey: `PublicKeyCredential.toJSON()`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyProof {
    raw_id: String,
    r#type: String,
    response: Assertion,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

/// What a browser has to be told to make or use a passkey: the JSON that `PublicKeyCredential.parseCreationOptionsFromJSON`
/// and `parseRequestOptionsFromJSON` take.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct PasskeyOptions(Value);

/// A passkey as it is stored, in its account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PasskeyRecord {
    /// The credential's id, in base64url.
    pub(crate) credential: String,
    /// In COSE's form, in base64url.
    pub(crate) public_key: String,
    /// What the authenticator calls the account: made of randomness.
    pub(crate) handle: String,
    /// How often it has signed, as it says itself; 0 for those that do not count.
    pub(crate) sign_count: u32,
    /// Whether it may be copied to other devices, and whether it has been.
    pub(crate) backup_eligible: bool,
    pub(crate) backed_up: bool,
    /// How browsers reach it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) transports: Vec<String>,
    /// Whether having it means that a sign-in without it asks for a second factor.
    #[serde(default)]
    pub(crate) second_factor: bool,
    pub(crate) name: String,
    pub(crate) created: andiron_protocol::Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used: Option<andiron_protocol::Timestamp>,
}

/// What the use of a passkey has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShownPasskey {
    /// Whether the authenticator has made sure who uses it, by a finger, a face or a PIN.
    pub(crate) is_user_verified: bool,
    pub(crate) sign_count: u32,
    pub(crate) backed_up: bool,
}

impl PasskeyRecord {
    /// What may follow from a use of it; refuses a counter that does not go up: there is a copy of the key.
    pub(crate) fn note_use(
        &mut self,
        shown: ShownPasskey,
        now: andiron_protocol::Timestamp,
    ) -> Result<(), ()> {
        let counts = shown.sign_count > 0 || self.sign_count > 0;
        if counts && shown.sign_count <= self.sign_count {
            return Err(());
        }
        self.sign_count = shown.sign_count;
        self.backed_up = shown.backed_up;
        self.last_used = Some(now);
        Ok(())
    }

    /// How it shows who somebody is (RFC 8176): a key of hardware, or one that is copied between devices; somebody was there;
    /// and if the authenticator made sure who, that are two factors.
    pub(crate) fn amr(&self, shown: ShownPasskey) -> Vec<&'static str> {
        let key = if self.backup_eligible { "swk" } else { "hwk" };
        let mut amr = vec![key, "user"];
        if shown.is_user_verified {
            amr.push("mfa");
        }
        amr
    }
}

/// Why something an authenticator said is not taken; for the log, and for who sets a passkey up.
pub(crate) type Refusal = &'static str;

/// What the browser signs, beside what the authenticator says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a part is not base64url without padding")
}

fn client_data(text: &str) -> Result<(Vec<u8>, ClientData), Refusal> {
    let bytes = decode(text)?;
    let data = serde_json::from_slice(&bytes).map_err(|_| "`clientDataJSON` is no JSON of a client")?;
    Ok((bytes, data))
}

/// The challenge that a browser was given, as it was made; what it says is worth nothing before the rest is checked.
fn challenge_of(text: &str) -> Result<String, Refusal> {
    let (_, data) = client_data(text)?;
    String::from_utf8(decode(&data.challenge)?).map_err(|_| "the challenge is none of this server")
}

fn check_client_data(rp: &RelyingParty, text: &str, kind: &str) -> Result<Vec<u8>, Refusal> {
    let (bytes, data) = client_data(text)?;
    if data.r#type != kind {
        return Err("what was done is not what was asked for");
    }
    if !rp.has_page(&data.origin) {
        return Err("the page's origin is none of those in `auth.passkey_origins`");
    }
    if data.cross_origin || data.top_origin.is_some() {
        return Err("the page stands in a frame of another site");
    }
    Ok(bytes)
}

fn check_authenticator_data(rp: &RelyingParty, data: &AuthenticatorData<'_>) -> Result<(), Refusal> {
    if data.rp_id_hash != Sha256::digest(rp.id()).as_slice() {
        return Err("the passkey belongs to another domain");
    }
    if !data.is_user_present {
        return Err("nobody was there to use the authenticator");
    }
    if data.backed_up && !data.backup_eligible {
        return Err("the authenticator says that it has copied what cannot be copied");
    }
    Ok(())
}

impl NewPasskey {
    /// The challenge that it answers.
    pub(crate) fn challenge(&self) -> Result<String, Refusal> {
        challenge_of(&self.response.client_data)
    }

    /// Checks what the authenticator says, whose challenge is in force. Gives what is to be stored, without a name.
    pub(crate) fn check(&self, rp: &RelyingParty) -> Result<PasskeyRecord, Refusal> {
        if self.r#type != "public-key" {
            return Err("this is no public key");
        }
        check_client_data(rp, &self.response.client_data, "webauthn.create")?;
        let object = decode(&self.response.attestation_object)?;
        let object = Cbor::read_whole(&object).ok_or("the attestation object cannot be read")?;
        let data = object
            .text_member("authData")
            .and_then(Cbor::bytes)
            .ok_or("the attestation object has no authenticator data")?;
        let data = AuthenticatorData::read(data).ok_or("the authenticator data cannot be read")?;
        check_authenticator_data(rp, &data)?;
        let credential = data.credential.ok_or("the authenticator gives no key")?;
        if credential.id.is_empty() || credential.id.len() > CREDENTIAL_ID_BYTES_MAX {
            return Err("the credential's id is too long");
        }
        if credential.id != decode(&self.raw_id)? {
            return Err("the credential's id is not the authenticator's");
        }
        PublicKey::read(credential.public_key).ok_or("the key is none of the kinds that were asked for")?;
        let is_transport = |text: &&String| {
            text.len() <= TRANSPORT_CHARS_MAX
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        let transports = self.response.transports.iter().filter(is_transport);
        Ok(PasskeyRecord {
            credential: URL_SAFE_NO_PAD.encode(credential.id),
            public_key: URL_SAFE_NO_PAD.encode(credential.public_key),
            handle: String::new(),
            sign_count: data.sign_count,
            backup_eligible: data.backup_eligible,
            backed_up: data.backed_up,
            transports: transports.take(TRANSPORTS_MAX).cloned().collect(),
            second_factor: false,
            name: String::new(),
            created: andiron_protocol::Timestamp::from_micros_clamped(0),
            last_used: None,
        })
    }

    /// Whether the authenticator has made sure who uses it.
    pub(crate) fn is_user_verified(&self) -> bool {
        let object = decode(&self.response.attestation_object).unwrap_or_default();
        let data = Cbor::read_whole(&object);
        let data = data.as_ref().and_then(|object| object.text_member("authData"));
        let data = data.and_then(Cbor::bytes).and_then(AuthenticatorData::read);
        data.is_some_and(|data| data.is_user_verified)
    }
}

impl PasskeyProof {
    /// The challenge that it answers.
    pub(crate) fn challenge(&self) -> Result<String, Refusal> {
        challenge_of(&self.response.client_data)
    }

    /// The credential that was used, in base64url.
    pub(crate) fn credential(&self) -> &str {
        &self.raw_id
    }

    /// Who the authenticator says it is, if it does.
    pub(crate) fn handle(&self) -> Option<&str> {
        self.response
            .user_handle
            .as_deref()
            .filter(|handle| !handle.is_empty())
    }

    /// Checks what the authenticator says, whose challenge is in force, with a passkey that is stored.
    pub(crate) fn check(&self, rp: &RelyingParty, passkey: &PasskeyRecord) -> Result<ShownPasskey, Refusal> {
        if self.r#type != "public-key" || self.raw_id != passkey.credential {
            return Err("this is another credential");
        }
        if self.handle().is_some_and(|handle| handle != passkey.handle) {
            return Err("the authenticator has the passkey for somebody else");
        }
        let client_data = check_client_data(rp, &self.response.client_data, "webauthn.get")?;
        let bytes = decode(&self.response.authenticator_data)?;
        let data = AuthenticatorData::read(&bytes).ok_or("the authenticator data cannot be read")?;
        check_authenticator_data(rp, &data)?;
        if data.backup_eligible != passkey.backup_eligible {
            return Err("whether it can be copied has changed");
        }
        let key = decode(&passkey.public_key)?;
        let key = PublicKey::read(&key).ok_or("the stored key cannot be read")?;
        let signed = [bytes.as_slice(), Sha256::digest(&client_data).as_slice()].concat();
        if !key.verifies(&signed, &decode(&self.response.signature)?) {
            return Err("the signature is wrong");
        }
        Ok(ShownPasskey {
            is_user_verified: data.is_user_verified,
            sign_count: data.sign_count,
            backed_up: data.backed_up,
        })
    }
}

/// Who a passkey is made for.
pub(crate) struct PasskeyOwner<'o> {
    pub(crate) handle: &'o str,
    /// What the authenticator shows to its user, to choose among several.
    pub(crate) name: &'o str,
    pub(crate) display_name: &'o str,
}

fn descriptors(passkeys: &[PasskeyRecord]) -> Vec<Value> {
    let descriptor = |passkey: &PasskeyRecord| json!({"type": "public-key", "id": passkey.credential, "transports": passkey.transports});
    passkeys.iter().map(descriptor).collect()
}

impl PasskeyOptions {
    /// To make a passkey. One that is to do alone is kept by the authenticator, so that it can be used without a name.
    pub(crate) fn to_create(
        rp: &RelyingParty,
        app_name: &str,
        challenge: &str,
        owner: &PasskeyOwner<'_>,
        passkeys: &[PasskeyRecord],
        is_second_factor: bool,
    ) -> Self {
        let (resident_key, verification) = if is_second_factor {
            ("discouraged", "preferred")
        } else {
            ("required", "required")
        };
        let algorithms: Vec<_> = public_key::ALGORITHMS
            .iter()
            .map(|algorithm| json!({"type": "public-key", "alg": algorithm}))
            .collect();
        Self(json!({
            "rp": {"id": rp.id(), "name": app_name},
            "user": {"id": owner.handle, "name": owner.name, "displayName": owner.display_name},
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "pubKeyCredParams": algorithms,
            "timeout": TIMEOUT_MILLIS,
            "excludeCredentials": descriptors(passkeys),
            "authenticatorSelection": {
                "residentKey": resident_key,
                "requireResidentKey": !is_second_factor,
                "userVerification": verification,
            },
            "attestation": "none",
        }))
    }

    /// To use one of these passkeys, or if there are none whichever the authenticator has for the domain.
    pub(crate) fn to_use(
        rp: &RelyingParty,
        challenge: &str,
        passkeys: &[PasskeyRecord],
        is_second_factor: bool,
    ) -> Self {
        let verification = if is_second_factor { "preferred" } else { "required" };
        Self(json!({
            "rpId": rp.id(),
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "timeout": TIMEOUT_MILLIS,
            "allowCredentials": descriptors(passkeys),
            "userVerification": verification,
        }))
    }
}

/// A passkey that cannot be set up, with why: it is the user's own.
pub(crate) fn unusable(refusal: Refusal) -> AuthError {
    AuthError::input("credential", format!("the passkey cannot be taken: {refusal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_up_or_was_never_there() {
        let passkey = |sign_count| PasskeyRecord {
            credential: String::new(),
            public_key: String::new(),
            handle: String::new(),
            sign_count,
            backup_eligible: false,
            backed_up: false,
            transports: Vec::new(),
            second_factor: false,
            name: String::new(),
            created: andiron_protocol::Timestamp::from_micros_clamped(0),
            last_used: None,
        };
        for (before, after, is_good) in [
            (0, 0, true),
            (0, 1, true),
            (7, 8, true),
            (7, 7, false),
            (7, 6, false),
            (7, 0, false),
        ] {
            let shown = ShownPasskey {
                is_user_verified: true,
                sign_count: after,
                backed_up: false,
            };
            let noted = passkey(before).note_use(shown, andiron_protocol::Timestamp::from_micros_clamped(0));
            assert_eq!(noted.is_ok(), is_good, "{before} {after}");
        }
    }
}
