//! Who a caller of an Andiron server is: accounts, their sessions, and service keys.
//!
//! Credentials come in, a [`andiron_engine::Caller`] goes out; what that caller may do is the engine's to say. Accounts,
//! sessions, keys and the audit log are documents of system collections, changed by the engine's commits like
//! everything else: two requests that use one code, or claim one address, meet in a commit, and one of them loses.
//! What is revoked is refused at the next request.
//!
//! Reading order: [`Accounts`] is the door; each flow is a module of `flows`; `session` and `token` are what a sign-in
//! ends in. Deliberately absent: HTTP, cookies, and where settings come from.

mod error;
mod options;
mod secret;

mod account;
mod accounts;
mod client_info;
mod email_address;
mod roles;
mod session;

mod flows;

mod mail;
mod oauth;
mod outbound;
mod passkey;
mod phone_number;
mod text_message;

mod audit;
mod codes;
mod limit;
mod password;
mod records;
mod service_key;
mod sign_up_question;
mod token;
mod totp;
mod visible_text;

pub use account::{Account, AccountView, Profile, ProfileChange};
pub use accounts::{Accounts, LastingToken, Post};
pub use audit::{AUDIT_PAGE_MAX, AuditEvent, AuditQuery};
pub use client_info::ClientInfo;
pub use email_address::EmailAddress;
pub use error::AuthError;
pub use flows::{
    AccountChange, AccountList, AddedPasskey, NewAccount, NewSignUp, OauthAnswer, OauthProof, OauthStart,
    PasskeyUse, PasskeyView, RecoveryCodes, SecondFactorDue, SignInOutcome, TotpEnrolment,
};
pub use mail::{
    Deliver, Delivery, Mail, MailDelivery, MailTemplates, Mailbox, MailboxEntry, SmtpOptions, SmtpSecurity,
    SmtpTransport,
};
pub use oauth::{ProviderList, ProviderOptions, parse_providers};
pub use options::{AttemptLimits, AuthOptions, HashCost, Rate, SignUpPolicy};
pub use passkey::{NewPasskey, PasskeyOptions, PasskeyProof, RelyingParty};
pub use password::Password;
pub use phone_number::PhoneNumber;
pub use roles::{AdminRole, admin_role};
pub use secret::SecretText;
pub use service_key::{CreatedKey, LastingKey, NewKey, ServiceKey, ServiceKeys};
pub use session::{SessionTokens, SessionView, SignedIn};
pub use text_message::{DeliverText, TextMessage, TextWebhook};
pub use token::{JsonWebKey, SigningKeyInfo};
