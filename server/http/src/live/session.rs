//! Who listens, for as long as that is so.
//!
//! Invariant: nothing is sent after a token has expired or was revoked. The documents that credentials rest on are watched,
//! and the engine tells of their change before it tells of anything that came with or after it; so who has been told
//! something asks [`Session::is_disturbed`] before it is sent.

use std::time::Duration;

use andiron_auth::AuthError;
use andiron_engine::{Caller, DocumentWatch, LiveConnection, LiveMessage};
use andiron_protocol::Timestamp;
use futures_util::FutureExt as _;

use crate::app::AppRef;
use crate::caller::{as_reader, is_service_key};

/// What a caller has shown.
#[derive(Clone)]
pub(crate) enum Credential {
    /// Nothing, or that it reached the local socket.
    None(Caller),
    /// An access token or a service key.
    Token(String),
}

/// A caller who stays.
pub(crate) struct Session {
    app: AppRef,
    credential: Credential,
    caller: Caller,
    expires: Option<Timestamp>,
    watch: Option<DocumentWatch>,
}

impl Session {
    /// Lets somebody stay.
    ///
    /// # Errors
    /// If the token does not verify.
    pub(crate) fn begin(app: &AppRef, credential: Credential) -> Result<Self, AuthError> {
        let mut session = Self {
            app: AppRef::clone(app),
            credential,
            caller: Caller::Anonymous,
            expires: None,
            watch: None,
        };
        let rests_on = session.look()?;
        // It tells of its own beginning, so what changed between the look and the watch is seen.
        session.watch = (!rests_on.is_empty()).then(|| app.engine.watch(rests_on));
        Ok(session)
    }

    /// Looks at the credentials again, and says who calls if that has changed.
    ///
    /// # Errors
    /// If they are not in force any more.
    pub(crate) fn check(&mut self) -> Result<Option<&Caller>, AuthError> {
        let before = self.caller.clone();
        self.look()?;
        Ok((self.caller != before).then_some(&self.caller))
    }

    /// Looks at the credentials of whoever listens on a connection again. What was taken from it and is not sent yet is taken
    /// back if it was found by rights that have changed.
    ///
    /// # Errors
    /// If they are not in force any more.
    pub(crate) fn revise(
        &mut self,
        connection: &LiveConnection,
        unsent: &mut Vec<LiveMessage>,
    ) -> Result<(), AuthError> {
        let checked = self.check();
        if !matches!(checked, Ok(None)) {
            connection.retract(unsent);
        }
        if let Some(caller) = checked? {
            connection.set_caller(caller);
        }
        Ok(())
    }

    fn look(&mut self) -> Result<Vec<andiron_protocol::DocumentPath>, AuthError> {
        match &self.credential {
            Credential::None(caller) => {
                self.caller = caller.clone();
                Ok(Vec::new())
            }
            Credential::Token(key) if is_service_key(key) => {
                let lasting = self.app.keys.verify_lasting(key)?;
                self.caller = lasting.caller;
                self.expires = lasting.expires;
                Ok(vec![lasting.rests_on])
            }
            Credential::Token(token) => {
                let lasting = self.app.accounts.verify_lasting(token)?;
                self.caller = Caller::User(as_reader(lasting.user));
                self.expires = Some(lasting.expires);
                Ok(lasting.rests_on)
            }
        }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether the credentials have to be looked at again, now.
    pub(crate) fn is_disturbed(&self) -> bool {
        let has_expired = self
            .expires
            .is_some_and(|expires| expires <= self.app.engine.now());
        let has_changed = self.watch.as_ref().map(|watch| watch.changed().now_or_never());
        has_expired || has_changed.flatten().is_some()
    }

    /// Waits until the credentials have to be looked at again: they expire, or something that they rest on has changed.
    pub(crate) async fn disturbed(&self) {
        let expired = async {
            match self.expires {
                Some(expires) => {
                    let left = expires
                        .as_micros()
                        .saturating_sub(self.app.engine.now().as_micros());
                    tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or(0))).await;
                }
                None => std::future::pending().await,
            }
        };
        let changed = async {
            match &self.watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expired => {}
            () = changed => {}
        }
    }
}
