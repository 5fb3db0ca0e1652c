use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;

use axum::routing::get;

use super::*;

/// One request over a connection of its own; the whole answer.
fn ask(path: &Path, target: &str) -> io::Result<String> {
    let mut stream = StdStream::connect(path)?;
    write!(stream, "GET {target} HTTP/1.1\r\nhost: allotment\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn folder_and_socket() -> (tempfile::TempDir, Socket) {
    let folder = tempfile::tempdir().unwrap();
    let socket = Socket::bind(&folder.path().join("allotment.sock")).unwrap();
    (folder, socket)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_403_and_nothing_else() {
    let (folder, socket) = folder_and_socket();
    let path = folder.path().join("allotment.sock");
    let router = Router::new().route("/", get(|| async { "the answer" }));
    let own = nix::unistd::geteuid().as_raw();
    let server = tokio::spawn(serve_those(
        socket,
        router,
        std::future::pending(),
        move |uid| uid != own,
        SPEAK_WITHIN,
    ));
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = StdStream::connect(path).unwrap();
        let mut answer = vec![0; FORBIDDEN.len()];
        stream.read_exact(&mut answer).unwrap();
        (answer, stream.read(&mut [0]).unwrap())
    });
    assert_eq!(answer.await.unwrap(), (FORBIDDEN.to_vec(), 0), "the answer, then the end");
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_way_are_finished_and_the_socket_is_removed() {
    let (folder, socket) = folder_and_socket();
    let path = folder.path().join("allotment.sock");
    let (entered, mut waiting) = tokio::sync::mpsc::channel::<()>(1);
    let release = Arc::new(tokio::sync::Notify::new());
    let hold = release.clone();
    let router = Router::new().route(
        "/",
        get(move || async move {
            entered.send(()).await.unwrap();
            hold.notified().await;
            "finished"
        }),
    );
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(socket, router, async {
        let _ = stopped.await;
    }));
    let asked = path.clone();
    let call = tokio::task::spawn_blocking(move || ask(&asked, "/").unwrap());
    waiting.recv().await.unwrap();
    stop.send(()).unwrap();
    // Once the listening end is closed nobody is let in any more.
    while StdStream::connect(&path).is_ok() {
        tokio::task::yield_now().await;
    }
    release.notify_one();
    assert!(call.await.unwrap().ends_with("finished"));
    server.await.unwrap().unwrap();
    assert!(!fs::exists(path).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_keeps_no_slot_and_who_has_spoken_has_the_time_it_takes() {
    let (folder, socket) = folder_and_socket();
    let path = folder.path().join("allotment.sock");
    let (gone, ended) = tokio::sync::oneshot::channel::<()>();
    let ended = Arc::new(tokio::sync::Mutex::new(Some(ended)));
    // The answer comes only after the silent ones were closed, which is later than a silent one would have had time for.
    let answer = async move || {
        let ended = ended.lock().await.take().unwrap();
        ended.await.unwrap();
        "the answer"
    };
    let router = Router::new().route("/", get(answer));
    let soon = Duration::from_millis(100);
    let server = tokio::spawn(serve_those(socket, router, std::future::pending(), |_| true, soon));
    let asked = path.clone();
    let call = tokio::task::spawn_blocking(move || ask(&asked, "/").unwrap());
    let silent = tokio::task::spawn_blocking(move || {
        let callers: Vec<_> = (0..8).map(|_| StdStream::connect(&path).unwrap()).collect();
        for mut caller in callers {
            assert_eq!(caller.read(&mut [0]).unwrap(), 0);
        }
    });
    silent.await.unwrap();
    gone.send(()).unwrap();
    assert!(call.await.unwrap().ends_with("the answer"));
    server.abort();
}

#[tokio::test]
async fn who_comes_when_all_slots_are_taken_waits_for_one() {
    let (folder, mut socket) = folder_and_socket();
    let path = folder.path().join("allotment.sock");
    let inner = UnixListener::from_std(socket.take_listener()).unwrap();
    let mut gate =
        Gate { inner, slots: Arc::new(Semaphore::new(1)), admits: |_| true, speak_within: SPEAK_WITHIN };
    let _callers = [StdStream::connect(&path).unwrap(), StdStream::connect(&path).unwrap()];
    let first = gate.accept().await;
    tokio::select! {
        biased;
        _ = gate.accept() => panic!("there was one slot"),
        () = tokio::task::yield_now() => {}
    }
    drop(first);
    gate.accept().await;
}
