//! Tests of the HTTP interface: real requests to a real listener.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

mod client;
mod identity_provider;
mod scenario;
mod server;
mod smtp;
#[cfg(feature = "foreign-clients")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a module of the kit of the tests above, which has no need of this crate alone"
)]
#[path = "../../../testkit/src/store_gate.rs"]
mod store_gate;
#[cfg(feature = "foreign-clients")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a module of the kit of the tests above, which has no need of this crate alone"
)]
#[path = "../../../testkit/src/store_server.rs"]
mod store_server;

mod admin;
mod auth_admin;
mod auth_client;
mod auth_cookies;
#[cfg(feature = "foreign-clients")]
mod auth_cookies_browser;
mod auth_email_address;
mod auth_email_change;
mod auth_factor;
mod auth_mail;
mod auth_oauth;
#[cfg(feature = "foreign-clients")]
mod auth_oidc_real;
mod auth_passkey_factor;
mod auth_passkeys;
#[cfg(feature = "foreign-clients")]
mod auth_passkeys_browser;
mod auth_password;
mod auth_phone;
mod auth_phone_factor;
mod auth_rules;
mod auth_session;
mod auth_sign_up;
mod auth_token;
mod authentication;
mod authenticator;
mod bad_input;
#[cfg(feature = "foreign-clients")]
mod browser;
mod changes;
mod commit;
mod compression;
mod conditional;
mod connections;
mod cors;
mod denials;
mod documents;
mod failures;
#[cfg(feature = "foreign-clients")]
mod files_browser;
mod files_buckets;
mod files_host;
mod files_links;
mod files_list;
mod files_past;
mod files_place;
mod files_read;
#[cfg(feature = "foreign-clients")]
mod files_remote;
mod files_rules;
mod files_small;
mod files_transfer;
mod files_upload;
mod files_variants;
#[cfg(feature = "foreign-clients")]
mod files_variants_browser;
mod fuzzing;
mod headers;
mod health;
mod live;
#[cfg(feature = "foreign-clients")]
mod live_browser;
mod live_ears;
mod live_keys;
mod live_metrics;
mod live_resume;
mod live_revocation;
mod log;
mod outbound;
mod query;
mod reference;
mod stream;
mod timing;
mod uploads;
mod uploads_room;
