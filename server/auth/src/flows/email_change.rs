//! Another address for an account, and the way back.
//!
//! An address is what somebody signs in with, and whoever reads its mailbox gets in: so a change of it ends all sessions
//! but the one that asked for it, and is confirmed only while that one is in force. The address of before gets a mail that
//! takes the change back for a week, whatever happened since: later changes, sessions, and credentials that were set
//! after the change go. Which changes can be taken back is kept in the account.

use andiron_engine::User;
use andiron_protocol::{Map, Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountRecord, EmailRecord, email_path, stored_email_path};
use crate::audit::Event;
use crate::codes::{CodeKind, CodeRecord, NewCode};
use crate::mail::MailKind;
use crate::records::{Batch, Record, read};
use crate::secret::hash;
use crate::session::{Shown, session_id, session_path};
use crate::token::after;
use crate::{Accounts, AuthError, ClientInfo, EmailAddress};

/// Changes of one account that can be taken back at a time.
const CHANGES_MAX: usize = 10;
/// Hexadecimal digits by which a credential is known again.
const CREDENTIAL_CHARS: usize = 32;

/// A change of an address that can be taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EmailChange {
    /// The address of before.
    from: String,
    time: Timestamp,
    /// Hashes of what signed the account in then: what is not among them was set by who changed the address.
    credentials: Vec<String>,
}

impl Accounts {
    /// Sends a mail to a new address of the account, with a link that makes it its address as long as the caller's session
    /// is in force. Nobody hears whether another account has it.
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
        let (uid, session, client) = (user.uid.clone(), session_id(user).to_owned(), client.clone());
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
                data: Map::from([("session".to_owned(), Value::from(session.as_str()))]),
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

    /// Makes the address that a code was sent to the account's.
    pub(super) async fn change_email(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let new = EmailAddress::of_record(code.data.email.as_deref().unwrap_or_default());
        let asked_by = code.data.data.get("session").and_then(Value::as_str);
        let asked_by = asked_by.unwrap_or_default();
        let sessions = self.session_records(uid).await?;
        let (_, undo) = self
            .change(uid, |account, batch| {
                self.check_unused(code)?;
                // Whoever ends a session has taken back what it asked for.
                let path = session_path(uid, asked_by).map_err(|_| AuthError::CodeInvalid)?;
                let session: Option<Record<serde_json::Value>> = read(self.engine(), &path)?;
                batch.verify(&session.ok_or(AuthError::CodeInvalid)?);
                batch.consume(code);
                let old = account
                    .record
                    .email
                    .clone()
                    .filter(|_| account.record.email_verified);
                let credentials = credentials(&account.record);
                self.move_email(account, &new, client, batch)?;
                // What was sent to the address of before is worth nothing.
                self.drop_code(CodeKind::ResetPassword, uid, batch)?;
                self.drop_code(CodeKind::VerifyEmail, uid, batch)?;
                self.end_sessions(&sessions, Some(asked_by), batch);
                self.audit(batch, Event::new("email-changed", uid, client))?;
                let Some(old) = old else { return Ok(None) };
                self.note_email_change(account, &old, credentials)?;
                let undo = NewCode {
                    kind: CodeKind::UndoEmailChange,
                    subject: &undo_subject(uid, &old),
                    uid: Some(uid),
                    email: Some(&old),
                    data: Map::new(),
                };
                Ok(Some((self.add_code(undo, batch)?, EmailAddress::of_record(&old))))
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

    fn note_email_change(
        &self,
        account: &mut Account,
        old: &str,
        credentials: Vec<String>,
    ) -> Result<(), AuthError> {
        let now = self.now();
        let changes = &mut account.record.email_changes;
        changes.retain(|change| after(change.time, CodeKind::UndoEmailChange.time()) > now);
        // None is forgotten for a newer one: it may be the owner's only way back.
        if changes.len() >= CHANGES_MAX {
            return Err(AuthError::NotPossible(
                "the address was changed too often lately".to_owned(),
            ));
        }
        changes.push(EmailChange {
            from: old.to_owned(),
            time: now,
            credentials,
        });
        Ok(())
    }

    /// Takes a change back, and all after it. Whoever made it had a session and may know the password; whatever was set
    /// since is theirs. So all of that goes, and a mail lets the owner choose a new password.
    pub(super) async fn undo_email_change(
        &self,
        uid: &str,
        code: &Record<CodeRecord>,
        client: &ClientInfo,
    ) -> Result<(), AuthError> {
        let old = EmailAddress::of_record(code.data.email.as_deref().unwrap_or_default());
        let sessions = self.session_records(uid).await?;
        self.change(uid, |account, batch| {
            self.check_unused(code)?;
            batch.consume(code);
            let changes = &mut account.record.email_changes;
            let first = changes.iter().rposition(|change| change.from == old.as_str());
            let undone = changes.split_off(first.ok_or(AuthError::CodeInvalid)?);
            for change in undone.iter().skip(1) {
                self.drop_code(CodeKind::UndoEmailChange, &undo_subject(uid, &change.from), batch)?;
            }
            self.move_email(account, &old, client, batch)?;
            if let Some(change) = undone.first() {
                Self::keep_credentials(account, &change.credentials, batch)?;
            }
            account.record.password = None;
            self.drop_code(CodeKind::ResetPassword, uid, batch)?;
            self.drop_code(CodeKind::ChangeEmail, uid, batch)?;
            self.end_sessions(&sessions, None, batch);
            self.audit(batch, Event::new("email-change-undone", uid, client))
        })
        .await?;
        let (uid, client) = (uid.to_owned(), client.clone());
        self.after_answer(move |accounts| async move { accounts.send_reset_code(&uid, &old, &client).await });
        Ok(())
    }

    /// Forgets, within a change by an administrator, all that could change an address back.
    pub(crate) fn forget_email_changes(
        &self,
        account: &mut Account,
        batch: &mut Batch,
    ) -> Result<(), AuthError> {
        for change in std::mem::take(&mut account.record.email_changes) {
            let subject = undo_subject(&account.uid, &change.from);
            self.drop_code(CodeKind::UndoEmailChange, &subject, batch)?;
        }
        self.drop_code(CodeKind::ChangeEmail, &account.uid, batch)
    }

    /// Takes everything from an account that signs in and is not among `kept`, but the password.
    fn keep_credentials(account: &mut Account, kept: &[String], batch: &mut Batch) -> Result<(), AuthError> {
        let is_new = |credential: String| !kept.contains(&credential);
        let record = &mut account.record;
        Self::drop_passkeys(record, batch, |passkey| {
            is_new(credential("passkey", &passkey.credential))
        })?;
        let mut lost = record.clone();
        lost.identities.retain(|identity| {
            is_new(credential(
                "identity",
                &format!("{} {}", identity.provider, identity.subject),
            ))
        });
        Self::drop_identities(&lost, batch)?;
        record
            .identities
            .retain(|identity| !lost.identities.contains(identity));
        if record
            .phone
            .as_ref()
            .is_some_and(|phone| is_new(credential("phone", phone)))
        {
            Self::drop_phone(record, batch)?;
            record.phone = None;
            record.phone_factor = false;
        }
        if record
            .totp
            .as_ref()
            .is_some_and(|totp| is_new(credential("totp", &totp.secret)))
        {
            record.totp = None;
        }
        record
            .recovery_codes
            .retain(|code| !is_new(credential("recovery", code)));
        Ok(())
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

impl AccountRecord {
    /// The addresses of before whose owners can take a change back.
    pub(crate) fn undoable_addresses(&self) -> impl Iterator<Item = &str> {
        self.email_changes.iter().map(|change| change.from.as_str())
    }
}

/// Whose code takes a change back: each address of before has its own, so that a later change replaces none.
pub(crate) fn undo_subject(uid: &str, old: &str) -> String {
    format!("{uid} {old}")
}

/// What signs an account in, by hashes; but the password, which does not survive an undo.
fn credentials(record: &AccountRecord) -> Vec<String> {
    let passkeys = record
        .passkeys
        .iter()
        .map(|passkey| credential("passkey", &passkey.credential));
    let identities = record
        .identities
        .iter()
        .map(|identity| credential("identity", &format!("{} {}", identity.provider, identity.subject)));
    let phone = record.phone.iter().map(|phone| credential("phone", phone));
    let totp = record.totp.iter().map(|totp| credential("totp", &totp.secret));
    let recovery = record
        .recovery_codes
        .iter()
        .map(|code| credential("recovery", code));
    passkeys
        .chain(identities)
        .chain(phone)
        .chain(totp)
        .chain(recovery)
        .collect()
}

fn credential(kind: &str, what: &str) -> String {
    let mut hash = hash(&format!("{kind} {what}"));
    hash.truncate(CREDENTIAL_CHARS);
    hash
}
