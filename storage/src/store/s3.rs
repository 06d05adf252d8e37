//! S3 and what speaks like it: settings from the environment, bounded time and retries.
//!
//! Creating an object must be conditional (`If-None-Match: *`): a server without it lets two writers win a commit.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::client::ClientConfigKey;
use object_store::{BackoffConfig, RetryConfig};

use crate::{Error, Result, StoreUrl};

/// Attempts after the first one of a request that the server answered with an error of its own.
const RETRIES_MAX: usize = 6;
/// No further attempt begins after this time in milliseconds.
const RETRY_MS_MAX: u64 = 30_000;
/// Pause before the first and, at most, before any repetition, in milliseconds.
const BACKOFF_MS: (u64, u64) = (50, 3_000);
/// Longest request, its body included.
const REQUEST_TIMEOUT: &str = "60 seconds";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: &str = "5 seconds";

/// Opens a bucket with what the `AWS_*` environment says.
pub(super) fn open(bucket: &str, url: &StoreUrl) -> Result<AmazonS3> {
    let mut builder = AmazonS3Builder::from_env();
    require_credentials(&builder, url)?;
    let limits =
        [(ClientConfigKey::Timeout, REQUEST_TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)];
    for (limit, value) in limits {
        let setting = AmazonS3ConfigKey::Client(limit);
        if builder.get_config_value(&setting).is_none() {
            builder = builder.with_config(setting, value);
        }
    }
    builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(BACKOFF_MS.0),
                max_backoff: Duration::from_millis(BACKOFF_MS.1),
                base: 2.0,
            },
            max_retries: RETRIES_MAX,
            retry_timeout: Duration::from_millis(RETRY_MS_MAX),
        })
        .build()
        .map_err(|source| Error::Store { key: url.to_string(), source })
}

/// Without this check the client would look for an EC2 machine's role and fail minutes later with a time-out.
fn require_credentials(builder: &AmazonS3Builder, url: &StoreUrl) -> Result<()> {
    use AmazonS3ConfigKey as Key;
    let given = |key: Key| builder.get_config_value(&key).is_some_and(|value| !value.is_empty());
    let missing = match (given(Key::AccessKeyId), given(Key::SecretAccessKey)) {
        (true, true) => return Ok(()),
        (true, false) => "AWS_SECRET_ACCESS_KEY is",
        (false, true) => "AWS_ACCESS_KEY_ID is",
        (false, false) => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are",
    };
    let unsigned = builder.get_config_value(&Key::SkipSignature).is_some_and(|value| value == "true");
    let roles = [
        Key::WebIdentityTokenFile,
        Key::ContainerCredentialsRelativeUri,
        Key::ContainerCredentialsFullUri,
        Key::MetadataEndpoint,
    ];
    if unsigned || roles.into_iter().any(given) {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        what: "object store",
        value: url.to_string(),
        reason: format!(
            "{missing} not set; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, for other servers than \
             Amazon's also AWS_ENDPOINT=http://host:port (and AWS_ALLOW_HTTP=true), or to use an EC2 machine's role \
             AWS_METADATA_ENDPOINT=http://169.254.169.254"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_lacks_is_named() {
        let url: StoreUrl = "s3://logs/prod".parse().unwrap();
        let check = |builder: AmazonS3Builder| require_credentials(&builder, &url).map_err(|e| e.to_string());
        let error = check(AmazonS3Builder::new()).unwrap_err();
        let start = "invalid object store \"s3://logs/prod\": AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; ";
        assert!(error.starts_with(start), "{error}");
        let error = check(AmazonS3Builder::new().with_access_key_id("id")).unwrap_err();
        assert!(error.contains(": AWS_SECRET_ACCESS_KEY is not set"), "{error}");
        let whole = AmazonS3Builder::new().with_access_key_id("id").with_secret_access_key("secret");
        assert_eq!(check(whole), Ok(()));
        assert_eq!(check(AmazonS3Builder::new().with_skip_signature(true)), Ok(()));
    }
}
