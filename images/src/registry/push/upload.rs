//! One blob's upload: a session at the registry, resumed or begun anew until the blob is there.

use std::future::Future;

use backon::BackoffBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::body::Sending;
use super::wire::Wire;
use super::{answer, location};
use crate::registry::header;
use crate::registry::http::words;
use crate::release::{Built, BuiltBlob, Progress, ReleaseError, Watch};

pub(super) struct Upload<'a> {
    wire: Wire<'a>,
    built: &'a Built,
    blob: &'a BuiltBlob,
    watch: &'a Watch,
    what: String,
    /// Where the registry waits for the rest.
    session: Option<Url>,
    /// Whether the blob goes in more than one part.
    in_parts: bool,
}

impl<'a> Upload<'a> {
    pub(super) fn new(wire: Wire<'a>, built: &'a Built, blob: &'a BuiltBlob, watch: &'a Watch) -> Self {
        let what = format!("blob {} of {}", blob.digest, wire.repository);
        Self { wire, built, blob, watch, what, session: None, in_parts: false }
    }

    pub(super) async fn run(mut self) -> Result<(), ReleaseError> {
        let mut waits = self.wire.options.backoff().build();
        loop {
            let error = match self.attempt().await {
                Err(error) if error.is_transient() => error,
                other => return other,
            };
            let Some(wait) = waits.next() else { return Err(error) };
            self.watch.tell(Progress::Again { error });
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&mut self) -> Result<(), ReleaseError> {
        let BuiltBlob { digest, size } = self.blob.clone();
        if self.is_there().await? {
            self.watch.tell(Progress::Present { digest });
            return Ok(());
        }
        let (mut url, offset) = self.begin().await?;
        self.session = Some(url.clone());
        if offset < size {
            url = self.send(url, offset).await?;
            self.session = Some(url.clone());
        }
        self.finish(url).await?;
        self.watch.tell(Progress::Sent { digest, size });
        Ok(())
    }

    /// Where a registry does not say, the upload will show.
    async fn is_there(&self) -> Result<bool, ReleaseError> {
        let url = self.wire.url(&format!("blobs/{}", self.blob.digest))?;
        let request = || self.wire.http.client().head(url.clone());
        let response = self.wire.ask(&self.what, self.wire.options.stall, &url, request).await?;
        Ok(response.status().is_success())
    }

    /// An open session and how much of the blob it has.
    async fn begin(&mut self) -> Result<(Url, u64), ReleaseError> {
        if let Some(session) = self.session.take()
            && let Some((url, offset)) = self.resume(&session).await?
        {
            self.in_parts = offset > 0;
            return Ok((url, offset));
        }
        self.in_parts = false;
        let url = self.wire.url("blobs/uploads/")?;
        let request = || self.wire.http.sender().request(Method::POST, url.clone()).header(CONTENT_LENGTH, 0);
        let response = self.wire.ask(&self.what, self.wire.options.stall, &url, request).await?;
        let response = self.wire.success(response, &self.what).await?;
        match self.next(&url, &response)? {
            Some(next) => Ok((next, 0)),
            None => Err(self.bad("it opens an upload without a Location")),
        }
    }

    /// What a registry that knows the session says of it.
    async fn resume(&self, session: &Url) -> Result<Option<(Url, u64)>, ReleaseError> {
        let request = || self.wire.http.sender().get(session.clone());
        let response = self.wire.ask(&self.what, self.wire.options.stall, session, request).await?;
        let offset = header(&response, RANGE.as_str()).and_then(|range| location::offset(&range));
        let offset = offset.filter(|offset| response.status().is_success() && *offset <= self.blob.size);
        let next = self.next(session, &response)?.unwrap_or_else(|| session.clone());
        Ok(offset.map(|offset| (next, offset)))
    }

    /// Sends the blob from `offset` on; where the upload goes on then.
    async fn send(&mut self, url: Url, offset: u64) -> Result<Url, ReleaseError> {
        let size = self.blob.size;
        let sending = Sending::from(offset);
        let body = sending.body(self.built.read(self.blob), &self.blob.digest, size, self.watch);
        let mut request = self.wire.http.sender().request(Method::PATCH, url.clone());
        request = request.header(CONTENT_TYPE, "application/octet-stream");
        request = request.header(CONTENT_LENGTH, size.saturating_sub(offset));
        if offset > 0 {
            request = request.header(CONTENT_RANGE, format!("{offset}-{}", size.saturating_sub(1)));
        }
        let answer = self.wire.signed(&url, request).await.body(body).send();
        let response = self.sent(&sending, answer).await?;
        let response = self.accepted(response).await?;
        Ok(self.next(&url, &response)?.unwrap_or(url))
    }

    async fn sent(
        &self,
        sending: &Sending,
        answer: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Response, ReleaseError> {
        let options = self.wire.options;
        let answer = tokio::select! {
            answer = answer => answer,
            after = sending.stalled(options.stall, options.store) => {
                return Err(ReleaseError::Stalled { what: self.what.clone(), after });
            }
        };
        if let Some(error) = sending.error() {
            return Err(ReleaseError::of_layout(error));
        }
        answer.map_err(|error| {
            let is_connect = error.is_connect();
            let detail = words(error);
            if is_connect {
                return ReleaseError::Unreachable { place: self.wire.place(), detail };
            }
            self.wire.dropped(&self.what, &detail)
        })
    }

    async fn accepted(&mut self, response: Response) -> Result<Response, ReleaseError> {
        match response.status() {
            // The next request renews them, or finds that they are wrong.
            status if self.wire.http.is_expiry(status) => {
                Err(self.wire.dropped(&self.what, "the credentials expired"))
            }
            StatusCode::NOT_FOUND => {
                self.session = None;
                Err(self.wire.dropped(&self.what, "it does not know the upload any more"))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(self.wire.dropped(&self.what, "it has another part than was sent"))
            }
            _ => self.wire.success(response, &self.what).await,
        }
    }

    async fn finish(&mut self, mut url: Url) -> Result<(), ReleaseError> {
        url.query_pairs_mut().append_pair("digest", self.blob.digest.as_str());
        let request = || self.wire.http.sender().request(Method::PUT, url.clone()).header(CONTENT_LENGTH, 0);
        let response = self.wire.ask(&self.what, self.wire.options.store, &url, request).await?;
        let status = response.status();
        if status.is_success() {
            let said = header(&response, "docker-content-digest");
            return self.wire.same_digest(&self.what, &self.blob.digest, said.as_deref());
        }
        let code = self.wire.code(response).await;
        if status == StatusCode::NOT_FOUND {
            self.session = None;
            return Err(self.wire.dropped(&self.what, "it does not know the upload any more"));
        }
        if self.in_parts && status.is_client_error() {
            self.session = None;
            return Err(self.wire.dropped(&self.what, "it put its parts together wrongly"));
        }
        Err(answer::failure(self.wire.place(), self.what.clone(), status, code))
    }

    fn next(&self, from: &Url, response: &Response) -> Result<Option<Url>, ReleaseError> {
        let location = header(response, LOCATION.as_str());
        let follow = |location: String| location::follow(self.wire.http.endpoint(), from, &location);
        location.map(follow).transpose().map_err(|detail| self.bad(detail))
    }

    fn bad(&self, detail: &str) -> ReleaseError {
        ReleaseError::BadAnswer { place: self.wire.place(), detail: detail.to_owned() }
    }
}
