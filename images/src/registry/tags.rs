//! All tags of a repository, page by page.

use backon::Retryable;
use bytes::Bytes;
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::http::Http;
use crate::error::Error;
use crate::options::Options;
use crate::tag;

const MAX_PAGE: u64 = 8 << 20;
const MAX_PAGES: u32 = 1000;
const MAX_TAGS: usize = 100_000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

/// Follows the `Link` of every page; what a registry links to must be its own.
pub(crate) async fn all(http: &Http, repository: &str, options: &Options) -> Result<Vec<String>, Error> {
    let what = format!("the tags of {repository}");
    let mut all = Vec::new();
    let mut next = Some(http.endpoint().url(repository, "tags/list?n=1000")?);
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(all) };
        let get = || page(http, repository, &what, url.clone());
        let (link, bytes) = get.retry(options.backoff()).when(Error::is_transient).await?;
        let page: Page = serde_json::from_slice(&bytes).map_err(|e| Error::malformed(&what, e))?;
        all.extend(page.tags.unwrap_or_default().into_iter().filter(|tag| tag::is_valid(tag)));
        if all.len() > MAX_TAGS {
            break;
        }
        next = link.map(|link| follow(http, &what, &url, &link)).transpose()?;
    }
    Err(Error::TooLarge { what, limit: 100_000 })
}

async fn page(http: &Http, repository: &str, what: &str, url: Url) -> Result<(Option<String>, Bytes), Error> {
    let response = http.send_to(repository, Method::GET, url, HeaderMap::new()).await?;
    let response = http.success(response, what)?;
    let link = response.headers().get(LINK).and_then(|value| value.to_str().ok()).and_then(next_of);
    Ok((link, http.bounded(response, what, MAX_PAGE).await?))
}

fn follow(http: &Http, what: &str, from: &Url, link: &str) -> Result<Url, Error> {
    let url = from.join(link).ok().filter(|url| http.endpoint().is_same_origin(url) && url != from);
    url.ok_or_else(|| Error::malformed(what, "the next page is at another host, or the same again"))
}

/// The target of `<target>; rel="next"`.
pub(crate) fn next_of(header: &str) -> Option<String> {
    let (target, parameters) = header.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
    is_next.then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Some("/v2/a/tags/list?n=2&last=b"))]
    #[case("</v2/a>; rel=\"prev\"", None)]
    #[case("/v2/a; rel=\"next\"", None)]
    #[case("", None)]
    fn links(#[case] header: &str, #[case] next: Option<&str>) {
        assert_eq!(next_of(header).as_deref(), next);
    }
}
