//! The address of an account: confirming it, and changing it.

use andiron_engine::User;
use andiron_protocol::{Map, Value};

use crate::account::{Account, EmailRecord, email_path, stored_email_path};
use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord, NewCode};
use crate::limit::Attempt;
use crate::mail::MailKind;
use crate::records::{Batch, Record};
use crate::session::Shown;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress};

impl Accounts {
    /// Sends the account a mail with a link that confirms its address.
    ///
    /// # Errors
    /// If it has none, it is confirmed, there were too many mails, or the server sends none.
    pub async fn request_verification(&self, user: &User, client: &ClientInfo) -> Result<(), AuthError> {
        self.check_post()?;
        let account = self.account(&user.uid)?;
        let Some(email) = account.email() else {
            return Err(AuthError::NotPossible(
                "the account has no e-mail address".to_owned(),
            ));
        };
        if account.record.email_verified {
            return Err(AuthError::NotPossible(
                "the address is confirmed already".to_owned(),
            ));
        }
        let email = EmailAddress::parse(email)?;
        self.count_mail(&email)?;
        self.send_verification(&user.uid, &email, client).await
    }

    /// Sends the mail that confirms an address.
    pub(crate) async fn send_verification(
        &self,
        uid: &str,
        email: &EmailAddress,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let mut batch = Batch::default();
        let new = NewCode {
            kind: CodeKind::VerifyEmail,
            subject: uid,
            uid: Some(uid),
            email: Some(email.as_str()),
            data: Map::new(),
        };
        let code = self.add_code(new, &mut batch)?;
        self.audit(&mut batch, Event::new("verification-requested", uid, client))?;
        batch.commit(self.engine()).await?;
        let time = CodeKind::VerifyEmail.time();
        self.send_mail(MailKind::VerifyEmail, email, &code, time, email.as_str())
            .await
    }

    /// Sends a mail to a new address of the account, with a link that makes it its address. Nobody hears whether another
    /// account has it.
    ///
    /// # Errors
    /// If credentials were shown too long ago, there were too many attempts, or the server sends no mail.
    pub fn request_email_change(
        &self,
        user: &User,
        email: &EmailAddress,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        self.check_recent(user)?;
        self.check_domain(email)?;
        let Some(email) = self.begin_mail(email.as_str(), client)? else {
            return Ok(());
        };
        let (uid, client) = (user.uid.clone(), client.clone());
        self.after_answer(move |accounts| async move {
            accounts.count_mail(&email)?;
            if accounts.find_by_email(&email)?.is_some() {
                return Ok(());
            }
            let mut batch = Batch::default();
            let new = NewCode {
                kind: CodeKind::ChangeEmail,
                subject: &uid,
                uid: Some(&uid),
                email: Some(email.as_str()),
                data: Map::new(),
            };
            let code = accounts.add_code(new, &mut batch)?;
            accounts.audit(&mut batch, Event::new("email-change-requested", &uid, &client))?;
            batch.commit(accounts.engine()).await?;
            let time = CodeKind::ChangeEmail.time();
            accounts
                .send_mail(MailKind::ChangeEmail, &email, &code, time, email.as_str())
                .await
        });
        Ok(())
    }

    /// Does what the link of a mail is for: confirms an address, changes it, or takes a change back.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the code is not in force; [`AuthError::AddressTaken`] if somebody else has the
    /// address by now.
    pub async fn confirm_email(&self, code: &str, client: &ClientInfo) -> Result<(), AuthError> {
        let rate = self.options().limits.token_by_address;
        self.attempts()
            .count_client(Attempt::Token, client, rate, self.now())?;
        let kinds = [
            CodeKind::VerifyEmail,
            CodeKind::ChangeEmail,
            CodeKind::UndoEmailChange,
        ];
        let code = self.find_code(&kinds, code)?;
        let uid = code.data.uid.clone().unwrap_or_default();
        match code.data.kind {
            CodeKind::VerifyEmail => self.verify_email(&uid, &code, client).await,
            CodeKind::ChangeEmail => self.change_email(&uid, &code, client).await,
            _ => self.undo_email_change(&uid, &code, client).await,
        }
    }

    async fn verify_email(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        self.change(uid, |account, batch| {
            self.check_unused(code)?;
            if account.email() != code.data.email.as_deref() {
                return Err(AuthError::CodeInvalid);
            }
            batch.consume(code);
            account.record.email_verified = true;
            self.audit(batch, Event::new("email-verified", uid, client))
        })
        .await
        .map(drop)
    }

    async fn change_email(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let new = EmailAddress::parse(code.data.email.as_deref().unwrap_or_default())?;
        let (_, undo) = self
            .change(uid, |account, batch| {
                self.check_unused(code)?;
                batch.consume(code);
                let old = account
                    .record
                    .email
                    .clone()
                    .filter(|_| account.record.email_verified);
                self.move_email(account, &new, client, batch)?;
                // What was sent to the address of before is worth nothing.
                self.drop_code(CodeKind::ResetPassword, uid, batch)?;
                self.drop_code(CodeKind::VerifyEmail, uid, batch)?;
                self.audit(batch, Event::new("email-changed", uid, client))?;
                let Some(old) = old else { return Ok(None) };
                let data = Map::from([("new".to_owned(), Value::from(new.as_str()))]);
                let undo = NewCode {
                    kind: CodeKind::UndoEmailChange,
                    subject: uid,
                    uid: Some(uid),
                    email: Some(&old),
                    data,
                };
                Ok(Some((self.add_code(undo, batch)?, EmailAddress::parse(&old)?)))
            })
            .await?;
        if let Some((undo, old)) = undo {
            let time = CodeKind::UndoEmailChange.time();
            let new = new.as_str().to_owned();
            self.after_answer(move |accounts| async move {
                accounts
                    .send_mail(MailKind::EmailChanged, &old, &undo, time, &new)
                    .await
            });
        }
        Ok(())
    }

    /// Takes a change back. Whoever made it may know the password, so all sessions end.
    async fn undo_email_change(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let old = EmailAddress::parse(code.data.email.as_deref().unwrap_or_default())?;
        let sessions = self.session_records(uid).await?;
        self.change(uid, |account, batch| {
            self.check_unused(code)?;
            batch.consume(code);
            self.move_email(account, &old, client, batch)?;
            self.drop_code(CodeKind::ResetPassword, uid, batch)?;
            self.drop_code(CodeKind::ChangeEmail, uid, batch)?;
            self.end_sessions(&sessions, None, batch);
            self.audit(batch, Event::new("email-change-undone", uid, client))
        })
        .await
        .map(drop)
    }

    /// Gives an account another address, shown to be its owner's.
    fn move_email(
        &self,
        account: &mut Account,
        new: &EmailAddress,
        client: &ClientInfo,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        if account.email() != Some(new.as_str()) {
            if let Some(old) = account.email() {
                batch.delete(stored_email_path(old)?);
            }
            let uid = account.uid.clone();
            batch.create(email_path(new)?, &EmailRecord { uid })?;
            account.record.email = Some(new.as_str().to_owned());
        }
        account.record.email_verified = true;
        if account.record.anonymous {
            self.check_sign_up(new)?;
            // Who opens a link need not be signed in, so nobody asks the rules.
            self.become_somebody(account, &Shown::new(&["email"], "password"), None, client, batch)?;
        }
        Ok(())
    }
}
