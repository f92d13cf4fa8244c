//! A new password for who has lost the old one, by a mail.

use crate::audit::Event;
use crate::codes::{CodeKind, NewCode};
use crate::limit::Attempt;
use crate::mail::MailKind;
use crate::password::check_new;
use crate::records::Batch;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, Password};

impl Accounts {
    /// Sends a mail with a link to a new password, if there is such an account. Nobody hears whether there is.
    ///
    /// # Errors
    /// If there were too many attempts from this address, or the server sends no mail.
    pub fn request_password_reset(&self, email: &str, client: &ClientInfo) -> Result<(), AuthError> {
        let Some(email) = self.begin_mail(email, client)? else {
            return Ok(());
        };
        let client = client.clone();
        self.after_answer(move |accounts| async move {
            accounts.count_mail(&email)?;
            let Some(record) = accounts.find_by_email(&email)? else {
                return Ok(());
            };
            if record.data.disabled {
                return Ok(());
            }
            let uid = record.path.id();
            let mut batch = Batch::default();
            let new = NewCode {
                kind: CodeKind::ResetPassword,
                subject: uid,
                uid: Some(uid),
                email: Some(email.as_str()),
                data: Default::default(),
            };
            let code = accounts.add_code(new, &mut batch)?;
            accounts.audit(&mut batch, Event::new("password-reset-requested", uid, &client))?;
            batch.commit(accounts.engine()).await?;
            let time = CodeKind::ResetPassword.time();
            accounts
                .send_mail(MailKind::ResetPassword, &email, &code, time, email.as_str())
                .await
        });
        Ok(())
    }

    /// Counts a request for a mail, and reads the address; `None` if it is none, which nobody hears of.
    pub(crate) fn begin_mail(
        &self,
        email: &str,
        client: &ClientInfo,
    ) -> Result<Option<EmailAddress>, AuthError> {
        let rate = self.options().limits.mail_by_address;
        self.attempts()
            .count_client(Attempt::Mail, client, rate, self.now())?;
        self.check_post()?;
        Ok(EmailAddress::parse(email).ok())
    }

    /// Counts a mail to a mailbox.
    pub(crate) fn count_mail(&self, email: &EmailAddress) -> Result<(), AuthError> {
        let rate = self.options().limits.mail_by_account;
        self.attempts()
            .count(Attempt::Mail, email.as_str(), rate, self.now())
    }

    /// Sets a new password by the code of a mail. Ends all sessions; signs nobody in, so that a second factor is still
    /// asked for.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the code is not in force; if the password is not good enough.
    pub async fn confirm_password_reset(
        &self,
        code: &str,
        password: &Password,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let code = self.find_code(&[CodeKind::ResetPassword], code)?;
        let uid = code.data.uid.clone().unwrap_or_default();
        let account = self.account(&uid).map_err(|_| AuthError::CodeInvalid)?;
        check_new(password, self.password_chars_min(&account), account.email())?;
        let hash = self.hasher().hash(password).await?;
        let sessions = self.session_records(&uid).await?;
        let (account, ()) = self
            .change(&uid, |account, batch| {
                self.check_unused(&code)?;
                if account.record.disabled || account.email() != code.data.email.as_deref() {
                    return Err(AuthError::CodeInvalid);
                }
                batch.consume(&code);
                account.record.password = Some(hash.clone());
                account.record.email_verified = true;
                self.end_sessions(&sessions, None, batch);
                self.audit(batch, Event::new("password-reset", &account.uid, client))
            })
            .await?;
        if let Some(email) = account.email() {
            // Whoever has the mailbox is not who guessed.
            self.attempts().forget(Attempt::SignIn, email);
        }
        Ok(())
    }
}
