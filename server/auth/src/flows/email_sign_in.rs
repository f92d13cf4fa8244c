//! Signing in by what a mail says: a link, or six digits.
//!
//! Both show that somebody reads the mailbox. An account with that address whose owner never did before was perhaps made
//! by somebody else, who would still have its password: whatever its maker had set is purged.

use crate::account::{Account, AccountRecord};
use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord, NewCode};
use crate::limit::Attempt;
use crate::mail::MailKind;
use crate::records::{Batch, Record};
use crate::session::{SessionRecord, Shown};
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, SignInOutcome};

impl Accounts {
    /// Sends a mail with a link that signs in. Nobody hears whether there is an account; where everybody may sign up there
    /// need not be one.
    ///
    /// # Errors
    /// If there were too many attempts from this address, or the server sends no mail.
    pub fn request_sign_in_link(&self, email: &str, client: &ClientInfo) -> Result<(), AuthError> {
        self.request_sign_in_mail(CodeKind::SignInLink, email, client)
    }

    /// The same with six digits to type in.
    ///
    /// # Errors
    /// As [`Accounts::request_sign_in_link`].
    pub fn request_sign_in_code(&self, email: &str, client: &ClientInfo) -> Result<(), AuthError> {
        self.request_sign_in_mail(CodeKind::SignInDigits, email, client)
    }

    fn request_sign_in_mail(
        &self,
        kind: CodeKind,
        email: &str,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let Some(email) = self.begin_mail(email, client)? else {
            return Ok(());
        };
        self.after_answer(move |accounts| async move {
            accounts.count_mail(&email)?;
            match accounts.find_by_email(&email)? {
                Some(record) if record.data.disabled => return Ok(()),
                Some(_) => {}
                None if accounts.check_sign_up(&email).is_err() => return Ok(()),
                None => {}
            }
            let mut batch = Batch::default();
            let new = NewCode {
                kind,
                subject: email.as_str(),
                uid: None,
                email: Some(email.as_str()),
                data: Default::default(),
            };
            let (code, mail) = match kind {
                CodeKind::SignInDigits => (accounts.add_digits(new, &mut batch)?, MailKind::SignInCode),
                _ => (accounts.add_code(new, &mut batch)?, MailKind::SignInLink),
            };
            batch.commit(accounts.engine()).await?;
            accounts
                .send_mail(mail, &email, &code, kind.time(), email.as_str())
                .await
        });
        Ok(())
    }

    /// Signs in by the link of a mail.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if it is not in force.
    pub async fn sign_in_by_link(&self, code: &str, client: &ClientInfo) -> Result<SignInOutcome, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let code = self.find_code(&[CodeKind::SignInLink], code)?;
        self.sign_in_by_mail(code, client).await
    }

    /// Signs in by the six digits of a mail.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if they are not in force; after five wrong guesses they are not.
    pub async fn sign_in_by_code(
        &self,
        email: &str,
        digits: &str,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let email = EmailAddress::parse(email).map_err(|_| AuthError::CodeInvalid)?;
        let code = self
            .find_digits(CodeKind::SignInDigits, email.as_str(), digits.trim())
            .await?;
        self.sign_in_by_mail(code, client).await
    }

    async fn sign_in_by_mail(
        &self,
        code: Record<CodeRecord>,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        let email = EmailAddress::of_record(code.data.email.as_deref().unwrap_or_default());
        let shown = Shown::new(&["email"], "password");
        let Some(found) = self.find_by_email(&email)? else {
            self.check_sign_up(&email)?;
            let record = AccountRecord {
                email: Some(email.as_str().to_owned()),
                email_verified: true,
                ..AccountRecord::default()
            };
            let made = self
                .create_signed_in_with(record, Some(&email), &shown, "sign-up", client, |batch| {
                    batch.consume(&code);
                    Ok(())
                })
                .await;
            return match made {
                Ok(signed_in) => Ok(SignInOutcome::SignedIn(Box::new(signed_in))),
                // Used by another request, which may have made the account.
                Err(AuthError::Contended | AuthError::AddressTaken) => Err(AuthError::CodeInvalid),
                Err(error) => Err(error),
            };
        };
        let uid = found.path.id();
        let sessions = self.session_records(uid).await?;
        self.pass_first_factor(uid, &shown, client, |account, batch| {
            self.check_unused(&code)?;
            batch.consume(&code);
            self.prove_mailbox(account, &sessions, client, batch)
        })
        .await
    }

    /// Somebody has shown to read the mailbox of an account. If nobody had before, everything that its maker set goes.
    pub(crate) fn prove_mailbox(
        &self,
        account: &mut Account,
        sessions: &[Record<SessionRecord>],
        client: &ClientInfo,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        if account.record.email_verified {
            return Ok(());
        }
        Self::drop_identities(&account.record, batch)?;
        Self::drop_passkeys(&mut account.record, batch, |_| true)?;
        Self::drop_phone(&account.record, batch)?;
        let record = &mut account.record;
        record.email_verified = true;
        record.password = None;
        record.identities.clear();
        record.phone = None;
        Self::drop_factors(record, batch)?;
        self.end_sessions(sessions, None, batch);
        self.audit(
            batch,
            Event::new("unverified-account-purged", &account.uid, client),
        )
    }
}
