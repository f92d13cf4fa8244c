//! Second factors: an authenticator's codes, and recovery codes for who has lost it. Passkeys have flows of their own.
//!
//! A first factor that was passed by an account with a second gives a ticket, good for nothing but to show the second.

use andiron_engine::User;
use andiron_protocol::{Map, Value};

use super::PHONE_AMR;
use super::passkey_sign_in::first_factor;
use crate::account::{Account, AccountRecord, TotpRecord};
use crate::audit::Event;
use crate::codes::{CodeKind, NewCode};
use crate::limit::Attempt;
use crate::outbound::percent_encode;
use crate::records::Batch;
use crate::secret::hash;
use crate::session::Shown;
use crate::totp::{self, matching_step};
use crate::{Accounts, AuthError, ClientInfo, SecretText, SignedIn};

/// Recovery codes of one account.
const RECOVERY_CODES: usize = 10;

/// What a first factor leads to.
#[derive(Clone, Debug)]
pub enum SignInOutcome {
    /// That was all.
    SignedIn(Box<SignedIn>),
    /// A second factor is due.
    SecondFactor(SecondFactorDue),
}

/// A second factor is due.
#[derive(Clone, Debug)]
pub struct SecondFactorDue {
    /// Shows that the first was passed; for five minutes.
    pub ticket: SecretText,
    /// What will do: `totp`, `passkey`, `phone`, `recovery`.
    pub factors: Vec<&'static str>,
}

/// An authenticator that is being set up.
#[derive(Clone, Debug)]
pub struct TotpEnrolment {
    /// Its secret, in base32, to be typed in.
    pub secret: SecretText,
    /// The same as a URI, to be shown as a QR code.
    pub uri: SecretText,
}

/// Recovery codes, shown this once.
#[derive(Clone, Debug)]
pub struct RecoveryCodes(pub Vec<SecretText>);

impl Accounts {
    /// What comes after a first factor: a session, or a ticket for the second. `adjust` is what else changes with it.
    pub(crate) async fn pass_first_factor(
        &self,
        uid: &str,
        shown: &Shown,
        client: &ClientInfo,
        adjust: impl Fn(&mut Account, &mut Batch) -> Result<(), AuthError>,
    ) -> Result<SignInOutcome, AuthError> {
        self.prepare_session(uid).await?;
        let (account, passed) = self
            .change(uid, |account, batch| {
                if account.record.disabled {
                    return Err(AuthError::AccountDisabled);
                }
                adjust(account, batch)?;
                if !account.has_second_factor() || shown.has_two_factors() {
                    let event = Event::new("sign-in", &account.uid, client);
                    self.audit(batch, event.detail(shown.provider.as_str()))?;
                    return self.begin_session(account, shown, client, batch).map(Ok);
                }
                let amr = shown.amr.iter().map(|method| Value::from(method.as_str()));
                let data = Map::from([
                    ("amr".to_owned(), Value::Array(amr.collect())),
                    ("provider".to_owned(), Value::from(shown.provider.as_str())),
                ]);
                let new = NewCode {
                    kind: CodeKind::SecondFactor,
                    // Each sign-in has a ticket of its own.
                    subject: &self.engine().generate_id(),
                    uid: Some(uid),
                    email: None,
                    data,
                };
                Ok(Err(self.add_code(new, batch)?))
            })
            .await?;
        Ok(match passed {
            Ok(tokens) => SignInOutcome::SignedIn(Box::new(SignedIn { account, tokens })),
            Err(ticket) => SignInOutcome::SecondFactor(SecondFactorDue {
                ticket,
                factors: account.factors_after(shown),
            }),
        })
    }

    /// Signs in with the ticket of a first factor and a code of the second: an authenticator's, or a recovery code,
    /// which is used up.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if one of the two is not in force; [`AuthError::TooManyAttempts`].
    pub async fn pass_second_factor(
        &self,
        ticket: &str,
        code: &str,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let rate = self.options().limits.sign_in_by_address;
        self.attempts()
            .count_client(Attempt::SignIn, client, rate, self.now())?;
        let ticket = self.find_code(&[CodeKind::SecondFactor], ticket)?;
        let uid = ticket.data.uid.clone().unwrap_or_default();
        let first = first_factor(&ticket);
        self.count_factor_attempt(&uid)?;
        let by_phone = self
            .find_phone_factor(&ticket, &self.account(&uid)?, &first, code.trim())
            .await?;
        let method = if by_phone.is_some() { PHONE_AMR } else { "otp" };
        let shown = first.with(&[method, "mfa"]);
        self.prepare_session(&uid).await?;
        let passed = self
            .change(&uid, |account, batch| {
                if account.record.disabled {
                    return Err(AuthError::AccountDisabled);
                }
                // A ticket that was used since is told from an account that somebody changed.
                self.check_unused(&ticket)?;
                let with = match &by_phone {
                    Some(code) => {
                        self.check_unused(code)?;
                        batch.consume(code);
                        "phone"
                    }
                    None => self.take_factor(account, code)?,
                };
                batch.consume(&ticket);
                let event = Event::new("sign-in", &account.uid, client);
                self.audit(batch, event.detail(format!("{} {with}", shown.provider)))?;
                self.begin_session(account, &shown, client, batch)
            })
            .await;
        let passed = passed.map(|(account, tokens)| SignedIn { account, tokens });
        self.after_factor_attempt(&uid, &passed, client).await;
        passed
    }

    /// Shows a factor by a code within a session, which makes way for one that says so: a second factor, or that the account's
    /// phone is still at hand, which is one factor more where the phone is a second factor for this session.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the code is not in force, or the account has nothing that it could be of;
    /// [`AuthError::TooManyAttempts`].
    pub async fn step_up_by_code(
        &self,
        user: &User,
        code: &str,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let rate = self.options().limits.sign_in_by_address;
        self.attempts()
            .count_client(Attempt::SignIn, client, rate, self.now())?;
        self.count_factor_attempt(&user.uid)?;
        let account = self.account(&user.uid)?;
        let by_phone = self.find_phone_step_up(user, &account, code.trim()).await?;
        let begun_by = self.session_of(user)?.data.shown();
        let amr: &[&str] = match by_phone {
            Some(_) if account.factors_after(&begun_by).contains(&"phone") => &[PHONE_AMR, "mfa"],
            Some(_) => &[PHONE_AMR],
            None => &["otp", "mfa"],
        };
        let passed = self
            .step_up(user, amr, client, |account, batch| {
                let Some(code) = &by_phone else {
                    return self.take_factor(account, code);
                };
                self.check_unused(code)?;
                batch.consume(code);
                Ok("phone")
            })
            .await;
        self.after_factor_attempt(&user.uid, &passed, client).await;
        passed
    }

    /// Gives the attempts back after one that was right, and notes one that was wrong.
    async fn after_factor_attempt(
        &self,
        uid: &str,
        passed: &Result<SignedIn, AuthError>,
        client: &ClientInfo,
    ) {
        match passed {
            Ok(_) => self.attempts().forget(Attempt::SignIn, &factor_key(uid)),
            Err(AuthError::CodeInvalid) => {
                self.audit_refusal(Event::new("second-factor-refused", uid, client))
                    .await;
            }
            Err(_) => {}
        }
    }

    /// Refuses what has to do with the factors of an account to a session that has not shown whatever second factor there is.
    pub(crate) fn check_factors_shown(&self, user: &User, account: &Account) -> Result<(), AuthError> {
        if !account.has_second_factor() || self.session_of(user)?.data.shown().has_two_factors() {
            return Ok(());
        }
        Err(AuthError::NotAllowed(
            "this takes the second factor: show it at `mfa/verify` or `passkeys/sign-in`",
        ))
    }

    /// Takes a code of a second factor, so that it is not taken again. Says which factor it was.
    fn take_factor(&self, account: &mut Account, code: &str) -> Result<&'static str, AuthError> {
        let now = self.now();
        if let Some(totp) = account.record.totp.as_mut().filter(|totp| totp.confirmed) {
            let code: String = code.chars().filter(|character| *character != ' ').collect();
            if let Some(step) = matching_step(&totp.secret, &code, now, totp.last_step) {
                totp.last_step = step;
                return Ok("totp");
            }
        }
        let presented = hash(&code.trim().to_ascii_lowercase());
        let codes = &mut account.record.recovery_codes;
        match codes.iter().position(|stored| *stored == presented) {
            Some(at) => {
                codes.remove(at);
                Ok("recovery")
            }
            None => Err(AuthError::CodeInvalid),
        }
    }

    /// Begins to set up an authenticator, in the place of one that is not in force yet.
    ///
    /// # Errors
    /// If one is in force, or credentials were shown too long ago.
    pub async fn enrol_totp(&self, user: &User) -> Result<TotpEnrolment, AuthError> {
        self.check_recent(user)?;
        self.check_factors_shown(user, &self.account(&user.uid)?)?;
        let mut secret = [0; totp::SECRET_BYTES];
        self.engine().fill_random(&mut secret);
        let secret = totp::to_base32(&secret);
        let (account, ()) = self
            .change(&user.uid, |account, _| {
                if account.record.anonymous {
                    return Err(AuthError::NotPossible(
                        "an anonymous account has no factors".to_owned(),
                    ));
                }
                if account.has_totp() {
                    return Err(AuthError::NotPossible(
                        "the account has an authenticator; disable it first".to_owned(),
                    ));
                }
                account.record.totp = Some(TotpRecord {
                    secret: secret.clone(),
                    confirmed: false,
                    last_step: 0,
                });
                Ok(())
            })
            .await?;
        let app = percent_encode(&self.options().app_name);
        let who = percent_encode(account.email().unwrap_or(&account.uid));
        let uri = format!("otpauth://totp/{app}:{who}?secret={secret}&issuer={app}");
        Ok(TotpEnrolment {
            secret: SecretText::new(secret),
            uri: SecretText::new(uri),
        })
    }

    /// Puts an authenticator in force by a first code of it. Ends the other sessions, which were begun without.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the code is not one of now.
    pub async fn confirm_totp(
        &self,
        user: &User,
        code: &str,
        client: &ClientInfo,
    ) -> Result<RecoveryCodes, AuthError> {
        self.check_recent(user)?;
        self.count_factor_attempt(&user.uid)?;
        let codes = self.new_recovery_codes();
        let sessions = self.session_records(&user.uid).await?;
        self.change(&user.uid, |account, batch| {
            self.check_factors_shown(user, account)?;
            let now = self.now();
            let totp = account.record.totp.as_mut().filter(|totp| !totp.confirmed);
            let totp = totp.ok_or_else(|| {
                AuthError::NotPossible("no authenticator is being set up: enrol one first".to_owned())
            })?;
            let step =
                matching_step(&totp.secret, code, now, totp.last_step).ok_or(AuthError::CodeInvalid)?;
            totp.last_step = step;
            totp.confirmed = true;
            account.record.recovery_codes = codes.iter().map(|code| hash(code)).collect();
            self.end_sessions(&sessions, Some(crate::session::session_id(user)), batch);
            self.raise_session(user, &["otp", "mfa"], batch)?;
            self.audit(
                batch,
                Event::new("factor-added", &account.uid, client).detail("totp"),
            )
        })
        .await?;
        Ok(RecoveryCodes(codes.into_iter().map(SecretText::new).collect()))
    }

    /// Takes the authenticator and the recovery codes away, by a code of one of them.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the code is not in force.
    pub async fn disable_totp(&self, user: &User, code: &str, client: &ClientInfo) -> Result<(), AuthError> {
        self.check_recent(user)?;
        self.count_factor_attempt(&user.uid)?;
        self.change(&user.uid, |account, batch| {
            self.take_factor(account, code)?;
            account.record.totp = None;
            if !account.has_second_factor() {
                account.record.recovery_codes.clear();
            }
            self.audit(
                batch,
                Event::new("factor-removed", &account.uid, client).detail("totp"),
            )
        })
        .await?;
        self.attempts().forget(Attempt::SignIn, &factor_key(&user.uid));
        Ok(())
    }

    /// Takes, within a change, all second factors from an account. Passkeys that sign in alone stay.
    pub(crate) fn drop_factors(record: &mut AccountRecord, batch: &mut Batch) -> Result<(), AuthError> {
        record.totp = None;
        record.recovery_codes.clear();
        record.phone_factor = false;
        Self::drop_passkeys(record, batch, |passkey| passkey.second_factor)
    }

    /// Recovery codes to be shown once.
    pub(crate) fn new_recovery_codes(&self) -> Vec<String> {
        let code = |_| {
            let mut random = [0; 10];
            self.engine().fill_random(&mut random);
            totp::to_base32(&random).to_ascii_lowercase()
        };
        (0..RECOVERY_CODES).map(code).collect()
    }

    fn count_factor_attempt(&self, uid: &str) -> Result<(), AuthError> {
        let rate = self.options().limits.sign_in_by_account;
        self.attempts()
            .count(Attempt::SignIn, &factor_key(uid), rate, self.now())
    }
}

/// What guesses at an account's second factor are counted under.
fn factor_key(uid: &str) -> String {
    format!("factor {uid}")
}
