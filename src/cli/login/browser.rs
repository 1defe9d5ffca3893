//! Signing in with a browser: by the OAuth 2.0 API where the homeserver has it, else by single sign-on.

use std::{future::Future, io::Write, pin::pin};

use crate::{
    accounts::SignInMethod,
    failure::Failure,
    homeserver::{
        HomeserverClient, Session,
        oauth::{self, Authorization, DeviceAuthorization, Metadata},
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
    let has_browser = page.is_some() || platform::open::browser_available();
    let mut attempt = Attempt { homeserver, device_name, page, say, has_browser };
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
    has_browser: bool,
}

impl Attempt<'_> {
    async fn oauth(&mut self, metadata: &Metadata) -> Result<Session, Failure> {
        if !self.has_browser
            && let Some(session) = self.device(metadata).await?
        {
            return Ok(session);
        }
        let authorization = Authorization::begin(self.homeserver, metadata).await?;
        let (url, port) = (authorization.url(), authorization.port());
        let mut signing_in = pin!(authorization.finish(self.homeserver, self.device_name, PATIENCE));
        if let Some(ended) = self.browse(&url, port, signing_in.as_mut()).await? {
            return Ok(ended?);
        }
        match self.device(metadata).await? {
            Some(session) => Ok(session),
            None => Ok(signing_in.await?),
        }
    }

    async fn sso(&mut self) -> Result<Session, Failure> {
        let login = SsoLogin::begin(self.homeserver).await?;
        let (url, port) = (login.url().to_owned(), login.port());
        let mut signing_in = pin!(login.finish(self.homeserver, self.device_name, PATIENCE));
        match self.browse(&url, port, signing_in.as_mut()).await? {
            Some(ended) => Ok(ended?),
            None => Ok(signing_in.await?),
        }
    }

    /// Opens the address in a browser and waits for the sign-in. `None`: no browser could be opened.
    async fn browse<T>(
        &mut self,
        url: &str,
        port: u16,
        mut signing_in: impl Future<Output = T> + Unpin,
    ) -> Result<Option<T>, Failure> {
        if let Some(page) = self.page {
            page.sign_in_at(Some(url));
            let ended = tokio::select! {
                ended = &mut signing_in => Ok(Some(ended)),
                () = page.cancelled() => Err(Failure::Failed("you have ended it".to_owned())),
            };
            page.sign_in_at(None);
            return ended;
        }
        let url_shown = text::spelled_out(url);
        if !self.has_browser {
            writeln!(self.say, "To sign in, open this address in a browser on this computer:\n\n    {url_shown}\n")?;
            writeln!(self.say, "From another computer, forward the way back first: ssh -L {port}:127.0.0.1:{port} …")?;
            self.say.flush()?;
            return Ok(Some(signing_in.await));
        }
        writeln!(self.say, "Your browser opens for you to sign in. If it does not, open this address:\n")?;
        writeln!(self.say, "    {url_shown}\n")?;
        self.say.flush()?;
        tokio::select! {
            ended = &mut signing_in => return Ok(Some(ended)),
            opened = platform::open::open_in_browser(url) => if let Err(reason) = opened {
                tracing::debug!("the browser: {reason}");
                writeln!(self.say, "No browser could be opened.")?;
                self.say.flush()?;
                return Ok(None);
            },
        }
        Ok(Some(signing_in.await))
    }

    /// Signs in by the device authorization grant (RFC 8628). `None`: the server does not support it.
    async fn device(&mut self, metadata: &Metadata) -> Result<Option<Session>, Failure> {
        let device = DeviceAuthorization::begin(self.homeserver, metadata).await?;
        let Some(device) = device else { return Ok(None) };
        writeln!(self.say, "To sign in, open this address in a browser, here or on another device:\n")?;
        writeln!(self.say, "    {}\n\nand enter the code: {}", device.url(), device.user_code())?;
        if let Some(url) = device.url_with_code() {
            writeln!(self.say, "\nWith the code in it: {url}")?;
        }
        writeln!(self.say, "\nThe code is good for {} minutes.", device.life().as_secs().div_ceil(60))?;
        self.say.flush()?;
        Ok(Some(device.finish(self.homeserver, self.device_name).await?))
    }
}
