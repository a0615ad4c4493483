//! The layer of the client that hears what comes by lists and watches.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower::{BoxError, Layer, Service};

use super::Vitals;

/// A client's service whose watches are heard.
#[derive(Debug, Clone)]
pub struct Heard<S> {
    inner: S,
    vitals: Vitals,
}

impl<S> Layer<S> for Vitals {
    type Service = Heard<S>;
    fn layer(&self, inner: S) -> Heard<S> {
        Heard { inner, vitals: self.clone() }
    }
}

impl<S, A, B> Service<Request<A>> for Heard<S>
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
        let watch = watch(request.method(), request.uri());
        let vitals = self.vitals.clone();
        if let Some(watch) = &watch {
            vitals.asked(&watch.name, &watch.resource, watch.timeout);
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let watch = watch.filter(|_| answer.status().is_success());
            let heard = move || watch.iter().for_each(|watch| vitals.heard(&watch.name));
            heard();
            Ok(answer.map(|body| {
                let body = body.map_err(Into::into).map_frame(move |frame| {
                    heard();
                    frame
                });
                body.boxed_unsync()
            }))
        })
    }
}

/// What a request asks for, if it is all objects of a resource in a namespace: those that are there, or their changes.
#[derive(Debug, PartialEq, Eq)]
struct Watch {
    name: String,
    resource: String,
    /// Only a watch has one.
    timeout: Option<Duration>,
}

fn watch(method: &Method, uri: &Uri) -> Option<Watch> {
    let (_, collection) = uri.path().split_once("/namespaces/")?;
    let (_, resource) = collection.split_once('/')?;
    if *method != Method::GET || resource.contains('/') {
        return None;
    }
    let parameter = |name: &str| {
        let all = uri.query().unwrap_or_default().split('&').filter_map(|one| one.split_once('='));
        all.into_iter().find_map(|(key, value)| (key == name).then_some(value))
    };
    let timeout = parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
    Some(Watch {
        name: format!("{} {}", uri.path(), parameter("fieldSelector").unwrap_or_default()),
        resource: resource.to_owned(),
        timeout: timeout.map(Duration::from_secs),
    })
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

    const PODS: &str = "/api/v1/namespaces/yard/pods";

    #[rstest]
    #[case::a_watch("/apis/a/v1/namespaces/yard/pools?&watch=true&timeoutSeconds=200", Some(("pools", Some(200))))]
    #[case::a_list("/apis/a/v1/namespaces/yard/pools?limit=500", Some(("pools", None)))]
    #[case::one_object("/apis/a/v1/namespaces/yard/leases/operator", None)]
    #[case::something_else("/apis/trackyard.dev/v1alpha1", None)]
    fn what_is_a_watch(#[case] uri: &str, #[case] expected: Option<(&str, Option<u64>)>) {
        let found = watch(&Method::GET, &uri.parse().unwrap());
        let found = found.map(|watch| (watch.resource, watch.timeout.map(|timeout| timeout.as_secs())));
        assert_eq!(found, expected.map(|(resource, timeout)| (resource.to_owned(), timeout)));
        assert_eq!(watch(&Method::PATCH, &uri.parse().unwrap()), None);
    }

    /// Asks for a watch of a server that answers with `status` and then with what is sent; gives the answer's body.
    async fn ask(
        vitals: &Vitals,
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
        vitals.layer(server).oneshot(request).await.unwrap().into_body()
    }

    /// How long nothing was heard of pods, once that is long enough to be told from nothing.
    fn grown(vitals: &Vitals) -> Duration {
        loop {
            let now = age(vitals);
            if now > Duration::from_millis(20) {
                return now;
            }
            std::thread::yield_now();
        }
    }

    fn age(vitals: &Vitals) -> Duration {
        vitals.ages().all(std::time::Instant::now())["pods"]
    }

    #[tokio::test]
    async fn an_answer_and_each_part_of_it_are_signs_of_life() {
        let vitals = Vitals::default();
        let (sender, sent) = mpsc::unbounded_channel();
        let mut body = ask(&vitals, StatusCode::OK, sent).await;
        let old = grown(&vitals);
        assert!(vitals.silent().unwrap().starts_with("no word of Pod for "), "its timeout is nothing");
        sender.send("{}").unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "{}");
        assert!(age(&vitals) < old);
        let old = grown(&vitals);
        let (_sender, sent) = mpsc::unbounded_channel();
        let _again = ask(&vitals, StatusCode::OK, sent).await;
        assert!(age(&vitals) < old);
    }

    #[tokio::test]
    async fn a_refusal_is_none() {
        let vitals = Vitals::default();
        vitals.asked(&format!("{PODS} "), "pods", Some(Duration::ZERO));
        let old = grown(&vitals);
        let (sender, sent) = mpsc::unbounded_channel();
        let mut body = ask(&vitals, StatusCode::NOT_FOUND, sent).await;
        sender.send("{}").unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        assert!(age(&vitals) >= old);
    }
}
