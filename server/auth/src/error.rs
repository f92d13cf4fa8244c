//! What the crate answers when it does not do what it was asked.

use andiron_engine::EngineError;
use andiron_protocol::InputError;

use crate::service_key::KEYS_MAX;

/// A refusal or failure. `http` maps it to a problem; the texts are for people and say nothing about what exists
/// beyond what the caller may know.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The credentials do not verify. Says nothing about what exists.
    #[error("the credentials do not verify")]
    Unauthenticated,
    /// The service key has ended; told only to somebody who has it.
    #[error("this service key has expired")]
    KeyExpired,
    /// Address and password do not go together, or there is no such account: the same either way.
    #[error("the e-mail address or the password is wrong")]
    SignInFailed,
    /// The account is disabled; told only to somebody who has shown its credentials.
    #[error("this account is disabled")]
    AccountDisabled,
    /// A passkey does not show who somebody is, whyever: the log has more.
    #[error("the passkey does not show who you are")]
    PasskeyRefused,
    /// A code of a mail, a link or an authenticator is not in force.
    #[error("the code is wrong, has been used or has expired")]
    CodeInvalid,
    /// A refresh token was used a moment ago by another request of the same client; the session goes on with the token
    /// that that request got.
    #[error("this refresh token has just been used; go on with the one that the other request was given")]
    RefreshRaced,
    /// Too many attempts.
    #[error("too many attempts; try again in {retry_after_seconds} s")]
    TooManyAttempts {
        /// When to come back.
        retry_after_seconds: u32,
    },
    /// More passwords wait to be checked than may.
    #[error("too many sign-ins are waiting; try again in {retry_after_seconds} s")]
    Busy {
        /// When to come back.
        retry_after_seconds: u32,
    },
    /// The request or a name in it is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A setting or the state of the account rules it out.
    #[error("{0}")]
    NotPossible(String),
    /// The caller may not do this.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The address belongs to another account.
    #[error("there is an account with this e-mail address already")]
    AddressTaken,
    /// The id belongs to another account.
    #[error("there is an account `{uid}` already")]
    UidTaken {
        /// The id.
        uid: String,
    },
    /// There is no such account.
    #[error("there is no account `{uid}`")]
    NoSuchAccount {
        /// The id that was asked for.
        uid: String,
    },
    /// There is no such identity provider.
    #[error("there is no such provider")]
    NoSuchProvider,
    /// A provider could not be asked, or what it said does not verify; the log has more.
    #[error("the provider does not confirm who you are")]
    ProviderRefused,
    /// There is no such passkey.
    #[error("there is no such passkey")]
    NoSuchPasskey,
    /// There is no such session.
    #[error("there is no such session")]
    NoSuchSession,
    /// The account changed again and again while it was being changed; safe to retry.
    #[error("the account is being changed by others; try again")]
    Contended,
    /// There is a key of this name.
    #[error("there is a key named `{name}` already; revoke it first or take another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no such key.
    #[error("there is no key with the name or id `{name}`")]
    NoSuchKey {
        /// What was looked for.
        name: String,
    },
    /// There are as many keys as there may be.
    #[error("there are {KEYS_MAX} keys already, which is the limit; revoke one first")]
    TooManyKeys,
    /// Something of the server's own is not as it must be; for the log.
    #[error("{0}")]
    Internal(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl AuthError {
    /// An input error in a field of the request.
    pub(crate) fn input(field: &str, detail: impl Into<String>) -> Self {
        Self::Input(InputError::new(detail).in_field(field))
    }
}
