//! The upload of one blob: a session at the registry, resumed or restarted until the blob is stored.

use std::future::Future;

use backon::BackoffBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::repository_client::RepositoryClient;
use super::upload_body::UploadBody;
use super::{error_response, location};
use crate::release::{BuiltBlob, BuiltImage, ReleaseControl, ReleaseError, ReleaseProgress};
use crate::source::registry::header;
use crate::source::registry::http::describe_without_url;

pub(super) struct Upload<'a> {
    client: RepositoryClient<'a>,
    built: &'a BuiltImage,
    blob: &'a BuiltBlob,
    control: &'a ReleaseControl,
    what: String,
    /// The URL where the registry expects the rest.
    session: Option<Url>,
    /// Whether the blob is sent in more than one part.
    in_parts: bool,
}

impl<'a> Upload<'a> {
    pub(super) fn new(
        client: RepositoryClient<'a>,
        built: &'a BuiltImage,
        blob: &'a BuiltBlob,
        control: &'a ReleaseControl,
    ) -> Self {
        let what = format!("blob {} of {}", blob.digest, client.repository);
        Self { client, built, blob, control, what, session: None, in_parts: false }
    }

    pub(super) async fn run(mut self) -> Result<(), ReleaseError> {
        let mut delays = self.client.options.backoff().build();
        loop {
            let error = match self.attempt().await {
                Err(error) if error.is_transient() => error,
                other => return other,
            };
            let Some(delay) = delays.next() else { return Err(error) };
            self.control.report(ReleaseProgress::Retrying { error });
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&mut self) -> Result<(), ReleaseError> {
        let BuiltBlob { digest, size } = self.blob.clone();
        if self.exists().await? {
            self.control.report(ReleaseProgress::Present { digest });
            return Ok(());
        }
        let (mut url, offset) = self.open_session().await?;
        self.session = Some(url.clone());
        if offset < size {
            url = self.send(url, offset).await?;
            self.session = Some(url.clone());
        }
        self.finish(url).await?;
        self.control.report(ReleaseProgress::Sent { digest, size });
        Ok(())
    }

    /// Whether the registry has the blob. If its answer is unclear, the blob is uploaded.
    async fn exists(&self) -> Result<bool, ReleaseError> {
        let url = self.client.url(&format!("blobs/{}", self.blob.digest))?;
        let request = || self.client.http.client().head(url.clone());
        let response =
            self.client.request(&self.what, self.client.options.stall_timeout, &url, request).await?;
        Ok(response.status().is_success())
    }

    /// Resumes or opens a session. Returns its URL and the bytes that it has.
    async fn open_session(&mut self) -> Result<(Url, u64), ReleaseError> {
        if let Some(session) = self.session.take()
            && let Some((url, offset)) = self.resume(&session).await?
        {
            self.in_parts = offset > 0;
            return Ok((url, offset));
        }
        self.in_parts = false;
        let url = self.client.url("blobs/uploads/")?;
        let request =
            || self.client.http.upload_client().request(Method::POST, url.clone()).header(CONTENT_LENGTH, 0);
        let response =
            self.client.request(&self.what, self.client.options.stall_timeout, &url, request).await?;
        let response = self.client.check_status(response, &self.what).await?;
        match self.next_url(&url, &response)? {
            Some(next) => Ok((next, 0)),
            None => Err(self.bad_answer("it opens an upload without a Location")),
        }
    }

    /// Asks the registry for the state of a session. Returns nothing if it does not know the session.
    async fn resume(&self, session: &Url) -> Result<Option<(Url, u64)>, ReleaseError> {
        let request = || self.client.http.upload_client().get(session.clone());
        let response =
            self.client.request(&self.what, self.client.options.stall_timeout, session, request).await?;
        let offset = header(&response, RANGE.as_str()).and_then(|range| location::received_bytes(&range));
        let offset = offset.filter(|offset| response.status().is_success() && *offset <= self.blob.size);
        let next = self.next_url(session, &response)?.unwrap_or_else(|| session.clone());
        Ok(offset.map(|offset| (next, offset)))
    }

    /// Sends the blob from `offset` on. Returns the URL for the next request.
    async fn send(&mut self, url: Url, offset: u64) -> Result<Url, ReleaseError> {
        let size = self.blob.size;
        let upload = UploadBody::starting_at(offset);
        let body = upload.request_body(self.built.read(self.blob), &self.blob.digest, size, self.control);
        let mut request = self.client.http.upload_client().request(Method::PATCH, url.clone());
        request = request.header(CONTENT_TYPE, "application/octet-stream");
        request = request.header(CONTENT_LENGTH, size.saturating_sub(offset));
        if offset > 0 {
            request = request.header(CONTENT_RANGE, format!("{offset}-{}", size.saturating_sub(1)));
        }
        let answer = self.client.with_credentials(&url, request).await.body(body).send();
        let response = self.wait_for_response(&upload, answer).await?;
        let response = self.check_part(response).await?;
        Ok(self.next_url(&url, &response)?.unwrap_or(url))
    }

    async fn wait_for_response(
        &self,
        upload: &UploadBody,
        answer: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Response, ReleaseError> {
        let options = self.client.options;
        let answer = tokio::select! {
            answer = answer => answer,
            after = upload.wait_for_stall(options.stall_timeout, options.store_timeout) => {
                return Err(ReleaseError::Stalled { what: self.what.clone(), after });
            }
        };
        if let Some(error) = upload.read_error() {
            return Err(ReleaseError::from_layout(error));
        }
        answer.map_err(|error| {
            let is_connect = error.is_connect();
            let detail = describe_without_url(error);
            if is_connect {
                return ReleaseError::Unreachable { location: self.client.location(), detail };
            }
            self.client.dropped(&self.what, &detail)
        })
    }

    async fn check_part(&mut self, response: Response) -> Result<Response, ReleaseError> {
        match response.status() {
            // The next request renews them, or fails because they are wrong.
            status if self.client.http.is_expiry(status) => {
                Err(self.client.dropped(&self.what, "the credentials have expired"))
            }
            StatusCode::NOT_FOUND => {
                self.session = None;
                Err(self.client.dropped(&self.what, "it does not know the upload any more"))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(self.client.dropped(&self.what, "it has another range than was sent"))
            }
            _ => self.client.check_status(response, &self.what).await,
        }
    }

    async fn finish(&mut self, mut url: Url) -> Result<(), ReleaseError> {
        url.query_pairs_mut().append_pair("digest", self.blob.digest.as_str());
        let request =
            || self.client.http.upload_client().request(Method::PUT, url.clone()).header(CONTENT_LENGTH, 0);
        let response =
            self.client.request(&self.what, self.client.options.store_timeout, &url, request).await?;
        let status = response.status();
        if status.is_success() {
            let digest = header(&response, "docker-content-digest");
            return self.client.check_digest(&self.what, &self.blob.digest, digest.as_deref());
        }
        let code = self.client.error_code(response).await;
        if status == StatusCode::NOT_FOUND {
            self.session = None;
            return Err(self.client.dropped(&self.what, "it does not know the upload any more"));
        }
        if self.in_parts && status.is_client_error() {
            self.session = None;
            return Err(self.client.dropped(&self.what, "it joined the parts wrongly"));
        }
        Err(error_response::from_status(self.client.location(), self.what.clone(), status, code))
    }

    /// Returns the URL for the next request of the session, if the response names one.
    fn next_url(&self, from: &Url, response: &Response) -> Result<Option<Url>, ReleaseError> {
        header(response, LOCATION.as_str())
            .map(|location| location::resolve(self.client.http.endpoint(), from, &location))
            .transpose()
            .map_err(|detail| self.bad_answer(detail))
    }

    fn bad_answer(&self, detail: &str) -> ReleaseError {
        ReleaseError::BadAnswer { location: self.client.location(), detail: detail.to_owned() }
    }
}
