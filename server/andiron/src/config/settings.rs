//! Every setting there is: what it is called, what it means, its default. One table serves reading, showing, the file
//! that `andiron init` writes and the manual.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use andiron_auth::SecretText;
use andiron_files::BucketList;
use andiron_http::{CorsOrigin, TrustedProxy};

use crate::config::files_store::{FilesStore, StoreEndpoint};
use crate::config::value::{
    ByteCount, Count, Domain, PasskeyOrigin, Period, Preset, RedirectUrl, Secret, ServerUrl, SettingValue,
    SmtpServer, WebhookUrl, named_setting,
};

/// The settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described in the table of settings below")]
pub struct Settings {
    pub listen: SocketAddr,
    pub url: ServerUrl,
    pub dev: bool,
    pub data_dir: PathBuf,
    pub durability: Durability,
    pub history_age: Duration,
    pub history_bytes: ByteCount,
    pub query_reads: Count,
    pub query_time: Period,
    pub query_sort_bytes: ByteCount,
    pub query_threads: Count,
    pub query_streams: Count,
    pub live_listens: Count,
    pub live_connection_listens: Count,
    pub live_result_documents: Count,
    pub live_result_bytes: ByteCount,
    pub live_queue_bytes: ByteCount,
    pub live_message_bytes: ByteCount,
    pub live_heartbeat: Period,
    pub live_change_feeds: Count,
    pub commit_queue: Count,
    pub commit_queue_bytes: ByteCount,
    pub indexes_file: PathBuf,
    pub indexes_per_collection: u64,
    pub indexes_unused: Duration,
    pub rules_limits: RulesLimits,
    pub rules_reload: Period,
    pub memory_cache: ByteCount,
    pub memory_mapped: ByteCount,
    pub files_bytes: ByteCount,
    pub files_account_bytes: ByteCount,
    pub files_upload_time: Period,
    pub files_store: FilesStore,
    pub files_store_endpoint: StoreEndpoint,
    pub files_store_region: String,
    pub files_store_key_id: String,
    pub files_store_secret: Secret,
    pub files_url: ServerUrl,
    pub files_variants: Vec<Preset>,
    pub files_variant_memory: ByteCount,
    /// What `[buckets.NAME]` says; the only thing that has a table of its own.
    pub buckets: BucketList,
    pub http_connections: Count,
    pub http_head_time: Period,
    pub http_request_time: Period,
    pub http_idle_time: Period,
    pub http_shutdown_time: Duration,
    pub http_document_bytes: ByteCount,
    pub http_commit_bytes: ByteCount,
    pub http_request_bytes: ByteCount,
    pub http_answer_bytes: ByteCount,
    pub http_compression: bool,
    pub http_cors_origins: Vec<CorsOrigin>,
    pub http_trusted_proxies: Vec<TrustedProxy>,
    pub http_metrics: MetricsAccess,
    pub auth_sign_up: SignUp,
    pub auth_link_url: String,
    pub auth_domains: Vec<Domain>,
    pub auth_providers: PathBuf,
    pub auth_redirects: Vec<RedirectUrl>,
    pub auth_private_providers: bool,
    pub auth_anonymous: bool,
    pub auth_passkey_domain: String,
    pub auth_passkey_origins: Vec<PasskeyOrigin>,
    pub auth_cookies: bool,
    pub auth_app_name: String,
    pub auth_password_chars: Count,
    pub auth_admin_password_chars: Count,
    pub auth_hash_memory: ByteCount,
    pub auth_hash_passes: Count,
    pub auth_hash_threads: Count,
    pub auth_access_time: Period,
    pub auth_admin_access_time: Period,
    pub auth_session_time: Period,
    pub auth_session_idle_time: Period,
    pub auth_signing_key_time: Period,
    pub auth_audit_time: Period,
    pub auth_sign_ins_per_minute: Count,
    pub auth_wrong_passwords: Count,
    pub auth_lock_time: Period,
    pub auth_sign_ups_per_hour: Count,
    pub mail_smtp: SmtpServer,
    pub mail_password: Secret,
    pub mail_from: String,
    pub mail_templates: PathBuf,
    pub mail_per_mailbox: Count,
    pub mail_per_client: Count,
    pub sms_webhook: WebhookUrl,
    pub sms_secret: Secret,
    pub sms_private: bool,
    pub sms_per_number: Count,
    pub sms_per_client: Count,
    pub sms_per_hour: Count,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever has a service key.
    Admin,
    /// Everyone who reaches the server.
    Everyone,
}

/// What rules may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesLimits {
    /// As much as is safe here.
    Andiron,
    /// As much as Firebase's hosted service lets them.
    Firebase,
}

/// Who may make an account by signing up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Everybody.
    Open,
    /// Nobody: administrators make accounts.
    Closed,
    /// Whoever has an invitation.
    Invitation,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it.
    Full,
    /// When the operating system has it.
    Relaxed,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important log lines that are written; the order is from few lines to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the usual levels")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

named_setting!(MetricsAccess, "`admin` or `everyone`", "admin" => Self::Admin, "everyone" => Self::Everyone);
named_setting!(
    RulesLimits, "`andiron` or `firebase`",
    "andiron" => Self::Andiron, "firebase" => Self::Firebase,
);
named_setting!(
    SignUp, "`open`, `closed` or `invitation`",
    "open" => Self::Open, "closed" => Self::Closed, "invitation" => Self::Invitation,
);
named_setting!(Durability, "`full` or `relaxed`", "full" => Self::Full, "relaxed" => Self::Relaxed);
named_setting!(
    LogFormat, "`auto`, `text` or `json`",
    "auto" => Self::Auto, "text" => Self::Text, "json" => Self::Json,
);
named_setting!(
    LogLevel, "`error`, `warn`, `info`, `debug` or `trace`",
    "error" => Self::Error, "warn" => Self::Warn, "info" => Self::Info, "debug" => Self::Debug,
    "trace" => Self::Trace,
);

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8750)),
            url: ServerUrl::default(),
            dev: false,
            data_dir: PathBuf::from("andiron-data"),
            durability: Durability::Full,
            history_age: Duration::from_secs(7 * 24 * 3600),
            history_bytes: ByteCount(2 << 30),
            query_reads: Count(1_000_000),
            query_time: Period(Duration::from_secs(5)),
            query_sort_bytes: ByteCount(64 << 20),
            query_threads: Count(2),
            query_streams: Count(64),
            live_listens: Count(250_000),
            live_connection_listens: Count(1_000),
            live_result_documents: Count(100_000),
            live_result_bytes: ByteCount(64 << 20),
            live_queue_bytes: ByteCount(256 << 10),
            live_message_bytes: ByteCount(256 << 10),
            live_heartbeat: Period(Duration::from_secs(30)),
            live_change_feeds: Count(100),
            commit_queue: Count(4096),
            commit_queue_bytes: ByteCount(256 << 20),
            indexes_file: PathBuf::from("andiron.indexes.json"),
            indexes_per_collection: 12,
            indexes_unused: Duration::from_secs(7 * 24 * 3600),
            rules_limits: RulesLimits::Andiron,
            rules_reload: Period(Duration::from_millis(500)),
            memory_cache: ByteCount(16 << 20),
            memory_mapped: ByteCount(2 << 30),
            files_bytes: ByteCount(5 << 30),
            files_account_bytes: ByteCount(0),
            files_upload_time: Period(Duration::from_secs(24 * 3600)),
            files_store: FilesStore::default(),
            files_store_endpoint: StoreEndpoint::default(),
            files_store_region: "us-east-1".to_owned(),
            files_store_key_id: String::new(),
            files_store_secret: Secret(SecretText::new(String::new())),
            files_url: ServerUrl::default(),
            files_variants: Vec::new(),
            files_variant_memory: ByteCount(512 << 20),
            buckets: BucketList::new(),
            http_connections: Count(10_000),
            http_head_time: Period(Duration::from_secs(10)),
            http_request_time: Period(Duration::from_secs(60)),
            http_idle_time: Period(Duration::from_secs(60)),
            http_shutdown_time: Duration::from_secs(20),
            http_document_bytes: ByteCount(2 << 20),
            http_commit_bytes: ByteCount(10 << 20),
            http_request_bytes: ByteCount(1 << 20),
            http_answer_bytes: ByteCount(32 << 20),
            http_compression: true,
            http_cors_origins: Vec::new(),
            http_trusted_proxies: Vec::new(),
            http_metrics: MetricsAccess::Admin,
            auth_sign_up: SignUp::Open,
            auth_link_url: String::new(),
            auth_domains: Vec::new(),
            auth_providers: PathBuf::from("andiron.providers.json"),
            auth_redirects: Vec::new(),
            auth_private_providers: false,
            auth_anonymous: true,
            auth_passkey_domain: String::new(),
            auth_passkey_origins: Vec::new(),
            auth_cookies: false,
            auth_app_name: "Andiron".to_owned(),
            auth_password_chars: Count(8),
            auth_admin_password_chars: Count(15),
            auth_hash_memory: ByteCount(19 << 20),
            auth_hash_passes: Count(2),
            auth_hash_threads: Count(1),
            auth_access_time: Period(Duration::from_secs(15 * 60)),
            auth_admin_access_time: Period(Duration::from_secs(5 * 60)),
            auth_session_time: Period(Duration::from_secs(90 * 24 * 3600)),
            auth_session_idle_time: Period(Duration::from_secs(30 * 24 * 3600)),
            auth_signing_key_time: Period(Duration::from_secs(90 * 24 * 3600)),
            auth_audit_time: Period(Duration::from_secs(365 * 24 * 3600)),
            auth_sign_ins_per_minute: Count(10),
            auth_wrong_passwords: Count(5),
            auth_lock_time: Period(Duration::from_secs(15 * 60)),
            auth_sign_ups_per_hour: Count(30),
            mail_smtp: SmtpServer::default(),
            mail_password: Secret(SecretText::new(String::new())),
            mail_from: String::new(),
            mail_templates: PathBuf::from("mail"),
            mail_per_mailbox: Count(3),
            mail_per_client: Count(20),
            sms_webhook: WebhookUrl::default(),
            sms_secret: Secret(SecretText::new(String::new())),
            sms_private: false,
            sms_per_number: Count(3),
            sms_per_client: Count(20),
            sms_per_hour: Count(1000),
            log_format: LogFormat::Auto,
            log_level: LogLevel::Info,
        }
    }
}

/// One setting: its name and how it is read and shown.
pub(crate) struct Setting {
    /// Its key in `andiron.toml`, of at most two segments.
    pub(crate) key: &'static str,
    /// What it means, in sentences; lines broken as they are to stand in a file.
    pub(crate) meaning: &'static str,
    /// What its value looks like.
    pub(crate) form: &'static str,
    /// Sets it from text; `false` if the text has not the form.
    pub(crate) set: fn(&mut Settings, &str) -> bool,
    /// The value as it stands in `andiron.toml`.
    pub(crate) show_toml: fn(&Settings) -> String,
}

impl Setting {
    /// Its name in the environment: `history.age` is `ANDIRON_HISTORY_AGE`.
    pub(crate) fn variable(&self) -> String {
        format!("ANDIRON_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

/// The setting of this key.
pub(crate) fn setting(key: &str) -> Option<(usize, &'static Setting)> {
    SETTINGS
        .iter()
        .enumerate()
        .find(|(_, setting)| setting.key == key)
}

macro_rules! settings {
    ($($key:literal $field:ident: $type:ty, $meaning:literal;)+) => {
        /// The table of all settings, in the order in which they are shown.
        pub(crate) const SETTINGS: &[Setting] = &[$(
            Setting {
                key: $key,
                meaning: $meaning,
                form: <$type as SettingValue>::FORM,
                set: |settings, text| match SettingValue::parse(text) {
                    Some(value) => {
                        settings.$field = value;
                        true
                    }
                    None => false,
                },
                show_toml: |settings| settings.$field.show_toml(),
            },
        )+];
    };
}

settings! {
    "listen" listen: SocketAddr,
        "The address and port to listen on. Port 0 takes a free one. Beyond this machine put a proxy that\n\
         speaks HTTPS in front: the server itself speaks plain HTTP.";
    "url" url: ServerUrl,
        "The URL at which clients reach the server, as in `https://api.example.org`: the issuer of tokens, and\n\
         what links in mails begin with. Without it, `http://` and the address of `listen`. A change makes\n\
         access tokens of before worthless; clients refresh them.";
    "dev" dev: bool,
        "Development: mails stay in memory, their links are logged and `/api/v1/admin/mailbox` shows them, unless\n\
         `mail.smtp` is set; everybody is told where and why the rules deny something. Not for servers that\n\
         others reach.";
    "data_dir" data_dir: PathBuf,
        "Where the data lies; a relative path counts from the folder of this file.";
    "durability" durability: Durability,
        "`full`: a write is answered when the disk has it. `relaxed`: when the operating system has it, so a\n\
         power cut may lose the last moments (a crash of the server loses nothing, and the data stays whole).";
    "history.age" history_age: Duration,
        "How long the change log is kept, and with it the past of documents (`?version=`).";
    "history.bytes" history_bytes: ByteCount,
        "The size of earlier states of documents at which the oldest go, whatever their age.";
    "query.reads" query_reads: Count,
        "Documents and index entries that one query may read. Streamed answers are free of it.";
    "query.time" query_time: Period,
        "How long one query may take. Streamed answers are free of it.";
    "query.sort_bytes" query_sort_bytes: ByteCount,
        "Memory that one query may use to sort what no index has in order.";
    "query.threads" query_threads: Count,
        "Threads for queries that read much; short ones need none.";
    "query.streams" query_streams: Count,
        "Results that may be streamed at once, each by a thread of its own.";
    "live.listens" live_listens: Count,
        "Listens at one time, of all connections.";
    "live.connection_listens" live_connection_listens: Count,
        "Listens of one connection.";
    "live.result_documents" live_result_documents: Count,
        "Documents of a result that is listened to.";
    "live.result_bytes" live_result_bytes: ByteCount,
        "Bytes of a result that is listened to.";
    "live.queue_bytes" live_queue_bytes: ByteCount,
        "Bytes of changes that may wait for a client; one that is slower skips states.";
    "live.message_bytes" live_message_bytes: ByteCount,
        "Bytes of one message of a client on a live socket.";
    "live.heartbeat" live_heartbeat: Period,
        "How often live connections are shown to be alive. A socket on which nothing comes back for twice as long is closed.";
    "live.change_feeds" live_change_feeds: Count,
        "Those who follow `/api/v1/changes` at one time.";
    "commit.queue" commit_queue: Count,
        "Commits that may wait for the disk; more are answered 503.";
    "commit.queue_bytes" commit_queue_bytes: ByteCount,
        "Memory of commits that wait for the disk; more are answered 503.";
    "indexes.file" indexes_file: PathBuf,
        "If this file exists, exactly the indexes in it are kept; else the server builds and drops them by\n\
         what queries need. A relative path counts from the folder of this file.";
    "indexes.per_collection" indexes_per_collection: u64,
        "Indexes that the server builds by itself, at most, for collections of one name. 0 builds none.";
    "indexes.unused" indexes_unused: Duration,
        "How long an index that the server built by itself stays without being used.";
    "rules.limits" rules_limits: RulesLimits,
        "What rules may cost. `firebase`: what Firebase's hosted service allows, so that rules which are to\n\
         run there too fail here where they would fail there.";
    "rules.reload" rules_reload: Period,
        "How often the rules' files are looked at for changes.";
    "memory.cache" memory_cache: ByteCount,
        "The cache of documents that are read often. 0 turns it off.";
    "memory.mapped" memory_mapped: ByteCount,
        "How much of the database file is mapped into memory. It belongs to the system's file cache, which\n\
         takes it back when memory is short. 0 turns it off.";
    "files.bytes" files_bytes: ByteCount,
        "The size of one file.";
    "files.account_bytes" files_account_bytes: ByteCount,
        "The size of all files that one account has uploaded. 0 sets no limit. Limits of single buckets stand in\n\
         tables `[buckets.NAME]`: see `docs/files.md`.";
    "files.upload_time" files_upload_time: Period,
        "How long a resumable upload is kept that nobody goes on with.";
    "files.store" files_store: FilesStore,
        "Where the bytes of files are, if not in the data folder: `s3://bucket/prefix`, `gs://bucket/prefix` or\n\
         `azure://account/container/prefix`. Nothing is moved by a change: see `docs/files.md`.";
    "files.store_endpoint" files_store_endpoint: StoreEndpoint,
        "The URL of a service that speaks like the one that the scheme is named for, as in\n\
         `https://minio.example.org`. With `http://` nothing on the way is protected.";
    "files.store_region" files_store_region: String,
        "The region of an S3 bucket.";
    "files.store_key_id" files_store_key_id: String,
        "The id of the access key of S3.";
    "files.store_secret" files_store_secret: Secret,
        "The secret access key of S3, the JSON of Google's service account, or Azure's account key; better in the\n\
         environment, as ANDIRON_FILES_STORE_SECRET. Without it, what the virtual machine is entitled to.";
    "files.url" files_url: ServerUrl,
        "Another host at which files are read, as in `https://files.example.org`, and nothing else: so that\n\
         nothing in a file is part of the app's origin. Without it they are read at the API's.";
    "files.variants" files_variants: Vec<Preset>,
        "Variants of images that everybody who may read an image may ask for, each with a name, as in\n\
         `thumb:width=200&height=200&fit=cover`.";
    "files.variant_memory" files_variant_memory: ByteCount,
        "Memory that making variants of images may take, all that are made at a time together. What would take\n\
         more alone is refused: a photo of 40 megapixels takes 300 MiB, one of 12 takes 90.";
    "http.connections" http_connections: Count,
        "Connections that may be open at once; more wait to be accepted.";
    "http.head_time" http_head_time: Period,
        "How long reading a request's line and headers may take.";
    "http.request_time" http_request_time: Period,
        "How long a request may take until its answer begins.";
    "http.idle_time" http_idle_time: Period,
        "How long a connection may stay open without a request.";
    "http.shutdown_time" http_shutdown_time: Duration,
        "How long requests that were accepted may take to finish when the server is stopped.";
    "http.document_bytes" http_document_bytes: ByteCount,
        "The body of a write to one document. The document itself has at most 1 MiB.";
    "http.commit_bytes" http_commit_bytes: ByteCount,
        "The body of a commit.";
    "http.request_bytes" http_request_bytes: ByteCount,
        "Any other body: queries, batch-get.";
    "http.answer_bytes" http_answer_bytes: ByteCount,
        "Documents in one page of a query or in one batch-get. Streamed answers are free of it.";
    "http.compression" http_compression: bool,
        "Whether answers over 1 KiB are compressed for clients that accept it.";
    "http.cors_origins" http_cors_origins: Vec<CorsOrigin>,
        "The origins whose pages may call the API from a browser, each as in `https://app.example.org`.";
    "http.trusted_proxies" http_trusted_proxies: Vec<TrustedProxy>,
        "Proxies in front of the server, which are believed when `X-Forwarded-For` says for whom they ask.\n\
         Limits of attempts count by that address.";
    "http.metrics" http_metrics: MetricsAccess,
        "Who may read `/metrics`: `admin`, that is service keys, or `everyone` who reaches the server.";
    "auth.sign_up" auth_sign_up: SignUp,
        "Who may make an account: `open`, everybody; `closed`, administrators alone; `invitation`, whoever\n\
         has an invitation.";
    "auth.link_url" auth_link_url: String,
        "The page of the app that links in mails lead to; `#mode=…&code=…` is added. Without it, a page of the\n\
         server's own.";
    "auth.domains" auth_domains: Vec<Domain>,
        "If there are any, only addresses of these domains can sign up.";
    "auth.providers" auth_providers: PathBuf,
        "A file with identity providers, if it exists: `{\"google\": {\"clientId\": …, \"clientSecret\": …}}`. A relative\n\
         path counts from the folder of this file.";
    "auth.redirects" auth_redirects: Vec<RedirectUrl>,
        "The URLs of the app that sign-ins by providers may lead back to, each compared whole.";
    "auth.private_providers" auth_private_providers: bool,
        "Whether identity providers may be in private networks and speak plain HTTP.";
    "auth.anonymous" auth_anonymous: bool,
        "Whether accounts can be made without credentials, to be completed later.";
    "auth.passkey_domain" auth_passkey_domain: String,
        "The domain that passkeys belong to, as in `example.org`; a change makes those of before worthless. Without\n\
         it the host of `url`, if that is a name: browsers take no IP address.";
    "auth.passkey_origins" auth_passkey_origins: Vec<PasskeyOrigin>,
        "The origins of pages that may use passkeys, on that domain or under it, each compared whole, and\n\
         `android:apk-key-hash:…` for apps. Without them, `url`.";
    "auth.cookies" auth_cookies: bool,
        "Whether browsers may have their sessions in cookies that no script reads, for pages of this server and of\n\
         `http.cors_origins` on the same site. Takes HTTPS, or `localhost` in browsers that trust it.";
    "auth.app_name" auth_app_name: String,
        "The name of the app, for mails and authenticators.";
    "auth.password_chars" auth_password_chars: Count,
        "Characters of a password, at least.";
    "auth.admin_password_chars" auth_admin_password_chars: Count,
        "The same for accounts that administer the server.";
    "auth.hash_memory" auth_hash_memory: ByteCount,
        "Memory of one Argon2id hash of a password. Hashes made with less are replaced at the next sign-in.";
    "auth.hash_passes" auth_hash_passes: Count,
        "Passes of one Argon2id hash.";
    "auth.hash_threads" auth_hash_threads: Count,
        "Threads that hash passwords, each with the memory of one hash.";
    "auth.access_time" auth_access_time: Period,
        "How long an access token holds.";
    "auth.admin_access_time" auth_admin_access_time: Period,
        "The same for accounts that administer the server.";
    "auth.session_time" auth_session_time: Period,
        "How long a session lasts at most.";
    "auth.session_idle_time" auth_session_idle_time: Period,
        "How long a session lasts that is not refreshed.";
    "auth.signing_key_time" auth_signing_key_time: Period,
        "How old the key that signs access tokens becomes before another takes over.";
    "auth.audit_time" auth_audit_time: Period,
        "How long security events are kept.";
    "auth.sign_ins_per_minute" auth_sign_ins_per_minute: Count,
        "Sign-ins from one address (one /64 for IPv6) in a minute.";
    "auth.wrong_passwords" auth_wrong_passwords: Count,
        "Wrong passwords for one account until it is locked to passwords.";
    "auth.lock_time" auth_lock_time: Period,
        "How long that lock lasts, from the first wrong password on.";
    "auth.sign_ups_per_hour" auth_sign_ups_per_hour: Count,
        "New accounts from one address in an hour.";
    "mail.smtp" mail_smtp: SmtpServer,
        "The server that sends mails: `smtp://user@host:587` with STARTTLS, `smtps://user@host:465` with TLS. Without\n\
         it nothing goes by mail.";
    "mail.password" mail_password: Secret,
        "The password there; better in the environment, as ANDIRON_MAIL_PASSWORD.";
    "mail.from" mail_from: String,
        "The sender of mails, as in `Example <no-reply@example.org>`.";
    "mail.templates" mail_templates: PathBuf,
        "A folder with templates of mails, each before the server's own; a relative path counts from the folder\n\
         of this file.";
    "mail.per_mailbox" mail_per_mailbox: Count,
        "Mails to one mailbox in an hour.";
    "mail.per_client" mail_per_client: Count,
        "Mails that one address may ask for in an hour.";
    "sms.webhook" sms_webhook: WebhookUrl,
        "Where text messages are posted to, for somebody to send them; as JSON, signed with `sms.secret`. Without\n\
         it nothing goes to phones, but in development to the mailbox.";
    "sms.secret" sms_secret: Secret,
        "The secret of these signatures, of at least 16 characters; better in the environment, as ANDIRON_SMS_SECRET.";
    "sms.private" sms_private: bool,
        "Whether `sms.webhook` may be in a private network and speak plain HTTP.";
    "sms.per_number" sms_per_number: Count,
        "Text messages to one number in an hour.";
    "sms.per_client" sms_per_client: Count,
        "Text messages that one address may ask for in an hour.";
    "sms.per_hour" sms_per_hour: Count,
        "Text messages altogether in an hour; they cost money.";
    "log.format" log_format: LogFormat,
        "`text` for people, `json` for programs, `auto` for text on a terminal and JSON elsewhere.";
    "log.level" log_level: LogLevel,
        "The least important lines that are written: `error`, `warn`, `info`, `debug` or `trace`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    const BEGIN: &str = "<!-- settings -->\n";
    const END: &str = "<!-- end of settings -->\n";

    fn table() -> String {
        let defaults = Settings::default();
        let mut table = String::from("| setting | default | meaning |\n| --- | --- | --- |\n");
        for setting in SETTINGS {
            let meaning: Vec<_> = setting.meaning.lines().map(str::trim).collect();
            let default = (setting.show_toml)(&defaults);
            table.push_str(&format!(
                "| `{}` | `{default}` | {} |\n",
                setting.key,
                meaning.join(" ")
            ));
        }
        table
    }

    #[test]
    fn the_manual_has_every_setting_as_it_is() {
        let manual = std::fs::read_to_string(MANUAL).unwrap();
        let begin = manual.find(BEGIN).unwrap() + BEGIN.len();
        let end = manual.find(END).unwrap();
        if std::env::var("ANDIRON_DOCS").is_ok_and(|mode| mode == "write") {
            let written = format!("{}{}{}", &manual[..begin], table(), &manual[end..]);
            std::fs::write(MANUAL, written).unwrap();
            return;
        }
        assert_eq!(
            &manual[begin..end],
            table(),
            "ANDIRON_DOCS=write cargo test -p andiron --lib manual writes the table anew"
        );
    }

    #[test]
    fn the_defaults_are_those_of_the_crates_below() {
        let (engine, http) = (
            andiron_engine::EngineOptions::default(),
            andiron_http::HttpOptions::default(),
        );
        let settings = Settings::default();
        assert_eq!(settings.history_age, engine.history_age_max);
        assert_eq!(settings.history_bytes.0, engine.history_bytes_max);
        assert_eq!(settings.query_reads.0, engine.query.reads_max);
        assert_eq!(settings.query_time.0, engine.query.time_max);
        assert_eq!(settings.query_sort_bytes.as_usize(), engine.query.sort_bytes_max);
        assert_eq!(settings.query_threads.0, engine.scan_threads as u64);
        assert_eq!(settings.query_streams.0, engine.streams_max as u64);
        assert_eq!(settings.live_listens.0, engine.live.listens_max as u64);
        assert_eq!(
            settings.live_connection_listens.0,
            engine.live.connection_listens_max as u64
        );
        assert_eq!(
            settings.live_result_documents.0,
            engine.live.result_documents_max as u64
        );
        assert_eq!(
            settings.live_result_bytes.as_usize(),
            engine.live.result_bytes_max
        );
        assert_eq!(settings.live_queue_bytes.as_usize(), engine.live.queue_bytes_max);
        assert_eq!(
            settings.live_message_bytes.as_usize(),
            http.live_message_bytes_max
        );
        assert_eq!(settings.live_heartbeat.0, http.live_heartbeat);
        assert_eq!(settings.live_change_feeds.0, engine.live.change_feeds_max as u64);
        assert_eq!(settings.commit_queue.0, engine.commit_queue_max as u64);
        assert_eq!(
            settings.commit_queue_bytes.as_usize(),
            engine.commit_queue_bytes_max
        );
        assert_eq!(settings.memory_cache.as_usize(), engine.cache_bytes_max);
        assert_eq!(
            engine.indexes,
            andiron_engine::IndexPolicy::Adaptive {
                per_collection_max: usize::try_from(settings.indexes_per_collection).unwrap(),
                unused_max: settings.indexes_unused,
            }
        );
        let sqlite = andiron_store_sqlite::SqliteOptions::default();
        assert_eq!(settings.memory_mapped.0, sqlite.mapped_bytes_max);
        assert_eq!(settings.http_connections.0, http.connections_max as u64);
        assert_eq!(settings.http_head_time.0, http.head_read_timeout);
        assert_eq!(settings.http_request_time.0, http.request_timeout);
        assert_eq!(settings.http_idle_time.0, http.idle_timeout);
        assert_eq!(settings.http_shutdown_time, http.shutdown_timeout);
        assert_eq!(
            settings.http_document_bytes.as_usize(),
            http.document_body_bytes_max
        );
        assert_eq!(settings.http_commit_bytes.as_usize(), http.commit_body_bytes_max);
        assert_eq!(
            settings.http_request_bytes.as_usize(),
            http.request_body_bytes_max
        );
        assert_eq!(settings.http_answer_bytes.as_usize(), http.answer_bytes_max);
        assert_eq!(settings.http_compression, http.compression);
        let files = andiron_files::FilesOptions::default();
        assert_eq!(settings.files_bytes.0, files.file_bytes_max);
        assert_eq!(settings.files_upload_time.0, files.upload_idle_max);
        assert_eq!(settings.files_variant_memory.0, files.variant_memory_bytes);
        let auth = andiron_auth::AuthOptions::default();
        let ours = crate::accounts::plain_options(&settings, settings.listen);
        assert_eq!(format!("{ours:?}"), format!("{auth:?}"));
    }
}
