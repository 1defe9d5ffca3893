//! The running program's end of the control socket.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{LONGEST_LINE, Reply, Request};
use crate::platform::control_socket::ControlListener;

/// Maximum number of clients served at the same time, besides those that wait for a push; more queue.
const MAX_CLIENTS: usize = 8;
/// Maximum number of clients that wait for a push; more are refused.
const MAX_WAITING: usize = 8;
/// Time limit for reading a request, and for writing its reply.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time limit for carrying out a request.
const BUSY: Duration = Duration::from_secs(8);
/// Pause after a failure to accept a connection.
const BACK_OFF: Duration = Duration::from_millis(200);

/// A request, and the channel for its reply.
pub type Command = (Request, oneshot::Sender<Reply>);

/// Passes requests on, until `shutdown`; then closes open connections.
pub async fn serve(listener: ControlListener, commands: mpsc::Sender<Command>, shutdown: impl Future<Output = ()>) {
    serve_all(|| listener.accept(), commands, shutdown).await;
}

async fn serve_all<S, A>(accept: impl Fn() -> A, commands: mpsc::Sender<Command>, shutdown: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Future<Output = io::Result<S>>,
{
    let (clients_limit, waiting_limit) = (Arc::new(Semaphore::new(MAX_CLIENTS)), Arc::new(Semaphore::new(MAX_WAITING)));
    let mut clients = JoinSet::new();
    let mut is_failing = false;
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            // Nobody closes the semaphore.
            let permit = Arc::clone(&clients_limit).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((accept().await?, permit))
        };
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = clients.join_next() => {}
            accepted = accepted => match accepted {
                Ok((stream, permit)) => {
                    is_failing = false;
                    clients.spawn(converse(stream, commands.clone(), permit, Arc::clone(&waiting_limit)));
                }
                Err(error) => {
                    // Logged once for a run of failures.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "no command can reach Pushbell now; trying again");
                    }
                    tokio::select! { () = &mut shutdown => return, () = sleep(BACK_OFF) => {} }
                }
            },
        }
    }
}

/// Serves one client. To wait for a push, it exchanges `permit` for one of `waiting_limit`.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    commands: mpsc::Sender<Command>,
    mut permit: OwnedSemaphorePermit,
    waiting_limit: Arc<Semaphore>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let asked = timeout(PATIENCE, (&mut stream).take(LONGEST_LINE).read_until(b'\n', &mut line)).await;
    if !matches!(asked, Ok(Ok(_))) || line.is_empty() {
        return;
    }
    let reply = match serde_json::from_slice::<Request>(&line) {
        Ok(request) if request.waits().is_none() => pass_on(request, &commands).await,
        Ok(request) => match waiting_limit.try_acquire_owned() {
            Ok(waiting) => {
                permit = waiting;
                tokio::select! {
                    reply = pass_on(request, &commands) => reply,
                    // A client sends nothing more: anything read means that it has ended.
                    _ = stream.read_u8() => return,
                }
            }
            Err(_) => failed("too many commands wait for a push already: end one, or try again later"),
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
    // The client may have ended.
    let _ = timeout(PATIENCE, stream.get_mut().write_all(&answer)).await;
    drop(permit);
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
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use tempfile::TempDir;
    use tokio::{sync::Notify, task::JoinHandle};

    use super::*;
    use crate::{
        control::{AskError, Instance, ask, ask_blocking},
        paths::Paths,
        platform::control_socket,
    };

    /// A real socket, served by a program that does what it is told.
    struct Program {
        paths: Paths,
        serving: JoinHandle<()>,
        _home: TempDir,
    }

    impl Program {
        fn start() -> Self {
            let home = tempfile::tempdir().unwrap();
            let paths = Paths::within(home.path());
            let listener = ControlListener::bind(&paths.control[0]).unwrap();
            let (commands, mut asked) = mpsc::channel::<Command>(4);
            let answering = async move {
                let mut kept = Vec::new();
                while let Some((request, answer)) = asked.recv().await {
                    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are answered in the same way")]
                    let reply = match request {
                        Request::ReloadAccounts => Reply::Failed { reason: "no such file".into() },
                        // Dropping the answer: a program that ends before it has answered.
                        Request::Status | Request::ReloadConfiguration => continue,
                        Request::WaitForPush { account, since, .. } if account == "home" => Reply::Pushed { at: since },
                        Request::WaitForPush { .. } => {
                            kept.push(answer);
                            continue;
                        }
                        _ => Reply::Done,
                    };
                    answer.send(reply).unwrap();
                }
            };
            let serving = tokio::spawn(async move {
                tokio::join!(serve(listener, commands, std::future::pending()), answering);
            });
            Self { paths, serving, _home: home }
        }

        async fn ask(&self, request: Request) -> Result<Reply, String> {
            ask(&self.paths, &request).await.map_err(|error| error.to_string())
        }

        async fn connect(&self) -> impl AsyncRead + AsyncWrite + Send + Unpin + use<> {
            control_socket::connect(&self.paths.control[0]).await.unwrap()
        }

        async fn raw(&self, bytes: &[u8]) -> String {
            let mut stream = self.connect().await;
            stream.write_all(bytes).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            answer
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            self.serving.abort();
        }
    }

    fn wait_for(account: &str, seconds: u32) -> Request {
        let since = "2026-11-22T08:00:00Z".parse().unwrap();
        Request::WaitForPush { account: account.into(), since, seconds }
    }

    /// The other end of a conversation of its own.
    fn conversation(stream: tokio::io::DuplexStream, commands: mpsc::Sender<Command>) -> impl Future<Output = ()> {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        converse(stream, commands, permit, Arc::new(Semaphore::new(1)))
    }

    #[tokio::test]
    async fn a_command_is_passed_on_and_its_answer_comes_back() {
        let program = Program::start();
        let until = Some("2026-11-22T08:00:00Z".parse().unwrap());
        for request in [Request::Clear, Request::Pause { until }] {
            assert_eq!(program.ask(request).await, Ok(Reply::Done));
        }
        let failed = |reason: &str| Err(reason.to_owned());
        assert_eq!(program.ask(Request::ReloadAccounts).await, failed("no such file"));
        assert_eq!(program.ask(Request::Status).await, failed("Pushbell is about to end"));
    }

    #[tokio::test]
    async fn who_waits_for_a_push_is_told_of_it_or_that_none_came() {
        let program = Program::start();
        let at = "2026-11-22T08:00:00Z".parse().unwrap();
        assert_eq!(program.ask(wait_for("home", 60)).await, Ok(Reply::Pushed { at }));
        assert_eq!(program.ask(wait_for("silent", 1)).await, Ok(Reply::Done));
        assert_eq!(program.ask(wait_for("silent", 0)).await, Ok(Reply::Done));
    }

    #[tokio::test]
    async fn a_request_that_is_none_is_answered_and_harms_nobody() {
        let program = Program::start();
        let answer = program.raw(b"{\"request\":\"explode\"}\n").await;
        assert!(answer.starts_with("{\"reply\":\"failed\",\"reason\":\"this"), "{answer}");
        assert!(program.raw(b"\xff\xfe\n").await.starts_with("{\"reply\":\"failed\""));
        assert_eq!(program.ask(Request::Clear).await, Ok(Reply::Done));
    }

    #[tokio::test]
    async fn a_line_without_end_is_read_only_so_far() {
        let program = Program::start();
        let mut stream = program.connect().await;
        // The server stops reading before all of it is written.
        let mut written = 0;
        while stream.write_all(&[b' '; 16 * 1024]).await.is_ok() {
            written += 1;
            assert!(written < 256);
        }
        assert_eq!(program.ask(Request::Clear).await, Ok(Reply::Done));
    }

    #[tokio::test]
    async fn more_clients_than_are_served_at_once_all_get_their_turn() {
        let program = Program::start();
        let mut idle = Vec::new();
        for _ in 0..MAX_CLIENTS - 1 {
            idle.push(program.connect().await);
        }
        let mut asking = JoinSet::new();
        for _ in 0..20 {
            let paths = program.paths.clone();
            asking.spawn(async move { ask(&paths, &Request::Clear).await.unwrap() });
        }
        while let Some(reply) = asking.join_next().await {
            assert_eq!(reply.unwrap(), Reply::Done);
        }
    }

    #[tokio::test]
    async fn clients_that_wait_for_a_push_are_limited_and_block_nobody() {
        let program = Program::start();
        let request = [serde_json::to_vec(&wait_for("silent", 3600)).unwrap(), b"\n".to_vec()].concat();
        let mut waiting = Vec::new();
        for _ in 0..MAX_WAITING {
            let mut client = program.connect().await;
            client.write_all(&request).await.unwrap();
            waiting.push(client);
        }
        assert_eq!(program.ask(Request::Clear).await, Ok(Reply::Done));
        let reason = program.ask(wait_for("silent", 3600)).await.unwrap_err();
        assert!(reason.contains("too many"), "{reason}");
        // Those who go make room.
        drop(waiting);
        while !matches!(program.ask(wait_for("home", 60)).await, Ok(Reply::Pushed { .. })) {}
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_not_waited_for() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (commands, _asked) = mpsc::channel(1);
        client.write_all(b"{\"request\":").await.unwrap();
        let start = tokio::time::Instant::now();
        conversation(server, commands).await;
        assert_eq!(start.elapsed(), PATIENCE);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_is_too_busy_says_so() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (commands, _asked) = mpsc::channel(1);
        client.write_all(b"{\"request\":\"clear\"}\n").await.unwrap();
        conversation(server, commands).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "{\"reply\":\"failed\",\"reason\":\"Pushbell is too busy to answer\"}\n");
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

    #[test]
    fn a_lock_without_a_socket_is_told_from_nobody() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        assert!(matches!(ask_blocking(&paths, &Request::Clear), Err(AskError::NotRunning)));
        let _instance = Instance::acquire(&paths, Duration::ZERO).unwrap();
        let error = ask_blocking(&paths, &Request::Clear).unwrap_err();
        assert!(matches!(error, AskError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("pushbell.lock"), "{error}");
    }
}
