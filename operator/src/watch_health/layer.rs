//! The client layer that observes the data of lists and watches.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower::{BoxError, Layer, Service};

use super::WatchHealth;

/// A client's service whose watches are observed.
#[derive(Debug, Clone)]
pub struct ObservedService<S> {
    inner: S,
    health: WatchHealth,
}

impl<S> Layer<S> for WatchHealth {
    type Service = ObservedService<S>;
    fn layer(&self, inner: S) -> ObservedService<S> {
        ObservedService { inner, health: self.clone() }
    }
}

impl<S, A, B> Service<Request<A>> for ObservedService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let watch = watch_of(request.method(), request.uri());
        let health = self.health.clone();
        if let Some(watch) = &watch {
            health.on_request(&watch.name, &watch.resource, watch.timeout);
        }
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            let watch = watch.filter(|_| response.status().is_success());
            let on_data = move || watch.iter().for_each(|watch| health.on_data(&watch.name));
            on_data();
            Ok(response.map(|body| {
                let body = body.map_err(Into::into).map_frame(move |frame| {
                    on_data();
                    frame
                });
                body.boxed_unsync()
            }))
        })
    }
}

/// A request for all objects of a resource in a namespace: a list, or a watch of their changes.
#[derive(Debug, PartialEq, Eq)]
struct WatchRequest {
    name: String,
    resource: String,
    /// Set for watches only.
    timeout: Option<Duration>,
}

fn watch_of(method: &Method, uri: &Uri) -> Option<WatchRequest> {
    let (_, collection) = uri.path().split_once("/namespaces/")?;
    let (_, resource) = collection.split_once('/')?;
    if *method != Method::GET || resource.contains('/') {
        return None;
    }
    let timeout = parameter(uri, "timeoutSeconds").and_then(|seconds| seconds.parse().ok());
    Some(WatchRequest {
        name: format!("{} {}", uri.path(), parameter(uri, "fieldSelector").unwrap_or_default()),
        resource: resource.to_owned(),
        timeout: timeout.map(Duration::from_secs),
    })
}

fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let mut parameters = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    parameters.find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use futures_util::{StreamExt, stream};
    use http::StatusCode;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use rstest::rstest;
    use tokio::sync::mpsc;
    use tower::{ServiceExt, service_fn};

    use super::*;

    const PODS: &str = "/api/v1/namespaces/workers/pods";

    #[rstest]
    #[case::watch("/apis/a/v1/namespaces/workers/pools?&watch=true&timeoutSeconds=200", Some(("pools", Some(200))))]
    #[case::list("/apis/a/v1/namespaces/workers/pools?limit=500", Some(("pools", None)))]
    #[case::single_object("/apis/a/v1/namespaces/workers/leases/operator", None)]
    #[case::discovery("/apis/trackyard.dev/v1alpha1", None)]
    fn what_is_watch(#[case] uri: &str, #[case] expected: Option<(&str, Option<u64>)>) {
        let found = watch_of(&Method::GET, &uri.parse().unwrap());
        let found = found.map(|watch| (watch.resource, watch.timeout.map(|timeout| timeout.as_secs())));
        assert_eq!(found, expected.map(|(resource, timeout)| (resource.to_owned(), timeout)));
        assert_eq!(watch_of(&Method::PATCH, &uri.parse().unwrap()), None);
    }

    /// Requests a watch of a server that answers with `status` and then with what is sent. Returns the response's body.
    async fn request_watch(
        health: &WatchHealth,
        status: StatusCode,
        sent: mpsc::UnboundedReceiver<&'static str>,
    ) -> UnsyncBoxBody<Bytes, BoxError> {
        let frames = stream::unfold(sent, |mut sent| async {
            let text = sent.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(text.as_bytes()))), sent))
        });
        let body = Arc::new(Mutex::new(Some(StreamBody::new(frames.boxed()))));
        let server = service_fn(move |_: Request<()>| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()) }
        });
        let request = Request::get(format!("{PODS}?watch=true&timeoutSeconds=0")).body(()).unwrap();
        health.layer(server).oneshot(request).await.unwrap().into_body()
    }

    /// Waits until the idle time of pods is long enough to be compared, and returns it.
    fn wait_for_idle(health: &WatchHealth) -> Duration {
        loop {
            let now = idle(health);
            if now > Duration::from_millis(20) {
                return now;
            }
            std::thread::yield_now();
        }
    }

    fn idle(health: &WatchHealth) -> Duration {
        health.activity().idle_times(std::time::Instant::now())["pods"]
    }

    #[tokio::test]
    async fn responses_and_frames_are_data() {
        let health = WatchHealth::default();
        let (sender, sent) = mpsc::unbounded_channel();
        let mut body = request_watch(&health, StatusCode::OK, sent).await;
        let old = wait_for_idle(&health);
        assert!(
            health.silent().unwrap().starts_with("the watch of Pod has been silent"),
            "its timeout is zero"
        );
        sender.send("{}").unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "{}");
        assert!(idle(&health) < old);
        let old = wait_for_idle(&health);
        let (_sender, sent) = mpsc::unbounded_channel();
        let _again = request_watch(&health, StatusCode::OK, sent).await;
        assert!(idle(&health) < old);
    }

    #[tokio::test]
    async fn error_response_is_not_data() {
        let health = WatchHealth::default();
        health.on_request(&format!("{PODS} "), "pods", Some(Duration::ZERO));
        let old = wait_for_idle(&health);
        let (sender, sent) = mpsc::unbounded_channel();
        let mut body = request_watch(&health, StatusCode::NOT_FOUND, sent).await;
        sender.send("{}").unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        assert!(idle(&health) >= old);
    }
}
