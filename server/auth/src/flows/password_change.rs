//! Changing a password by somebody who is signed in.

use andiron_engine::User;

use crate::account::Account;
use crate::audit::Event;
use crate::password::{Checked, check_new};
use crate::session::session_id;
use crate::{Accounts, AuthError, ClientInfo, Password};

impl Accounts {
    /// Sets a new password, and ends all sessions of the account but the caller's. Who has a password shows it; who has
    /// none must have signed in a short time ago.
    ///
    /// # Errors
    /// [`AuthError::SignInFailed`] if the current password is another; if somebody else acts as the account; if the new one is not good enough, or the account
    /// has no address that a password could go with.
    pub async fn change_password(
        &self,
        user: &User,
        current: Option<&Password>,
        new: &Password,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        Self::check_acts_for_itself(user)?;
        let record = self.must_find(&user.uid)?;
        let account = Account::of(&record);
        let Some(email) = account.email() else {
            return Err(AuthError::NotPossible(
                "the account has no e-mail address that a password could go with".to_owned(),
            ));
        };
        match (current, account.record.password.as_deref()) {
            (Some(current), Some(stored)) => {
                if self.check_password(email, current, Some(stored)).await? == Checked::Wrong {
                    self.audit_refusal(
                        Event::new("password-change-refused", &user.uid, client).detail("wrong password"),
                    )
                    .await;
                    return Err(AuthError::SignInFailed);
                }
            }
            (None, Some(_)) => {
                return Err(AuthError::input("current", "the current password is needed"));
            }
            (_, None) => self.check_recent(user)?,
        }
        check_new(new, self.password_chars_min(&account), Some(email))?;
        let hash = self.hasher().hash(new).await?;
        let sessions = self.session_records(&user.uid).await?;
        let before = account.record.password.clone();
        self.change(&user.uid, |account, batch| {
            if account.record.password != before {
                return Err(AuthError::Contended);
            }
            account.record.password = Some(hash.clone());
            self.end_sessions(&sessions, Some(session_id(user)), batch);
            self.audit(batch, Event::new("password-changed", &account.uid, client))
        })
        .await?;
        Ok(())
    }

    /// How long a password of this account must be.
    pub(crate) fn password_chars_min(&self, account: &Account) -> usize {
        match account.admin_role() {
            Some(_) => self.options().admin_password_chars_min,
            None => self.options().password_chars_min,
        }
    }
}
