//! The first administrator: made with a secret that the first start prints, which is used up by that.
//!
//! The document `_setup/owner` holds the secret's hash until there is an owner, and then says so for ever. No password
//! is ever a default.

use std::time::Duration;

use andiron_engine::Caller;
use andiron_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountRecord, EmailRecord, account_path, email_path};
use crate::audit::Event;
use crate::limit::Attempt;
use crate::password::check_new;
use crate::records::{Batch, existing, is_conflict, read};
use crate::secret::{self, hash};
use crate::session::Shown;
use crate::token::after;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, Password, SecretText, SignedIn};

const SETUP: &str = "_setup/owner";
/// How long the secret holds; a later start gives another if there is no owner yet.
const SETUP_TIME: Duration = Duration::from_secs(30 * 60);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SetupRecord {
    /// The secret's hash; none once there is an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    expires: Timestamp,
}

impl Accounts {
    /// A new secret for the first owner, in the place of any before; `None` if there is or was an owner.
    ///
    /// # Errors
    /// If the engine cannot read or write.
    pub async fn begin_setup(&self) -> Result<Option<SecretText>, AuthError> {
        let path = SETUP.parse()?;
        if let Some(record) = read::<SetupRecord>(self.engine(), &path)?
            && record.data.secret.is_none()
        {
            return Ok(None);
        }
        let secret = secret::random::<16>(self.engine());
        let record = SetupRecord {
            secret: Some(hash(&secret)),
            expires: after(self.now(), SETUP_TIME),
        };
        let mut batch = Batch::default();
        batch.set(path, &record)?;
        batch.commit(self.engine()).await?;
        Ok(Some(SecretText::new(secret)))
    }

    /// Makes the first owner. Of several who try at once, one does.
    ///
    /// # Errors
    /// [`AuthError::CodeInvalid`] if the secret is not the one in force, or there is an owner.
    pub async fn finish_setup(
        &self,
        secret: &str,
        email: &EmailAddress,
        password: &Password,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let rate = self.options().limits.sign_in_by_address;
        self.attempts()
            .count_client(Attempt::SignIn, client, rate, self.now())?;
        let record = read::<SetupRecord>(self.engine(), &SETUP.parse()?)?.ok_or(AuthError::CodeInvalid)?;
        let is_right =
            record.data.secret.as_deref() == Some(&hash(secret)) && record.data.expires > self.now();
        if !is_right {
            return Err(AuthError::CodeInvalid);
        }
        check_new(
            password,
            self.options().admin_password_chars_min,
            Some(email.as_str()),
        )?;
        let password = self.hasher().hash(password).await?;
        self.signing_keys().ensure().await?;
        let mut account = Account {
            uid: self.engine().generate_id(),
            created: self.now(),
            record: AccountRecord {
                email: Some(email.as_str().to_owned()),
                // Whoever has the server's console has shown more than a mailbox.
                email_verified: true,
                password: Some(password),
                roles: vec!["owner".to_owned()],
                ..AccountRecord::default()
            },
        };
        let mut batch = Batch::default();
        let uid = account.uid.clone();
        batch.create(email_path(email)?, &EmailRecord { uid })?;
        let shown = Shown::new(&["pwd"], "password");
        let tokens = self.begin_session(&mut account, &shown, client, &mut batch)?;
        batch.create(account_path(&account.uid)?, &account.record)?;
        batch.replace(&record, &self.setup_done())?;
        self.audit(&mut batch, Event::new("owner-set-up", &account.uid, client))?;
        match batch.commit(self.engine()).await {
            Ok(_) => Ok(SignedIn { account, tokens }),
            Err(error) if is_conflict(&error) => Err(AuthError::CodeInvalid),
            Err(error) if existing(&error).is_some() => Err(AuthError::AddressTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes, within a change that makes an owner, that the setup is over.
    pub(crate) fn end_setup(&self, batch: &mut Batch) -> Result<(), AuthError> {
        batch.set(SETUP.parse()?, &self.setup_done())
    }

    fn setup_done(&self) -> SetupRecord {
        SetupRecord {
            secret: None,
            expires: self.now(),
        }
    }

    /// Refuses whoever may not decide about who administers.
    ///
    /// # Errors
    /// [`AuthError::NotAllowed`] unless the caller is the folder's owner, a service key for everything or an account with the
    /// role `owner`.
    pub fn check_owner(caller: &Caller) -> Result<(), AuthError> {
        crate::roles::check_owner(caller)
    }
}
