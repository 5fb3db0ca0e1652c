use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::objects::Pod;

type Answered = UnsyncBoxBody<Bytes, Infallible>;

/// What the API server says next.
enum Answer {
    Page(Value),
    /// And then the watch ends.
    Lines(Vec<Value>),
    /// And then nothing more.
    Silence(Vec<Value>),
    Status(u16, &'static str),
}

/// An API server that says what is written down, whatever it is asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Script {
        Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Script::default() }
    }

    fn answer(&self, request: &Request<Body>) -> Response<Answered> {
        let query = request.uri().query().unwrap_or_default();
        // How long it may last is by chance.
        let query: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("timeoutSeconds")).collect();
        self.asked.lock().unwrap().push(query.join("&").trim_matches('&').to_owned());
        let answer = self.answers.lock().unwrap().pop_front();
        let (code, lines, silence) = match answer.expect("asked more than is written down") {
            Answer::Page(page) => (200, vec![page], false),
            Answer::Lines(lines) => (200, lines, false),
            Answer::Silence(lines) => (200, lines, true),
            Answer::Status(code, reason) => (code, vec![status(code, reason)], false),
        };
        let frames = lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
        let frames = stream::iter(frames);
        let body = if silence {
            StreamBody::new(frames.chain(stream::pending())).boxed_unsync()
        } else {
            StreamBody::new(frames).boxed_unsync()
        };
        Response::builder().status(code).body(body).unwrap()
    }

    fn watch(&self, selectors: Selectors) -> impl Stream<Item = Event<Pod>> + use<> {
        let script = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let response = script.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        watch(Api::<Pod>::all(kube::Client::new(service, "default")), selectors)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"})
}

fn pod(name: &str, version: u32) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string()}, "spec": {"nodeName": "n"}})
}

fn page(version: u32, items: &[Value]) -> Answer {
    Answer::Page(json!({"metadata": {"resourceVersion": version.to_string()}, "items": items}))
}

fn line(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

fn bookmark(version: u32) -> Value {
    let metadata = json!({"resourceVersion": version.to_string()});
    line("BOOKMARK", &json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}))
}

/// `count` events in short form: `=7 a b` a list, `+a` applied, `-a` deleted, `@8` reached.
async fn told(script: &Script, count: usize) -> Vec<String> {
    let mut events = pin!(script.watch(Selectors::default()).take(count));
    let mut told = Vec::new();
    let name = |pod: Pod| pod.metadata.name.unwrap_or_default();
    loop {
        let next = tokio::time::timeout(Duration::from_mins(10), events.next()).await;
        let next =
            next.unwrap_or_else(|_| panic!("nothing comes after {told:?}; asked: {:?}", script.asked()));
        let Some(event) = next else { return told };
        told.push(match event {
            Event::Listed { objects, version } => {
                let names: Vec<String> = objects.into_iter().map(name).collect();
                format!("={version} {}", names.join(" ")).trim_end().to_owned()
            }
            Event::Applied(pod) => format!("+{}", name(pod)),
            Event::Deleted(pod) => format!("-{}", name(pod)),
            Event::Reached(version) => format!("@{version}"),
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_then_everything_after_it() {
    let script = Script::new([
        page(7, &[pod("a", 3)]),
        Answer::Lines(vec![
            line("ADDED", &pod("b", 8)),
            line("MODIFIED", &pod("a", 9)),
            bookmark(12),
            line("DELETED", &pod("a", 13)),
        ]),
        Answer::Silence(vec![bookmark(20)]),
    ]);
    assert_eq!(told(&script, 6).await, ["=7 a", "+b", "+a", "@12", "-a", "@20"]);
    assert_eq!(
        script.asked(),
        [
            "limit=500",
            "watch=true&allowWatchBookmarks=true&resourceVersion=7",
            "watch=true&allowWatchBookmarks=true&resourceVersion=13",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn selectors_go_with_every_request() {
    let script = Script::new([page(7, &[]), Answer::Silence(vec![bookmark(8)])]);
    let selectors = Selectors { fields: "spec.nodeName=n".to_owned(), labels: "a=b".to_owned() };
    pin!(script.watch(selectors)).take(2).collect::<Vec<_>>().await;
    for asked in script.asked() {
        assert!(asked.contains("fieldSelector=spec.nodeName%3Dn&labelSelector=a%3Db"), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_nothing_may_be_null() {
    let nothing = json!({"metadata": {"resourceVersion": "7"}, "items": null});
    assert_eq!(told(&Script::new([Answer::Page(nothing)]), 1).await, ["=7"]);
}

#[tokio::test(start_paused = true)]
async fn pages_are_one_list() {
    let first = json!({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [pod("a", 3)]});
    let script = Script::new([Answer::Page(first), page(7, &[pod("b", 4)])]);
    assert_eq!(told(&script, 1).await, ["=7 a b"]);
    assert_eq!(script.asked(), ["limit=500", "limit=500&continue=more"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_between_its_pages_is_begun_again() {
    let first = json!({"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [pod("a", 3)]});
    let script = Script::new([Answer::Page(first), Answer::Status(410, "Expired"), page(9, &[pod("b", 8)])]);
    assert_eq!(told(&script, 1).await, ["=9 b"]);
    assert_eq!(script.asked()[2], "limit=500");
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_listed_again() {
    let script = Script::new([
        page(7, &[pod("a", 3)]),
        Answer::Status(410, "Expired"),
        page(50, &[]),
        Answer::Lines(vec![line("ADDED", &pod("c", 51)), line("ERROR", &status(410, "Expired"))]),
        page(60, &[pod("c", 51)]),
    ]);
    assert_eq!(told(&script, 4).await, ["=7 a", "=50", "+c", "=60 c"]);
}

#[tokio::test(start_paused = true)]
async fn after_an_error_it_goes_on_where_it_was() {
    let script = Script::new([
        Answer::Status(403, "Forbidden"),
        page(7, &[]),
        Answer::Lines(vec![line("ADDED", &pod("a", 8)), line("ERROR", &status(500, "InternalError"))]),
        Answer::Status(429, "TooManyRequests"),
        Answer::Status(503, "ServiceUnavailable"),
        Answer::Silence(vec![bookmark(9)]),
    ]);
    assert_eq!(told(&script, 3).await, ["=7", "+a", "@9"]);
    let last = script.asked().last().cloned().unwrap_or_default();
    assert!(last.ends_with("resourceVersion=8"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_not_peace() {
    let script = Script::new([page(7, &[pod("a", 3)]), Answer::Silence(vec![]), page(7, &[pod("a", 3)])]);
    let before = tokio::time::Instant::now();
    assert_eq!(told(&script, 2).await, ["=7 a", "=7 a"]);
    assert!(before.elapsed() >= SILENCE);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_set_back_is_listed_again() {
    let script =
        Script::new([page(7, &[pod("a", 3)]), Answer::Silence(vec![bookmark(5)]), page(5, &[pod("old", 2)])]);
    assert_eq!(told(&script, 2).await, ["=7 a", "=5 old"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_skipped() {
    let odd = |version: u32| json!({"metadata": {"name": "odd", "resourceVersion": version.to_string()}, "spec": {"nodeName": 7}});
    let script = Script::new([
        page(7, &[odd(2), pod("a", 3)]),
        Answer::Lines(vec![line("ADDED", &odd(8)), line("ADDED", &pod("b", 9)), line("MODIFIED", &odd(10))]),
        Answer::Silence(vec![line("WEIRD", &pod("x", 11))]),
        Answer::Silence(vec![bookmark(12)]),
    ]);
    assert_eq!(told(&script, 3).await, ["=7 a", "+b", "@12"]);
    // What was skipped is not asked for again.
    assert!(script.asked()[2].ends_with("resourceVersion=10"), "{:?}", script.asked());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_asked_again() {
    let script = Script::new([Answer::Silence(vec![]), page(7, &[])]);
    assert_eq!(told(&script, 1).await, ["=7"]);
}
