//! Accounts: the one that is to be made, with every field that rules see.

use std::sync::Arc;

use super::{Compiled, Compiler, Operation, Setting, input, only_made};
use crate::evaluate::Method;
use crate::explain::complete_account;
use crate::testing::constant::Unclear;
use crate::testing::syntax::{self, Verb};

impl<'a> Compiler<'a> {
    pub(super) fn account_write(
        &mut self,
        write: &'a syntax::Write,
        setting: &Setting<'a>,
    ) -> Compiled<Operation> {
        let place = self.place(&write.subject, setting)?;
        let data = match (&write.data, write.verb) {
            (Some(data), Verb::Create) => data,
            _ => return Err(only_made(write.span)),
        };
        let mut account = self.constants(setting).data(data)?;
        complete_account(&mut account).map_err(|error| Unclear::new(data.span, input(error)))?;
        Ok(Operation {
            place,
            method: Method::Create,
            before: None,
            after: Some(Arc::new(account)),
            left: None,
        })
    }
}
