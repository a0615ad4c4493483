//! The address of an ECR registry, and the hosts that may receive its token.

use reqwest::Url;

use crate::error::ImageError;
use crate::source::registry::endpoint::Endpoint;

/// An address such as `<account>.dkr.ecr.<region>.amazonaws.com`.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    host: String,
    account: String,
    region: String,
    /// The host of the configured endpoint, if it is not Amazon's.
    override_host: Option<String>,
}

impl Location {
    pub(crate) fn parse(host: &str, endpoint: Option<&str>) -> Result<Self, ImageError> {
        let (account, region) = split(host).ok_or_else(|| {
            let rule = "<account>.dkr.ecr.<region>.amazonaws.com";
            ImageError::configuration(format!("ECR registry {host:?}"), rule)
        })?;
        let override_host = endpoint.map(host_of).transpose()?;
        Ok(Self { host: host.to_owned(), account, region, override_host })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Returns the registry that may receive the token: the configured one. If an endpoint is configured, it is the
    /// registry that the endpoint's answer names, provided that this is ECR or on the endpoint's host. So no answer can
    /// send the token elsewhere.
    pub(crate) fn registry(&self, named: Option<&str>) -> Result<Endpoint, ImageError> {
        let (Some(allowed), Some(named)) = (&self.override_host, named) else {
            return Endpoint::parse(&self.host);
        };
        let endpoint = Endpoint::parse(named)?;
        if endpoint.host_name() == allowed || split(endpoint.host()).is_some() {
            return Ok(endpoint);
        }
        let detail = "the token is sent only to ECR host names or to the host of the configured endpoint";
        Err(ImageError::configuration(format!("registry {} named by ECR", endpoint.host()), detail))
    }
}

fn host_of(endpoint: &str) -> Result<String, ImageError> {
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let host = url.as_ref().and_then(Url::host_str).map(str::to_owned);
    host.ok_or_else(|| {
        ImageError::configuration(format!("ECR endpoint {endpoint:?}"), "http(s)://host[:port]")
    })
}

/// Returns account and region of an ECR host name.
fn split(host: &str) -> Option<(String, String)> {
    let (account, rest) = host.split_once(".dkr")?;
    let rest = ["amazonaws.com", "amazonaws.com.cn"]
        .iter()
        .find_map(|domain| rest.strip_suffix(domain)?.strip_suffix('.'))
        .and_then(|rest| rest.strip_prefix(".ecr.").or_else(|| rest.strip_prefix(".ecr-fips.")))
        .or_else(|| {
            let rest = rest.strip_suffix(".on.aws")?;
            rest.strip_prefix("-ecr.").or_else(|| rest.strip_prefix("-ecr-fips."))
        })?;
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_region = (1..=32).contains(&rest.len())
        && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (is_account && is_region).then(|| (account.to_owned(), rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some("eu-west-1"))]
    #[case("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"))]
    #[case("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1"))]
    #[case("123456789012.dkr-ecr.us-east-1.on.aws", Some("us-east-1"))]
    #[case("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None)]
    #[case("123456789012.dkr.ecr.evil.example/.amazonaws.com", None)]
    #[case("12.dkr.ecr.eu-west-1.amazonaws.com", None)]
    #[case("127.0.0.1:5000", None)]
    fn ecr_hosts(#[case] host: &str, #[case] region: Option<&str>) {
        assert_eq!(Location::parse(host, None).ok().map(|l| l.region().to_owned()).as_deref(), region);
    }

    #[rstest]
    #[case(None, Some("https://evil.example"), Some("123456789012.dkr.ecr.eu-west-1.amazonaws.com"))]
    #[case(Some("http://127.0.0.1:4566"), Some("http://127.0.0.1:5000"), Some("127.0.0.1:5000"))]
    #[case(Some("http://127.0.0.1:4566"), Some("https://evil.example"), None)]
    #[case(Some("http://127.0.0.1:4566"), None, Some("123456789012.dkr.ecr.eu-west-1.amazonaws.com"))]
    fn token_is_sent_only_to_allowed_hosts(
        #[case] endpoint: Option<&str>,
        #[case] named: Option<&str>,
        #[case] registry: Option<&str>,
    ) {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let found = Location::parse(host, endpoint).unwrap().registry(named);
        assert_eq!(found.ok().map(|e| e.host().to_owned()).as_deref(), registry);
    }
}
