//! Stores on the network: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use andiron_protocol::InputError;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::connection::Connector;
use crate::FilesError;

/// How often a request to a store is tried again.
const RETRIES_MAX: usize = 4;
/// How long a request may be tried again.
const RETRY_TIME_MAX: Duration = Duration::from_secs(30);
/// The region of S3 that services which have none take.
const REGION_DEFAULT: &str = "us-east-1";

/// Where a project has its files if not in its folder: `s3://bucket/prefix`, `gs://bucket/prefix` or
/// `azure://account/container/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    service: Service,
    /// The bucket or container.
    bucket: String,
    /// What all keys begin with; may be empty.
    prefix: Path,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Service {
    S3,
    Google,
    Azure { account: String },
}

impl FromStr for StoreUrl {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let malformed = || {
            InputError::new(
                "a store is `s3://bucket`, `gs://bucket` or `azure://account/container`, with `/prefix` if \
                 its keys are to have one",
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let rest = rest.trim_end_matches('/');
        let (service, rest) = match scheme {
            "s3" => (Service::S3, rest),
            "gs" => (Service::Google, rest),
            "azure" => {
                let (account, rest) = rest.split_once('/').ok_or_else(malformed)?;
                if !is_name(account) {
                    return Err(malformed());
                }
                let account = account.to_owned();
                (Service::Azure { account }, rest)
            }
            _ => return Err(malformed()),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_prefix = prefix.is_empty() || prefix.split('/').all(is_name);
        if !is_name(bucket) || !is_prefix {
            return Err(malformed());
        }
        Ok(Self {
            service,
            bucket: bucket.to_owned(),
            prefix: Path::from(prefix),
            text: text.to_owned(),
        })
    }
}

/// Whether a segment has only characters that no service and no URL takes for something else.
fn is_name(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    segment.bytes().all(is_plain) && !segment.trim_matches('.').is_empty()
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// What a store on the network is reached with.
#[derive(Clone)]
pub struct RemoteStore {
    /// Where the files are.
    pub url: StoreUrl,
    /// The service, if it is not the one that the scheme is named for, as in `https://minio.example.org`. With `http://` the
    /// connections have no TLS.
    pub endpoint: Option<String>,
    /// The region of S3. Default `us-east-1`.
    pub region: Option<String>,
    /// The id of S3's access key.
    pub key_id: Option<String>,
    /// S3's secret access key, Google's key of a service account as JSON, or Azure's account key. Without it the machine
    /// itself is asked who it is, as virtual machines of these services are.
    pub secret: Option<String>,
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteStore")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A store on the network, as the rest of the module knows it.
pub(super) struct Opened {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) multiparts: Arc<dyn MultipartStore>,
    pub(super) prefix: Path,
}

impl Opened {
    fn of<S: ObjectStore + MultipartStore>(store: S, prefix: Path) -> Self {
        let store = Arc::new(store);
        Self {
            objects: Arc::clone(&store) as Arc<dyn ObjectStore>,
            multiparts: store,
            prefix,
        }
    }
}

/// Makes the client of a store. Nothing is asked of it yet.
pub(super) fn open(remote: RemoteStore) -> Result<Opened, FilesError> {
    let StoreUrl {
        service,
        bucket,
        prefix,
        ..
    } = remote.url;
    let has_no_tls = remote
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    match service {
        Service::S3 => {
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(remote.region.as_deref().unwrap_or(REGION_DEFAULT))
                .with_allow_http(has_no_tls)
                .with_retry(retries())
                .with_http_connector(Connector::default());
            if let Some(endpoint) = remote.endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(key_id) = remote.key_id {
                builder = builder.with_access_key_id(key_id);
            }
            if let Some(secret) = remote.secret {
                builder = builder.with_secret_access_key(secret);
            }
            Ok(Opened::of(builder.build()?, prefix))
        }
        Service::Google => {
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_bucket_name(bucket)
                .with_retry(retries())
                .with_http_connector(Connector::default());
            if let Some(endpoint) = &remote.endpoint {
                builder = builder.with_base_url(endpoint);
            }
            match remote.secret {
                Some(secret) => builder = builder.with_service_account_key(secret),
                // A service of one's own that asks for nothing, as those for tests are.
                None if has_no_tls => builder = builder.with_skip_signature(true),
                None => {}
            }
            Ok(Opened::of(builder.build()?, prefix))
        }
        Service::Azure { account } => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_account(account)
                .with_container_name(bucket)
                .with_allow_http(has_no_tls)
                .with_retry(retries())
                .with_http_connector(Connector::default());
            if let Some(endpoint) = remote.endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(secret) = remote.secret {
                builder = builder.with_access_key(secret);
            }
            Ok(Opened::of(builder.build()?, prefix))
        }
    }
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: Duration::from_secs(5),
            ..BackoffConfig::default()
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIME_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_service_a_bucket_and_a_prefix() {
        for (text, service, bucket, prefix) in [
            ("s3://photos", Service::S3, "photos", ""),
            ("s3://photos/", Service::S3, "photos", ""),
            ("s3://my.photos/a/b-c/", Service::S3, "my.photos", "a/b-c"),
            ("gs://photos/live", Service::Google, "photos", "live"),
            (
                "azure://me/photos/x",
                Service::Azure {
                    account: "me".to_owned(),
                },
                "photos",
                "x",
            ),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(
                (url.service.clone(), url.bucket.as_str()),
                (service, bucket),
                "{text}"
            );
            assert_eq!(url.prefix.as_ref(), prefix, "{text}");
            assert_eq!(url.to_string(), text);
        }
        for bad in [
            "",
            "photos",
            "s3://",
            "s3:///a",
            "s3://a//b",
            "s3://a/../b",
            "s3://key:secret@bucket",
            "s3://a?b",
            "azure://account",
            "azure:///container",
            "file:///tmp",
            "https://s3.example.org/bucket",
        ] {
            assert!(bad.parse::<StoreUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let remote = RemoteStore {
            url: "s3://photos".parse().unwrap(),
            endpoint: None,
            region: None,
            key_id: Some("id".to_owned()),
            secret: Some("hush".to_owned()),
        };
        assert!(!format!("{remote:?}").contains("hush"));
    }
}
