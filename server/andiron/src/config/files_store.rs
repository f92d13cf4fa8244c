//! The settings of where files are: a store on the network, and the address of its service.

use andiron_files::StoreUrl;

use super::value::{SettingValue, WebhookUrl};

/// Where files are; in the data folder if it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesStore(pub Option<StoreUrl>);

/// The URL of a service of files; the one that the store's scheme is named for if it is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreEndpoint(pub Option<String>);

impl SettingValue for FilesStore {
    const FORM: &'static str = "a store such as `s3://bucket/prefix`, `gs://bucket/prefix` or \
                                `azure://account/container/prefix`, or nothing for the data folder";

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        text.parse().ok().map(|url| Self(Some(url)))
    }

    fn show(&self) -> String {
        self.0.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

impl SettingValue for StoreEndpoint {
    const FORM: &'static str = "a URL such as `https://minio.example.org`";

    fn parse(text: &str) -> Option<Self> {
        let WebhookUrl(url) = WebhookUrl::parse(text)?;
        let url = url.trim_end_matches('/');
        Some(Self(Some(url.to_owned()).filter(|url| !url.is_empty())))
    }

    fn show(&self) -> String {
        self.0.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["", "s3://photos/live", "azure://account/container"] {
            assert_eq!(
                FilesStore::parse(text).map(|store| store.show()).as_deref(),
                Some(text)
            );
        }
        for text in ["", "https://minio.example.org", "http://127.0.0.1:10000/account"] {
            assert_eq!(
                StoreEndpoint::parse(text).map(|url| url.show()).as_deref(),
                Some(text)
            );
        }
    }

    #[test]
    fn forms_without_a_meaning_are_refused() {
        for text in ["photos", "s3://", "/srv/files", "s3://id:secret@photos"] {
            assert_eq!(FilesStore::parse(text), None, "{text}");
        }
        for text in [
            "minio.example.org",
            "s3://minio",
            "https://id:secret@minio.example.org",
        ] {
            assert_eq!(StoreEndpoint::parse(text), None, "{text}");
        }
    }
}
