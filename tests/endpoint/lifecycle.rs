//! Shutting down, and clients that disconnect.

use std::time::Duration;

use pushbell::{
    accounts::Accounts,
    http::{self, Limits},
    intake::Intake,
    resume::ResumeWindow,
};
use tokio::net::TcpStream;

use crate::support::{Client, Mode, PATH, Recording, Server, accounts, push, request, serve, soon};

const KNOWN: &[&str] = &["alices-key"];

#[tokio::test]
async fn a_shutdown_finishes_running_requests_and_closes_the_rest() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.ask("GET", "/health", b"").await.status, 200);
    let mut untouched = server.connect().await;
    server.recording.set(Mode::Hangs);
    let mut busy = server.connect().await;
    busy.send(&request("POST", PATH, &push(KNOWN))).await;
    server.recording.has_begun(1).await;

    let (address, recording) = (server.address, server.recording.clone());
    let task = server.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert_eq!(idle.end().await, b"");
    assert_eq!(untouched.end().await, b"");
    recording.set(Mode::Works);

    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(busy.end().await, b"");
    soon(task).await.unwrap();
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_ever() {
    let server = Server::with(Limits { drain_time: Duration::from_millis(100), ..Limits::default() }).await;
    server.recording.set(Mode::Hangs);
    let mut busy = server.connect().await;
    busy.send(&request("POST", PATH, &push(KNOWN))).await;
    server.recording.has_begun(1).await;

    let task = server.stop().await;

    soon(task).await.unwrap();
    assert_eq!(busy.end().await, b"");
}

#[tokio::test]
async fn what_a_client_sent_before_it_left_is_recorded() {
    let server = Server::start().await;
    server.recording.set(Mode::Hangs);
    let mut client = server.connect().await;
    client.send(&request("POST", PATH, &push(KNOWN))).await;
    server.recording.has_begun(1).await;
    drop(client);
    assert_eq!(server.push(&["stranger"]).await.status, 200, "by now the server knows that it has left");

    server.recording.set(Mode::Works);

    server.recording.has_done(1).await;
    assert_eq!(server.recording.count(), 1);
}

#[tokio::test]
async fn every_address_is_served() {
    let server = Server::start().await;
    let (other, _serving) = serve(&server.http).await;
    for address in [server.address, other, server.address, server.address] {
        assert_eq!(Client::connect(address).await.ask("GET", "/health", b"").await.status, 200);
    }
}

#[tokio::test]
async fn a_push_delivered_after_a_sleep_is_recorded_as_delayed() {
    let recording = Recording::new(Mode::Works);
    let intake = Intake::new(recording.clone(), accounts());
    let resume_window = ResumeWindow::default();
    let (address, _serving) = serve(&http::Server::new(intake, resume_window.clone(), Limits::default())).await;
    resume_window.open();
    Client::connect(address).await.ask("POST", PATH, &push(KNOWN)).await;
    assert!(recording.deliveries()[0].replayed);
}

#[tokio::test]
async fn a_client_that_leaves_at_any_point_harms_nobody() {
    let server = Server::start().await;
    let whole = request("POST", PATH, &push(KNOWN));
    for sent in (0..=whole.len()).step_by(5) {
        server.connect().await.send(&whole[..sent]).await;
    }
    assert_eq!(server.push(KNOWN).await.status, 200);
    server.intake.set_accounts(Accounts::empty());
    assert_eq!(server.push(KNOWN).await.rejected(), KNOWN);
}
