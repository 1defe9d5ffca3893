//! Who gets in, and what others get.

use std::{
    io::{ErrorKind, Read},
    net::TcpStream,
    process::Command,
};

use rustix::process::getuid;

use crate::{
    rig::{Desktop, DesktopOptions, Pushbell, SOON, process, pushbell::message, wait_for, wait_until},
    visit::{Address, Visit, exchange, get, post},
};

fn start() -> (Desktop, Pushbell) {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    (desktop, pushbell)
}

#[test]
fn an_address_lets_in_once_and_nobody_enters_without_one() {
    let (_desktop, pushbell) = start();
    let address = Address::of(&pushbell, "health");
    let enter = get(&address.host, &address.path, "");
    // Nobody but the page's own host is answered: a name that somebody has made to lead here is another.
    for host in ["evil.example", &format!("evil.example:{}", address.port), "localhost", "127.0.0.1:1"] {
        assert_eq!(exchange(address.port, &get(host, &address.path, "")).unwrap().status, 421, "{host}");
    }
    let entered = exchange(address.port, &enter).unwrap();
    assert_eq!((entered.status, entered.header("location")), (303, Some("/health")));
    let again = exchange(address.port, &enter).unwrap();
    assert!(again.status == 403 && again.body.contains("open</code>"), "{again:?}");

    for cookie in ["", "pushbell=", "pushbell=guessed"] {
        for path in ["/", "/inbox", "/setup", "/settings", "/health", "/events", "/enter", "/enter?token=guessed"] {
            let answer = exchange(address.port, &get(&address.host, path, cookie)).unwrap();
            assert_eq!(answer.status, 403, "{path} {cookie}");
        }
    }
    let visit = Visit::begin(&pushbell, "inbox");
    for path in ["/inbox", "/setup", "/settings", "/health", "/style.css", "/page.js", "/nothing"] {
        let answer = visit.get(path);
        assert_eq!(answer.status, if path == "/nothing" { 404 } else { 200 }, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert!(!pushbell.log().contains("token="), "no address is logged");
}

#[test]
fn only_a_form_of_the_page_itself_changes_anything() {
    let (_desktop, pushbell) = start();
    let visit = Visit::begin(&pushbell, "settings");
    let (token, own) = (visit.token(), format!("http://{}", visit.host));
    let before = std::fs::read_to_string(pushbell.config_file()).unwrap();
    let set = [("section", "popup"), ("key", "lines"), ("value", "7")];
    let with = |token: &'static str| [&[("token", token)], &set[..]].concat();
    let send = |origin: Option<&str>, cookie: &str, fields: &[(&str, &str)]| {
        exchange(visit.port, &post(&visit.host, "/settings/set", cookie, origin, fields)).unwrap().status
    };
    let good = [&[("token", token.as_str())], &set[..]].concat();
    for origin in
        [None, Some("null"), Some("http://evil.example"), Some(&*own.replace(':', "://x:")), Some(&visit.host)]
    {
        assert_eq!(send(origin, &visit.cookie, &good), 403, "{origin:?}");
    }
    assert_eq!(send(Some(&own), &visit.cookie, &set), 403, "without a token");
    assert_eq!(send(Some(&own), &visit.cookie, &with("guessed")), 403);
    assert_eq!(send(Some(&own), "", &good), 403, "without the cookie");
    let by_address =
        get(&visit.host, &format!("/settings/set?token={token}&section=popup&key=lines&value=7"), &visit.cookie);
    assert_eq!(exchange(visit.port, &by_address).unwrap().status, 404);
    assert_eq!(std::fs::read_to_string(pushbell.config_file()).unwrap(), before);
    assert_eq!(send(Some(&own), &visit.cookie, &good), 303);
    assert!(std::fs::read_to_string(pushbell.config_file()).unwrap().contains("lines = 7"));
}

#[test]
fn another_user_of_the_computer_gets_no_byte() {
    let (_desktop, pushbell) = start();
    let address = Address::of(&pushbell, "inbox");
    let request = get(&address.host, &address.path, "").replace("\r\n", "\\r\\n");
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}; printf '{request}' >&3; cat <&3", address.port);
    let asks = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).args(["bash", "-c", &script]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).into_owned(), stderr)
    };
    // With the very address, which anybody can read who sees the browser's command line.
    let other: &[&str] = if getuid().is_root() { &OTHER_USER } else { &["sudo", "-n", "-u", "nobody"] };
    let (other, problem) = asks(other[0], &other[1..]);
    assert_eq!(other, "", "{problem}");
    assert!(!problem.contains("setpriv") && !problem.contains("refused"), "it has asked: {problem}");
    let (own, _) = asks("env", &[]);
    assert!(own.starts_with("HTTP/1.1 303"), "the address is still good: {own}");
}

/// What runs a program as another user.
const OTHER_USER: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn many_connections_do_no_harm() {
    let (_desktop, pushbell) = start();
    let visit = Visit::begin(&pushbell, "inbox");
    process::raise_open_files(1024);
    let mut idle: Vec<_> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", visit.port)).unwrap()).collect();
    for stream in &idle {
        stream.set_nonblocking(true).unwrap();
    }
    let mut closed = 0;
    wait_until("those beyond the limit are closed", SOON, || {
        idle.retain_mut(|stream| {
            let is_closed = !stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            closed += usize::from(is_closed);
            !is_closed
        });
        closed >= 100 - 64
    });
    let account = pushbell.account();
    pushbell.notify(&account, message("1", "r", "the endpoint goes on"));
    drop(idle);
    wait_until("the page is there again", SOON, || {
        exchange(visit.port, &get(&visit.host, "/inbox", &visit.cookie))
            .is_some_and(|answer| answer.body.contains("the endpoint goes on"))
    });
}

#[test]
fn nothing_listens_before_somebody_looks() {
    let (_desktop, mut pushbell) = start();
    let pid = pushbell.app().pid();
    let listens = || {
        let sockets = process::run("ss", &["-Hltnp"], &[("PATH".to_owned(), process::PATH.to_owned())]);
        sockets.lines().filter(|line| line.contains(&format!("pid={pid},"))).count()
    };
    let before = wait_for("the endpoint listens", SOON, || Some(listens()).filter(|count| *count > 0));
    assert_eq!(before, 1, "the endpoint alone");
    let address = Address::of(&pushbell, "inbox");
    assert!(listens() > before && address.port != pushbell.port);
}
