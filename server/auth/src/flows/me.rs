//! What an account does with itself.

use std::time::Duration;

use andiron_engine::{Caller, User};
use serde_json::json;

use crate::account::{Account, AccountRecord, stored_email_path};
use crate::accounts::CONFLICTS_MAX;
use crate::audit::{AuditQuery, Event};
use crate::codes::CodeKind;
use crate::flows::undo_subject;
use crate::records::Batch;
use crate::session::auth_time;
use crate::token::after;
use crate::{AUDIT_PAGE_MAX, Accounts, AuthError, ClientInfo, ProfileChange};

/// How long ago credentials may have been shown for what cannot be undone.
pub(crate) const RECENT: Duration = Duration::from_secs(10 * 60);

impl Accounts {
    /// The account of this id.
    ///
    /// # Errors
    /// If there is none, or the engine cannot read.
    pub fn account(&self, uid: &str) -> Result<Account, AuthError> {
        Ok(Account::of(&self.must_find(uid)?))
    }

    /// Changes what an account says about itself.
    ///
    /// # Errors
    /// If a field cannot be what it is to be, or the engine cannot write.
    pub async fn change_profile(&self, uid: &str, change: ProfileChange) -> Result<Account, AuthError> {
        let (account, ()) = self
            .change(uid, |account, _| {
                change.clone().apply(&mut account.record.profile)
            })
            .await?;
        Ok(account)
    }

    /// Everything that is kept about an account, as JSON.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn export(&self, uid: &str) -> Result<serde_json::Value, AuthError> {
        let account = self.account(uid)?;
        let query = AuditQuery {
            uid: Some(uid.to_owned()),
            limit: AUDIT_PAGE_MAX,
            ..AuditQuery::default()
        };
        Ok(json!({
            "account": account.view(),
            "passkeys": account.passkey_views(),
            "sessions": self.sessions(uid, None).await?,
            "events": self.audit_events(query).await?,
        }))
    }

    /// Deletes the caller's own account.
    ///
    /// # Errors
    /// [`AuthError::NotAllowed`] unless credentials were shown in the last ten minutes.
    pub async fn delete_own(&self, user: &User, client: &ClientInfo) -> Result<(), AuthError> {
        let account = self.account(&user.uid)?;
        if !account.record.anonymous {
            self.check_recent(user)?;
        }
        self.delete(&user.uid, None, client).await
    }

    /// Refuses what nobody does for somebody else.
    pub(crate) fn check_acts_for_itself(user: &User) -> Result<(), AuthError> {
        if user.token.contains_key("act") {
            return Err(AuthError::NotAllowed("nobody does this for somebody else"));
        }
        Ok(())
    }

    /// Refuses what wants credentials that were shown a short time ago. An anonymous account has none to show.
    pub(crate) fn check_recent(&self, user: &User) -> Result<(), AuthError> {
        Self::check_acts_for_itself(user)?;
        if after(auth_time(user), RECENT) > self.now() || self.is_anonymous(user)? {
            return Ok(());
        }
        Err(AuthError::NotAllowed(
            "this takes a sign-in of the last ten minutes: sign in again",
        ))
    }

    /// Removes, within a change, all codes that mails of an account have brought or will bring.
    fn drop_codes_of(&self, uid: &str, record: &AccountRecord, batch: &mut Batch) -> Result<(), AuthError> {
        for kind in [
            CodeKind::VerifyEmail,
            CodeKind::ResetPassword,
            CodeKind::ChangeEmail,
        ] {
            self.drop_code(kind, uid, batch)?;
        }
        for email in record.email.iter() {
            self.drop_code(CodeKind::SignInLink, email, batch)?;
            self.drop_code(CodeKind::SignInDigits, email, batch)?;
        }
        for email in record.undoable_addresses() {
            self.drop_code(CodeKind::UndoEmailChange, &undo_subject(uid, email), batch)?;
        }
        Ok(())
    }

    /// Deletes an account with all that belongs to it. What the audit log says of it stays.
    pub(crate) async fn delete(
        &self,
        uid: &str,
        by: Option<&Caller>,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let sessions = self.session_records(uid).await?;
        // A session that begins meanwhile ends with the account: tokens are verified against both.
        for _ in 0..CONFLICTS_MAX {
            let account = self.must_find(uid)?;
            let mut batch = Batch::default();
            batch.consume(&account);
            if let Some(email) = &account.data.email {
                batch.delete(stored_email_path(email)?);
            }
            self.drop_codes_of(uid, &account.data, &mut batch)?;
            Self::drop_identities(&account.data, &mut batch)?;
            let mut record = account.data.clone();
            Self::drop_passkeys(&mut record, &mut batch, |_| true)?;
            Self::drop_phone(&account.data, &mut batch)?;
            self.end_sessions(&sessions, None, &mut batch);
            let event = Event::new("account-deleted", uid, client);
            self.audit(
                &mut batch,
                match by {
                    Some(caller) => event.by(caller),
                    None => event,
                },
            )?;
            match batch.commit(self.engine()).await {
                Ok(_) => return Ok(()),
                Err(error) if crate::records::is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }
}
