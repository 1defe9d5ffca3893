//! The running program's end of the control socket.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{LONGEST_LINE, Reply, Request};
use crate::platform::control_socket::ControlListener;

/// Most commands that are served at the same time; others wait.
const MOST_CLIENTS: usize = 8;
/// How long a client may take to ask, and to read its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the program may take to do what was asked.
const BUSY: Duration = Duration::from_secs(8);
/// Pause after the system could not accept a connection.
const BACK_OFF: Duration = Duration::from_millis(200);

/// A request, and where its answer goes.
pub type Command = (Request, oneshot::Sender<Reply>);

/// Passes on what commands ask, until `shutdown`. Connections that are still open then are closed.
pub async fn serve(listener: ControlListener, commands: mpsc::Sender<Command>, shutdown: impl Future<Output = ()>) {
    serve_all(|| listener.accept(), commands, shutdown).await;
}

async fn serve_all<S, A>(accept: impl Fn() -> A, commands: mpsc::Sender<Command>, shutdown: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Future<Output = io::Result<S>>,
{
    let mut clients = JoinSet::new();
    let mut is_failing = false;
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = clients.join_next() => {}
            accepted = accept(), if clients.len() < MOST_CLIENTS => match accepted {
                Ok(stream) => {
                    is_failing = false;
                    clients.spawn(converse(stream, commands.clone()));
                }
                Err(error) => {
                    // Said once: it is tried again for as long as it lasts.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "no command can reach Pushbell now; trying again");
                    }
                    tokio::select! { () = &mut shutdown => return, () = sleep(BACK_OFF) => {} }
                }
            },
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, commands: mpsc::Sender<Command>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let asked = timeout(PATIENCE, (&mut stream).take(LONGEST_LINE).read_until(b'\n', &mut line)).await;
    if !matches!(asked, Ok(Ok(_))) || line.is_empty() {
        return;
    }
    let reply = match serde_json::from_slice::<Request>(&line) {
        Ok(request) if request.waits().is_none() => pass_on(request, &commands).await,
        Ok(request) => tokio::select! {
            reply = pass_on(request, &commands) => reply,
            // A client says nothing more: whatever can be read is its end.
            _ = stream.read_u8() => return,
        },
        Err(error) => failed(&format!("this version of Pushbell does not know the request: {error}")),
    };
    let mut answer = match serde_json::to_vec(&reply) {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "a command could not be answered");
            return;
        }
    };
    answer.push(b'\n');
    // A client that is gone has no use for the answer.
    let _ = timeout(PATIENCE, stream.get_mut().write_all(&answer)).await;
}

async fn pass_on(request: Request, commands: &mpsc::Sender<Command>) -> Reply {
    let (answer, answered) = oneshot::channel();
    let waits = request.waits();
    let exchange = async {
        commands.send((request, answer)).await.ok()?;
        answered.await.ok()
    };
    match (timeout(waits.unwrap_or(BUSY), exchange).await, waits) {
        (Ok(Some(reply)), _) => reply,
        (Ok(None), _) => failed("Pushbell is about to end"),
        (Err(_), Some(_)) => Reply::Done,
        (Err(_), None) => failed("Pushbell is too busy to answer"),
    }
}

fn failed(reason: &str) -> Reply {
    Reply::Failed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        path::{Path, PathBuf},
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use tokio::sync::Notify;

    use super::*;
    use crate::{
        control::{AskError, ask},
        platform::control_socket,
    };

    /// Serves a real socket with a program that does what it is told, while `client` runs on a thread of its own.
    fn with_server<T: Send + 'static>(client: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = ControlListener::bind(&path).unwrap();
            let (commands, mut asked) = mpsc::channel::<Command>(4);
            let (finished, finish) = oneshot::channel();
            let client = thread::spawn({
                let path = path.clone();
                move || {
                    let result = client(path);
                    finished.send(()).unwrap();
                    result
                }
            });
            let answers = async {
                let mut kept = Vec::new();
                while let Some((request, answer)) = asked.recv().await {
                    let reply = match request {
                        Request::Clear | Request::Resume | Request::Pause { .. } | Request::ReloadAutostart => {
                            Reply::Done
                        }
                        Request::ReloadAccounts => Reply::Failed { reason: "no such file".into() },
                        // Dropping the answer: a program that ends before it has answered.
                        Request::Status | Request::ReloadConfiguration => continue,
                        Request::WaitForPush { account, since, .. } if account == "home" => Reply::Pushed { at: since },
                        Request::WaitForPush { .. } => {
                            kept.push(answer);
                            continue;
                        }
                    };
                    answer.send(reply).unwrap();
                }
            };
            let serving = serve(listener, commands, async { finish.await.unwrap() });
            tokio::join!(serving, answers);
            client.join().unwrap()
        })
    }

    fn raw(path: &Path, bytes: &[u8]) -> String {
        let mut stream = control_socket::connect(path, Duration::from_secs(10)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn a_command_is_passed_on_and_its_answer_comes_back() {
        let replies = with_server(|path| {
            let until = Some("2026-11-22T08:00:00Z".parse().unwrap());
            [Request::Clear, Request::Pause { until }, Request::ReloadAccounts, Request::Status]
                .map(|request| ask(&path, &request).unwrap())
        });
        let expected = [
            Reply::Done,
            Reply::Done,
            Reply::Failed { reason: "no such file".into() },
            Reply::Failed { reason: "Pushbell is about to end".into() },
        ];
        assert_eq!(replies, expected);
    }

    #[test]
    fn who_waits_for_a_push_is_told_of_it_or_that_none_came() {
        let since: jiff::Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let replies = with_server(move |path| {
            [("home", 60), ("silent", 1), ("silent", 0)].map(|(account, seconds)| {
                ask(&path, &Request::WaitForPush { account: account.into(), since, seconds }).unwrap()
            })
        });
        assert_eq!(replies, [Reply::Pushed { at: since }, Reply::Done, Reply::Done]);
    }

    #[test]
    fn a_request_that_is_none_is_answered_and_harms_nobody() {
        with_server(|path| {
            assert!(raw(&path, b"{\"request\":\"explode\"}\n").starts_with("{\"reply\":\"failed\",\"reason\":\"this"));
            assert!(raw(&path, b"\xff\xfe\n").starts_with("{\"reply\":\"failed\""));
            assert_eq!(ask(&path, &Request::Clear).unwrap(), Reply::Done);
        });
    }

    #[test]
    fn a_line_without_end_is_read_only_so_far() {
        let answer = with_server(|path| {
            let mut stream = control_socket::connect(&path, Duration::from_secs(10)).unwrap();
            // The server stops reading before all of it is written.
            let refused = (0..256).any(|_| stream.write_all(&[b' '; 16 * 1024]).is_err());
            assert!(refused);
            ask(&path, &Request::Clear).unwrap()
        });
        assert_eq!(answer, Reply::Done);
    }

    #[test]
    fn more_clients_than_are_served_at_once_all_get_their_turn() {
        with_server(|path| {
            let idle: Vec<_> = (0..MOST_CLIENTS - 1)
                .map(|_| control_socket::connect(&path, Duration::from_secs(10)).unwrap())
                .collect();
            let asking: Vec<_> = (0..20)
                .map(|_| {
                    let path = path.clone();
                    thread::spawn(move || ask(&path, &Request::Clear).unwrap())
                })
                .collect();
            for client in asking {
                assert_eq!(client.join().unwrap(), Reply::Done);
            }
            drop(idle);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_not_waited_for() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (commands, _asked) = mpsc::channel(1);
        client.write_all(b"{\"request\":").await.unwrap();
        let start = tokio::time::Instant::now();
        converse(server, commands).await;
        assert_eq!(start.elapsed(), PATIENCE);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"");
    }

    #[test]
    fn a_run_of_failures_to_accept_is_logged_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = file.reopen().unwrap();
        let subscriber = tracing_subscriber::fmt().with_writer(Mutex::new(log)).finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (commands, _asked) = mpsc::channel(1);
        let (accepted, end) = (AtomicUsize::new(0), Notify::new());
        // Five failures, one client, and five failures more.
        let accept = || async {
            match accepted.fetch_add(1, Ordering::Relaxed) {
                5 => return Ok(tokio::io::duplex(1).0),
                11 => end.notify_one(),
                _ => {}
            }
            Err(io::Error::other("too many open files"))
        };
        tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(serve_all(accept, commands, end.notified()));
        });
        let said = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(said.matches("no command can reach Pushbell now").count(), 2, "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_is_too_busy_says_so() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (commands, _asked) = mpsc::channel(1);
        client.write_all(b"{\"request\":\"clear\"}\n").await.unwrap();
        converse(server, commands).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "{\"reply\":\"failed\",\"reason\":\"Pushbell is too busy to answer\"}\n");
    }

    #[test]
    fn who_waits_for_a_push_and_goes_makes_room_for_others() {
        let replies = with_server(|path| {
            let request =
                br#"{"request":"wait_for_push","account":"silent","since":"2026-11-22T08:00:00Z","seconds":3600}"#;
            let waiting: Vec<_> = (0..MOST_CLIENTS)
                .map(|_| {
                    let mut client = control_socket::connect(&path, Duration::from_secs(10)).unwrap();
                    client.write_all(&[request, &b"\n"[..]].concat()).unwrap();
                    client
                })
                .collect();
            drop(waiting);
            ask(&path, &Request::Clear).unwrap()
        });
        assert_eq!(replies, Reply::Done);
    }

    #[test]
    fn nobody_there_is_said_to_be_not_running() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        assert!(matches!(ask(&path, &Request::Clear), Err(AskError::NotRunning)));
        // A name of any length can stand for a pipe, but not for a socket.
        let path = directory.path().join("x".repeat(200));
        assert!(cfg!(windows) || matches!(ask(&path, &Request::Clear), Err(AskError::Unreachable { .. })));
    }
}
