//! What the settings, and the files beside them, say of accounts: options, and the ways out for mails and text messages.

use std::net::SocketAddr;
use std::sync::Arc;

use andiron_auth::{
    AttemptLimits, AuthOptions, Deliver, DeliverText, HashCost, MailTemplates, Mailbox, Post, ProviderList,
    Rate, RelyingParty, SignUpPolicy, SmtpOptions, SmtpTransport, TextWebhook, parse_providers,
};
use andiron_engine::Engine;

use crate::config::{ConfigError, Count, Settings, SignUp};
use crate::{AndironError, Project};

/// Characters of the secret that text messages are signed with.
const SMS_SECRET_CHARS_MIN: usize = 16;

/// The options of accounts, for a server that listens at this address.
pub(crate) fn options(project: &Project, address: SocketAddr) -> Result<AuthOptions, AndironError> {
    let settings = project.settings();
    let plain = plain_options(settings, address);
    Ok(AuthOptions {
        providers: providers(project)?,
        passkeys: passkeys(settings, &plain.url)?,
        ..plain
    })
}

/// The identity providers of a project's file; none without it.
fn providers(project: &Project) -> Result<ProviderList, AndironError> {
    let path = project.folder().join(&project.settings().auth_providers);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse_providers(&text).map_err(|error| ConfigError::in_file(&path, &error).into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ProviderList::new()),
        Err(error) => Err(AndironError::file("reading", path)(error)),
    }
}

/// Whose passkeys are taken; nobody's where the server's URL is an address and no setting names a domain.
fn passkeys(settings: &Settings, url: &str) -> Result<Option<RelyingParty>, ConfigError> {
    let (domain, origins) = (&settings.auth_passkey_domain, &settings.auth_passkey_origins);
    if domain.is_empty() && origins.is_empty() {
        return Ok(RelyingParty::of_url(url));
    }
    let named = RelyingParty::of_url(url);
    let domain = match (domain.as_str(), &named) {
        ("", Some(named)) => named.id(),
        (domain, _) => domain,
    };
    let origins = match origins.as_slice() {
        [] => vec![url.to_owned()],
        origins => origins.iter().map(|origin| origin.0.clone()).collect(),
    };
    let passkeys = RelyingParty::new(domain, origins);
    passkeys
        .map(Some)
        .map_err(|detail| ConfigError::of_setting("auth.passkey_domain", detail))
}

/// The way out for text messages, if the settings name one.
fn texts(settings: &Settings, engine: &Engine) -> Result<Option<Arc<dyn DeliverText>>, ConfigError> {
    let (url, secret) = (settings.sms_webhook.0.as_str(), &settings.sms_secret.0);
    if url.is_empty() {
        return Ok(None);
    }
    if secret.expose().len() < SMS_SECRET_CHARS_MIN {
        return Err(ConfigError::of_setting(
            "sms.secret",
            format!(
                "what goes to `sms.webhook` is signed: give a secret of at least {SMS_SECRET_CHARS_MIN} characters"
            ),
        ));
    }
    if !url.starts_with("https://") && !settings.sms_private {
        return Err(ConfigError::of_setting(
            "sms.webhook",
            "codes go over HTTPS, unless `sms.private` says otherwise",
        ));
    }
    let webhook = TextWebhook::new(url, secret, settings.sms_private, engine.clone());
    Ok(Some(Arc::new(webhook)))
}

/// How mails and text messages are written and sent.
pub(crate) fn post(project: &Project, engine: &Engine) -> Result<Post, AndironError> {
    let settings = project.settings();
    let texts = texts(settings, engine)?;
    let templates = MailTemplates::load(&project.folder().join(&settings.mail_templates))?;
    if let Some((security, host, port)) = settings.mail_smtp.place.clone() {
        let user = settings.mail_smtp.user.clone();
        let smtp = SmtpTransport::new(SmtpOptions {
            host,
            port,
            security,
            credentials: (!user.is_empty()).then(|| (user, settings.mail_password.0.clone())),
            from: settings.mail_from.clone(),
        })?;
        return Ok(Post {
            deliver: Some(Arc::new(smtp)),
            templates,
            mailbox: None,
            texts,
        });
    }
    let mailbox = settings.dev.then(|| Mailbox::new(engine.clone()));
    let texts = texts.or_else(|| {
        let mailbox = mailbox.clone();
        mailbox.map(|mailbox| Arc::new(mailbox) as Arc<dyn DeliverText>)
    });
    Ok(Post {
        deliver: mailbox
            .clone()
            .map(|mailbox| Arc::new(mailbox) as Arc<dyn Deliver>),
        templates,
        mailbox,
        texts,
    })
}

/// Those options that are settings one by one.
pub(crate) fn plain_options(settings: &Settings, address: SocketAddr) -> AuthOptions {
    let defaults = AuthOptions::default();
    AuthOptions {
        url: match settings.url.0.as_str() {
            "" => format!("http://{address}"),
            url => url.to_owned(),
        },
        app_name: settings.auth_app_name.clone(),
        link_url: settings.auth_link_url.clone(),
        sign_up: match settings.auth_sign_up {
            SignUp::Open => SignUpPolicy::Open,
            SignUp::Closed => SignUpPolicy::Closed,
            SignUp::Invitation => SignUpPolicy::Invitation,
        },
        sign_up_domains: settings
            .auth_domains
            .iter()
            .map(|domain| domain.0.clone())
            .collect(),
        redirect_urls: settings.auth_redirects.iter().map(|url| url.0.clone()).collect(),
        private_providers: settings.auth_private_providers,
        anonymous: settings.auth_anonymous,
        hash_cost: HashCost {
            memory_kib: u32::try_from(settings.auth_hash_memory.0 / 1024).unwrap_or(u32::MAX),
            passes: u32::try_from(settings.auth_hash_passes.0).unwrap_or(u32::MAX),
        },
        hash_threads: settings.auth_hash_threads.as_usize(),
        password_chars_min: settings.auth_password_chars.as_usize(),
        admin_password_chars_min: settings.auth_admin_password_chars.as_usize(),
        access_time: settings.auth_access_time.0,
        admin_access_time: settings.auth_admin_access_time.0,
        session_time: settings.auth_session_time.0,
        session_idle_time: settings.auth_session_idle_time.0,
        signing_key_time: settings.auth_signing_key_time.0,
        audit_time: settings.auth_audit_time.0,
        limits: AttemptLimits {
            sign_in_by_address: Rate {
                attempts: attempts(settings.auth_sign_ins_per_minute),
                ..defaults.limits.sign_in_by_address
            },
            sign_in_by_account: Rate {
                attempts: attempts(settings.auth_wrong_passwords),
                period: settings.auth_lock_time.0,
            },
            sign_up_by_address: Rate {
                attempts: attempts(settings.auth_sign_ups_per_hour),
                ..defaults.limits.sign_up_by_address
            },
            mail_by_account: Rate {
                attempts: attempts(settings.mail_per_mailbox),
                ..defaults.limits.mail_by_account
            },
            mail_by_address: Rate {
                attempts: attempts(settings.mail_per_client),
                ..defaults.limits.mail_by_address
            },
            text_by_number: Rate {
                attempts: attempts(settings.sms_per_number),
                ..defaults.limits.text_by_number
            },
            text_by_address: Rate {
                attempts: attempts(settings.sms_per_client),
                ..defaults.limits.text_by_address
            },
            text_by_all: Rate {
                attempts: attempts(settings.sms_per_hour),
                ..defaults.limits.text_by_all
            },
            ..defaults.limits
        },
        ..defaults
    }
}

fn attempts(count: Count) -> u32 {
    u32::try_from(count.0).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingValue as _;

    fn settings(domain: &str, origins: &str) -> Settings {
        Settings {
            auth_passkey_domain: domain.to_owned(),
            auth_passkey_origins: Vec::parse(origins).unwrap(),
            ..Settings::default()
        }
    }

    #[test]
    fn passkeys_belong_to_the_host_of_the_url_unless_a_setting_says_otherwise() {
        let of = |domain, origins, url| {
            let passkeys = passkeys(&settings(domain, origins), url).unwrap();
            passkeys.map(|passkeys| passkeys.id().to_owned())
        };
        let url = "https://api.example.org";
        assert_eq!(of("", "", url).as_deref(), Some("api.example.org"));
        assert_eq!(of("example.org", "", url).as_deref(), Some("example.org"));
        assert_eq!(
            of("", "https://api.example.org:8443", url).as_deref(),
            Some("api.example.org")
        );
        assert_eq!(of("", "", "http://localhost:8750").as_deref(), Some("localhost"));
        assert_eq!(of("", "", "http://127.0.0.1:8750"), None);
    }

    #[test]
    fn a_domain_that_browsers_would_refuse_keeps_the_server_from_starting() {
        for (domain, origins, url) in [
            ("example.com", "", "https://api.example.org"),
            ("127.0.0.1", "", "http://127.0.0.1:8750"),
            ("", "https://app.example.org", "https://api.example.org"),
            ("", "https://app.example.org", "http://127.0.0.1:8750"),
            ("example.org", "http://app.example.org", "https://api.example.org"),
        ] {
            let error = passkeys(&settings(domain, origins), url).unwrap_err().to_string();
            assert!(error.starts_with("`auth.passkey_domain`: "), "{error}");
        }
    }
}
