//! Single-use codes: what links of mails and text messages carry, what says that a second factor is due, and the challenges of passkeys.
//!
//! A code is the document `_codes/ID`, where the id follows from what the code is for and whose it is: a newer code
//! replaces an older one. The secret is stored hashed. A code is used up by deleting its document in the very commit that
//! it is for, at the version at which it was read; so of many who use it at once one succeeds.

use std::time::Duration;

use andiron_protocol::{DocumentPath, InputError, Map, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::map_json;
use crate::accounts::CONFLICTS_MAX;
use crate::records::{Batch, Record, is_conflict, read, record_path};
use crate::secret::{self, hash};
use crate::token::after;
use crate::{Accounts, AuthError, SecretText};

pub(crate) const CODES: &str = "_codes";
/// Hexadecimal digits of the id in a code.
const ID_CHARS: usize = 32;
/// Characters of a code that is looked at.
const CODE_CHARS_MAX: usize = 128;
/// Wrong guesses at a short code before it is worth nothing.
const GUESSES_MAX: u32 = 5;
/// Digits of a short code.
const DIGITS: usize = 6;

/// What a code is for; one is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CodeKind {
    VerifyEmail,
    ChangeEmail,
    UndoEmailChange,
    ResetPassword,
    SignInLink,
    SignInDigits,
    SecondFactor,
    Invitation,
    OauthState,
    OauthResult,
    PasskeyRegistration,
    PasskeySignIn,
    PasskeySecondFactor,
    PasskeyStepUp,
    ChangePhone,
    PhoneSignIn,
    PhoneFactor,
    PhoneStepUp,
}

impl CodeKind {
    /// How long it holds.
    pub(crate) fn time(self) -> Duration {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 3600);
        match self {
            Self::VerifyEmail | Self::ChangeEmail => DAY,
            Self::UndoEmailChange | Self::Invitation => 7 * DAY,
            Self::ResetPassword => 30 * MINUTE,
            Self::SignInLink
            | Self::SignInDigits
            | Self::OauthState
            | Self::ChangePhone
            | Self::PhoneSignIn
            | Self::PhoneFactor
            | Self::PhoneStepUp => 10 * MINUTE,
            Self::OauthResult => MINUTE,
            Self::SecondFactor
            | Self::PasskeyRegistration
            | Self::PasskeySignIn
            | Self::PasskeySecondFactor
            | Self::PasskeyStepUp => 5 * MINUTE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::ChangeEmail => "change-email",
            Self::UndoEmailChange => "undo-email-change",
            Self::ResetPassword => "reset-password",
            Self::SignInLink => "sign-in-link",
            Self::SignInDigits => "sign-in-digits",
            Self::SecondFactor => "second-factor",
            Self::Invitation => "invitation",
            Self::OauthState => "oauth-state",
            Self::OauthResult => "oauth-result",
            Self::PasskeyRegistration => "passkey-registration",
            Self::PasskeySignIn => "passkey-sign-in",
            Self::PasskeySecondFactor => "passkey-second-factor",
            Self::PasskeyStepUp => "passkey-step-up",
            Self::ChangePhone => "change-phone",
            Self::PhoneSignIn => "phone-sign-in",
            Self::PhoneFactor => "phone-factor",
            Self::PhoneStepUp => "phone-step-up",
        }
    }
}

/// A code as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeRecord {
    pub(crate) kind: CodeKind,
    secret: String,
    pub(crate) expires: Timestamp,
    /// Wrong guesses so far.
    #[serde(default)]
    guesses: u32,
    /// The account that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<String>,
    /// The address that it was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
    /// What else it knows.
    #[serde(default, skip_serializing_if = "Map::is_empty", with = "map_json")]
    pub(crate) data: Map,
}

/// A code to be made.
pub(crate) struct NewCode<'c> {
    pub(crate) kind: CodeKind,
    /// Whose it is: a newer code of the same kind and subject replaces it.
    pub(crate) subject: &'c str,
    pub(crate) uid: Option<&'c str>,
    pub(crate) email: Option<&'c str>,
    pub(crate) data: Map,
}

fn code_id(kind: CodeKind, subject: &str) -> String {
    let mut id = hash(&format!("{} {subject}", kind.name()));
    id.truncate(ID_CHARS);
    id
}

fn code_path(id: &str) -> Result<DocumentPath, InputError> {
    record_path(CODES, id)
}

impl Accounts {
    /// Makes a code of 128 bits within a change.
    pub(crate) fn add_code(&self, new: NewCode<'_>, batch: &mut Batch) -> Result<SecretText, AuthError> {
        let secret = secret::random::<16>(self.engine());
        let id = self.write_code(&new, &secret, batch)?;
        Ok(SecretText::new(format!("{id}{secret}")))
    }

    /// Makes a code of six digits, which is worth nothing after five wrong guesses.
    pub(crate) fn add_digits(&self, new: NewCode<'_>, batch: &mut Batch) -> Result<SecretText, AuthError> {
        let mut random = [0; 8];
        self.engine().fill_random(&mut random);
        let number = u64::from_le_bytes(random) % 10_u64.pow(6);
        let digits = format!("{number:0DIGITS$}");
        let secret = format!("{} {digits}", new.subject);
        self.write_code(&new, &secret, batch)?;
        Ok(SecretText::new(digits))
    }

    fn write_code(&self, new: &NewCode<'_>, secret: &str, batch: &mut Batch) -> Result<String, AuthError> {
        let id = code_id(new.kind, new.subject);
        let record = CodeRecord {
            kind: new.kind,
            secret: hash(secret),
            expires: after(self.now(), new.kind.time()),
            guesses: 0,
            uid: new.uid.map(ToOwned::to_owned),
            email: new.email.map(ToOwned::to_owned),
            data: new.data.clone(),
        };
        batch.set(code_path(&id)?, &record)?;
        Ok(id)
    }

    /// The code that somebody sent, if it is in force and of one of these kinds. Whoever acts on it consumes the record in
    /// the same commit.
    pub(crate) fn find_code(&self, kinds: &[CodeKind], code: &str) -> Result<Record<CodeRecord>, AuthError> {
        let is_code = code.len() > ID_CHARS && code.len() <= CODE_CHARS_MAX && code.is_ascii();
        if !is_code {
            return Err(AuthError::CodeInvalid);
        }
        let (id, secret) = code.split_at(ID_CHARS);
        let path = code_path(id).map_err(|_| AuthError::CodeInvalid)?;
        let record: Record<CodeRecord> = read(self.engine(), &path)?.ok_or(AuthError::CodeInvalid)?;
        let is_good = kinds.contains(&record.data.kind)
            && record.data.secret == hash(secret)
            && record.data.expires > self.now();
        if is_good {
            Ok(record)
        } else {
            Err(AuthError::CodeInvalid)
        }
    }

    /// The same for a code of six digits. A wrong guess is counted before anybody hears that it was wrong.
    pub(crate) async fn find_digits(
        &self,
        kind: CodeKind,
        subject: &str,
        digits: &str,
    ) -> Result<Record<CodeRecord>, AuthError> {
        let path = code_path(&code_id(kind, subject))?;
        for _ in 0..CONFLICTS_MAX {
            let record: Record<CodeRecord> = read(self.engine(), &path)?.ok_or(AuthError::CodeInvalid)?;
            if record.data.expires <= self.now() || record.data.guesses >= GUESSES_MAX {
                return Err(AuthError::CodeInvalid);
            }
            if record.data.secret == hash(&format!("{subject} {digits}")) {
                return Ok(record);
            }
            let mut data = record.data.clone();
            data.guesses += 1;
            let mut batch = Batch::default();
            batch.replace(&record, &data)?;
            match batch.commit(self.engine()).await {
                Ok(_) => return Err(AuthError::CodeInvalid),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }

    /// Refuses a code that was used since it was found. For changes that are tried again after a conflict.
    pub(crate) fn check_unused(&self, code: &Record<CodeRecord>) -> Result<(), AuthError> {
        let now: Option<Record<CodeRecord>> = read(self.engine(), &code.path)?;
        match now {
            Some(now) if now.version == code.version => Ok(()),
            _ => Err(AuthError::CodeInvalid),
        }
    }

    /// Removes, within a change, a code that is not to be used any more.
    pub(crate) fn drop_code(
        &self,
        kind: CodeKind,
        subject: &str,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        batch.delete(code_path(&code_id(kind, subject))?);
        Ok(())
    }
}
