//! What people and administrators do with accounts, one module for each flow.

mod admin;
mod custom_token;
mod email;
mod email_change;
mod email_sign_in;
mod invitation;
mod me;
mod oauth;
mod passkey;
mod passkey_sign_in;
mod password_change;
mod password_reset;
mod phone;
mod second_factor;
mod setup;
mod sign_in;
mod sign_up;

pub use admin::{AccountChange, AccountList, NewAccount};
pub(crate) use email_change::{EmailChange, undo_subject};
pub use oauth::{OauthAnswer, OauthProof, OauthStart};
pub use passkey::{AddedPasskey, PasskeyView};
pub use passkey_sign_in::PasskeyUse;
pub(crate) use phone::AMR as PHONE_AMR;
pub use second_factor::{RecoveryCodes, SecondFactorDue, SignInOutcome, TotpEnrolment};
pub use sign_up::NewSignUp;
