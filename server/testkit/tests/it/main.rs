//! The server as its callers see it: tables of endpoint scenarios, one file a noun.

mod access;
mod documents;
mod matrix;
mod rules;
