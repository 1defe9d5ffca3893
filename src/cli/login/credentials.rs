//! Signing in by one of the login flows that the homeserver offers.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use super::{Failure, Login, LoginContext, arguments, browser, person::Person};
use crate::{
    accounts::SignInMethod,
    homeserver::{HomeserverClient, HomeserverError, PasswordLogin, Session, Tokens, UserId, oauth},
    session,
};

/// Maximum number of attempts at the password.
const TRIES: usize = 3;
/// Maximum length of a password or token, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What was given on the command line.
pub(super) enum Credentials {
    /// `--password-file`
    Password(String),
    /// `--token-file`
    Token(String),
    /// Neither: ask the user, or open the browser.
    None,
}

impl Credentials {
    pub(super) fn read(asked: &arguments::Login) -> Result<Self, Failure> {
        match (&asked.password_file, &asked.token_file) {
            (Some(file), _) => read_secret(file).map(Self::Password),
            // Tokens have no spaces, but a copied line may.
            (None, Some(file)) => read_secret(file).map(|line| Self::Token(line.trim().to_owned())),
            (None, None) => Ok(Self::None),
        }
    }
}

/// The first line of a file, or of standard input for `-`.
pub(in crate::cli) fn read_secret(file: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // Only the first line: a terminal or pipe may never reach end of file.
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_until(b'\n', &mut bytes)
    } else {
        File::open(file).and_then(|opened| BufReader::new(opened.take(LONGEST)).read_until(b'\n', &mut bytes))
    };
    let told = |reason: String| Failure::Failed(format!("{}: {reason}", file.display()));
    read.map_err(|error| told(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| told("this is not text".to_owned()))?;
    // Editors on Windows write a byte order mark.
    match text.trim_start_matches('\u{feff}').lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(told("its first line is empty".to_owned())),
    }
}

/// Signs in. `device`: the device of an earlier password login, to be used again.
pub(super) async fn sign_in(
    login: &Login<'_>,
    context: &LoginContext,
    credentials: Credentials,
    device: Option<&str>,
    out: &mut dyn Write,
) -> Result<(Session, SignInMethod), Failure> {
    let client = &context.homeserver.client;
    match credentials {
        Credentials::Token(token) => return Ok((with_token(client, token).await?, SignInMethod::Token)),
        Credentials::Password(password) => {
            let session = with_password(login, client, &password, device).await;
            return Ok((session.map_err(|error| failure(&login.user, &error))?, SignInMethod::Password));
        }
        Credentials::None => {}
    }
    let flows = client.login_flows().await?;
    let has_browser_login = flows.sso || flows.password && matches!(oauth::metadata(client).await, Ok(Some(_)));
    let by_password = match &login.person {
        Some(person) if flows.password && has_browser_login => {
            let question = "Sign in with a password (else in the browser)?";
            // The page is in a browser already.
            let is_likely = person.page().is_none();
            login.confirm(out, question, is_likely).await?.unwrap_or(is_likely)
        }
        Some(_) => flows.password,
        None => false,
    };
    if by_password {
        return Ok((ask_password(login, client, device, out).await?, SignInMethod::Password));
    }
    let page = login.person.as_ref().and_then(Person::page);
    if let Some(signed_in) = browser::sign_in(client, flows.sso, &session::device_name(), page, out).await? {
        return Ok(signed_in);
    }
    Err(Failure::Failed(if flows.password {
        "there is no terminal to ask for the password: use --password-file, with `-` for standard input".to_owned()
    } else {
        "this homeserver offers no way to sign in that Pushbell knows: use --token-file with an access token; with one, \
         encrypted messages are not read"
            .to_owned()
    }))
}

async fn ask_password(
    login: &Login<'_>,
    client: &HomeserverClient,
    device: Option<&str>,
    out: &mut dyn Write,
) -> Result<Session, Failure> {
    let Some(person) = &login.person else { return Err(Failure::Failed("there is no terminal".to_owned())) };
    let mut tries = 0;
    loop {
        tries += 1;
        let password = person.password(out, &format!("Password of {}: ", login.user)).await?;
        match with_password(login, client, &password, device).await {
            Ok(session) => return Ok(session),
            Err(error) if is_wrong_password(&error) && tries < TRIES => {
                writeln!(out, "{}.", wrong_password(&login.user))?;
            }
            Err(error) => return Err(failure(&login.user, &error)),
        }
    }
}

async fn with_password(
    login: &Login<'_>,
    client: &HomeserverClient,
    password: &str,
    device_id: Option<&str>,
) -> Result<Session, HomeserverError> {
    let device_name = session::device_name();
    client.login_password(&PasswordLogin { user: &login.user, password, device_name: &device_name, device_id }).await
}

async fn with_token(client: &HomeserverClient, token: String) -> Result<Session, Failure> {
    let whose = client.clone().with_token(&token).whoami().await;
    let (user_id, device_id) = whose.map_err(|error| {
        Failure::Failed(if error.is_unknown_token() {
            "the homeserver does not know this access token: it is expired, revoked, or another homeserver's".to_owned()
        } else {
            error.to_string()
        })
    })?;
    let tokens = Tokens { access_token: token, refresh_token: None, expires_at: None, oauth: None };
    Ok(Session { user_id, device_id, tokens })
}

fn is_wrong_password(error: &HomeserverError) -> bool {
    matches!(error, HomeserverError::Refused(refusal) if refusal.errcode == "M_FORBIDDEN")
}

/// A homeserver does not say whether the user or the password is wrong.
fn wrong_password(user: &UserId) -> String {
    format!("{} does not know this user with this password", user.server_name())
}

/// The message of a failed login (pure).
fn failure(user: &UserId, error: &HomeserverError) -> Failure {
    Failure::Failed(match error {
        HomeserverError::Refused(refusal) => match (refusal.errcode.as_str(), refusal.retry_after) {
            ("M_FORBIDDEN", _) => wrong_password(user),
            ("M_USER_DEACTIVATED", _) => format!("{user} is deactivated"),
            ("M_USER_LOCKED" | "M_USER_SUSPENDED", _) => format!("{user} is locked: ask who runs the homeserver"),
            ("M_LIMIT_EXCEEDED", Some(wait)) => {
                format!("the homeserver has had too many tries: try again in {} s", wait.as_secs().max(1))
            }
            ("M_LIMIT_EXCEEDED", None) => "the homeserver has had too many tries: try again later".to_owned(),
            _ => error.to_string(),
        },
        HomeserverError::Transport(_) | HomeserverError::Unexpected { .. } => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::StatusCode;

    use super::*;
    use crate::homeserver::Refusal;

    #[test]
    fn a_refused_password_is_told_in_words_of_what_to_do() {
        fn check(errcode: &str, retry_after_ms: Option<u64>, expected: &str) {
            let refusal = Refusal {
                path: "/_matrix/client/v3/login".to_owned(),
                status: StatusCode::FORBIDDEN,
                errcode: errcode.to_owned(),
                error: "words".to_owned(),
                soft_logout: false,
                retry_after: retry_after_ms.map(Duration::from_millis),
            };
            let user = UserId::parse("@alice:b").unwrap();
            let Failure::Failed(message) = failure(&user, &HomeserverError::Refused(Box::new(refusal))) else {
                panic!("it has words of its own")
            };
            assert_eq!(message, expected);
        }
        check("M_FORBIDDEN", None, "b does not know this user with this password");
        check("M_USER_DEACTIVATED", None, "@alice:b is deactivated");
        check("M_USER_LOCKED", None, "@alice:b is locked: ask who runs the homeserver");
        check("M_USER_SUSPENDED", None, "@alice:b is locked: ask who runs the homeserver");
        check("M_LIMIT_EXCEEDED", Some(20), "the homeserver has had too many tries: try again in 1 s");
        check("M_LIMIT_EXCEEDED", Some(90_000), "the homeserver has had too many tries: try again in 90 s");
        check("M_LIMIT_EXCEEDED", None, "the homeserver has had too many tries: try again later");
        check("M_BAD_JSON", None, "the homeserver says 403 to /_matrix/client/v3/login: M_BAD_JSON (words)");
    }

    #[test]
    fn a_secret_is_the_first_line_of_its_file() {
        fn check(content: &[u8], expected: Option<&str>) {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("secret");
            std::fs::write(&file, content).unwrap();
            assert_eq!(read_secret(&file).ok().as_deref(), expected);
        }
        check(b"sesame", Some("sesame"));
        check(b" open sesame \r\nmore\n", Some(" open sesame "));
        check(b"\xef\xbb\xbfsesame\r\n", Some("sesame"));
        check(b"\n", None);
        check(b"", None);
        check(b"\xff\xfe", None);
    }
}
