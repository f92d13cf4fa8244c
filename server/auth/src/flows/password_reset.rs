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
            accounts.send_reset_code(record.path.id(), &email, &client).await
        });
        Ok(())
    }

    /// Sends the mail with the link to a new password.
    pub(crate) async fn send_reset_code(
        &self,
        uid: &str,
        email: &EmailAddress,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let codes = (CodeKind::ResetPassword, MailKind::ResetPassword);
        self.send_account_code(codes, "password-reset-requested", uid, email, client)
            .await
    }

    /// Sends a mail with a code of an account to its address, which is audited as `event`.
    pub(crate) async fn send_account_code(
        &self,
        (kind, mail): (CodeKind, MailKind),
        event: &'static str,
        uid: &str,
        email: &EmailAddress,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let mut batch = Batch::default();
        let new = NewCode {
            kind,
            subject: uid,
            uid: Some(uid),
            email: Some(email.as_str()),
            data: Default::default(),
        };
        let code = self.add_code(new, &mut batch)?;
        self.audit(&mut batch, Event::new(event, uid, client))?;
        batch.commit(self.engine()).await?;
        self.send_mail(mail, email, &code, kind.time(), email.as_str())
            .await
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
                if account.record.email_verified {
                    self.end_sessions(&sessions, None, batch);
                } else {
                    self.prove_mailbox(account, &sessions, client, batch)?;
                }
                account.record.password = Some(hash.clone());
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
