//! Signing in with a password.

use crate::audit::Event;
use crate::limit::Attempt;
use crate::password::Checked;
use crate::session::Shown;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, Password, SignInOutcome};

impl Accounts {
    /// Signs an account in, or says that a second factor is due. For an address without an account, one without a password and one with another password
    /// the answer is the same and takes as long.
    ///
    /// # Errors
    /// [`AuthError::SignInFailed`] if the two do not go together; [`AuthError::TooManyAttempts`] if that was tried too
    /// often, here or for this account; [`AuthError::AccountDisabled`] only once the password was right.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &Password,
        client: &ClientInfo,
    ) -> Result<SignInOutcome, AuthError> {
        let rate = self.options().limits.sign_in_by_address;
        self.attempts()
            .count_client(Attempt::SignIn, client, rate, self.now())?;
        // What is no address has no account, and that is all that anybody hears of it.
        let email = EmailAddress::parse(email).ok();
        let found = match &email {
            Some(email) => self.find_by_email(email)?,
            None => None,
        };
        let key = email.as_ref().map_or("", EmailAddress::as_str);
        let stored = found.as_ref().and_then(|record| record.data.password.as_deref());
        let checked = self.check_password(key, password, stored).await;
        let uid = found.as_ref().map(|record| record.path.id());
        let refused = async |detail: &str| {
            let event = Event::new("sign-in-refused", "", client).detail(detail);
            self.audit_refusal(Event { uid, ..event }).await;
        };
        let checked = match checked {
            Ok(checked) => checked,
            Err(error @ AuthError::TooManyAttempts { .. }) => {
                refused("too many attempts").await;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let (Some(found), true) = (&found, checked != Checked::Wrong) else {
            refused("wrong password").await;
            return Err(AuthError::SignInFailed);
        };
        if found.data.disabled {
            refused("account disabled").await;
            return Err(AuthError::AccountDisabled);
        }
        let checked_hash = found.data.password.clone();
        let shown = Shown::new(&["pwd"], "password");
        self.pass_first_factor(found.path.id(), &shown, client, |account, _| {
            // The password was right for the hash of a moment ago.
            if account.record.password != checked_hash {
                return Err(AuthError::SignInFailed);
            }
            if let Checked::Upgraded(hash) = &checked {
                account.record.password = Some(hash.clone());
            }
            Ok(())
        })
        .await
    }
}
