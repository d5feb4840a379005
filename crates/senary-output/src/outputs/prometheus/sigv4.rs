//! Signatures of requests as Amazon Managed Prometheus wants them: AWS Signature Version 4.
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>)

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use senary_web::Uri;
use sha2::{Digest, Sha256};

use super::config::Config;

/// The service that takes remote writes.
const SERVICE: &str = "aps";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

pub(super) struct Signer {
    region: String,
    access_key: String,
    secret_key: String,
    host: String,
    path: String,
    query: String,
}

impl Signer {
    /// `None` without keys. Only all three of them together are of use.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, String> {
        let keys = [&config.sigv4_region, &config.sigv4_access_key, &config.sigv4_secret_key];
        let given = keys.iter().filter(|key| !key.is_empty()).count();
        if given == 0 {
            return Ok(None);
        }
        if given < keys.len() {
            return Err("SigV4 needs all of sigV4Region, sigV4AccessKey and sigV4SecretKey, or none of them"
                .to_owned());
        }
        let url: Uri = config.url.parse().map_err(|_| format!("url: {:?} is no URL", config.url))?;
        let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let mut query: Vec<_> = url.query().unwrap_or_default().split('&').collect();
        query.sort_unstable();
        Ok(Some(Self {
            region: config.sigv4_region.clone(),
            access_key: config.sigv4_access_key.clone(),
            secret_key: config.sigv4_secret_key.clone(),
            host: authority.rsplit('@').next().unwrap_or_default().to_owned(),
            path: url.path().to_owned(),
            query: query.join("&"),
        }))
    }

    /// The headers that sign a body. The time is in seconds since the Unix epoch.
    pub(super) fn sign(&self, body: &[u8], now: u64) -> Vec<(String, String)> {
        let time = i64::try_from(now).ok().and_then(|now| Timestamp::from_second(now).ok());
        let stamp = time.unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
        let (date, hash) = (&stamp[..8], hex(&Sha256::digest(body)));
        let (host, path, query) = (&self.host, &self.path, &self.query);
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "POST\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{stamp}\n\n{signed}\n{hash}"
        );
        let scope = format!("{date}/{}/{SERVICE}/aws4_request", self.region);
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let steps = [date, &self.region, SERVICE, "aws4_request", &text];
        let secret = format!("AWS4{}", self.secret_key).into_bytes();
        let signature = hex(&steps.iter().fold(secret, |key, step| mac(&key, step.as_bytes())));
        let credential = format!("{}/{scope}", self.access_key);
        let authorization =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}");
        vec![
            ("X-Amz-Date".to_owned(), stamp),
            ("X-Amz-Content-Sha256".to_owned(), hash),
            ("Authorization".to_owned(), authorization),
        ]
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key may have any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(region: &str) -> Result<Option<Signer>, String> {
        let config = Config {
            url: "https://me@aps.test/api/v1/remote_write?b=2&a=1".to_owned(),
            sigv4_region: region.to_owned(),
            sigv4_access_key: "AKIDEXAMPLE".to_owned(),
            sigv4_secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            ..Config::default()
        };
        Signer::new(&config)
    }

    #[test]
    fn the_key_is_derived_as_in_the_documentation() {
        // The example of the documentation for the day, region and service below.
        let steps = ["20150830", "us-east-1", "iam", "aws4_request"];
        let secret = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        let key = steps.iter().fold(secret, |key, step| mac(&key, step.as_bytes()));
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn a_request_is_signed() {
        let signer = signer("eu-west-1").unwrap().unwrap();
        assert_eq!((&*signer.host, &*signer.query), ("aps.test", "a=1&b=2"));
        let headers = signer.sign(b"body", 1_440_938_160);
        assert_eq!(headers[0].1, "20150830T123600Z");
        let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/aps/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=";
        assert_eq!(headers[2].1.strip_prefix(begin).map(str::len), Some(64), "{headers:?}");
        assert_ne!(headers[2].1, signer.sign(b"other", 1_440_938_160)[2].1);
    }

    #[test]
    fn a_part_of_the_keys_is_of_no_use() {
        assert!(signer("").err().unwrap().starts_with("SigV4 needs all of"));
        assert!(Signer::new(&Config::default()).unwrap().is_none());
    }
}
