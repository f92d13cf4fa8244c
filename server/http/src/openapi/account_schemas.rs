//! The bodies of requests and answers about accounts, as the document describes them; see `schemas`.
#![expect(dead_code, reason = "descriptions, not values")]

use std::borrow::Cow;

use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::passkey_schemas::Passkey;
use super::schemas::Data;

/// An empty object.
#[derive(ToSchema)]
pub(crate) struct Nothing {}

/// Somebody who signs up.
#[derive(ToSchema)]
pub(crate) struct SignUp {
    #[schema(example = "ada@example.org")]
    email: String,
    /// 8 to 256 bytes, and none of the most frequent passwords.
    #[schema(example = "correct horse battery")]
    password: String,
    #[schema(nullable = false)]
    profile: Option<Profile>,
    /// The code of an invitation.
    invitation: Option<String>,
}

/// Somebody who signs in.
#[derive(ToSchema)]
pub(crate) struct SignIn {
    #[schema(example = "ada@example.org")]
    email: String,
    #[schema(example = "correct horse battery")]
    password: String,
}

/// The first owner.
#[derive(ToSchema)]
pub(crate) struct Setup {
    /// What the server printed when it first started.
    secret: String,
    #[schema(example = "ada@example.org")]
    email: String,
    /// At least 15 characters.
    #[schema(example = "correct horse battery")]
    password: String,
}

/// A profile, or a change of one: what is given is set, null removes.
#[derive(ToSchema)]
pub(crate) struct Profile {
    /// At most 200 characters.
    name: Option<String>,
    /// A URL.
    picture: Option<String>,
    /// A language tag.
    #[schema(example = "pt-BR")]
    locale: Option<String>,
    /// Whatever the app keeps there: value JSON, at most 16 KiB.
    metadata: Option<Data>,
}

/// An account and its session.
#[derive(ToSchema)]
pub(crate) struct SignedIn {
    account: Account,
    session: SessionTokens,
}

/// An account and its session, where the client has asked for cookies (`X-Andiron-Session: cookie`): its tokens are in those.
#[derive(ToSchema)]
pub(crate) struct SignedInByCookies {
    account: Account,
    session: CookieSession,
}

/// A session in cookies.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CookieSession {
    /// For `X-CSRF-Token`, in every request that is no `GET`; the same for the whole session.
    csrf_token: String,
    /// When the access token expires.
    #[schema(example = "2026-11-22T05:55:35.000000Z", format = "date-time")]
    expires_at: String,
    /// The session's id.
    #[schema(example = "01kb0x6d1m8vq3z5y7r9t2w4ha")]
    id: String,
}

/// A second factor is due.
#[derive(ToSchema)]
pub(crate) struct SecondFactorDue {
    mfa: Ticket,
}

/// Shows that the first factor was passed.
#[derive(ToSchema)]
pub(crate) struct Ticket {
    /// For `mfa/verify` or `passkeys/sign-in`, within five minutes.
    ticket: String,
    /// What will do.
    #[schema(example = json!(["totp", "recovery"]))]
    factors: Vec<String>,
}

/// What a first factor leads to.
pub(crate) struct SignInOutcome;

impl ToSchema for SignInOutcome {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SignInOutcome")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in [
            (SignedIn::name(), SignedIn::schema()),
            (SecondFactorDue::name(), SecondFactorDue::schema()),
        ] {
            schemas.push((name.into_owned(), schema));
        }
        SignedIn::schemas(schemas);
        SecondFactorDue::schemas(schemas);
    }
}

impl PartialSchema for SignInOutcome {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(SignedIn::name()))
            .item(Ref::from_schema_name(SecondFactorDue::name()))
            .description(Some("A session, or that a second factor is due."))
            .into()
    }
}

/// The tokens of a session.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SessionTokens {
    /// A JSON Web Token for `Authorization: Bearer`, good for 15 minutes (5 for administrators) unless set otherwise.
    access_token: String,
    /// Gives new tokens, once.
    refresh_token: String,
    /// When the access token expires.
    #[schema(example = "2026-11-22T05:55:35.000000Z", format = "date-time")]
    expires_at: String,
    /// The session's id.
    #[schema(example = "01kb0x6d1m8vq3z5y7r9t2w4ha")]
    id: String,
}

/// An account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Its id: `request.auth.uid` in rules.
    #[schema(example = "01kb0x6d1m8vq3z5y7r9t2w4ha")]
    uid: String,
    #[schema(required, example = "ada@example.org")]
    email: Option<String>,
    /// Whether the address is known to be its owner's.
    email_verified: bool,
    /// Confirmed, always.
    #[schema(required, example = "+14155550123")]
    phone: Option<String>,
    #[schema(required)]
    name: Option<String>,
    #[schema(required)]
    picture: Option<String>,
    #[schema(required)]
    locale: Option<String>,
    /// What the app keeps there; the account may change it.
    metadata: Data,
    /// What administrators have set; it is in the token.
    claims: Data,
    /// `owner`, `editor` and `viewer` administer; any other means what the app's rules say.
    #[schema(example = json!(["editor"]))]
    roles: Vec<String>,
    /// The ways to sign in.
    providers: Vec<Provider>,
    /// The second factors that a sign-in asks for: `totp`, `passkey`, `phone`, `recovery`.
    factors: Vec<String>,
    /// Whether it has no credentials yet.
    anonymous: bool,
    disabled: bool,
    #[schema(example = "2026-11-22T05:40:35.123456Z", format = "date-time")]
    create_time: String,
    #[schema(required, format = "date-time")]
    last_sign_in_time: Option<String>,
}

/// A way to sign in.
#[derive(ToSchema)]
pub(crate) struct Provider {
    /// `password`, `passkey`, `phone`, or a provider as Firebase names it: `google.com`.
    #[schema(example = "password")]
    id: String,
    /// Who the account is there.
    #[schema(nullable = false)]
    subject: Option<String>,
    #[schema(nullable = false)]
    email: Option<String>,
}

/// An account.
#[derive(ToSchema)]
pub(crate) struct AccountAnswer {
    account: Account,
}

/// Accounts.
#[derive(ToSchema)]
pub(crate) struct Accounts {
    accounts: Vec<Account>,
}

/// A custom token.
#[derive(ToSchema)]
pub(crate) struct CustomToken {
    token: String,
}

/// A refresh token.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Refresh {
    /// Left out by who has it in a cookie.
    #[schema(nullable = false)]
    refresh_token: Option<String>,
}

/// What to end.
#[derive(ToSchema)]
pub(crate) struct SignOut {
    /// Every session of the account, not only this one.
    #[schema(nullable = false)]
    all: Option<bool>,
}

/// A session.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Session {
    #[schema(example = "01kb0x6d1m8vq3z5y7r9t2w4ha")]
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    /// What the client called itself when it last refreshed.
    device: String,
    /// The address that it last refreshed from.
    address: String,
    #[schema(format = "date-time")]
    create_time: String,
    #[schema(format = "date-time")]
    last_used_time: String,
    /// When it ends whatever happens.
    #[schema(format = "date-time")]
    expire_time: String,
    /// When credentials were shown.
    #[schema(format = "date-time")]
    auth_time: String,
    /// How (RFC 8176).
    #[schema(example = json!(["pwd"]))]
    amr: Vec<String>,
    #[schema(example = "password")]
    provider: String,
    /// The administrator who acts as the account.
    #[schema(nullable = false)]
    impersonator: Option<String>,
}

/// Sessions.
#[derive(ToSchema)]
pub(crate) struct Sessions {
    sessions: Vec<Session>,
}

/// Everything that is kept about an account.
#[derive(ToSchema)]
pub(crate) struct Export {
    account: Account,
    passkeys: Vec<Passkey>,
    sessions: Vec<Session>,
    /// The newest 1,000 security events about it.
    events: Vec<AuditEvent>,
}

/// A change of the password.
#[derive(ToSchema)]
pub(crate) struct PasswordChange {
    /// The password so far; an account that has none leaves it out.
    current: Option<String>,
    /// The new one.
    new: String,
}

/// An account to be made by an administrator.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct NewAccount {
    /// 1 to 128 letters, digits, `.`, `_`, `-`, `:`, `@`, `+` and `|`; generated if it is not given.
    uid: Option<String>,
    email: Option<String>,
    #[schema(nullable = false)]
    email_verified: Option<bool>,
    password: Option<String>,
    /// In the place of a password: a hash that another program made.
    password_hash: Option<String>,
    #[schema(nullable = false)]
    profile: Option<Profile>,
    #[schema(nullable = false)]
    roles: Option<Vec<String>>,
    claims: Option<Data>,
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// A change of an account: what is given is changed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct AccountChange {
    /// Null takes the address and the password away.
    email: Option<String>,
    email_verified: Option<bool>,
    password: Option<String>,
    #[schema(nullable = false)]
    profile: Option<Profile>,
    /// All its roles.
    roles: Option<Vec<String>>,
    /// All its claims.
    claims: Option<Data>,
    disabled: Option<bool>,
    /// Refuse access tokens made before, so that clients refresh at once.
    #[schema(nullable = false)]
    refresh_now: Option<bool>,
    /// Take its second factors away, for somebody who has lost them.
    #[schema(nullable = false)]
    reset_factors: Option<bool>,
}

/// Claims of an account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Claims {
    /// All of them; at most 4 KiB.
    claims: Data,
    /// Refuse access tokens made before, so that clients refresh at once.
    #[schema(nullable = false)]
    refresh_now: Option<bool>,
}

/// A custom token to be minted.
#[derive(ToSchema)]
pub(crate) struct NewCustomToken {
    #[schema(example = "customer-42")]
    uid: String,
    /// Claims of the session's tokens.
    claims: Option<Data>,
}

/// A custom token.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct MintedToken {
    token: String,
    #[schema(format = "date-time")]
    expires_at: String,
}

/// A JSON Web Key Set (RFC 7517).
#[derive(ToSchema)]
pub(crate) struct JsonWebKeys {
    keys: Vec<JsonWebKey>,
}

/// A public key (RFC 8037).
#[derive(ToSchema)]
pub(crate) struct JsonWebKey {
    #[schema(example = "OKP")]
    kty: String,
    #[schema(example = "Ed25519")]
    crv: String,
    #[schema(example = "EdDSA")]
    alg: String,
    #[schema(example = "sig")]
    r#use: String,
    kid: String,
    x: String,
}

/// What a verifier of tokens needs to know.
#[derive(ToSchema)]
pub(crate) struct OpenidConfiguration {
    /// The `iss` of access tokens.
    issuer: String,
    jwks_uri: String,
    response_types_supported: Vec<String>,
    subject_types_supported: Vec<String>,
    id_token_signing_alg_values_supported: Vec<String>,
}

/// The keys that sign access tokens.
#[derive(ToSchema)]
pub(crate) struct SigningKeys {
    keys: Vec<SigningKey>,
}

/// A key that signs access tokens.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SigningKey {
    kid: String,
    #[schema(format = "date-time")]
    create_time: String,
    /// Until when it verifies; not there while it signs.
    #[schema(nullable = false, format = "date-time")]
    until: Option<String>,
}

/// Security events.
#[derive(ToSchema)]
pub(crate) struct AuditEvents {
    events: Vec<AuditEvent>,
}

/// A security event.
#[derive(ToSchema)]
pub(crate) struct AuditEvent {
    /// Ids order by time.
    id: String,
    #[schema(format = "date-time")]
    time: String,
    #[schema(example = "sign-in-refused")]
    event: String,
    /// The account that it is about.
    #[schema(nullable = false)]
    uid: Option<String>,
    /// Who did it, if not the account itself: `user:…`, `key:…` or `owner`.
    #[schema(nullable = false)]
    actor: Option<String>,
    address: String,
    device: String,
    #[schema(nullable = false)]
    detail: Option<String>,
}

/// An address.
#[derive(ToSchema)]
pub(crate) struct Email {
    #[schema(example = "ada@example.org")]
    email: String,
}

/// A phone number.
#[derive(ToSchema)]
pub(crate) struct Phone {
    /// With its country's code (E.164).
    #[schema(example = "+14155550123")]
    phone: String,
}

/// A code that was sent to a phone.
#[derive(ToSchema)]
pub(crate) struct PhoneAndCode {
    phone: String,
    /// Six digits.
    code: String,
}

/// A ticket.
#[derive(ToSchema)]
pub(crate) struct TicketOnly {
    /// Left out by who is signed in and shows the phone once more.
    ticket: Option<String>,
}

/// A second factor that is asked for from now on.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct EnabledFactor {
    /// If it is the account's first second factor; shown this once.
    #[schema(nullable = false)]
    recovery_codes: Option<Vec<String>>,
}

/// A code.
#[derive(ToSchema)]
pub(crate) struct Code {
    code: String,
}

/// A code that was sent to an address.
#[derive(ToSchema)]
pub(crate) struct EmailAndCode {
    email: String,
    code: String,
}

/// A code and a new password.
#[derive(ToSchema)]
pub(crate) struct CodeAndPassword {
    code: String,
    password: String,
}

/// A ticket and a code.
#[derive(ToSchema)]
pub(crate) struct TicketAndCode {
    /// Left out by who is signed in and shows the factor once more.
    ticket: Option<String>,
    /// Six digits of an authenticator or a text message, or a recovery code.
    code: String,
}

/// What an authenticator needs to know.
#[derive(ToSchema)]
pub(crate) struct TotpEnrolment {
    /// In base32, to be typed in.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// The same as a URI, for a QR code.
    uri: String,
}

/// Recovery codes, shown this once.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Mails that were not sent.
#[derive(ToSchema)]
pub(crate) struct Mailbox {
    mails: Vec<Mail>,
}

/// A mail that was not sent.
#[derive(ToSchema)]
pub(crate) struct Mail {
    id: u64,
    #[schema(format = "date-time")]
    time: String,
    to: String,
    subject: String,
    text: String,
    html: String,
}

/// What a client got from a provider: one of `code`, `idToken` and `providerCode`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ProviderProof {
    /// What the browser came back with.
    code: Option<String>,
    /// The secret behind the `challenge` that the flow was begun with.
    verifier: Option<String>,
    /// An ID token that the client got by itself.
    id_token: Option<String>,
    /// The nonce that it asked with.
    nonce: Option<String>,
    /// A code of the provider that the client got by itself.
    provider_code: Option<String>,
    /// Where that was sent.
    redirect_uri: Option<String>,
    /// The secret behind its PKCE challenge.
    code_verifier: Option<String>,
}

/// What became of a test mail.
#[derive(ToSchema)]
pub(crate) struct TestMail {
    /// What the mail server said.
    #[schema(example = "250 2.0.0 Ok: queued as 4f8d1c2b")]
    said: String,
}

/// An invitation.
#[derive(ToSchema)]
pub(crate) struct Invitation {
    /// Its code, where no mail has it: for `invitation` in a sign-up.
    #[schema(required)]
    code: Option<String>,
}
