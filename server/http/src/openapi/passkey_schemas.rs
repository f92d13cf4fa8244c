//! The bodies of requests and answers about passkeys, as the document describes them; see `schemas`.
#![expect(dead_code, reason = "descriptions, not values")]

use utoipa::ToSchema;

/// A passkey to be made.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct PasskeyWanted {
    /// Whether it is asked for after a password rather than signing in alone.
    #[schema(nullable = false)]
    second_factor: Option<bool>,
}

/// What a browser is told to make a passkey.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CreationOptionsAnswer {
    public_key: CreationOptions,
}

/// `PublicKeyCredentialCreationOptionsJSON` of Web Authentication.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CreationOptions {
    rp: RelyingParty,
    user: PasskeyUser,
    challenge: String,
    pub_key_cred_params: Vec<KeyKind>,
    /// In milliseconds.
    timeout: u32,
    exclude_credentials: Vec<CredentialDescriptor>,
    authenticator_selection: AuthenticatorSelection,
    #[schema(example = "none")]
    attestation: String,
}

/// Whose passkeys they are.
#[derive(ToSchema)]
pub(crate) struct RelyingParty {
    #[schema(example = "example.org")]
    id: String,
    name: String,
}

/// Who a passkey is made for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct PasskeyUser {
    /// Made of randomness.
    id: String,
    name: String,
    display_name: String,
}

/// A kind of key that is taken.
#[derive(ToSchema)]
pub(crate) struct KeyKind {
    #[schema(example = "public-key")]
    r#type: String,
    #[schema(example = -7)]
    alg: i32,
}

/// A credential.
#[derive(ToSchema)]
pub(crate) struct CredentialDescriptor {
    #[schema(example = "public-key")]
    r#type: String,
    id: String,
    transports: Vec<String>,
}

/// What the authenticator has to be able to do.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct AuthenticatorSelection {
    #[schema(example = "required")]
    resident_key: String,
    require_resident_key: bool,
    #[schema(example = "required")]
    user_verification: String,
}

/// A passkey that was made.
#[derive(ToSchema)]
pub(crate) struct MadePasskey {
    /// What to call it; at most 100 characters.
    #[schema(nullable = false)]
    name: Option<String>,
    credential: NewCredential,
}

/// `RegistrationResponseJSON` of Web Authentication; what else it has is read over.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct NewCredential {
    #[schema(nullable = false)]
    id: Option<String>,
    raw_id: String,
    #[schema(example = "public-key")]
    r#type: String,
    response: Attestation,
}

/// What an authenticator says about the key that it made.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Attestation {
    #[schema(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
    #[schema(nullable = false)]
    transports: Option<Vec<String>>,
}

/// A passkey that was added.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct AddedPasskey {
    passkey: Passkey,
    /// If it is the account's first second factor; shown this once.
    #[schema(nullable = false)]
    recovery_codes: Option<Vec<String>>,
}

/// A passkey.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Passkey {
    #[schema(example = "4bf5122f344554c53bde2ebb8cd2b7e3")]
    id: String,
    name: String,
    #[schema(format = "date-time")]
    create_time: String,
    #[schema(required, format = "date-time")]
    last_used_time: Option<String>,
    /// Whether it is kept in more than one place.
    backed_up: bool,
    /// Whether it makes sign-ins without it ask for a second factor.
    second_factor: bool,
    /// How browsers reach it.
    transports: Vec<String>,
}

/// A passkey.
#[derive(ToSchema)]
pub(crate) struct PasskeyAnswer {
    passkey: Passkey,
}

/// Passkeys.
#[derive(ToSchema)]
pub(crate) struct Passkeys {
    passkeys: Vec<Passkey>,
}

/// The name of a passkey.
#[derive(ToSchema)]
pub(crate) struct PasskeyName {
    /// At most 100 characters.
    name: String,
}

/// Who signs in, if that is said.
#[derive(ToSchema)]
pub(crate) struct PasskeySignIn {
    email: Option<String>,
    /// The ticket of a first factor.
    ticket: Option<String>,
}

/// What a browser is told to use a passkey.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RequestOptionsAnswer {
    public_key: RequestOptions,
}

/// `PublicKeyCredentialRequestOptionsJSON` of Web Authentication.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RequestOptions {
    #[schema(example = "example.org")]
    rp_id: String,
    challenge: String,
    /// In milliseconds.
    timeout: u32,
    /// With a ticket or an access token the passkeys of the account; else empty, whatever the address.
    allow_credentials: Vec<CredentialDescriptor>,
    #[schema(example = "required")]
    user_verification: String,
}

/// A passkey that was used.
#[derive(ToSchema)]
pub(crate) struct UsedPasskey {
    credential: UsedCredential,
    /// The ticket that it was begun with.
    ticket: Option<String>,
}

/// `AuthenticationResponseJSON` of Web Authentication; what else it has is read over.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct UsedCredential {
    #[schema(nullable = false)]
    id: Option<String>,
    raw_id: String,
    #[schema(example = "public-key")]
    r#type: String,
    response: Assertion,
}

/// What an authenticator says and signs.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Assertion {
    #[schema(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}
