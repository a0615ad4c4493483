//! Lists a repository's tags, page by page.

use backon::Retryable;
use bytes::Bytes;
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::http::HttpClient;
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::tag;

const MAX_PAGE_BYTES: u64 = 8 << 20;
const MAX_PAGES: u32 = 1000;
const MAX_TAGS: usize = 100_000;

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// Returns all tags of a repository. Follows the `Link` of every page, within the same registry.
pub(crate) async fn list(
    http: &HttpClient,
    repository: &str,
    options: &ImageOptions,
) -> Result<Vec<String>, ImageError> {
    let what = format!("the tags of {repository}");
    let mut all = Vec::new();
    let mut next = Some(http.endpoint().url(repository, "tags/list?n=1000")?);
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(all) };
        let get = || fetch_page(http, repository, &what, url.clone());
        let (link, bytes) = get.retry(options.backoff()).when(ImageError::is_transient).await?;
        let page: TagPage = serde_json::from_slice(&bytes).map_err(|e| ImageError::malformed(&what, e))?;
        all.extend(page.tags.unwrap_or_default().into_iter().filter(|tag| tag::is_valid(tag)));
        if all.len() > MAX_TAGS {
            break;
        }
        next = link.map(|link| follow(http, &what, &url, &link)).transpose()?;
    }
    Err(ImageError::TooLarge { what, limit: 100_000 })
}

async fn fetch_page(
    http: &HttpClient,
    repository: &str,
    what: &str,
    url: Url,
) -> Result<(Option<String>, Bytes), ImageError> {
    let response = http.send_to(repository, Method::GET, url, HeaderMap::new()).await?;
    let response = http.check_status(response, what)?;
    let link = response.headers().get(LINK).and_then(|value| value.to_str().ok()).and_then(next_link);
    Ok((link, http.read_bounded(response, what, MAX_PAGE_BYTES).await?))
}

fn follow(http: &HttpClient, what: &str, from: &Url, link: &str) -> Result<Url, ImageError> {
    let url = from.join(link).ok().filter(|url| http.endpoint().is_same_origin(url) && url != from);
    url.ok_or_else(|| {
        ImageError::malformed(what, "the link to its next page leads to another host or to the same page")
    })
}

/// Returns the target of `<target>; rel="next"`.
pub(crate) fn next_link(header: &str) -> Option<String> {
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
    fn next_links_are_found(#[case] header: &str, #[case] next: Option<&str>) {
        assert_eq!(next_link(header).as_deref(), next);
    }
}
