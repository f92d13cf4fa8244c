//! Phone numbers of accounts: confirming one by a code, signing in by it, and as a second factor.
//!
//! A number belongs to one account: the document `_account_phones/DIGITS`. It is the account's only once a code that went
//! there has come back.

use andiron_engine::User;
use andiron_protocol::{DocumentPath, Map};
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountRecord};
use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord, NewCode};
use crate::limit::Attempt;
use crate::records::{Batch, Record, read, record_path};
use crate::secret::hash;
use crate::session::{Shown, session_id};
use crate::text_message::TextMessage;
use crate::{Accounts, AuthError, ClientInfo, PhoneNumber, RecoveryCodes, SecretText, SignInOutcome};

const PHONES: &str = "_account_phones";
/// What sessions begun by a phone are said to be begun by, as Firebase names it.
const PROVIDER: &str = "phone";
/// How a phone shows who somebody is (RFC 8176).
pub(crate) const AMR: &str = "sms";

/// Who has a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PhoneOwner {
    uid: String,
}

fn phone_path(phone: &PhoneNumber) -> Result<DocumentPath, AuthError> {
    Ok(record_path(PHONES, phone.to_id())?)
}

/// What a code for an account's new number is counted and stored under.
fn change_subject(uid: &str, phone: &PhoneNumber) -> String {
    format!("{uid} {phone}")
}

/// What a code for a session is counted and stored under: it is for the number that the account has now.
fn step_up_subject(user: &User, phone: &PhoneNumber) -> String {
    format!("{} {} {phone}", user.uid, session_id(user))
}

impl Accounts {
    /// Sends a code to a number that is to be the account's. Nobody hears whether another account has it.
    ///
    /// # Errors
    /// If the server sends no texts, there were too many attempts, credentials were shown too long ago, or the account has a
    /// second factor and the session has not shown it.
    pub fn request_phone_change(
        &self,
        user: &User,
        phone: &PhoneNumber,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        self.begin_text(client)?;
        let account = self.account(&user.uid)?;
        self.check_may_change_factors(user, &account)?;
        let (uid, phone) = (user.uid.clone(), phone.clone());
        self.after_answer(move |accounts| async move {
            let owner = accounts.find_phone(&phone)?;
            if owner.is_some_and(|owner| owner != uid) {
                return Ok(());
            }
            let subject = change_subject(&uid, &phone);
            accounts
                .send_digits(
                    CodeKind::ChangePhone,
                    &subject,
                    Some(&uid),
                    &phone,
                    "confirm-phone",
                )
                .await
        });
        Ok(())
    }

    /// Makes a number the account's, by the code that went there.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if it is not in force; if another account has the number by now; as
    /// [`Accounts::request_phone_change`].
    pub async fn confirm_phone(
        &self,
        user: &User,
        phone: &PhoneNumber,
        digits: &str,
        client: &ClientInfo,
    ) -> Result<Account, AuthError> {
        self.count_code_use(client)?;
        let subject = change_subject(&user.uid, phone);
        let code = self
            .find_digits(CodeKind::ChangePhone, &subject, digits.trim())
            .await?;
        let owner = self.find_phone(phone)?;
        if owner.is_some_and(|owner| owner != user.uid) {
            return Err(taken());
        }
        let sessions = self.session_records(&user.uid).await?;
        let changed = self
            .change(&user.uid, |account, batch| {
                self.check_unused(&code)?;
                self.check_may_change_factors(user, account)?;
                batch.consume(&code);
                if account.record.phone.as_deref() == Some(phone.as_str()) {
                    return Ok(());
                }
                Self::drop_phone(&account.record, batch)?;
                let uid = account.uid.clone();
                batch.create(phone_path(phone)?, &PhoneOwner { uid })?;
                account.record.phone = Some(phone.as_str().to_owned());
                if account.record.anonymous {
                    self.check_sign_up_without_address()?;
                    self.become_somebody(account, &Shown::new(&[AMR], PROVIDER), Some(user), client, batch)?;
                }
                // A number signs in as an address does.
                self.end_sessions(&sessions, Some(session_id(user)), batch);
                let event = Event::new("phone-changed", &user.uid, client);
                self.audit(batch, event.detail(phone.as_str()))
            })
            .await;
        match changed {
            Ok((account, ())) => Ok(account),
            Err(AuthError::AddressTaken) => Err(taken()),
            Err(error) => Err(error),
        }
    }

    /// Takes the account's number away, and with it the second factor that it was.
    ///
    /// # Errors
    /// If there is none, it is the last way to sign in, or as [`Accounts::request_phone_change`].
    pub async fn remove_phone(&self, user: &User, client: &ClientInfo) -> Result<Account, AuthError> {
        let (account, ()) = self
            .change(&user.uid, |account, batch| {
                self.check_may_change_factors(user, account)?;
                if account.record.phone.is_none() {
                    return Err(no_phone());
                }
                Self::drop_phone(&account.record, batch)?;
                account.record.phone = None;
                account.record.phone_factor = false;
                self.check_can_sign_in(&account.record)?;
                if !account.has_second_factor() {
                    account.record.recovery_codes.clear();
                }
                self.audit(batch, Event::new("phone-removed", &user.uid, client))
            })
            .await?;
        Ok(account)
    }

    /// Sends a code that signs in. Nobody hears whether there is an account; where everybody may sign up there need not be
    /// one.
    ///
    /// # Errors
    /// If the server sends no texts, or there were too many attempts from this address.
    pub fn request_phone_code(&self, phone: &PhoneNumber, client: &ClientInfo) -> Result<(), AuthError> {
        self.begin_text(client)?;
        let phone = phone.clone();
        self.after_answer(move |accounts| async move {
            let owner = accounts.find_phone(&phone)?;
            match owner.map(|uid| accounts.find(&uid)).transpose()?.flatten() {
                Some(account) if account.data.disabled => return Ok(()),
                Some(_) => {}
                None if accounts.check_sign_up_without_address().is_err() => return Ok(()),
                None => {}
            }
            accounts
                .send_digits(CodeKind::PhoneSignIn, phone.as_str(), None, &phone, "sign-in")
                .await
        });
        Ok(())
    }

    /// Signs in by the code that went to a number.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if it is not in force; after five wrong guesses it is not.
    pub async fn sign_in_by_phone(
        &self,
        phone: &PhoneNumber,
        digits: &str,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        self.count_code_use(client)?;
        let code = self
            .find_digits(CodeKind::PhoneSignIn, phone.as_str(), digits.trim())
            .await?;
        let shown = Shown::new(&[AMR], PROVIDER);
        if let Some(uid) = self.find_phone(phone)? {
            return self
                .pass_first_factor(&uid, &shown, client, |account, batch| {
                    self.check_unused(&code)?;
                    if account.record.phone.as_deref() != Some(phone.as_str()) {
                        return Err(AuthError::CodeInvalid);
                    }
                    batch.consume(&code);
                    Ok(())
                })
                .await;
        }
        self.check_sign_up_without_address()?;
        let uid = self.engine().generate_id();
        let owner = PhoneOwner { uid: uid.clone() };
        let record = AccountRecord {
            phone: Some(phone.as_str().to_owned()),
            ..AccountRecord::default()
        };
        let made = self
            .create_signed_in_as(uid, record, None, &shown, "sign-up", client, |batch| {
                batch.consume(&code);
                batch.create(phone_path(phone)?, &owner)
            })
            .await;
        match made {
            Ok(signed_in) => Ok(SignInOutcome::SignedIn(Box::new(signed_in))),
            // Used by another request, which may have made the account.
            Err(AuthError::Contended | AuthError::AddressTaken) => Err(AuthError::CodeInvalid),
            Err(error) => Err(error),
        }
    }

    /// Makes the account's number a second factor. If it is the first, gives recovery codes and ends the other sessions, which
    /// were begun without.
    ///
    /// # Errors
    /// If the account has no number, or as [`Accounts::request_phone_change`].
    pub async fn enable_phone_factor(
        &self,
        user: &User,
        client: &ClientInfo,
    ) -> Result<Option<RecoveryCodes>, AuthError> {
        self.check_texts()?;
        let recovery_codes = self.new_recovery_codes();
        let sessions = self.session_records(&user.uid).await?;
        let (_, is_first) = self
            .change(&user.uid, |account, batch| {
                self.check_may_change_factors(user, account)?;
                if account.record.phone.is_none() {
                    return Err(no_phone());
                }
                if account.record.phone_factor {
                    return Ok(false);
                }
                let is_first = !account.has_second_factor();
                account.record.phone_factor = true;
                if is_first {
                    account.record.recovery_codes = recovery_codes.iter().map(|code| hash(code)).collect();
                    self.end_sessions(&sessions, Some(session_id(user)), batch);
                    self.raise_session(user, &["mfa"], batch)?;
                }
                self.audit(
                    batch,
                    Event::new("factor-added", &user.uid, client).detail("phone"),
                )?;
                Ok(is_first)
            })
            .await?;
        Ok(is_first.then(|| RecoveryCodes(recovery_codes.into_iter().map(SecretText::new).collect())))
    }

    /// Makes the account's number a second factor no more.
    ///
    /// # Errors
    /// As [`Accounts::request_phone_change`].
    pub async fn disable_phone_factor(&self, user: &User, client: &ClientInfo) -> Result<(), AuthError> {
        self.change(&user.uid, |account, batch| {
            self.check_may_change_factors(user, account)?;
            if !std::mem::take(&mut account.record.phone_factor) {
                return Ok(());
            }
            if !account.has_second_factor() {
                account.record.recovery_codes.clear();
            }
            self.audit(
                batch,
                Event::new("factor-removed", &user.uid, client).detail("phone"),
            )
        })
        .await
        .map(drop)
    }

    /// Sends a code for the second factor to the number of the account that a ticket is for.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the ticket is not in force; if the phone is no second factor for it; if there were too
    /// many attempts.
    pub async fn request_phone_factor(&self, ticket: &str, client: &ClientInfo) -> Result<(), AuthError> {
        self.begin_text(client)?;
        let ticket = self.find_code(&[CodeKind::SecondFactor], ticket)?;
        let account = self.account(ticket.data.uid.as_deref().unwrap_or_default())?;
        let shown = super::passkey_sign_in::first_factor(&ticket);
        let phone = account.record.phone.as_deref();
        let phone = phone.filter(|_| account.factors_after(&shown).contains(&"phone"));
        let phone = PhoneNumber::parse(phone.ok_or_else(no_phone)?)?;
        let subject = ticket.path.id().to_owned();
        self.after_answer(move |accounts| async move {
            accounts
                .send_digits(
                    CodeKind::PhoneFactor,
                    &subject,
                    Some(&account.uid),
                    &phone,
                    "second-factor",
                )
                .await
        });
        Ok(())
    }

    /// Sends a code to the account's own number, by which its caller shows within a session that the phone is still at hand.
    ///
    /// # Errors
    /// If the account has no number, somebody acts as it, or there were too many attempts.
    pub fn request_phone_step_up(&self, user: &User, client: &ClientInfo) -> Result<(), AuthError> {
        self.begin_text(client)?;
        Self::check_acts_for_itself(user)?;
        let account = self.account(&user.uid)?;
        let phone = PhoneNumber::parse(account.record.phone.as_deref().ok_or_else(no_phone)?)?;
        let subject = step_up_subject(user, &phone);
        self.after_answer(move |accounts| async move {
            let uid = Some(account.uid.as_str());
            accounts
                .send_digits(CodeKind::PhoneStepUp, &subject, uid, &phone, "step-up")
                .await
        });
        Ok(())
    }

    /// The code that was sent for a caller's session, if these are its digits.
    pub(crate) async fn find_phone_step_up(
        &self,
        user: &User,
        account: &Account,
        digits: &str,
    ) -> Result<Option<Record<CodeRecord>>, AuthError> {
        let Some(phone) = &account.record.phone else {
            return Ok(None);
        };
        let subject = step_up_subject(user, &PhoneNumber::parse(phone)?);
        self.find_text_digits(CodeKind::PhoneStepUp, &subject, digits)
            .await
    }

    /// The code that was sent for a ticket, if these are its digits and the phone is a second factor for it.
    pub(crate) async fn find_phone_factor(
        &self,
        ticket: &Record<CodeRecord>,
        account: &Account,
        shown: &Shown,
        digits: &str,
    ) -> Result<Option<Record<CodeRecord>>, AuthError> {
        if !account.factors_after(shown).contains(&"phone") {
            return Ok(None);
        }
        self.find_text_digits(CodeKind::PhoneFactor, ticket.path.id(), digits)
            .await
    }

    /// The code of these digits, if it is in force. What cannot be one is no guess: it may be a code of something else.
    async fn find_text_digits(
        &self,
        kind: CodeKind,
        subject: &str,
        digits: &str,
    ) -> Result<Option<Record<CodeRecord>>, AuthError> {
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        match self.find_digits(kind, subject, digits).await {
            Ok(code) => Ok(Some(code)),
            Err(AuthError::CodeInvalid) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send_digits(
        &self,
        kind: CodeKind,
        subject: &str,
        uid: Option<&str>,
        phone: &PhoneNumber,
        purpose: &'static str,
    ) -> Result<(), AuthError> {
        let limits = &self.options().limits;
        let now = self.now();
        self.attempts()
            .count(Attempt::Text, phone.as_str(), limits.text_by_number, now)?;
        self.attempts()
            .count(Attempt::Text, "everybody", limits.text_by_all, now)?;
        let mut batch = Batch::default();
        let new = NewCode {
            kind,
            subject,
            uid,
            email: None,
            data: Map::new(),
        };
        let code = self.add_digits(new, &mut batch)?;
        batch.commit(self.engine()).await?;
        let text = format!("{} is your code for {}", code.expose(), self.options().app_name);
        let message = TextMessage {
            to: phone.clone(),
            text,
            code,
            purpose,
        };
        self.send_text(message).await
    }

    /// Counts a request for a text.
    fn begin_text(&self, client: &ClientInfo) -> Result<(), AuthError> {
        let rate = self.options().limits.text_by_address;
        self.attempts()
            .count_client(Attempt::Text, client, rate, self.now())?;
        self.check_texts()
    }

    fn count_code_use(&self, client: &ClientInfo) -> Result<(), AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())
    }

    /// Who has a number.
    fn find_phone(&self, phone: &PhoneNumber) -> Result<Option<String>, AuthError> {
        let owner: Option<Record<PhoneOwner>> = read(self.engine(), &phone_path(phone)?)?;
        Ok(owner.map(|owner| owner.data.uid))
    }

    /// Frees, within a change, the number of an account that loses it.
    pub(crate) fn drop_phone(record: &AccountRecord, batch: &mut Batch) -> Result<(), AuthError> {
        if let Some(phone) = &record.phone {
            batch.delete(phone_path(&PhoneNumber::parse(phone)?)?);
        }
        Ok(())
    }
}

fn taken() -> AuthError {
    AuthError::NotPossible("there is an account with this phone number already".to_owned())
}

fn no_phone() -> AuthError {
    AuthError::NotPossible("the account has no phone number for this".to_owned())
}
