//! Making an account: with a password, or without anything.

use std::sync::Arc;

use andiron_engine::{Caller, User};
use andiron_protocol::Value;

use crate::account::{Account, AccountRecord, EmailRecord, Profile, ProfileChange, account_path, email_path};
use crate::audit::Event;
use crate::codes::CodeRecord;
use crate::limit::Attempt;
use crate::password::check_new;
use crate::records::{Batch, Record, existing, is_conflict};
use crate::session::Shown;
use crate::sign_up_question::SignUpQuestion;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, Password, SignUpPolicy, SignedIn};

/// Somebody who signs up.
#[derive(Debug)]
pub struct NewSignUp {
    /// The address.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// What the account says about itself.
    pub profile: ProfileChange,
    /// The code of an invitation, which lets sign up where not everybody may.
    pub invitation: Option<String>,
}

impl Accounts {
    /// Makes an account with a password and signs it in. An anonymous caller's own account becomes that account, and
    /// keeps its id.
    ///
    /// # Errors
    /// If the settings do not let everybody sign up, the password is not good enough, the address is taken, or there
    /// were too many attempts.
    pub async fn sign_up(
        &self,
        caller: &Caller,
        new: NewSignUp,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let options = self.options();
        let rate = options.limits.sign_up_by_address;
        self.attempts()
            .count_client(Attempt::SignUp, client, rate, self.now())?;
        let invitation = match &new.invitation {
            Some(code) => Some(self.find_invitation(code, &new.email)?),
            None => {
                self.check_sign_up(&new.email)?;
                None
            }
        };
        check_new(
            &new.password,
            options.password_chars_min,
            Some(new.email.as_str()),
        )?;
        let mut profile = Profile::default();
        new.profile.clone().apply(&mut profile)?;
        let upgrading = match caller {
            Caller::User(user) if self.is_anonymous(user)? => Some(user),
            _ => None,
        };
        let hash = self.hasher().hash(&new.password).await?;
        let email = new.email.clone();
        let signed_in = match upgrading {
            Some(user) => self.upgrade(user, new, invitation.as_ref(), hash, client).await?,
            None => {
                self.create_with_password(new, profile, invitation.as_ref(), hash, client)
                    .await?
            }
        };
        if self.check_post().is_ok() && !signed_in.account.record.email_verified {
            let (uid, client) = (signed_in.account.uid.clone(), client.clone());
            self.after_answer(move |accounts| async move {
                accounts.count_mail(&email)?;
                accounts.send_verification(&uid, &email, &client).await
            });
        }
        Ok(signed_in)
    }

    async fn create_with_password(
        &self,
        new: NewSignUp,
        profile: Profile,
        invitation: Option<&Record<CodeRecord>>,
        hash: String,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        let record = AccountRecord {
            email: Some(new.email.as_str().to_owned()),
            email_verified: invitation.is_some_and(was_mailed),
            profile,
            password: Some(hash),
            ..AccountRecord::default()
        };
        let shown = Shown::new(&["pwd"], "password");
        let made = self
            .create_signed_in_with(record, Some(&new.email), &shown, "sign-up", client, |batch| {
                if let Some(invitation) = invitation {
                    batch.consume(invitation);
                }
                Ok(())
            })
            .await;
        match made {
            // Somebody else has used the invitation.
            Err(AuthError::Contended) => Err(AuthError::CodeInvalid),
            made => made,
        }
    }

    /// Makes an account without credentials and signs it in.
    ///
    /// # Errors
    /// If the settings rule it out, or there were too many attempts.
    pub async fn sign_up_anonymously(&self, client: &ClientInfo) -> Result<SignedIn, AuthError> {
        let options = self.options();
        let rate = options.limits.sign_up_by_address;
        self.attempts()
            .count_client(Attempt::SignUp, client, rate, self.now())?;
        if !options.anonymous || options.sign_up != SignUpPolicy::Open {
            return Err(AuthError::NotAllowed("this server takes no anonymous accounts"));
        }
        let record = AccountRecord {
            anonymous: true,
            ..AccountRecord::default()
        };
        self.create_signed_in(record, None, &Shown::new(&[], "anonymous"), "sign-up", client)
            .await
    }

    /// Refuses sign-ups that the settings rule out.
    pub(crate) fn check_sign_up(&self, email: &EmailAddress) -> Result<(), AuthError> {
        self.check_open()?;
        self.check_domain(email)
    }

    /// Refuses sign-ups of who shows no address, where not everybody may or addresses have to be of some domains.
    pub(crate) fn check_sign_up_without_address(&self) -> Result<(), AuthError> {
        self.check_open()?;
        if self.options().sign_up_domains.is_empty() {
            return Ok(());
        }
        Err(AuthError::NotAllowed(
            "signing up takes an e-mail address of certain domains",
        ))
    }

    /// Refuses sign-ups where not everybody may.
    pub(crate) fn check_open(&self) -> Result<(), AuthError> {
        match self.options().sign_up {
            SignUpPolicy::Open => {}
            SignUpPolicy::Closed => {
                return Err(AuthError::NotAllowed(
                    "accounts are made by the administrators of this server",
                ));
            }
            SignUpPolicy::Invitation => {
                return Err(AuthError::NotAllowed("signing up takes an invitation"));
            }
        }
        Ok(())
    }

    /// Refuses addresses of domains that the settings do not name.
    pub(crate) fn check_domain(&self, email: &EmailAddress) -> Result<(), AuthError> {
        let domains = &self.options().sign_up_domains;
        if domains.is_empty() || domains.iter().any(|domain| domain == email.domain()) {
            return Ok(());
        }
        Err(AuthError::NotAllowed(
            "addresses of this domain cannot sign up here",
        ))
    }

    /// Whether a caller's account is still nobody's in particular.
    pub(crate) fn is_anonymous(&self, user: &User) -> Result<bool, AuthError> {
        Ok(self.find(&user.uid)?.is_some_and(|record| record.data.anonymous))
    }

    /// Makes an account and a session of it in one commit.
    pub(crate) async fn create_signed_in(
        &self,
        record: AccountRecord,
        email: Option<&EmailAddress>,
        shown: &Shown,
        event: &'static str,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        self.create_signed_in_with(record, email, shown, event, client, |_| Ok(()))
            .await
    }

    /// The same, with whatever else belongs to that commit.
    pub(crate) async fn create_signed_in_with(
        &self,
        record: AccountRecord,
        email: Option<&EmailAddress>,
        shown: &Shown,
        event: &'static str,
        client: &ClientInfo,
        also: impl FnOnce(&mut Batch) -> Result<(), AuthError>,
    ) -> Result<SignedIn, AuthError> {
        let uid = self.engine().generate_id();
        self.create_signed_in_as(uid, record, email, shown, event, client, also)
            .await
    }

    /// The same under an id that is known before.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the one commit")]
    pub(crate) async fn create_signed_in_as(
        &self,
        uid: String,
        record: AccountRecord,
        email: Option<&EmailAddress>,
        shown: &Shown,
        event: &'static str,
        client: &ClientInfo,
        also: impl FnOnce(&mut Batch) -> Result<(), AuthError>,
    ) -> Result<SignedIn, AuthError> {
        self.signing_keys().ensure().await?;
        let mut account = Account {
            uid,
            created: self.now(),
            record,
        };
        let mut batch = Batch::default();
        batch.ask(SignUpQuestion::new_account(&account, shown, client));
        if let Some(email) = email {
            let uid = account.uid.clone();
            batch.create(email_path(email)?, &EmailRecord { uid })?;
        }
        let tokens = self.begin_session(&mut account, shown, client, &mut batch)?;
        batch.create(account_path(&account.uid)?, &account.record)?;
        let detail = shown.provider.as_str();
        self.audit(&mut batch, Event::new(event, &account.uid, client).detail(detail))?;
        also(&mut batch)?;
        match batch.commit(self.engine()).await {
            Ok(version) => {
                account.created = version.to_timestamp();
                Ok(SignedIn { account, tokens })
            }
            Err(error) if is_conflict(&error) => Err(AuthError::Contended),
            Err(error) if existing(&error).is_some() => Err(AuthError::AddressTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes, within a change, an anonymous account somebody's, if the rules let it. What the settings say to it is the caller's to
    /// ask. `user` is who upgrades it, where that is known.
    pub(crate) fn become_somebody(
        &self,
        account: &mut Account,
        shown: &Shown,
        user: Option<&User>,
        client: &ClientInfo,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        account.record.anonymous = false;
        let caller = user.map_or(Caller::Anonymous, |user| Caller::User(Arc::new(user.clone())));
        batch.ask(SignUpQuestion::upgrade(caller, account, shown, client));
        let event = Event::new("anonymous-upgraded", &account.uid, client);
        self.audit(batch, event.detail(shown.provider.as_str()))
    }

    /// An anonymous account gets an address and a password. Its sessions make way for a new one: whoever had it as nobody's
    /// has no part in what becomes somebody's.
    async fn upgrade(
        &self,
        user: &User,
        new: NewSignUp,
        invitation: Option<&Record<CodeRecord>>,
        hash: String,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        self.prepare_session(&user.uid).await?;
        let shown = Shown::new(&["pwd"], "password");
        let sessions = self.session_records(&user.uid).await?;
        let (account, tokens) = self
            .change(&user.uid, |account, batch| {
                if !account.record.anonymous {
                    return Err(AuthError::NotPossible(
                        "the account is not anonymous any more".to_owned(),
                    ));
                }
                if let Some(invitation) = invitation {
                    self.check_unused(invitation)?;
                    batch.consume(invitation);
                    account.record.email_verified = was_mailed(invitation);
                }
                new.profile.clone().apply(&mut account.record.profile)?;
                account.record.email = Some(new.email.as_str().to_owned());
                account.record.password = Some(hash.clone());
                self.become_somebody(account, &shown, Some(user), client, batch)?;
                let uid = account.uid.clone();
                batch.create(email_path(&new.email)?, &EmailRecord { uid })?;
                self.end_sessions(&sessions, None, batch);
                self.begin_session(account, &shown, client, batch)
            })
            .await?;
        Ok(SignedIn { account, tokens })
    }
}

/// Whether nobody but who reads the mailbox has learned the code of an invitation.
fn was_mailed(invitation: &Record<CodeRecord>) -> bool {
    invitation.data.data.get("mailed").and_then(Value::as_boolean) == Some(true)
}
