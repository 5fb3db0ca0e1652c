use super::*;

/// Gives its pieces one by one, then the end.
struct Pieces<'a>(Vec<&'a [u8]>);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        let (now, later) = piece.split_at(piece.len().min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        if !later.is_empty() {
            self.0.insert(0, later);
        }
        Ok(now.len())
    }
}

fn read(text: &str) -> Result<Answer, String> {
    read_answer(&mut Pieces(vec![text.as_bytes()])).map_err(|fault| match fault {
        Fault::Garbled(what) => what.to_owned(),
        Fault::Io(error) => error.to_string(),
    })
}

const GOOD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 7\r\nDate: today\r\n\r\n{\"a\":1}";

#[test]
fn however_it_is_split() {
    let good = Answer { status: 200, body: b"{\"a\":1}".to_vec() };
    for at in 0..GOOD.len() {
        let (first, second) = GOOD.as_bytes().split_at(at);
        // An empty piece would be the end of the stream.
        let pieces = [first, second].into_iter().filter(|piece| !piece.is_empty()).collect();
        assert_eq!(read_answer(&mut Pieces(pieces)).unwrap(), good, "split at {at}");
    }
    assert_eq!(read_answer(&mut Pieces(GOOD.as_bytes().chunks(1).collect())).unwrap(), good);
}

#[test]
fn whatever_is_cut_off_is_no_answer() {
    for end in 0..GOOD.len() {
        assert!(read(&GOOD[..end]).unwrap_err().contains("closed"), "cut at {end}");
    }
    assert!(read(&format!("{GOOD} ")).unwrap_err().contains("longer"));
}

#[test]
fn answers_that_are_taken() {
    for (text, status, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, ""),
        ("HTTP/1.1 503\r\nCONTENT-LENGTH: \t2 \r\n\r\nab", 503, "ab"),
        ("HTTP/1.1 500 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 500, "x"),
        ("HTTP/1.1 200 OK\r\nX: a:b\r\nContent-Length: 4\r\n\r\n\r\n\r\n", 200, "\r\n\r\n"),
    ] {
        assert_eq!(read(text), Ok(Answer { status, body: body.into() }), "{text:?}");
    }
}

#[test]
fn answers_that_are_not() {
    for text in [
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n",
        "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ] {
        assert!(read(text).is_err(), "{text:?}");
    }
}

#[test]
fn heads_and_bodies_have_limits() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20));
    assert_eq!(read(&endless).unwrap_err(), "the head of the answer does not end");
    let body = "x".repeat(MAX_BODY);
    let answer = read(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).unwrap();
    assert_eq!(answer.body.len(), MAX_BODY);
}

#[test]
fn errors_of_the_stream_are_kept_and_interruptions_passed_over() {
    struct Failing(Vec<io::ErrorKind>);
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.remove(0).into())
        }
    }
    let kinds = vec![io::ErrorKind::Interrupted, io::ErrorKind::Interrupted, io::ErrorKind::ConnectionReset];
    match read_answer(&mut Failing(kinds)) {
        Err(Fault::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_says_its_length_in_bytes() {
    let request = String::from_utf8(request("{\"é\":1}")).unwrap();
    assert!(request.starts_with("POST /v1/cni HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nContent-Length: 8\r\n"), "{request}");
    assert!(request.contains("\r\nHost: ") && request.contains("\r\nConnection: close\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"é\":1}"), "{request}");
}
