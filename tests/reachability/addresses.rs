//! Several addresses of both families. `tests/faults/network.rs` tests an address that appears later.

use std::{collections::BTreeSet, net::SocketAddr};

use serde_json::json;

use crate::{
    app::{App, DUNST},
    line::KeepAliveConnection,
    recipes::{adapt, blocks},
    rig::pushbell::{address, message},
};

fn listens(app: &App, expected: &[String]) {
    let expected: BTreeSet<_> = expected.iter().cloned().collect();
    app.pushbell.wait_for_status(&format!("it listens on {expected:?}"), |status| {
        let listen: BTreeSet<String> = serde_json::from_value(status["listen"].clone()).expect("a list of addresses");
        listen == expected && status["problems"] == json!([])
    });
}

fn push(app: &App, at: SocketAddr, event: &str) {
    KeepAliveConnection::plain(at)
        .expect("it listens there")
        .push(&address(&app.account, message(event, "room", "text")));
}

#[test]
fn all_addresses_of_both_families_are_listened_on_with_one_port() {
    let app = App::start(DUNST, "");
    let port = app.pushbell.port;
    let v4: SocketAddr = ([127, 0, 0, 1], port).into();
    let v6: SocketAddr = (std::net::Ipv6Addr::LOCALHOST, port).into();
    // As in the recipe. Neither the order nor the previous addresses may matter.
    let both = adapt(blocks("Same network", "toml")[1], &[(":7874\"", &format!(":{port}\""))]);
    app.pushbell.configure(&format!("[server]\nlisten = [\"[::1]:{port}\"]"));
    listens(&app, &[format!("[::1]:{port}")]);
    push(&app, v6, "1");
    assert!(KeepAliveConnection::plain(v4).is_err());
    // Our own previous address does not conflict.
    app.pushbell.configure(&format!("[server]\nlisten = [\"127.0.0.1:{port}\"]"));
    listens(&app, &[format!("127.0.0.1:{port}")]);
    app.pushbell.configure(&both);
    listens(&app, &[format!("0.0.0.0:{port}"), format!("[::]:{port}")]);
    push(&app, v4, "2");
    push(&app, v6, "3");
    app.pushbell.configure(&format!("[server]\nlisten = [\"[::]:{port}\"]"));
    listens(&app, &[format!("[::]:{port}")]);
    push(&app, v6, "4");
    assert!(KeepAliveConnection::plain(v4).is_err(), "`[::]` is IPv6 alone");
    app.pushbell.configure(&format!("[server]\nlisten = [\"0.0.0.0:{port}\", \"[::]:{port}\"]"));
    listens(&app, &[format!("0.0.0.0:{port}"), format!("[::]:{port}")]);
    push(&app, v4, "5");
    app.pushbell.configure(&format!("[server]\nlisten = [\"127.0.0.1:{port}\"]"));
    listens(&app, &[format!("127.0.0.1:{port}")]);
    push(&app, v4, "6");
    // Listening on all addresses includes each of them.
    app.pushbell.configure(&format!("[server]\nlisten = [\"127.0.0.1:{port}\", \"0.0.0.0:{port}\", \"[::1]:{port}\"]"));
    listens(&app, &[format!("0.0.0.0:{port}"), format!("[::1]:{port}")]);
    push(&app, v4, "7");
    assert_eq!(app.pushbell.history().len(), 7);
}

#[test]
fn an_address_that_another_program_has_changes_nothing() {
    let app = App::start(DUNST, "");
    let port = app.pushbell.port;
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = other.local_addr().expect("it is bound");
    app.pushbell.configure(&format!("[server]\nlisten = [\"{taken}\"]"));
    let told = app.pushbell.wait_for_status("it says so", |status| status["problems"] != json!([]));
    assert!(told["problems"].to_string().contains(&format!("{taken} is in use by another program")), "{told}");
    assert_eq!(told["listen"], json!([format!("127.0.0.1:{port}")]));
    // Also when our own address had to be released first: another program uses the port on a third one.
    let other = std::net::TcpListener::bind(("127.0.0.2", port)).expect("it is free");
    app.pushbell.configure(&format!("[server]\nlisten = [\"0.0.0.0:{port}\"]"));
    let told = app.pushbell.wait_for_status("it says so", |status| {
        status["problems"].to_string().contains(&format!("0.0.0.0:{port} is in use"))
    });
    assert_eq!(told["listen"], json!([format!("127.0.0.1:{port}")]));
    push(&app, ([127, 0, 0, 1], port).into(), "1");
    drop(other);
}
