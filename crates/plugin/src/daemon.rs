//! Asking the daemon, and what to tell the runtime when it is away (O2, O3).

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::call::{Call, Command};
use crate::config::{Config, SOCKET_ENV};
use crate::error::{Error, code};
use crate::http::{self, Answer, Fault};
use crate::json::{self, Object};
use crate::pending;

/// How long an answer may take. A daemon under load takes seconds; runtimes give up after minutes.
///
/// There is no limit of ours on connecting: that waits only while the daemon's queue of connections is full, std has
/// no way to bound it, a thread to watch it would cost every ADD more than the round trip itself, and it ends when
/// the daemon does.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// For DEL, which need not wait: it is left for later.
const DEL_LIMIT: Duration = Duration::from_secs(20);

/// For STATUS: a daemon that takes longer to say that it is well is not.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// HTTP status of a daemon that starts or stops.
const DRAINING: u16 = 503;

/// HTTP status of a daemon that lets nobody but root call.
const FORBIDDEN: u16 = 403;

/// How much of an answer that makes no sense is shown, in bytes.
const EXCERPT: usize = 200;

/// What goes to stdout, on success and on failure, whether the daemon or we ourselves say it.
type Verdict = Result<Vec<u8>, Vec<u8>>;

/// The daemon cannot be asked, or its answer cannot be relied on.
#[derive(Debug)]
struct Away {
    why: String,
    /// It took the request but did not answer in time: there is no use in asking it once more.
    timed_out: bool,
}

/// Takes `call` to the daemon.
pub(crate) fn carry(call: &Call, config: &Config<'_>) -> Verdict {
    let tell = |error: Error| error.to_json(config.version);
    let socket = config.socket(call.command, env::var_os(SOCKET_ENV)).map_err(tell)?;
    let daemon = Daemon { socket: &socket, command: call.command, limit: limit(call.command) };
    let body = call.body(config.json);
    let request = http::request(&body);
    let away = match daemon.ask(&request) {
        Ok(verdict) => return verdict,
        Err(away) => away,
    };
    match call.command {
        Command::Add | Command::Check | Command::Gc => Err(tell(later(call.command, &away))),
        Command::Status => Err(tell(Error::new(code::NOT_AVAILABLE, away.why, NEXT))),
        Command::Del => {
            let file = pending::leave(&socket, call, &config.network, &body)
                .map_err(|why| tell(neither(&away, &why)))?;
            if daemon.does_it_after_all(&request, &away) {
                pending::remove(&file);
            }
            Ok(Vec::new())
        }
    }
}

fn limit(command: Command) -> Duration {
    match command {
        Command::Add | Command::Check | Command::Gc => ANSWER_LIMIT,
        Command::Del => DEL_LIMIT,
        Command::Status => STATUS_LIMIT,
    }
}

const NEXT: &str = "start `allot agent` in a cluster, else `allot standalone`; `allot ready` tells when it serves. \
                    Another socket is named by `ipam.socket` or ALLOTMENT_SOCKET";

fn later(command: Command, away: &Away) -> Error {
    let msg = format!("{} has to wait: {}", command.name(), away.why);
    Error::new(
        code::TRY_AGAIN_LATER,
        msg,
        format!("try again later: the same call then gets the same answer. {NEXT}"),
    )
}

fn neither(away: &Away, why: &str) -> Error {
    let msg = format!("DEL has to wait: {}; nor can it be left for later: {why}", away.why);
    Error::new(code::TRY_AGAIN_LATER, msg, NEXT)
}

/// Where the daemon is to be found, and what it is asked to do.
struct Daemon<'a> {
    socket: &'a Path,
    command: Command,
    limit: Duration,
}

impl Daemon<'_> {
    /// Asks once more, now that the DEL is left for later: a daemon that looked for waiting DELs between the first
    /// attempt and the file has not seen it, but listens by now. One that did not answer in time is not asked again.
    fn does_it_after_all(&self, request: &[u8], away: &Away) -> bool {
        !away.timed_out && matches!(self.ask(request), Ok(Ok(_)))
    }

    fn ask(&self, request: &[u8]) -> Result<Verdict, Away> {
        let place = self.socket.display();
        let away = |why: String| Away { why, timed_out: false };
        let stream = UnixStream::connect(self.socket)
            .map_err(|error| away(format!("no daemon answers at `{place}`: {error}")))?;
        match exchange(&stream, request, Instant::now() + self.limit) {
            Ok(answer) => judge(self.command, answer).map_err(away),
            Err(Fault::Io(error)) if is_timeout(&error) => Err(Away {
                why: format!("the daemon at `{place}` did not answer within {} s", self.limit.as_secs()),
                timed_out: true,
            }),
            Err(Fault::Io(error)) => Err(away(format!("the daemon at `{place}` broke off: {error}"))),
            Err(Fault::Garbled(what)) => Err(away(format!("the daemon at `{place}` makes no sense: {what}"))),
        }
    }
}

fn exchange(stream: &UnixStream, request: &[u8], deadline: Instant) -> Result<Answer, Fault> {
    let mut timed = Timed { stream, deadline };
    if let Err(error) = timed.write_all(request) {
        // A daemon that refuses may answer before it has read everything.
        return if is_timeout(&error) {
            Err(error.into())
        } else {
            http::read_answer(&mut timed).map_err(|_| error.into())
        };
    }
    http::read_answer(&mut timed)
}

/// What the answer means; else why it is none.
fn judge(command: Command, answer: Answer) -> Result<Verdict, String> {
    let object = Object::parse(&answer.body).ok();
    if answer.status == FORBIDDEN {
        return Err("the daemon lets only root call it".to_owned());
    }
    if answer.status == 200 {
        return match object {
            None if command == Command::Add => Err("the daemon answered ADD without a result".to_owned()),
            _ => Ok(Ok(answer.body)),
        };
    }
    let code = object.as_ref().and_then(|error| error.get("code")).and_then(|code| code.parse::<u32>().ok());
    let msg = object.as_ref().and_then(|error| error.get("msg")).and_then(json::string);
    let (Some(code), Some(msg)) = (code, msg) else {
        let text = String::from_utf8_lossy(answer.body.get(..EXCERPT).unwrap_or(&answer.body));
        return Err(format!(
            "the daemon answered with HTTP status {} and no CNI error: {text}",
            answer.status
        ));
    };
    match command {
        // STATUS knows two codes only, and a DEL need not wait.
        Command::Status if answer.status == DRAINING && !(50..=51).contains(&code) => Err(msg.into_owned()),
        Command::Del if answer.status == DRAINING => Err(msg.into_owned()),
        _ => Ok(Err(answer.body)),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A stream on which everything together ends by the deadline, however small the pieces are.
struct Timed<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Duration> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests;
