//! Judging who may make an account, by the rules of `service andiron.auth`.
//!
//! Without that service it is for settings alone to say. With it, it takes an `allow create` on `/accounts/{account}` besides.

use andiron_protocol::{DocumentPath, Map};
use andiron_rules::evaluate::{Method, Request, Target};
use andiron_rules::syntax::ServiceKind;

use super::{Judge, JudgedPermit};
use crate::{Caller, Engine, EngineError};

impl Engine {
    /// Says whether an account may be made, for somebody who signs up by himself. `account` is what rules see of it as
    /// `request.resource.data`.
    ///
    /// # Errors
    /// [`EngineError::PermissionDenied`] if there are rules of accounts and none of them allows it, be it because it fails;
    /// or the store cannot read.
    pub fn judge_sign_up(
        &self,
        caller: &Caller,
        uid: &str,
        account: &Map,
    ) -> Result<JudgedPermit, EngineError> {
        let rules = self.shared.rules.load_full();
        let has_rules = |rules: &super::RulesInForce| rules.ruleset().has_service(ServiceKind::Accounts);
        if !rules.as_deref().is_some_and(has_rules) {
            return Ok(JudgedPermit::default());
        }
        let judge = Judge::new(rules.as_ref(), caller, self.now())?;
        let path: DocumentPath = format!("accounts/{uid}").parse()?;
        let request = Request {
            target: Target::Account { path: &path },
            method: Method::Create,
            auth: judge.auth(),
            time: judge.time(),
            before: None,
            after: Some(account),
            query: None,
        };
        judge.permit(&self.shared, &request, || path.to_string(), |_| false)
    }
}
