//! The question to the rules on accounts: may somebody sign up, or an anonymous account become somebody's?
//!
//! A flow puts it into the batch that makes the account or upgrades it. The batch asks when it is committed, so no way to sign up
//! can leave out either the rules or, where they refuse, the event that says so.

use andiron_engine::{Caller, Engine, EngineError, JudgedPermit};
use andiron_protocol::Map;

use crate::ClientInfo;
use crate::account::Account;
use crate::audit::Event;
use crate::session::Shown;

/// What the rules are asked.
#[derive(Clone, Debug)]
pub(crate) struct SignUpQuestion {
    caller: Caller,
    uid: String,
    /// The account as rules see it.
    seen: Map,
    /// By what somebody signs up.
    provider: String,
    /// Whether the account stands already, anonymous.
    is_upgrade: bool,
    client: ClientInfo,
}

impl SignUpQuestion {
    /// May this account be made?
    pub(crate) fn new_account(account: &Account, shown: &Shown, client: &ClientInfo) -> Self {
        Self {
            caller: Caller::Anonymous,
            uid: account.uid.clone(),
            seen: account.seen_by_rules(&shown.provider, &shown.claims),
            provider: shown.provider.clone(),
            is_upgrade: false,
            client: client.clone(),
        }
    }

    /// May this account, which was anonymous, be made what it is to be? `caller` is who asks for it.
    pub(crate) fn upgrade(caller: Caller, account: &Account, shown: &Shown, client: &ClientInfo) -> Self {
        Self {
            caller,
            is_upgrade: true,
            ..Self::new_account(account, shown, client)
        }
    }

    /// Asks. What the rules said holds when the permit is used, or the permit does not.
    pub(crate) fn ask(&self, engine: &Engine) -> Result<JudgedPermit, EngineError> {
        engine.judge_sign_up(&self.caller, &self.uid, &self.seen)
    }

    /// That the rules refused. An account that was not made is nobody's.
    pub(crate) fn refused(&self) -> Event<'_> {
        let event = Event::new("sign-up-refused", &self.uid, &self.client).detail(self.provider.as_str());
        Event {
            uid: event.uid.filter(|_| self.is_upgrade),
            ..event
        }
    }
}
