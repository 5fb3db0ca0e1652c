use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use serde_json::Value;

use super::*;

/// An API server that always gives the same answer, and remembers what it was asked.
#[derive(Clone)]
struct Scripted {
    answer: Option<(u16, String)>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    line: String,
    accept: String,
    body: Value,
}

impl Scripted {
    /// Without an answer it stays silent.
    fn new(answer: Option<(u16, Value)>) -> Scripted {
        let answer = answer.map(|(code, body)| match body {
            Value::String(text) => (code, text),
            json => (code, json.to_string()),
        });
        Scripted { answer, asked: Arc::default() }
    }

    fn api(&self) -> Api {
        let scripted = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let scripted = scripted.clone();
            async move { Ok::<_, Infallible>(scripted.answer(request).await) }
        });
        Api::new(Client::new(service, "default"))
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let accept = head.headers.get("accept").map(|value| value.to_str().unwrap().to_owned());
        self.asked.lock().unwrap().push(Asked {
            line: format!("{} {}", head.method, head.uri),
            accept: accept.unwrap_or_default(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        });
        let Some((code, text)) = self.answer else { return std::future::pending().await };
        let response = Response::builder().status(code).header("retry-after", "7");
        response.body(Body::from(text.into_bytes())).unwrap()
    }

    fn asked(&self) -> Asked {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1);
        asked[0].clone()
    }
}

const SENT: Sent<'static> = Sent { name: "default.10-0-0-0", of: "default 10.0.0.0", data: "AQ==" };

fn stamp() -> Stamp {
    Stamp { uid: "u-1".to_owned(), version: "41".parse().unwrap() }
}

fn metadata() -> Value {
    json!({"kind": "PartialObjectMetadata", "metadata":
        {"name": SENT.name, "uid": "u-1", "resourceVersion": "42", "generation": 3, "managedFields": [{"manager": "x"}]}})
}

#[tokio::test]
async fn l3_a_new_object_is_posted_and_strictly_checked() {
    let server = Scripted::new(Some((201, metadata())));
    let made = server.api().create(SENT).await.unwrap();
    assert_eq!(made, Stamp { uid: "u-1".to_owned(), version: "42".parse().unwrap() });
    let asked = server.asked();
    let query = "fieldManager=allotment-controller&fieldValidation=Strict";
    assert_eq!(asked.line, format!("POST /apis/allotment.dev/v1alpha1/addressblocks?{query}"));
    assert!(asked.accept.contains("as=PartialObjectMetadata"), "{}", asked.accept);
    let sent = json!({"apiVersion": "allotment.dev/v1alpha1", "kind": "AddressBlock",
        "metadata": {"name": "default.10-0-0-0"}, "spec": {"of": "default 10.0.0.0", "data": "AQ=="}});
    assert_eq!(asked.body, sent);
}

#[tokio::test]
async fn l3_a_replacement_is_a_put_that_names_uid_and_version() {
    let server = Scripted::new(Some((200, metadata())));
    server.api().replace(SENT, &stamp()).await.unwrap();
    let asked = server.asked();
    let query = "fieldManager=allotment-controller&fieldValidation=Strict";
    let path = "/apis/allotment.dev/v1alpha1/addressblocks/default.10-0-0-0";
    assert_eq!(asked.line, format!("PUT {path}?{query}"));
    let metadata = json!({"name": "default.10-0-0-0", "uid": "u-1", "resourceVersion": "41"});
    assert_eq!(asked.body["metadata"], metadata);
}

#[tokio::test]
async fn l3_a_deletion_names_uid_and_version() {
    let server = Scripted::new(Some((200, json!({"kind": "Status", "status": "Success"}))));
    server.api().delete(SENT.name, &stamp()).await.unwrap();
    let asked = server.asked();
    assert_eq!(
        asked.line.split('?').next().unwrap(),
        "DELETE /apis/allotment.dev/v1alpha1/addressblocks/default.10-0-0-0"
    );
    assert_eq!(asked.body["preconditions"], json!({"uid": "u-1", "resourceVersion": "41"}));
}

#[tokio::test]
async fn what_is_read_is_what_is_there() {
    let mut whole = metadata();
    whole["spec"] = json!({"of": "default 10.0.0.0", "data": "AQ=="});
    let server = Scripted::new(Some((200, whole.clone())));
    let item = server.api().get(SENT.name).await.unwrap().unwrap();
    assert_eq!((item.name.as_str(), item.of.as_str(), item.data.as_str()), (SENT.name, SENT.of, SENT.data));
    assert_eq!(item.stamp.version.to_string(), "42");
    let list = json!({"metadata": {"resourceVersion": "50", "continue": ""}, "items": [whole]});
    let server = Scripted::new(Some((200, list)));
    assert_eq!(server.api().list().await.unwrap(), (vec![item], "50".parse().unwrap()));
    let line = server.asked().line;
    assert!(
        line.ends_with("/addressblocks?&limit=500") && !line.contains("resourceVersion"),
        "consistent: {line}"
    );
}

fn status(code: u16, name: &str) -> (u16, Value) {
    let details = json!({"name": name, "group": "allotment.dev", "kind": "addressblocks"});
    (code, json!({"kind": "Status", "status": "Failure", "message": "no", "code": code, "details": details}))
}

#[tokio::test]
async fn a_failure_says_what_is_known_of_it() {
    let put =
        |answer: (u16, Value)| async move { Scripted::new(Some(answer)).api().replace(SENT, &stamp()).await };
    assert_eq!(put(status(409, SENT.name)).await, Err(Refused::Conflict));
    assert_eq!(put(status(404, SENT.name)).await, Err(Refused::Missing));
    assert_eq!(put(status(410, "")).await, Err(Refused::Expired));
    for (answer, why, in_doubt) in [
        (status(429, ""), "the API server answers 429: no", false),
        (status(403, SENT.name), "the API server answers 403: no", false),
        (status(500, ""), "the API server answers 500: no", true),
        ((503, json!("gone\n")), "the API server answers 503: gone", true),
        (
            (404, json!("404 page not found\n")),
            "the API server knows no AddressBlocks: apply what `allot crds` prints",
            false,
        ),
    ] {
        let retry_after = Some(Duration::from_secs(7));
        let failure = Failure { why: why.to_owned(), in_doubt, retry_after };
        assert_eq!(put(answer).await, Err(Refused::Failed(failure)));
    }
    let Err(Refused::Failed(failure)) = put((200, json!("<html>"))).await else { panic!("it was read") };
    assert!(failure.in_doubt && failure.why.starts_with("the API server's answer cannot be read: "));
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_is_not_waited_for_for_ever() {
    let Err(Refused::Failed(failure)) = Scripted::new(None).api().create(SENT).await else {
        panic!("it spoke")
    };
    assert!(failure.in_doubt);
    assert_eq!(failure.why, "the API server has not answered in 20 s");
}
