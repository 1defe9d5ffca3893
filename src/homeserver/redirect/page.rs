//! The pages that the browser shows. They load nothing and have no scripts.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};

const TEMPLATE: &str = include_str!("page.html");
const BELL: &str = include_str!("../../../assets/icons/pushbell.svg");

/// A page for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Signing in has succeeded.
    SignedIn,
    /// Access was denied.
    Denied,
    /// Signing in has failed; the terminal or the page says why.
    Failed,
    /// The redirect was used before.
    Used,
    /// The request does not belong to this sign-in.
    Stranger,
    /// Any other path.
    Nothing,
    /// Not a GET.
    WrongMethod,
}

impl Page {
    fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::SignedIn => (StatusCode::OK, "You are signed in", "You can close this tab."),
            Self::Denied => {
                let what = "Access was denied, so nothing has changed. You can close this tab.";
                (StatusCode::OK, "You are not signed in", what)
            }
            Self::Failed => {
                let what = "Something went wrong: Pushbell says what where you began. You can close this tab.";
                (StatusCode::OK, "You are not signed in", what)
            }
            Self::Used => {
                let what = "This address has served its purpose. You can close this tab.";
                (StatusCode::GONE, "Nothing to do", what)
            }
            Self::Stranger => {
                let what = "This is not the sign-in that Pushbell is waiting for. Start again with the address that \
                            it shows where you began.";
                (StatusCode::BAD_REQUEST, "Not the right sign-in", what)
            }
            Self::Nothing => (StatusCode::NOT_FOUND, "Nothing here", "You can close this tab."),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "Nothing here", "You can close this tab."),
        }
    }

    fn html(self) -> String {
        let (_, title, text) = self.words();
        TEMPLATE.replace("{bell}", BELL.trim()).replace("{title}", title).replace("{text}", text)
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.html())));
        *response.status_mut() = self.words().0;
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            // The URL contains secrets.
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
            ),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        response.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_whole_and_load_nothing() {
        use Page::{Denied, Failed, Nothing, SignedIn, Stranger, Used, WrongMethod};
        for page in [SignedIn, Denied, Failed, Used, Stranger, Nothing, WrongMethod] {
            let html = page.html();
            for word in ["{bell}", "{title}", "{text}", "<script", " src=", "@import", "url(h"] {
                assert!(!html.contains(word), "{page:?}: {word}");
            }
            assert!(html.contains(page.words().1) && html.contains(page.words().2), "{page:?}");
        }
    }
}
