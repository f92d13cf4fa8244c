//! Invitations: who may sign up where not everybody may.
//!
//! An invitation is a code for one address. Signing up with it shows that somebody reads that mailbox, if the code went there by
//! mail and nowhere else; so the address counts as confirmed only then.

use andiron_engine::Caller;
use andiron_protocol::{Map, Value};

use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord, NewCode};
use crate::mail::MailKind;
use crate::records::{Batch, Record};
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, SecretText};

impl Accounts {
    /// Invites somebody, for a week. Where mails can be sent, a mail has the code and nobody else learns it; else the code is
    /// the answer, for the administrator to pass on.
    ///
    /// # Errors
    /// If the address has an account, or the engine or the mail server fails.
    pub async fn invite(
        &self,
        caller: &Caller,
        email: &EmailAddress,
        client: &ClientInfo,
    ) -> Result<Option<SecretText>, AuthError> {
        if self.find_by_email(email)?.is_some() {
            return Err(AuthError::AddressTaken);
        }
        let is_mailed = self.check_post().is_ok();
        let mut batch = Batch::default();
        let new = NewCode {
            kind: CodeKind::Invitation,
            subject: email.as_str(),
            uid: None,
            email: Some(email.as_str()),
            data: Map::from([("mailed".to_owned(), Value::Boolean(is_mailed))]),
        };
        let code = self.add_code(new, &mut batch)?;
        let event = Event {
            uid: None,
            ..Event::new("invited", "", client)
        };
        self.audit(&mut batch, event.by(caller).detail(email.as_str()))?;
        batch.commit(self.engine()).await?;
        if !is_mailed {
            return Ok(Some(code));
        }
        let time = CodeKind::Invitation.time();
        self.send_mail(MailKind::Invitation, email, &code, time, email.as_str())
            .await?;
        Ok(None)
    }

    /// The invitation of somebody who signs up.
    pub(crate) fn find_invitation(
        &self,
        code: &str,
        email: &EmailAddress,
    ) -> Result<Record<CodeRecord>, AuthError> {
        let invitation = self.find_code(&[CodeKind::Invitation], code)?;
        if invitation.data.email.as_deref() == Some(email.as_str()) {
            Ok(invitation)
        } else {
            Err(AuthError::CodeInvalid)
        }
    }
}
