//! The floor of what a popup takes: an HTTP server that turns a push into a `Notify` at once, and does nothing else.

use std::{collections::HashMap, convert::Infallible, net::SocketAddr};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use zbus::{Connection, connection, zvariant};

pub(crate) fn main(port: &str, bus: &str) {
    let port = port.parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let builder = connection::Builder::address(bus).expect("the address of a bus");
        let bus = builder.build().await.expect("the bus answers");
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("the port is free");
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a connected socket");
            let bus = bus.clone();
            let service = service_fn(move |request| answer(request, bus.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

async fn answer(request: Request<Incoming>, bus: Connection) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    let push: Value = serde_json::from_slice(&body).expect("a push");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let notification = &push["notification"];
    let title = format!("{} in {}", text(&notification["sender_display_name"]), text(&notification["room_name"]));
    let arguments = (
        "floor",
        0_u32,
        "",
        title,
        text(&notification["content"]["body"]),
        vec!["default", "Open"],
        HashMap::<&str, zvariant::Value<'_>>::from([("category", "im.received".into())]),
        -1_i32,
    );
    let (service, path) = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications");
    bus.call_method(Some(service), path, Some(service), "Notify", &arguments).await.expect("the service answers");
    Ok(Response::new(Full::new(Bytes::from_static(br#"{"rejected":[]}"#))))
}
