//! The fields of a query or a form.

use http_body_util::BodyDataStream;
use hyper::body::{Body, Bytes};
use multer::Multipart;
use url::form_urlencoded;

/// Maximum number of fields of a form with a file.
const MAX_FIELDS: usize = 8;

/// Names and values, in their order.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: Vec<(String, String)>,
    /// The name and content of an uploaded file.
    pub(super) file: Option<(String, Bytes)>,
}

impl Fields {
    /// Reads a query, or the body of a form.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self { values: form_urlencoded::parse(text).into_owned().collect(), file: None }
    }

    /// Reads the body of a form with a file.
    pub(super) async fn read_with_file<B>(content_type: &str, body: B) -> Result<Self, multer::Error>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>> + 'static> + Send + 'static,
    {
        let mut parts = Multipart::new(BodyDataStream::new(body), multer::parse_boundary(content_type)?);
        let mut fields = Self::default();
        while let Some(part) = parts.next_field().await? {
            let name = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(ToOwned::to_owned) {
                Some(called) => fields.file = Some((called, part.bytes().await?)),
                None if fields.values.len() < MAX_FIELDS => fields.values.push((name, part.text().await?)),
                None => {}
            }
        }
        Ok(fields)
    }

    /// All names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The same, trimmed; `None` if it is empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }
}

/// An address with these values as its query, without empty ones.
pub(super) fn address(path: &str, values: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(values.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}
