//! What a certificate says of itself that a person wants to know: whom it is for, and from when until when (RFC 5280,
//! section 4.1). Whether it is to be trusted is for homeservers to decide; rustls checks that it is well-formed.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Who a certificate is for, and when it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// DNS names and IP addresses.
    pub(super) names: Vec<String>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Of a `GeneralName`.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Reads a certificate in DER; `None` if it is none.
pub(super) fn read(der: &[u8]) -> Option<Facts> {
    let mut certificate = Elements(Elements(der).next_of(SEQUENCE)?);
    let mut fields = Elements(certificate.next_of(SEQUENCE)?);
    if fields.peek()? == VERSION {
        fields.next()?;
    }
    let [_serial, _signature, _issuer] = [fields.next()?, fields.next()?, fields.next()?];
    let mut validity = Elements(fields.next_of(SEQUENCE)?);
    let mut moment = || validity.next().and_then(|(tag, written)| time(tag, written));
    let (not_before, not_after) = (moment()?, moment()?);
    let extensions = fields.find(|(tag, _)| *tag == EXTENSIONS).map(|(_, extensions)| extensions);
    let names = extensions.and_then(alternative_names).unwrap_or_default();
    Some(Facts { names, not_before, not_after })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    for (_, extension) in Elements(Elements(extensions).next_of(SEQUENCE)?) {
        let mut parts = Elements(extension);
        if parts.next_of(OBJECT_IDENTIFIER)? == SUBJECT_ALTERNATIVE_NAME {
            // Whether it is critical may stand in between.
            let (_, value) = parts.find(|(tag, _)| *tag == OCTET_STRING)?;
            return Some(Elements(Elements(value).next_of(SEQUENCE)?).filter_map(name).collect());
        }
    }
    None
}

fn name((tag, written): (u8, &[u8])) -> Option<String> {
    match tag {
        DNS_NAME => str::from_utf8(written).ok().map(str::to_owned),
        IP_ADDRESS => match written.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(written).ok()?).to_string()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(written).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, always in UTC.
fn time(tag: u8, written: &[u8]) -> Option<Timestamp> {
    let (date, year_digits) = match tag {
        UTC_TIME => (written, 2),
        GENERALIZED_TIME => (written, 4),
        _ => return None,
    };
    let (year, rest) = date.strip_suffix(b"Z")?.split_at_checked(year_digits)?;
    let number = |digits: &[u8]| -> Option<i16> {
        digits
            .iter()
            .try_fold(0_i16, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0')))
    };
    let year = match (number(year)?, year_digits) {
        (year @ 0..50, 2) => 2000 + year,
        (year, 2) => 1900 + year,
        (year, _) => year,
    };
    if rest.len() != 10 {
        return None;
    }
    let mut pairs = rest.chunks(2).map(|pair| number(pair).and_then(|number| i8::try_from(number).ok()));
    let mut pair = || pairs.next().flatten();
    let moment = DateTime::new(year, pair()?, pair()?, pair()?, pair()?, pair()?, 0).ok()?;
    // 9999-12-31 stands for no end, and is later than any timestamp.
    Some(moment.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |moment| moment.timestamp()))
}

/// The elements of a DER sequence, tag and content; ends where it is damaged.
#[derive(Clone)]
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, if it has this tag.
    fn next_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = std::mem::take(&mut self.0).split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(names: &[&str], until: i32) -> Vec<u8> {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(until, 2, 28);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_times_are_read() {
        let check = |names: &[&str], until: i32, not_after: &str| {
            let facts = read(&certificate(names, until)).unwrap();
            assert_eq!(facts.names, names);
            assert_eq!(facts.not_before, "1999-12-31T00:00:00Z".parse().unwrap());
            assert_eq!(facts.not_after.to_string(), not_after);
        };
        check(&["push.example.org"], 2049, "2049-02-28T00:00:00Z");
        check(&["push.example.org", "192.168.1.20", "fd00::1", "*.example.org"], 2050, "2050-02-28T00:00:00Z");
        check(&[], 2026, "2026-02-28T00:00:00Z");
    }

    #[test]
    fn times_are_as_rfc_5280_writes_them() {
        let check = |tag, written: &str, expected: Option<&str>| {
            assert_eq!(time(tag, written.as_bytes()), expected.map(|time| time.parse().unwrap()), "{written}");
        };
        check(UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z"));
        check(UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z"));
        check(GENERALIZED_TIME, "20501122101500Z", Some("2050-11-22T10:15:00Z"));
        check(GENERALIZED_TIME, "99991231235959Z", Some(&Timestamp::MAX.to_string()));
        for damaged in ["", "Z", "491231235959", "4912312359Z", "491331235959Z", "4912312359599Z", "49123123595aZ"] {
            check(UTC_TIME, damaged, None);
        }
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        let whole = certificate(&["a.example"], 2030);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte: u8) {
            read(&bytes);
            let mut damaged = certificate(&["a.example"], 2030);
            let at = at.index(damaged.len());
            damaged[at] = byte;
            read(&damaged);
        }
    }
}
