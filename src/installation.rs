//! The mark by which an installation of Pushbell knows the pushers that it has set itself.
//!
//! It is derived from a random number in the data directory and from the id of the computer: another computer has
//! another mark, also where it has a copy of the data directory. Neither can be told from the mark.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

use crate::platform::{files, host};

/// Bytes of the random number, and of the mark.
const BYTES: usize = 16;

/// The mark, 22 characters that a URL may have; makes the random number if `file` has none. Empty where this computer
/// has no id: then installations cannot be told apart.
///
/// # Errors
/// When the file cannot be read or written, or the system has no random numbers.
pub(crate) fn mark(file: &Path) -> io::Result<String> {
    let Some(machine) = host::machine_id() else { return Ok(String::new()) };
    Ok(derive(&machine, &number(file)?))
}

/// As `sd_id128_get_machine_app_specific` does: the computer's id is the key, so that it is not disclosed.
fn derive(machine: &str, number: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, machine.as_bytes());
    let tag = hmac::sign(&key, format!("org.pushbell.installation {number}").as_bytes());
    URL_SAFE_NO_PAD.encode(&tag.as_ref()[..BYTES])
}

fn number(file: &Path) -> io::Result<String> {
    if let Some(number) = read(file)? {
        return Ok(number);
    }
    let mut bits = [0; BYTES];
    getrandom::fill(&mut bits).map_err(|error| io::Error::other(error.to_string()))?;
    files::replace_private(file, URL_SAFE_NO_PAD.encode(bits).as_bytes())?;
    // Another process may have written its own: the file's is the one that counts.
    read(file)?.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `None`: there is none, or it is damaged.
fn read(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(URL_SAFE_NO_PAD.decode(&text).is_ok_and(|bits| bits.len() == BYTES).then_some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_data_directory_on_one_computer() {
        let mark = derive("b08dfa6083e7567a1921a715000001fb", "number");
        assert_eq!(mark, derive("b08dfa6083e7567a1921a715000001fb", "number"));
        assert_ne!(mark, derive("b08dfa6083e7567a1921a715000001fc", "number"));
        assert_ne!(mark, derive("b08dfa6083e7567a1921a715000001fb", "another"));
        assert_eq!(mark.len(), 22);
    }

    #[test]
    fn the_number_is_made_once_and_again_where_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("installation-id");
        let first = number(&file).unwrap();
        assert_eq!(number(&file).unwrap(), first);
        for damaged in ["", "short", "\u{1b}[2J", &"A".repeat(5000)] {
            fs::write(&file, damaged).unwrap();
            let next = number(&file).unwrap();
            assert!(next != first && next != damaged, "{damaged:?}");
        }
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert_ne!(number(&file).unwrap(), first);
    }
}
