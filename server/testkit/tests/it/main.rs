//! The server as its callers see it: tables of endpoint scenarios, one file a noun.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod access;
mod accounts;
mod documents;
mod matrix;
mod rules;
mod scopes;
