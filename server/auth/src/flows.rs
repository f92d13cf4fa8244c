//! What people and administrators do with accounts, one module for each flow.

mod admin;
mod custom_token;
mod me;
mod password_change;
mod setup;
mod sign_in;
mod sign_up;

pub use admin::{AccountChange, AccountList, NewAccount};
pub use sign_up::NewSignUp;
