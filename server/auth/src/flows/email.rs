//! The address of an account: confirming it. How it is changed, `email_change` knows.

use andiron_engine::User;

use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord};
use crate::limit::Attempt;
use crate::mail::MailKind;
use crate::records::Record;
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
        let email = EmailAddress::of_record(email);
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
        let codes = (CodeKind::VerifyEmail, MailKind::VerifyEmail);
        self.send_account_code(codes, "verification-requested", uid, email, client)
            .await
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
}
