//! Answers without an end, read line by line.

use http_body_util::BodyExt as _;
use hyper::{
    StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderValue, RETRY_AFTER},
};
use tokio::time::Duration;

use super::{HttpClient, Request, TransportError, TransportFault, host_of};

/// The head of an answer, and its lines.
pub(crate) struct LinesAnswer {
    pub(crate) status: StatusCode,
    /// `Retry-After`, where it is a number of seconds.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Lines,
}

/// The lines of an answer. The connection ends with it.
pub(crate) struct Lines {
    body: Incoming,
    host: String,
    /// What was read and is no whole line yet.
    read: Vec<u8>,
    /// So many bytes of it have no end of a line.
    searched: usize,
    max_line_bytes: usize,
}

impl HttpClient {
    /// Sends a request and returns as soon as its answer begins. Follows no redirect, and has no deadline of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn lines(
        &self,
        request: &Request<'_>,
        max_line_bytes: usize,
    ) -> Result<LinesAnswer, TransportError> {
        let (head, body) = self.begin(request, request.url).await?.into_parts();
        let retry_after = head.headers.get(RETRY_AFTER).map(HeaderValue::to_str).and_then(Result::ok);
        let retry_after = retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let body = Lines { body, host: host_of(request.url), read: Vec::new(), searched: 0, max_line_bytes };
        Ok(LinesAnswer { status: head.status, retry_after, body })
    }
}

impl Lines {
    /// The next line without its end; `None` when the answer has ended. Nothing is lost when this is dropped.
    ///
    /// # Errors
    /// When the connection breaks, or a line is too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        loop {
            if let Some(end) = self.read[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.pop();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.read.len();
            let error = |fault, reason| TransportError { host: self.host.clone(), fault, reason };
            if self.searched > self.max_line_bytes {
                let reason = format!("a line is longer than {} bytes", self.max_line_bytes);
                return Err(error(TransportFault::TooLarge, reason));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(broken)) => return Err(error(TransportFault::Broken, broken.to_string())),
                Some(Ok(frame)) => {
                    let data: Bytes = frame.into_data().unwrap_or_default();
                    self.read.extend_from_slice(&data);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn lines_arrive_as_they_are_sent_up_to_a_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none\ntw";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(format!("o\n\n{}", "x".repeat(20)).as_bytes()).await.unwrap();
            stream
        };
        let read = async {
            let client = HttpClient::new().unwrap();
            let mut lines = client.lines(&Request::new(Method::GET, &url), 10).await.unwrap().body;
            for expected in ["one", "two", ""] {
                assert_eq!(lines.next().await.unwrap().as_deref(), Some(expected.as_bytes()));
            }
            assert_eq!(lines.next().await.unwrap_err().fault, TransportFault::TooLarge);
        };
        tokio::join!(read, serve);
    }
}
