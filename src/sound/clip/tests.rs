use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A WAV file whose header says `seconds` (mono, 8 bit, 8 kHz), with `data` as its samples.
fn wav(seconds: u32, rate: u32, channels: u16, data: &[u8]) -> Vec<u8> {
    let length = seconds * rate;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(b"\x01\0\x08\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn the_bundled_sounds_are_short_loud_enough_and_do_not_click() {
    for (bundled, at_least, at_most) in
        [(Bundled::Default, 500, 1000), (Bundled::Bing, 500, 1500), (Bundled::Ring, 2000, 3100)]
    {
        let clip = Clip::from_bundled(bundled).unwrap();
        let duration = clip.duration().as_millis();
        assert!((at_least..=at_most).contains(&duration), "{bundled:?}: {duration} ms");
        let peak = clip.samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((22_000..24_500).contains(&peak), "{bundled:?}: peak {peak}, -3 dBFS is 23 198");
        for edge in [&clip.samples[..48], &clip.samples[clip.samples.len() - 48..]] {
            assert!(edge.iter().all(|sample| sample.abs() < 100), "{bundled:?} clicks");
        }
    }
}

#[test]
fn a_sound_file_is_decoded_with_its_rate_and_channels() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("x");
    fs::write(&path, wav(1, 8000, 1, &[192; 8000])).unwrap();
    let clip = Clip::from_file(&path, MAX_ONCE).unwrap();
    assert_eq!((clip.channels.get(), clip.sample_rate.get(), clip.duration()), (1, 8000, Duration::from_secs(1)));
    assert!(clip.samples.iter().all(|sample| (16_300..16_500).contains(sample)));
}

#[test]
fn whatever_is_no_short_sound_is_refused_with_the_reason() {
    fn check(prepare: impl FnOnce(&Path), expected: &str) {
        let home = TempDir::new().unwrap();
        let path = home.path().join("x.wav");
        prepare(&path);
        let Err(error) = Clip::from_file(&path, MAX_ONCE) else { panic!("usable, not {expected:?}") };
        assert!(error.to_string().contains(expected), "{error} is not {expected:?}");
        let Ok(instead) = Clip::load(&Choice::File(path), MAX_ONCE) else { panic!("no default for {expected:?}") };
        assert_eq!(instead.samples, Clip::from_bundled(Bundled::Default).unwrap().samples);
    }
    let two_hours = 2 * 60 * 60;
    check(|_| {}, "(os error 2)");
    check(|path| fs::create_dir(path).unwrap(), "no file");
    check(|path| fs::write(path, "").unwrap(), "no sound in it");
    check(|path| fs::write(path, "To be or not to be").unwrap(), "no WAV");
    check(|path| fs::write(path, wav(1, 8000, 1, &[])).unwrap(), "no sound in it");
    check(|path| fs::write(path, &wav(1, 8000, 1, &[0; 8000])[..30]).unwrap(), "cannot be decoded");
    check(|path| fs::write(path, wav(1, 0, 1, &[0; 8000])).unwrap(), "cannot be decoded");
    check(|path| fs::write(path, wav(1, 8000, 0, &[0; 8000])).unwrap(), "cannot be decoded");
    check(|path| fs::write(path, wav(31, 8000, 1, &vec![0; 31 * 8000])).unwrap(), "longer than 30 s");
    check(
        |path| {
            fs::write(path, wav(two_hours, 8000, 1, &[])).unwrap();
            File::options().write(true).open(path).unwrap().set_len(u64::from(two_hours) * 8000).unwrap();
        },
        "larger than 32 MiB",
    );
}

#[test]
fn a_wav_file_with_wrong_lengths_plays_what_is_there() {
    let check = |length: u32, seconds: u32, expected_seconds: u64| {
        let mut file = wav(seconds, 8000, 1, &vec![0; seconds as usize * 8000]);
        file[4..8].copy_from_slice(&length.wrapping_add(36).to_le_bytes());
        file[40..44].copy_from_slice(&length.to_le_bytes());
        let clip = decode(file.into(), MAX_ONCE).unwrap_or_else(|error| panic!("{length}: {error}"));
        assert_eq!(clip.duration().as_secs(), expected_seconds, "{length}");
    };
    for unknown in [0, u32::MAX, u32::MAX - 36, 0x7fff_ffff, 8001, 2 * 60 * 60 * 8000] {
        check(unknown, 1, 1);
        check(unknown, 40, if unknown == 8001 { 1 } else { 30 });
    }
    let odd = wav(1, 8000, 2, &[0; 7_999]);
    assert_eq!(decode(odd.into(), MAX_ONCE).unwrap().duration(), Duration::from_micros(499_875));
}

#[test]
fn channels_that_the_device_lacks_are_mixed_down() {
    let check = |samples: &[i16], device: u16, expected: &[i16]| {
        let channels = ChannelCount::new(u16::try_from(samples.len()).unwrap()).unwrap();
        let clip = Clip { channels, sample_rate: SampleRate::new(8000).unwrap(), samples: samples.to_vec() };
        let clip = clip.mixed_for(ChannelCount::new(device).unwrap());
        assert_eq!((clip.samples.as_slice(), clip.channels.get() as usize), (expected, expected.len()), "{samples:?}");
    };
    check(&[100, 0], 1, &[50]);
    check(&[0, 100], 1, &[50]);
    check(&[7, 9], 2, &[7, 9]);
    check(&[7], 2, &[7]);
    check(&[0, 0, 0, 0, 0, 600], 2, &[100]);
    check(&[i16::MIN; 6], 2, &[i16::MIN]);
    check(&[1, 2, 3, 4, 5, 6], 6, &[1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_rings_may_be_longer_than_what_sounds_once() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("x.wav");
    fs::write(&path, wav(40, 8000, 1, &vec![0; 40 * 8000])).unwrap();
    assert_eq!(Clip::from_file(&path, MAX_RING).unwrap().duration(), Duration::from_secs(40));
    assert!(Clip::from_file(&path, MAX_ONCE).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_sound_never_breaks_anything(
        bundled in prop::sample::select(vec![Bundled::Default, Bundled::Bing]),
        damage in prop::collection::vec((0_usize..9000, any::<u8>()), 1..20),
        length in 0_usize..10_000,
    ) {
        let mut bytes = bundled.bytes().to_vec();
        bytes.truncate(length);
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(clip) = decode(bytes.into(), MAX_ONCE) {
            prop_assert!(!clip.samples.is_empty() && clip.samples.len() <= MAX_SAMPLES);
        }
    }

    #[test]
    fn noise_behind_a_true_beginning_never_breaks_anything(
        magic in prop::sample::select(vec![&b"RIFF"[..], b"OggS", b"fLaC", b"ID3", b"\xff\xfb"]),
        noise in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        let bytes = [magic, &noise].concat();
        if let Ok(clip) = decode(bytes.into(), MAX_ONCE) {
            prop_assert!(clip.duration() <= MAX_ONCE);
        }
    }
}
