//! What administrators do with accounts.
//!
//! That the caller administers is asked before; what takes an owner (roles, claims, impersonation, accounts of
//! administrators) is asked here.

use andiron_engine::{Caller, Permission, StoredDocument};
use andiron_protocol::{CollectionPath, FieldRef, Filter, Map, Operator, Query, Source, Value};
use serde::Deserialize;

use crate::account::{
    ACCOUNTS, Account, AccountRecord, EmailRecord, Profile, ProfileChange, account_path, check_claims,
    check_uid, email_path, stored_email_path,
};
use crate::audit::Event;
use crate::password::{check_foreign_hash, check_new};
use crate::records::{Batch, Record, existing};
use crate::roles::{self, AdminRole, check_owner_or};
use crate::session::Shown;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress, Password, SignedIn};

/// Accounts in one page.
const ACCOUNTS_PAGE_MAX: u32 = 1000;

/// An account to be made by an administrator.
#[derive(Debug, Default)]
pub struct NewAccount {
    /// Its id; generated if none is given.
    pub uid: Option<String>,
    /// Its address.
    pub email: Option<EmailAddress>,
    /// Whether the address is known to be its owner's.
    pub email_verified: bool,
    /// Its password.
    pub password: Option<Password>,
    /// In the place of a password: a hash that another program made.
    pub password_hash: Option<String>,
    /// What it says about itself.
    pub profile: ProfileChange,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its claims.
    pub claims: Map,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// A change of an account by an administrator: what is there is changed.
#[derive(Debug, Default)]
pub struct AccountChange {
    /// Its address, or none any more; another ends all sessions.
    pub email: Option<Option<EmailAddress>>,
    /// Whether the address is known to be its owner's.
    pub email_verified: Option<bool>,
    /// A new password; ends all sessions.
    pub password: Option<Password>,
    /// What it says about itself.
    pub profile: ProfileChange,
    /// All its roles.
    pub roles: Option<Vec<String>>,
    /// All its claims.
    pub claims: Option<Map>,
    /// Whether it is disabled; ends all sessions if so.
    pub disabled: Option<bool>,
    /// Refuse access tokens made before, so that clients refresh at once.
    pub refresh_now: bool,
    /// Take its second factors away, for somebody who has lost them.
    pub reset_factors: bool,
}

/// Which accounts to list.
#[derive(Clone, Debug, Default)]
pub struct AccountList {
    /// Only that with this address.
    pub email: Option<String>,
    /// Only those after this id.
    pub after: Option<String>,
    /// At most so many, and at most 1,000.
    pub limit: u32,
}

impl Accounts {
    /// Accounts in the order of their ids.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn list(&self, list: AccountList) -> Result<Vec<Account>, AuthError> {
        if let Some(email) = &list.email {
            let found = match EmailAddress::parse(email) {
                Ok(email) => self.find_by_email(&email)?,
                Err(_) => None,
            };
            return Ok(found.iter().map(Account::of).collect());
        }
        let filter = match &list.after {
            Some(after) => {
                let after = Value::from(after.as_str());
                Some(Filter::compare(FieldRef::Id, Operator::Greater, after)?)
            }
            None => None,
        };
        let query = Query {
            filter,
            limit: Some(list.limit.clamp(1, ACCOUNTS_PAGE_MAX)),
            ..Query::all(Source::Collection(ACCOUNTS.parse::<CollectionPath>()?))
        };
        let found: Vec<StoredDocument> = Vec::new();
        let (found, _) = self
            .engine()
            .query(&Caller::System, query, Default::default(), found)
            .await?;
        found
            .into_iter()
            .map(|document| Ok(Account::of(&Record::of(document)?)))
            .collect()
    }

    /// Makes an account.
    ///
    /// # Errors
    /// If a part of it cannot be, its id or address is taken, or it is to administer and the caller is no owner.
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewAccount,
        client: &ClientInfo,
    ) -> Result<Account, AuthError> {
        roles::check(&new.roles)?;
        check_claims(&new.claims)?;
        let role = AdminRole::of(new.roles.iter().map(String::as_str));
        if role.is_some() {
            Self::check_owner(caller)?;
        }
        if !new.roles.is_empty() || !new.claims.is_empty() {
            check_owner_or(caller, Permission::ClaimsWrite)?;
        }
        let uid = match new.uid {
            Some(uid) => {
                check_uid(&uid)?;
                uid
            }
            None => self.engine().generate_id(),
        };
        let mut profile = Profile::default();
        new.profile.apply(&mut profile)?;
        let mut account = Account {
            uid,
            created: self.now(),
            record: AccountRecord {
                email: new.email.as_ref().map(|email| email.as_str().to_owned()),
                email_verified: new.email_verified && new.email.is_some(),
                profile,
                claims: new.claims,
                roles: new.roles,
                disabled: new.disabled,
                ..AccountRecord::default()
            },
        };
        if (new.password.is_some() || new.password_hash.is_some()) && new.email.is_none() {
            return Err(AuthError::input(
                "email",
                "a password goes with an e-mail address",
            ));
        }
        account.record.password = match (new.password, new.password_hash) {
            (Some(_), Some(_)) => {
                return Err(AuthError::input(
                    "passwordHash",
                    "give a password or its hash, not both",
                ));
            }
            (Some(password), None) => {
                check_new(&password, self.password_chars_min(&account), account.email())?;
                Some(self.hasher().hash(&password).await?)
            }
            (None, Some(hash)) => {
                Self::check_owner(caller)?;
                check_foreign_hash(&hash)?;
                Some(hash)
            }
            (None, None) => None,
        };
        let mut batch = Batch::default();
        if let Some(email) = &new.email {
            let uid = account.uid.clone();
            batch.create(email_path(email)?, &EmailRecord { uid })?;
        }
        let path = account_path(&account.uid)?;
        batch.create(path.clone(), &account.record)?;
        if role == Some(AdminRole::Owner) {
            self.end_setup(&mut batch)?;
        }
        let event = Event::new("account-created", &account.uid, client).by(caller);
        self.audit(&mut batch, event.detail(account.record.roles.join(" ")))?;
        match batch.commit(self.engine()).await {
            Ok(version) => {
                account.created = version.to_timestamp();
                Ok(account)
            }
            Err(error) => match existing(&error) {
                Some(taken) if *taken == path => Err(AuthError::UidTaken { uid: account.uid }),
                Some(_) => Err(AuthError::AddressTaken),
                None => Err(error.into()),
            },
        }
    }

    /// Changes an account.
    ///
    /// # Errors
    /// If a part of it cannot be, the address is taken, there is no such account, or it takes an owner.
    pub async fn change_account(
        &self,
        caller: &Caller,
        uid: &str,
        change: AccountChange,
        client: &ClientInfo,
    ) -> Result<Account, AuthError> {
        let before = Account::of(&self.must_find(uid)?);
        let new_role = change
            .roles
            .iter()
            .find_map(|roles| AdminRole::of(roles.iter().map(String::as_str)));
        if before.admin_role().is_some() || new_role.is_some() {
            Self::check_owner(caller)?;
        }
        if change.roles.is_some() || change.claims.is_some() {
            check_owner_or(caller, Permission::ClaimsWrite)?;
        }
        if let Some(roles) = &change.roles {
            roles::check(roles)?;
        }
        if let Some(claims) = &change.claims {
            check_claims(claims)?;
        }
        let hash = match &change.password {
            Some(password) => {
                let mut after = before.clone();
                if let Some(roles) = &change.roles {
                    after.record.roles.clone_from(roles);
                }
                let email = match &change.email {
                    Some(email) => email.as_ref().map(|email| email.as_str().to_owned()),
                    None => before.record.email.clone(),
                };
                if email.is_none() {
                    return Err(AuthError::input(
                        "email",
                        "a password goes with an e-mail address",
                    ));
                }
                check_new(password, self.password_chars_min(&after), email.as_deref())?;
                Some(self.hasher().hash(password).await?)
            }
            None => None,
        };
        let sessions = self.session_records(uid).await?;
        let (account, ()) = self
            .change(uid, |account, batch| {
                let mut changed = Vec::new();
                let email = change
                    .email
                    .as_ref()
                    .filter(|new| new.as_ref().map(EmailAddress::as_str) != account.email());
                if let Some(email) = email {
                    self.set_email(account, email.as_ref(), batch)?;
                    changed.push("email");
                }
                let record = &mut account.record;
                if let Some(verified) = change.email_verified {
                    record.email_verified = verified && record.email.is_some();
                    changed.push("emailVerified");
                }
                if let Some(hash) = &hash {
                    record.password = Some(hash.clone());
                    changed.push("password");
                }
                if let Some(roles) = &change.roles {
                    record.roles.clone_from(roles);
                    changed.push("roles");
                }
                if let Some(claims) = &change.claims {
                    record.claims.clone_from(claims);
                    changed.push("claims");
                }
                if let Some(disabled) = change.disabled {
                    record.disabled = disabled;
                    changed.push("disabled");
                }
                if change.refresh_now {
                    record.epoch += 1;
                }
                if change.reset_factors {
                    Self::drop_factors(record, batch)?;
                    changed.push("factors");
                }
                change.profile.clone().apply(&mut record.profile)?;
                if hash.is_some() || email.is_some() || record.disabled {
                    self.end_sessions(&sessions, None, batch);
                }
                if AdminRole::of(record.roles.iter().map(String::as_str)) == Some(AdminRole::Owner) {
                    self.end_setup(batch)?;
                }
                let event = Event::new("account-changed", uid, client).by(caller);
                self.audit(batch, event.detail(changed.join(" ")))
            })
            .await?;
        Ok(account)
    }

    /// Gives an account another address within a change, or none.
    fn set_email(
        &self,
        account: &mut Account,
        email: Option<&EmailAddress>,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        if let Some(old) = account.email() {
            batch.delete(stored_email_path(old)?);
        }
        match email {
            Some(new) => {
                let uid = account.uid.clone();
                batch.create(email_path(new)?, &EmailRecord { uid })?;
                account.record.anonymous = false;
            }
            None => account.record.password = None,
        }
        account.record.email = email.map(|email| email.as_str().to_owned());
        account.record.email_verified = false;
        self.forget_email_changes(account, batch)
    }

    /// Deletes an account with all that belongs to it.
    ///
    /// # Errors
    /// If there is none, or it administers and the caller is no owner.
    pub async fn delete_account(
        &self,
        caller: &Caller,
        uid: &str,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        if self.account(uid)?.admin_role().is_some() {
            Self::check_owner(caller)?;
        }
        self.delete(uid, Some(caller), client).await
    }

    /// Ends all sessions of an account.
    ///
    /// # Errors
    /// If there is no such account, it administers and the caller is no owner, or the engine cannot write.
    pub async fn sign_out_account(
        &self,
        caller: &Caller,
        uid: &str,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        if self.account(uid)?.admin_role().is_some() {
            Self::check_owner(caller)?;
        }
        let sessions = self.session_records(uid).await?;
        let mut batch = Batch::default();
        self.end_sessions(&sessions, None, &mut batch);
        self.audit(&mut batch, Event::new("sign-out-all", uid, client).by(caller))?;
        batch.commit(self.engine()).await?;
        Ok(())
    }

    /// Begins a session as another account, for an hour at most. The token says who acts (`act`), and so does the list of
    /// the account's sessions.
    ///
    /// # Errors
    /// If the caller is no owner, or the account administers itself.
    pub async fn impersonate(
        &self,
        caller: &Caller,
        uid: &str,
        client: &ClientInfo,
    ) -> Result<SignedIn, AuthError> {
        check_owner_or(caller, Permission::AccountsImpersonate)?;
        let actor = match caller {
            Caller::User(user) => format!("user:{}", user.uid),
            Caller::ServiceKey(key) => format!("key:{}", key.id),
            _ => "owner".to_owned(),
        };
        if self.account(uid)?.admin_role().is_some() {
            return Err(AuthError::NotAllowed("nobody acts as an administrator"));
        }
        self.prepare_session(uid).await?;
        let mut shown = Shown::new(&[], "impersonation");
        shown.impersonator = Some(actor);
        let (account, tokens) = self
            .change(uid, |account, batch| {
                if account.admin_role().is_some() {
                    return Err(AuthError::NotAllowed("nobody acts as an administrator"));
                }
                if account.record.disabled {
                    return Err(AuthError::AccountDisabled);
                }
                self.audit(batch, Event::new("impersonated", uid, client).by(caller))?;
                self.begin_session(account, &shown, client, batch)
            })
            .await?;
        Ok(SignedIn { account, tokens })
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.detail))
    }
}
