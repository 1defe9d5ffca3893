//! Signing in with a browser: by the OAuth 2.0 API where the homeserver has it, else by single sign-on.

use std::{future::Future, io::Write, pin::pin};

use crate::{
    accounts::SignInMethod,
    failure::Failure,
    homeserver::{
        HomeserverClient, Session,
        oauth::{self, Authorization, Metadata},
        redirect::PATIENCE,
        sso::SsoLogin,
    },
    page::Conversation,
    platform,
    push::text,
};

/// Signs in with a browser. `None`: the homeserver does not support it.
///
/// # Errors
/// When signing in fails or times out.
pub(super) async fn sign_in(
    homeserver: &HomeserverClient,
    sso_offered: bool,
    device_name: &str,
    page: Option<&Conversation>,
    say: &mut dyn Write,
) -> Result<Option<(Session, SignInMethod)>, Failure> {
    let mut attempt = Attempt { homeserver, device_name, page, say };
    match oauth::metadata(homeserver).await? {
        // Without client registration OAuth is impossible; single sign-on may still work.
        Some(metadata) if metadata.registration_endpoint.is_some() || !sso_offered => {
            Ok(Some((attempt.oauth(&metadata).await?, SignInMethod::OAuth)))
        }
        Some(_) | None if sso_offered => Ok(Some((attempt.sso().await?, SignInMethod::Sso))),
        Some(_) | None => Ok(None),
    }
}

struct Attempt<'a> {
    homeserver: &'a HomeserverClient,
    device_name: &'a str,
    /// Shows the address, if the login was started from the page.
    page: Option<&'a Conversation>,
    say: &'a mut dyn Write,
}

impl Attempt<'_> {
    async fn oauth(&mut self, metadata: &Metadata) -> Result<Session, Failure> {
        let authorization = Authorization::begin(self.homeserver, metadata).await?;
        let (url, port) = (authorization.url(), authorization.port());
        let signing_in = authorization.finish(self.homeserver, self.device_name, PATIENCE);
        Ok(self.browse(&url, port, signing_in).await??)
    }

    async fn sso(&mut self) -> Result<Session, Failure> {
        let login = SsoLogin::begin(self.homeserver).await?;
        let (url, port) = (login.url().to_owned(), login.port());
        let signing_in = login.finish(self.homeserver, self.device_name, PATIENCE);
        Ok(self.browse(&url, port, signing_in).await??)
    }

    /// Has the person open the address in a browser of this computer, and waits for the sign-in.
    async fn browse<T>(&mut self, url: &str, port: u16, signing_in: impl Future<Output = T>) -> Result<T, Failure> {
        let mut signing_in = pin!(signing_in);
        if let Some(page) = self.page {
            page.sign_in_at(Some(url));
            let ended = tokio::select! {
                ended = &mut signing_in => Ok(ended),
                () = page.cancelled() => Err(Failure::Failed("you have ended it".to_owned())),
            };
            page.sign_in_at(None);
            return ended;
        }
        if platform::open::browser_available() {
            writeln!(self.say, "Your browser opens for you to sign in. If it does not, open this address:\n")?;
        } else {
            writeln!(self.say, "To sign in, open this address in a browser on this computer:\n")?;
        }
        writeln!(self.say, "    {}\n", text::spelled_out(url))?;
        self.say.flush()?;
        if platform::open::browser_available() {
            tokio::select! {
                ended = &mut signing_in => return Ok(ended),
                opened = platform::open::open_in_browser(url) => match opened {
                    Ok(()) => return Ok(signing_in.await),
                    Err(reason) => {
                        tracing::debug!("the browser: {reason}");
                        writeln!(self.say, "No browser could be opened.")?;
                    }
                }
            }
        }
        writeln!(self.say, "From another computer, forward the way back first: ssh -L {port}:127.0.0.1:{port} …")?;
        self.say.flush()?;
        Ok(signing_in.await)
    }
}
